"""The explorer page by keyboard alone: everything is reached, what has the focus is seen, and it is never lost."""

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

from local.world import World
from tests.browser.conftest import Explorer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAMES = [f"{name}.txt" for name in ("ant", "bee", "cat", "dog", "eel")]

# Whether what has the focus can be seen to have it; else why not.
_FOCUS = """
() => {
  const it = document.activeElement;
  if (!it || it === document.body) return "the focus is lost";
  if (it.id === "main") return ""; // a whole view, whose outline would be the window's
  const box = it.getBoundingClientRect();
  if (!it.checkVisibility() || !box.width || !box.height) return `${it.outerHTML.slice(0, 120)} is not seen`;
  if (box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth)
    return `${it.outerHTML.slice(0, 120)} is off screen`;
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  const row = it.matches(".grid") && it.querySelector(".row.active");
  if (row ? getComputedStyle(row).boxShadow === "none" : outlineStyle === "none" || parseFloat(outlineWidth) < 1)
    return `${it.outerHTML.slice(0, 120)} does not show its focus`;
  return "";
}
"""


def press(page: Page, key: str) -> None:
    """One key, soon after which the focus is somewhere, and to be seen there."""
    page.keyboard.press(key)
    soon = "async () => { for (let n = 120; n && why(); n--) await new Promise(requestAnimationFrame); return why(); }"
    assert page.evaluate(f"() => {{ const why = {_FOCUS}; return ({soon})(); }}") == "", f"after {key}"


def tab_to(page: Page, goal: Locator, key: str = "Tab") -> None:
    """Tab until it has the focus, which is seen at every step."""
    seen = []
    for _ in range(60):
        press(page, key)
        if goal.evaluate("element => element === document.activeElement"):
            return
        seen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    pytest.fail(f"not reached by {key}: " + "\n".join(seen))


def still_somewhere(page: Page) -> None:
    """A frame later, when a browser takes the focus from what has been disabled or hidden, somebody has it still."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_timeout(200)
    assert page.evaluate("document.activeElement !== document.body"), "the focus is lost"


@pytest.fixture
def animals(world: World, explorer: Explorer, eu: "S3Client") -> Page:
    """The page at a folder with these five, each in both places, and the keyboard in the list."""
    for name in NAMES:
        eu.put_object(
            Bucket=world.buckets["eu-west-2"],
            Key=f"animals/{name}",
            Body=f"an {name}".encode(),
            ContentType="text/plain",
        )
    world.settle()
    page = explorer.page
    explorer.open("#/folder/animals/")
    expect(explorer.row("eel.txt")).to_be_visible()
    press(page, "Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    press(page, "Enter")
    expect(page.get_by_role("grid")).to_be_focused()
    return page


def chosen(page: Page) -> list[str]:
    return page.locator(".rows .row[aria-selected=true] a").all_inner_texts()


def test_moving_finding_and_looking_into_one(animals: Page, explorer: Explorer) -> None:
    page = animals
    active = page.locator(".rows .active")
    for key, name in (("ArrowDown", "bee"), ("End", "eel"), ("ArrowUp", "dog"), ("Home", "ant"), ("c", "cat")):
        press(page, key)
        expect(active).to_contain_text(name)
        told = page.get_by_role("grid").get_attribute("aria-activedescendant")
        assert page.locator(f"#{told}").inner_text().startswith(name)
    press(page, "/")
    expect(page.get_by_role("searchbox", name="Filter by name")).to_be_focused()
    page.keyboard.type("be")
    expect(page.locator(".rows .row")).to_have_count(1)
    press(page, "Enter")
    press(page, "Enter")
    expect(page.locator(".look")).to_have_text("an bee.txt")
    press(page, "ArrowRight")
    expect(page.get_by_role("button", name="Close the details")).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Copy link", exact=True))
    press(page, "Escape")
    expect(page.get_by_role("grid")).to_be_focused()
    expect(page.locator("aside.details")).to_be_hidden()
    press(page, "Escape")
    expect(page.locator(".rows .row")).to_have_count(5)
    press(page, "Backspace")
    expect(explorer.row("animals/")).to_be_visible()
    assert explorer.errors == []


def test_a_range_is_chosen_linked_deleted_and_brought_back(animals: Page, explorer: Explorer) -> None:
    page = animals
    press(page, "ArrowDown")
    for _ in range(2):
        press(page, "Shift+ArrowDown")
    assert chosen(page) == ["bee.txt", "cat.txt", "dog.txt"]
    press(page, "Shift+ArrowUp")
    assert chosen(page) == ["bee.txt", "cat.txt"]
    press(page, "End")
    press(page, "Space")
    assert chosen(page) == ["bee.txt", "cat.txt", "eel.txt"]

    bar = page.get_by_role("group", name="With what is chosen")
    tab_to(page, bar.get_by_role("button", name="Copy link"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="3 links")
    expect(dialog).to_contain_text("Works until")
    tab_to(page, dialog.get_by_label("Whoever has it may read, for"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(bar.get_by_role("button", name="Copy link")).to_be_focused()

    tab_to(page, bar.get_by_role("button", name="Delete"))
    page.keyboard.press("Enter")
    expect(page.locator(".rows .row")).to_have_count(2)
    expect(bar).to_be_hidden()
    still_somewhere(page)
    undo = page.get_by_role("button", name="Undo")
    tab_to(page, undo)
    page.keyboard.press("Enter")
    expect(page.locator(".rows .row")).to_have_count(5)
    expect(undo).to_have_count(0)
    still_somewhere(page)


def test_one_is_deleted_by_del_and_from_its_details(animals: Page, explorer: Explorer) -> None:
    page = animals
    press(page, "Delete")
    expect(explorer.row("ant.txt")).to_have_count(0)
    still_somewhere(page)
    tab_to(page, page.get_by_role("button", name="Undo"))
    page.keyboard.press("Enter")
    expect(explorer.row("ant.txt")).to_be_visible()
    still_somewhere(page)
    page.get_by_role("grid").focus()
    press(page, "Home")
    press(page, "Enter")
    expect(page.locator(".look")).to_have_text("an ant.txt")
    press(page, "ArrowRight")
    tab_to(page, page.locator(".details").get_by_role("button", name="Delete"))
    page.keyboard.press("Enter")
    expect(explorer.row("ant.txt")).to_have_count(0)
    expect(page.locator("aside.details")).to_be_hidden()
    still_somewhere(page)


def test_the_file_chooser_the_views_and_the_colours(animals: Page, explorer: Explorer) -> None:
    page = animals
    page.on("filechooser", lambda _: None)  # Playwright's interception begins now, and not while the key is pressed
    tab_to(page, page.get_by_role("button", name="Upload files"), "Shift+Tab")
    with page.expect_file_chooser():
        press(page, "Enter")
    tab_to(page, page.get_by_role("button", name="Colours", exact=False), "Shift+Tab")
    press(page, "Enter")
    expect(page.get_by_role("button", name="Colours: light")).to_be_focused()
    tab_to(page, page.get_by_role("link", name="Health"), "Shift+Tab")
    press(page, "Enter")
    expect(page.locator(".word strong")).to_have_text("Healthy")
    tab_to(page, page.get_by_role("region", name="The places as a table"))
    tab_to(page, page.get_by_role("link", name="The whole log"))
    press(page, "Enter")
    expect(page.get_by_role("heading", name="What was done")).to_be_visible()
    still_somewhere(page)
    tab_to(page, page.get_by_role("button", name="Pause"))
    assert explorer.errors == []


def test_the_worlds_controls(world: World, animals: Page) -> None:
    page = animals
    opener = page.get_by_role("button", name="World")
    tab_to(page, opener, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close the controls")).to_be_focused()
    tab_to(page, page.get_by_role("radio", name="where the world says"))
    press(page, "ArrowUp")  # to the last of them
    expect(opener).to_contain_text("asia")
    expect(page.get_by_role("radio", name="Asia")).to_be_focused()
    tab_to(page, page.get_by_role("switch", name="America us-east-2"))
    page.keyboard.press("Space")
    expect(page.get_by_role("switch", name="America us-east-2 off")).to_be_focused()
    assert not world.state().regions[1].condition.on
    press(page, "Escape")
    expect(opener).to_be_focused()

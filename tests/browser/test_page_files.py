"""The files of the explorer page: addresses, 100,000 entries, and names and contents that mean harm."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Dialog, expect

from local import object_store
from local.world import World
from tests.browser.conftest import Explorer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANY = 100_000
LONGEST_KEY_BYTES = 1024
PWNED = "window.__pwned = 1"

# Names in the folder hostile/, and how they read where what cannot be seen is spelled out.
HOSTILE = {
    f"<img src=x onerror='{PWNED}'>.txt": "",
    f"'\"><svg onload={PWNED.replace(' ', '')}><script>{PWNED};.txt": "",
    "what? #half %41 +&=.txt": "",
    "invoice\u202egnp.txt": "invoiceRLOgnp.txt",
    "two\nlines\tand\u200bnothing.txt": "twoLFlinesTABandZWSPnothing.txt",
    '"quoted" \\ and `ticked`; filename=x.txt': "",
    "木" * ((LONGEST_KEY_BYTES - len("hostile/") - len(".txt")) // 3) + ".txt": "",
}


def test_a_folder_an_object_and_a_folder_that_is_not_there_have_addresses(explorer: Explorer) -> None:
    page = explorer.page
    explorer.open("#/folder/users/alice/")
    expect(page.get_by_role("navigation", name="Folders").get_by_role("listitem")).to_have_text(
        ["All files", "users", "alice"]
    )
    expect(explorer.row("pictures/")).to_be_visible()
    explorer.open("#/object/docs/Gr%C3%BC%C3%9Fe%20aus%20K%C3%B6ln%20&%20%E6%9D%B1%E4%BA%AC.txt")
    expect(page.locator(".look")).to_contain_text("Grüße! こんにちは!")
    expect(page.locator(".rows .active")).to_contain_text("Grüße aus Köln & 東京.txt")
    expect(page).to_have_title("Grüße aus Köln & 東京.txt \u2013 Nearside")
    assert explorer.errors == []
    explorer.open("#/folder/nowhere/")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()


def test_back_and_forward_go_where_one_was(explorer: Explorer) -> None:
    page = explorer.page
    explorer.open()
    explorer.row("images/").get_by_role("link").click()
    explorer.row("harbour.png").get_by_role("link").click()
    expect(page.get_by_role("img", name="Preview of harbour.png")).to_be_visible()
    page.get_by_role("link", name="Health").click()
    expect(page.locator(".word strong")).to_have_text("Healthy")
    page.go_back()
    expect(page.get_by_role("img", name="Preview of harbour.png")).to_be_visible()
    page.go_back()
    expect(page.locator("aside.details")).to_be_hidden()
    expect(explorer.row("harbour.png")).to_be_visible()
    page.go_back()
    expect(explorer.row("images/")).to_be_visible()
    page.go_forward()
    page.go_forward()
    page.get_by_role("button", name="Copy link", exact=True).last.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_forward()
    expect(page.get_by_role("img", name="Preview of harbour.png")).to_be_visible()
    assert explorer.errors == []


@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize("name", HOSTILE, ids=["img", "script", "url", "rlo", "controls", "quotes", "1024 bytes"])
def test_a_hostile_name_is_shown_whole_and_is_only_a_name(
    world: World, explorer: Explorer, eu: "S3Client", name: str
) -> None:
    page = explorer.page
    shown = HOSTILE[name] or name
    eu.put_object(
        Bucket=world.buckets["eu-west-2"], Key=f"hostile/{name}", Body=b"the right one", ContentType="text/plain"
    )
    world.settle()
    dialogs: list[str] = []

    def said(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", said)
    explorer.open("#/folder/hostile/")
    row = explorer.row(shown)
    row.get_by_role("link").click()
    expect(page.locator(".look")).to_contain_text("the right one")
    for spelled in (page.locator(".details h2"), page.locator(".about code").first):
        assert spelled.inner_text().endswith(shown)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the name makes the page wider"
    with page.expect_download() as download:
        page.locator(".details").get_by_role("button", name="Download", exact=True).click()
    assert download.value.path().read_bytes() == b"the right one"
    page.get_by_role("button", name="Copy link", exact=True).last.click()
    expect(page.get_by_role("dialog")).to_contain_text("Works until")
    page.keyboard.press("Escape")
    page.locator(".details").get_by_role("button", name="Delete", exact=True).click()
    expect(row).to_have_count(0)
    assert "Contents" not in eu.list_objects_v2(Bucket=world.buckets["eu-west-2"], Prefix=f"hostile/{name}")
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()
    assert (page.evaluate("window.__pwned"), dialogs, _but_for_a_deleted_one(explorer.errors)) == (None, [], [])


def _but_for_a_deleted_one(errors: list[str]) -> list[str]:
    """Chromium says of every 404 that it was one, of the HEAD of a deleted object too."""
    return [said for said in errors if "404 (Not Found)" not in said]


@pytest.mark.usefixtures("unheard")
def test_keys_with_empty_parts_are_folders_of_their_own(world: World, explorer: Explorer, eu: "S3Client") -> None:
    for key in ("slashes//b.txt", "slashes/b.txt"):
        eu.put_object(Bucket=world.buckets["eu-west-2"], Key=key, Body=f"I am {key}".encode(), ContentType="text/plain")
    world.settle()
    page = explorer.page
    explorer.open("#/object/slashes//b.txt")
    expect(page.locator(".look")).to_have_text("I am slashes//b.txt")
    with page.expect_download() as download:
        page.locator(".details").get_by_role("button", name="Download", exact=True).click()
    assert download.value.path().read_text() == "I am slashes//b.txt"
    explorer.open("#/folder/slashes/")
    expect(page.locator(".rows .row")).to_have_count(2)
    explorer.row("(empty name)/").get_by_role("link").click()
    expect(explorer.row("b.txt")).to_be_visible()
    explorer.row("b.txt").get_by_role("link").click()
    expect(page.locator(".look")).to_have_text("I am slashes//b.txt")
    assert explorer.errors == []


@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize(
    ("name", "content_type", "body"),
    [
        ("page.html", "text/html", f"<script>{PWNED}</script><img src=x onerror='{PWNED}'>"),
        ("data.json", "application/json", f"[\"<img src=x onerror='{PWNED}'>\"]"),
        (
            "drawing.svg",
            "image/svg+xml",
            f"<svg xmlns='http://www.w3.org/2000/svg' onload='{PWNED}'><script>{PWNED}</script></svg>",
        ),
    ],
)
def test_what_a_hostile_object_holds_does_not_run(
    world: World, explorer: Explorer, eu: "S3Client", name: str, content_type: str, body: str
) -> None:
    bucket = world.buckets["eu-west-2"]
    eu.put_object(Bucket=bucket, Key=f"hostile/{name}", Body=body.encode(), ContentType=content_type)
    world.settle()
    explorer.open(f"#/object/hostile/{name}")
    if content_type == "image/svg+xml":
        expect(explorer.page.get_by_role("img", name=f"Preview of {name}")).to_be_attached()
    else:
        expect(explorer.page.locator(".look pre")).to_contain_text("onerror")
    assert (explorer.page.evaluate("window.__pwned"), explorer.errors) == (None, [])


@pytest.fixture
def many(world: World) -> Iterator[None]:
    """So many objects in one folder of Europe, the 777th of them the largest; put into the store by its back door."""
    bucket = world.buckets["eu-west-2"]
    keys = [f"many/{number:06}.txt" for number in range(MANY)]
    with object_store.changing(bucket, keys):
        for number, key in enumerate(keys):
            body = b"x" * (50 if number == 777 else 1 + number % 7)
            object_store.backend().put_object(bucket, key, body)
    yield
    found = object_store.find_bucket(bucket)
    assert found is not None
    with object_store.changing(bucket, keys):
        for key in keys:
            found.keys.pop(key)


@pytest.mark.usefixtures("many", "unheard")
def test_100_000_entries_are_sorted_filtered_and_scrolled_through(explorer: Explorer) -> None:
    page = explorer.page
    rows = page.locator(".rows .row")
    explorer.open("#/folder/many/")
    expect(page.locator(".state")).to_have_text("100,000 entries", timeout=60_000)
    assert rows.count() < 100

    page.locator(".grid").focus()
    page.keyboard.press("End")
    expect(page.locator(".rows .active")).to_contain_text("099999.txt")
    assert page.locator(".grid").evaluate("grid => grid.scrollTop + grid.clientHeight >= grid.scrollHeight - 1")
    explorer.shot("many-end")
    page.locator(".grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2 }")
    expect(explorer.row("050000.txt")).to_be_visible()
    assert rows.count() < 100
    expect(page.locator(".rows .dot")).not_to_have_count(0)

    page.get_by_role("button", name="Size").click()
    page.keyboard.press("Home")
    expect(page.locator("#row-0")).to_contain_text("000777.txt")
    page.get_by_role("searchbox", name="Filter by name").fill("99.TXT")
    expect(page.locator(".state")).to_have_text("1,000 of 100,000")
    page.get_by_role("button", name="Name").click()
    expect(page.locator("#row-0")).to_contain_text("000099.txt")
    page.keyboard.press("Control+a")
    assert rows.count() < 100
    assert explorer.errors == []

"""The explorer page as Lighthouse would judge it, at every width and colour: accessible, light, quiet, lawful."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect

from local.world import World
from tests.browser import axe
from tests.browser.conftest import Explorer, Tab
from tests.integration.http_client import get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_BYTES = 150_000
DARK, LIGHT = "rgb(20, 24, 26)", "rgb(246, 247, 247)"

type View = Callable[[Explorer], None]


def _files(explorer: Explorer) -> None:
    explorer.open("#/folder/images/")
    expect(explorer.page.locator(".rows .dot.completed")).not_to_have_count(0)


def _object(explorer: Explorer) -> None:
    explorer.open("#/object/images/harbour.png")
    expect(explorer.page.get_by_role("img", name="Preview of harbour.png")).to_be_visible()
    expect(explorer.page.locator(".where .dot.completed")).to_have_count(2)


def _chosen(explorer: Explorer) -> None:
    """With what is chosen, and what a deletion leaves."""
    explorer.open("#/folder/looks/")
    explorer.row("deleted.txt").get_by_role("checkbox").check()
    explorer.page.get_by_role("group", name="With what is chosen").get_by_role("button", name="Delete").click()
    expect(explorer.page.get_by_role("button", name="Undo")).to_be_visible()
    explorer.row("kept.txt").get_by_role("checkbox").check()


def _dialog(explorer: Explorer) -> None:
    _files(explorer)
    explorer.row("harbour.png").get_by_role("checkbox").check()
    explorer.page.get_by_role("button", name="Copy link").click()
    expect(explorer.page.get_by_role("dialog")).to_contain_text("Works until")


def _health(explorer: Explorer) -> None:
    explorer.open("#/health")
    expect(explorer.page.locator(".word strong")).to_be_visible()
    expect(explorer.page.locator(".plot")).to_be_visible()


def _log(explorer: Explorer) -> None:
    explorer.open("#/log")
    expect(explorer.page.get_by_text("Asking…")).to_have_count(0)


def _drawer(explorer: Explorer) -> None:
    _files(explorer)
    explorer.world_drawer()


def _uploads(explorer: Explorer) -> None:
    """One done, and one whose name is taken."""
    explorer.open("#/folder/looks/")
    explorer.upload("kept.txt", "new ü.txt")
    expect(explorer.page.get_by_role("button", name="Overwrite: kept.txt")).to_be_visible()
    expect(explorer.page.get_by_text("In all 2 places")).to_be_visible()


VIEWS: tuple[View, ...] = (_files, _object, _chosen, _dialog, _health, _log, _drawer, _uploads)


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe.source(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def looks(world: World, eu: "S3Client") -> None:
    eu.delete_object(Bucket=world.buckets["eu-west-2"], Key="looks/new ü.txt")
    for name in ("kept.txt", "deleted.txt"):
        eu.put_object(Bucket=world.buckets["eu-west-2"], Key=f"looks/{name}", Body=b"x", ContentType="text/plain")
    world.settle()


@pytest.mark.usefixtures("looks", "forgotten")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1440])
def test_every_view_is_accessible_and_fits(explorer: Explorer, script: str, width: int, scheme: str) -> None:
    page = explorer.page
    page.set_viewport_size({"width": width, "height": 900 if width > 500 else 640})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of its literals
    wrong: list[str] = []
    for view in VIEWS:
        view(explorer)
        name = view.__name__.strip("_")
        explorer.shot(f"page-{name}-{width}-{scheme}")
        wrong += [f"{name}: {each}" for each in axe.violations(page, script)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{name}: it scrolls sideways")
    assert wrong == []
    assert explorer.errors == []


def test_a_folder_is_light_and_quiet(explorer: Explorer) -> None:
    page = explorer.page
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    _files(explorer)
    page.wait_for_load_state("networkidle")
    own = {answer.url.removeprefix(explorer.url): answer for answer in answers if answer.url.startswith(explorer.url)}
    sizes = {name: len(answer.body()) for name, answer in own.items()}
    assert {"", "app.js", "app.css", "config.json", "listing.js"} <= set(sizes)
    assert sum(sizes.values()) < MOST_BYTES, sizes
    assert {answer.status for answer in answers} == {200}
    origin = explorer.url.removesuffix("/app/")
    assert {answer.url.removeprefix(origin)[:1] for answer in answers} == {"/"}, "something of another origin"
    assert explorer.errors == []


def test_the_policy_is_strict_and_the_browser_keeps_to_it(explorer: Explorer) -> None:
    policy = get(explorer.url).headers["content-security-policy"]
    rules = {name: values for name, *values in (rule.split() for rule in policy.split(";"))}
    assert (rules["default-src"], rules["script-src"], rules["style-src"]) == (["'none'"], ["'self'"], ["'self'"])
    assert (rules["base-uri"], rules["form-action"], rules["frame-ancestors"]) == (["'none'"],) * 3
    allowed = [value for values in rules.values() for value in values]
    assert [value for value in allowed if "unsafe" in value or "*" in value or value in ("http:", "https:")] == []
    text = get(explorer.url).body.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son[a-z]+=|javascript:", text)
    _files(explorer)
    assert explorer.errors == []
    explorer.page.evaluate(
        "() => { const at = document.createElement('div'); document.body.append(at);"
        ' at.innerHTML = \'<img src=x onerror="window.__pwned = 1"><p style="color: red">\'; }'
    )
    expect(explorer.page.locator("body > div > img")).to_have_count(1)
    explorer.page.wait_for_load_state("networkidle")
    said = " ".join(explorer.errors)
    assert "CSP: script-src-attr inline" in said
    assert "CSP: style-src-attr inline" in said
    assert explorer.page.evaluate("window.__pwned") is None


def _ground(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_the_colours_follow_the_system_or_the_switch_which_is_kept(explorer: Explorer, context: BrowserContext) -> None:
    page = explorer.page
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    explorer.open()
    assert _ground(page) == DARK
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    assert _ground(page) == LIGHT
    page.get_by_role("button", name="Colours: as the system").click()
    page.get_by_role("button", name="Colours: light").click()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert _ground(page) == DARK
    explorer.open()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert _ground(page) == DARK
    page.get_by_role("button", name="Colours: dark").click()
    assert _ground(page) == LIGHT
    assert explorer.errors == []


def test_the_gallery_shows_every_picture_of_its_folder(world: World, tab: Tab, script: str) -> None:
    page = tab.page
    page.goto(f"{world.api_url}/app/gallery/")
    pictures = page.locator("#pictures img")
    expect(pictures).to_have_count(3)
    for picture in pictures.all():
        picture.evaluate("async image => { image.loading = 'eager'; await image.decode(); }")
        assert picture.evaluate("image => image.naturalWidth") > 0
    expect(page.get_by_role("status")).to_have_text("3 of 3 pictures of images/, from the nearest region.")
    assert axe.violations(page, script) == []
    tab.shot("gallery")
    page.goto(f"{world.api_url}/app/gallery/?folder=docs/")
    expect(page.get_by_role("status")).to_have_text("There are no pictures in docs/.")
    assert tab.errors == []

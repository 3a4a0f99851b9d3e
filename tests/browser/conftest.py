"""A real browser: Debian's Chromium driven by Playwright; every page's console and network errors are kept."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from local.world import World
from tests.integration.http_client import get, send

SCREENSHOTS = Path(__file__).parent / "screenshots"  # ignored by git, kept for looking at

expect.set_options(timeout=15_000)  # a machine with much else to do is not a failure

# What the page may not do is said in the console by Chromium itself; this says it in words of our own beside that.
_LISTEN = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} ${event.blockedURI}`));
"""


@dataclass
class Tab:
    """A page, and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def shot(self, name: str) -> None:
        """Keep a picture of the page."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@dataclass
class Explorer(Tab):
    """A tab with the explorer page in it."""

    url: str = ""

    def open(self, fragment: str = "#/folder/") -> None:
        """Go there anew, until the view is."""
        self.page.goto("about:blank")  # a new fragment alone loads nothing
        self.page.goto(f"{self.url}{fragment}")
        self.page.locator("main > div").wait_for()

    def row(self, name: str) -> Locator:
        """The row with exactly this name."""
        return self.page.locator(".rows .row").filter(has=self.page.get_by_role("link", name=name, exact=True))

    def dots(self, name: str, state: str) -> Locator:
        """The dots of a row that are in this state."""
        return self.row(name).locator(f".dot.{state}")

    def upload(self, *files: str | Path | dict[str, object], button: str = "Upload files") -> None:
        """Choose these, or texts by these names, where the page's button asks for files."""
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name=button).click()
        chosen = [
            {"name": file, "mimeType": "text/plain", "buffer": f"this is {file}".encode()}
            if isinstance(file, str)
            else file
            for file in files
        ]
        chooser.value.set_files(chosen)  # type: ignore[arg-type]  # a mixture of what it takes

    def world_drawer(self) -> Locator:
        """The world's controls, opened."""
        self.page.get_by_role("button", name="World", exact=False).click()
        drawer = self.page.locator("#world")
        drawer.get_by_role("switch").first.wait_for()
        return drawer


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile of its own, with nothing in it."""
    opened = browser.new_context(viewport={"width": 1000, "height": 800})
    opened.add_init_script(_LISTEN)
    # Playwright intercepts choosers from here on, and not only while a key or a click is on its way.
    opened.on("page", lambda page: page.on("filechooser", lambda _: None))
    yield opened
    opened.close()


@pytest.fixture
def tab(context: BrowserContext) -> Tab:
    return Tab(context.new_page())


@pytest.fixture
def explorer(context: BrowserContext, world: World) -> Iterator[Explorer]:
    """The explorer page of the world, not opened yet; no upload of another test is left unfinished in it."""
    for upload in get(f"{world.api_url}/uploads").json["uploads"]:
        assert send("DELETE", f"{world.api_url}/uploads/{upload['id']}").status == 200
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")
    yield Explorer(page, url=f"{world.api_url}/app/")
    page.close()

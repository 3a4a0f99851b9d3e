"""The page as AWS serves it: at an origin that is not the API's, with the headers of stacks/page.yaml and its files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from deploy import page_files
from deploy.settings import parse
from local.intrinsics import Resolver, load_yaml
from local.world import World
from tests.browser.conftest import Explorer
from tests.contract.source_tree import ROOT

TEMPLATE = load_yaml((ROOT / "stacks" / "page.yaml").read_text())
SETTINGS = {
    "regions": [{"region": "eu-west-2", "bucket": "acme-eu"}],
    "api": {"issuer": "https://login.example.com"},
    "page": {"enabled": True, "client_id": "page", "title": "Pictures of ours"},
}


def headers(world: World) -> dict[str, str]:
    """What the template's policy adds to an answer, when this world's addresses are the deployment's."""
    given = {
        "ApiOrigin": world.api_url,
        "ObjectOrigins": ",".join([*world.place_urls.values(), world.mrap_url]),
        "MoreOrigins": "",
    }
    resource = TEMPLATE["Resources"]["PageHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    found = Resolver(TEMPLATE, given, "eu-west-2").resolve(resource)
    security = found["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    others = {each["Header"]: each["Value"] for each in found["CustomHeadersConfig"]["Items"]}
    return {"Content-Security-Policy": security, "X-Content-Type-Options": "nosniff", **others}


@contextmanager
def served(files: dict[str, bytes], added: dict[str, str]) -> Iterator[str]:
    """A distribution of these files at an origin of its own."""

    class Distribution(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].removeprefix("/app/")
            name += "index.html" * (not name or name.endswith("/"))
            body = files.get(name)
            self.send_response(404 if body is None else 200)
            if body is not None:
                self.send_header("Content-Type", page_files.TYPES[Path(name).suffix])
            for each in added.items():
                self.send_header(*each)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Distribution)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def there(context: BrowserContext, world: World) -> Iterator[Explorer]:
    """The page at its distribution. Nobody has to sign in: the world's API asks for nothing."""
    config = page_files.config(parse(SETTINGS, ROOT), world.api_url) | {"auth": {"mode": "none"}}
    files = {**page_files.read(ROOT), "config.json": json.dumps(config).encode()}
    with served(files, headers(world)) as origin:
        yield Explorer(context.new_page(), url=f"{origin}/app/")


def test_it_lists_shows_and_uploads_from_there_under_its_policy(there: Explorer) -> None:
    there.open("#/folder/")
    expect(there.page.get_by_text("Pictures of ours").first).to_be_visible()
    expect(there.row("images/")).to_be_visible()
    there.open("#/object/images/harbour.png")
    picture = there.page.locator(".look img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    there.open("#/folder/in-aws/")
    there.upload("hello.txt")
    expect(there.dots("hello.txt", "completed")).to_have_count(2)
    there.row("hello.txt").get_by_role("link").click()
    expect(there.page.locator(".look")).to_contain_text("this is hello.txt")
    there.shot("page-in-aws")
    assert [each for each in there.errors if "404" not in each] == []

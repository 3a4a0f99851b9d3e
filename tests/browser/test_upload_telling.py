"""What the upload panel tells while the API answers late, of something else, or not at all."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from local.world import World
from tests.browser.conftest import Tab
from tests.browser.test_upload_engine import _add, _done, _open, _row
from tests.integration.http_client import get, send

OBJECTS, UPLOADS = "**/replication/objects", "**/uploads/*"


@pytest.fixture(autouse=True)
def _nothing_unfinished(world: World) -> Iterator[None]:
    """What a test leaves unfinished is not shown in the next."""
    yield
    for upload in get(f"{world.api_url}/uploads").json["uploads"]:
        send("DELETE", f"{world.api_url}/uploads/{upload['id']}")


def _begun(world: World, key: str) -> Any:
    body = json.dumps({"key": key, "size": 20 * 1024**2}).encode()
    return send("POST", f"{world.api_url}/uploads", body, {"content-type": "application/json"}).json


def _names(page: Page) -> list[str]:
    names: list[str] = page.evaluate("window.uploads.all.map(({ key }) => key)")
    return sorted(names)


def test_the_dots_of_what_was_overwritten_are_not_taken_for_the_new_ones(world: World, tab: Tab) -> None:
    page = tab.page
    _open(page, world)
    _add(page, ("twice.txt", "one"))
    expect(_row(page, "twice.txt")).to_contain_text("In all 2 places")
    known = page.evaluate("uploads.client.replicationObjects(['engine/twice.txt'])")
    page.evaluate("window.uploads.clear()")
    asked: list[Route] = []

    def late(route: Route) -> None:
        """The catalog has not heard of the new version."""
        asked.append(route)
        route.fulfill(json=known)

    page.route(OBJECTS, late)
    _add(page, ("twice.txt", "two"))
    page.get_by_role("button", name="Overwrite: twice.txt").click()
    _done(page, 1)
    before = len(asked)
    while len(asked) < before + 2:
        page.wait_for_event("response", lambda answer: answer.url.endswith("/replication/objects"))
    expect(_row(page, "twice.txt")).to_contain_text("Uploaded, 3 B")
    page.unroute(OBJECTS)
    expect(_row(page, "twice.txt")).to_contain_text("In all 2 places")


def test_what_cannot_be_discarded_says_why_and_can_be_later(world: World, tab: Tab) -> None:
    upload, page = _begun(world, "engine/left.bin"), tab.page
    _open(page, world)
    refusal = {"error": "EndpointUnreachable", "message": "eu-west-2 cannot be reached"}
    page.route(UPLOADS, lambda route: route.fulfill(status=500, json=refusal))
    discard = page.get_by_role("button", name="Discard: left.bin")
    discard.click()
    expect(_row(page, "left.bin")).to_contain_text("cannot be reached. A region does not answer")
    page.unroute(UPLOADS)
    discard.click()
    expect(_row(page, "left.bin")).to_have_count(0)
    assert get(f"{world.api_url}/uploads/{upload['id']}").status == 404


def test_what_is_not_there_any_more_is_not_offered_and_what_nobody_can_tell_is_not_told(world: World, tab: Tab) -> None:
    gone, left = (_begun(world, f"engine/{name}.bin")["id"] for name in ("gone", "left"))
    missing = {"error": "NoSuchUpload", "message": "there is no such upload any more"}
    away = {"error": "EndpointUnreachable", "message": "eu-west-2 cannot be reached"}
    page = tab.page

    def answer(route: Route) -> None:
        if route.request.url.endswith(gone):
            route.fulfill(status=404, json=missing)
        elif route.request.url.endswith(left):
            route.fulfill(status=500, json=away)

    page.route(UPLOADS, answer)
    _open(page, world)
    expect(_row(page, "left.bin")).to_contain_text("cannot be reached")
    expect(_row(page, "left.bin")).not_to_contain_text("is there")
    expect(_row(page, "gone.bin")).to_have_count(0)


def test_of_many_files_the_first_go_before_the_last_are_looked_up(world: World, tab: Tab) -> None:
    page = tab.page
    _open(page, world)
    held: list[Route] = []

    def hold(route: Route) -> None:
        """The second hundred waits."""
        if "many-100.txt" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route(OBJECTS, hold)
    js = "() => { window.panel.add(Array.from({ length: 101 }, (_, n) => new File(['x'], `many-${n}.txt`))); }"
    page.evaluate(js)
    _done(page, 100)
    assert len(held) >= 1
    for route in held:
        route.continue_()
    page.unroute(OBJECTS)
    _done(page, 101)


def test_two_files_of_one_name_are_kept_under_two_names(world: World, tab: Tab) -> None:
    page = tab.page
    _open(page, world)
    _add(page, ("both.txt", "one"))
    _done(page, 1)
    _add(page, ("both.txt", "two"), ("both.txt", "three"))
    page.get_by_role("button", name="Keep both of each").click()
    _done(page, 3)
    assert _names(page) == [f"engine/both{number}.txt" for number in (" (2)", " (3)", "")]

"""The explorer's routes from event to answer, with a fake bucket."""

from typing import Any

import pytest

from nearside import openapi
from nearside.errors import Missing, Refused, Unreachable
from nearside.listing import Cursors, Explorer
from nearside.places import Place
from tests.unit import functions
from tests.unit.fakes import NEWEST, SILENT, FakeReplicas
from tests.unit.test_listing import FakeLevels

explorer = functions.load("explorer", AUTH_MODE="none")
guarded = functions.load("explorer")


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> FakeLevels:
    fake = FakeLevels(["readme.txt", "users/alice/a", "users/bob/b"])
    for module in (explorer, guarded):
        settings = module._settings
        made = Explorer(settings.places, settings.home, fake, settings.policy, Cursors(b"0123456789abcdef"))
        monkeypatch.setattr(module, "_explorer", lambda made=made: made)
    return fake


def listed(module: Any, path: str = "", **query: str) -> tuple[int, Any]:
    event = functions.event(
        "explorer/list-folder" if path else "explorer/list-root", queryStringParameters=query or None
    )
    if path:
        event["pathParameters"] = {"path": path}
    return functions.answer(module, event)


def test_a_listing_is_names_under_content_and_nothing_else(levels: FakeLevels) -> None:
    assert listed(explorer) == (200, {"content": ["readme.txt", "users/"]})
    assert listed(explorer, "users") == (200, {"content": ["alice/", "bob/"]})
    assert listed(explorer, "readme.txt") == (200, {"content": ["readme.txt"]})


def test_a_missing_path_is_the_shape_that_was_promised(levels: FakeLevels) -> None:
    assert listed(explorer, "demo") == (404, {"error": "Path 'demo' does not exist in the bucket"})


def test_a_page_has_a_cursor_that_leads_on(levels: FakeLevels) -> None:
    status, first = listed(explorer, limit="1")
    assert (status, first["content"]) == (200, ["readme.txt"])
    assert listed(explorer, limit="1", cursor=first["cursor"]) == (200, {"content": ["users/"]})


def test_details_of_an_object(levels: FakeLevels) -> None:
    status, answer = listed(explorer, details="true")
    assert status == 200
    assert answer["content"] == [
        {
            "name": "readme.txt",
            "type": "object",
            "size": 10,
            "etag": "ereadme.txt",
            "last_modified": "2026-11-21T12:00:00Z",
            "storage_class": "STANDARD",
        },
        {"name": "users/", "type": "folder"},
    ]


@pytest.mark.parametrize(
    ("query", "words"), [({"limit": "0"}, "limit is '0'"), ({"cursor": "x"}, "cursor"), ({"sort": "a"}, "`sort`")]
)
def test_a_bad_query_is_400(levels: FakeLevels, query: dict[str, str], words: str) -> None:
    status, error = listed(explorer, **query)
    assert status == 400
    assert words in error["message"]


def test_the_claims_of_the_token_decide_what_is_listed(levels: FakeLevels) -> None:
    assert listed(guarded, "users/alice") == (200, {"content": ["a"]})
    for path in ("", "users", "users/bob"):
        status, error = listed(guarded, path)
        assert (status, error["error"]) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("error", "status"), [(Unreachable("eu-west-2 is down"), 500), (Refused("no"), 403), (Missing("no bucket"), 404)]
)
def test_trouble_with_the_place_is_told(
    error: Exception, status: int, levels: FakeLevels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeLevels, place: Place, prefix: str, limit: int, token: str | None) -> None:
        raise error

    monkeypatch.setattr(FakeLevels, "__call__", fail)
    assert listed(explorer)[0] == status
    assert listed(explorer)[1]["message"] == str(error)


def test_the_root_names_every_route() -> None:
    status, answer = functions.answer(explorer, functions.event("explorer/root"))
    assert status == 200
    assert answer == {"endpoints": [route.key.replace("+}", "}") for route in openapi.ROUTES]}


def test_health_is_200_and_tells_each_place(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeReplicas({"": {"eu-west-2": NEWEST, "us-east-2": SILENT}})
    monkeypatch.setattr(explorer, "_heads", lambda: fake)
    status, answer = functions.answer(explorer, functions.event("explorer/health"))
    places = {"eu-west-2": "up", "us-east-2": "did not answer within 3 s"}
    assert (status, answer) == (200, {"status": "degraded", "places": places})


def test_the_document_that_is_served_has_the_security_of_this_api() -> None:
    for module, security in ((explorer, None), (guarded, [{"jwt": []}])):
        status, served = functions.answer(module, functions.event("explorer/openapi"))
        assert (status, served.get("security")) == (200, security)


def test_docs_is_a_page_that_may_load_nothing() -> None:
    got = explorer.handler(functions.event("explorer/docs"), None)
    assert (got["statusCode"], got["headers"]["content-type"]) == (200, "text/html; charset=utf-8")
    assert got["headers"]["content-security-policy"].startswith("default-src 'none'")
    assert got["body"].startswith("<!doctype html>")

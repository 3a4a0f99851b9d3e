"""The explorer's routes from event to answer, with a fake bucket."""

import json
from pathlib import Path
from typing import Any

import pytest

from nearside import openapi
from nearside.caching.errors import MissingObject
from nearside.entity_tags import entity_tag
from nearside.errors import Missing, Refused, Unreachable
from nearside.json_objects import JsonObjects
from nearside.listing import Cursors, Explorer
from nearside.places import Place
from nearside.web import MAX_ANSWER_BYTES
from tests.unit import functions
from tests.unit.fakes import NEWEST, SILENT, FakeReplicas
from tests.unit.test_json_objects import FakeFile, FakeFiles
from tests.unit.test_listing import FakeLevels

explorer = functions.load("explorer", AUTH_MODE="none")
guarded = functions.load("explorer")


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> FakeLevels:
    fake = FakeLevels(["readme.txt", "users/alice/a", "users/bob/b"])
    for module in (explorer, guarded, kept):
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


kept = functions.load("explorer", LISTING_MAX_AGE="60")


def asked_listing(module: Any, path: str, if_none_match: str = "", **query: str) -> dict[str, Any]:
    event = functions.event("explorer/list-folder", pathParameters={"path": path}, queryStringParameters=query or None)
    event["headers"] |= {"if-none-match": if_none_match} if if_none_match else {}
    answer: dict[str, Any] = module.handler(event, None)
    return answer


def test_a_listing_has_the_tag_of_its_bytes_and_may_not_be_kept_unless_it_was_chosen(levels: FakeLevels) -> None:
    got = asked_listing(guarded, "users/alice")
    assert got["headers"] == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "etag": entity_tag(got["body"].encode()),
    }


def test_a_listing_may_be_kept_by_the_caller_alone(levels: FakeLevels) -> None:
    headers = asked_listing(kept, "users/alice")["headers"]
    assert headers["cache-control"] == "private, max-age=60"
    assert headers["vary"] == "Authorization, Origin"


@pytest.mark.parametrize("module", [guarded, kept])
@pytest.mark.parametrize("query", [{}, {"details": "true"}, {"limit": "1"}])
def test_a_listing_that_the_caller_has_is_304_without_a_body(
    levels: FakeLevels, module: Any, query: dict[str, str]
) -> None:
    levels.keys = [*levels.keys, "users/alice/b"]
    first = asked_listing(module, "users/alice", **query)
    for known in (first["headers"]["etag"], f'"x", W/{first["headers"]["etag"]}', "*"):
        again = asked_listing(module, "users/alice", known, **query)
        assert (again["statusCode"], again["body"], again["headers"]) == (304, "", first["headers"])
    other = asked_listing(module, "users/alice", '"x"', **query)
    assert (other["statusCode"], other["body"]) == (200, first["body"])


def test_each_shape_and_each_page_of_a_listing_has_a_tag_of_its_own(levels: FakeLevels) -> None:
    first = asked_listing(explorer, "users", limit="1")
    cursor = json.loads(first["body"])["cursor"]
    shapes = [{}, {"details": "true"}, {"limit": "1", "cursor": cursor}]
    tags = {asked_listing(explorer, "users", **shape)["headers"]["etag"] for shape in shapes}
    assert len({*tags, first["headers"]["etag"]}) == 4


def test_a_listing_that_changed_has_another_tag(levels: FakeLevels) -> None:
    before = asked_listing(kept, "users/alice")["headers"]["etag"]
    levels.keys = [*levels.keys, "users/alice/b"]
    assert asked_listing(kept, "users/alice", before)["statusCode"] == 200


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [("users/bob", {}, 403), ("users/alice/z", {}, 404), ("users/alice", {"limit": "0"}, 400)],
)
def test_a_refusal_is_never_304_and_never_kept(
    levels: FakeLevels, path: str, query: dict[str, str], status: int
) -> None:
    got = asked_listing(kept, path, "*", **query)
    assert (got["statusCode"], got["headers"]["cache-control"]) == (status, "no-store")
    assert not {"etag", "vary"} & got["headers"].keys()


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


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeFiles:
    (tmp_path / "a").write_bytes(b'{"name": "Al\xc3\xad"}')
    fake = FakeFiles(FakeFile(tmp_path / "a", downloaded=False))
    for module in (explorer, guarded):
        made = JsonObjects("nearside-eu-west-2", fake, module._settings.policy, MAX_ANSWER_BYTES)
        monkeypatch.setattr(module, "_json_objects", lambda made=made: made)
    return fake


def asked_json(module: Any, path: str, query: dict[str, str] | None = None, **headers: str) -> dict[str, Any]:
    event = functions.event("explorer/json", pathParameters={"path": path}, queryStringParameters=query)
    event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
    answer: dict[str, Any] = module.handler(event, None)
    return answer


def test_json_is_answered_with_its_version_and_may_be_kept_for_the_caller(files: FakeFiles) -> None:
    got = asked_json(guarded, "users/alice/a", {"version_id": "v1"})
    assert (got["statusCode"], got["body"]) == (200, '{"name": "Alí"}')
    assert got["headers"] == {
        "content-type": "application/json",
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "x-cache": "hit",
        "etag": '"e1"',
        "x-amz-version-id": "v1",
    }
    assert files.asked == [("s3://nearside-eu-west-2/users/alice/a", "v1", MAX_ANSWER_BYTES)]


def test_json_that_the_caller_has_is_304_without_a_body(files: FakeFiles) -> None:
    got = asked_json(guarded, "users/alice/a", If_None_Match='W/"e1"')
    assert (got["statusCode"], got["body"], got["headers"]["etag"]) == (304, "", '"e1"')
    assert asked_json(guarded, "users/alice/a", If_None_Match='"e2"')["statusCode"] == 200


def test_json_is_refused_and_never_missing_where_the_caller_may_not_read(files: FakeFiles) -> None:
    files.file = MissingObject("nothing there")
    refused = asked_json(guarded, "users/bob/a", If_None_Match="*")
    assert (refused["statusCode"], json.loads(refused["body"])["error"]) == (403, "AccessDenied")
    assert files.asked == []
    missing = asked_json(guarded, "users/alice/a", If_None_Match="*")
    assert (missing["statusCode"], json.loads(missing["body"])["error"]) == (404, "NoSuchKey")


@pytest.mark.parametrize("query", [{"version_id": ""}, {"version_id": "\n"}, {"versionId": "v1"}])
def test_a_bad_query_of_json_is_400(files: FakeFiles, query: dict[str, str]) -> None:
    got = asked_json(explorer, "users/alice/a", query)
    assert (got["statusCode"], json.loads(got["body"])["error"]) == (400, "InvalidRequest")
    assert files.asked == []


def test_json_that_grows_over_lambdas_answer_is_413(files: FakeFiles) -> None:
    assert isinstance(files.file, FakeFile)
    files.file.path.write_text(json.dumps(['"'] * 1_000_000))  # 6 MB as they are, 11 MB with every quote escaped
    got = asked_json(explorer, "users/alice/a")
    assert (got["statusCode"], json.loads(got["body"])["error"]) == (413, "AnswerTooLarge")
    assert got["headers"]["cache-control"] == "no-store"


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

"""`functions/uploads`: every recorded event is answered in shape, whatever S3 and the ledger do."""

import json
import time
from types import ModuleType
from typing import Any

import pytest

from nearside.errors import Unreachable
from tests.unit import functions
from tests.unit.uploads_memory import EU, US, MemoryLedger, MemoryS3

POLICY = '[{"claim": "sub", "prefixes": ["users/alice/"], "actions": ["write"]}]'
UNKNOWN = [path.stem for path in sorted((functions.ROOT / "events" / "uploads").glob("*-unknown.json"))]


@pytest.fixture
def handler() -> ModuleType:
    """The function with two regions in memory, and no gateway."""
    module = functions.load("uploads", TABLE="nearside", ACCESS_POLICY=POLICY)
    for each in (module._parts, module._regions):
        each._s3, each._ledger = MemoryS3(), MemoryLedger()
    module._parts._s3, module._parts._ledger = module._regions._s3, module._regions._ledger
    return module


def asked(handler: ModuleType, name: str, body: Any = None, **changed: Any) -> tuple[int, Any]:
    return functions.answer(handler, functions.event(f"uploads/{name}", body and json.dumps(body), **changed))


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_was_not_begun_is_unknown(handler: ModuleType, name: str) -> None:
    status, answer = asked(handler, name)
    assert (status, answer["error"]) == (404, "NoSuchUpload")


def test_there_is_an_unknown_one_for_each_route_with_an_id() -> None:
    assert len(UNKNOWN) == 8


def test_an_upload_by_its_routes(handler: ModuleType) -> None:
    status, begun = asked(handler, "begin-region", headers={"CloudFront-Viewer-Country": "US"})
    assert (status, begun["place"], begun["parts"]) == (200, US.name, 3)
    assert "url" not in begun
    path = {"pathParameters": {"id": begun["id"]}}
    listed = asked(handler, "list")[1]["uploads"]
    assert [(each["id"], each["begun_at"][-1]) for each in listed] == [(begun["id"], "Z")]
    status, missing = asked(handler, "parts-unknown", **path)
    assert (status, missing["message"]) == (
        400,
        "sha256 has none for part 1: give it, or begin the upload with checksums=false",
    )
    assert asked(handler, "show-unknown", **path)[1]["done"] == []
    status, refused = asked(handler, "complete-unknown", **path)
    assert (status, refused["message"]) == (400, "part 1 was not uploaded")
    assert asked(handler, "abort-unknown", **path)[0] == 200
    assert asked(handler, "list")[1] == {"uploads": []}


def test_a_small_one_is_one_put(handler: ModuleType) -> None:
    status, begun = asked(handler, "begin-single")
    assert (status, begun["kind"], begun["headers"]) == (200, "single", {"content-type": "text/plain"})


def test_uppys_upload_by_its_routes(handler: ModuleType) -> None:
    status, made = asked(handler, "uppy-create")
    assert (status, made["key"]) == (200, "users/alice/film.mp4")
    path = {"pathParameters": {"id": made["uploadId"], "number": "1"}}
    assert asked(handler, "uppy-part-unknown", **path)[1]["url"].startswith("https://nearside-eu-west-2.s3.")
    [upload] = handler._regions._s3.uploads[EU.name]
    tag = handler._regions._s3.put(EU, upload, 1, b"x")
    assert asked(handler, "uppy-parts-unknown", **path)[1] == [{"PartNumber": 1, "Size": 1, "ETag": tag.strip('"')}]
    status, done = asked(handler, "uppy-complete-unknown", {"parts": [{"PartNumber": 1, "ETag": tag}]}, **path)
    assert (status, sorted(done)) == (200, ["bucket", "key", "location"])
    status, refused = asked(handler, "uppy-abort-unknown", **path)
    assert (status, refused["message"]) == (404, "it is complete, so there is nothing to end: delete the object")


@pytest.mark.parametrize("name", ["uppy-params", "uppy-sign"])
def test_uppys_signatures(handler: ModuleType, name: str) -> None:
    assert asked(handler, name)[0] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"key": "", "size": 1}, "key"),
        ({"key": "k", "size": -1}, "size is -1"),
        ({"key": "k", "size": 5 * 1024**4 + 1}, "size is 5497558138881"),
        ({"key": "k"}, "size"),
        ({"key": "k", "size": 1, "sha256": "x"}, "sha256"),
        ({"key": "k", "size": 1, "if_none_match": "etag"}, "if_none_match"),
        ({"key": "é" * 513, "size": 1}, "1026 bytes"),
        ({"key": "k", "size": 1, "metadata": {}}, "metadata"),
        ({"key": "k", "size": 1, "bucket": "photos"}, "there is no gateway here"),
    ],
)
def test_a_body_that_is_wrong_is_said_to_be(handler: ModuleType, body: dict[str, Any], words: str) -> None:
    status, answer = asked(handler, "begin-region", body)
    assert (status, answer["error"]) == (400, "InvalidRequest")
    assert words in answer["message"]


def test_a_token_of_somebody_else_writes_nowhere(handler: ModuleType) -> None:
    status, answer = asked(handler, "begin-region", {"key": "users/bob/a", "size": 1})
    assert (status, answer["message"]) == (403, "operator may not write 'users/bob/a'")


def test_the_schedule_ends_what_is_old_and_says_what_it_could_not(
    handler: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    handler._regions._s3.now = time.time()
    asked(handler, "begin-region")
    event = functions.event("uploads/scheduled")
    regions = {EU.name: 0, US.name: 0}
    assert handler.handler(event, None) == {"ended": regions, "lost": []}
    handler._regions._s3.down[US.name] = Unreachable("us-east-2 cannot be reached")
    assert handler.handler(event, None)["lost"] == ["us-east-2: us-east-2 cannot be reached"]
    assert "us-east-2 cannot be reached" in caplog.text

"""Every function answers every event of events/ in a real container."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from local import ROOT
from local.world import World
from tests.sam.containers import Answer, Sam

EVENTS = sorted((ROOT / "events").glob("*/*.json"))
SAMPLE = "images/sunrise.png"


def _fetch(presigned: dict[str, Any]) -> urllib3.BaseHTTPResponse:
    return urllib3.request(presigned["method"], presigned["url"], headers=presigned["headers"], retries=False)


def presign_get(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["route"] == "mrap"
    response = _fetch(answer.json)
    assert (response.status, response.headers["content-type"]) == (200, "image/png")
    assert response.data.startswith(b"\x89PNG")


def presign_head(answer: Answer, world: World) -> None:
    assert answer.status == 200
    response = _fetch(answer.json)
    assert (response.status, response.data) == (200, b"")
    assert int(response.headers["content-length"]) > 0


def presign_put(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["headers"] == {"content-type": "text/plain"}
    done = urllib3.request("PUT", answer.json["url"], body=b"hello", headers=answer.json["headers"], retries=False)
    assert done.status == 200
    # Another type is not what was signed.
    wrong = urllib3.request(
        "PUT", answer.json["url"], body=b"hello", headers={"content-type": "text/html"}, retries=False
    )
    assert wrong.status == 403


def presign_delete(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert _fetch(answer.json).status == 204


def presign_batch(answer: Answer, world: World) -> None:
    assert answer.status == 200
    found, missing, bad, upload = answer.json["items"]
    assert _fetch(found).status == 200
    assert (missing["error"], missing["status"]) == ("NoSuchKey", 404)
    assert (bad["error"], bad["status"]) == ("InvalidRequest", 400)
    assert "items[2].expires_in is 700000" in bad["message"]
    assert urlsplit(upload["url"]).path.endswith("/users/alice/a.bin")


def presign_missing(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (404, "NoSuchKey")
    assert "images/no-such-picture.png" in answer.json["message"]


def presign_bad_body(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (400, "InvalidRequest")
    assert "is not JSON" in answer.json["message"]


def presign_refused(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (403, "AccessDenied")
    assert answer.json["message"] == "alice may not write 'users/bob/notes.txt'"


def explorer_root(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert {"GET /health", "POST /presign"} <= set(answer.json["endpoints"])


def explorer_health(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json == {"status": "healthy", "places": {"eu-west-2": "up", "us-east-2": "up"}}


def explorer_list_root(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json == {"content": ["docs/", "images/", "users/"]}


def explorer_list_folder(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json == {"content": ["harbour.png", "sunrise.png", "thumbnails/", "two regions.svg"]}


def explorer_list_details(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert [entry["name"] for entry in answer.json["content"]] == ["harbour.png", "sunrise.png"]
    assert all(entry["size"] > 0 and entry["storage_class"] == "STANDARD" for entry in answer.json["content"])
    assert answer.json["cursor"]


def explorer_list_missing(answer: Answer, world: World) -> None:
    assert answer.status == 404
    assert answer.json == {"error": "Path 'demo' does not exist in the bucket"}


def explorer_openapi(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.1")
    assert "post" in answer.json["paths"]["/presign"]


def explorer_docs(answer: Answer, world: World) -> None:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/list-bucket-content/{path}" in answer.body


EXPECTED: dict[str, Callable[[Answer, World], None]] = {
    "explorer/docs": explorer_docs,
    "explorer/health": explorer_health,
    "explorer/list-details": explorer_list_details,
    "explorer/list-folder": explorer_list_folder,
    "explorer/list-missing": explorer_list_missing,
    "explorer/list-root": explorer_list_root,
    "explorer/openapi": explorer_openapi,
    "explorer/root": explorer_root,
    "presign/bad-body": presign_bad_body,
    "presign/batch": presign_batch,
    "presign/delete": presign_delete,
    "presign/get": presign_get,
    "presign/head": presign_head,
    "presign/missing": presign_missing,
    "presign/put": presign_put,
    "presign/refused": presign_refused,
}


def _case(event: Path) -> str:
    return f"{event.parent.name}/{event.stem}"


def test_every_event_has_an_expected_answer_and_every_function_an_event() -> None:
    assert {_case(event) for event in EVENTS} == EXPECTED.keys()
    assert {event.parent.name for event in EVENTS} == {
        handler.parent.name for handler in (ROOT / "functions").glob("*/handler.py")
    }


@pytest.mark.parametrize("event", EVENTS, ids=_case)
def test_event(event: Path, sam: Sam, world: World) -> None:
    function = event.parent.name.title().replace("_", "") + "Function"
    EXPECTED[_case(event)](sam.invoke(function, event), world)

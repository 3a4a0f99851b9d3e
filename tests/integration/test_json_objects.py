"""`GET /json` through the API of the world: read once, asked for each time, from whichever place has it."""

import gzip
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from local.deployment import PRIMARY
from local.s3 import RegionalS3
from local.server import Request, Response
from local.world import World
from nearside.web import MAX_ANSWER_BYTES
from tests.integration.http_client import Answer, get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

EU, US = PRIMARY, "us-east-2"
HARD = ["a b", "a+b", "100%", "%41", "#", "~", "é日𝄞", "*'()!,;:@$&=", "a//b", "tab\there"]

type Ask = Callable[..., Answer]


@pytest.fixture
def asked(world: World) -> Ask:
    """Asks the API for the JSON at a key, encoded as a client encodes one."""

    def ask(key: str, query: str = "", **headers: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return get(f"{world.api_url}/json/{quote(key)}" + (f"?{query}" if query else ""), fields)

    return ask


@pytest.fixture
def put(world: World, client: Callable[..., "S3Client"]) -> Callable[..., str]:
    """Puts an object at a new key (or at `key`), in both regions; returns the key."""

    def write(body: bytes, *, key: str = "", region: str = EU, **more: Any) -> str:
        key = key or f"tests/{uuid.uuid4()}.json"
        client(region).put_object(Bucket=world.buckets[region], Key=key, Body=body, **more)
        world.settle()
        return key

    return write


@pytest.fixture
def heard(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The region and status of every request to a region's S3 from now on."""
    told: list[tuple[str, int]] = []
    serve = RegionalS3.__call__

    def listen(self: RegionalS3, request: Request) -> Response:
        response = serve(self, request)
        told.append((self.region, response.status))
        return response

    world.settle()
    monkeypatch.setattr(RegionalS3, "__call__", listen)
    return told


def test_json_is_sent_by_s3_once_and_asked_for_each_time(
    asked: Ask, put: Callable[..., str], heard: list[tuple[str, int]]
) -> None:
    key = put(b'{"name":\n "Al\xc3\xad"}')
    heard.clear()
    first = asked(key)
    assert (first.status, first.headers["content-type"]) == (200, "application/json")
    assert first.body == b'{"name":\n "Al\xc3\xad"}'
    assert (first.headers["x-cache"], first.headers["cache-control"]) == ("miss", "private, no-cache")
    assert heard == [(EU, 200)]
    again = asked(key)
    assert (again.status, again.body, again.headers["x-cache"]) == (200, first.body, "hit")
    assert (again.headers["etag"], again.headers["x-amz-version-id"]) == (
        first.headers["etag"],
        first.headers["x-amz-version-id"],
    )
    assert heard == [(EU, 200), (EU, 304)]


def test_a_new_version_is_answered_at_once(asked: Ask, put: Callable[..., str]) -> None:
    key = put(b'{"n": 1}')
    old = asked(key)
    put(b'{"n": 2}', key=key)
    new = asked(key, If_None_Match=old.headers["etag"])
    assert (new.status, new.json, new.headers["x-cache"]) == (200, {"n": 2}, "miss")
    former = asked(key, f"version_id={old.headers['x-amz-version-id']}")
    assert (former.json, former.headers["etag"]) == ({"n": 1}, old.headers["etag"])


def test_who_has_it_is_told_so_without_a_body(asked: Ask, put: Callable[..., str]) -> None:
    key = put(b"[1, 2]")
    tag = asked(key).headers["etag"]
    for same in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        unchanged = asked(key, If_None_Match=same)
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize("name", HARD)
def test_a_hard_key_is_a_path(asked: Ask, put: Callable[..., str], name: str) -> None:
    key = put(b'"here"', key=f"tests/{uuid.uuid4()}/{name}")
    answer = asked(key)
    assert (answer.status, answer.json) == (200, "here")


def test_the_next_place_answers_when_the_first_is_off(
    asked: Ask, put: Callable[..., str], world: World, heard: list[tuple[str, int]]
) -> None:
    key, other = put(b'{"n": 1}'), put(b'{"n": 2}')
    assert asked(key).headers["x-cache"] == "miss"
    world.switch(EU, on=False)
    heard.clear()
    assert (asked(key).json, asked(key).headers["x-cache"]) == ({"n": 1}, "hit")  # the other's copy validates it
    assert (asked(other).json, heard[-1]) == ({"n": 2}, (US, 200))
    world.switch(US, on=False)
    away = asked(key)
    assert (away.status, away.json["error"]) == (500, "EndpointUnreachable")  # and not stale
    assert "127.0.0.1" not in away.json["message"]


def test_each_region_asks_its_own_place_first(
    asked: Ask, put: Callable[..., str], world: World, heard: list[tuple[str, int]]
) -> None:
    key = put(b"{}")
    world.reload(AWS_REGION=US)
    heard.clear()
    assert [asked(key).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]
    assert heard == [(US, 200), (US, 304)]


def test_what_only_the_second_place_has_is_found_there(asked: Ask, world: World, us: "S3Client") -> None:
    world.set_lag(30)
    key = f"tests/{uuid.uuid4()}"
    us.put_object(Bucket=world.buckets[US], Key=key, Body=b"{}")
    assert asked(key).status == 200
    world.switch(EU, on=False)
    missing = asked(f"{key}x")
    assert (missing.status, missing.json["error"]) == (500, "EndpointUnreachable")  # the first may have it


def test_what_is_not_there_is_404_and_so_is_what_was_deleted(
    asked: Ask, put: Callable[..., str], world: World, eu: "S3Client"
) -> None:
    key = put(b"{}")
    assert asked(key).status == 200
    eu.delete_object(Bucket=world.buckets[EU], Key=key)
    world.settle()
    for gone in (key, "tests/never"):
        missing = asked(gone)
        assert (missing.status, missing.json) == (404, {"error": "NoSuchKey", "message": f"'{gone}' does not exist"})
    head = eu.list_object_versions(Bucket=world.buckets[EU], Prefix=key)["Versions"][0]
    assert asked(key, f"version_id={head['VersionId']}").json == {}
    unknown = asked(key, f"version_id={uuid.uuid4()}")
    assert unknown.status in (400, 404)


def test_prefixes_of_the_caller_and_refusals_of_s3(
    asked: Ask, put: Callable[..., str], world: World, heard: list[tuple[str, int]]
) -> None:
    key = put(b"{}")
    policy = json.dumps([{"claim": "sub", "prefixes": ["users/"], "actions": ["read"]}])
    world.reload(AUTH_MODE="jwt", ACCESS_POLICY=policy)
    heard.clear()
    assert asked(key).status == 401  # nobody vouches for a caller here
    assert heard == []
    world.reload(AWS_ACCESS_KEY_ID="AKIDOFNOBODY")
    refused = asked(key)
    assert (refused.status, refused.json) == (403, {"error": "AccessDenied", "message": f"S3 refused to read '{key}'"})


def test_what_is_too_large_is_refused_by_its_announced_size(asked: Ask, put: Callable[..., str]) -> None:
    key = put(b'"' + b"x" * MAX_ANSWER_BYTES + b'"')
    size = MAX_ANSWER_BYTES + 2
    refused = asked(key)
    assert (refused.status, refused.json["error"]) == (413, "AnswerTooLarge")
    assert f"{size} bytes" in refused.json["message"]
    assert str(MAX_ANSWER_BYTES) in refused.json["message"]
    fits = put(b'"' + b"x" * (MAX_ANSWER_BYTES - 10) + b'"')
    assert len(asked(fits).body) == MAX_ANSWER_BYTES - 8


@pytest.mark.parametrize("body", [b"hello", b"", b'{"a": NaN}', b"\xff", b"\x1f\x8bx"])
def test_what_is_no_json_is_400(asked: Ask, put: Callable[..., str], body: bytes) -> None:
    bad = asked(put(body))
    assert (bad.status, bad.json["error"]) == (400, "InvalidJSON")


def test_gzip_is_unpacked_whatever_its_headers_say(asked: Ask, put: Callable[..., str]) -> None:
    packed = gzip.compress(b'{"n": 1}')
    for more in ({"ContentEncoding": "gzip"}, {}):
        answer = asked(put(packed, **more))
        assert (answer.status, answer.body) == (200, b'{"n": 1}')
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("query", ["version_id=", "versionId=x", "place=mars"])
def test_a_bad_query_is_400(asked: Ask, query: str) -> None:
    bad = asked("users/alice/profile.json", query)
    assert (bad.status, bad.json["error"]) == (400, "InvalidRequest")


def test_who_asks_at_the_same_time_waits_for_one_download(
    asked: Ask, put: Callable[..., str], heard: list[tuple[str, int]]
) -> None:
    key = put(json.dumps(list(range(100_000))).encode())
    heard.clear()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(asked, [key] * 24))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    downloads = heard.count((EU, 200))
    assert downloads in (1, 2)  # who asks after S3 was asked is not content with an answer from before
    assert sorted(answer.headers["x-cache"] for answer in answers) == ["hit"] * (24 - downloads) + ["miss"] * downloads


def test_while_it_is_replaced_every_answer_is_one_whole_version(asked: Ask, put: Callable[..., str]) -> None:
    key = put(b"[0]")

    def read(turn: int) -> tuple[int, Any]:
        answer = asked(key)
        return answer.status, answer.json

    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(read, turn) for turn in range(60)]
        for n in range(1, 10):
            put(json.dumps([n] * 1_000 * n).encode(), key=key)
        seen = [each.result() for each in reads]
    assert {status for status, _ in seen} == {200}
    assert all(value == [value[0]] * max(1, 1_000 * value[0]) for _, value in seen)
    assert asked(key).json == [9] * 9_000

"""`POST /presign` through the API of the world: its URLs work where they should, and nowhere and never else."""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.identities import WORLD
from local.world import World
from nearside import signing
from tests.integration.http_client import Answer, send

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "eu-west-2", "us-east-2"
FROM = {EU: {"x-world-location": "eu"}, US: {"x-world-location": "us"}}
SAMPLE = "images/sunrise.png"

type Presign = Callable[..., Answer]


@pytest.fixture
def presign(world: World) -> Presign:
    """Asks the API; keyword arguments are the body."""

    def ask(**body: Any) -> Answer:
        return send("POST", f"{world.api_url}/presign", json.dumps(body).encode(), {"content-type": "application/json"})

    return ask


@pytest.fixture
def key() -> str:
    """A key of this test's own."""
    return f"tests/{uuid.uuid4()}.txt"


def use(presigned: Any, body: bytes = b"", place: str = EU, **headers: str) -> Answer:
    """What the URL answers to a client near `place` that sends what it was told to send."""
    return send(presigned["method"], presigned["url"], body, {**presigned["headers"], **FROM[place], **headers})


def upload(presign: Presign, world: World, key: str, body: bytes, **more: Any) -> str:
    """Puts by a presigned URL and waits until it is everywhere; returns the version."""
    asked = presign(key=key, method="PUT", **more)
    assert asked.status == 200, asked.body
    put = use(asked.json, body)
    assert put.status == 200, put.body
    world.settle()
    return put.headers["x-amz-version-id"]


@pytest.mark.parametrize("place", [EU, US])
def test_a_download_works_from_both_sides_by_one_url(presign: Presign, place: str) -> None:
    asked = presign(key=SAMPLE)
    assert (asked.status, asked.json["route"], asked.json["headers"]) == (200, "mrap", {})
    got = use(asked.json, place=place)
    assert (got.status, got.headers["content-type"]) == (200, "image/png")
    assert got.body.startswith(b"\x89PNG")


@pytest.mark.parametrize("near", [EU, US])
def test_an_upload_arrives_in_the_other_region(presign: Presign, world: World, key: str, near: str) -> None:
    world.set_lag(30)
    asked = presign(key=key, method="PUT", content_type="text/plain", cache_control="max-age=60")
    assert asked.json["route"] == "mrap"
    assert use(asked.json, b"hello", near).status == 200
    far = US if near == EU else EU
    pinned = {place: presign(key=key, place=place) for place in (near, far)}
    assert {place: answer.status for place, answer in pinned.items()} == {near: 200, far: 404}
    world.set_lag(0)
    world.settle()
    got = use(presign(key=key, place=far).json)
    assert (got.status, got.body) == (200, b"hello")
    assert (got.headers["content-type"], got.headers["cache-control"]) == ("text/plain", "max-age=60")


def test_an_object_not_yet_replicated_is_pinned_and_answers_from_both_sides(
    presign: Presign, world: World, key: str
) -> None:
    world.set_lag(30)
    assert use(presign(key=key, method="PUT").json, b"fresh", US).status == 200
    asked = presign(key=key).json
    assert (asked["route"], asked["reason"]) == (US, f"{EU} does not have it yet")
    for place in (EU, US):
        got = use(asked, place=place)
        assert (got.status, got.body) == (200, b"fresh")
    by_mrap = use(presign(key=key, check=False).json, place=EU)
    assert by_mrap.code == (404, "NoSuchKey")  # what the pinning saves the client from
    world.set_lag(0)
    world.settle()
    assert presign(key=key).json["route"] == "mrap"


def test_a_newer_version_is_pinned_until_it_is_everywhere(presign: Presign, world: World, key: str) -> None:
    upload(presign, world, key, b"old")
    world.set_lag(30)
    time.sleep(1.0)  # Last-Modified has whole seconds
    assert use(presign(key=key, method="PUT").json, b"new", US).status == 200
    until = time.monotonic() + 10
    while (asked := presign(key=key).json)["route"] == "mrap" and time.monotonic() < until:
        time.sleep(0.05)  # until the catalog has heard of it, the old version is everywhere
    assert (asked["route"], asked["reason"]) == (US, f"{EU} has another version")
    assert [use(asked, place=place).body for place in (EU, US)] == [b"new", b"new"]


def test_a_head_and_a_delete(presign: Presign, world: World, key: str) -> None:
    upload(presign, world, key, b"hello")
    seen = use(presign(key=key, method="HEAD").json)
    assert (seen.status, seen.headers["content-length"], seen.body) == (200, "5", b"")
    assert use(presign(key=key, method="DELETE").json).status == 204
    world.settle()
    gone = presign(key=key, place=EU)
    assert (gone.status, gone.json["error"]) == (404, "NoSuchKey")


def test_a_version_is_downloaded_and_deleted_by_its_id(presign: Presign, world: World, key: str) -> None:
    first = upload(presign, world, key, b"one")
    upload(presign, world, key, b"two")
    old = presign(key=key, version_id=first)
    assert [use(old.json, place=place).body for place in (EU, US)] == [b"one", b"one"]
    assert use(presign(key=key).json).body == b"two"
    deletion = presign(key=key, method="DELETE", version_id=first).json
    assert (deletion["route"], use(deletion).status) == (EU, 204)
    assert presign(key=key, version_id=first, place=EU).json["error"] == "NoSuchVersion"
    assert presign(key=key, version_id=first).json["route"] == US


@pytest.mark.parametrize("pinned", [{}, {"place": US}], ids=["mrap", "pinned"])
def test_overrides_are_honoured(presign: Presign, pinned: dict[str, str]) -> None:
    asked = presign(
        key=SAMPLE,
        response_content_type="application/octet-stream",
        response_content_disposition='attachment; filename="sun & rise.png"',
        response_cache_control="no-store",
        **pinned,
    )
    got = use(asked.json)
    assert got.status == 200
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == 'attachment; filename="sun & rise.png"'
    assert got.headers["cache-control"] == "no-store"


def test_a_checksum_lets_only_its_bytes_in(presign: Presign, key: str) -> None:
    checksum = base64.b64encode(hashlib.sha256(b"right").digest()).decode()
    asked = presign(key=key, method="PUT", checksum_sha256=checksum, content_length=5).json
    assert use(asked, b"wrong").code == (400, "BadDigest")
    assert presign(key=key).status == 404
    assert use(asked, b"right").status == 200


def test_if_none_match_refuses_to_overwrite(presign: Presign, world: World, key: str) -> None:
    upload(presign, world, key, b"first", if_none_match="*")
    again = presign(key=key, method="PUT", if_none_match="*").json
    assert use(again, b"second").code == (412, "PreconditionFailed")
    assert use(presign(key=key).json).body == b"first"


@pytest.mark.parametrize("route", ["mrap", EU])
def test_a_signed_header_must_be_sent_as_it_was_signed(presign: Presign, key: str, route: str) -> None:
    pinned = {} if route == "mrap" else {"place": route}
    asked = presign(key=key, method="PUT", content_type="image/png", **pinned).json
    assert asked["route"] == route
    changed = send("PUT", asked["url"], b"x", {**asked["headers"], "content-type": "text/html"})
    assert changed.code == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("pinned", [{}, {"place": EU}], ids=["mrap", "pinned"])
def test_one_changed_byte_is_refused(presign: Presign, pinned: dict[str, str]) -> None:
    asked = presign(key=SAMPLE, **pinned).json
    url = asked["url"]
    path, _, query = url.partition("?")
    last = url[-1]
    tampered = [
        url[:-1] + ("0" if last != "0" else "1"),
        path.replace("sunrise", "sunrisf") + "?" + query,
        url.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
        url + "&response-content-type=text%2Fhtml",
    ]
    assert len({url, *tampered}) == 5
    for each in tampered:
        assert send("GET", each).status == 403, each
    for method in ("HEAD", "PUT", "DELETE"):
        assert send(method, url).status == 403, method
    assert use(asked).status == 200


@pytest.mark.parametrize("pinned", [{}, {"place": US}], ids=["mrap", "pinned"])
def test_a_url_ends_when_it_says(presign: Presign, pinned: dict[str, str]) -> None:
    asked = presign(key=SAMPLE, expires_in=1, **pinned).json
    assert use(asked).status == 200
    time.sleep(2.1)
    late = use(asked)
    assert late.code == (403, "AccessDenied")
    assert "expired" in late.error["Message"]


def test_plain_sigv4_is_refused_at_the_access_point(presign: Presign, world: World) -> None:
    scheme, _, host = world.mrap_url.partition("://")
    own = signing.Credentials(WORLD.access_key_id, WORLD.secret_access_key)
    plain = signing.V4(own, time.time(), EU).presign("GET", (scheme, host, ""), SAMPLE, 60)
    assert send("GET", plain).status == 400
    asymmetric = signing.V4a(own, time.time()).presign("GET", (scheme, host, ""), SAMPLE, 60)
    assert send("GET", asymmetric).status == 200


def test_with_a_region_off_everything_is_still_served(presign: Presign, world: World) -> None:
    for off, other in ((US, EU), (EU, US)):
        world.switch(off, on=False)
        asked = presign(key=SAMPLE)
        assert asked.status == 200, asked.body
        assert asked.json["route"] == other
        assert asked.json["reason"].startswith(f"{off} ")
        assert use(asked.json, place=off).status == 200
        world.switch(off, on=True)


def test_when_nobody_can_say_it_is_not_called_missing(presign: Presign, world: World) -> None:
    for region in (EU, US):
        world.switch(region, on=False)
    unknown = presign(key="tests/never-there")
    assert (unknown.status, unknown.json["route"]) == (200, EU), "the nearest that may have it"
    world.switch(EU, on=True)
    assert presign(key="tests/never-there").json["route"] == US
    world.switch(US, on=True)
    assert presign(key="tests/never-there").status == 404


def test_use_mrap_false_pins_to_the_primary(presign: Presign, world: World, key: str) -> None:
    world.reload(USE_MRAP="false")
    for body in ({"key": SAMPLE}, {"key": key, "method": "PUT"}, {"key": SAMPLE, "check": False}):
        asked = presign(**body).json
        assert asked["route"] == EU
        assert asked["url"].startswith(world.place_urls[EU])
    assert use(presign(key=SAMPLE).json, place=US).status == 200
    world.reload()
    assert presign(key=SAMPLE).json["route"] == "mrap"


HARD_KEYS = [
    "a b",
    "a+b",
    "100%",
    "%2F",
    "a#b",
    "a?b=c&d",
    "a//b",
    "/a",
    "//",
    "a/../b",
    "a/./b",
    "..",
    "~é日𝄞",
    "*'()!,;:@$",
    '"<>\\^`{|}',
    "x" * 1000,
]


@pytest.mark.parametrize("hard", HARD_KEYS, ids=lambda hard: hard[:10])
def test_a_hard_key_goes_up_and_down_and_away(presign: Presign, world: World, us: "S3Client", hard: str) -> None:
    body = hard.encode()
    upload(presign, world, hard, body)
    assert us.get_object(Bucket=world.buckets[US], Key=hard)["Body"].read() == body  # under that very name
    by_mrap = presign(key=hard)
    assert by_mrap.json["route"] == "mrap"
    assert [use(by_mrap.json, place=place).body for place in (EU, US)] == [body, body]
    assert use(presign(key=hard, place=US).json).body == body
    assert use(presign(key=hard, method="DELETE").json).status == 204


keys = st.lists(st.sampled_from([*" +%#?&=/.~é日a", "//", "..", "%41", "𝄞"]), min_size=1, max_size=8).map("".join)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=keys.map(lambda key: f"tests/hard/{key}"))
def test_any_key_is_signed_as_the_verifying_world_reads_it(presign: Presign, key: str) -> None:
    for pinned in ({}, {"place": US}):
        asked = presign(key=key, check=False, **pinned).json
        assert use(asked).code == (404, "NoSuchKey")  # the signature was good, and nothing is there


def test_a_batch_is_answered_in_order_and_its_urls_work(presign: Presign, world: World) -> None:
    items = [{"key": SAMPLE}, {"key": "tests/never-there"}, {"key": ""}, {"key": SAMPLE, "place": US}]
    answer = presign(items=items)
    first, missing, bad, last = answer.json["items"]
    assert [use(first).status, use(last).status] == [200, 200]
    assert (missing["error"], missing["status"]) == ("NoSuchKey", 404)
    assert (bad["error"], bad["status"]) == ("InvalidRequest", 400)
    assert bad["message"].startswith("items[2].key")


def test_a_batch_of_a_thousand_with_a_region_off_is_answered_in_time(presign: Presign, world: World) -> None:
    world.switch(US, on=False)
    began = time.monotonic()
    answer = presign(items=[{"key": SAMPLE}] * 1000)
    assert answer.status == 200
    assert {item["route"] for item in answer.json["items"]} == {EU}
    assert time.monotonic() - began < 20


def test_parts_of_an_upload_go_to_its_place(presign: Presign, world: World, eu: "S3Client", key: str) -> None:
    upload_id = eu.create_multipart_upload(Bucket=world.buckets[EU], Key=key)["UploadId"]
    asked = presign(key=key, method="PUT", upload_id=upload_id, part_number=1, place=EU).json
    assert asked["route"] == EU
    put = use(asked, b"part", US)
    assert put.status == 200
    eu.complete_multipart_upload(
        Bucket=world.buckets[EU],
        Key=key,
        UploadId=upload_id,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": put.headers["etag"]}]},
    )
    assert use(presign(key=key, place=EU).json).body == b"part"


def test_an_unknown_method_body_or_route_of_the_api(presign: Presign, world: World) -> None:
    assert presign(key=SAMPLE, method="COPY").status == 400
    assert send("POST", f"{world.api_url}/presign", b"not json").status == 400
    assert send("POST", f"{world.api_url}/presigned", b"{}").status == 404

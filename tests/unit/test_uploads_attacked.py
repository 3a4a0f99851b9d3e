"""Uploads against those who mean harm, or send what nobody thought of: each of these went through once."""

import json
from typing import Any

import pytest

from nearside import web
from nearside.access import Caller, Policy, Rule
from nearside.errors import BadRequest, NearsideError, Refused
from nearside.items import Item
from nearside.uploads_items import UploadAsked
from nearside.uploads_uppy import MultipartAsked, ParamsAsked, SignAsked, Uppy
from tests.unit.uploads_memory import ANYONE, Uploading, caller

ALICE = caller("alice")
PICTURES = Policy([Rule("sub", [""], ["write"], content_types=["image/*", "image/png", "video/mp4"])])
WHOLE = Policy([Rule("sub", [""], ["read", "write", "delete"])])
OWN_KEY = ".nearside/adopted/bucket-eu.json"


@pytest.mark.parametrize(
    "content_type",
    [
        # Of several types in one header a browser takes the last (https://fetch.spec.whatwg.org/#content-type-header).
        "image/png, text/html",
        "image/png;q=1, text/html",
        "image/png;a=b,text/html",
        "image/png text/html",
        "image/png/x",
        "image/ png",
        "image/",
        "image/*",
        "image/png;",
        'image/png;a="',
        "/png",
        "image/svg+xml\n",
    ],
)
def test_a_type_that_may_be_read_in_two_ways_is_of_no_pattern(content_type: str) -> None:
    with pytest.raises(Refused, match="the policy takes image"):
        PICTURES.check_write(ALICE, "a", 1, content_type, ("size", "content_type"))
    assert PICTURES.max_bytes(ALICE, "a", content_type) == 0


@pytest.mark.parametrize(
    "content_type",
    ["image/svg+xml", "IMAGE/PNG", "image/png ; a=b;c=d", 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"', "image/x.y-z"],
)
def test_a_type_as_the_standard_has_it_is_taken(content_type: str) -> None:
    PICTURES.check_write(ALICE, "a", 1, content_type, ("size", "content_type"))


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (UploadAsked, {"key": "a", "size": 1, "content_type": "image/png\n"}),
        (UploadAsked, {"key": "a", "size": 1, "cache_control": "no-store\n"}),
        (UploadAsked, {"key": "a", "size": 1, "sha256": "0" * 64 + "\n"}),
        (MultipartAsked, {"filename": "a", "type": "image/png\n"}),
        (ParamsAsked, {"filename": "a", "type": "image/png\n"}),
        (SignAsked, {"method": "PUT", "key": "a", "contentType": "image/png\n"}),
        (Item, {"key": "a", "method": "PUT", "content_type": "image/png\n"}),
    ],
)
def test_no_header_ends_with_a_line_feed(shape: Any, body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        web.decode(json.dumps(body).encode(), shape)


@pytest.mark.parametrize("number", ["9" * 5_000, "\u0663", "\uff11", "01" * 3])
def test_a_number_that_python_reads_otherwise_is_no_parts(number: str) -> None:
    uppy = Uppy(Uploading().uploads)
    made = uppy.create(MultipartAsked("a"), ANYONE, None)
    with pytest.raises(BadRequest, match="expected 1 to 10000"):
        uppy.part(made.uploadId, number, ANYONE)


@pytest.mark.parametrize("metadata", [{"key": {"a": 1}}, {"key": ["a"]}, {"key": 5}, {"place": ["eu-west-2"]}])
def test_metadata_of_another_kind_is_no_key_and_no_place(metadata: dict[str, Any]) -> None:
    uploading = Uploading()
    with pytest.raises(BadRequest, match=r"metadata\.(key|place)"):
        Uppy(uploading.uploads).create(MultipartAsked("a", metadata=metadata), ANYONE, None)
    assert uploading.open_in_s3() == []


def test_a_form_has_no_name_that_s3_would_fill_in() -> None:
    with pytest.raises(BadRequest, match="filename"):
        Uppy(Uploading().uploads).form({"filename": "${filename}"}, ANYONE, None, 1)


@pytest.mark.parametrize("action", ["write", "delete"])
def test_what_nearside_keeps_for_itself_is_nobodys_by_a_prefix_that_does_not_name_it(action: Any) -> None:
    assert not WHOLE.allows(ALICE, action, OWN_KEY)
    assert WHOLE.allows(ALICE, "read", OWN_KEY)
    assert WHOLE.allows(ALICE, action, "x/.nearside/a")
    assert WHOLE.allows(Caller("operator", trusted=True), action, OWN_KEY)
    named = Policy([Rule("sub", [".nearside/live/"], ["write", "delete"])])
    assert named.allows(ALICE, action, ".nearside/live/a")
    assert not named.allows(ALICE, action, OWN_KEY)


def test_what_nearside_keeps_for_itself_is_not_written_on_any_way() -> None:
    uploading = Uploading(policy=WHOLE)
    uppy = Uppy(uploading.uploads)
    ways: list[Any] = [
        lambda: uploading.uploads.begin(UploadAsked(key=OWN_KEY, size=1), ALICE, None),
        lambda: uploading.uploads.begin(UploadAsked(key=OWN_KEY, size=10**9), ALICE, None),
        lambda: uppy.create(MultipartAsked(OWN_KEY), ALICE, None),
        lambda: uppy.form({"filename": OWN_KEY}, ALICE, None, 1),
        lambda: uppy.sign(SignAsked("POST", OWN_KEY), ALICE, None, 1),
        lambda: uppy.sign(SignAsked("PUT", OWN_KEY), ALICE, None, 1),
        lambda: uploading.uploads.presigner.one(Item(key=OWN_KEY, method="DELETE"), ALICE, None, uploading.now),
    ]
    for way in ways:
        with pytest.raises(Refused, match="alice may not"):
            way()
    assert uploading.open_in_s3() == []


def test_as_many_unfinished_as_fit_an_answer_are_listed_the_newest() -> None:
    uploading = Uploading()
    for number in range(303):
        uploading.now += 1
        asked = UploadAsked(key=f"{number:04d}" + '"' * 1020, size=10**9, content_type='"' * 1024)
        uploading.uploads.begin(asked, ANYONE, None)
    listed = uploading.uploads.unfinished(ANYONE)
    assert [len(listed.uploads), listed.uploads[0].key[:4]] == [300, "0302"]
    answer = web.boundary({"GET /uploads": lambda request: listed}, "none")({"routeKey": "GET /uploads"}, None)
    assert answer["statusCode"] == 200


@pytest.mark.parametrize("error", [Refused("eu-west-2 answered AccessDenied"), BadRequest("eu-west-2 answered X")])
def test_what_cannot_be_ended_keeps_no_other_from_its_end(error: NearsideError) -> None:
    uploading = Uploading()
    for key in ("poison", "a", "b"):
        uploading.uploads.begin(UploadAsked(key=key, size=10**9), ANYONE, None)
        uploading.now += 1
    uploading.s3.stuck["poison"] = error
    uploading.now += 30 * 86_400
    swept = uploading.orphans().sweep()
    assert len(uploading.open_in_s3()) == 1
    assert swept.ended["eu-west-2"] == 2
    assert any("poison" in each for each in swept.lost)

"""`POST /presign` from event to answer: what bad input gets, and that a bad item does not spoil the others."""

import base64
import json
from typing import Any

import pytest

from nearside.web import MAX_BODY_BYTES
from tests.unit import functions
from tests.unit.fakes import NEWEST, FakeReplicas

presign = functions.load("presign")
open_presign = functions.load("presign", AUTH_MODE="none")


def answer(body: object, handler: Any = open_presign) -> tuple[int, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return functions.answer(handler, functions.event("presign/get", text))


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> FakeReplicas:
    """Every place has every object."""
    fake = FakeReplicas(otherwise=NEWEST)
    monkeypatch.setattr(open_presign, "_heads", lambda: fake)
    monkeypatch.setattr(presign, "_heads", lambda: fake)
    return fake


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "missing required field `key`"),
        ({"key": ""}, 'key is "": expected `str` of length >= 1'),
        ({"key": 5}, "key is 5: expected `str`, got `int`"),
        ({"key": "k" * 1025}, "key has 1025 bytes in UTF-8: expected at most 1024"),
        ({"key": "é" * 513}, "key has 1026 bytes in UTF-8: expected at most 1024"),
        ({"key": "a", "method": "PATCH"}, 'method is "PATCH": expected one of DELETE, GET, HEAD, PUT'),
        ({"key": "a", "method": "get"}, 'method is "get": expected one of DELETE, GET, HEAD, PUT'),
        ({"key": "a", "expires_in": 0}, "expires_in is 0: expected `int` >= 1"),
        ({"key": "a", "expires_in": 604_801}, "expires_in is 604801: expected `int` <= 604800"),
        ({"key": "a", "expires_in": 10**30}, f"expires_in is {10**30}: expected `int` <= 604800"),
        ({"key": "a", "expires_in": "60"}, 'expires_in is "60": expected `int`, got `str`'),
        ({"key": "a", "expires_in": 1.5}, "expires_in is 1.5: expected `int`, got `float`"),
        ({"key": "a", "expires": 60}, "object contains unknown field `expires`"),
        ({"key": "a", "place": "mars"}, "place is 'mars': expected one of eu-west-2, us-east-2"),
        ({"key": "a", "check": "no"}, 'check is "no": expected `bool`, got `str`'),
        ({"key": "a", "content_type": "text/plain"}, "content_type goes with PUT only, and method is GET"),
        (
            {"key": "a", "method": "PUT", "content_type": "a\nb"},
            'content_type is "a\\nb": expected `str` matching regex',
        ),
        ({"key": "a", "method": "PUT", "content_type": ""}, 'content_type is "": expected `str` of length >= 1'),
        ({"key": "a", "method": "PUT", "content_length": -1}, "content_length is -1: expected `int` >= 0"),
        ({"key": "a", "method": "PUT", "content_length": 5 * 1024**3 + 1}, "expected `int` <= 5368709120"),
        ({"key": "a", "method": "PUT", "if_none_match": "e"}, 'if_none_match is "e": expected one of *'),
        (
            {"key": "a", "method": "PUT", "checksum_sha256": "abc"},
            "checksum_sha256 is 'abc': expected base64 of 32 bytes",
        ),
        (
            {"key": "a", "method": "PUT", "checksum_sha256": "YWJj"},
            "checksum_sha256 has 3 bytes: expected base64 of 32",
        ),
        ({"key": "a", "method": "PUT", "version_id": "v"}, "version_id does not go with PUT, and method is PUT"),
        (
            {"key": "a", "method": "PUT", "response_content_type": "t"},
            "response_content_type goes with GET and HEAD only",
        ),
        ({"key": "a", "method": "PUT", "upload_id": "u"}, "upload_id and part_number go together: one is missing"),
        ({"key": "a", "method": "PUT", "upload_id": "u", "part_number": 0}, "part_number is 0: expected `int` >= 1"),
        (
            {"key": "a", "method": "PUT", "upload_id": "u", "part_number": 1, "content_type": "t"},
            "content_type does not go with a part",
        ),
        ({"items": []}, "items: expected `array` of length >= 1"),
        ({"items": [{"key": "a"}] * 1001}, "items: expected `array` of length <= 1000"),
        ({"items": None}, "items is null: expected `array`, got `null`"),
        ({"items": {"key": "a"}}, "items: expected `array`, got `object`"),
        ({"items": [{"key": "a"}], "method": "GET"}, "object contains unknown field `method`"),
        ([], "expected `object`, got `array`"),
        ("", "the body is not JSON"),
        ("{", "the body is not JSON"),
        ('{"key": "a"} x', "the body is not JSON"),
        ('{"key": "\\ud800"}', "the body is not JSON"),
        ('{"key": 1,}', "the body is not JSON: JSON is malformed: trailing comma in object"),
        ('{"key": "a", "expires_in": 1e400}', "number out of range"),
        ('{"key": "a", "other": ' + "[" * 100_000, "the body is not JSON: maximum recursion depth exceeded"),
        ('{"key": ' + "[" * 100_000, "the body is not JSON: maximum recursion depth exceeded"),
    ],
)
def test_bad_input_is_400_and_named(body: object, words: str) -> None:
    status, error = answer(body)
    assert (status, error["error"]) == (400, "InvalidRequest")
    assert words in error["message"]


def test_a_body_over_the_limit_is_413_with_the_limit() -> None:
    status, error = answer('{"key": "' + "k" * MAX_BODY_BYTES + '"}')
    assert (status, error["error"]) == (413, "EntityTooLarge")
    assert f"expected at most {MAX_BODY_BYTES}" in error["message"]
    at_the_limit, _ = answer('{"key": "a", "check": false}'.ljust(MAX_BODY_BYTES))
    assert at_the_limit == 200


@pytest.mark.parametrize("key", ["k" * 1024, "é" * 512, "𝄞" * 256, " ", "/", "a?b#c%+ //../é"])
def test_a_key_of_up_to_1024_bytes_is_signed(key: str) -> None:
    status, presigned = answer({"key": key, "check": False})
    assert (status, presigned["key"]) == (200, key)


def test_bad_items_are_named_by_their_place_in_the_batch_beside_good_ones(find: FakeReplicas) -> None:
    bodies = [{"key": "good"}, {"key": ""}, {"key": "a", "method": "PATCH"}, 7, {"keys": "a"}, {"key": "good"}]
    status, batch = answer({"items": bodies})
    assert status == 200
    first, *bad, last = batch["items"]
    assert first["key"] == last["key"] == "good"
    assert [(each["error"], each["status"]) for each in bad] == [("InvalidRequest", 400)] * 4
    assert [each["message"] for each in bad] == [
        'items[1].key is "": expected `str` of length >= 1',
        'items[2].method is "PATCH": expected one of DELETE, GET, HEAD, PUT',
        "items[3] is 7: expected `object`, got `int`",
        "items[4]: object contains unknown field `keys`",
    ]
    assert [question.key for question in find.asked] == ["good", "good"]


def test_a_batch_of_a_thousand_is_answered_in_order(find: FakeReplicas) -> None:
    status, batch = answer({"items": [{"key": f"k{n}"} for n in range(1000)]})
    assert status == 200
    assert [each["key"] for each in batch["items"]] == [f"k{n}" for n in range(1000)]


def test_an_answer_has_the_fields_that_are_promised(find: FakeReplicas) -> None:
    status, presigned = answer({"key": "a"})
    assert status == 200
    assert set(presigned) == {"key", "url", "method", "headers", "expires_at", "route", "reason"}
    assert (presigned["method"], presigned["headers"], presigned["route"]) == ("GET", {}, "mrap")
    assert presigned["expires_at"].endswith("Z")


def test_a_base64_body_is_read() -> None:
    body = base64.b64encode(b'{"key": "\xc3\xa9", "check": false}').decode()
    status, presigned = functions.answer(open_presign, functions.event("presign/get", body, isBase64Encoded=True))
    assert (status, presigned["key"]) == (200, "é")


def test_the_claims_of_the_token_decide_which_keys(find: FakeReplicas) -> None:
    keys = ["users/alice/a", "users/bob/a", "users/alice", "readme.txt"]
    status, batch = answer({"items": [{"key": key} for key in keys]}, presign)
    assert status == 200
    assert [each.get("status", 200) for each in batch["items"]] == [200, 403, 403, 403]
    status, error = answer({"key": "users/bob/a"}, presign)
    assert (status, error["error"], error["message"]) == (403, "AccessDenied", "alice may not read 'users/bob/a'")
    assert [question.key for question in find.asked] == ["users/alice/a"]


@pytest.mark.parametrize(
    ("header", "where"),
    [
        ({"CloudFront-Viewer-Country": "US"}, "us-east-2"),
        ({"cloudfront-viewer-latitude": "40.1", "cloudfront-viewer-longitude": "-83.2"}, "us-east-2"),
        ({"cloudfront-viewer-country": "FR"}, "eu-west-2"),
        ({}, "eu-west-2"),
    ],
)
def test_the_viewers_headers_choose_among_places_that_have_it(
    header: dict[str, str], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = functions.load(
        "presign",
        AUTH_MODE="none",
        REPLICAS='[{"region": "us-east-2", "bucket": "b-us"}, {"region": "ap-south-1", "bucket": "b-ap"}]',
    )
    fake = FakeReplicas({"a": {"eu-west-2": NEWEST, "us-east-2": NEWEST}})
    monkeypatch.setattr(three, "_heads", lambda: fake)
    status, presigned = functions.answer(three, functions.event("presign/get", '{"key": "a"}', headers=header))
    assert (status, presigned["route"]) == (200, where)


def test_use_mrap_false_pins_every_url_to_the_primary(find: FakeReplicas, monkeypatch: pytest.MonkeyPatch) -> None:
    off = functions.load("presign", AUTH_MODE="none", USE_MRAP="false")
    monkeypatch.setattr(off, "_heads", lambda: find)
    bodies = [{"key": "a"}, {"key": "a", "check": False}, {"key": "a", "method": "PUT"}]
    _, batch = answer({"items": bodies}, off)
    assert {each["route"] for each in batch["items"]} == {"eu-west-2"}

"""What Uppy is answered: forms held to key, type and size, parts, and single signatures."""

import base64
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nearside.access import Policy, Rule
from nearside.errors import BadRequest, MissingUpload, NearsideError, Refused, TooLarge
from nearside.items import MAX_PUT_BYTES
from nearside.signing import v4_key
from nearside.uploads_uppy import MultipartAsked, MultipartEnded, PartEnded, SignAsked, Uppy
from tests.unit.uploads_memory import ANYONE, EU, US, Uploading, caller

OWN = Policy([Rule("sub", ["users/${sub}/"], ["write"])])
LIMITED = Policy([Rule("sub", ["users/${sub}/"], ["write"], max_bytes=5, content_types=["image/*"])])
ALICE = caller("alice")
KEY = "users/alice/a b.png"


def form(uploading: Uploading, **query: str) -> Any:
    return Uppy(uploading.uploads).form(
        {"filename": "a b.png", "type": "image/png", **query}, ALICE, None, uploading.now
    )


@pytest.mark.parametrize(("policy", "most"), [(OWN, MAX_PUT_BYTES), (LIMITED, 5)])
def test_a_form_is_held_to_key_type_and_size_and_ends_with_the_session(policy: Policy, most: int) -> None:
    uploading = Uploading(policy=policy)
    answer = form(uploading, **{"metadata[key]": KEY})
    assert (answer.method, answer.url) == ("POST", "https://bucket-eu.s3.eu-west-2.amazonaws.com/")
    policy_text = answer.fields["policy"]
    said = json.loads(base64.b64decode(policy_text))
    assert {"bucket": "bucket-eu"} in said["conditions"]
    assert {"key": KEY} in said["conditions"]
    assert {"Content-Type": "image/png"} in said["conditions"]
    assert ["content-length-range", 0, most] in said["conditions"]
    assert {"x-amz-security-token": "token"} in said["conditions"]
    assert answer.expires == 900
    day = answer.fields["x-amz-date"][:8]
    expected = hmac.digest(v4_key("secret", day, "eu-west-2", "s3"), policy_text.encode(), "sha256").hex()
    assert answer.fields["x-amz-signature"] == expected


def test_without_a_key_a_file_goes_where_its_name_says() -> None:
    assert form(Uploading(policy=Policy([Rule("sub", [""], ["write"])]))).fields["key"] == "a b.png"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({}, Refused),
        ({"metadata[key]": "users/bob/a"}, Refused),
        ({"metadata[key]": KEY, "type": "text/html"}, Refused),
        ({"metadata[key]": "users/alice/" + "é" * 512}, BadRequest),
        ({"metadata[key]": KEY, "metadata[place]": "mars"}, BadRequest),
    ],
)
def test_a_form_that_may_not_be_is_not_signed(query: dict[str, str], error: type[NearsideError]) -> None:
    with pytest.raises(error):
        form(Uploading(policy=LIMITED), **query)


def test_a_form_needs_a_name() -> None:
    with pytest.raises(BadRequest, match="required field `filename`"):
        Uppy(Uploading().uploads).form({}, ANYONE, None, 0)


def test_an_upload_in_parts_from_its_begin_to_its_end() -> None:
    uploading = Uploading(policy=OWN)
    uppy = Uppy(uploading.uploads)
    asked = MultipartAsked("a.png", "image/png", {"key": KEY, "place": US.name, "name": "a.png"})
    made = uppy.create(asked, ALICE, None)
    assert (made.key, made.bucket) == (KEY, US.bucket)
    url = uppy.part(made.uploadId, "2", ALICE).url
    assert urlsplit(url).hostname == "bucket-us.s3.us-east-2.amazonaws.com"
    assert parse_qs(urlsplit(url).query)["partNumber"] == ["2"]
    assert parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] == ["host"]
    [upload] = uploading.s3.uploads[US.name]
    etags = [uploading.s3.put(US, upload, number, body) for number, body in enumerate((b"one", b"two"), 1)]
    assert [(part.PartNumber, part.Size) for part in uppy.parts(made.uploadId, ALICE)] == [(1, 3), (2, 3)]
    assert [each.size for each in uploading.uploads.unfinished(ALICE).uploads] == [None]
    ended = MultipartEnded([PartEnded(number, each) for number, each in enumerate(etags, 1)])
    done = uppy.complete(made.uploadId, ended, ALICE)
    assert (done.key, done.bucket) == (KEY, US.bucket)
    assert done.location == "https://bucket-us.s3.us-east-2.amazonaws.com/users/alice/a%20b.png"


def test_the_policys_limit_holds_for_an_upload_in_parts() -> None:
    uploading = Uploading(policy=LIMITED)
    uppy = Uppy(uploading.uploads)
    with pytest.raises(Refused, match="content_type is 'text/html'"):
        uppy.create(MultipartAsked("a", "text/html", {"key": KEY}), ALICE, None)
    made = uppy.create(MultipartAsked("a", "image/png", {"key": KEY}), ALICE, None)
    [upload] = uploading.s3.uploads[EU.name]
    tag = uploading.s3.put(EU, upload, 1, b"123456")
    with pytest.raises(TooLarge, match="size is 6: the policy takes at most 5"):
        uppy.complete(made.uploadId, MultipartEnded([PartEnded(1, tag)]), ALICE)
    assert uploading.open_in_s3() == []


@pytest.mark.parametrize("number", ["0", "10001", "x", "-1", ""])
def test_a_part_whose_number_is_none_is_refused(number: str) -> None:
    uppy = Uppy(Uploading().uploads)
    made = uppy.create(MultipartAsked("a"), ANYONE, None)
    with pytest.raises(BadRequest, match="expected 1 to 10000"):
        uppy.part(made.uploadId, number, ANYONE)


def test_an_upload_is_ended_by_its_owner_alone() -> None:
    uploading = Uploading(policy=Policy([Rule("sub", [""], ["write"])]))
    uppy = Uppy(uploading.uploads)
    made = uppy.create(MultipartAsked("a"), ALICE, None)
    with pytest.raises(MissingUpload):
        uppy.abort(made.uploadId, caller("bob"))
    uppy.abort(made.uploadId, ALICE)
    assert uploading.open_in_s3() == []


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        ({"method": "POST"}, {"uploads": [""]}),
        ({"method": "PUT", "uploadId": "u", "partNumber": 7}, {"uploadId": ["u"], "partNumber": ["7"]}),
        ({"method": "GET", "uploadId": "u"}, {"uploadId": ["u"]}),
        ({"method": "POST", "uploadId": "u"}, {"uploadId": ["u"]}),
        ({"method": "DELETE", "uploadId": "u"}, {"uploadId": ["u"]}),
    ],
)
def test_each_request_of_an_upload_is_signed_for_the_primary(
    asked: dict[str, Any], query: dict[str, list[str]]
) -> None:
    uploading = Uploading(policy=OWN)
    signed = Uppy(uploading.uploads).sign(SignAsked(**{"key": KEY, **asked}), ALICE, None, uploading.now)
    assert urlsplit(signed.url).hostname == "bucket-eu.s3.eu-west-2.amazonaws.com"
    said = parse_qs(urlsplit(signed.url).query, keep_blank_values=True)
    assert {name: value for name, value in said.items() if not name.startswith("X-Amz-")} == query
    assert signed.headers == {}


def test_a_single_put_is_signed_as_presign_does() -> None:
    uploading = Uploading(policy=OWN)
    asked = SignAsked("PUT", KEY, contentType="image/png")
    signed = Uppy(uploading.uploads).sign(asked, ALICE, None, uploading.now)
    assert urlsplit(signed.url).hostname == "abc.mrap.accesspoint.s3-global.amazonaws.com"
    assert signed.headers == {"content-type": "image/png"}


@pytest.mark.parametrize(
    ("policy", "asked", "error"),
    [
        (OWN, {"method": "POST", "key": "users/bob/a"}, Refused),
        (OWN, {"method": "DELETE"}, BadRequest),
        (OWN, {"method": "GET"}, BadRequest),
        (OWN, {"method": "PUT", "uploadId": "u"}, BadRequest),
        (OWN, {"method": "GET", "uploadId": "u", "partNumber": 1}, BadRequest),
        (OWN, {"method": "POST", "place": "mars"}, BadRequest),
        (LIMITED, {"method": "POST"}, Refused),
        (LIMITED, {"method": "PUT", "contentType": "image/png"}, BadRequest),
    ],
)
def test_what_may_not_be_is_not_signed(policy: Policy, asked: dict[str, Any], error: type[NearsideError]) -> None:
    uploading = Uploading(policy=policy)
    with pytest.raises(error):
        Uppy(uploading.uploads).sign(SignAsked(**{"key": KEY, **asked}), ALICE, None, uploading.now)

"""The gateway's boundary: who gets in, what is never told, and what an answer looks like on its way out."""

import base64
import json
import logging
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import NearsideError
from nearside.gateway.access_keys import KeyRule
from nearside.gateway.errors import Busy
from tests.unit.gateway_front import ADMIN, BUCKET, HOST, Gateway, access_key, event
from tests.unit.test_gateway_operations import headers, refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def s3(gateway: Gateway) -> "S3Client":
    return gateway.client()


def told(answer: dict[str, Any]) -> dict[str, str]:
    """An error's document."""
    return {each.tag: each.text or "" for each in ET.fromstring(answer["body"])}


def test_an_error_is_told_as_s3_tells_it(gateway: Gateway, s3: "S3Client") -> None:
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="a b/é"))[0] == 404
    assert gateway.last["body"].startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>')
    assert told(gateway.last) == {
        "Code": "NoSuchKey",
        "Message": "'a b/é' does not exist in photos",
        "Resource": "/photos/a%20b/%C3%A9",
        "RequestId": "5f0d3f4c",
    }
    assert gateway.last["headers"]["content-type"] == "application/xml"
    assert gateway.last["headers"]["x-amz-request-id"] == "5f0d3f4c"
    assert gateway.last["isBase64Encoded"] is False


def test_an_error_to_head_has_no_body(gateway: Gateway, s3: "S3Client") -> None:
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="a"))[:2] == (404, "404")
    assert gateway.last["body"] == ""


def test_an_objects_bytes_are_base64_on_their_way(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"<\x00\xff")
    s3.get_object(Bucket=BUCKET, Key="a")
    assert (gateway.last["isBase64Encoded"], base64.b64decode(gateway.last["body"])) == (True, b"<\x00\xff")
    assert gateway.last["headers"]["date"].endswith(" GMT")
    json.dumps(gateway.last)
    assert all(isinstance(value, str) for value in gateway.last["headers"].values())


def test_nobody_gets_in_unsigned(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    for method, path in (
        ("GET", "/photos/a"),
        ("GET", "/"),
        ("PUT", "/photos/b"),
        ("DELETE", "/photos/a"),
        ("GET", "/photos?policy"),
    ):
        answer = gateway.front(event(method, f"https://{HOST}{path}"))
        assert (answer["statusCode"], told(answer)["Code"]) == (403, "AccessDenied")


def test_nobody_gets_in_with_another_secret(gateway: Gateway) -> None:
    forged = access_key()
    gateway.keys[forged.id] = ADMIN
    client = gateway.client(forged)
    gateway.keys.pop(forged.id)
    assert refused(lambda: client.list_buckets())[:2] == (403, "InvalidAccessKeyId")


ALL = ("read", "write", "delete", "list", "admin")


@pytest.mark.parametrize("allowed", ALL)
def test_each_operation_needs_its_own_permission(gateway: Gateway, s3: "S3Client", allowed: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    theirs = gateway.client(access_key(KeyRule(buckets=[BUCKET], actions=[allowed])))
    named: Any = {"Bucket": BUCKET, "Key": "a"}
    calls: dict[str, tuple[Any, ...]] = {
        "read": (
            lambda: theirs.get_object(**named),
            lambda: theirs.head_object(**named),
            lambda: theirs.get_object_tagging(**named),
            lambda: theirs.get_object_acl(**named),
            lambda: theirs.get_object_attributes(**named, ObjectAttributes=["ETag"]),
        ),
        "write": (
            lambda: theirs.put_object(**named),
            lambda: theirs.put_object_tagging(**named, Tagging={"TagSet": []}),
            lambda: theirs.delete_object_tagging(**named),
            lambda: theirs.create_multipart_upload(**named),
        ),
        "list": (
            lambda: theirs.list_objects(Bucket=BUCKET),
            lambda: theirs.list_objects_v2(Bucket=BUCKET),
            lambda: theirs.list_multipart_uploads(Bucket=BUCKET),
        ),
        "delete": (lambda: theirs.delete_object(**named),),
        "admin": (lambda: theirs.delete_bucket(Bucket=BUCKET), lambda: theirs.create_bucket(Bucket=BUCKET)),
    }
    for action, several in calls.items():
        for call in several:
            if action != allowed:
                assert refused(call)[0] == 403, action
    for call in calls[allowed]:
        if allowed == "admin":  # the bucket is there, and is not empty
            assert refused(call)[0] == 409
        else:
            call()


def test_a_copy_needs_to_be_allowed_on_both_sides(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="theirs/a", Body=b"hello")
    s3.put_object(Bucket=BUCKET, Key="mine/a", Body=b"hello")
    rules = (KeyRule(buckets=["*"], actions=["read", "write"], prefixes=["mine/"]),)
    mine = gateway.client(access_key(*rules))
    for target, origin in (("mine/b", "theirs/a"), ("theirs/b", "mine/a")):
        source: Any = {"Bucket": BUCKET, "Key": origin}
        with pytest.raises(mine.exceptions.ClientError, match="AccessDenied"):
            mine.copy_object(Bucket=BUCKET, Key=target, CopySource=source)
    mine.copy_object(Bucket=BUCKET, Key="mine/b", CopySource={"Bucket": BUCKET, "Key": "mine/a"})


def test_who_may_not_list_is_not_told_what_is_missing(gateway: Gateway) -> None:
    reader = gateway.client(access_key(KeyRule(buckets=["*"], actions=["read", "write", "delete"])))
    named: Any = {"Bucket": BUCKET, "Key": "gone"}
    for call in (
        lambda: reader.get_object(**named),
        lambda: reader.get_object_tagging(**named),
        lambda: reader.copy_object(Bucket=BUCKET, Key="a", CopySource=named),
        lambda: reader.put_object(**named, IfMatch='"x"'),
        lambda: reader.delete_object(**named, IfMatch='"x"'),
        lambda: reader.put_object_tagging(**named, Tagging={"TagSet": []}),
    ):
        assert refused(call)[:2] == (403, "AccessDenied")
    assert refused(lambda: reader.head_object(**named))[0] == 403
    assert refused(lambda: reader.get_object(Bucket="nowhere", Key="a"))[:2] == (404, "NoSuchBucket")


def test_a_presigned_url_does_what_it_was_made_for(gateway: Gateway, s3: "S3Client") -> None:
    put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "a b", "ContentType": "text/x"})
    assert gateway.answered(event("PUT", put, {"content-type": "text/x"}, b"hello")).status_code == 200
    get = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "a b", "ResponseContentType": "text/y"}
    )
    answer = gateway.answered(event("GET", get))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"hello", "text/y")
    assert gateway.front(event("GET", get.replace("a%20b", "other")))["statusCode"] == 403
    assert gateway.front(event("DELETE", get))["statusCode"] == 403


def test_headers_in_a_presigned_query_are_headers(gateway: Gateway, s3: "S3Client") -> None:
    """Some SDKs put them there; a query that asks for what cannot be done is refused like a header."""
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")

    def presigned(name: str, value: str) -> str:
        client = gateway.client()
        client.meta.events.register(
            "before-sign.s3.PutObject", lambda request, **_: request.params.update({name: value})
        )
        return client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "b"})

    assert gateway.front(event("PUT", presigned("x-amz-meta-mood", "good"), body=b"1"))["statusCode"] == 200
    assert s3.head_object(Bucket=BUCKET, Key="b")["Metadata"] == {"mood": "good"}
    assert gateway.front(event("PUT", presigned("x-amz-tagging", "a=1"), body=b"1"))["statusCode"] == 200
    assert s3.head_object(Bucket=BUCKET, Key="b")["TagCount"] == 1
    assert gateway.front(event("PUT", presigned("x-amz-copy-source", f"{BUCKET}/a")))["statusCode"] == 200
    assert s3.get_object(Bucket=BUCKET, Key="b")["Body"].read() == b"hello"
    answer = gateway.front(event("PUT", presigned("x-amz-acl", "public-read"), body=b"1"))
    assert (answer["statusCode"], told(answer)["Code"]) == (501, "NotImplemented")


def test_a_bucket_may_be_in_the_hosts_name(gateway: Gateway) -> None:
    import boto3

    client = boto3.client(
        "s3",
        region_name="eu-west-2",
        endpoint_url=f"https://{HOST}",
        aws_access_key_id=ADMIN.id,
        aws_secret_access_key="s" * 40,
        config=Config(s3={"addressing_style": "virtual"}, retries={"total_max_attempts": 1}),
    )
    client.meta.events.register("before-send.s3", gateway.send)  # type: ignore[arg-type]  # the stubs know no answers
    client.put_object(Bucket=BUCKET, Key="a/b", Body=b"hello")
    assert gateway.sent["headers"]["host"] == f"{BUCKET}.{HOST}"
    assert gateway.sent["rawPath"] == "/a/b"
    assert client.get_object(Bucket=BUCKET, Key="a/b")["Body"].read() == b"hello"
    assert client.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1


def test_what_nobody_thought_of_is_logged_and_not_told(
    gateway: Gateway, s3: "S3Client", caplog: pytest.LogCaptureFixture
) -> None:
    def load(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the house")

    gateway.records.load = load  # type: ignore[method-assign]  # a fault
    status, code, message = refused(lambda: s3.get_object(Bucket=BUCKET, Key="a"))
    assert (status, code, message) == (500, "InternalError", "see the log for request 5f0d3f4c")
    (record,) = [each for each in caplog.records if each.name == "nearside"]
    assert record.exc_info is not None
    assert "a secret of the house" in str(record.exc_info[1])


def test_a_refusal_is_logged_and_a_miss_is_not(
    gateway: Gateway, s3: "S3Client", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nearside")
    refused(lambda: s3.get_object(Bucket=BUCKET, Key="gone"))
    assert caplog.records == []
    theirs = gateway.client(access_key(KeyRule(buckets=["x"], actions=["read"])))
    refused(lambda: theirs.get_object(Bucket=BUCKET, Key="a"))
    assert [each.levelname for each in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(Busy("others write it"), 503, "SlowDown"), (NearsideError("no place took it"), 500, "InternalError")],
)
def test_what_may_be_over_in_a_moment_is_to_be_tried_again(
    gateway: Gateway, s3: "S3Client", error: NearsideError, status: int, code: str
) -> None:
    def lease(*_: object, **__: object) -> None:
        raise error

    gateway.records.lease = lease  # type: ignore[assignment, method-assign]  # a fault
    gateway.clock.sleep = lambda seconds: setattr(gateway.clock, "now", gateway.clock.now + 60)  # type: ignore[method-assign]  # in no time
    assert refused(lambda: s3.put_object(Bucket=BUCKET, Key="a", Body=b"1"))[:2] == (status, code)


def test_a_deletion_of_many_needs_a_checksum(gateway: Gateway) -> None:
    s3 = gateway.client()

    def strip(request: Any, **_: object) -> None:
        for name in [name for name in request.headers if "checksum" in name.lower() or name.lower() == "content-md5"]:
            del request.headers[name]

    s3.meta.events.register("before-sign.s3.DeleteObjects", strip)
    status, code, message = refused(lambda: s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "a"}]}))
    assert (status, code) == (400, "InvalidRequest")
    assert "Content-MD5" in message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "rawPath": st.text(max_size=20),
            "rawQueryString": st.text(max_size=20),
            "headers": st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4),
            "cookies": st.lists(st.text(max_size=5), max_size=2),
            "body": st.text(max_size=10),
            "isBase64Encoded": st.booleans(),
            "requestContext": st.fixed_dictionaries(
                {"http": st.fixed_dictionaries({"method": st.sampled_from(["GET", "PUT", "HEAD", "POST", "BREW"])})},
                optional={"requestId": st.text(max_size=5)},
            ),
        },
    )
)
def test_whatever_comes_is_answered(sent: dict[str, Any]) -> None:
    answer = GATEWAY.front(sent)
    assert 400 <= answer["statusCode"] < 500
    json.dumps(answer)


GATEWAY = Gateway()


def test_the_headers_of_the_gateway_are_there_for_who_looks(gateway: Gateway, s3: "S3Client") -> None:
    said = headers(s3.put_object(Bucket=BUCKET, Key="a", Body=b"1"))
    assert {"x-backend-count", "x-backend-zones", "x-replication-status", "x-replication-detail"} <= set(said)
    assert gateway.queued == [(BUCKET, "a")]

"""The operations on objects, as boto3 asks for them and understands the answers."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nearside.errors import Unreachable
from nearside.gateway.access_keys import KeyRule
from nearside.gateway.s3_times import http_date, seconds_of, xml_time
from tests.unit.gateway_front import BUCKET, MAX_BODY_BYTES, Gateway, access_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def s3(gateway: Gateway) -> "S3Client":
    return gateway.client()


def refused(call: Callable[[], object]) -> tuple[int, str, str]:
    """Status, code and message that a client is told."""
    with pytest.raises(ClientError) as caught:
        call()
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"].get("Message", "")


def headers(answer: Any) -> Mapping[str, str]:
    found: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return found


def test_what_was_put_is_got_with_all_that_was_said_of_it(s3: "S3Client") -> None:
    said: dict[str, Any] = {
        "ContentType": "text/plain; charset=utf-8",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "Expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        "Metadata": {"mtime": "1.5", "a-b": "x, y"},
    }
    put = s3.put_object(Bucket=BUCKET, Key="a/b c+é.txt", Body=b"hello", Tagging="t=1&u=2", **said)
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    got = s3.get_object(Bucket=BUCKET, Key="a/b c+é.txt")
    assert got["Body"].read() == b"hello"
    assert {name: got[name] for name in said} == said  # type: ignore[literal-required]  # names from above
    assert got["TagCount"] == 2
    assert got["ETag"] == put["ETag"]
    assert got["AcceptRanges"] == "bytes"
    head = s3.head_object(Bucket=BUCKET, Key="a/b c+é.txt")
    assert head["ContentLength"] == 5
    for name in (*said, "ETag", "LastModified"):
        assert head[name] == got[name], name  # type: ignore[literal-required]  # names from above


def test_an_object_without_a_type_has_the_one_that_s3_gives(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    got = s3.get_object(Bucket=BUCKET, Key="a")
    assert (got["ContentType"], got["ContentLength"], got["Body"].read()) == ("binary/octet-stream", 0, b"")


@hypothesis_settings(max_examples=40)
@given(keys.filter(lambda key: ".nearside" not in key), st.binary(max_size=300))
def test_every_key_and_every_body(key: str, body: bytes) -> None:
    s3 = Gateway().client()
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == [key]
    assert [each["Key"] for each in s3.list_objects(Bucket=BUCKET)["Contents"]] == [key]
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": key})
    assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == body


def test_aws_chunked_is_no_encoding_of_the_object(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 1000, ContentEncoding="gzip", ChecksumAlgorithm="CRC32")
    assert "aws-chunked" in gateway.sent["headers"]["content-encoding"]
    assert s3.get_object(Bucket=BUCKET, Key="a")["ContentEncoding"] == "gzip"
    s3.put_object(Bucket=BUCKET, Key="b", Body=b"x" * 1000, ChecksumAlgorithm="CRC32")
    assert "ContentEncoding" not in s3.head_object(Bucket=BUCKET, Key="b")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_kept_and_told_to_who_asks(s3: "S3Client", algorithm: Any) -> None:
    put: Any = s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 1000, ChecksumAlgorithm=algorithm)
    name = f"Checksum{algorithm}"
    assert put[name]
    assert put["ChecksumType"] == "FULL_OBJECT"
    head: Any = s3.head_object(Bucket=BUCKET, Key="a", ChecksumMode="ENABLED")
    assert head[name] == put[name]
    got: Any = s3.get_object(Bucket=BUCKET, Key="a", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"x" * 1000  # botocore compares
    assert got[name] == put[name]
    assert name not in s3.get_object(Bucket=BUCKET, Key="a", Range="bytes=0-1", ChecksumMode="ENABLED")
    plain: Any = s3.get_object_attributes(Bucket=BUCKET, Key="a", ObjectAttributes=["Checksum", "ObjectSize", "ETag"])
    assert (plain["Checksum"][name], plain["ObjectSize"]) == (put[name], 1000)
    assert plain["ETag"] == put["ETag"].strip('"')
    listed: Any = s3.list_objects_v2(Bucket=BUCKET)["Contents"][0]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")


def test_a_client_that_wants_no_checksums_is_told_none(gateway: Gateway) -> None:
    s3 = gateway.client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    s3.get_object(Bucket=BUCKET, Key="a")
    assert [name for name in gateway.last["headers"] if "checksum" in name] == []


@pytest.mark.parametrize(
    ("asked", "body", "said"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-30", b"0123456789", "bytes 0-9/10"),
        ("bytes=0-9", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_a_range(s3: "S3Client", asked: str, body: bytes, said: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"0123456789")
    got = s3.get_object(Bucket=BUCKET, Key="a", Range=asked)
    assert (got["Body"].read(), got["ContentRange"], got["ContentLength"]) == (body, said, len(body))
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    head = s3.head_object(Bucket=BUCKET, Key="a", Range=asked)
    assert (head["ContentLength"], head["ResponseMetadata"]["HTTPStatusCode"]) == (len(body), 206)


@pytest.mark.parametrize(
    "asked", ["bytes=4-2", "bytes=0-1,3-4", "bytes=-", "bytes=x", "items=0-1", "0-1", "bytes=1-2-3"]
)
def test_a_range_that_is_none_is_the_whole_object(s3: "S3Client", asked: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"0123456789")
    got = s3.get_object(Bucket=BUCKET, Key="a", Range=asked)
    assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (b"0123456789", 200)


@pytest.mark.parametrize(
    ("size", "asked"), [(10, "bytes=10-"), (10, "bytes=99-100"), (10, "bytes=-0"), (0, "bytes=0-"), (0, "bytes=-1")]
)
def test_a_range_that_is_not_there(s3: "S3Client", size: int, asked: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * size)
    status, code, message = refused(lambda: s3.get_object(Bucket=BUCKET, Key="a", Range=asked))
    assert (status, code) == (416, "InvalidRange")
    assert f"{asked} of {size} bytes" in message


def test_part_number_one_is_all_of_an_object_that_came_whole(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"0123456789")
    got = s3.get_object(Bucket=BUCKET, Key="a", PartNumber=1)
    assert (got["Body"].read(), got["ContentRange"]) == (b"0123456789", "bytes 0-9/10")
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="a", PartNumber=2))[:2] == (501, "NotImplemented")
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="a", PartNumber=1, Range="bytes=0-1"))[0] == 400


def test_what_an_answer_cannot_carry_is_at_a_place(s3: "S3Client") -> None:
    body = bytes(range(256)) * 400
    assert len(body) > MAX_BODY_BYTES
    s3.put_object(Bucket=BUCKET, Key="a", Body=body)
    asked: Any = {"Bucket": BUCKET, "Key": "a"}
    with pytest.raises(ClientError) as caught:
        s3.get_object(**asked, ResponseContentType="text/x")
    assert caught.value.response["Error"]["Code"] == "TemporaryRedirect"
    told = headers(caught.value.response)
    assert told["location"].startswith("https://a.test/photos/a?")
    assert "('response-content-type', 'text/x')" in told["location"]
    assert told["x-backend-used"] == "a"
    assert refused(lambda: s3.get_object(**asked, Range="bytes=1-"))[0] == 307
    last = MAX_BODY_BYTES - 1
    assert s3.get_object(**asked, Range=f"bytes=0-{last}")["Body"].read() == body[: last + 1]
    assert refused(lambda: s3.get_object(**asked, Range=f"bytes=0-{last + 1}"))[0] == 307
    assert s3.head_object(**asked)["ContentLength"] == len(body)
    assert refused(lambda: s3.get_object(**asked, IfMatch='"other"'))[0] == 412


def test_conditions_of_a_read(gateway: Gateway, s3: "S3Client") -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello", CacheControl="max-age=1")["ETag"]
    made = s3.head_object(Bucket=BUCKET, Key="a")["LastModified"]
    get: Any = lambda **conditions: s3.get_object(Bucket=BUCKET, Key="a", **conditions)  # noqa: E731 - said seven times
    assert get(IfMatch=etag)["Body"].read() == b"hello"
    assert refused(lambda: get(IfMatch='"x"'))[:2] == (412, "PreconditionFailed")
    assert refused(lambda: get(IfNoneMatch=etag))[0] == 304
    assert gateway.last["body"] == ""
    assert gateway.last["headers"]["etag"] == etag
    assert gateway.last["headers"]["cache-control"] == "max-age=1"
    assert get(IfNoneMatch='"x"')["ETag"] == etag
    assert refused(lambda: get(IfModifiedSince=made))[0] == 304
    assert get(IfModifiedSince=made - timedelta(seconds=1))["ETag"] == etag
    assert refused(lambda: get(IfUnmodifiedSince=made - timedelta(seconds=1)))[0] == 412
    assert get(IfUnmodifiedSince=made)["ETag"] == etag
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="a", IfNoneMatch=etag))[0] == 304
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="a", IfMatch='"x"'))[0] == 412


@pytest.mark.parametrize(
    "date", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_dates_of_all_three_kinds(date: str) -> None:
    """RFC 9110, 5.6.7."""
    assert seconds_of(date) == 784111777.0
    assert http_date(784111777_999) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert xml_time(784111777_999) == "1994-11-06T08:49:37.000Z"


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Nov 1994 08:49:37 GMT", "1", "é"])
def test_what_is_no_date_is_no_condition(date: str | None) -> None:
    assert seconds_of(date) is None


def test_conditions_of_a_write(s3: "S3Client") -> None:
    first = s3.put_object(Bucket=BUCKET, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    put: Any = lambda **conditions: s3.put_object(Bucket=BUCKET, Key="a", Body=b"2", **conditions)  # noqa: E731 - said four times
    assert refused(lambda: put(IfNoneMatch="*"))[:2] == (412, "PreconditionFailed")
    assert refused(lambda: put(IfMatch='"x"'))[:2] == (412, "PreconditionFailed")
    second = put(IfMatch=first)["ETag"]
    assert refused(lambda: s3.put_object(Bucket=BUCKET, Key="b", Body=b"2", IfMatch=first))[:2] == (404, "NoSuchKey")
    assert refused(lambda: s3.delete_object(Bucket=BUCKET, Key="a", IfMatch=first))[0] == 412
    s3.delete_object(Bucket=BUCKET, Key="a", IfMatch=second)
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="a"))[0] == 404


def test_a_get_says_other_headers_when_it_is_asked_to(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello", ContentType="text/plain")
    got = s3.get_object(
        Bucket=BUCKET,
        Key="a",
        ResponseContentType="text/x",
        ResponseCacheControl="no-store",
        ResponseContentDisposition='attachment; filename="é.txt"'.encode("ascii", "replace").decode(),
    )
    assert (got["ContentType"], got["CacheControl"]) == ("text/x", "no-store")
    assert got["ContentDisposition"] == 'attachment; filename="?.txt"'
    for text in ("a\r\nSet-Cookie: x=1", "é"):
        call = lambda text=text: s3.get_object(Bucket=BUCKET, Key="a", ResponseContentType=text)  # noqa: E731 - one of two
        assert refused(call)[:2] == (400, "InvalidArgument")


def test_what_is_not_there(s3: "S3Client") -> None:
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="a"))[:2] == (404, "NoSuchKey")
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="a"))[:2] == (404, "404")
    assert refused(lambda: s3.get_object(Bucket="nowhere", Key="a"))[:2] == (404, "NoSuchBucket")
    assert refused(lambda: s3.put_object(Bucket="nowhere", Key="a"))[:2] == (404, "NoSuchBucket")
    assert refused(lambda: s3.delete_object(Bucket="nowhere", Key="a"))[:2] == (404, "NoSuchBucket")
    assert refused(lambda: s3.get_object_tagging(Bucket=BUCKET, Key="a"))[:2] == (404, "NoSuchKey")
    assert s3.delete_object(Bucket=BUCKET, Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_deleted_object_is_gone(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    s3.delete_object(Bucket=BUCKET, Key="a")
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="a"))[:2] == (404, "NoSuchKey")


def test_the_answers_say_where_the_object_is(gateway: Gateway, s3: "S3Client") -> None:
    put = headers(s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello"))
    assert put["x-backend-count"] == "2"
    assert put["x-backend-zones"] == "zone-a,zone-b"
    assert put["x-replication-status"] == "complete"
    assert put["x-replication-detail"] == "a=COMPLETED, b=COMPLETED, c=PENDING"
    assert headers(s3.get_object(Bucket=BUCKET, Key="a"))["x-backend-used"] == "a"
    gateway.stores[0].locked = True
    got = s3.get_object(Bucket=BUCKET, Key="a")
    assert (headers(got)["x-backend-used"], got["Body"].read()) == ("b", b"hello")


def asking(s3: "S3Client", event: str, **wanted: str) -> None:
    """Puts headers into every request of that operation, as a caller of the gateway's own ones does."""
    names = {name.replace("_", "-"): value for name, value in wanted.items()}

    def add(request: AWSRequest, **_: object) -> None:
        for name, value in names.items():
            del request.headers[name]
            request.headers[name] = value

    s3.meta.events.register(f"before-sign.s3.{event}", add)


def test_a_write_quorum_is_kept_or_is_an_error(gateway: Gateway) -> None:
    all_three, too_many = gateway.client(), gateway.client()
    asking(all_three, "PutObject", X_Write_Quorum="3")
    assert headers(all_three.put_object(Bucket=BUCKET, Key="a", Body=b"1"))["x-backend-count"] == "3"
    gateway.stores[1].locked = True
    assert refused(lambda: all_three.put_object(Bucket=BUCKET, Key="b", Body=b"1"))[0] == 503
    asking(too_many, "PutObject", X_Write_Quorum="4")
    status, code, message = refused(lambda: too_many.put_object(Bucket=BUCKET, Key="c", Body=b"1"))
    assert (status, code) == (400, "InvalidArgument")
    assert "'4': expected a number from 1 to 3" in message


def test_a_verified_read_never_gives_wrong_bytes(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    gateway.stores[0].wrong = True
    asking(s3, "GetObject", X_Read_Consistency="verified")
    got = s3.get_object(Bucket=BUCKET, Key="a")
    assert (got["Body"].read(), headers(got)["x-backend-used"]) == (b"hello", "b")
    unknown = gateway.client()
    asking(unknown, "GetObject", X_Read_Consistency="perfect")
    status, _, message = refused(lambda: unknown.get_object(Bucket=BUCKET, Key="a"))
    assert status == 400
    assert "'perfect': expected any, latest or verified" in message


@pytest.mark.parametrize(
    "said",
    [
        {"ACL": "public-read"},
        {"StorageClass": "GLACIER"},
        {"ServerSideEncryption": "AES256"},
        {"WebsiteRedirectLocation": "/b"},
        {"GrantRead": "id=1"},
        {"ObjectLockLegalHoldStatus": "ON"},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
        {"ExpectedBucketOwner": "111122223333"},
        {"WriteOffsetBytes": 5},
    ],
    ids=lambda said: next(iter(said)),
)
def test_what_cannot_be_done_is_refused_by_its_name(s3: "S3Client", said: dict[str, Any]) -> None:
    status, code, message = refused(lambda: s3.put_object(Bucket=BUCKET, Key="a", Body=b"1", **said))
    assert (status, code) == (501, "NotImplemented")
    assert "x-amz-" in message
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="a"))[0] == 404


def test_what_asks_for_nothing_is_let_pass(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1", ACL="private", StorageClass="STANDARD", RequestPayer="requester")


def test_metadata_has_its_limits(s3: "S3Client") -> None:
    put: Any = lambda **metadata: s3.put_object(Bucket=BUCKET, Key="a", Metadata=metadata)  # noqa: E731 - said three times
    put(k="v" * 1999)
    assert s3.head_object(Bucket=BUCKET, Key="a")["Metadata"] == {"k": "v" * 1999}
    status, code, message = refused(lambda: put(k="v" * 2000))
    assert (status, code) == (400, "MetadataTooLarge")
    assert "2001 bytes, and the limit is 2000" in message
    assert refused(lambda: put(**{"nearside-generation": "1"}))[:2] == (400, "InvalidArgument")


def test_tags(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1", Tagging="x=1")
    named: Any = {"Bucket": BUCKET, "Key": "a"}
    assert s3.get_object_tagging(**named)["TagSet"] == [{"Key": "x", "Value": "1"}]
    wanted: Any = [{"Key": "a b", "Value": "<&>"}, {"Key": "c", "Value": ""}]
    assert refused(lambda: s3.put_object_tagging(**named, Tagging={"TagSet": wanted}))[:2] == (400, "InvalidTag")
    wanted[0]["Value"] = "c+d"
    s3.put_object_tagging(**named, Tagging={"TagSet": wanted})
    assert s3.get_object_tagging(**named)["TagSet"] == wanted
    assert s3.get_object(**named)["TagCount"] == 2
    s3.delete_object_tagging(**named)
    assert s3.get_object_tagging(**named)["TagSet"] == []
    assert "TagCount" not in s3.get_object(**named)
    gone: Any = {"Bucket": BUCKET, "Key": "gone"}
    assert refused(lambda: s3.put_object_tagging(**gone, Tagging={"TagSet": []}))[:2] == (404, "NoSuchKey")


def test_who_owns_an_object(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a")
    for acl in (s3.get_object_acl(Bucket=BUCKET, Key="a"), s3.get_bucket_acl(Bucket=BUCKET)):
        assert acl["Owner"]["ID"] == "nearside"
        (grant,) = acl["Grants"]
        assert grant["Permission"] == "FULL_CONTROL"
        assert (grant["Grantee"]["ID"], grant["Grantee"]["Type"]) == ("nearside", "CanonicalUser")
    assert refused(lambda: s3.get_object_acl(Bucket=BUCKET, Key="gone"))[:2] == (404, "NoSuchKey")


def source(key: str = "a", bucket: str = BUCKET) -> Any:
    return {"Bucket": bucket, "Key": key}


def test_a_copy_has_what_its_source_has_or_what_is_said(s3: "S3Client") -> None:
    s3.put_object(
        Bucket=BUCKET, Key="a", Body=b"hello", ContentType="text/x", Metadata={"m": "1"}, Tagging="t=1",
        ChecksumAlgorithm="SHA256",
    )  # fmt: skip
    copied: Any = s3.copy_object(Bucket=BUCKET, Key="b", CopySource=source())
    head: Any = s3.head_object(Bucket=BUCKET, Key="b", ChecksumMode="ENABLED")
    assert copied["CopyObjectResult"]["ETag"] == head["ETag"]
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == head["ChecksumSHA256"]
    assert copied["CopyObjectResult"]["LastModified"] == head["LastModified"]
    assert (head["ContentType"], head["Metadata"], head["TagCount"]) == ("text/x", {"m": "1"}, 1)
    s3.copy_object(
        Bucket=BUCKET, Key="c", CopySource=f"/{BUCKET}/a", MetadataDirective="REPLACE", Metadata={"n": "2"},
        TaggingDirective="REPLACE", Tagging="u=1&v=2",
    )  # fmt: skip
    head = s3.head_object(Bucket=BUCKET, Key="c")
    assert (head["ContentType"], head["Metadata"], head["TagCount"]) == ("binary/octet-stream", {"n": "2"}, 2)
    assert s3.get_object(Bucket=BUCKET, Key="c")["Body"].read() == b"hello"


def test_a_copy_to_itself_has_to_change_something(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    assert refused(lambda: s3.copy_object(Bucket=BUCKET, Key="a", CopySource=source()))[:2] == (400, "InvalidRequest")
    s3.copy_object(Bucket=BUCKET, Key="a", CopySource=source(), MetadataDirective="REPLACE", Metadata={"mtime": "2"})
    got = s3.get_object(Bucket=BUCKET, Key="a")
    assert (got["Body"].read(), got["Metadata"]) == (b"hello", {"mtime": "2"})


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"CopySource": {"Bucket": BUCKET, "Key": "gone"}}, 404, "NoSuchKey"),
        ({"CopySource": {"Bucket": "nowhere", "Key": "a"}}, 404, "NoSuchBucket"),
        ({"CopySource": {"Bucket": BUCKET, "Key": "a", "VersionId": "1"}}, 501, "NotImplemented"),
        ({"CopySource": BUCKET}, 400, "InvalidArgument"),
        ({"CopySource": f"{BUCKET}/.nearside/x"}, 400, "InvalidArgument"),
        ({"CopySource": f"{BUCKET}/a", "MetadataDirective": "MOVE"}, 400, "InvalidArgument"),
        ({"CopySource": f"{BUCKET}/a", "CopySourceIfMatch": '"x"'}, 412, "PreconditionFailed"),
        ({"CopySource": f"{BUCKET}/a", "CopySourceIfNoneMatch": "*"}, 412, "PreconditionFailed"),
        ({"CopySource": f"{BUCKET}/a", "CopySourceIfUnmodifiedSince": datetime(2020, 1, 1)}, 412, "PreconditionFailed"),  # noqa: DTZ001 - UTC to botocore
        ({"CopySource": f"{BUCKET}/a", "IfNoneMatch": "*"}, 412, "PreconditionFailed"),
        ({"CopySource": f"{BUCKET}/a", "ChecksumAlgorithm": "SHA256"}, 501, "NotImplemented"),
        ({"CopySource": f"{BUCKET}/a", "StorageClass": "GLACIER"}, 501, "NotImplemented"),
    ],
)
def test_a_copy_that_is_refused(s3: "S3Client", asked: dict[str, Any], status: int, code: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    s3.put_object(Bucket=BUCKET, Key="b", Body=b"before")
    assert refused(lambda: s3.copy_object(Bucket=BUCKET, Key="b", **asked))[:2] == (status, code)
    assert s3.get_object(Bucket=BUCKET, Key="b")["Body"].read() == b"before"


def test_a_source_is_decoded_and_its_plus_is_a_plus(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a+b", Body=b"hello")
    for written in ("photos/a+b", "/photos/a%2Bb", "photos%2Fa%2bb"):
        named = gateway.client()
        asking(named, "CopyObject", x_amz_copy_source=written)
        named.copy_object(Bucket=BUCKET, Key="c", CopySource=source())
    asking(s3, "CopyObject", x_amz_copy_source="photos/%FF")
    assert refused(lambda: s3.copy_object(Bucket=BUCKET, Key="c", CopySource=source()))[:2] == (400, "InvalidArgument")


def deleted(s3: "S3Client", *names: str, **more: Any) -> Any:
    wanted: Any = {"Objects": [{"Key": name} for name in names], **more}
    return s3.delete_objects(Bucket=BUCKET, Delete=wanted)


def test_many_are_deleted_at_once(s3: "S3Client") -> None:
    for name in ("a", "b<&>", "c\nd"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"1")
    answer = deleted(s3, "a", "b<&>", "c\nd", "gone")
    assert [each["Key"] for each in answer["Deleted"]] == ["a", "b<&>", "c\nd", "gone"]
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert "Deleted" not in deleted(s3, "a", Quiet=True)


def test_each_of_many_has_an_outcome_of_its_own(gateway: Gateway) -> None:
    s3 = gateway.client(access_key(KeyRule(buckets=["*"], actions=["write", "delete"], prefixes=["mine/"])))
    s3.put_object(Bucket=BUCKET, Key="mine/a", Body=b"1")
    objects: Any = [
        {"Key": "mine/a"},
        {"Key": "yours/a"},
        {"Key": "mine/b", "VersionId": "1"},
        {"Key": "mine/" + "k" * 1024},
        {"Key": "mine/c", "ETag": "x"},
        {"Key": ".nearside/x"},
    ]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects, "Quiet": True})
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [
        ("yours/a", "AccessDenied"),
        ("mine/b", "NotImplemented"),
        ("mine/" + "k" * 1024, "KeyTooLongError"),
        ("mine/c", "AccessDenied"),
        (".nearside/x", "InvalidArgument"),
    ]
    assert "Deleted" not in answer


def test_a_fault_at_one_of_many_is_its_own(gateway: Gateway, s3: "S3Client") -> None:
    for name in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"1")
    lease = gateway.records.lease

    def faulty(bucket: str, key: str, *more: Any) -> Any:
        if key == "a":
            raise RuntimeError("something that nobody thought of")
        return lease(bucket, key, *more)

    gateway.records.lease = faulty  # type: ignore[assignment, method-assign]  # a fault
    answer = deleted(s3, "a", "b")
    assert [each["Key"] for each in answer["Deleted"]] == ["b"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("a", "InternalError")]
    assert "nobody thought" not in answer["Errors"][0]["Message"]


def test_a_thousand_and_no_more(s3: "S3Client") -> None:
    assert len(deleted(s3, *map(str, range(1000)))["Deleted"]) == 1000
    assert refused(lambda: deleted(s3, *map(str, range(1001))))[:2] == (400, "MalformedXML")


def test_an_object_that_is_replaced_while_it_is_read_is_read_again(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    left = [b"2", b"3", b"4"]

    def replace(method: str, when: str) -> None:
        if method == "get" and when == "before" and left:
            gateway.stores[1].fault = gateway.stores[0].fault = lambda *_: None
            gateway.client().put_object(Bucket=BUCKET, Key="a", Body=left.pop(0))
            gateway.stores[1].fault = gateway.stores[0].fault = replace
            raise Unreachable("it was cut off")

    gateway.stores[1].fault = gateway.stores[0].fault = replace
    first = s3.get_object(Bucket=BUCKET, Key="a")
    assert (first["Body"].read(), first["ETag"]) in {
        (body, f'"{hashlib.md5(body).hexdigest()}"') for body in (b"2", b"3", b"4")
    }
    assert left != [b"2", b"3", b"4"]


def test_when_the_catalog_is_down_a_client_is_to_try_again(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    gateway.records.down = True
    for call in (
        lambda: s3.get_object(Bucket=BUCKET, Key="a"),
        lambda: s3.put_object(Bucket=BUCKET, Key="a", Body=b"2"),
        lambda: s3.list_objects_v2(Bucket=BUCKET),
    ):
        assert refused(call)[:2] == (503, "ServiceUnavailable")


def test_when_no_place_answers_it_is_not_missing(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")

    def down(method: str, when: str) -> None:
        raise Unreachable("no answer")

    for store in gateway.stores:
        store.fault = down
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="a"))[:2] == (503, "ServiceUnavailable")
    assert refused(lambda: s3.put_object(Bucket=BUCKET, Key="b", Body=b"2"))[:2] == (500, "InternalError")

"""The suite, over every place and the gateway: objects, their keys, headers, conditions and checksums."""

import base64
import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.endpoints import Endpoint, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = bytes(range(256)) * 40
KEYS = {
    "unicode": "ünïcode/日本語/🙂.txt",
    "combining": "e\u0301 and \u00e9.txt",
    "space": "a b/ c .txt",
    "plus": "a+b+c.txt",
    "percent": "100%/%20/%2F.txt",
    "question mark": "what?/really?x=y&z.txt",
    "hash": "a#b#.txt",
    "ampersand": "a&b=c;d:e@f!g$h,i.txt",
    "quotes": "'single' \"double\" `back`.txt",
    "brackets": "{a}[b]<c>(d)|e^f~g*.txt",
    "backslash": "a\\b.txt",
    "dots in a name": "a..b/...c.txt",
    "tab": "tab\there.txt",
    "a kilobyte": "k" * 200 + "/" + "ü" * 100 + "/" + "l" * 200 + "/" + "m" * 200 + "/" + "n" * 220,
}
ODD_KEYS = {
    "double slash": "a//b.txt",
    "leading slash": "/a.txt",
    "trailing slash": "folder/",
    "only a slash": "/",
    "dot segments": "a/./b/../c.txt",
}
ALGORITHMS = ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")


def test_what_is_put_can_be_got(s3: "S3Client", bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="a.bin", Body=BODY)
    got = s3.get_object(Bucket=bucket, Key="a.bin")
    assert got["Body"].read() == BODY
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
    assert got["ContentLength"] == len(BODY)
    assert abs(got["LastModified"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert got["AcceptRanges"] == "bytes"


def test_a_head_tells_what_a_get_would(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a.bin", Body=BODY)
    got, head = s3.get_object(Bucket=bucket, Key="a.bin"), s3.head_object(Bucket=bucket, Key="a.bin")
    for name in ("ETag", "ContentLength", "LastModified", "ContentType"):
        assert head[name] == got[name]


def test_an_empty_object_is_one(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    assert s3.head_object(Bucket=bucket, Key="empty")["ContentLength"] == 0


def test_the_newest_of_two_writes_is_got(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"first, and longer")
    s3.put_object(Bucket=bucket, Key="a", Body=b"second")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"second"
    assert s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == 6


def test_a_deleted_object_is_gone_and_may_be_written_again(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert s3.delete_object(Bucket=bucket, Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="a")
    assert refusal(caught.value) == (404, "NoSuchKey")
    s3.put_object(Bucket=bucket, Key="a", Body=b"2")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"2"


def test_deleting_what_is_not_there_is_no_error(s3: "S3Client", bucket: str) -> None:
    assert s3.delete_object(Bucket=bucket, Key="never")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_what_is_not_there_is_missing(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="never")
    assert refusal(caught.value) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket=bucket, Key="never")
    assert refusal(caught.value) == (404, "404")
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="no-such-bucket-here", Key="never")
    assert refusal(caught.value) == (404, "NoSuchBucket")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="no-such-bucket-here", Key="a", Body=b"1")
    assert refusal(caught.value) == (404, "NoSuchBucket")


def check_key(s3: "S3Client", bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    listed = s3.list_objects_v2(Bucket=bucket)
    assert [each["Key"] for each in listed["Contents"]] == [key]
    assert [each["Key"] for each in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key=f"{key}.copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key=f"{key}.copy")["Body"].read() == key.encode()
    s3.delete_object(Bucket=bucket, Key=f"{key}.copy")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("name", [each for each in KEYS if each != "a kilobyte"])
def test_a_hard_key_is_a_key(s3: "S3Client", bucket: str, name: str) -> None:
    check_key(s3, bucket, KEYS[name])


@pytest.mark.needs("any_key")
@pytest.mark.parametrize("name", ODD_KEYS)
def test_a_key_that_is_no_path_of_a_file_is_a_key(s3: "S3Client", bucket: str, name: str) -> None:
    check_key(s3, bucket, ODD_KEYS[name])


def test_a_key_has_1024_bytes_and_no_more(s3: "S3Client", bucket: str) -> None:
    key = KEYS["a kilobyte"]
    assert len(key.encode()) == 1024
    s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key=f"{key}k", Body=b"1")
    assert refusal(caught.value) == (400, "KeyTooLongError")


def test_a_key_beside_a_longer_one_and_a_folder_of_its_name(s3: "S3Client", bucket: str) -> None:
    for key in ("a", "a/b", "a/b/c", "ab"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.delete_object(Bucket=bucket, Key="a/b")
    found = {each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert found == {"a", "a/b/c", "ab"}
    assert s3.get_object(Bucket=bucket, Key="a/b/c")["Body"].read() == b"a/b/c"


def test_standard_headers_come_back(s3: "S3Client", bucket: str) -> None:
    headers: dict[str, Any] = {
        "CacheControl": "max-age=60, public",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "identity",
        "ContentLanguage": "de-CH",
        "ContentType": "text/plain; charset=utf-8",
    }
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", Expires=expires, **headers)
    for answer in (s3.get_object(Bucket=bucket, Key="a"), s3.head_object(Bucket=bucket, Key="a")):
        assert {name: answer.get(name) for name in headers} == headers
        assert answer.get("ExpiresString") == "Wed, 02 Jan 2030 03:04:05 GMT"


def test_without_a_content_type_it_is_binary(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a.unknown", Body=b"1")
    assert s3.head_object(Bucket=bucket, Key="a.unknown")["ContentType"] == "binary/octet-stream"


def test_metadata_comes_back(s3: "S3Client", bucket: str) -> None:
    metadata = {"plain": "value", "with-dash_and.dot": "spaces  inside, commas; and = signs", "number": "7"}
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", Metadata=metadata)
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == metadata
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {}


def test_too_much_metadata_is_refused(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="a", Body=b"1", Metadata={"long": "x" * 2100})
    assert refusal(caught.value) == (400, "MetadataTooLarge")


RANGES = {
    "bytes=0-0": (0, 0),
    "bytes=5-9": (5, 9),
    "bytes=100-": (100, 10_239),
    "bytes=-7": (10_233, 10_239),
    "bytes=-99999": (0, 10_239),
    "bytes=10000-99999": (10_000, 10_239),
    "bytes=0-10239": (0, 10_239),
}


@pytest.mark.parametrize("asked", RANGES)
def test_a_range_is_a_part_of_it(s3: "S3Client", bucket: str, asked: str) -> None:
    first, last = RANGES[asked]
    s3.put_object(Bucket=bucket, Key="a", Body=BODY)
    got = s3.get_object(Bucket=bucket, Key="a", Range=asked)
    assert got["Body"].read() == BODY[first : last + 1]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {first}-{last}/{len(BODY)}"
    assert got["ContentLength"] == last - first + 1


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(s3: "S3Client", bucket: str, asked: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=BODY)
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="a", Range=asked)
    assert refusal(caught.value) == (416, "InvalidRange")


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=a-b", "lines=1-2"])
def test_a_range_that_is_none_is_ignored(s3: "S3Client", bucket: str, asked: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=BODY)
    got = s3.get_object(Bucket=bucket, Key="a", Range=asked)
    assert (got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()) == (200, BODY)


def test_a_head_of_a_range_has_its_length(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=BODY)
    head = s3.head_object(Bucket=bucket, Key="a", Range="bytes=10-19")
    assert head["ContentLength"] == 10


HOUR, NOW = timedelta(hours=1), timedelta(0)
READS: dict[str, tuple[dict[str, Any], int]] = {
    "If-Match right": ({"IfMatch": "right"}, 200),
    "If-Match any": ({"IfMatch": "*"}, 200),
    "If-Match wrong": ({"IfMatch": '"wrong"'}, 412),
    "If-None-Match wrong": ({"IfNoneMatch": '"wrong"'}, 200),
    "If-None-Match right": ({"IfNoneMatch": "right"}, 304),
    "If-None-Match any": ({"IfNoneMatch": "*"}, 304),
    "If-Modified-Since before": ({"IfModifiedSince": -HOUR}, 200),
    "If-Modified-Since now": ({"IfModifiedSince": NOW}, 304),
    "If-Unmodified-Since now": ({"IfUnmodifiedSince": NOW}, 200),
    "If-Unmodified-Since before": ({"IfUnmodifiedSince": -HOUR}, 412),
    # RFC 9110, 13.2.2: the ETag's condition goes before the time's.
    "If-Match right, changed since": ({"IfMatch": "right", "IfUnmodifiedSince": -HOUR}, 200),
    "If-None-Match wrong, not changed since": ({"IfNoneMatch": '"wrong"', "IfModifiedSince": HOUR}, 200),
    "If-None-Match right, changed since": ({"IfNoneMatch": "right", "IfModifiedSince": -HOUR}, 304),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("method", ["get", "head"])
def test_a_read_on_conditions(s3: "S3Client", bucket: str, method: str, name: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=BODY)["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    conditions, status = READS[name]
    asked = {
        condition: modified + value if isinstance(value, timedelta) else etag if value == "right" else value
        for condition, value in conditions.items()
    }
    try:
        answer = getattr(s3, f"{method}_object")(Bucket=bucket, Key="a", **asked)
        answered = answer["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        answered = refusal(error)[0]
    assert answered == status


@pytest.mark.needs("conditional_writes")
def test_a_write_on_conditions(s3: "S3Client", bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    for conditions in ({"IfNoneMatch": "*"}, {"IfMatch": '"wrong"'}):
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket=bucket, Key="a", Body=b"2", **conditions)  # type: ignore[arg-type]  # of two kinds
        assert refusal(caught.value) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    s3.put_object(Bucket=bucket, Key="a", Body=b"3", IfMatch=first)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"3"
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="never", Body=b"1", IfMatch=first)
    assert refusal(caught.value) == (404, "NoSuchKey")


def test_a_get_may_ask_for_other_headers(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="a",
        ResponseContentType="application/pdf",
        ResponseContentDisposition="attachment; filename=x.pdf",
        ResponseCacheControl="no-store",
        ResponseContentLanguage="fr",
    )
    assert got["ContentType"] == "application/pdf"
    assert got["ContentDisposition"] == "attachment; filename=x.pdf"
    assert got["CacheControl"] == "no-store"
    assert got["ContentLanguage"] == "fr"


def test_a_body_that_is_not_what_its_md5_says_is_refused(s3: "S3Client", bucket: str) -> None:
    right = base64.b64encode(hashlib.md5(b"1").digest()).decode()
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", ContentMD5=right)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="a", Body=b"2", ContentMD5=right)
    assert refusal(caught.value) == (400, "BadDigest")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="a", Body=b"2", ContentMD5="none")
    assert refusal(caught.value) == (400, "InvalidDigest")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


@pytest.mark.needs("checksum_headers")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_is_kept(s3: "S3Client", bucket: str, algorithm: Any) -> None:
    field = f"Checksum{algorithm}"
    put = dict(s3.put_object(Bucket=bucket, Key="a", Body=BODY, ChecksumAlgorithm=algorithm))
    assert put[field]
    head = dict(s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED"))
    assert head[field] == put[field]
    got: dict[str, Any] = dict(s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED"))
    assert got[field] == put[field]
    assert got["Body"].read() == BODY  # boto3 compares as it reads
    assert field not in s3.head_object(Bucket=bucket, Key="a")


@pytest.mark.needs("checksum_headers")
def test_a_body_that_is_not_what_its_checksum_says_is_refused(s3: "S3Client", bucket: str) -> None:
    crc32 = base64.b64encode(zlib.crc32(b"1").to_bytes(4)).decode()
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", ChecksumCRC32=crc32)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="a", Body=b"2", ChecksumCRC32=crc32)
    assert refusal(caught.value) == (400, "BadDigest")
    sha256 = base64.b64encode(hashlib.sha256(b"1").digest()).decode()
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="a", Body=b"2", ChecksumSHA256=sha256)
    assert refusal(caught.value) == (400, "BadDigest")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


@pytest.mark.needs("tagging")
def test_tags_come_and_go(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", Tagging="first=1&second=a%20b%2Bc")
    tags = s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]
    assert {each["Key"]: each["Value"] for each in tags} == {"first": "1", "second": "a b+c"}
    assert s3.get_object(Bucket=bucket, Key="a")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "third", "Value": ""}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == [{"Key": "third", "Value": ""}]
    s3.delete_object_tagging(Bucket=bucket, Key="a")
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == []
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


@pytest.mark.needs("tagging")
def test_too_many_tags_are_refused(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    tags: Any = {"TagSet": [{"Key": str(number), "Value": "v"} for number in range(11)]}
    with pytest.raises(ClientError) as caught:
        s3.put_object_tagging(Bucket=bucket, Key="a", Tagging=tags)
    assert refusal(caught.value)[0] == 400
    with pytest.raises(ClientError) as caught:
        s3.get_object_tagging(Bucket=bucket, Key="never")
    assert refusal(caught.value) == (404, "NoSuchKey")


def test_a_large_body_waits_to_be_asked_for(endpoint: Endpoint, bucket: str) -> None:
    s3, body = endpoint.client(), BODY * 200  # boto3 sends `Expect: 100-continue` with every body
    s3.put_object(Bucket=bucket, Key="a", Body=body)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == body

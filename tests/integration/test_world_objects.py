"""S3 of a region as boto3 sees it: every key S3 allows, listings, versions, checksums, redirects, CORS."""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.exceptions import ConnectionError as BotoConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.identities import WORLD
from local.world import World
from tests.conftest import MakeClient
from tests.integration.http_client import get, send
from tests.integration.signing_v4a import sign

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

HARD_KEYS = [
    "with space",
    "plus+plus",
    "100%",
    "%41%2F",
    "hash#tag",
    "what?a=b",
    "double//slash",
    "/leading",
    "//two",
    "trailing/",
    ".",
    "..",
    "../up",
    "a/./b/../c",
    "semi;colon:a@b&c=d,e$f!g*h'i(j)",
    "~tilde-dash_under.dot",
    'quote"<>&\\^`{|}[]',
    "Grüße/東京/𝄞",
    "e\u0301 decomposed",
    "tab\tkey",
    "x" * 1024,
    "é" * 512,
]


@pytest.fixture
def bucket(world: World) -> str:
    return world.buckets["eu-west-2"]


@pytest.fixture
def folder() -> str:
    """A prefix that no other test uses."""
    return f"t{uuid4().hex[:8]}/"


@pytest.mark.parametrize("key", HARD_KEYS, ids=range(len(HARD_KEYS)))
def test_every_key_survives(eu: "S3Client", bucket: str, key: str) -> None:
    body = key.encode() + b"!"
    eu.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"a": "b"})
    assert eu.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert eu.head_object(Bucket=bucket, Key=key)["Metadata"] == {"a": "b"}
    assert key in [item["Key"] for item in eu.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    url = eu.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    assert get(url).body == body
    eu.delete_object(Bucket=bucket, Key=key)
    # Other tests' keys may begin so too.
    assert key not in [item["Key"] for item in eu.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", ())]


def test_a_longer_key_is_refused(eu: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError, match="KeyTooLongError"):
        eu.put_object(Bucket=bucket, Key="é" * 512 + "x", Body=b"")


def test_a_key_that_is_no_utf8_is_refused(world: World, bucket: str) -> None:
    assert get(f"{world.place_urls['eu-west-2']}/{bucket}/%ff").code == (400, "InvalidURI")


def test_headers_come_back(eu: "S3Client", bucket: str, folder: str) -> None:
    eu.put_object(
        Bucket=bucket,
        Key=folder + "a",
        Body=b"x",
        ContentType="text/plain",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a.txt"',
        Metadata={"my_colour": "red"},
        Tagging="one=1",
    )
    found = eu.get_object(Bucket=bucket, Key=folder + "a")
    assert (found["ContentType"], found["CacheControl"]) == ("text/plain", "max-age=60")
    assert found["ContentDisposition"] == 'attachment; filename="a.txt"'
    assert found["Metadata"] == {"my_colour": "red"}
    assert eu.get_object_tagging(Bucket=bucket, Key=folder + "a")["TagSet"] == [{"Key": "one", "Value": "1"}]
    unlike_s3 = {"x-amz-content-sha256", "content-md5", "x-amz-sdk-checksum-algorithm", "x-amzn-requestid"}
    assert not unlike_s3 & set(found["ResponseMetadata"]["HTTPHeaders"])


def test_overrides_of_the_answers_headers(eu: "S3Client", bucket: str) -> None:
    parameters = {"Bucket": bucket, "Key": "docs/guide.txt", "ResponseContentType": "text/markdown"}
    answer = get(eu.generate_presigned_url("get_object", Params=parameters))
    assert answer.headers["content-type"] == "text/markdown"
    # moto alone calls this SignatureDoesNotMatch, as it finds "content-type=" in the query of a missing key.
    missing = get(eu.generate_presigned_url("get_object", Params=parameters | {"Key": "docs/none"}))
    assert missing.code == (404, "NoSuchKey")


def test_curls_form_type_keeps_the_body(eu: "S3Client", bucket: str, folder: str) -> None:
    url = eu.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": folder + "curl"})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send("PUT", url, b"key=value&a", headers).status == 200
    found = eu.get_object(Bucket=bucket, Key=folder + "curl")
    assert (found["Body"].read(), found["ContentType"]) == (b"key=value&a", "application/x-www-form-urlencoded")


def test_ranges_and_conditions(eu: "S3Client", bucket: str, folder: str) -> None:
    etag = eu.put_object(Bucket=bucket, Key=folder + "a", Body=b"0123456789")["ETag"]
    assert eu.get_object(Bucket=bucket, Key=folder + "a", Range="bytes=2-4")["Body"].read() == b"234"
    with pytest.raises(ClientError, match="304"):
        eu.get_object(Bucket=bucket, Key=folder + "a", IfNoneMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        eu.put_object(Bucket=bucket, Key=folder + "a", Body=b"x", IfNoneMatch="*")
    # The connection is still in step after an answer that has no body.
    assert eu.get_object(Bucket=bucket, Key=folder + "a")["Body"].read() == b"0123456789"


@pytest.fixture
def four(eu: "S3Client", bucket: str, folder: str) -> str:
    for name in ("a.txt", "b/1", "b/2", "c.txt"):
        eu.put_object(Bucket=bucket, Key=folder + name, Body=b"x")
    return folder


def _page(client: "S3Client", bucket: str, folder: str, **more: Any) -> tuple[list[str], str | None]:
    page = client.list_objects_v2(Bucket=bucket, Prefix=folder, Delimiter="/", **more)
    names = [item["Key"] for item in page.get("Contents", [])] + [p["Prefix"] for p in page.get("CommonPrefixes", [])]
    assert page["KeyCount"] == len(names)
    return sorted(name.removeprefix(folder) for name in names), page.get("NextContinuationToken")


def test_listing_by_level(eu: "S3Client", bucket: str, four: str) -> None:
    assert _page(eu, bucket, four) == (["a.txt", "b/", "c.txt"], None)
    assert _page(eu, bucket, four, StartAfter=four + "b/1") == (["b/", "c.txt"], None)
    assert _page(eu, bucket, four, MaxKeys=0) == ([], None)


def test_listing_page_by_page(eu: "S3Client", bucket: str, four: str) -> None:
    found: list[list[str]] = []
    token: dict[str, str] = {}
    while len(found) < 5:
        names, following = _page(eu, bucket, four, MaxKeys=1, **token)
        found.append(names)
        if following is None:
            break
        token = {"ContinuationToken": following}
    assert found == [["a.txt"], ["b/"], ["c.txt"]]
    with pytest.raises(ClientError, match="InvalidArgument"):
        _page(eu, bucket, four, ContinuationToken="not mine")


def test_an_emptied_folder_is_gone(eu: "S3Client", bucket: str, four: str) -> None:
    for name in ("b/1", "b/2"):
        eu.delete_object(Bucket=bucket, Key=four + name)
    assert _page(eu, bucket, four) == (["a.txt", "c.txt"], None)


def test_listing_many_keys(eu: "S3Client", bucket: str, folder: str) -> None:
    names = [f"{folder}{number:04}" for number in range(120)]
    for name in names:
        eu.put_object(Bucket=bucket, Key=name, Body=b"")
    pages = eu.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=folder, PaginationConfig={"PageSize": 50}
    )
    assert [item["Key"] for page in pages for item in page["Contents"]] == names
    assert len(eu.list_objects(Bucket=bucket, Prefix=folder)["Contents"]) == 120


def test_versions_and_delete_markers(eu: "S3Client", bucket: str, folder: str) -> None:
    key = folder + "a"
    first = eu.put_object(Bucket=bucket, Key=key, Body=b"1")["VersionId"]
    eu.put_object(Bucket=bucket, Key=key, Body=b"2")
    marker = eu.delete_object(Bucket=bucket, Key=key)
    assert marker["DeleteMarker"]
    with pytest.raises(ClientError) as caught:
        eu.get_object(Bucket=bucket, Key=key)
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true"
    assert headers["x-amz-version-id"] == marker["VersionId"]
    assert eu.get_object(Bucket=bucket, Key=key, VersionId=first)["Body"].read() == b"1"
    with pytest.raises(ClientError, match="MethodNotAllowed"):
        eu.get_object(Bucket=bucket, Key=key, VersionId=marker["VersionId"])
    eu.delete_object(Bucket=bucket, Key=key, VersionId=marker["VersionId"])
    assert eu.get_object(Bucket=bucket, Key=key)["Body"].read() == b"2"
    assert len(eu.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]) == 2


def test_deleting_what_is_not_there_leaves_a_marker(eu: "S3Client", bucket: str, folder: str) -> None:
    assert eu.delete_object(Bucket=bucket, Key=folder + "none")["DeleteMarker"]
    objects = [{"Key": folder + "x & <y>"}, {"Key": folder + "z"}]
    eu.put_object(Bucket=bucket, Key=folder + "z", Body=b"")
    deleted = eu.delete_objects(Bucket=bucket, Delete={"Objects": objects})["Deleted"]  # type: ignore[typeddict-item]
    assert [(each["Key"], each["DeleteMarker"]) for each in deleted] == [(each["Key"], True) for each in objects]


def test_multipart(eu: "S3Client", bucket: str, folder: str) -> None:
    key = folder + "big"
    upload = eu.create_multipart_upload(Bucket=bucket, Key=key, ContentType="video/mp4")["UploadId"]
    sizes = (5 * 1024 * 1024, 10)
    parts = [
        {"PartNumber": number, "ETag": eu.upload_part(
            Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=bytes(size))["ETag"]}
        for number, size in enumerate(sizes, 1)
    ]  # fmt: skip
    assert len(eu.list_parts(Bucket=bucket, Key=key, UploadId=upload)["Parts"]) == 2
    done = eu.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
    )
    assert done["ETag"].endswith('-2"')
    found = eu.head_object(Bucket=bucket, Key=key)
    assert (found["ContentLength"], found["ContentType"]) == (sum(sizes), "video/mp4")
    with pytest.raises(ClientError, match="NoSuchUpload"):
        eu.upload_part(Bucket=bucket, Key=key, UploadId="none", PartNumber=1, Body=b"")


def test_copy(eu: "S3Client", bucket: str, folder: str) -> None:
    eu.put_object(Bucket=bucket, Key=folder + "a + b?", Body=b"x", Metadata={"a": "b"})
    eu.copy_object(Bucket=bucket, Key=folder + "c", CopySource={"Bucket": bucket, "Key": folder + "a + b?"})
    assert eu.head_object(Bucket=bucket, Key=folder + "c")["Metadata"] == {"a": "b"}


# Hashes of the body


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def test_content_md5_is_checked(eu: "S3Client", bucket: str, folder: str) -> None:
    eu.put_object(Bucket=bucket, Key=folder + "a", Body=b"x", ContentMD5=_md5(b"x"))
    with pytest.raises(ClientError, match="BadDigest"):
        eu.put_object(Bucket=bucket, Key=folder + "b", Body=b"x", ContentMD5=_md5(b"y"))
    with pytest.raises(ClientError, match="InvalidDigest"):
        eu.put_object(Bucket=bucket, Key=folder + "b", Body=b"x", ContentMD5="eA==")
    assert "Contents" not in eu.list_objects_v2(Bucket=bucket, Prefix=folder + "b")


def test_a_checksum_is_checked_and_remembered(eu: "S3Client", bucket: str, folder: str) -> None:
    good = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    parameters = {"Bucket": bucket, "Key": folder + "a", "ChecksumSHA256": good}
    url = eu.generate_presigned_url("put_object", Params=parameters)
    headers = {"x-amz-checksum-sha256": good}
    assert send("PUT", url, b"y", headers).code == (400, "BadDigest")
    assert send("PUT", url, b"x", headers).headers["x-amz-checksum-sha256"] == good
    found = eu.head_object(Bucket=bucket, Key=folder + "a", ChecksumMode="ENABLED")
    assert found["ChecksumSHA256"] == good
    crc = {"ChecksumCRC32": base64.b64encode(zlib.crc32(b"z").to_bytes(4, "big")).decode()}
    with pytest.raises(ClientError, match="BadDigest"):
        eu.put_object(Bucket=bucket, Key=folder + "b", Body=b"x", **crc)  # type: ignore[arg-type]
    with pytest.raises(ClientError, match="InvalidRequest"):
        eu.put_object(Bucket=bucket, Key=folder + "b", Body=b"x", ChecksumCRC32="eA==")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum_of_boto3_is_accepted(eu: "S3Client", bucket: str, folder: str, algorithm: Any) -> None:
    answer = eu.put_object(Bucket=bucket, Key=folder + "a", Body=b"0123456789", ChecksumAlgorithm=algorithm)
    assert answer[f"Checksum{algorithm}"]  # type: ignore[literal-required]


def _signed_put(
    world: World, bucket: str, key: str, body: bytes, headers: dict[str, str]
) -> tuple[str, dict[str, str]]:
    request = AWSRequest("PUT", f"{world.place_urls['eu-west-2']}/{bucket}/{key}", data=body, headers=headers)
    S3SigV4Auth(Credentials(WORLD.access_key_id, WORLD.secret_access_key), "s3", "eu-west-2").add_auth(request)
    return str(request.url), dict(request.headers.items())


def test_the_signed_hash_of_the_body_is_checked(world: World, bucket: str, folder: str) -> None:
    url, headers = _signed_put(world, bucket, folder + "a", b"x", {})
    assert send("PUT", url, b"y", headers).code == (400, "XAmzContentSHA256Mismatch")
    assert send("PUT", url, b"x", headers).status == 200


class _DeclaringAuth(S3SigV4Auth):
    """Signs the given words in place of the body's hash."""

    declared = ""

    def payload(self, request: AWSRequest) -> str:
        return self.declared


def _declaring(world: World, target: str, declared: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    request = AWSRequest("PUT", f"{world.place_urls['eu-west-2']}/{target}", headers=headers)
    auth = _DeclaringAuth(Credentials(WORLD.access_key_id, WORLD.secret_access_key), "s3", "eu-west-2")
    auth.declared = declared
    auth.add_auth(request)
    return str(request.url), dict(request.headers.items())


def test_an_unsigned_chunked_body_with_a_trailing_checksum(
    eu: "S3Client", world: World, bucket: str, folder: str
) -> None:
    declared = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    extra = {
        "x-amz-decoded-content-length": "5",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "content-encoding": "aws-chunked",
    }
    url, headers = _declaring(world, f"{bucket}/{folder}a", declared, extra)
    crc = base64.b64encode(zlib.crc32(b"01234").to_bytes(4, "big")).decode()
    body = b"3\r\n012\r\n2\r\n34\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n"
    assert send("PUT", url, body % b"AAAAAA==", headers).code == (400, "BadDigest")
    assert send("PUT", url, body % crc.encode(), headers).status == 200
    found = eu.get_object(Bucket=bucket, Key=folder + "a", ChecksumMode="ENABLED")
    assert (found["Body"].read(), found["ChecksumCRC32"]) == (b"01234", crc)
    assert "ContentEncoding" not in found
    assert send("PUT", url, b"3\r\n012\r\n0\r\n\r\n", headers).code == (400, "IncompleteBody")


def test_signed_chunks_are_checked(eu: "S3Client", world: World, bucket: str, folder: str) -> None:
    """The chunks' signatures are computed here by the documentation's formula, with botocore's key derivation."""
    extra = {"x-amz-decoded-content-length": "5", "content-encoding": "aws-chunked"}
    target = f"{bucket}/{folder}a"
    url, headers = _declaring(world, target, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", extra)
    auth = S3SigV4Auth(Credentials(WORLD.access_key_id, WORLD.secret_access_key), "s3", "eu-west-2")
    signed = AWSRequest()
    signed.context["timestamp"] = headers["X-Amz-Date"]
    previous = headers["Authorization"].rpartition("=")[2]
    body = b""
    for chunk in (b"012", b"34", b""):
        lines = ("AWS4-HMAC-SHA256-PAYLOAD", headers["X-Amz-Date"], auth.credential_scope(signed), previous)
        hashes = (hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest())
        previous = auth.signature("\n".join(lines + hashes), signed)
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    assert send("PUT", url, body.replace(b"012", b"013"), headers).code == (403, "SignatureDoesNotMatch")
    assert send("PUT", url, body, headers).status == 200
    assert eu.get_object(Bucket=bucket, Key=folder + "a")["Body"].read() == b"01234"


# Regions, faults, CORS


def test_another_regions_bucket_is_a_redirect(us: "S3Client", world: World, bucket: str) -> None:
    url = us.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "docs/guide.txt"})
    answer = get(url)
    assert answer.code == (301, "PermanentRedirect")
    assert answer.headers["x-amz-bucket-region"] == "eu-west-2"
    assert answer.error["Endpoint"] == world.place_urls["eu-west-2"].removeprefix("http://")
    assert answer.error["Bucket"] == bucket
    head = send("HEAD", url)
    assert (head.status, head.headers["x-amz-bucket-region"], head.body) == (301, "eu-west-2", b"")


def test_unknown_buckets_and_keys(eu: "S3Client", bucket: str) -> None:
    with pytest.raises(eu.exceptions.NoSuchBucket):
        eu.get_object(Bucket="nearside-nowhere", Key="a")
    with pytest.raises(eu.exceptions.NoSuchKey):
        eu.get_object(Bucket=bucket, Key="none")


def test_a_region_that_is_off_drops_the_connection(eu: "S3Client", world: World, bucket: str) -> None:
    world.switch("eu-west-2", on=False)
    with pytest.raises((ConnectionClosedError, BotoConnectionError)):
        eu.head_bucket(Bucket=bucket)
    world.switch("eu-west-2", on=True)
    eu.head_bucket(Bucket=bucket)


def test_a_failing_region_fails_that_part_of_the_time(us: "S3Client", world: World) -> None:
    world.fail("us-east-2", 0.5)
    codes = []
    for _ in range(8):
        try:
            us.head_bucket(Bucket=world.buckets["us-east-2"])
            codes.append("200")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert codes.count("200") == 4
    assert set(codes) == {"200", "503", "500"}


def test_a_slow_region_takes_longer(us: "S3Client", world: World) -> None:
    world.slow("us-east-2", 0.2)
    started = time.monotonic()
    us.head_bucket(Bucket=world.buckets["us-east-2"])
    assert time.monotonic() - started >= 0.2


PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "content-type, x-amz-meta-a",
}


def test_a_preflight_is_answered_without_a_signature(world: World, bucket: str) -> None:
    answer = send("OPTIONS", f"{world.place_urls['eu-west-2']}/{bucket}/a", headers=PREFLIGHT)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type, x-amz-meta-a"


def test_a_page_may_read_answers_and_refusals(eu: "S3Client", world: World, bucket: str) -> None:
    url = eu.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "docs/guide.txt"})
    origin = {"Origin": "https://app.example"}
    for answer in (get(url, origin), get(url + "0", origin)):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "x-amz-replication-status" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in get(url).headers


@pytest.fixture
def without_cors(eu: "S3Client", bucket: str) -> Iterator[None]:
    rules: Any = eu.get_bucket_cors(Bucket=bucket)["CORSRules"]
    eu.delete_bucket_cors(Bucket=bucket)
    yield
    eu.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


@pytest.mark.usefixtures("without_cors")
def test_a_bucket_without_cors_refuses_a_page(world: World, bucket: str) -> None:
    answer = send("OPTIONS", f"{world.place_urls['eu-west-2']}/{bucket}/a", headers=PREFLIGHT)
    assert answer.code == (403, "AccessForbidden")


def test_the_buckets_are_set_up_as_the_template_would(client: MakeClient, world: World) -> None:
    for region, name in world.buckets.items():
        s3 = client(region)
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        (rule,) = s3.get_bucket_replication(Bucket=name)["ReplicationConfiguration"]["Rules"]
        assert rule["DeleteMarkerReplication"] == {"Status": "Enabled"}
        assert rule["Destination"]["Bucket"] in [f"arn:aws:s3:::{other}" for other in world.buckets.values()]
    json.dumps(world.environment())


def test_headers_presigned_in_the_query_count(eu: "S3Client", world: World, bucket: str, folder: str) -> None:
    """As the JavaScript SDK presigns: https://github.com/aws/aws-sdk-js-v3, hoisted headers."""
    good = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    query = urlencode({"x-amz-checksum-sha256": good, "x-amz-meta-colour": "red"}, quote_via=quote)
    request = AWSRequest("PUT", f"{world.place_urls['eu-west-2']}/{bucket}/{folder}a?{query}")
    S3SigV4QueryAuth(Credentials(WORLD.access_key_id, WORLD.secret_access_key), "s3", "eu-west-2").add_auth(request)
    assert send("PUT", str(request.url), b"y").code == (400, "BadDigest")
    assert send("PUT", str(request.url), b"x").status == 200
    assert eu.head_object(Bucket=bucket, Key=folder + "a")["Metadata"] == {"colour": "red"}


def test_a_bucket_without_versioning(eu: "S3Client", world: World, folder: str) -> None:
    name = f"plain-{folder[1:-1]}"
    eu.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    eu.put_object(Bucket=name, Key="a", Body=b"1")
    eu.put_object(Bucket=name, Key="a", Body=b"2")
    assert [item["Size"] for item in eu.list_objects_v2(Bucket=name)["Contents"]] == [1]
    assert "ReplicationStatus" not in eu.head_object(Bucket=name, Key="a")
    eu.delete_object(Bucket=name, Key="a")
    names = [record["eventName"] for record in world.records() if record["s3"]["bucket"]["name"] == name]
    assert names == ["ObjectCreated:Put", "ObjectCreated:Put", "ObjectRemoved:Delete"]
    eu.delete_bucket(Bucket=name)


# S3 keys are any UTF-8; XML cannot carry most control characters, which is why SDKs ask for url encoding.
keys = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=80)


@given(key=keys)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_key_survives_in_both_kinds_of_url(eu: "S3Client", world: World, bucket: str, key: str) -> None:
    body = key.encode()
    encoded = quote(key, safe="/-._~")
    assert send("PUT", sign(f"{world.mrap_url}/{encoded}", method="PUT")[0], body).status == 200
    assert get(eu.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})).body == body
    assert get(sign(f"{world.mrap_url}/{encoded}")[0]).body == body
    assert key in [item["Key"] for item in eu.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    eu.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", (501, "NotImplemented")),
        ("not-a-hash", (400, "InvalidArgument")),
    ],
)
def test_other_declarations_of_the_body(world: World, bucket: str, declared: str, code: tuple[int, str]) -> None:
    url, headers = _declaring(world, f"{bucket}/a", declared, {})
    assert send("PUT", url, b"x", headers).code == code


@pytest.mark.parametrize("body", [b"no XML", b"<Delete/>", b"<Delete><Object><Key>"])
def test_a_malformed_deletion_is_refused(eu: "S3Client", bucket: str, body: bytes) -> None:
    url, _ = sign(f"{eu.meta.endpoint_url}/{bucket}?delete=", method="POST")
    assert send("POST", url, body).code == (400, "MalformedXML")

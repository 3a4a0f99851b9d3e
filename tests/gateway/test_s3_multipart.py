"""The suite, over every place and the gateway: copies and multipart uploads."""

import hashlib
import io
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.gateway.endpoints import Endpoint, made_bucket, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

pytestmark = pytest.mark.needs("multipart")

MIB = 1024**2
SMALL = os.urandom(1000)


@pytest.fixture
def large(endpoint: Endpoint) -> bytes:
    """A part that is not too small to have one after it, nor too large for Lambda."""
    return os.urandom(5 * MIB if endpoint.facts.least_part_bytes == 5 * MIB else 4 * MIB)


def etag_of(*parts: bytes) -> str:
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


class Under:
    """An upload under way."""

    def __init__(self, s3: "S3Client", bucket: str, key: str = "a", **more: Any) -> None:
        self.s3 = s3
        self.where: Any = {"Bucket": bucket, "Key": key}
        self.id = s3.create_multipart_upload(**self.where, **more)["UploadId"]
        self.parts: dict[int, str] = {}

    def part(self, number: int, body: bytes, **more: Any) -> dict[str, Any]:
        answer = self.s3.upload_part(**self.where, UploadId=self.id, PartNumber=number, Body=body, **more)
        self.parts[number] = answer["ETag"]
        return dict(answer)

    def complete(self, parts: "list[CompletedPartTypeDef] | None" = None, **more: Any) -> dict[str, Any]:
        given = parts or [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self.parts.items())]
        return dict(
            self.s3.complete_multipart_upload(**self.where, UploadId=self.id, MultipartUpload={"Parts": given}, **more)
        )

    def listed(self, **more: Any) -> list[tuple[int, int]]:
        answer = self.s3.list_parts(**self.where, UploadId=self.id, **more)
        return [(part["PartNumber"], part["Size"]) for part in answer.get("Parts", [])]


def got(s3: "S3Client", bucket: str, key: str, **more: Any) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def test_an_object_of_parts(s3: "S3Client", bucket: str, large: bytes) -> None:
    upload = Under(s3, bucket, "a b/ü+1", ContentType="text/plain", Metadata={"of": "parts"})
    upload.part(2, SMALL)
    upload.part(1, large)
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket=bucket, Key="a b/ü+1")
    assert refusal(caught.value)[0] == 404
    done = upload.complete()
    assert done["ETag"] == etag_of(large, SMALL)
    assert (done["Bucket"], done["Key"]) == (bucket, "a b/ü+1")
    head = s3.head_object(Bucket=bucket, Key="a b/ü+1")
    assert (head["ETag"], head["ContentLength"]) == (etag_of(large, SMALL), len(large) + len(SMALL))
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"of": "parts"})
    edge = f"bytes={len(large) - 10}-{len(large) + 9}"
    assert got(s3, bucket, "a b/ü+1", Range=edge) == large[-10:] + SMALL[:10]
    assert got(s3, bucket, "a b/ü+1", Range="bytes=-5") == SMALL[-5:]
    [listed] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["Key"], listed["Size"], listed["ETag"]) == ("a b/ü+1", len(large) + len(SMALL), done["ETag"])


def test_numbers_of_parts_may_have_gaps(s3: "S3Client", bucket: str, large: bytes) -> None:
    upload = Under(s3, bucket)
    upload.part(7, large)
    upload.part(9000, SMALL)
    assert upload.complete()["ETag"] == etag_of(large, SMALL)
    assert got(s3, bucket, "a", Range=f"bytes={len(large)}-") == SMALL


def test_a_part_may_be_written_again_or_left_out(s3: "S3Client", bucket: str, large: bytes) -> None:
    upload = Under(s3, bucket)
    upload.part(1, SMALL)
    upload.part(1, large)
    upload.part(2, b"left out")
    upload.part(3, SMALL)
    del upload.parts[2]
    assert upload.complete()["ETag"] == etag_of(large, SMALL)
    assert s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == len(large) + len(SMALL)


def test_an_upload_replaces_the_object(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"before")
    upload = Under(s3, bucket)
    upload.part(1, SMALL)
    assert got(s3, bucket, "a") == b"before"
    upload.complete()
    assert got(s3, bucket, "a") == SMALL
    s3.put_object(Bucket=bucket, Key="a", Body=b"after")
    assert got(s3, bucket, "a") == b"after"


@pytest.mark.needs("list_parts")
def test_parts_are_listed(s3: "S3Client", bucket: str) -> None:
    upload = Under(s3, bucket)
    for number in (1, 2, 3):
        upload.part(number, SMALL[: number * 100])
    assert upload.listed() == [(1, 100), (2, 200), (3, 300)]
    page = s3.list_parts(**upload.where, UploadId=upload.id, MaxParts=2)
    assert page["IsTruncated"] is True
    assert upload.listed(PartNumberMarker=page["NextPartNumberMarker"]) == [(3, 300)]


def test_uploads_are_listed(s3: "S3Client", bucket: str) -> None:
    first, second = Under(s3, bucket, "a/1"), Under(s3, bucket, "b")
    found = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert [(each["Key"], each["UploadId"]) for each in found] == [("a/1", first.id), ("b", second.id)]
    found = s3.list_multipart_uploads(Bucket=bucket, Prefix="a/").get("Uploads", [])
    assert [each["Key"] for each in found] == ["a/1"]


def test_an_upload_is_ended(s3: "S3Client", bucket: str) -> None:
    upload = Under(s3, bucket)
    upload.part(1, SMALL)
    answer = s3.abort_multipart_upload(**upload.where, UploadId=upload.id)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError) as caught:
        upload.part(2, SMALL)
    assert refusal(caught.value) == (404, "NoSuchUpload")
    with pytest.raises(ClientError) as caught:
        upload.complete()
    assert refusal(caught.value) == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_what_is_wrong_with_parts_is_told(s3: "S3Client", bucket: str, large: bytes) -> None:
    upload = Under(s3, bucket)
    upload.part(1, large)
    upload.part(2, SMALL)
    right: list[Any] = [{"PartNumber": number, "ETag": etag} for number, etag in upload.parts.items()]
    wrong: Any = {"PartNumber": 2, "ETag": '"00000000000000000000000000000000"'}
    with pytest.raises(ClientError) as caught:
        upload.complete([right[0], wrong])
    assert refusal(caught.value) == (400, "InvalidPart")
    with pytest.raises(ClientError) as caught:
        upload.complete([*right, {"PartNumber": 3, "ETag": right[0]["ETag"]}])
    assert refusal(caught.value) == (400, "InvalidPart")
    with pytest.raises(ClientError) as caught:
        upload.complete([right[1], right[0]])
    assert refusal(caught.value) == (400, "InvalidPartOrder")
    assert upload.complete()["ETag"] == etag_of(large, SMALL)


def test_an_upload_that_is_not_there(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.upload_part(Bucket=bucket, Key="a", UploadId="made-up", PartNumber=1, Body=b"1")
    assert refusal(caught.value) == (404, "NoSuchUpload")


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_number_is_from_1_to_10000(s3: "S3Client", bucket: str, number: int) -> None:
    upload = Under(s3, bucket)
    with pytest.raises(ClientError) as caught:
        upload.part(number, SMALL)
    assert refusal(caught.value) == (400, "InvalidArgument")


@pytest.mark.needs("checksum_headers")
def test_parts_with_checksums(s3: "S3Client", bucket: str, large: bytes) -> None:
    upload = Under(s3, bucket, ChecksumAlgorithm="SHA256")
    sums = [
        upload.part(number, body, ChecksumAlgorithm="SHA256")["ChecksumSHA256"]
        for number, body in ((1, large), (2, SMALL))
    ]
    parts: Any = [
        {"PartNumber": number, "ETag": etag, "ChecksumSHA256": sums[number - 1]}
        for number, etag in upload.parts.items()
    ]
    done = upload.complete(parts)
    assert done["ChecksumSHA256"].endswith("-2")
    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (done["ChecksumSHA256"], "COMPOSITE")


@pytest.mark.needs("copy")
def test_a_copy_has_what_its_source_has(s3: "S3Client", endpoint: Endpoint, bucket: str) -> None:
    other = made_bucket(s3, f"suite-{uuid.uuid4().hex[:12]}", endpoint.region)
    s3.put_object(Bucket=bucket, Key="a +1", Body=SMALL, ContentType="text/plain", Metadata={"one": "1"})
    for where in (bucket, other):
        answer = s3.copy_object(Bucket=where, Key="cöpy", CopySource={"Bucket": bucket, "Key": "a +1"})
        assert answer["CopyObjectResult"]["ETag"] == s3.head_object(Bucket=bucket, Key="a +1")["ETag"]
        found = s3.get_object(Bucket=where, Key="cöpy")
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (SMALL, "text/plain", {"one": "1"})
    assert got(s3, bucket, "a +1") == SMALL


@pytest.mark.needs("copy")
def test_a_copy_may_be_described_anew(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=SMALL, ContentType="text/plain", Metadata={"one": "1"})
    source: Any = {"Bucket": bucket, "Key": "a"}
    for key in ("b", "a"):
        s3.copy_object(
            Bucket=bucket,
            Key=key,
            CopySource=source,
            MetadataDirective="REPLACE",
            ContentType="text/html",
            Metadata={"two": "2"},
        )
        found = s3.get_object(Bucket=bucket, Key=key)
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (SMALL, "text/html", {"two": "2"})


@pytest.mark.needs("copy")
def test_a_copy_on_conditions(s3: "S3Client", bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=SMALL)["ETag"]
    source: Any = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source, CopySourceIfMatch=etag)
    wrong: list[Any] = [{"CopySourceIfMatch": '"wrong"'}, {"CopySourceIfNoneMatch": etag}]
    for conditions in wrong:
        with pytest.raises(ClientError) as caught:
            s3.copy_object(Bucket=bucket, Key="c", CopySource=source, **conditions)
        assert refusal(caught.value) == (412, "PreconditionFailed")
    assert "c" not in [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]


@pytest.mark.needs("copy")
def test_a_copy_that_cannot_be(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "never"})
    assert refusal(caught.value) == (404, "NoSuchKey")
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": "no-such-bucket-here", "Key": "a"})
    assert refusal(caught.value) == (404, "NoSuchBucket")
    s3.put_object(Bucket=bucket, Key="a", Body=SMALL)
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="a", CopySource={"Bucket": bucket, "Key": "a"})
    assert refusal(caught.value) == (400, "InvalidRequest")


@pytest.mark.needs("copy")
def test_a_part_may_be_a_copy(s3: "S3Client", bucket: str, large: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="source ü", Body=large + SMALL)
    upload = Under(s3, bucket)
    source: Any = {"Bucket": bucket, "Key": "source ü"}
    for number, asked in ((1, f"bytes=0-{len(large) - 1}"), (2, f"bytes={len(large)}-{len(large) + 99}")):
        answer = s3.upload_part_copy(
            **upload.where, UploadId=upload.id, PartNumber=number, CopySource=source, CopySourceRange=asked
        )
        upload.parts[number] = answer["CopyPartResult"]["ETag"]
    assert upload.complete()["ETag"] == etag_of(large, SMALL[:100])
    assert got(s3, bucket, "a", Range=f"bytes={len(large) - 5}-") == large[-5:] + SMALL[:100]
    whole = Under(s3, bucket, "b")
    answer = s3.upload_part_copy(**whole.where, UploadId=whole.id, PartNumber=1, CopySource=source)
    whole.parts[1] = answer["CopyPartResult"]["ETag"]
    assert whole.complete()["ETag"] == etag_of(large + SMALL)


@pytest.mark.usefixtures("unlimited")
def test_boto3_sends_a_file_in_parts_and_gets_it(s3: "S3Client", bucket: str) -> None:
    body = os.urandom(12 * MIB + 17)
    # boto3's parts have 5 MiB at least, whatever it is told, and Lambda takes 4.5.
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)
    s3.upload_fileobj(io.BytesIO(body), bucket, "file", Config=config)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "file", back, Config=config)
    assert back.getvalue() == body

"""Copies that S3 makes from another region's bucket, in one piece and in parts, and the checksums of what they are."""

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "nearside-eu-west-2", "nearside-us-east-2"
PART_BYTES = 5 * 1024**2


@pytest.fixture
def key(world: World) -> str:
    """A key that no other test uses and that needs encoding; what is written stays where it is."""
    world.stall_replication()
    return f"c {uuid4().hex}+ü;?#&/x"


def sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def checksum(client: "S3Client", bucket: str, key: str) -> tuple[str | None, str | None]:
    """SHA-256 and what kind of checksum it is."""
    head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return head.get("ChecksumSHA256"), head.get("ChecksumType")


def test_a_copy_from_another_region(eu: "S3Client", us: "S3Client", key: str) -> None:
    made: Any = {"ContentType": "text/x", "Metadata": {"m": "1"}, "Tagging": "a=b"}
    version = eu.put_object(Bucket=EU, Key=key, Body=b"hello", **made)["VersionId"]
    eu.put_object(Bucket=EU, Key=key, Body=b"newer")
    answer = us.copy_object(
        Bucket=US,
        Key=key,
        CopySource={"Bucket": EU, "Key": key, "VersionId": version},
        ChecksumAlgorithm="SHA256",
    )
    assert answer["CopySourceVersionId"] == version
    assert answer["CopyObjectResult"]["ChecksumSHA256"] == encoded(sha256(b"hello"))
    assert checksum(us, US, key) == (encoded(sha256(b"hello")), "FULL_OBJECT")
    found = us.get_object(Bucket=US, Key=key, ChecksumMode="ENABLED")
    assert found["Body"].read() == b"hello"
    assert (found["ContentType"], found["Metadata"], found["ChecksumSHA256"]) == (
        "text/x",
        {"m": "1"},
        encoded(sha256(b"hello")),
    )
    assert us.get_object_tagging(Bucket=US, Key=key)["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert "checksum" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_a_copy_in_parts(eu: "S3Client", us: "S3Client", key: str) -> None:
    parts = [b"x" * PART_BYTES, b"tail"]
    eu.put_object(Bucket=EU, Key=key, Body=b"".join(parts))
    upload = us.create_multipart_upload(Bucket=US, Key=key, ChecksumAlgorithm="SHA256")["UploadId"]
    done: list[Any] = []
    for number, (first, part) in enumerate(zip((0, PART_BYTES), parts, strict=True), 1):
        answer = us.upload_part_copy(
            Bucket=US,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": EU, "Key": key},
            CopySourceRange=f"bytes={first}-{first + len(part) - 1}",
        )["CopyPartResult"]
        assert answer["ChecksumSHA256"] == encoded(sha256(part))
        done.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]})
    us.complete_multipart_upload(Bucket=US, Key=key, UploadId=upload, MultipartUpload={"Parts": done})
    together = encoded(sha256(b"".join(map(sha256, parts))))
    assert checksum(us, US, key) == (f"{together}-2", "COMPOSITE")
    assert us.get_object(Bucket=US, Key=key)["Body"].read() == b"".join(parts)
    us.copy_object(Bucket=US, Key=f"{key}2", CopySource={"Bucket": US, "Key": key})
    assert checksum(us, US, f"{key}2") == (encoded(sha256(b"".join(parts))), "FULL_OBJECT")


def test_an_upload_tells_its_checksum(eu: "S3Client", key: str) -> None:
    eu.put_object(Bucket=EU, Key=key, Body=b"put", ChecksumAlgorithm="SHA256")
    assert checksum(eu, EU, key) == (encoded(sha256(b"put")), "FULL_OBJECT")
    assert "ChecksumSHA256" not in eu.head_object(Bucket=EU, Key=key)


def test_sources_that_are_not_there(eu: "S3Client", us: "S3Client", key: str) -> None:
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    marker = eu.delete_object(Bucket=EU, Key=key)["VersionId"]
    for source, code in (
        ({"Bucket": EU, "Key": key}, "NoSuchKey"),
        ({"Bucket": EU, "Key": key, "VersionId": marker}, "InvalidRequest"),
        ({"Bucket": EU, "Key": key, "VersionId": "nonesuch"}, "NoSuchVersion"),
        ({"Bucket": "nonesuch", "Key": key}, "NoSuchBucket"),
    ):
        with pytest.raises(ClientError) as caught:
            us.copy_object(Bucket=US, Key=key, CopySource=source)  # type: ignore[arg-type]
        assert caught.value.response["Error"]["Code"] == code


def test_a_source_in_a_region_that_is_off(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    world.switch("eu-west-2", on=False)
    with pytest.raises(ClientError) as caught:
        us.copy_object(Bucket=US, Key=key, CopySource={"Bucket": EU, "Key": key})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503

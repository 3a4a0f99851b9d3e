"""The table of providers is true of those that are here: what it says they can, they can, and what not, they cannot."""

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from nearside.gateway.providers import OPERATIONS
from tests.gateway.endpoints import Endpoint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = b"x" * 1000


def versions(s3: "S3Client", bucket: str) -> bool:
    with suppress(ClientError):  # they may be always on
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1").get("VersionId")
    s3.put_object(Bucket=bucket, Key="a", Body=b"2")
    return bool(first) and s3.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"1"


def list_v2(s3: "S3Client", bucket: str) -> bool:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="a", MaxKeys=1)
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=page["NextContinuationToken"])
    return [each["Key"] for each in (*page["Contents"], *rest["Contents"])] == ["b", "c"]


def copy(s3: "S3Client", bucket: str) -> bool:
    s3.put_object(Bucket=bucket, Key="a", Body=PART)
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    return s3.get_object(Bucket=bucket, Key="b")["Body"].read() == PART


def multipart(s3: "S3Client", bucket: str) -> bool:
    upload: Any = {"Bucket": bucket, "Key": "a"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=PART)["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    return s3.get_object(Bucket=bucket, Key="a")["Body"].read() == PART


def list_parts(s3: "S3Client", bucket: str) -> bool:
    upload: Any = {"Bucket": bucket, "Key": "a"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=PART)["ETag"]
    [part] = s3.list_parts(**upload)["Parts"]
    return (part["PartNumber"], part["Size"], part["ETag"]) == (1, len(PART), etag)


def delete_objects(s3: "S3Client", bucket: str) -> bool:
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    return "Contents" not in s3.list_objects_v2(Bucket=bucket)


def conditional_writes(s3: "S3Client", bucket: str) -> bool:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")
    try:
        s3.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
    except ClientError as error:
        return error.response["Error"]["Code"] == "PreconditionFailed"
    return False


def checksum_headers(s3: "S3Client", bucket: str) -> bool:
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"1", ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    return bool(put.get("ChecksumSHA256")) and put.get("ChecksumSHA256") == head.get("ChecksumSHA256")


def conditional_copies(s3: "S3Client", bucket: str) -> bool:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    try:
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"}, CopySourceIfMatch='"wrong"')
    except ClientError as error:
        return error.response["Error"]["Code"] == "PreconditionFailed"
    return False


def steady_etags(s3: "S3Client", bucket: str) -> bool:
    upload: Any = {"Bucket": bucket, "Key": "a"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=PART)["ETag"]
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    return (
        s3.complete_multipart_upload(**upload, MultipartUpload=parts)["ETag"]
        == s3.head_object(Bucket=bucket, Key="a")["ETag"]
    )


def tagging(s3: "S3Client", bucket: str) -> bool:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", Tagging="one=1")
    return s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == [{"Key": "one", "Value": "1"}]


def any_key(s3: "S3Client", bucket: str) -> bool:
    keys = ["/a", "a//b", "a/../b", "folder/"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    return sorted(each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]) == sorted(keys)


PROBES: Mapping[str, Callable[["S3Client", str], bool]] = {
    probe.__name__: probe
    for probe in (
        versions,
        list_v2,
        copy,
        multipart,
        list_parts,
        delete_objects,
        conditional_writes,
        conditional_copies,
        steady_etags,
        checksum_headers,
        tagging,
        any_key,
    )
}
# Whether user metadata outlives the server's process shows only when that ends, and all that these hold ends with it.
NOT_PROBED = {"kept_metadata"}


def test_everything_in_the_table_is_tried() -> None:
    assert set(PROBES) | NOT_PROBED == set(OPERATIONS)


@pytest.mark.parametrize("place", ["moto", "rclone", "old-b2"])
@pytest.mark.parametrize("ability", PROBES)
def test_the_table_is_true(endpoints: Mapping[str, Endpoint], place: str, ability: str) -> None:
    endpoint = endpoints[place]
    s3 = endpoint.client()
    bucket = f"limits-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": endpoint.region})  # type: ignore[typeddict-item]  # not AWS's
    try:
        can = PROBES[ability](s3, bucket)
    except ClientError:
        can = False
    said = getattr(endpoint.facts, ability)
    assert said in (None, can)

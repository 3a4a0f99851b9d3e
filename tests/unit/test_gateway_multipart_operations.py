"""Multipart uploads, as boto3 asks for them and understands the answers."""

import functools
import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig

from nearside.gateway.access_keys import KeyRule
from tests.unit.gateway_front import BUCKET, Gateway, access_key
from tests.unit.test_gateway_operations import asking, headers, refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PARTS = (b"a" * 1000, b"b" * 1000, b"c" * 10)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def s3(gateway: Gateway) -> "S3Client":
    return gateway.client()


def begun(s3: "S3Client", key: str = "a", **more: Any) -> Any:
    return {
        "Bucket": BUCKET,
        "Key": key,
        "UploadId": s3.create_multipart_upload(Bucket=BUCKET, Key=key, **more)["UploadId"],
    }


def sent(s3: "S3Client", upload: Any, **more: Any) -> list[Any]:
    """The parts, as they are named in the end."""
    found = []
    for number, body in enumerate(PARTS, 1):
        answer: Any = s3.upload_part(**upload, PartNumber=number, Body=body, **more)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        found.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
    return found


def test_an_upload_from_its_beginning_to_its_end(gateway: Gateway, s3: "S3Client") -> None:
    upload = begun(s3, ContentType="text/x", Metadata={"m": "1"}, Tagging="t=1")
    parts = sent(s3, upload)
    assert parts[0]["ETag"] == f'"{hashlib.md5(PARTS[0]).hexdigest()}"'
    done: Any = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    md5s = b"".join(hashlib.md5(part).digest() for part in PARTS)
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    assert (done["Bucket"], done["Key"]) == (BUCKET, "a")
    assert done["Location"] == "https://gateway.example.com/photos/a"
    assert "x-replication-status" in headers(done)
    got = s3.get_object(Bucket=BUCKET, Key="a")
    assert got["Body"].read() == b"".join(PARTS)
    assert (got["ContentType"], got["Metadata"], got["TagCount"], got["ETag"]) == (
        "text/x",
        {"m": "1"},
        1,
        done["ETag"],
    )
    assert s3.get_object(Bucket=BUCKET, Key="a", Range="bytes=990-1009")["Body"].read() == b"a" * 10 + b"b" * 10
    attributes = s3.get_object_attributes(Bucket=BUCKET, Key="a", ObjectAttributes=["ObjectParts", "StorageClass"])
    assert (attributes["ObjectParts"]["TotalPartsCount"], attributes["StorageClass"]) == (3, "STANDARD")
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads") is None
    again: Any = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]


def test_boto3_uploads_and_downloads_a_file(s3: "S3Client") -> None:
    body = bytes(range(256)) * 1000
    config = TransferConfig(multipart_threshold=60_000, multipart_chunksize=50_000, use_threads=False)
    config.io_chunksize = 10_000
    s3.upload_fileobj(io.BytesIO(body), BUCKET, "big", Config=config)
    found = io.BytesIO()
    s3.download_fileobj(BUCKET, "big", found, Config=config)
    assert found.getvalue() == body


def test_the_parts_are_listed(s3: "S3Client") -> None:
    upload = begun(s3, ChecksumAlgorithm="SHA256")
    parts = sent(s3, upload, ChecksumAlgorithm="SHA256")
    listed = s3.list_parts(**upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"], listed["IsTruncated"]) == (
        "SHA256",
        "COMPOSITE",
        False,
    )
    assert [(each["PartNumber"], each["ETag"], each["Size"], each["ChecksumSHA256"]) for each in listed["Parts"]] == [
        (part["PartNumber"], part["ETag"], len(body), part["ChecksumSHA256"])
        for part, body in zip(parts, PARTS, strict=True)
    ]
    first = s3.list_parts(**upload, MaxParts=2)
    assert (first["IsTruncated"], first["NextPartNumberMarker"], len(first["Parts"])) == (True, 2, 2)
    rest = s3.list_parts(**upload, PartNumberMarker=2)
    assert [each["PartNumber"] for each in rest["Parts"]] == [3]
    assert s3.list_parts(**upload, MaxParts=0).get("Parts") is None


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT")],
)
def test_the_checksum_of_an_object_of_parts(s3: "S3Client", algorithm: Any, kind: Any) -> None:
    upload = begun(s3, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    parts = sent(s3, upload, ChecksumAlgorithm=algorithm)
    done: Any = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, ChecksumType=kind)
    name = f"Checksum{algorithm}"
    assert done["ChecksumType"] == kind
    assert done[name].endswith("-3") == (kind == "COMPOSITE")
    got: Any = s3.get_object(Bucket=BUCKET, Key="a", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[name]) == (b"".join(PARTS), done[name])  # botocore compares a FULL_OBJECT one
    whole: Any = s3.put_object(Bucket=BUCKET, Key="b", Body=b"".join(PARTS), ChecksumAlgorithm=algorithm)
    assert (whole[name] == done[name]) == (kind == "FULL_OBJECT")


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}, 400, "InvalidRequest"),
        ({"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"}, 400, "InvalidRequest"),
        ({"ChecksumAlgorithm": "CRC32", "ChecksumType": "HALF"}, 400, "InvalidArgument"),
        ({"ChecksumAlgorithm": "ROT13"}, 400, "InvalidArgument"),
        ({"StorageClass": "GLACIER"}, 501, "NotImplemented"),
    ],
)
def test_an_upload_that_cannot_be_begun(s3: "S3Client", said: dict[str, Any], status: int, code: str) -> None:
    assert refused(lambda: s3.create_multipart_upload(Bucket=BUCKET, Key="a", **said))[:2] == (status, code)


def test_what_a_completion_says_has_to_be_so(s3: "S3Client") -> None:
    upload = begun(s3, ChecksumAlgorithm="CRC32")
    parts = sent(s3, upload, ChecksumAlgorithm="CRC32")

    def complete(changed: list[Any], **more: Any) -> tuple[int, str]:
        return refused(lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": changed}, **more))[:2]

    assert complete([parts[1], parts[0]]) == (400, "InvalidPartOrder")
    assert complete([{**parts[0], "ETag": '"x"'}]) == (400, "InvalidPart")
    assert complete([{**parts[0], "ChecksumCRC32": "AAAAAA=="}]) == (400, "InvalidPart")
    assert complete([{**parts[0], "PartNumber": 4}]) == (400, "InvalidPart")
    assert complete([{**parts[0], "PartNumber": 0}]) == (400, "InvalidArgument")
    assert complete([{"PartNumber": 1}]) == (400, "MalformedXML")
    assert complete([]) == (400, "MalformedXML")
    assert complete(parts, MpuObjectSize=5) == (400, "InvalidRequest")
    assert complete(parts, ChecksumCRC32="AAAAAA==") == (400, "BadDigest")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"before")
    assert complete(parts, IfNoneMatch="*") == (412, "PreconditionFailed")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, MpuObjectSize=2010)
    assert s3.head_object(Bucket=BUCKET, Key="a")["ContentLength"] == 2010


@pytest.mark.parametrize("upload_id", ["x", "x" * 2000, "a\0b", "é", "-"])
def test_an_id_that_is_none_of_an_upload(s3: "S3Client", upload_id: str) -> None:
    assert refused(lambda: s3.list_parts(Bucket=BUCKET, Key="a", UploadId=upload_id))[:2] == (404, "NoSuchUpload")


def test_a_part_of_no_upload_is_not_taken_for_the_object(gateway: Gateway, s3: "S3Client") -> None:
    def forget(request: Any, **_: object) -> None:
        request.url = request.url.replace("uploadId=", "x-uploadId=")

    s3.meta.events.register("before-sign.s3.UploadPart", forget)
    asked = refused(lambda: s3.upload_part(Bucket=BUCKET, Key="a", UploadId="u", PartNumber=1, Body=b"1"))
    assert asked[:2] == (400, "InvalidArgument")
    assert gateway.records.items == {}


def test_an_upload_that_is_not_there(s3: "S3Client") -> None:
    upload = begun(s3)
    s3.abort_multipart_upload(**upload)
    for call in (
        lambda: s3.upload_part(**upload, PartNumber=1, Body=b"1"),
        lambda: s3.list_parts(**upload),
        lambda: s3.abort_multipart_upload(**upload),
        lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "x"}]}),
    ):
        assert refused(call)[:2] == (404, "NoSuchUpload")
    assert refused(lambda: s3.create_multipart_upload(Bucket="nowhere", Key="a"))[:2] == (404, "NoSuchBucket")


@pytest.mark.parametrize("number", [0, 10_001, -1])
def test_a_part_has_a_number_from_1_to_10000(s3: "S3Client", number: int) -> None:
    upload = begun(s3)
    status, code, message = refused(lambda: s3.upload_part(**upload, PartNumber=number, Body=b"1"))
    assert (status, code) == (400, "InvalidArgument")
    assert "between 1 and 10000" in message


def test_a_part_is_copied(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"0123456789")
    upload = begun(s3)
    copy: Any = lambda number, **more: s3.upload_part_copy(  # noqa: E731 - said six times
        **upload, PartNumber=number, CopySource={"Bucket": BUCKET, "Key": "source"}, **more
    )
    parts = [copy(1), copy(2, CopySourceRange="bytes=2-4")]
    named: Any = [{"PartNumber": n, "ETag": part["CopyPartResult"]["ETag"]} for n, part in enumerate(parts, 1)]
    assert named[1]["ETag"] == f'"{hashlib.md5(b"234").hexdigest()}"'
    for wrong in ("bytes=2-", "bytes=4-2", "bytes=5-10", "2-4"):
        assert refused(functools.partial(copy, 3, CopySourceRange=wrong))[:2] == (400, "InvalidArgument")
    assert refused(lambda: copy(3, CopySourceIfMatch='"x"'))[:2] == (412, "PreconditionFailed")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named})
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"0123456789234"


def test_a_part_is_copied_by_who_may_read_the_source(gateway: Gateway, s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="secret", Body=b"1")
    theirs = gateway.client(access_key(KeyRule(buckets=["*"], actions=["write"])))
    upload = begun(theirs)
    source: Any = {"Bucket": BUCKET, "Key": "secret"}
    assert refused(lambda: theirs.upload_part_copy(**upload, PartNumber=1, CopySource=source))[:2] == (
        403,
        "AccessDenied",
    )


def test_a_completion_has_a_quorum_too(gateway: Gateway, s3: "S3Client") -> None:
    asking(s3, "CompleteMultipartUpload", X_Write_Quorum="3")
    upload = begun(s3)
    parts = sent(s3, upload)
    assert refused(lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}))[0] == 503
    done = gateway.client().complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-3"')


def test_who_may_not_write_has_no_uploads(gateway: Gateway, s3: "S3Client") -> None:
    upload = begun(s3)
    reader = gateway.client(access_key(KeyRule(buckets=["*"], actions=["read", "list"])))
    for call in (
        lambda: reader.create_multipart_upload(Bucket=BUCKET, Key="a"),
        lambda: reader.upload_part(**upload, PartNumber=1, Body=b"1"),
        lambda: reader.list_parts(**upload),
        lambda: reader.abort_multipart_upload(**upload),
    ):
        assert refused(call)[:2] == (403, "AccessDenied")

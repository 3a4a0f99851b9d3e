"""Copies that S3 makes by itself, also from another region's bucket, and checksums as S3 keeps and tells them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, unquote

from moto.s3.models import FakeKey
from moto.s3.utils import compute_checksum

from local import object_store
from local.operations import Address
from local.s3_errors import S3Error, invalid_argument
from local.server import Request, Response

MAX_COPY_BYTES = 5 * 1024**3

_SOURCE = "x-amz-copy-source"


def copy(
    request: Request, where: Address, name: str, is_on: Callable[[str], bool], do: Callable[[Request], Response]
) -> Response:
    """The answer to CopyObject or UploadPartCopy, which `do` performs. Raises S3Error for a source that is gone."""
    source = _source(request.header(_SOURCE), is_on)
    _check_source(request, source)
    if name == "UploadPartCopy":
        return _with_part_checksum(request, where, do(request))
    if source.size > MAX_COPY_BYTES:
        message = (
            f"The specified copy source is larger than the maximum allowable size for a copy source: {MAX_COPY_BYTES}"
        )
        raise S3Error(400, "InvalidRequest", message)
    _check_conditions(request, where)
    algorithm = request.header("x-amz-checksum-algorithm") or source.checksum_algorithm or ""
    if algorithm and not request.has_header("x-amz-checksum-algorithm"):
        # The copy is one whole: its checksum is not the one that was put together from parts.
        request = replace(request, headers=(*request.headers, ("x-amz-checksum-algorithm", algorithm)))
    response = do(request)
    made = object_store.current_object(where.bucket, where.key)
    if response.status == 200 and made is not None:
        made.checksum_type = "FULL_OBJECT" if algorithm else None
        made.checksum_parts = None
        made.multipart = None
    # moto writes the text of a Python mapping into a header of this name.
    kept = tuple(header for header in response.headers if header[0].lower() != "checksum")
    return replace(response, headers=kept)


def with_checksum(request: Request, where: Address, response: Response) -> Response:
    """The answer to GetObject or HeadObject with the stored checksum as S3 tells it, where it was asked for."""
    if request.header("x-amz-checksum-mode").upper() != "ENABLED" or response.status != 200:
        return response
    if request.has_parameter("partNumber"):
        return response
    version = object_store.find_object(where.bucket, where.key, request.parameter("versionId"))
    if version is None or not version.checksum_algorithm or not version.checksum_value:
        return response
    composite = version.checksum_type == "COMPOSITE"
    value = f"{version.checksum_value}-{version.checksum_parts}" if composite else version.checksum_value
    told = (
        (f"x-amz-checksum-{version.checksum_algorithm.lower()}", value),
        ("x-amz-checksum-type", "COMPOSITE" if composite else "FULL_OBJECT"),
    )
    return response.adding(told)


def _source(header: str, is_on: Callable[[str], bool]) -> FakeKey:
    """The object that the header names: `bucket/key[?versionId=…]`, percent-encoded."""
    path, _, query = header.partition("?")
    bucket_name, slash, key = unquote(path).removeprefix("/").partition("/")
    if not (bucket_name and slash and key) or bucket_name.startswith("arn:"):
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise invalid_argument(message, _SOURCE, header)
    bucket = object_store.find_bucket(bucket_name)
    if bucket is None:
        message = "The specified bucket does not exist"
        raise S3Error(404, "NoSuchBucket", message, {"BucketName": bucket_name})
    if not is_on(bucket.region_name):
        raise S3Error(503, "ServiceUnavailable", f"The source's region {bucket.region_name} does not answer.")
    version_id = parse_qs(query).get("versionId", [""])[0]
    found = object_store.find_object(bucket_name, key, version_id)
    if found is not None:
        return found
    if not version_id:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.", {"Key": key})
    if object_store.current_marker(Address(bucket_name, key), version_id):
        message = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise S3Error(400, "InvalidRequest", message)
    details = {"Key": key, "VersionId": version_id}
    raise S3Error(404, "NoSuchVersion", "The specified version does not exist.", details)


def _check_source(request: Request, source: FakeKey) -> None:
    """The source's ETag, as the copy wants it or not, which moto does not look at. Raises S3Error."""
    etag = source.etag.strip('"')
    wanted, unwanted = (request.header(f"{_SOURCE}-if-{name}match").strip('"') for name in ("", "none-"))
    if (wanted and wanted not in ("*", etag)) or unwanted in ("*", etag):
        condition = f"{_SOURCE}-If-{'Match' if wanted else 'None-Match'}"
        message = "At least one of the pre-conditions you specified did not hold"
        raise S3Error(412, "PreconditionFailed", message, {"Condition": condition})


def _check_conditions(request: Request, where: Address) -> None:
    """If-Match and If-None-Match about what the copy would replace, which moto does not look at in a copy
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). Raises S3Error."""
    stands = object_store.current_object(where.bucket, where.key)
    wanted = request.header("if-match").strip('"')
    if wanted and stands is None:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.", {"Key": where.key})
    differs = wanted and stands is not None and stands.etag.strip('"') != wanted
    if differs or (request.header("if-none-match") == "*" and stands is not None):
        message = "At least one of the pre-conditions you specified did not hold"
        raise S3Error(412, "PreconditionFailed", message, {"Condition": "If-Match" if wanted else "If-None-Match"})


def _with_part_checksum(request: Request, where: Address, response: Response) -> Response:
    """The part's checksum, which CompleteMultipartUpload wants back when the upload was created with an algorithm."""
    bucket = object_store.find_bucket(where.bucket)
    upload = bucket.multiparts.get(request.parameter("uploadId")) if bucket else None
    algorithm = upload.metadata.get("x-amz-checksum-algorithm") if upload else None
    if upload is None or not algorithm or response.status != 200:
        return response
    part = upload.parts[int(request.parameter("partNumber"))]
    value = compute_checksum(part.value, algorithm=algorithm).decode()
    end = b"</CopyPartResult>"
    body = response.body.replace(end, f"<Checksum{algorithm}>{value}</Checksum{algorithm}>".encode() + end)
    headers = tuple(header for header in response.headers if header[0].lower() != "content-length")
    return Response(response.status, headers, body)

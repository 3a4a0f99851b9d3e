"""What moto's multipart uploads lack: when each began, pages, keys in their encoding, and S3's rules for checksums.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from moto.s3.models import FakeKey, FakeMultipart
from moto.s3.utils import compute_checksum

from local import object_store
from local.operations import Address
from local.s3_errors import S3Error
from local.server import Request, Response

MOST = 1_000

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_XML = (("Content-Type", "application/xml"),)
_begun: dict[str, datetime] = {}


def answer(request: Request, where: Address, name: str, do: Callable[[Request], Response]) -> Response | None:
    """The answer to a request about uploads and parts, which `do` performs where moto can; None for another operation.
    Raises S3Error."""
    if name == "ListMultipartUploads" and object_store.find_bucket(where.bucket):
        return _list_uploads(request, where)
    upload = _upload(request, where)
    if name == "CreateMultipartUpload":
        before = set(_uploads(where.bucket))
        response = do(request)
        for made in set(_uploads(where.bucket)) - before:
            _begun[made] = datetime.now(UTC)
        return response
    if upload is None:
        return None
    if name == "ListParts":
        return _list_parts(request, where, upload)
    if name == "UploadPart":
        _check_part(request, upload)
    if name == "CompleteMultipartUpload":
        _check_whole(request, upload)
    return None


def _uploads(bucket: str) -> dict[str, FakeMultipart]:
    found = object_store.find_bucket(bucket)
    return dict(found.multiparts) if found else {}


def _upload(request: Request, where: Address) -> FakeMultipart | None:
    upload = _uploads(where.bucket).get(request.parameter("uploadId"))
    return upload if upload is not None and upload.key_name == where.key else None


def _list_uploads(request: Request, where: Address) -> Response:
    prefix, after = (
        request.parameter("prefix"),
        (request.parameter("key-marker"), request.parameter("upload-id-marker")),
    )
    encoded = quote if request.parameter("encoding-type") == "url" else escape
    now = datetime.now(UTC)
    every = [
        (upload.key_name, _begun.setdefault(upload_id, now), upload_id)
        for upload_id, upload in _uploads(where.bucket).items()
        if upload.key_name.startswith(prefix)
    ]
    # Of one key by their begin: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    every.sort()
    if after[1]:
        ids = [upload_id for _, _, upload_id in every]
        every = every[ids.index(after[1]) + 1 :] if after[1] in ids else [each for each in every if each[0] > after[0]]
    elif after[0]:
        every = [each for each in every if each[0] > after[0]]
    most = min(int(request.parameter("max-uploads") or MOST), MOST)
    page = every[:most]
    rows = "".join(
        f"<Upload><Key>{encoded(key)}</Key><UploadId>{upload_id}</UploadId>"
        f"<StorageClass>STANDARD</StorageClass><Initiated>{begun:%Y-%m-%dT%H:%M:%S}.000Z</Initiated></Upload>"
        for key, begun, upload_id in page
    )
    more = ""
    if len(page) < len(every):
        key, _, upload_id = page[-1]
        more = f"<NextKeyMarker>{encoded(key)}</NextKeyMarker><NextUploadIdMarker>{upload_id}</NextUploadIdMarker>"
    return _answered(
        "ListMultipartUploadsResult",
        f"<Bucket>{where.bucket}</Bucket><MaxUploads>{most}</MaxUploads>"
        f"<IsTruncated>{_flag(bool(more))}</IsTruncated>{more}{rows}",
    )


def _list_parts(request: Request, where: Address, upload: FakeMultipart) -> Response:
    after = int(request.parameter("part-number-marker") or 0)
    most = min(int(request.parameter("max-parts") or MOST), MOST)
    numbers = sorted(number for number in upload.parts if number > after)
    algorithm = _algorithm(upload)
    rows = "".join(_part(number, upload.parts[number], algorithm) for number in numbers[:most])
    more = f"<NextPartNumberMarker>{numbers[most - 1]}</NextPartNumberMarker>" if len(numbers) > most else ""
    return _answered(
        "ListPartsResult",
        f"<Bucket>{where.bucket}</Bucket><Key>{escape(where.key)}</Key><UploadId>{upload.id}</UploadId>"
        f"<StorageClass>{upload.storage or 'STANDARD'}</StorageClass>"
        f"<PartNumberMarker>{after}</PartNumberMarker>{more}<MaxParts>{most}</MaxParts>"
        f"<IsTruncated>{_flag(bool(more))}</IsTruncated>{rows}",
    )


def _part(number: int, part: FakeKey, algorithm: str) -> str:
    checksum = ""
    if algorithm:
        value = compute_checksum(part.value, algorithm=algorithm).decode()
        checksum = f"<Checksum{algorithm}>{value}</Checksum{algorithm}>"
    return (
        f"<Part><PartNumber>{number}</PartNumber><LastModified>{part.last_modified_ISO8601}</LastModified>"
        f"<ETag>{escape(part.etag)}</ETag><Size>{part.size}</Size>{checksum}</Part>"
    )


def _check_part(request: Request, upload: FakeMultipart) -> None:
    """Every part comes with the upload's checksum, where one is made of them. Raises S3Error."""
    if not _is_composite(upload):
        return
    wanted = _algorithm(upload).lower()
    given = [name.lower().removeprefix("x-amz-checksum-") for name, _ in request.headers if _is_checksum(name)]
    if given != [wanted]:
        actual = given[0] if given else "null"
        message = f"Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: {actual}"
        raise S3Error(400, "InvalidRequest", message)


def _check_whole(request: Request, upload: FakeMultipart) -> None:
    """Whoever completes says each part's checksum again. Raises S3Error."""
    algorithm = _algorithm(upload)
    if not _is_composite(upload):
        return
    for each in ElementTree.fromstring(request.body).iterfind("{*}Part"):
        number, said = each.findtext("{*}PartNumber", ""), each.findtext(f"{{*}}Checksum{algorithm}")
        if said is None:
            message = (
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {number} in the request."
            )
            raise S3Error(400, "InvalidRequest", message)
        part = upload.parts.get(int(number))
        if part is not None and compute_checksum(part.value, algorithm=algorithm).decode() != said:
            message = "One or more of the specified parts could not be found.  The part may not have been uploaded, "
            message += "or the specified entity tag may not match the part's entity tag."
            raise S3Error(400, "InvalidPart", message, {"PartNumber": number})


def _is_checksum(name: str) -> bool:
    short = name.lower().removeprefix("x-amz-checksum-")
    return name.lower().startswith("x-amz-checksum-") and short not in ("algorithm", "type", "mode")


def _algorithm(upload: FakeMultipart) -> str:
    return str(upload.metadata.get("x-amz-checksum-algorithm") or "").upper()


def _is_composite(upload: FakeMultipart) -> bool:
    return bool(_algorithm(upload)) and upload.metadata.get("x-amz-checksum-type") != "FULL_OBJECT"


def _answered(name: str, inner: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{_NAMESPACE}">{inner}</{name}>'
    return Response(200, _XML, body.encode())


def _flag(value: bool) -> str:
    return "true" if value else "false"

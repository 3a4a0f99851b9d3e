"""What a request asks of S3: its bucket, its key, and the operation by the name that the S3 API gives it."""

import re
from dataclasses import dataclass

from local.s3_errors import S3Error
from local.server import Request, decode_path

MAX_KEY_BYTES = 1024

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+)\.s3(?:\.dualstack)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?", re.IGNORECASE)

# A sub-resource in the query makes another operation of the same method and path.
_BUCKET_SUBRESOURCES = (
    "accelerate", "acl", "analytics", "cors", "delete", "encryption", "intelligent-tiering", "inventory", "lifecycle",
    "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus",
    "publicAccessBlock", "replication", "requestPayment", "tagging", "versioning", "versions", "website",
)  # fmt: skip
_OBJECT_SUBRESOURCES = ("acl", "attributes", "legal-hold", "restore", "retention", "select", "tagging", "torrent")

_OBJECT_OPERATIONS = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
    "POST": "PostObject",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket and a key; the key is empty for the bucket itself, both are empty for the account."""

    bucket: str
    key: str


def address(request: Request) -> Address:
    """The address: the bucket is in the host, as `<bucket>.s3.<region>.amazonaws.com`, or else comes first in the path.
    Raises S3Error for a key that S3 does not allow."""
    virtual = _VIRTUAL_HOST.fullmatch(request.header("Host").partition(":")[0])
    if virtual:
        return Address(virtual["bucket"].lower(), checked_key(request.path[1:]))
    bucket, _, key = request.path[1:].partition("/")
    return Address(decode_path(bucket), checked_key(key))


def checked_key(encoded: str) -> str:
    """The decoded key. Raises S3Error when it is no UTF-8 or longer than 1,024 bytes."""
    key = decode_path(encoded)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise S3Error(400, "InvalidURI", "Couldn't parse the specified URI.", {"URI": encoded}) from None
    if size > MAX_KEY_BYTES:
        details = {"Size": str(size), "MaxSizeAllowed": str(MAX_KEY_BYTES)}
        raise S3Error(400, "KeyTooLongError", "Your key is too long", details)
    return key


def operation(request: Request, where: Address) -> str:
    """The operation's name in the S3 API, such as `GetObject`, `ListObjectsV2`, `UploadPartCopy`.

    A sub-resource is named by its method and itself, such as `GetBucketCors` or `PutObjectTagging`.
    """
    if not where.bucket:
        return "ListBuckets"
    return _object_operation(request) if where.key else _bucket_operation(request)


def _object_operation(request: Request) -> str:
    query = {name for name, _ in request.parameters}
    for name in _OBJECT_SUBRESOURCES:
        if name in query:
            return f"{request.method.capitalize()}Object{_camel(name)}"
    copies = request.has_header("x-amz-copy-source")
    if request.method == "POST" and "uploads" in query:
        return "CreateMultipartUpload"
    if "uploadId" in query:
        part = "UploadPartCopy" if copies else "UploadPart"
        names = {"PUT": part, "GET": "ListParts", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return names.get(request.method, request.method)
    if request.method == "PUT" and copies:
        return "CopyObject"
    return _OBJECT_OPERATIONS.get(request.method, request.method)


def _bucket_operation(request: Request) -> str:
    query = {name for name, _ in request.parameters}
    if request.method == "POST":
        return "DeleteObjects" if "delete" in query else "PostObject"
    if request.method == "GET" and "uploads" in query:
        return "ListMultipartUploads"
    if request.method == "GET" and "versions" in query:
        return "ListObjectVersions"
    for name in _BUCKET_SUBRESOURCES:
        if name in query:
            return f"{request.method.capitalize()}Bucket{_camel(name)}"
    if request.method == "GET":
        return "ListObjectsV2" if request.parameter("list-type") == "2" else "ListObjects"
    return {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(request.method, request.method)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))

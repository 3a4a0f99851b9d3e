"""Which of S3's operations a request is: by its method, whether it names a bucket or a key, and the subresource.

S3's own table is https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html.
"""

from collections.abc import Mapping

from nearside.gateway.errors import MethodNotAllowed, NotSupported
from nearside.gateway.s3_requests import S3Request

# (what it is about, method, subresource) → operation. Of a request with several subresources the first here counts.
ROUTES = {
    ("service", "GET", ""): "ListBuckets",
    ("bucket", "PUT", ""): "CreateBucket",
    ("bucket", "HEAD", ""): "HeadBucket",
    ("bucket", "DELETE", ""): "DeleteBucket",
    ("bucket", "GET", "location"): "GetBucketLocation",
    ("bucket", "GET", "versioning"): "GetBucketVersioning",
    ("bucket", "GET", "acl"): "GetBucketAcl",
    ("bucket", "GET", "uploads"): "ListMultipartUploads",
    ("bucket", "POST", "delete"): "DeleteObjects",
    ("bucket", "GET", "list-type"): "ListObjectsV2",
    ("bucket", "GET", ""): "ListObjects",
    ("object", "GET", "tagging"): "GetObjectTagging",
    ("object", "PUT", "tagging"): "PutObjectTagging",
    ("object", "DELETE", "tagging"): "DeleteObjectTagging",
    ("object", "GET", "acl"): "GetObjectAcl",
    ("object", "GET", "attributes"): "GetObjectAttributes",
    ("object", "POST", "uploads"): "CreateMultipartUpload",
    ("object", "PUT", "uploadId"): "UploadPart",
    ("object", "GET", "uploadId"): "ListParts",
    ("object", "POST", "uploadId"): "CompleteMultipartUpload",
    ("object", "DELETE", "uploadId"): "AbortMultipartUpload",
    ("object", "GET", ""): "GetObject",
    ("object", "HEAD", ""): "HeadObject",
    ("object", "PUT", ""): "PutObject",
    ("object", "DELETE", ""): "DeleteObject",
}
# With x-amz-copy-source.
COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}

# What S3 has beside them: to ignore one of these would be to do something else than was asked for.
_ELSEWHERE = frozenset({
    "abac", "accelerate", "analytics", "annotation", "append", "cors", "encryption", "intelligent-tiering",
    "inventory", "legal-hold", "lifecycle", "logging", "metadataAnnotationTable", "metadataConfiguration",
    "metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics", "notification", "object-lock",
    "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication",
    "requestPayment", "restore", "retention", "select", "select-type", "session", "torrent", "versionId",
    "versions", "website",
})  # fmt: skip
# What may stand in a query without a value, beside what begins with `x-` and `response-`. Another name without one is
# taken for a subresource that S3 has learnt since.
_PARAMETERS = frozenset({
    "bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "marker",
    "max-buckets", "max-keys", "max-parts", "max-uploads", "partNumber", "part-number-marker", "prefix", "start-after",
    "upload-id-marker",
})  # fmt: skip
_SUBRESOURCES = tuple(dict.fromkeys(subresource for _, _, subresource in ROUTES if subresource))


def operation(request: S3Request, headers: Mapping[str, str]) -> str:
    """S3's name of the operation; `headers` include those of a presigned URL's query.

    Raises NotSupported for what S3 has and the gateway has not, MethodNotAllowed for what S3 has not either.
    """
    about = "object" if request.key else "bucket" if request.bucket else "service"
    if elsewhere := [name for name, value in request.parameters.items() if _is_elsewhere(name, value)]:
        raise NotSupported(f"A {request.method} of {about} ?{elsewhere[0]} is not supported by this gateway")
    subresource = next((each for each in _SUBRESOURCES if each in request.parameters), "")
    name = ROUTES.get((about, request.method, subresource))
    if name is None:
        what = f"{request.method} of {about}{' ?' + subresource if subresource else ''}"
        if request.method in ("GET", "PUT", "DELETE", "POST", "HEAD") and about != "service":
            raise NotSupported(f"A {what} is not supported by this gateway")
        raise MethodNotAllowed(f"The specified method is not allowed against this resource: {what}")
    return COPIES.get(name, name) if "x-amz-copy-source" in headers else name


def _is_elsewhere(name: str, value: str) -> bool:
    if name in _ELSEWHERE:
        return True
    known = name in _SUBRESOURCES or name in _PARAMETERS or name.lower().startswith(("x-", "response-"))
    return not value and not known

"""The gateway's one boundary: a Function URL's event in, S3's answer out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearside.errors import NearsideError
from nearside.gateway import (
    bucket_operations,
    bulk_deletion,
    copy_operations,
    listing_operations,
    multipart_operations,
    object_operations,
    s3_headers,
    tagging_operations,
    upload_listings,
)
from nearside.gateway.answers import Answer, failure, lambda_answer, status_and_code
from nearside.gateway.calls import Call, Core
from nearside.gateway.chunks import body_of
from nearside.gateway.s3_requests import S3Request, request_of
from nearside.gateway.s3_routes import operation
from nearside.gateway.signatures import Verifier

log = logging.getLogger("nearside")

OPERATIONS: Mapping[str, Callable[[Core, Call], Answer]] = {
    "AbortMultipartUpload": multipart_operations.abort_multipart_upload,
    "CompleteMultipartUpload": multipart_operations.complete_multipart_upload,
    "CopyObject": copy_operations.copy_object,
    "CreateBucket": bucket_operations.create_bucket,
    "CreateMultipartUpload": multipart_operations.create_multipart_upload,
    "DeleteBucket": bucket_operations.delete_bucket,
    "DeleteObject": object_operations.delete_object,
    "DeleteObjects": bulk_deletion.delete_objects,
    "DeleteObjectTagging": tagging_operations.delete_object_tagging,
    "GetBucketAcl": bucket_operations.get_bucket_acl,
    "GetBucketLocation": bucket_operations.get_bucket_location,
    "GetBucketVersioning": bucket_operations.get_bucket_versioning,
    "GetObject": object_operations.get_object,
    "GetObjectAcl": bucket_operations.get_object_acl,
    "GetObjectAttributes": object_operations.get_object_attributes,
    "GetObjectTagging": tagging_operations.get_object_tagging,
    "HeadBucket": bucket_operations.head_bucket,
    "HeadObject": object_operations.head_object,
    "ListBuckets": bucket_operations.list_buckets,
    "ListMultipartUploads": upload_listings.list_multipart_uploads,
    "ListObjects": listing_operations.list_objects,
    "ListObjectsV2": listing_operations.list_objects_v2,
    "ListParts": upload_listings.list_parts,
    "PutObject": object_operations.put_object,
    "PutObjectTagging": tagging_operations.put_object_tagging,
    "UploadPart": multipart_operations.upload_part,
    "UploadPartCopy": multipart_operations.upload_part_copy,
}


class Front:
    """Answers events; `domains` are the names under which a host names a bucket (lower-case, without a port)."""

    def __init__(self, verifier: Verifier, core: Core, domains: Sequence[str] = ()) -> None:
        self._verifier = verifier
        self._core = core
        self._domains = domains

    def __call__(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """The answer; nothing is raised. An error of the tree has its status and code, in S3's XML; any other exception
        is logged with its traceback and answered as 500 with the request's id and nothing else."""
        sent = event.get("requestContext") or {}
        request_id, method = str(sent.get("requestId", "")), str((sent.get("http") or {}).get("method", "")).upper()
        resource = str(event.get("rawPath") or "/")
        try:
            answer = self._answer(request_of(event, self._domains))
        except NearsideError as error:
            status, code = status_and_code(error)
            if status >= 500 or status in (401, 403):
                log.warning("%s: %s", code, error, extra={"request_id": request_id, "status": status})
            answer = failure(status, code, str(error), resource, request_id)
        except Exception:
            log.exception("unexpected", extra={"request_id": request_id})
            answer = failure(500, "InternalError", f"see the log for request {request_id}", resource, request_id)
        return lambda_answer(answer, method, request_id)

    def _answer(self, request: S3Request) -> Answer:
        signed = self._verifier.verify(request)
        headers = s3_headers.all_of(request.headers, request.parameters)
        call = Call(request=request, headers=headers, access=signed.key, body=lambda: body_of(request, signed))
        return OPERATIONS[operation(request, headers)](self._core, call)

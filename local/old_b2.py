"""An S3 like Backblaze B2's as it was: versions always, and no checksums, no conditions on writes, no tags.

https://www.backblaze.com/docs/cloud-storage-s3-compatible-api (Unsupported Features), and what B2 answered when SDKs
began to send checksums by default: https://github.com/vatesfr/xen-orchestra/issues/8358
"""

from local import object_store
from local.events import Events
from local.faults import Faults
from local.identities import WORLD, Identities, Identity
from local.operations import Address, address, operation
from local.replication import Replication
from local.s3 import RegionalS3, answered
from local.s3_errors import S3Error, invalid_argument
from local.server import Request, Response

REGION = "us-west-004"

_NO_OPERATIONS = ("DeleteObjectTagging", "GetObjectTagging", "PutObjectTagging", "GetObjectAttributes")
_CONDITIONS = ("if-match", "if-none-match")


class OldB2:
    """The app of its endpoint. Its objects are in moto too, in buckets of a region of its own; nobody else's keys open
    them, and its key opens no others."""

    def __init__(self, identity: Identity, replication: Replication) -> None:
        self._s3 = RegionalS3(
            REGION,
            Identities(identity, WORLD),
            Faults((REGION,)),
            replication,
            Events(),
            lambda region: REGION if region == REGION else "",
        )

    def __call__(self, request: Request) -> Response:
        return answered(lambda: self._serve(request))

    def _serve(self, request: Request) -> Response:
        where = address(request)
        name = operation(request, where)
        _check_headers(request)
        suspends = name == "PutBucketVersioning" and b"Suspended" in request.body
        conditional = request.method in ("PUT", "POST") and any(map(request.has_header, _CONDITIONS))
        if name in _NO_OPERATIONS or suspends or conditional:
            message = "A header you provided implies functionality that is not implemented"
            raise S3Error(501, "NotImplemented", message)
        response = self._s3(request)
        if name == "CreateBucket":
            _turn_versions_on(where)
        return response


def _check_headers(request: Request) -> None:
    """Raises S3Error for a header that B2 does not know, in its words."""
    names = [name.lower() for name, _ in request.headers] + [name.lower() for name, _ in request.parameters]
    for name in names:
        checksum = name.startswith(("x-amz-checksum-", "x-amz-trailer", "x-amz-tagging"))
        if checksum or name == "x-amz-sdk-checksum-algorithm":
            raise S3Error(400, "InvalidArgument", f"Unsupported header '{name}' received for this API call.")
    declared = request.header("x-amz-content-sha256")
    if declared.startswith("STREAMING-"):
        message = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, or a valid sha256 value."
        raise invalid_argument(message, "x-amz-content-sha256", declared)


def _turn_versions_on(where: Address) -> None:
    bucket = object_store.find_bucket(where.bucket)
    if bucket is not None and bucket.region_name == REGION:
        bucket.versioning_status = "Enabled"

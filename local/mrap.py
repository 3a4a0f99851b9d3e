"""The Multi-Region Access Point: verifies SigV4A, then serves from the nearest region without looking at contents.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequestRouting.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from local import cors
from local.claims import Claim
from local.faults import Faults
from local.identities import Identities
from local.locations import Location, UnknownLocation, locate, nearest_first
from local.operations import Address, checked_key, operation
from local.s3 import RegionalS3, answered, cors_rules
from local.s3_errors import S3Error
from local.server import Request, Response
from local.signatures import Verified, Verifier, check_region
from local.traffic import Traffic

LOCATION_HEADER = "X-World-Location"
REGION_HEADER = "X-World-Region"

type Verify = Callable[[Request], Verified]

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html
_SUPPORTED = frozenset(
    {
        "AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload", "DeleteObject",
        "DeleteObjectTagging", "GetObject", "GetObjectAcl", "GetObjectLegalHold", "GetObjectRetention",
        "GetObjectTagging", "HeadObject", "ListMultipartUploads", "ListObjectsV2", "ListParts", "PostObjectRestore",
        "PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging", "UploadPart",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One bucket of the access point and the S3 that serves it."""

    bucket: str
    s3: RegionalS3


class MultiRegionAccessPoint:
    """The app of the MRAP's endpoint: an object's path is its key, without a bucket."""

    def __init__(
        self,
        members: Mapping[str, Member],
        identities: Identities,
        faults: Faults,
        traffic: Traffic,
        default_location: Callable[[], Location],
    ) -> None:
        self._members = members
        self._verifier = Verifier(identities)
        self._faults = faults
        self._traffic = traffic
        self._default_location = default_location

    def __call__(self, request: Request) -> Response:
        return answered(lambda: self._serve(request, self._verifier.verify))

    def admit(self, request: Request, verified: Verified) -> Response:
        """The answer to a service of AWS whose signature is not part of this world, such as CloudFront's."""
        return answered(lambda: self._serve(request, lambda _: verified))

    def _serve(self, request: Request, verify: Verify) -> Response:
        region = self._route(request)
        self._faults.meet(region)
        rules = cors_rules(self._members[region].bucket)
        served = ((REGION_HEADER, region),)
        if request.method == "OPTIONS":
            return cors.preflight(request, rules).adding(served)
        allowing = cors.allowing(request, rules)
        return answered(lambda: self._perform(request, region, verify)).adding((*allowing, *served))

    def _perform(self, request: Request, region: str, verify: Verify) -> Response:
        member = self._members[region]
        where = Address(member.bucket, checked_key(request.path[1:]))
        _check_supported(request, where)
        verified = verify(request)
        claim: Claim = verified.claim
        check_region(claim, region)
        return member.s3.perform(replace(request, headers=_for_region(request)), where, verified)

    def _route(self, request: Request) -> str:
        """The nearest region that is active and on. Raises S3Error when there is none or the location is unknown."""
        location = self._default_location()
        named = request.header(LOCATION_HEADER)
        if named:
            try:
                location = locate(named)
            except UnknownLocation as error:
                details = {"ArgumentName": LOCATION_HEADER, "ArgumentValue": named}
                raise S3Error(400, "InvalidArgument", str(error), details) from None
        active = filter(self._traffic.is_active, nearest_first(location, self._members))
        region = next(filter(self._faults.is_on, active), None)
        if region is None:
            raise S3Error(503, "ServiceUnavailable", "Every active region of this Multi-Region Access Point is off.")
        return region


def _check_supported(request: Request, where: Address) -> None:
    name = operation(request, where)
    if name in _SUPPORTED:
        return
    if request.has_header("x-amz-copy-source"):
        message = "A header you provided implies functionality that is not implemented"
        raise S3Error(501, "NotImplemented", message, {"Header": "x-amz-copy-source"})
    message = f"{name} is not supported through a Multi-Region Access Point."
    resource = "OBJECT" if where.key else "BUCKET"
    raise S3Error(405, "MethodNotAllowed", message, {"Method": request.method, "ResourceType": resource})


def _for_region(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in request.headers if name.lower() != LOCATION_HEADER.lower())

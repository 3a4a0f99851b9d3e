"""Where the edge's requests go: the emulated buckets and the access point, by the names that they have in AWS.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from local import object_store
from local.claims import ECDSA, HMAC, TIMESTAMP, Claim
from local.distribution import Origin
from local.edge_events import Json, plain_headers
from local.identities import Identity
from local.mrap import LOCATION_HEADER, MultiRegionAccessPoint
from local.operations import Address, address, operation
from local.s3 import RegionalS3
from local.s3_errors import S3Error, access_denied
from local.server import Dropped, Request, Response
from local.signatures import Verified
from nearside.geography import REGIONS

_S3_HOST = re.compile(r"(?P<bucket>.+)\.s3(?:\.dualstack)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_MRAP_HOST = "{alias}.accesspoint.s3-global.amazonaws.com"
_CLOUDFRONT = Identity("CLOUDFRONT", "")
# What stacks/edge.yaml and docs/edge.md grant to the access identity, to access control and to the function's role.
_GRANTED = ("GetObject", "HeadObject")


class Unreachable(Exception):
    """An origin that cannot be connected to; the message says why. CloudFront answers 502."""


class Origins:
    """The origins that this world has. Whoever asks through the edge may read objects, and nothing else."""

    def __init__(self, s3: Mapping[str, RegionalS3], mrap: MultiRegionAccessPoint, mrap_alias: str) -> None:
        self._s3 = s3
        self._mrap = mrap
        self._mrap_host = _MRAP_HOST.format(alias=mrap_alias)

    def check(self, domain_name: str) -> None:
        """Raises Unreachable when there is no such name, which CloudFront finds out before it runs a function:
        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-edge-function-restrictions.html"""
        match = _S3_HOST.fullmatch(domain_name)
        if domain_name != self._mrap_host and not (match and match["region"] in REGIONS):
            raise Unreachable(f"CloudFront wasn't able to resolve the origin domain name {domain_name}.")

    def fetch(self, request: Json, request_id: str, configured: Origin, location: str) -> Response:
        """The answer of the request's origin, for a viewer at this location. Raises Unreachable."""
        ((kind, origin),) = request["origin"].items()
        domain_name: str = origin["domainName"]
        self.check(domain_name)
        asked = _asked(request, origin, location)
        if kind == "custom":  # to S3 origins it does not add this
            asked = replace(asked, headers=(*asked.headers, ("X-Amz-Cf-Id", request_id)))
        verified = None
        if origin.get("authMethod") == "origin-access-identity":
            verified = _cloudfront(HMAC, origin["region"])
        elif configured.access == "origin-access-control" and configured.domain_name == domain_name:
            # It does not follow a function to another origin.
            verified = _cloudfront(ECDSA if domain_name == self._mrap_host else HMAC, _region(domain_name))
        if asked.method != "OPTIONS" and operation(asked, Address("-", asked.path[1:])) not in _GRANTED:
            return _refused(access_denied())
        try:
            return _as_granted(self._answer(asked, domain_name, verified), domain_name)
        except Dropped:
            raise Unreachable(f"CloudFront wasn't able to connect to the origin {domain_name}.") from None

    def _answer(self, request: Request, domain_name: str, verified: Verified | None) -> Response:
        if verified is not None and request.has_header("Authorization"):
            message = "Only one auth mechanism allowed; the function signed, and CloudFront signs for itself"
            return _refused(S3Error(400, "InvalidArgument", message, {"ArgumentName": "Authorization"}))
        if domain_name == self._mrap_host:
            return self._mrap.admit(request, verified) if verified else self._mrap(request)
        app = self._s3.get(_region(domain_name))
        if app is None:
            return _elsewhere(request)
        return app.admit(request, verified) if verified else app(request)


def _asked(request: Json, origin: Json, location: str) -> Request:
    query = request["querystring"]
    target = f"{origin['path']}{request['uri']}" + (f"?{query}" if query else "")
    headers = (*plain_headers(request["headers"]), *plain_headers(origin["customHeaders"]))
    if location:
        headers = (*headers, (LOCATION_HEADER, location))
    return Request(request["method"], target, headers)


def _region(domain_name: str) -> str:
    match = _S3_HOST.fullmatch(domain_name)
    return match["region"] if match else ""


def _cloudfront(algorithm: str, region: str) -> Verified:
    now = datetime.now(UTC).strftime(TIMESTAMP)
    claim = Claim(
        source="header",
        algorithm=algorithm,
        access_key_id=_CLOUDFRONT.access_key_id,
        date=now[:8],
        region="" if algorithm == ECDSA else region,
        region_set="*" if algorithm == ECDSA else "",
        signed_headers=("host",),
        signature="",
        timestamp=now,
        expires_seconds=None,
        token="",
    )
    return Verified(claim, _CLOUDFRONT)


def _elsewhere(request: Request) -> Response:
    """A region that is not part of this world has none of its buckets."""
    bucket = object_store.find_bucket(address(request).bucket)
    if bucket is None:
        return _refused(S3Error(404, "NoSuchBucket", "The specified bucket does not exist"))
    message = "The bucket you are attempting to access must be addressed using the specified endpoint."
    headers = (("x-amz-bucket-region", bucket.region_name),)
    return _refused(S3Error(301, "PermanentRedirect", message, {"Bucket": bucket.name}, headers))


def _as_granted(response: Response, domain_name: str) -> Response:
    """The answer, or a refusal when the object is missing: without s3:ListBucket S3 does not tell, see
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
    bucket = _S3_HOST.fullmatch(domain_name)
    is_there = bucket is None or object_store.find_bucket(bucket["bucket"]) is not None
    return _refused(access_denied()) if response.status == 404 and is_there else response


def _refused(error: S3Error) -> Response:
    return error.response("EDGE").adding([("Server", "AmazonS3")])

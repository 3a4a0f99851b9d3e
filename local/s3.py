"""S3 of one region: what stands between a client and moto, in the order in which S3 does it."""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from moto.s3.models import FakeKey

from local import cors, forms, multipart, object_store
from local.copying import copy, with_checksum
from local.events import Events, Happened
from local.faults import Faults
from local.forwarding import forward
from local.identities import Identities
from local.listing import list_objects_v2
from local.operations import Address, address, operation
from local.payloads import Payload, read_payload
from local.replication import Replication
from local.replication_rules import check_versioning, replication_configuration, replication_xml
from local.s3_errors import S3Error, access_denied
from local.server import Dropped, Request, Response
from local.signatures import Verified, Verifier, check_region

_AUTH_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Region-Set",
)
# Checked here, and not to be kept with the object or answered by moto a second time.
_CONSUMED_HEADERS = (
    "authorization",
    "content-md5",
    "expect",
    "host",
    "origin",
    "transfer-encoding",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-security-token",
    "x-amz-trailer",
)
_CREATED = {
    "PutObject": "ObjectCreated:Put",
    "CopyObject": "ObjectCreated:Copy",
    "CompleteMultipartUpload": "ObjectCreated:CompleteMultipartUpload",
}
_DELETIONS = ("DeleteObject", "DeleteObjects")


class RegionalS3:
    """The app of one region's endpoint. `endpoint_of` gives another region's host and port, for redirects; it is empty
    for a region that is not of this account: moto has one namespace for all."""

    def __init__(
        self,
        region: str,
        identities: Identities,
        faults: Faults,
        replication: Replication,
        events: Events,
        endpoint_of: Callable[[str], str],
    ) -> None:
        self.region = region
        self._identities = identities
        self._verifier = Verifier(identities, region)
        self._faults = faults
        self._replication = replication
        self._events = events
        self._endpoint_of = endpoint_of

    def __call__(self, request: Request) -> Response:
        return answered(lambda: self._serve(request, self._verifier.verify))

    def admit(self, request: Request, verified: Verified) -> Response:
        """The answer to a service of AWS whose signature is not part of this world, such as CloudFront's."""

        def admitted(_: Request) -> Verified:
            check_region(verified.claim, self.region)
            return verified

        return answered(lambda: self._serve(request, admitted))

    def _serve(self, request: Request, verify: Callable[[Request], Verified]) -> Response:
        self._faults.meet(self.region)
        where = address(request)
        bucket = object_store.find_bucket(where.bucket)
        if bucket is not None and bucket.region_name != self.region:
            raise self._redirect(where, bucket.region_name)
        if request.method == "OPTIONS":
            return cors.preflight(request, cors_rules(where.bucket))
        if operation(request, where) == "PostObject":  # its signature is in the form
            allowing = cors.allowing(request, cors_rules(where.bucket))
            return answered(lambda: self._post(request, where)).adding(allowing)
        allowing = cors.allowing(request, cors_rules(where.bucket))
        # A page must be able to read a refusal too.
        return answered(lambda: self.perform(request, where, verify(request))).adding(allowing)

    def _post(self, request: Request, where: Address) -> Response:
        form = forms.posted(request, where, self._identities, self.region)
        return forms.created(form, request, self.perform(form.put, form.where, form.verified))

    def perform(self, request: Request, where: Address, verified: Verified) -> Response:
        """Do what a verified request asks. Raises S3Error; the Multi-Region Access Point calls this too."""
        request = _with_hoisted_headers(request)
        payload = read_payload(request, verified)
        name = operation(request, where)
        plain = _without_signature(request, payload, verified, self.region)
        if name == "ListObjectsV2" and object_store.find_bucket(where.bucket):
            return list_objects_v2(plain, where.bucket)
        if name == "GetBucketReplication" and replication_configuration(where.bucket):
            return Response(200, (("Content-Type", "application/xml"),), replication_xml(where.bucket))
        if name == "PutBucketVersioning":
            check_versioning(where.bucket, payload.body)
        if name in ("CopyObject", "UploadPartCopy"):

            def do(copying: Request) -> Response:
                return self._do(copying, where, name, verified)

            return copy(plain, where, name, self._is_on, do)
        return self._do(plain, where, name, verified)

    def _is_on(self, region: str) -> bool:
        """Raises S3Error for another account's."""
        if not self._endpoint_of(region):
            raise access_denied()
        return self._faults.is_on(region)

    def _do(self, request: Request, where: Address, name: str, verified: Verified) -> Response:
        told = multipart.answer(request, where, name, lambda plain: forward(plain, where))
        if told is not None:
            return told
        if name in _CREATED or name in _DELETIONS:
            return self._change(request, where, name, verified)
        response = forward(request, where)
        if name in ("GetObject", "HeadObject"):
            response = with_checksum(request, where, self._describe(request, where, response))
        return self._with_own_buckets(response) if name == "ListBuckets" else response

    def _with_own_buckets(self, response: Response) -> Response:
        def kept(entry: re.Match[bytes]) -> bytes:
            bucket = object_store.find_bucket(entry[1].decode())
            return entry[0] if bucket is not None and self._endpoint_of(bucket.region_name) else b""

        body = re.sub(rb"<Bucket>.*?<Name>(.*?)</Name>.*?</Bucket>", kept, response.body, flags=re.DOTALL)
        return replace(response, body=body)

    def _change(self, request: Request, where: Address, name: str, verified: Verified) -> Response:
        keys = _deleted_keys(request) if name == "DeleteObjects" else [where.key]
        with object_store.changing(where.bucket, keys) as changes:
            marker = None
            if name in _DELETIONS and not request.has_parameter("versionId"):
                markers = {key: object_store.add_delete_marker(where.bucket, key) for key in keys}
                marker = markers.get(where.key)
            response = _marked(marker) if marker else forward(request, where)
        for change in changes:
            if not change.added and name not in _DELETIONS:
                continue  # a write to a bucket without versioning replaces what was there, which S3 calls no removal
            self._follow(change, where.bucket, name, request.client, verified)
        return response

    def _follow(self, change: object_store.Change, bucket: str, name: str, client: str, verified: Verified) -> None:
        """Tell of one change, and send it on to the other regions."""
        version = change.version
        happened = Happened(
            name="ObjectRemoved:DeleteMarkerCreated" if change.added else "ObjectRemoved:Delete",
            region=self.region,
            bucket=bucket,
            key=change.key,
            version_id=version.version_id,
            principal=verified.identity.access_key_id,
            client=client,
        )
        if change.added and isinstance(version, FakeKey):
            happened = replace(happened, name=_CREATED[name], size=version.size, etag=version.etag)
        self._events.publish(happened)
        if change.added:
            self._replication.added(bucket, version)

    def _describe(self, request: Request, where: Address, response: Response) -> Response:
        """Add what moto leaves out: the replication status, and that a delete marker hides the key."""
        status = self._replication.status(where.bucket, where.key, response.header("x-amz-version-id"))
        if response.status < 400:
            return response.adding([("x-amz-replication-status", status)] if status else [])
        version_id = request.parameter("versionId")
        marker = object_store.current_marker(where, version_id) if response.status == 404 else None
        if marker is None:
            return response
        hidden = (("x-amz-delete-marker", "true"), ("x-amz-version-id", marker.version_id))
        if version_id:
            message = "The specified method is not allowed against this resource."
            details = {"Method": request.method, "ResourceType": "DeleteMarker"}
            raise S3Error(405, "MethodNotAllowed", message, details, (("Allow", "DELETE"), *hidden))
        return response.adding(hidden)

    def _redirect(self, where: Address, region: str) -> S3Error:
        if not self._endpoint_of(region):
            return access_denied()
        message = (
            "The bucket you are attempting to access must be addressed using the specified endpoint. "
            "Please send all future requests to this endpoint."
        )
        details = {"Endpoint": self._endpoint_of(region), "Bucket": where.bucket}
        return S3Error(301, "PermanentRedirect", message, details, (("x-amz-bucket-region", region),))


def answered(serve: Callable[[], Response]) -> Response:
    """The answer, or S3's XML for the S3Error that was raised, with the headers that every answer of S3 has."""
    request_id = secrets.token_hex(8).upper()
    try:
        response = serve()
    except Dropped:
        raise
    except S3Error as error:
        response = error.response(request_id)
    return response.adding((("Server", "AmazonS3"), ("x-amz-request-id", request_id)))


def cors_rules(bucket: str) -> list[cors.Rule]:
    """The CORS rules stored with the bucket."""
    found = object_store.find_bucket(bucket)
    return [
        cors.Rule(
            origins=rule.allowed_origins or [],
            methods=rule.allowed_methods or [],
            headers=rule.allowed_headers or [],
            exposed=rule.exposed_headers or [],
            max_age_seconds=int(rule.max_age_seconds) if rule.max_age_seconds else None,
        )
        for rule in (found.cors if found else [])
    ]


def _with_hoisted_headers(request: Request) -> Request:
    """The request with the x-amz-* parameters of its query as headers too: some SDKs presign headers that way."""
    hoisted = [
        (name.lower(), value)
        for name, value in request.parameters
        if name.lower().startswith("x-amz-") and name not in _AUTH_PARAMETERS and not request.has_header(name)
    ]
    return replace(request, headers=(*request.headers, *hoisted)) if hoisted else request


def _without_signature(request: Request, payload: Payload, verified: Verified, region: str) -> Request:
    """The request as moto is to see it: signed by a key, but no longer carrying the signature or its encoding."""
    kept = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in _CONSUMED_HEADERS and not name.lower().startswith("x-amz-checksum-")
    ]
    headers = [header for header in map(_without_chunking, kept) if header[1]]
    for algorithm, value in payload.checksums.items():
        headers = [(name, old) for name, old in headers if name.lower() != "x-amz-sdk-checksum-algorithm"]
        headers += [("x-amz-sdk-checksum-algorithm", algorithm.upper()), (f"x-amz-checksum-{algorithm}", value)]
    headers += [
        (name, value)
        for name, value in request.headers
        if name.lower() in ("x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-checksum-type")
    ]
    claim = verified.claim
    scope = f"{claim.access_key_id}/{claim.date}/{region}/s3/aws4_request"
    headers.append(("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=verified"))
    pairs = [(name, value) for name, value in request.parameters if not name.lower().startswith("x-amz-")]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    path = request.path
    return Request(request.method, f"{path}?{query}" if query else path, tuple(headers), payload.body, request.client)


def _without_chunking(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    if name.lower() != "content-encoding":
        return header
    return name, ",".join(part.strip() for part in value.split(",") if part.strip() != "aws-chunked")


def _deleted_keys(request: Request) -> list[str]:
    try:
        return object_store.keys_to_delete(request.body)
    except ValueError as error:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise S3Error(400, "MalformedXML", message) from error


def _marked(marker: object_store.Version) -> Response:
    return Response(204, (("x-amz-delete-marker", "true"), ("x-amz-version-id", marker.version_id)))

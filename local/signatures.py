"""Signature Version 4 and 4A, checked as S3 checks them.

The canonical request comes from botocore and nothing here comes from nearside, so that no one bug is on both sides.
"""

import fnmatch
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import override
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from local.claims import ECDSA, HMAC, Claim, read_claim
from local.identities import Identities, Identity
from local.s3_errors import S3Error, access_denied, bad_authorization_header, bad_query_signature
from local.server import Request, decode_path

MAX_SKEW = timedelta(minutes=15)

# The order of the P-256 group (FIPS 186-5, D.1.2.3); a private key is between 1 and this less one.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Verified:
    """A request whose signature was found good: who signed it, and how."""

    claim: Claim
    identity: Identity


class Verifier:
    """Checks requests to one endpoint against the keys of `identities`.

    `region` is the endpoint's own, or empty for a Multi-Region Access Point, which takes SigV4A only.
    """

    def __init__(self, identities: Identities, region: str = "") -> None:
        self._identities = identities
        self._region = region

    def verify(self, request: Request) -> Verified:
        """Who signed the request. Raises S3Error with S3's code and words when it must be refused."""
        claim = read_claim(request)
        self._check_algorithm(claim)
        if self._region:
            check_region(claim, self._region)
        identity = self._identify(claim)
        _check_time(claim, identity)
        _check_signed_headers(claim, request)
        _check_signature(claim, identity, request)
        return Verified(claim, identity)

    def _check_algorithm(self, claim: Claim) -> None:
        if self._region or claim.algorithm == ECDSA:
            return
        message = f"a Multi-Region Access Point needs {ECDSA} (SigV4A), not {claim.algorithm}."
        if claim.source == "query":
            raise bad_query_signature(f"Error parsing the X-Amz-Algorithm parameter; {message}")
        raise bad_authorization_header(f"The authorization header is malformed; {message}")

    def _identify(self, claim: Claim) -> Identity:
        identity = self._identities.find(claim.access_key_id)
        if identity is None or (identity.session_token and not claim.token):
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise S3Error(403, "InvalidAccessKeyId", message, {"AWSAccessKeyId": claim.access_key_id})
        if claim.token != identity.session_token:
            message = "The provided token is malformed or otherwise invalid."
            raise S3Error(400, "InvalidToken", message, {"Token-0": claim.token})
        return identity


def check_region(claim: Claim, region: str) -> None:
    """Raises S3Error unless the claim was made for the region: its scope names it, or its region set has it."""
    if claim.algorithm == ECDSA:
        if any(fnmatch.fnmatchcase(region, pattern.strip()) for pattern in claim.region_set.split(",")):
            return
        message = f"the region set '{claim.region_set}' is wrong; expecting one with '{region}'"
        name = "X-Amz-Region-Set"
    elif claim.region == region:
        return
    else:
        message = f"the region '{claim.region}' is wrong; expecting '{region}'"
        name = "X-Amz-Credential"
    if claim.source == "query":
        raise S3Error(
            400,
            "AuthorizationQueryParametersError",
            f"Error parsing the {name} parameter; {message}",
            {"Region": region},
        )
    raise bad_authorization_header(f"The authorization header is malformed; {message}", Region=region)


def _check_time(claim: Claim, identity: Identity) -> None:
    now = datetime.now(UTC)
    if claim.expires_seconds is None:
        if abs(now - claim.time) > MAX_SKEW:
            details = {"RequestTime": claim.timestamp, "ServerTime": _iso(now), "MaxAllowedSkewMilliseconds": "900000"}
            message = "The difference between the request time and the current time is too large."
            raise S3Error(403, "RequestTimeTooSkewed", message, details)
    else:
        if claim.time - now > MAX_SKEW:
            raise access_denied("Request is not valid yet", RequestTime=_iso(claim.time), ServerTime=_iso(now))
        expires = claim.time + timedelta(seconds=claim.expires_seconds)
        if now > expires:
            raise access_denied(
                "Request has expired",
                **{"X-Amz-Expires": str(claim.expires_seconds), "Expires": _iso(expires), "ServerTime": _iso(now)},
            )
    if identity.expires_at is not None and now > identity.expires_at:
        raise S3Error(400, "ExpiredToken", "The provided token has expired.", {"Token-0": claim.token})


def _check_signed_headers(claim: Claim, request: Request) -> None:
    """The host and every x-amz-* header must be signed, or somebody on the way could change what is asked."""
    unsigned = sorted(
        {
            name.lower()
            for name, _ in request.headers
            if (name.lower() == "host" or name.lower().startswith("x-amz-"))
            and name.lower() not in claim.signed_headers
        }
    )
    if unsigned:
        message = "There were headers present in the request which were not signed"
        raise access_denied(message, HeadersNotSigned=", ".join(unsigned))


def _check_signature(claim: Claim, identity: Identity, request: Request) -> None:
    credentials = Credentials(identity.access_key_id, identity.secret_access_key)
    auth = (_QueryRules if claim.source == "query" else _HeaderRules)(credentials, "s3", claim.region)
    signed = _signed_part(claim, request)
    canonical = auth.canonical_request(signed)
    if claim.algorithm == HMAC:
        text = auth.string_to_sign(signed, canonical)
        good = hmac.compare_digest(auth.signature(text, signed), claim.signature)
    else:
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join((ECDSA, claim.timestamp, claim.scope, digest))
        good = _is_ecdsa_signature(identity, text, claim.signature)
    if not good:
        message = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
        details = {
            "AWSAccessKeyId": claim.access_key_id,
            "StringToSign": text,
            "SignatureProvided": claim.signature,
            "CanonicalRequest": canonical,
        }
        raise S3Error(403, "SignatureDoesNotMatch", message, details)


class _EveryHeader:
    """botocore signs no header of its own hop-by-hop list; here the client has said which ones it signed."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers.add_header(name.lower(), value)
        return headers


class _QueryRules(_EveryHeader, S3SigV4QueryAuth):
    pass


class _HeaderRules(_EveryHeader, S3SigV4Auth):
    @override
    def payload(self, request: AWSRequest) -> str:
        raise S3Error(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")


def _signed_part(claim: Claim, request: Request) -> AWSRequest:
    """The signed part of the request: path and query, decoded and encoded anew as S3 does, and the named headers."""
    path = quote(decode_path(request.path), safe="/-._~", errors="surrogateescape")
    pairs = [(name, value) for name, value in request.parameters if name != "X-Amz-Signature"]
    signed = AWSRequest(method=request.method, url=f"http://host{path}")
    signed.params = pairs  # type: ignore[assignment] # botocore takes pairs too: one name may come twice
    for name in claim.signed_headers:
        values = [value for key, value in request.headers if key.lower() == name]
        for value in values or [""]:
            signed.headers.add_header(name, _as_utf8(value))
    signed.context["timestamp"] = claim.timestamp
    return signed


def _as_utf8(header_value: str) -> str:
    """The server reads header bytes as Latin-1; clients sign them as UTF-8."""
    try:
        return header_value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header_value


def _is_ecdsa_signature(identity: Identity, text: str, signature: str) -> bool:
    try:
        public_key(identity).verify(bytes.fromhex(signature), text.encode(), ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(identity: Identity) -> ec.EllipticCurvePublicKey:
    """The P-256 key with which SigV4A signatures of this key pair are checked.

    The derivation is NIST SP 800-108's counter mode, as AWS documents it for SigV4A:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (deriving a signing key).
    """
    secret = b"AWS4A" + identity.secret_access_key.encode()
    for counter in range(1, 255):
        context = identity.access_key_id.encode() + bytes([counter])
        fixed = b"\x00\x00\x00\x01" + ECDSA.encode() + b"\x00" + context + b"\x00\x00\x01\x00"
        candidate = int.from_bytes(hmac.digest(secret, fixed, "sha256"), "big")
        if candidate <= _P256_ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1()).public_key()
    raise ValueError("no SigV4A key can be derived")


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")

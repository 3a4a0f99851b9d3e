"""The gateway's clients are who they say: SigV4 and SigV4A by header and by query, checked over what was sent.

The rules are S3's (nearside.gateway.claims names the pages), and so are the words, so that nobody learns more here than
from S3. tests/unit/test_gateway_signatures.py holds it against botocore's and awscrt's signers.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from nearside.errors import BadRequest, Refused
from nearside.gateway.access_keys import AccessKey, fits
from nearside.gateway.canonical import canonical_request, spellings
from nearside.gateway.claims import HMAC, Algorithm, Claim, claim_of
from nearside.gateway.errors import Skewed, UnknownAccessKey, WrongSignature
from nearside.gateway.s3_requests import S3Request
from nearside.signing import UNSIGNED_PAYLOAD, v4_key, v4a_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
MAX_SKEW_SECONDS = 900
# What IAM's ids are made of (https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html).
_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)
_HMAC_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_ECDSA_SIGNATURE = re.compile(r"([0-9a-f]{2}){8,72}")
# CloudFront puts it in on the way, after the client signed:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
_ADDED = "x-amz-cf-id"
_WRONG = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


class Signed(msgspec.Struct, frozen=True):
    """Who signed a request, and what the signatures of its chunks go on from.

    `payload` is what was signed of the body: its SHA-256 in hex, `UNSIGNED-PAYLOAD` or `STREAMING-…`; `signature` is
    the request's own, the first in the chain of chunks.
    """

    key: AccessKey
    algorithm: Algorithm
    secret: str
    timestamp: str
    day: str
    region: str
    scope: str
    signature: str
    payload: str
    presigned: bool

    def __repr__(self) -> str:
        return f"Signed(key={self.key.id!r}, algorithm={self.algorithm!r}, scope={self.scope!r})"

    def proves(self, string_to_sign: bytes, signature: str) -> bool:
        """Whether the signature is the same client's on this text, made with the same key and in the same scope."""
        return _proves(self.algorithm, self.key.id, self.secret, self.day, self.region, string_to_sign, signature)


class Verifier:
    """Checks requests against the keys that `find` gives by their ids; `clock` tells seconds since the epoch.

    `region` is what clients have to sign for; None: whichever they like, since all of the gateway is one place to them.
    """

    def __init__(self, find: Callable[[str], AccessKey | None], region: str | None, clock: Callable[[], float]) -> None:
        self._find = find
        self._region = region
        self._clock = clock

    def verify(self, request: S3Request) -> Signed:
        """Who signed the request.

        Raises Refused (unsigned, expired, not valid yet, something of it unsigned, a session), UnknownAccessKey (also
        for a key that is disabled or over), WrongSignature, Skewed, BadAuthorization, BadQueryAuthorization,
        InvalidArgument (signed twice), BadRequest (another way of signing, no hash of the body).
        """
        claim = claim_of(request)
        now = self._clock()
        _check_time(claim, now)
        self._check_region(claim)
        _check_names(claim, request)
        payload = _payload(claim, request)
        key = self._find(claim.key_id) if _KEY_ID.fullmatch(claim.key_id) else None
        secrets = key.good_secrets(now) if key else []
        if not key or not secrets:
            raise UnknownAccessKey("The AWS Access Key Id you provided does not exist in our records.")
        return Signed(
            key=key,
            algorithm=claim.algorithm,
            secret=_secret(claim, request, payload, secrets),
            timestamp=claim.timestamp,
            day=claim.day,
            region=claim.region,
            scope=claim.scope,
            signature=claim.signature,
            payload=payload,
            presigned=claim.expires_seconds is not None,
        )

    def _check_region(self, claim: Claim) -> None:
        if claim.algorithm == HMAC:
            if self._region not in (None, claim.region):
                words = f"the region '{claim.region}' is wrong; expecting '{self._region}'"
                raise claim.malformed("X-Amz-Credential", words)
            return
        patterns = [pattern for each in claim.region_set.split(",") if (pattern := each.strip())]
        right = bool(patterns) if self._region is None else any(fits(self._region, pattern) for pattern in patterns)
        if not right:
            words = f"the region set '{claim.region_set}' is wrong; expecting one with '{self._region or '*'}'"
            raise claim.malformed("X-Amz-Region-Set", words)


def _check_time(claim: Claim, now: float) -> None:
    if claim.expires_seconds is None:
        if abs(now - claim.at) > MAX_SKEW_SECONDS:
            raise Skewed("The difference between the request time and the current time is too large.")
    elif claim.at - now > MAX_SKEW_SECONDS:
        raise Refused("Request is not valid yet")
    elif now > claim.at + claim.expires_seconds:
        raise Refused("Request has expired")


def _check_names(claim: Claim, request: S3Request) -> None:
    """The host and every x-amz-* header must be signed, or somebody on the way could change what is asked."""
    names = claim.names
    unsigned = [] if "host" in names else ["host"]
    unsigned += [name for name in request.headers if name.startswith("x-amz-") and name not in names and name != _ADDED]
    if unsigned:
        words = "There were headers present in the request which were not signed"
        raise Refused(f"{words}: {', '.join(sorted(unsigned))}")


def _payload(claim: Claim, request: S3Request) -> str:
    """What the client signed of the body. A presigned URL may say it in its query, where some SDKs put headers."""
    declared = request.headers.get("x-amz-content-sha256")
    if claim.expires_seconds is not None:
        return declared or request.parameters.get("X-Amz-Content-Sha256") or UNSIGNED_PAYLOAD
    if not declared:
        raise BadRequest("Missing required header for this request: x-amz-content-sha256")
    return declared


def _secret(claim: Claim, request: S3Request, payload: str, secrets: list[str]) -> str:
    """The one of the secrets that the request was signed with. Raises WrongSignature."""
    opening = f"{claim.algorithm}\n{claim.timestamp}\n{claim.scope}\n"
    leave_out = "" if claim.expires_seconds is None else "X-Amz-Signature"
    for spelling in spellings(request, leave_out):
        for host in request.hosts:
            canonical = canonical_request(request, spelling, host, claim.names, payload)
            text = f"{opening}{hashlib.sha256(canonical).hexdigest()}".encode()
            for secret in secrets:
                if _proves(claim.algorithm, claim.key_id, secret, claim.day, claim.region, text, claim.signature):
                    return secret
    raise WrongSignature(_WRONG)


def _proves(algorithm: Algorithm, key_id: str, secret: str, day: str, region: str, text: bytes, signature: str) -> bool:
    if algorithm == HMAC:
        # Comparing raises TypeError for what is not ASCII.
        if not _HMAC_SIGNATURE.fullmatch(signature):
            return False
        return hmac.compare_digest(hmac.digest(v4_key(secret, day, region, "s3"), text, "sha256").hex(), signature)
    return bool(_ECDSA_SIGNATURE.fullmatch(signature)) and _is_ecdsa(key_id, secret, text, bytes.fromhex(signature))


def _is_ecdsa(key_id: str, secret: str, text: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA as P256
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        _public_key(key_id, secret).verify(signature, text, P256(SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)
def _public_key(key_id: str, secret: str) -> "EllipticCurvePublicKey":
    return v4a_key(key_id, secret).public_key()

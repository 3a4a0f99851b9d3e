"""Signed requests: SigV4 for buckets, STS and DynamoDB, SigV4A for Multi-Region Access Points.

An MRAP takes SigV4A only and a bucket SigV4, so there are two signers and never one configuration for both. Both
follow "Authenticating Requests: Using Query Parameters"
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html); S3's path is encoded once and never
normalised. SigV4A differs in the algorithm's name, in a scope without region, in `X-Amz-Region-Set`, and in the
signature, an ECDSA one over P-256 with a key derived from the secret
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). tests/unit/test_signing.py
proves both against botocore and awscrt.
"""

import hashlib
import hmac
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from nearside.errors import BadRequest, NoCredentials

MAX_EXPIRES_SECONDS = 604_800  # 7 days: S3 refuses more in X-Amz-Expires (page above).
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
# NIST P-256's group order (https://nvlpubs.nist.gov/nistpubs/SpecialPublications/NIST.SP.800-186.pdf, 3.2.1.3).
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_ENCODED = tuple(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256))
_ENCODED_PATH = tuple("/" if byte == ord("/") else text for byte, text in enumerate(_ENCODED))

type Address = tuple[str, str, str]
"""Scheme, host (with port when it is not the scheme's own) and path prefix of a bucket or an MRAP."""


class Credentials(msgspec.Struct, frozen=True):
    """One key pair, and for a session its token and its end as seconds since the epoch (None: no end is known)."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, expires_at={self.expires_at!r})"


class Signer(ABC):
    """Signs for one instant with one set of credentials. Use `V4` or `V4a`."""

    algorithm: ClassVar[str]

    def __init__(self, credentials: Credentials, now: float) -> None:
        self.credentials = credentials
        self.now = now
        self.timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        self.scope = self._scope(self.timestamp[:8])
        self._fixed = {
            "X-Amz-Algorithm": self.algorithm,
            "X-Amz-Credential": _encoded(f"{credentials.access_key_id}/{self.scope}"),
            "X-Amz-Date": self.timestamp,
        }
        if credentials.session_token:
            self._fixed["X-Amz-Security-Token"] = _encoded_token(credentials.session_token)

    def presign(
        self,
        method: str,
        address: Address,
        key: str,
        expires_in: int,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        payload_hash: str = UNSIGNED_PAYLOAD,
    ) -> str:
        """The URL that lets `method` be done on `key` for `expires_in` seconds from the signer's instant.

        `query` is added to the URL (`versionId`, `response-content-type`, `partNumber`…), `headers` (lower-case names)
        are signed, so the client must send exactly these. `key` may be empty for a request to the bucket itself.
        """
        scheme, host, prefix = address
        path = f"{prefix}/{_encoded(key, _ENCODED_PATH)}"
        signed = {"host": host, **headers} if headers else {"host": host}
        names = ";".join(sorted(signed))
        pairs = {**self._fixed, "X-Amz-Expires": str(expires_in), "X-Amz-SignedHeaders": names.replace(";", "%3B")}
        for name, value in (query or {}).items():
            pairs[_encoded(name)] = _encoded(value)
        canonical_query = "&".join([f"{name}={value}" for name, value in sorted(pairs.items())])
        lines = "".join([f"{name}:{_trimmed(signed[name])}\n" for name in names.split(";")])
        canonical = f"{method}\n{path}\n{canonical_query}\n{lines}\n{names}\n{payload_hash}"
        signature = self._signature(canonical)
        return f"{scheme}://{host}{path}?{canonical_query}&X-Amz-Signature={signature}"

    def headers(
        self,
        host: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        method: str = "POST",
        path: str = "/",
        query: str = "",
        payload_hash: str = "",
    ) -> dict[str, str]:
        """The headers of a request to `host` with this body, `headers` (lower-case names) and the signature among them
        (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

        `path` and `query` are encoded, the query's pairs in order; `payload_hash` is the body's SHA-256 in hex where it
        is known, or UNSIGNED_PAYLOAD, and S3 wants it as `x-amz-content-sha256` too.
        """
        signed = {"host": host, "x-amz-date": self.timestamp, **headers}
        if self.credentials.session_token:
            signed["x-amz-security-token"] = self.credentials.session_token
        names = sorted(signed)
        lines = "".join([f"{name}:{_trimmed(signed[name])}\n" for name in names])
        joined = ";".join(names)
        payload_hash = payload_hash or hashlib.sha256(body).hexdigest()
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{joined}\n{payload_hash}"
        credential = f"{self.credentials.access_key_id}/{self.scope}"
        signed["authorization"] = (
            f"{self.algorithm} Credential={credential}, SignedHeaders={joined}, Signature={self._signature(canonical)}"
        )
        return signed

    def _signature(self, canonical: str) -> str:
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return self._sign(f"{self.algorithm}\n{self.timestamp}\n{self.scope}\n{digest}".encode())

    @abstractmethod
    def _scope(self, day: str) -> str: ...

    @abstractmethod
    def _sign(self, string_to_sign: bytes) -> str: ...


class V4(Signer):
    """SigV4: HMAC-SHA256, for one region of one service."""

    algorithm = "AWS4-HMAC-SHA256"

    def __init__(self, credentials: Credentials, now: float, region: str, service: str = "s3") -> None:
        self.region = region
        self.service = service
        super().__init__(credentials, now)

    def _scope(self, day: str) -> str:
        return f"{day}/{self.region}/{self.service}/aws4_request"

    def _sign(self, string_to_sign: bytes) -> str:
        key = v4_key(self.credentials.secret_access_key, self.timestamp[:8], self.region, self.service)
        return hmac.digest(key, string_to_sign, "sha256").hex()


class V4a(Signer):
    """SigV4A: ECDSA over P-256, for S3 in a set of regions (`*`: whichever the MRAP routes to)."""

    algorithm = "AWS4-ECDSA-P256-SHA256"

    def __init__(self, credentials: Credentials, now: float, region_set: str = "*") -> None:
        super().__init__(credentials, now)
        self._fixed["X-Amz-Region-Set"] = _encoded(region_set)
        self._key = v4a_key(credentials.access_key_id, credentials.secret_access_key)

    def _scope(self, day: str) -> str:
        return f"{day}/s3/aws4_request"

    def _sign(self, string_to_sign: bytes) -> str:
        return self._key.sign(string_to_sign, _ECDSA_SHA256).hex()


class _EcdsaSha256(ec.ECDSA):
    """ECDSA with SHA-256 and a random nonce; `ec.ECDSA(SHA256())` would import all of cryptography's OpenSSL backend,
    to ask about deterministic nonces, and cost a cold start 7 ms."""

    algorithm = SHA256()
    deterministic_signing = False

    def __init__(self) -> None:
        pass


_ECDSA_SHA256 = _EcdsaSha256()


def lifetime_seconds(asked: int, credentials: Credentials, now: float) -> int:
    """How long a URL signed now truly lives: the least of `asked`, 7 days, and what is left of the signing session.

    Raises BadRequest when `asked` is outside 1…604800, NoCredentials when the session is already over.
    """
    if not 1 <= asked <= MAX_EXPIRES_SECONDS:
        raise BadRequest(f"expires_in is {asked}: expected 1 to {MAX_EXPIRES_SECONDS} seconds (7 days)")
    if credentials.expires_at is None:
        return asked
    left = int(credentials.expires_at - now)
    if left < 1:
        raise NoCredentials(f"the session of {credentials.access_key_id} ended {-left} seconds ago: sign in again")
    return min(asked, left)


@lru_cache(maxsize=32)
def v4_key(secret_access_key: str, day: str, region: str, service: str) -> bytes:
    """The 32-byte SigV4 signing key of one day, region and service."""
    key = ("AWS4" + secret_access_key).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=8)
def v4a_key(access_key_id: str, secret_access_key: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key that SigV4A derives from a key pair.

    The derivation is NIST SP 800-108's KDF in counter mode with HMAC-SHA256, one 256-bit block, tried again with the
    next one-byte counter in the context while the result is above the group order minus 2; the key is the result + 1
    (as in aws-c-auth's key_derivation.c). Cached per access key **and** secret: a secret that rotated under the same
    id must not sign with the old key.
    """
    for counter in range(1, 255):
        context = access_key_id.encode() + bytes([counter])
        fixed = b"\x00\x00\x00\x01" + V4a.algorithm.encode() + b"\x00" + context + b"\x00\x00\x01\x00"
        candidate = int.from_bytes(hmac.digest(("AWS4A" + secret_access_key).encode(), fixed, "sha256"))
        if candidate <= _P256_ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1())
    raise NoCredentials("no SigV4A key can be derived from these credentials")  # odds of 2**-8000


def encoded_path(key: str) -> str:
    """A key as an address has it, its slashes as they are."""
    return _encoded(key, _ENCODED_PATH)


def _encoded(text: str, table: Sequence[str] = _ENCODED) -> str:
    """S3's percent-encoding: each byte of UTF-8 but the unreserved ones. (urllib.parse has it too, and would cost a
    cold start 4 ms.)"""
    return "".join([table[byte] for byte in text.encode()])


@lru_cache(maxsize=8)
def _encoded_token(session_token: str) -> str:
    """A session's token as a URL has it: a thousand characters, and the same for every signer of the session."""
    return _encoded(session_token)


def _trimmed(value: str) -> str:
    """A header's value as the canonical request holds it: outer space cut, inner runs of spaces made one."""
    return " ".join(value.split()) if " " in value else value.strip()

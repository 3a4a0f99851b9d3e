"""Request bodies: undo aws-chunked encoding, and compare body and announced hashes, as S3 does before it stores."""

import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from awscrt import checksums

from local.claims import Claim
from local.identities import Identity
from local.s3_errors import S3Error, invalid_argument
from local.server import Request
from local.signatures import Verified

_EMPTY_SHA256 = hashlib.sha256().hexdigest()
_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_SIGNED_CHUNKS = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")

_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": lambda body: checksums.crc32c(body).to_bytes(4, "big"),
    "crc64nvme": lambda body: checksums.crc64nvme(body).to_bytes(8, "big"),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
}


@dataclass(frozen=True, slots=True)
class Payload:
    """The object's own bytes, and the x-amz-checksum-* values (by algorithm, base64) announced for them."""

    body: bytes
    checksums: dict[str, str]


def read_payload(request: Request, verified: Verified) -> Payload:
    """The decoded and checked body. Raises S3Error: XAmzContentSHA256Mismatch, BadDigest, InvalidDigest, …"""
    declared = request.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    trailers: dict[str, str] = {}
    body = request.body
    if declared.startswith("STREAMING-"):
        if declared not in (*_UNSIGNED, *_SIGNED_CHUNKS):
            message = "A header you provided implies functionality that is not implemented"
            raise S3Error(501, "NotImplemented", message, {"Header": "x-amz-content-sha256", "Value": declared})
        body, trailers = _Chunks(request.body, verified, signed=declared in _SIGNED_CHUNKS).decode()
        length = request.header("x-amz-decoded-content-length")
        if length != str(len(body)):
            message = "The request body terminated unexpectedly"
            raise S3Error(
                400, "IncompleteBody", message, {"NumberBytesExpected": length, "NumberBytesProvided": str(len(body))}
            )
    elif declared not in _UNSIGNED:
        _check_sha256(declared, body)
    _check_md5(request, body)
    return Payload(body, _check_checksums(request, trailers, body))


def _check_sha256(declared: str, body: bytes) -> None:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", declared):
        message = f"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, {_SIGNED_CHUNKS[0]}, or a valid sha256 value."
        raise invalid_argument(message, "x-amz-content-sha256", declared)
    actual = hashlib.sha256(body).hexdigest()
    if actual != declared.lower():
        details = {"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": actual}
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise S3Error(400, "XAmzContentSHA256Mismatch", message, details)


def _check_md5(request: Request, body: bytes) -> None:
    if not request.has_header("Content-MD5"):
        return
    declared = request.header("Content-MD5")
    if _decoded_size(declared) != 16:
        details = {"Content-MD5": declared}
        raise S3Error(400, "InvalidDigest", "The Content-MD5 you specified was invalid.", details)
    actual = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    if actual != declared:
        details = {"ExpectedDigest": declared, "CalculatedDigest": actual}
        raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.", details)


def _check_checksums(request: Request, trailers: dict[str, str], body: bytes) -> dict[str, str]:
    # A multipart upload is completed with the checksum of the whole object, which is not that of the request's body.
    if request.method == "POST" and request.has_parameter("uploadId"):
        return {}
    found = {}
    for algorithm, compute in _CHECKSUMS.items():
        name = f"x-amz-checksum-{algorithm}"
        declared = trailers.get(name) or request.header(name)
        if not declared:
            continue
        actual = compute(body)
        if _decoded_size(declared) != len(actual):
            raise S3Error(400, "InvalidRequest", f"Value for {name} header is invalid.")
        if base64.b64encode(actual).decode() != declared:
            message = f"The {algorithm.upper()} you specified did not match the calculated checksum."
            raise S3Error(400, "BadDigest", message)
        found[algorithm] = declared
    return found


def _decoded_size(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except ValueError:  # no base64, or not even ASCII
        return -1


class _Chunks:
    """The aws-chunked encoding: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html."""

    def __init__(self, body: bytes, verified: Verified, *, signed: bool) -> None:
        self._body = body
        self._position = 0
        self._claim: Claim = verified.claim
        self._previous = verified.claim.signature
        self._key = _signing_key(verified.identity, verified.claim) if signed else None

    def decode(self) -> tuple[bytes, dict[str, str]]:
        """The joined data of the chunks, and the trailing headers by lower-case name."""
        data = bytearray()
        while True:
            size, _, extension = self._line().partition(";")
            try:
                length = int(size, 16)
            except ValueError:
                raise S3Error(400, "IncompleteBody", "The request body terminated unexpectedly") from None
            chunk = self._body[self._position : self._position + length]
            self._check("PAYLOAD", f"{_EMPTY_SHA256}\n", chunk, extension.partition("=")[2])
            if not length:
                return bytes(data), self._trailers()
            data += chunk
            self._position += length + 2

    def _trailers(self) -> dict[str, str]:
        lines = []
        while self._position < len(self._body) and (line := self._line()):
            lines.append(line.partition(":"))
        trailers = {name.strip().lower(): value.strip() for name, _, value in lines}
        signature = trailers.pop("x-amz-trailer-signature", "")
        if self._key and (signature or trailers):
            canonical = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
            self._check("TRAILER", "", canonical.encode(), signature)
        return trailers

    def _check(self, kind: str, prefix: str, content: bytes, signature: str) -> None:
        if self._key is None:
            return
        digest = hashlib.sha256(content).hexdigest()
        lines = (f"{self._claim.algorithm}-{kind}", self._claim.timestamp, self._claim.scope, self._previous)
        text = "\n".join(lines) + f"\n{prefix}{digest}"
        expected = hmac.new(self._key, text.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(expected, signature):
            message = "The request signature we calculated does not match the signature you provided."
            raise S3Error(403, "SignatureDoesNotMatch", message, {"StringToSign": text, "SignatureProvided": signature})
        self._previous = signature

    def _line(self) -> str:
        end = self._body.find(b"\r\n", self._position)
        if end < 0:
            end = len(self._body)
        line = self._body[self._position : end]
        self._position = end + 2
        return line.decode("latin-1")


def _signing_key(identity: Identity, claim: Claim) -> bytes:
    key = f"AWS4{identity.secret_access_key}".encode()
    for part in (claim.date, claim.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

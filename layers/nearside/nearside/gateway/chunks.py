"""The body of a request as its client meant it: aws-chunked undone, every signature, hash and checksum checked.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html. A body is in
memory as a whole, and Lambda gives none over 6 MB.
"""

import hashlib
import re
from collections.abc import Mapping

from nearside.errors import BadRequest
from nearside.gateway import checksums
from nearside.gateway.claims import ECDSA, HMAC
from nearside.gateway.errors import (
    HashMismatch,
    IncompleteBody,
    InvalidArgument,
    LengthMissing,
    NotSupported,
    WrongSignature,
)
from nearside.gateway.s3_requests import S3Request
from nearside.gateway.signatures import Signed
from nearside.signing import UNSIGNED_PAYLOAD

MAX_LINE_BYTES = 8 * 1024
MAX_TRAILERS = 16
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
# What signs the chunks (None: nothing does), and whether trailers may follow.
_STREAMS: Mapping[str, tuple[str | None, bool]] = {
    _UNSIGNED_TRAILER: (None, True),
    f"STREAMING-{HMAC}-PAYLOAD": (HMAC, False),
    f"STREAMING-{HMAC}-PAYLOAD-TRAILER": (HMAC, True),
    f"STREAMING-{ECDSA}-PAYLOAD": (ECDSA, False),
    f"STREAMING-{ECDSA}-PAYLOAD-TRAILER": (ECDSA, True),
}
_EMPTY_SHA256 = hashlib.sha256().hexdigest()
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SIZE = re.compile(r"[0-9a-fA-F]{1,16}")
_LENGTH = re.compile(r"\d{1,16}", re.ASCII)
_TRAILER_SIGNATURE = "x-amz-trailer-signature"
_SIGNATURE_WORDS = "The signature of {} does not match the one that was calculated."


def body_of(request: S3Request, signed: Signed) -> tuple[bytes, dict[str, str]]:
    """The object's own bytes, and the checksums announced for them (base64 by algorithm), all of them verified.

    Raises IncompleteBody, HashMismatch, BadDigest, InvalidDigest, WrongSignature (a chunk's, the trailers'),
    LengthMissing, InvalidArgument, NotSupported and BadRequest, each with what was expected and what came.
    """
    body, headers = request.body, request.headers
    length = headers.get("content-length")
    if length is not None and length != str(len(body)):
        raise IncompleteBody(f"The body has {len(body)} bytes, and Content-Length is {length!r}")
    trailers: dict[str, str] = {}
    if signed.payload.startswith("STREAMING-"):
        body, trailers = _unchunked(request, signed)
    elif "x-amz-trailer" in headers:
        raise BadRequest(f"x-amz-trailer needs an aws-chunked body, and x-amz-content-sha256 is {signed.payload}")
    elif signed.payload != UNSIGNED_PAYLOAD:
        _check_sha256(signed.payload, body)
    if (md5 := headers.get("content-md5")) is not None:
        checksums.check_md5(md5, body)
    return body, _checked(request, signed, trailers, body)


def _check_sha256(declared: str, body: bytes) -> None:
    if not _SHA256.fullmatch(declared):
        words = (
            f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD}, one of {', '.join(_STREAMS)}, or a valid sha256 value."
        )
        raise InvalidArgument(words)
    actual = hashlib.sha256(body).hexdigest()
    if actual != declared.lower():
        words = "The provided 'x-amz-content-sha256' header does not match what was computed"
        raise HashMismatch(f"{words}: {declared} and {actual}")


def _checked(request: S3Request, signed: Signed, trailers: dict[str, str], body: bytes) -> dict[str, str]:
    # A multipart upload is completed with the checksum of the whole object, which is not that of this body.
    if request.method == "POST" and "uploadId" in request.parameters:
        return {}
    headers = dict(request.headers)
    if signed.presigned:  # its query may say headers: some SDKs put them there
        headers = {name.lower(): value for name, value in request.parameters.items()} | headers
    found = checksums.announced(headers | trailers)
    for algorithm, declared in found.items():
        checksums.check(algorithm, declared, body)
    asked = headers.get("x-amz-sdk-checksum-algorithm")
    if asked and checksums.algorithm_named(asked) not in found:
        words = "specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found"
        raise BadRequest(f"x-amz-sdk-checksum-algorithm {words}: {asked!r}")
    return found


def _unchunked(request: S3Request, signed: Signed) -> tuple[bytes, dict[str, str]]:
    """The chunks' data, and the trailers by lower-case name."""
    if signed.payload not in _STREAMS:
        words = "A header you provided implies functionality that is not implemented"
        raise NotSupported(f"{words}: x-amz-content-sha256 {signed.payload!r}")
    algorithm, may_trail = _STREAMS[signed.payload]
    if algorithm not in (None, signed.algorithm):
        raise BadRequest(f"x-amz-content-sha256 is {signed.payload}, and the request is signed by {signed.algorithm}")
    expected = request.headers.get("x-amz-decoded-content-length")
    if expected is None:
        raise LengthMissing("You must provide the x-amz-decoded-content-length HTTP header.")
    if not _LENGTH.fullmatch(expected):
        raise InvalidArgument(f"x-amz-decoded-content-length is {expected!r}: expected a number of bytes")
    names = [name.strip().lower() for name in request.headers.get("x-amz-trailer", "").split(",")]
    names = [name for name in names if name]
    if names and not may_trail:
        raise BadRequest(
            f"x-amz-trailer announces {', '.join(names)}, and x-amz-content-sha256 {signed.payload} has none"
        )
    decoder = _Decoder(request.body, signed if algorithm else None)
    body = decoder.data()
    if len(body) != int(expected):
        raise IncompleteBody(f"The chunks have {len(body)} bytes, and x-amz-decoded-content-length is {expected}")
    trailers = decoder.trailers()
    if sorted(trailers) != sorted(names):
        words = f"The trailers are {', '.join(sorted(trailers)) or 'none'}"
        raise BadRequest(f"{words}, and x-amz-trailer announces {', '.join(sorted(names)) or 'none'}")
    return body, trailers


class _Decoder:
    """Reads an aws-chunked body from its beginning to its end. Each chunk's signature covers the one before."""

    def __init__(self, body: bytes, signed: Signed | None) -> None:
        self._body = body
        self._view = memoryview(body)
        self._at = 0
        self._signed = signed
        self._previous = signed.signature if signed else ""

    def data(self) -> bytes:
        """What the chunks hold, up to the empty one that ends them."""
        found: list[memoryview] = []
        while True:
            start = self._at
            size, _, extension = self._line("a chunk's size").partition(";")
            if not _SIZE.fullmatch(size):
                raise BadRequest(f"At byte {start} of the aws-chunked body there is no chunk's size")
            length = int(size, 16)
            chunk = self._view[self._at : self._at + length]
            if len(chunk) < length:
                raise _ended(f"{len(chunk)} of the {length} bytes of the chunk at byte {start}")
            self._check_chunk(extension, chunk, start)
            if not length:
                return b"".join(found)
            found.append(chunk)
            self._at += length
            if self._body[self._at : self._at + 2] != b"\r\n":
                if self._at + 2 > len(self._body):
                    raise _ended(f"the chunk at byte {start}")
                raise BadRequest(f"The chunk at byte {start} of the aws-chunked body is longer than its size, {length}")
            self._at += 2

    def trailers(self) -> dict[str, str]:
        """The trailing headers, by lower-case name."""
        found: dict[str, str] = {}
        # Some clients leave out the empty line at the end.
        while self._at < len(self._body) and (line := self._line("a trailer")):
            name, colon, value = line.partition(":")
            name = name.strip().lower()
            if not colon or not name or name in found:
                raise BadRequest(f"{line!r} is no trailer, or a second one of its name")
            if len(found) > MAX_TRAILERS:
                raise BadRequest(f"The body has over {MAX_TRAILERS} trailers")
            found[name] = value.strip()
        if self._at < len(self._body):
            raise BadRequest(f"After the end of the aws-chunked body, at byte {self._at}, there is more")
        signature = found.pop(_TRAILER_SIGNATURE, "")
        if self._signed and (found or signature):
            canonical = "".join(f"{name}:{value}\n" for name, value in sorted(found.items()))
            self._check(self._signed, "TRAILER", "", canonical.encode(), signature, "the trailers")
        return found

    def _check_chunk(self, extension: str, chunk: memoryview, start: int) -> None:
        if self._signed:
            name, _, signature = extension.partition("=")
            if name.strip() != "chunk-signature":
                raise BadRequest(f"The chunk at byte {start} of the aws-chunked body has no chunk-signature")
            what = f"the chunk at byte {start}"
            self._check(self._signed, "PAYLOAD", f"{_EMPTY_SHA256}\n", chunk, signature.strip(), what)

    def _check(
        self, signed: Signed, kind: str, prefix: str, content: bytes | memoryview, signature: str, what: str
    ) -> None:
        digest = hashlib.sha256(content).hexdigest()
        text = f"{signed.algorithm}-{kind}\n{signed.timestamp}\n{signed.scope}\n{self._previous}\n{prefix}{digest}"
        # SigV4A's have several lengths, and are filled up so that the body's length can be known before.
        signature = signature.rstrip("*")
        if not signed.proves(text.encode(), signature):
            raise WrongSignature(_SIGNATURE_WORDS.format(what))
        self._previous = signature

    def _line(self, what: str) -> str:
        end = self._body.find(b"\r\n", self._at, self._at + MAX_LINE_BYTES)
        if end < 0:
            if len(self._body) - self._at < MAX_LINE_BYTES:
                raise _ended(what)
            raise BadRequest(f"At byte {self._at} of the aws-chunked body, {what} is over {MAX_LINE_BYTES} bytes long")
        line = self._body[self._at : end].decode("latin-1")
        self._at = end + 2
        return line


def _ended(after: str) -> IncompleteBody:
    return IncompleteBody(f"The request body terminated unexpectedly, after {after}")

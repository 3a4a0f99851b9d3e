"""Requests signed by hand: at another time, and with bodies in `aws-chunked` pieces, which boto3 makes over https only.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
"""

import hashlib
import hmac
import http.client
from dataclasses import dataclass
from datetime import datetime
from unittest import mock
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.gateway.endpoints import Endpoint

CHUNK_BYTES = 64 * 1024
_EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Chunked:
    """A PUT that is ready to be sent."""

    headers: dict[str, str]
    body: bytes


class _Auth(S3SigV4Auth):
    wanted = ""

    def payload(self, request: AWSRequest) -> str:
        return self.wanted


def presigned(endpoint: Endpoint, bucket: str, key: str, *, signed_at: datetime, seconds: int) -> str:
    """A URL to GET the key, signed at another time."""
    request = AWSRequest("GET", f"{endpoint.url}/{bucket}/{quote(key)}")
    auth = S3SigV4QueryAuth(_credentials(endpoint), "s3", endpoint.region, expires=seconds)
    with mock.patch("botocore.auth.get_current_datetime", return_value=signed_at):
        auth.add_auth(request)
    return str(request.url)


def signed_headers(endpoint: Endpoint, bucket: str, *, signed_at: datetime) -> dict[str, str]:
    """The headers of a GET of the bucket, signed at another time."""
    request = AWSRequest("GET", f"{endpoint.url}/{bucket}")
    with mock.patch("botocore.auth.get_current_datetime", return_value=signed_at):
        S3SigV4Auth(_credentials(endpoint), "s3", endpoint.region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def _credentials(endpoint: Endpoint) -> Credentials:
    return Credentials(endpoint.identity.access_key_id, endpoint.identity.secret_access_key)


def chunked(
    endpoint: Endpoint,
    bucket: str,
    key: str,
    body: bytes,
    trailer: str,
    checksum: str,
    *,
    signed: bool,
    whole: bool = False,
    spoil: bool = False,
) -> Chunked:
    """A PUT in chunks with `x-amz-checksum-<trailer>` after them, if any; `whole`: not in chunks, but signed as one.
    `spoil` changes a byte after the chunk was signed."""
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if signed else "STREAMING-UNSIGNED-PAYLOAD"
    payload = hashlib.sha256(body).hexdigest() if whole else f"{kind}-TRAILER" if trailer else kind
    request = AWSRequest("PUT", f"{endpoint.url}/{bucket}/{quote(key)}", data=b"")
    request.headers["x-amz-content-sha256"] = payload
    if not whole:
        request.headers["content-encoding"] = "aws-chunked"
        request.headers["x-amz-decoded-content-length"] = str(len(body))
    if trailer:
        request.headers["x-amz-trailer"] = f"x-amz-checksum-{trailer}"
    auth = _Auth(_credentials(endpoint), "s3", endpoint.region)
    auth.wanted = payload
    auth.add_auth(request)
    headers = {name: str(value) for name, value in request.headers.items()}
    if whole:
        return Chunked(headers, body)
    signer = _Chain(endpoint, headers) if signed else None
    return Chunked(headers, _framed(body, trailer, checksum, signer, spoil=spoil))


def sent_in_chunks(
    endpoint: Endpoint,
    bucket: str,
    key: str,
    body: bytes,
    trailer: str,
    checksum: str,
    *,
    signed: bool,
    spoil: bool = False,
) -> tuple[int, str]:
    """Status and error code of the answer to such a PUT."""
    made = chunked(endpoint, bucket, key, body, trailer, checksum, signed=signed, spoil=spoil)
    url = urlsplit(endpoint.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
    try:
        connection.request("PUT", f"/{bucket}/{quote(key)}", made.body, made.headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    return answer.status, (ET.fromstring(text).findtext("Code") or "") if answer.status >= 300 else ""


class _Chain:
    """Signs each chunk over the signature before it."""

    def __init__(self, endpoint: Endpoint, headers: dict[str, str]) -> None:
        self._time = headers["X-Amz-Date"]
        self._scope = f"{self._time[:8]}/{endpoint.region}/s3/aws4_request"
        key = f"AWS4{endpoint.identity.secret_access_key}".encode()
        for part in self._scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key
        self._before = headers["Authorization"].rpartition("Signature=")[2]

    def chunk(self, data: bytes) -> str:
        return self._sign("PAYLOAD", _EMPTY, hashlib.sha256(data).hexdigest())

    def trailer(self, lines: bytes) -> str:
        return self._sign("TRAILER", hashlib.sha256(lines).hexdigest())

    def _sign(self, what: str, *hashes: str) -> str:
        text = "\n".join((f"AWS4-HMAC-SHA256-{what}", self._time, self._scope, self._before, *hashes))
        self._before = hmac.digest(self._key, text.encode(), "sha256").hex()
        return self._before


def _framed(body: bytes, trailer: str, checksum: str, signer: _Chain | None, *, spoil: bool) -> bytes:
    pieces = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)]
    framed = bytearray()
    for piece in [*pieces, b""]:
        extension = f";chunk-signature={signer.chunk(piece)}" if signer else ""
        sent = b"X" + piece[1:] if spoil and piece else piece
        framed += f"{len(piece):x}{extension}\r\n".encode() + sent + (b"\r\n" if piece or not trailer else b"")
    if trailer:
        line = f"x-amz-checksum-{trailer}:{checksum}"
        framed += f"{line}\r\n".encode()
        if signer:
            framed += f"x-amz-trailer-signature:{signer.trailer(f'{line}\n'.encode())}\r\n".encode()
        framed += b"\r\n"
    return bytes(framed)

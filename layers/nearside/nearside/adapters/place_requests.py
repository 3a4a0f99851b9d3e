"""Signed requests to one place's S3 over kept-alive connections, without boto3, which takes 2 ms for each."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.header import Header
from typing import Any, TypedDict, Unpack, override
from urllib.parse import quote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from nearside import signing
from nearside.adapters.http import why
from nearside.adapters.place_answers import MARK, Answer, error_of
from nearside.errors import BadRequest, Unreachable
from nearside.gateway.backends import Backend
from nearside.gateway.records import Generation
from nearside.places import Place, split_endpoint

CONNECT_SECONDS = 1.0
READ_SECONDS = 10.0
LONG_SECONDS = 60.0  # S3 answers a copy and a completed upload when all is done
SEND_SECONDS = 10.0  # for each piece of a body
BYTES_PER_SECOND = 1024**2  # what was sent may still be on its way when the last piece was taken
_PIECE_BYTES = 256 * 1024
_CONNECTIONS = 32
_HOSTS = 64
EMPTY_SHA256 = hashlib.sha256().hexdigest()


class _More(TypedDict, total=False):
    query: Mapping[str, str] | None
    headers: Mapping[str, str] | None
    body: bytes
    payload_hash: str
    seconds: float


class PlaceRequests:
    """Sends requests to the place's buckets, which are given by the gateway's names. Thread-safe."""

    def __init__(
        self,
        backend: Backend,
        credentials: Callable[[], signing.Credentials],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = backend.name
        self.facts = backend.facts
        self.region = backend.region
        self._backend = backend
        self._credentials = credentials
        self._clock = clock
        self._http = urllib3.PoolManager(_HOSTS, maxsize=_CONNECTIONS, retries=False)
        self._http.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def bucket(self, bucket: str) -> str:
        """The place's name of the bucket."""
        return self._backend.bucket_name(bucket)

    def __call__(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        payload_hash: str = "",
        seconds: float = READ_SECONDS,
    ) -> Answer:
        """The answer, whatever its status. `payload_hash` is the body's SHA-256 in hex where it is known, or
        `UNSIGNED-PAYLOAD`. Raises Unreachable when there is none, or not all of it; no message has the signature."""
        if key and self.facts.refused_keys and re.search(self.facts.refused_keys, key):
            return self._refused(method, key)
        scheme, host, path = self._base(bucket)
        path = (f"{path}/{quote(key)}" if key else path) or "/"
        pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in (query or {}).items())
        text = "&".join([f"{name}={value}" for name, value in pairs])
        payload_hash = payload_hash or (hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256)
        signer = signing.V4(self._credentials(), self._clock(), self.region)
        wanted = {"x-amz-content-sha256": payload_hash, **(headers or {})}
        signed = signer.headers(host, wanted, b"", method=method, path=path, query=text, payload_hash=payload_hash)
        if body or method in ("PUT", "POST"):
            signed["content-length"] = str(len(body))
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds + len(body) / BYTES_PER_SECOND)
        return self._sent(method, f"{scheme}://{host}", f"{path}?{text}" if text else path, signed, body, timeout)

    def _refused(self, method: str, key: str) -> Answer:
        """What comes of a key that the place cannot have, without asking: it is not there. Raises BadRequest when it is
        to be written. rclone would write `a` for `a/`."""
        if method in ("PUT", "POST"):
            raise BadRequest(f"{self.name} cannot have the key {key[:80]!r} (docs/limits.md)")
        return Answer(404, {}, b"")

    def ask(self, method: str, bucket: str, key: str = "", **more: Unpack[_More]) -> Answer:
        """The same, with what is no success raised as an error of our own."""
        answer = self(method, bucket, key, **more)
        if not 200 <= answer.status < 300:
            raise error_of(self.name, answer)
        return answer

    def presign(self, method: str, bucket: str, key: str, seconds: int, query: Mapping[str, str]) -> str:
        """A URL that does this to the key."""
        signer = signing.V4(self._credentials(), self._clock(), self.region)
        return signer.presign(method, self._base(bucket), key, seconds, query=query)

    def _base(self, bucket: str) -> signing.Address:
        """Path style but for AWS itself: it works for every bucket's name and with every certificate."""
        name = self.bucket(bucket)
        if not self._backend.endpoint_url:
            return Place(self.region, name).base
        scheme, host, prefix = split_endpoint(self._backend.endpoint_url)
        return scheme, host, f"{prefix}/{name}"

    def _sent(
        self, method: str, base: str, target: str, headers: dict[str, str], body: bytes, timeout: urllib3.Timeout
    ) -> Answer:
        pool = self._http.connection_from_url(base)

        def send() -> urllib3.BaseHTTPResponse:
            sent = _pieces(body) if len(body) > _PIECE_BYTES else body
            return pool.urlopen(
                method,
                target,
                headers=headers,
                body=sent,
                redirect=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )

        try:
            try:
                answer = send()
            except urllib3.exceptions.ProtocolError as error:
                if isinstance(error.args[-1], TimeoutError):
                    raise
                # A kept connection may have been closed by the other side, over a Lambda's freeze: once more.
                answer = send()
            data = answer.read(decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{self.name} {why(error)}") from None  # urllib3's words have the URL
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, data)


class Asking:
    """What asks one place."""

    def __init__(self, ask: PlaceRequests) -> None:
        self._ask = ask


def object_headers(generation: Generation) -> dict[str, str]:
    """The headers that an object of this generation is written with."""
    headers = {name: header_value(value) for name, value in generation.headers.items()}
    return {**headers, MARK: generation.id}


def header_value(value: str) -> str:
    """A value as it is sent: what is not ASCII as RFC 2047 has it, which is how S3 gives it back, and which every
    provider keeps and signs alike (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html). Bytes
    that came as Latin-1 and are UTF-8 are taken for that."""
    if value.isascii():
        return value
    with suppress(UnicodeError):  # else it is what it says
        value = value.encode("latin-1").decode()
    return Header(value, "utf-8", maxlinelen=0).encode().replace("\n", "")


def xml_text(text: str) -> str:
    """Text as XML has it. (xml.sax.saxutils has it too, and would import urllib.request, 6 ms of a cold start.)"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pieces(body: bytes) -> Iterator[bytes]:
    """The body in pieces, each of which is given its own time: Python's sendall has one limit for the whole."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


# urllib3 sends a body within the time that it has to connect, which is too short for a large one.
class _Connection(HTTPConnection):
    @override
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(SEND_SECONDS)

    @override
    def request(self, *arguments: Any, **more: Any) -> None:
        if self.sock is not None:
            self.timeout = SEND_SECONDS
        super().request(*arguments, **more)


class _TlsConnection(HTTPSConnection):
    @override
    def request(self, *arguments: Any, **more: Any) -> None:
        self.timeout = SEND_SECONDS  # the pool has connected by now
        super().request(*arguments, **more)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection

"""What a download is held against: the strongest checksum of the whole object that came with it."""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> object: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A CRC with hashlib's two methods; its digest is four or eight bytes, the highest first, as S3 writes it."""

    def __init__(self, step: Callable[[Any, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size)


def _crt(name: str, size: int) -> Callable[[], _Digest] | None:
    """awscrt's checksum, where awscrt is installed: in Python it would take a second for every 10 MB."""
    try:
        import awscrt.checksums as crt
    except ImportError:
        return None
    step: Callable[[Any, int], int] = getattr(crt, name)
    return lambda: _Crc(lambda data, value: step(bytes(data), value), size)


class Expected(msgspec.Struct, frozen=True):
    """A checksum that was announced: `name` for messages, `digest` as bytes, and what computes it (None: it is the
    SHA-256 that is computed anyway). `certain` is False for an ETag, which is an MD5 only with some stores."""

    name: str
    digest: bytes
    make: Callable[[], _Digest] | None
    certain: bool = True


def expected(headers: Mapping[str, str], *, from_s3: bool) -> Expected | None:
    """The strongest checksum of the whole object that these headers (lower-case names) of a whole answer announce; None
    when they announce none that can be computed here.

    S3's checksums are of the whole object unless they end in `-N` or their type is COMPOSITE
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). An S3 ETag of 32 digits is
    the MD5 of an object that was written by one PUT, without encryption or with S3's own keys
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html). `Repr-Digest` is RFC 9530's.
    """
    if headers.get("x-amz-checksum-type", "").upper() != "COMPOSITE":
        for name in _STRONGEST_FIRST:
            said = _decoded(headers.get(f"x-amz-checksum-{name}", ""))
            if said and name == "sha256":
                return Expected(f"x-amz-checksum-{name}", said, None)
            if said and (make := _maker(name)) is not None:
                return Expected(f"x-amz-checksum-{name}", said, make)
    if found := re.search(r"sha-256=:([A-Za-z0-9+/=]+):", headers.get("repr-digest", "")):
        return Expected("Repr-Digest", _decoded(found[1]), None)
    etag = headers.get("etag", "").strip('"')
    encryption = headers.get("x-amz-server-side-encryption", "")  # AWS says so with every object, others often not
    customers = "x-amz-server-side-encryption-customer-algorithm" in headers
    if from_s3 and encryption in ("", "AES256") and not customers and re.fullmatch(r"[0-9a-f]{32}", etag):
        return Expected("ETag", bytes.fromhex(etag), _md5, certain=encryption == "AES256")
    return None


def _md5() -> _Digest:
    return hashlib.md5(usedforsecurity=False)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)  # a composite one has a `-`, which base64 has not
    except binascii.Error:
        return b""


_STRONGEST_FIRST = ("sha256", "sha1", "crc64nvme", "crc32c", "crc32")


def _maker(name: str) -> Callable[[], _Digest] | None:
    match name:
        case "sha1":
            return lambda: hashlib.sha1(usedforsecurity=False)
        case "crc32":
            return lambda: _Crc(zlib.crc32, 4)
        case "crc32c":
            return _crt("crc32c", 4)
        case _:
            return _crt("crc64nvme", 8)


class Sums:
    """The SHA-256 of what is added, and beside it the checksum that was announced."""

    def __init__(self, announced: Expected | None) -> None:
        self._announced = announced
        self._sha256 = hashlib.sha256()
        self._other = announced.make() if announced and announced.make else None

    def update(self, data: memoryview) -> None:
        """Adds the next bytes."""
        self._sha256.update(data)
        if self._other is not None:
            self._other.update(data)

    @property
    def sha256(self) -> str:
        """Of all that was added, in hex."""
        return self._sha256.hexdigest()

    def agree(self) -> bool:
        """Whether what was added has the announced checksum; True when none was announced."""
        if self._announced is None:
            return True
        return (self._other or self._sha256).digest() == self._announced.digest

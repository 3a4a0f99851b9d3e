"""`nearside places check`: tries a place with a small object, and says what is wrong there and what to do about it."""

import hashlib
import secrets
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Protocol

from nearside.check import Step
from nearside.errors import NearsideError, Unreachable
from nearside.gateway.backends import Backend
from nearside.gateway.records import Copy, Generation, Store, Stored

PREFIX = ".nearside/check/"
MOST_SKEW_SECONDS = 60.0  # S3 refuses 15 minutes; a clock that is a minute off is on its way there
_BODY_BYTES = 4096


class Told(Protocol):
    """An answer of S3: its status, headers (lower-case names), and the texts of its `<Error>` by element."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def error(self) -> Mapping[str, str]: ...


class Asks(Protocol):
    """One place's S3; `last` is what it answered last, if anything."""

    last: Told | None

    def __call__(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Told: ...


class PlaceCheck:
    """The steps of one place in one bucket of the gateway. Iterate over it once; it leaves nothing behind."""

    def __init__(self, backend: Backend, bucket: str, ask: Asks, store: Store, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._bucket = bucket
        self._ask = ask
        self._store = store
        self._clock = clock
        self._name = PREFIX + secrets.token_hex(8)
        self._body = secrets.token_bytes(_BODY_BYTES)
        self._stored: Stored | None = None
        self._made: list[tuple[str, str | None]] = []
        self._generation = Generation(
            id=secrets.token_hex(8),
            made=int(clock() * 1000),
            size=len(self._body),
            etag=hashlib.md5(self._body, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(self._body).hexdigest(),
            headers={"content-type": "application/octet-stream", "x-amz-meta-check": "yes"},
        )

    def __iter__(self) -> Iterator[Step]:
        """What was tried, in order. Without the bucket, or the right to write to it, the rest is not tried."""
        try:
            for name, needs, act, needed in (
                ("bucket", "s3:ListBucket on the bucket", self._list, True),
                ("clock", "", self._skew, False),
                ("write", "s3:PutObject", self._write, True),
                ("look", "s3:GetObject", self._look, False),
                ("read", "s3:GetObject and s3:GetObjectVersion", self._read, False),
                ("list", "s3:ListBucket on the bucket", self._find, False),
                ("copy", "s3:GetObject and s3:PutObject", self._copy, False),
                ("multipart", "s3:PutObject and s3:AbortMultipartUpload", self._multipart, False),
                ("checksums", "s3:PutObject", self._checksums, False),
                ("delete", "s3:DeleteObject and s3:DeleteObjectVersion", self._delete, False),
            ):
                step = self._tried(name, needs, act)
                yield step
                if needed and not step.ok:
                    break
        finally:
            self._clean()

    def _tried(self, name: str, needs: str, act: Callable[[], str]) -> Step:
        self._ask.last = None
        try:
            return Step(name, True, act())
        except _Odd as odd:
            return Step(name, False, str(odd))
        except NearsideError as error:
            return Step(name, False, explained(error, self._ask.last, self._backend, self._bucket, needs))

    def _list(self) -> str:
        self._store.listing(self._bucket, PREFIX, "", 1)
        return f"{self._backend.bucket_name(self._bucket)} is there, and may be listed"

    def _skew(self) -> str:
        self._store.has_bucket(self._bucket)
        date = self._ask.last.headers.get("date") if self._ask.last else None
        if date is None:
            return "the place does not tell the time"
        skew = self._clock() - parsedate_to_datetime(date).timestamp()
        if abs(skew) > MOST_SKEW_SECONDS:
            raise _Odd(f"this machine's clock is {skew:+.0f} s off the place's, which refuses 900: set it")
        return f"{abs(skew):.0f} s apart"

    def _write(self) -> str:
        self._stored = self._store.put(self._bucket, self._name, self._body, self._generation)
        self._made.append((self._name, self._stored.version))
        if self._stored.version is not None:
            return f"{_BODY_BYTES} bytes, in a bucket with versions"
        if self._backend.facts.versions:
            words = "the bucket has no versions, though the provider does: enable them (PutBucketVersioning), or what"
            return f"{_BODY_BYTES} bytes; {words} a write that fails wrote over cannot be had again"
        return f"{_BODY_BYTES} bytes, in a bucket without versions"

    def _look(self) -> str:
        seen = self._store.head(self._bucket, self._name, self._version)
        if seen is None:
            raise _Odd("what was just written is not there: the place is not consistent, or it is another bucket")
        if (seen.size, seen.generation) != (_BODY_BYTES, self._generation.id):
            raise _Odd(f"it has {seen.size} bytes of {_BODY_BYTES}, and the mark {seen.generation!r}: metadata is lost")
        if self._stored is not None and seen.etag != self._stored.etag:
            raise _Odd(f"its ETag is {seen.etag}, and was {self._stored.etag} when it was written")
        return "size, metadata and ETag are as written"

    def _read(self) -> str:
        whole, _ = self._store.whole(self._bucket, self._name, self._version)
        some, _ = self._store.get(self._bucket, self._name, self._version, 100, 199)
        if whole != self._body or some != self._body[100:200]:
            raise _Odd("the bytes are not those that were written")
        return "all bytes and a range of them"

    def _find(self) -> str:
        found, _ = self._store.listing(self._bucket, PREFIX, "", 1000)
        if self._name not in [each.key for each in found]:
            raise _Odd("what was written is not in the listing")
        return "it is in the listing"

    def _copy(self) -> str:
        assert self._stored is not None  # for mypy: the steps after `write` are not tried without it
        of = Copy(state="COMPLETED", version=self._stored.version, etag=self._stored.etag)
        name = f"{self._name}-copy"
        made = self._store.copy(self._bucket, name, (self._bucket, self._name, of), self._generation)
        self._made.append((name, made.version))
        return "within the place"

    def _multipart(self) -> str:
        name = f"{self._name}-parts"
        upload = self._store.begin(self._bucket, name, self._generation)
        try:
            etag = self._store.part(self._bucket, name, upload, 1, self._body)
            listed = self._store.parts(self._bucket, name, upload)
            made = self._store.complete(self._bucket, name, upload, [etag])
        except NearsideError:
            last = self._ask.last
            with suppress(NearsideError):
                self._store.abort(self._bucket, name, upload)
            self._ask.last = last
            raise
        self._made.append((name, made.version))
        return "one part" if listed else "one part; parts cannot be listed, so a copy that is cut off begins again"

    def _checksums(self) -> str:
        name = f"{self._name}-sum"
        crc = b64encode(zlib.crc32(self._body).to_bytes(4, "big")).decode()
        headers = {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc}
        told = self._ask("PUT", self._bucket, name, headers=headers, body=self._body)
        if told.status == 200:
            self._made.append((name, told.headers.get("x-amz-version-id")))
            return "x-amz-checksum-crc32 is taken"
        words = "who uploads straight to the place must not send it (when_required in boto3)"
        return f"refused ({told.error.get('Code', told.status)}): the gateway sends none; {words}"

    def _delete(self) -> str:
        told = self._ask("DELETE", self._bucket, self._name)
        if told.status not in (200, 204):
            raise NearsideError(f"{self._backend.name} answered {told.status}")
        if told.headers.get("x-amz-delete-marker") == "true":
            self._made.append((self._name, told.headers.get("x-amz-version-id")))
        if self._store.head(self._bucket, self._name) is not None:
            raise _Odd("what was deleted is still there")
        self._remove()
        return "nothing is left"

    @property
    def _version(self) -> str | None:
        return self._stored.version if self._stored else None

    def _remove(self) -> None:
        while self._made:
            self._store.delete(self._bucket, *self._made[-1])
            self._made.pop()

    def _clean(self) -> None:
        with suppress(NearsideError):  # a step has said by now that it may not delete
            self._remove()


class _Odd(Exception):
    """Something that S3 would not do."""


def explained(error: NearsideError, told: Told | None, backend: Backend, bucket: str, needs: str) -> str:
    """What went wrong, and what to do; `needs` is the permission that the step takes."""
    if told is None or 200 <= told.status < 300:
        return f"{error}. {_advice_on_reach(str(error), backend)}" if isinstance(error, Unreachable) else str(error)
    said = told.error
    code = said.get("Code", "")
    region = said.get("Region") or told.headers.get("x-amz-bucket-region", "")
    advice = _advice(code, told.status, region, backend, bucket, needs)
    words = f" ({said['Message'].strip().rstrip('.')})" if said.get("Message") else ""
    return f"{code or told.status}{words}: {advice}"


def _advice(code: str, status: int, region: str, backend: Backend, bucket: str, needs: str) -> str:
    elsewhere = code in ("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect") or status in (
        301,
        307,
    )
    if elsewhere or "LocationConstraint" in code:
        there = f"{region!r}" if region else "another"
        return f"region is {backend.region!r}, and the place is in {there}: correct region, or endpoint_url"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code == "NoSuchBucket" or status == 404:
        name = backend.bucket_name(bucket)
        return f"there is no bucket {name!r}: create {bucket!r} through the gateway, or correct the template `bucket`"
    if status in (401, 403):
        return f"the key pair may not do this: give it {needs}" + (f" in {bucket}" if bucket else "")
    if status == 501 or code in ("NotImplemented", "MethodNotAllowed"):
        return f"{backend.facts.title} does not do this"
    if status >= 500 or status == 429:
        return "the place is in trouble, or throttles: try again"
    return "the place does not take the request as it is: its own words say why"


_BY_CODE = {
    "ExpiredToken": "the session is over: sign in again",
    "InvalidAccessKeyId": "the place does not know the access key id: it is another provider's, or was deleted",
    "InvalidToken": "the session token is not of this key pair",
    "QuotaExceeded": "the place is full",
    "RequestTimeTooSkewed": "this machine's clock is more than 15 minutes off: set it",
    "SignatureDoesNotMatch": "the secret access key is not that of the access key id",
    "StorageFull": "the place is full",
    "XMinioStorageFull": "the place is full",
}


def _advice_on_reach(words: str, backend: Backend) -> str:
    where = backend.endpoint_url or f"AWS in {backend.region}"
    if "does not resolve" in words:
        return f"Correct endpoint_url ({where})"
    if "TLS" in words:
        return f"The certificate at {where} is not for this name, or not trusted here, or it is no https"
    return f"Nothing answers at {where}: correct endpoint_url, or look at the network between"

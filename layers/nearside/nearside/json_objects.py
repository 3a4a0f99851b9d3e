"""`GET /json/{path}`: the JSON stored at a key, read through the cache, so that S3 sends each version once."""

import codecs
import contextlib
import logging
import re
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from nearside.access import Caller, Policy
from nearside.caching.errors import (
    BadContent,
    BadJson,
    BadUri,
    MissingObject,
    ObjectTooLarge,
    RefusedObject,
    UnreachableObject,
)
from nearside.entity_tags import names
from nearside.errors import AnswerTooLarge, BadRequest, Missing, MissingVersion, Refused, Unreachable
from nearside.items import MAX_KEY_BYTES, Header

if TYPE_CHECKING:
    from pathlib import Path  # 3 ms of a cold start of the routes that only describe this one

log = logging.getLogger("nearside")


class KeptFile(Protocol):
    """An object as a file, which stays until the block is left. `etag` has its quotes, and is empty where the place
    sent none; `downloaded` is False when the file was there and the place said that it still is the newest."""

    @property
    def path(self) -> "Path": ...
    @property
    def etag(self) -> str: ...
    @property
    def version_id(self) -> str: ...
    @property
    def downloaded(self) -> bool: ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


class KeepsFiles(Protocol):
    """Objects as files, each validated by its ETag whenever it is asked for. Raises the errors of
    `nearside.caching.errors`: ObjectTooLarge before an object over `max_object_bytes` is downloaded."""

    def get(self, uri: str, *, version_id: str = "", max_object_bytes: int | None = None) -> KeptFile: ...


class JsonAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of `GET /json/{path}`."""

    version_id: Header | None = None


class JsonObject(msgspec.Struct, frozen=True):
    """The JSON text of an object, and which version it is. `text` is None when the caller has that version already."""

    text: bytes | None
    etag: str
    version_id: str
    downloaded: bool

    @property
    def status(self) -> int:
        """The HTTP status that says it."""
        return 304 if self.text is None else 200

    @property
    def headers(self) -> dict[str, str]:
        """Its HTTP headers, by lower-case names. A client may keep it for this caller, and asks each time."""
        headers = {"cache-control": "private, no-cache", "x-cache": "miss" if self.downloaded else "hit"}
        if self.etag:
            headers["etag"] = self.etag
        if self.version_id:
            headers["x-amz-version-id"] = self.version_id
        return headers


class JsonObjects(msgspec.Struct, frozen=True):
    """Reads JSON from `bucket` by way of `files`. `max_bytes` is the most that can be answered."""

    bucket: str
    files: KeepsFiles
    policy: Policy
    max_bytes: int

    def read(self, key: str, asked: JsonAsked, if_none_match: str, caller: Caller) -> JsonObject:
        """The JSON at `key`, of any type, or nothing but its ETag when `if_none_match` (the header's value) has that.

        Nothing is read before the policy allowed it. Raises Refused, Missing and MissingVersion (every place says that
        it is not there), BadJson, AnswerTooLarge, Unreachable, BadRequest, and what else the cache raises.
        """
        _check_key(key)
        self.policy.check(caller, "read", key)
        version_id = asked.version_id or ""
        with (
            _told(key, version_id),
            self.files.get(f"s3://{self.bucket}/{key}", version_id=version_id, max_object_bytes=self.max_bytes) as file,
        ):
            known = names(if_none_match, file.etag)
            text = None if known else _json(key, file.path, self.max_bytes)
            return JsonObject(text, file.etag, file.version_id, file.downloaded)


@contextlib.contextmanager
def _told(key: str, version_id: str) -> Iterator[None]:
    """The cache's errors as those of the other routes. S3's own words name roles and accounts: they are logged."""
    try:
        yield
    except MissingObject as error:
        if version_id:
            raise MissingVersion(f"{key!r} has no version {version_id!r}") from error
        raise Missing(f"{key!r} does not exist") from error
    except BadUri as error:  # no version id, or that of a delete marker, which has no content
        log.warning("%s", error)
        raise BadRequest(f"S3 has no content for {key!r}" + f" in version {version_id!r}" * bool(version_id)) from error
    except ObjectTooLarge as error:
        raise AnswerTooLarge(f"{key!r} cannot be answered: {error}; POST /presign gives a URL for it") from error
    except RefusedObject as error:
        log.warning("%s", error)
        raise Refused(f"S3 refused to read {key!r}") from error
    except UnreachableObject as error:
        log.warning("%s", error)
        raise Unreachable(f"{key!r} could not be read: a place that may have it did not answer") from error


def _check_key(key: str) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise BadRequest(f"path cannot be UTF-8: {error}") from error
    if size > MAX_KEY_BYTES:
        raise BadRequest(f"path has {size} bytes in UTF-8: expected at most {MAX_KEY_BYTES}")


def _json(key: str, path: "Path", max_bytes: int) -> bytes:
    """The bytes as they are stored; unpacked where they are gzip, and without a byte order mark, which JSON on a
    network may not have (RFC 8259, 8.1). They are JSON, or BadJson is raised."""
    from nearside.caching.contents import read_bytes

    try:
        text = read_bytes(path, repr(key), "gzip", max_bytes=max_bytes).removeprefix(codecs.BOM_UTF8)
        text.decode()
        # Half a surrogate pair as an escape is JSON (RFC 8259, 8.2), which msgspec does not take: a space instead.
        text_to_check = re.sub(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", rb"\\u0020", text)
        msgspec.json.decode(text_to_check, type=msgspec.Raw)  # looks at all of it and builds nothing
    except (BadContent, UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise BadJson(f"{key!r} is not JSON: {error}") from error
    return text

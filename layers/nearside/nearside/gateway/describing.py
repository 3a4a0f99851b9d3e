"""What a client says of an object: its headers, tags and checksums, and the conditions it sets."""

import secrets
from collections.abc import Mapping
from typing import Literal

import msgspec

from nearside.errors import Missing
from nearside.gateway.errors import NotSupported, PreconditionFailed
from nearside.gateway.records import Generation

type Consistency = Literal["any", "latest", "verified"]
"""`any`: what some place has, even if it may be old; `latest`: the last version that was answered with success;
`verified`: that one, and its bytes are compared with the SHA-256 they had when they came."""


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of `nearside.gateway.records.Generation` that come from the client."""

    headers: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    checksums: Mapping[str, str] = {}
    checksum_type: str = "FULL_OBJECT"


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """A request's conditions as sent; times are seconds since the epoch."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: float | None = None
    if_unmodified_since: float | None = None

    def check_write(self, current: Generation | None) -> None:
        """Raises PreconditionFailed when the object that is there (None: none) is not as asked, Missing when If-Match
        asks for one that is not there
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html)."""
        if self.if_none_match not in (None, "*"):
            raise NotSupported(f"If-None-Match is {self.if_none_match!r}: a write takes only * there")
        if self.if_none_match == "*" and current is not None:
            raise PreconditionFailed("If-None-Match is *, and the object exists")
        if self.if_match is None:
            return
        if current is None:
            raise Missing("If-Match names an ETag, and the object does not exist")
        if not _names(self.if_match, current.etag):
            raise PreconditionFailed(f"If-Match is {self.if_match}, and the object's ETag is {current.etag}")

    def check_read(self, current: Generation) -> bool:
        """Whether the object is to be sent; False when the client has it (304). Raises PreconditionFailed. The order is
        RFC 9110's, 13.2.2."""
        made = current.made // 1000  # Last-Modified has whole seconds
        if self.if_match is not None:
            if not _names(self.if_match, current.etag):
                raise PreconditionFailed(f"If-Match is {self.if_match}, and the object's ETag is {current.etag}")
        elif self.if_unmodified_since is not None and made > self.if_unmodified_since:
            raise PreconditionFailed("the object was changed after If-Unmodified-Since")
        if self.if_none_match is not None:
            return not _names(self.if_none_match, current.etag)
        return self.if_modified_since is None or made > self.if_modified_since


def new_generation(body_size: int, etag: str, sha256: str, described: Described, now: float) -> Generation:
    """The generation of a write that begins at `now` (seconds since the epoch)."""
    return Generation(
        id=new_id(now),
        made=int(now * 1000),
        size=body_size,
        etag=etag,
        sha256=sha256,
        headers=described.headers,
        tags=described.tags,
        checksums=described.checksums,
        checksum_type=described.checksum_type,
    )


def new_id(now: float) -> str:
    """An id that is never given again: the time in milliseconds and 64 random bits, in hex."""
    return f"{int(now * 1000):012x}{secrets.token_hex(8)}"


def _names(condition: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match list has the ETag; weak ones count, quotes may be missing."""
    listed = [each.strip().removeprefix("W/").strip('"') for each in condition.split(",")]
    return "*" in listed or etag in listed

"""What the cache asks of wherever an object can be read: a place's S3, a client of the caller's, or an HTTP server."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from nearside.uri import Remote


class Wanted(msgspec.Struct, frozen=True):
    """What is asked of a source: the whole, or the bytes from `start` up to `stop` (not included; None: to the end).

    The conditions are as in RFC 9110, 13: `if_match` and `if_none_match` hold one entity tag as the source sent it,
    with its quotes; `if_modified_since` is an HTTP date. Empty: no such condition.
    """

    start: int = 0
    stop: int | None = None
    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""

    @property
    def range(self) -> str:
        """The Range header's value; empty when the whole is wanted."""
        if self.start == 0 and self.stop is None:
            return ""
        return f"bytes={self.start}-{'' if self.stop is None else self.stop - 1}"


class Answer(Protocol):
    """A source's answer: `status` is 200, 206, 304, 412 or 416; `headers` has lower-case names. The body is read as it
    was stored, never decoded. Must be closed; closing one whose body was not read to its end costs the connection."""

    status: int
    headers: Mapping[str, str]

    def read_into(self, view: memoryview) -> int:
        """Reads some of the body into `view`; how many bytes, 0 at the end. Raises UnreachableObject when the body is
        cut: it ends before its announced length, or nothing comes for the read timeout."""
        ...

    def close(self) -> None: ...


class Source(Protocol):
    """One object in one place. `name` is the place's or the host's, for messages and answers. Thread-safe."""

    name: str

    def open(self, wanted: Wanted) -> Answer:
        """One GET; no retry is made here. Raises MissingObject (only for a 404, or HTTP's 410), RefusedObject (401,
        403, no credentials) or UnreachableObject (no answer, 429, 5xx, anything else that says nothing of it)."""
        ...


class FindsSources(Protocol):
    """Where a remote object can be read. One for each way of reading: the caller's client, places, a presigner."""

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        """What tells this object's entry from every other: kind, endpoint, account, bucket and key. The same for any
        two ways to reach the same object as the same account, and never holding a secret. With
        `account` that one is put in, and no credentials are needed; in S3's it is the third. Raises NoCredentials."""
        ...

    def shown(self, remote: Remote) -> str:
        """The URI as it may be kept, said and pinned: `s3://bucket/key`, a web address without its password and without
        what signs it."""
        ...

    def sources(self, remote: Remote) -> Sequence[Source]:
        """At least one, in the order in which they are to be asked. Raises NoCredentials, BadUri."""
        ...

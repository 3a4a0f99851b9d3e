"""Copies of one version in places: what a close look finds, and what copying and proving one needs."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from nearside.places import Place
from nearside.replicas import Absent, Denied, Silent

type Encryption = Literal["none", "s3", "kms", "customer"]


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """A version as a HEAD, its tags and its checksums describe it. `modified` is in milliseconds; `checksums` are S3's
    own over the whole object, by algorithm (`SHA256`, `CRC64NVME`…); `tags` are None when they could not be read."""

    version: str
    size: int
    etag: str
    modified: int
    status: str | None = None
    encryption: Encryption = "none"
    checksums: Mapping[str, str] = {}
    tags: Mapping[str, str] | None = None


type Sight = Close | Absent | Denied | Silent


class LooksClosely(Protocol):
    """Looks at one version of an object in one place. Raises nothing: what keeps it from seeing is in the answer."""

    def __call__(self, place: Place, key: str, version: str) -> Sight: ...


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One version, or delete marker, of a bucket's own list. `modified` is in milliseconds, by the second."""

    version: str
    modified: int
    marker: bool = False
    latest: bool = False
    etag: str = ""
    size: int = 0


class ListsVersions(Protocol):
    """Every version and delete marker of exactly this key that a place has, the newest first. Raises Refused,
    Unreachable or MissingBucket."""

    def __call__(self, place: Place, key: str) -> Sequence[Entry]: ...


class Copied(msgspec.Struct, frozen=True):
    """A finished copy: the new version's id, and how it was made."""

    version: str
    how: str


class Unfinished(msgspec.Struct, frozen=True):
    """A copy in parts that is not done yet; it goes on where it stopped when it is asked for again."""

    done: int
    parts: int


class Carries(Protocol):
    """Writes to places. Every method raises Refused, Unreachable, Missing; and BadRequest when the destination is no
    longer as `over` has it (its current version; None: it has none)."""

    def copy(
        self, source: Place, destination: Place, key: str, version: Close, over: Entry | None
    ) -> Copied | Unfinished:
        """Copies the version, with its metadata and tags."""
        ...

    def mark(self, place: Place, key: str, over: Entry | None) -> str:
        """Puts a delete marker; its version id."""
        ...

    def undo(self, place: Place, key: str, version: str) -> None:
        """Deletes exactly this version, if it is there."""
        ...

    def abandon(self, place: Place, key: str, version: str) -> None:
        """Throws away what an unfinished copy of the version has come to there, if there is one."""
        ...


def find(entries: Sequence[Entry], version: str) -> Entry | None:
    """The version among them."""
    return next((entry for entry in entries if entry.version == version), None)


def current(entries: Sequence[Entry]) -> Entry | None:
    """The current version, if it is no delete marker."""
    return next((entry for entry in entries if entry.latest and not entry.marker), None)


def newer(listed: Mapping[str, Sequence[Entry]], wanted: Entry) -> list[tuple[str, Entry]]:
    """What is newer than the wanted version in any place; of the same second, what a place lists before it."""
    found = []
    for name, entries in listed.items():
        own = next((number for number, entry in enumerate(entries) if entry.version == wanted.version), 0)
        for number, entry in enumerate(entries):
            before = entry.modified == wanted.modified and number < own
            if entry.version != wanted.version and (entry.modified > wanted.modified or before):
                found.append((name, entry))
    return found


def undecided(listed: Mapping[str, Sequence[Entry]], wanted: Entry) -> str:
    """A version of the same second that no place lists beside the wanted one: S3 tells times by the second, so which of
    the two is newer cannot be told."""
    beside = {e.version for entries in listed.values() if find(entries, wanted.version) for e in entries}
    for name, entries in listed.items():
        for entry in entries:
            if entry.modified == wanted.modified and entry.version not in beside:
                return f"version {entry.version} of {name} is of the same second: which one is newer cannot be told"
    return ""

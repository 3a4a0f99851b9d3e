"""The log of operations: what was done to which object where, kept for 30 days, read newest first."""

import zlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

KEEP_SECONDS = 30 * 24 * 3600
DAY_MS = 24 * 3600 * 1000
# A day's entries are spread over so many partitions, each good for 1,000 writes a second.
SHARDS = 4


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done. `at` is in milliseconds since the epoch, `id` tells entries of one millisecond apart;
    `detail` says in words what came of it, `bucket` is one of the gateway's."""

    at: int
    id: str
    action: str
    key: str = ""
    place: str = ""
    version: str = ""
    detail: str = ""
    bucket: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for: `since` (inclusive) and `until` (exclusive) in milliseconds since the epoch; key and
    place exactly these, or any when None."""

    since: int
    until: int
    key: str | None = None
    place: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Entries, newest first, and the cursor of the next page (None: there is none). A page may have fewer than were
    asked for, even none, and yet a next one: what a filter leaves out was read all the same."""

    entries: Sequence[Entry]
    cursor: str | None = None


class AppendsOperations(Protocol):
    """Adds an entry; the same one twice is there once. Raises Unreachable or Refused."""

    def __call__(self, entry: Entry) -> None: ...


class ReadsOperations(Protocol):
    """A page of the log. Raises Unreachable, Refused, or BadCursor for a cursor that no page gave."""

    def __call__(self, wanted: Wanted, limit: int, cursor: str | None = None) -> Page: ...


def shard(entry: Entry) -> int:
    """The shard that an entry is kept in."""
    return zlib.crc32(entry.id.encode()) % SHARDS

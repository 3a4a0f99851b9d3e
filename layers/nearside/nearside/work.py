"""The catalog's work lists: replicas that are pending or have failed, by place, the longest due first in each shard."""

import zlib
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

type WorkState = Literal["PENDING", "FAILED"]

# Each is a partition of the index, good for 1,000 writes a second; a copy costs two, one to come and one to go
# (docs/architecture.md). More may be set at any time, fewer only once what stands in the higher ones is done.
SHARDS = 8


def shard(key: str) -> int:
    """The shard that an object's work is listed in."""
    return zlib.crc32(key.encode()) % SHARDS


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A replica that is pending or has failed. `due` is when it was to be there (a pending one: when its version was
    made) or when it failed, in milliseconds since the epoch."""

    key: str
    version: str
    place: str
    state: WorkState
    due: int
    marker: bool = False
    overdue: bool = False
    untracked: bool = False
    rule: str | None = None
    reason: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """How many replicas of a place are pending and have failed, and when the oldest of each was due (milliseconds; None
    when there is none). `truncated` says that there are more than were counted; the oldest are right all the same."""

    pending: int
    failed: int
    oldest_pending: int | None = None
    oldest_failed: int | None = None
    truncated: bool = False


class Page(msgspec.Struct, frozen=True):
    """Some of a work list, and the cursor of the next page (None: there is none). Opaque, and not sealed: whoever hands
    it to a client seals it."""

    works: Sequence[Work]
    cursor: str | None = None


class ListsWork(Protocol):
    """Reads work lists, eventually consistent. Both raise Unreachable or Refused."""

    def counts(self, place: str) -> Counts:
        """At most some thousands are counted per shard and state."""
        ...

    def page(
        self, place: str, state: WorkState, limit: int, cursor: str | None = None, before: int | None = None
    ) -> Page:
        """At most `limit` works, those due at `before` or earlier where it is given (milliseconds). The longest due
        come first within a shard, and the shards one after the other. Raises BadCursor for a cursor that no page
        gave."""
        ...

"""The catalog's records, and what it needs of a store of them."""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from nearside.s3_events import Created, Found, Removed, Replicated

type State = Literal["PENDING", "COMPLETED", "FAILED", "ABSENT"]
type Rank = tuple[int, str]
"""What orders versions of one object: the time of the earliest event of any place, and that event's sequencer."""


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one version of one object in one place. Times are milliseconds since the epoch.

    `sequencer` is that of the last event of this place, `seen` that event's time; `made` the earliest time that another
    place's event told, and `made_sequencer` that event's; `observed` the Last-Modified that a look saw. `found` says
    that only a look told of its arrival, so that nobody knows when it was. `failed` is when S3 gave it up, `overdue`
    that it missed S3's threshold, `untracked` that S3 no longer measures it; `withdrawn` says of an absent one that it
    was to come, until no place had the version any more.
    """

    key: str
    version: str
    place: str
    state: State
    marker: bool = False
    size: int | None = None
    etag: str | None = None
    sequencer: str = ""
    seen: int | None = None
    made: int | None = None
    made_sequencer: str = ""
    observed: int | None = None
    found: bool = False
    removed: int | None = None
    failed: int | None = None
    reason: str | None = None
    rule: str | None = None
    overdue: bool = False
    untracked: bool = False
    withdrawn: bool = False

    @property
    def rank(self) -> Rank:
        """By the earliest event of any place, else by what a look saw."""
        told = [(self.seen, self.sequencer)] if self.seen is not None else []
        told += [(self.made, self.made_sequencer)] if self.made is not None else []
        return min(told) if told else (self.observed or 0, "")

    @property
    def time(self) -> int:
        """When the version was made, as far as is known."""
        return self.rank[0]

    @property
    def due(self) -> int:
        """When it was to be there, or failed: what orders work lists."""
        if self.state == "FAILED" and self.failed is not None:
            return self.failed
        return self.made or self.observed or self.failed or 0


def made_at(records: Iterable[Replica]) -> int:
    """When a version was made, as far as any place's record tells; else when it went; 0: nobody knows. (Of what is
    deleted in a place before its event came its record has no time.)"""
    known = list(records)
    times = [each.time for each in known if each.time] or [each.removed for each in known if each.removed]
    return min(times, default=0)


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version that a place has; `version` is None when it has none. `revision` counts its changes."""

    key: str
    place: str
    version: str | None
    made: int = 0
    sequencer: str = ""
    marker: bool = False
    etag: str | None = None
    size: int | None = None
    revision: int = 0

    @property
    def rank(self) -> Rank:
        return self.made, self.sequencer


class Done(msgspec.Struct, frozen=True):
    """A conditional write that was made, and the record as it was before (None: there was none)."""

    before: Replica | None


class Refusal(msgspec.Struct, frozen=True):
    """A conditional write that changed nothing, and the record as it stands (None: there is none)."""

    stands: Replica | None


type Outcome = Done | Refusal


class StoresReplicas(Protocol):
    """Conditional writes of single records in their homes, and strongly consistent reads of one home.

    `key` and `version` are opaque. A record has an event of its own when it has a sequencer. Every method raises
    Unreachable when the home does not answer, Refused when it does not let us.
    """

    def arrive(self, event: Created) -> Outcome:
        """COMPLETED in the event's place, if the record has no sequencer or a smaller one; `made` stays, and nothing
        else does."""
        ...

    def remove(self, event: Removed) -> Outcome:
        """ABSENT in the event's place, if the record has no sequencer or a smaller one; a tombstone that expires;
        `made` stays, and nothing else does."""
        ...

    def expect(self, place: str, event: Created) -> Outcome:
        """PENDING in `place`, made at the event's time, if there is no record."""
        ...

    def date(self, place: str, event: Created) -> Outcome:
        """An earlier `made` in `place`, if there is a record with none or a later one."""
        ...

    def fail(self, event: Replicated) -> Outcome:
        """FAILED at the destination, with rule and reason, if there is no record, or a PENDING one, or one that FAILED
        earlier."""
        ...

    def miss(self, event: Replicated) -> Outcome:
        """Overdue, or untracked, at the destination, if the record is neither COMPLETED nor has an event of its own."""
        ...

    def presume(self, event: Replicated) -> Outcome:
        """PENDING at the destination, and overdue or untracked, if there is no record."""
        ...

    def complete(self, event: Replicated) -> Outcome:
        """COMPLETED at the destination, if the record is not, and has no event of its own; or there is none."""
        ...

    def find(self, event: Found) -> Outcome:
        """COMPLETED in the place and found, under the condition of `complete`; observed then, unless it was before."""
        ...

    def withdraw(self, replica: Replica) -> Outcome:
        """ABSENT and withdrawn, if the record is PENDING or FAILED; a tombstone that expires."""
        ...

    def renew(self, replica: Replica) -> Outcome:
        """PENDING, or FAILED if it has failed, if the record is withdrawn."""
        ...

    def note(self, event: Replicated) -> Outcome:
        """The failure, rule and reason at the destination, if the record is withdrawn; which it stays."""
        ...

    def observe(self, replica: Replica) -> Outcome:
        """The record that a HEAD told of, if there is none."""
        ...

    def replica(self, key: str, version: str, place: str) -> Replica | None:
        """The record."""
        ...

    def look(self, key: str, version: str, place: str) -> tuple[Replica | None, Current | None]:
        """The record, and the place's current one."""
        ...

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], Current | None]:
        """Every record of the object in the place, and the place's current one."""
        ...

    def put_current(self, current: Current) -> bool:
        """Writes it if its revision is one more than what stands (0 when nothing does); else False."""
        ...


class RecordsLag(Protocol):
    """Adds one measured lag, in milliseconds, to a place's histogram."""

    def __call__(self, place: str, lag_ms: int, at: int) -> None: ...

"""What reconcile finds and how it tells of it."""

from typing import Literal

import msgspec

type Kind = Literal["missing", "different", "unplaced", "undeleted", "unmanaged", "adopted", "leftover", "changing"]
"""`missing`: a place no longer has its copy; `different`: it has other bytes; `unplaced`: it was never given one, and
nobody tries to; `undeleted`: it still has a deleted object; `unmanaged`: it has an object that the gateway knows
nothing of; `adopted`: such a one that it knows now; `leftover`: a part of an upload that is no more; `changing`: the
object was being written, so it is left for the next time."""

MENDED: frozenset[Kind] = frozenset({"missing", "different", "unplaced", "undeleted", "adopted", "leftover"})
EXAMPLES = 5


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as the catalog says."""

    kind: Kind
    key: str
    place: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at one bucket found. `keys` were compared; `counts` is by kind and place, `examples` has the first
    few of each kind; `queued` objects were given to the replicator; `unknown` says by place why it, or a part of it,
    could not be compared; `complete` whether every key was looked at. Of a dry run nothing was done."""

    bucket: str
    keys: int = 0
    counts: dict[Kind, dict[str, int]] = {}
    examples: tuple[Difference, ...] = ()
    queued: int = 0
    unknown: dict[str, str] = {}
    complete: bool = False
    dry_run: bool = False

    def total(self, *kinds: Kind) -> int:
        """How many differences of these kinds there are, of any when none is named."""
        return sum(sum(of.values()) for kind, of in self.counts.items() if not kinds or kind in kinds)

    def words(self) -> str:
        """The counts in words, such as `2 missing in wasabi, 1 unmanaged in b2`."""
        said = [f"{count} {kind} in {place}" for kind, of in self.counts.items() for place, count in of.items()]
        return ", ".join(said) or "nothing differs"


class Tally:
    """Counts towards a report, going on from one."""

    def __init__(self, report: Report) -> None:
        self._start = report
        self.keys = report.keys
        self.queued = report.queued
        self.unknown = dict(report.unknown)
        self._counts = {kind: dict(of) for kind, of in report.counts.items()}
        self._examples = list(report.examples)

    def add(self, difference: Difference) -> None:
        """Counts it, and keeps it when it is among the first of its kind."""
        of = self._counts.setdefault(difference.kind, {})
        of[difference.place] = of.get(difference.place, 0) + 1
        if sum(each.kind == difference.kind for each in self._examples) < EXAMPLES:
            self._examples.append(difference)

    def report(self, *, complete: bool) -> Report:
        """What was counted so far."""
        return msgspec.structs.replace(
            self._start,
            keys=self.keys,
            counts={kind: dict(of) for kind, of in self._counts.items()},
            examples=tuple(self._examples),
            queued=self.queued,
            unknown=dict(self.unknown),
            complete=complete,
        )

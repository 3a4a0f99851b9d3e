"""Settling what the catalog waits for and no event told of: looked for in the buckets, some per run, in turns."""

from collections.abc import Callable, Sequence

import msgspec

from nearside.copies import ListsVersions, find
from nearside.errors import NearsideError
from nearside.explain import ReadsObjects
from nearside.notes import KeepsNotes
from nearside.places import Place
from nearside.rounds import Round
from nearside.s3_events import Event, Found, Removed
from nearside.work import ListsWork, Work, WorkState

PER_RUN = 200
_NOTE = "resolving"
_STATES: tuple[WorkState, ...] = ("PENDING", "FAILED")


class Resolved(msgspec.Struct, frozen=True):
    """How many were looked for, had arrived, had gone everywhere, and could not be looked for."""

    looked: int = 0
    arrived: int = 0
    gone: int = 0
    silent: int = 0


class Resolver(msgspec.Struct, frozen=True):
    """Looks for what is overdue, and for what failed. `apply` tells the catalog, `settle` has it take
    off a version of a key that is replicated no longer; `out_of_time` when to stop."""

    places: Sequence[Place]
    work: ListsWork
    records: ReadsObjects
    versions: ListsVersions
    apply: Callable[[Event], None]
    settle: Callable[[str, str], None]
    notes: KeepsNotes
    target_seconds: int
    clock: Callable[[], float]
    out_of_time: Callable[[], bool]

    def resolve(self) -> Resolved:
        """Looks for at most 200, from where the last run stopped. Raises nothing: a place that does not answer is asked
        by the next run."""
        total = Resolved()
        lists = [(place.name, state) for place in self.places for state in _STATES]
        places = {place.name: place for place in self.places}
        round_ = Round(self.work, self.notes, _NOTE, lists, int(self.clock() * 1000), self.target_seconds)
        while total.looked < PER_RUN and not self.out_of_time():
            try:
                work = round_.upcoming()
            except NearsideError:
                total = msgspec.structs.replace(total, silent=total.silent + 1)
                round_.skip()
                continue
            if work is None:
                break
            round_.take()
            total = self._settle(places[work.place], work, total)
        round_.keep()
        return total

    def _settle(self, place: Place, work: Work, total: Resolved) -> Resolved:
        looked = msgspec.structs.replace(total, looked=total.looked + 1)
        try:
            there = find(self.versions(place, work.key), work.version)
            if there is not None:
                self.apply(Found(place=place.name, key=work.key, version=work.version, modified=there.modified))
                return msgspec.structs.replace(looked, arrived=total.arrived + 1)
            others = [other for other in self.places if other != place]
            if any(find(self.versions(other, work.key), work.version) for other in others):
                self.settle(work.key, work.version)
                return looked
            self._gone(work)
            return msgspec.structs.replace(looked, gone=total.gone + 1)
        except NearsideError:
            return msgspec.structs.replace(looked, silent=total.silent + 1)

    def _gone(self, work: Work) -> None:
        """No place has it: the events that would have said so were lost. Whatever record says that it is there is
        taken back, and with the last of them the catalog stops waiting; where no record says it, it is taken off."""
        now = int(self.clock() * 1000)
        for place in self.places:
            for record in self.records.object(work.key, place.name)[0]:
                held = record.state == "COMPLETED" or place.name == work.place
                if record.version == work.version and held:
                    self.apply(
                        Removed(
                            place=place.name,
                            key=work.key,
                            version=work.version,
                            at=now,
                            sequencer=_after(record.sequencer),
                        )
                    )


def _after(sequencer: str) -> str:
    """The next sequencer: S3 gives none between it and a later event, since it counts in the digits before."""
    return sequencer[:-1] + "1" if sequencer else "0"

"""Canaries: a small object written in every place, and how long until every other has it."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from nearside.copies import Close, LooksClosely
from nearside.errors import NearsideError
from nearside.notes import KeepsNotes, Note
from nearside.places import Place

PREFIX = ".nearside/canary/"
WAIT_SECONDS = 20.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 2.0


class WritesCanaries(Protocol):
    """Writes and takes away canaries. Both raise Refused, Unreachable or MissingBucket."""

    def put(self, place: Place, key: str, body: bytes) -> str:
        """Writes it; its version id."""
        ...

    def undo(self, place: Place, key: str, version: str) -> None:
        """Deletes exactly this version, if it is there."""
        ...


class Flight(msgspec.Struct, frozen=True):
    """A canary from one place to another. `lag_ms` is None while it has not arrived, or when that is not known to the
    second; `age_ms` is how long none has arrived, or how long this one took at most; `trouble` what kept it from being
    sent."""

    source: str
    destination: str
    lag_ms: int | None
    age_ms: int
    trouble: str = ""
    arrived: bool = False


class Canaries(msgspec.Struct, frozen=True):
    """Writes one per place and run. What has not arrived by the end of a run is looked for by the next, and then its
    lag is only known to be at most its age. One that is overdue is given up and another sent: what was written while a
    rule was missing never comes. What has arrived everywhere, or was given up, is taken away everywhere."""

    places: Sequence[Place]
    write: WritesCanaries
    look: LooksClosely
    notes: KeepsNotes
    target_seconds: int
    clock: Callable[[], float]
    pause: Callable[[float], None]

    def fly(self) -> list[Flight]:
        """Every canary's flight, those of earlier runs first. Raises nothing: troubles are in the answer."""
        flights: list[Flight] = []
        waiting: list[_Canary] = []
        for place in self.places:
            try:
                known = self.notes.read(place.name, "canary")
                canary = _known(place, known) if known else None
                if canary is not None:
                    self._look(canary, flights, at_most=True)
                waiting.append(self._on_the_way(place, canary))
            except NearsideError as error:
                flights += [Flight(place.name, other.name, None, 0, str(error)) for other in self._others(place)]
        end = self.clock() + WAIT_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while any(canary.missing for canary in waiting) and self.clock() < end:
            self.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            for canary in waiting:
                self._look(canary, flights)
        for canary in waiting:
            age = int(self.clock() * 1000) - canary.since
            flights += [Flight(canary.place.name, name, None, age) for name in canary.missing]
            self._keep(canary)
        return flights

    def _keep(self, canary: "_Canary") -> None:
        """Notes what is still missing; a note that cannot be written makes the next run send another canary."""
        with contextlib.suppress(NearsideError):
            if canary.missing:
                self.notes.write(canary.place.name, "canary", _note(canary))
            else:
                self.notes.drop(canary.place.name, "canary")

    def _on_the_way(self, place: Place, canary: "_Canary | None") -> "_Canary":
        """The canary that is waited for: the last run's while it may still come, else a new one."""
        now = int(self.clock() * 1000)
        if canary is None or not canary.missing:
            return self._written(place, now)
        if now - canary.at <= self.target_seconds * 1000:
            return canary
        self._take_away(canary)
        return self._written(place, canary.since)

    def _others(self, place: Place) -> list[Place]:
        return [other for other in self.places if other != place]

    def _written(self, place: Place, since: int) -> "_Canary":
        at = int(self.clock() * 1000)
        # Each has a key of its own: of one key the catalog would keep every version's tombstone, for 90 days.
        key = f"{PREFIX}{place.name}/{at}"
        version = self.write.put(place, key, f"{at}\n".encode())
        canary = _Canary(place, key, version, at, since, [other.name for other in self._others(place)])
        self.notes.write(place.name, "canary", _note(canary))
        return canary

    def _look(self, canary: "_Canary", flights: list[Flight], *, at_most: bool = False) -> None:
        """Looks for the canary where it is missing. Found by a later run than the one that wrote it, it may have been
        there for long: then its lag is not said."""
        for other in self.places:
            if other.name in canary.missing and isinstance(self.look(other, canary.key, canary.version), Close):
                age = int(self.clock() * 1000) - canary.at
                canary.missing.remove(other.name)
                flights.append(Flight(canary.place.name, other.name, None if at_most else age, age, arrived=True))
        if not canary.missing:
            self._take_away(canary)

    def _take_away(self, canary: "_Canary") -> None:
        for place in self.places:
            try:
                self.write.undo(place, canary.key, canary.version)
            except NearsideError:  # it stays as an old version, which nobody asks for
                continue


class _Canary(msgspec.Struct):
    """`at` is when it was written, `since` when the first was that has not come through, in milliseconds."""

    place: Place
    key: str
    version: str
    at: int
    since: int
    missing: list[str]


def _note(canary: _Canary) -> Note:
    missing = " ".join(canary.missing)
    return {"key": canary.key, "version": canary.version, "at": canary.at, "since": canary.since, "missing": missing}


def _known(place: Place, note: Note) -> _Canary:
    at, since = int(note["at"]), int(note["since"])
    return _Canary(place, str(note["key"]), str(note["version"]), at, since, str(note["missing"]).split())

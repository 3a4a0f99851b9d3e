"""A store of replicas in memory that obeys `nearside.records.StoresReplicas` as a global table would."""

from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any

from msgspec.structs import replace

from nearside.records import Current, Done, Outcome, Refusal, Replica
from nearside.s3_events import Created, Found, Removed, Replicated

type Identity = tuple[str, str, str]
"""Key, version (or `CURRENT`), place."""
type Judge = Callable[[Replica | None], Replica | None]
"""The record that is to follow the one that stands, or None when nothing is to change."""


class MemoryStore:
    """Every region's replica of the table. A write goes through one region, is judged by what that region has, and
    reaches the others when `replicate` is called; of two writes to one item the last wins, as in a global table
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html).
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = homes
        self._lock = RLock()
        self.tables: dict[str, dict[Identity, tuple[int, Replica | Current]]] = {home: {} for home in homes.values()}
        self._written_in: dict[Identity, str] = {}
        self._clock = 0

    def arrive(self, event: Created) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is not None and stands.sequencer >= event.sequencer:
                return None
            return Replica(
                key=event.key,
                version=event.version,
                place=event.place,
                state="COMPLETED",
                marker=event.marker,
                size=None if event.marker else event.size,
                etag=None if event.marker else event.etag,
                sequencer=event.sequencer,
                seen=event.at,
                **_made(stands),
            )

        return self._write(event.key, event.version, event.place, judge)

    def remove(self, event: Removed) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is not None and stands.sequencer >= event.sequencer:
                return None
            return Replica(
                key=event.key,
                version=event.version,
                place=event.place,
                state="ABSENT",
                sequencer=event.sequencer,
                removed=event.at,
                **_made(stands),
            )

        return self._write(event.key, event.version, event.place, judge)

    def expect(self, place: str, event: Created) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            return None if stands else Replica(**{**_blank(event, place), "state": "PENDING", **_told(event)})

        return self._write(event.key, event.version, place, judge)

    def date(self, place: str, event: Created) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is None:
                return None
            if stands.made is not None and (stands.made, stands.made_sequencer) <= (event.at, event.sequencer):
                return None
            return replace(stands, **{**_told(event), "marker": stands.marker or event.marker})

        return self._write(event.key, event.version, place, judge)

    def fail(self, event: Replicated) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is None:
                stands = Replica(**_blank(event, event.destination), state="FAILED")
            return replace(stands, state="FAILED", **_failure(event)) if _may_fail(stands, event) else None

        return self._write(event.key, event.version, event.destination, judge)

    def note(self, event: Replicated) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is None or not stands.withdrawn or not _is_later(stands, event):
                return None
            return replace(stands, **_failure(event))

        return self._write(event.key, event.version, event.destination, judge)

    def miss(self, event: Replicated) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is None or stands.sequencer or stands.state == "COMPLETED":
                return None
            return replace(stands, rule=stands.rule or event.rule, **_flag(event))

        return self._write(event.key, event.version, event.destination, judge)

    def presume(self, event: Replicated) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            blank = _blank(event, event.destination)
            return None if stands else Replica(**blank, state="PENDING", rule=event.rule, **_flag(event))

        return self._write(event.key, event.version, event.destination, judge)

    def complete(self, event: Replicated) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is not None and (stands.sequencer or stands.state == "COMPLETED"):
                return None
            marker = stands is not None and stands.marker
            blank = {**_blank(event, event.destination), "marker": marker}
            return Replica(**blank, state="COMPLETED", seen=event.at, **_made(stands))

        return self._write(event.key, event.version, event.destination, judge)

    def find(self, event: Found) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is not None and (stands.sequencer or stands.state == "COMPLETED"):
                return None
            blank = {**_blank(event, event.place), "marker": stands is not None and stands.marker}
            observed = event.modified if stands is None or stands.observed is None else stands.observed
            return Replica(**blank, state="COMPLETED", found=True, observed=observed, **_made(stands))

        return self._write(event.key, event.version, event.place, judge)

    def withdraw(self, replica: Replica) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is None or stands.state not in ("PENDING", "FAILED"):
                return None
            return replace(stands, state="ABSENT", withdrawn=True)

        return self._write(replica.key, replica.version, replica.place, judge)

    def renew(self, replica: Replica) -> Outcome:
        def judge(stands: Replica | None) -> Replica | None:
            if stands is None or not stands.withdrawn or stands.failed != replica.failed:
                return None
            return replace(stands, state="PENDING" if stands.failed is None else "FAILED", withdrawn=False)

        return self._write(replica.key, replica.version, replica.place, judge)

    def observe(self, replica: Replica) -> Outcome:
        return self._write(replica.key, replica.version, replica.place, lambda stands: None if stands else replica)

    def replica(self, key: str, version: str, place: str) -> Replica | None:
        with self._lock:
            found = self._home(place).get((key, version, place), (0, None))[1]
            assert not isinstance(found, Current)
            return found

    def look(self, key: str, version: str, place: str) -> tuple[Replica | None, Current | None]:
        with self._lock:
            return self.replica(key, version, place), self._current(key, place)

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], Current | None]:
        with self._lock:
            return [r for r in self.replicas(self._homes[place]) if (r.key, r.place) == (key, place)], self._current(
                key, place
            )

    def put_current(self, current: Current) -> bool:
        with self._lock:
            stands = self._current(current.key, current.place)
            if current.revision != (stands.revision + 1 if stands else 0):
                return False
            self._put((current.key, "CURRENT", current.place), current.place, current)
            return True

    def replicas(self, region: str) -> list[Replica]:
        """The replicas that one region's table has, whichever their home."""
        return [item for _, item in self.tables[region].values() if isinstance(item, Replica)]

    def currents(self, region: str) -> dict[tuple[str, str], Current]:
        """The current records that one region's table has, by key and place."""
        return {(i.key, i.place): i for _, i in self.tables[region].values() if isinstance(i, Current)}

    def replicate(self) -> None:
        """Brings every write to every region; of two to one item the later wins."""
        for table in self.tables.values():
            for other in self.tables.values():
                for identity, written in table.items():
                    if identity not in other or other[identity][0] < written[0]:
                        other[identity] = written

    def _home(self, place: str) -> dict[Identity, tuple[int, Replica | Current]]:
        return self.tables[self._homes[place]]

    def _current(self, key: str, place: str) -> Current | None:
        found = self._home(place).get((key, "CURRENT", place), (0, None))[1]
        assert not isinstance(found, Replica)
        return found

    def _write(self, key: str, version: str, place: str, judge: Judge) -> Outcome:
        with self._lock:
            stands = self.replica(key, version, place)
            becomes = judge(stands)
            if becomes is None:
                return Refusal(stands)
            self._put((key, version, place), place, becomes)
            return Done(stands)

    def _put(self, identity: Identity, place: str, item: Replica | Current) -> None:
        region = self._homes[place]
        assert self._written_in.setdefault(identity, region) == region, f"{identity} was written through two regions"
        self._clock += 1
        self.tables[region][identity] = (self._clock, item)


def _made(stands: Replica | None) -> dict[str, Any]:
    return {"made": stands.made, "made_sequencer": stands.made_sequencer} if stands else {}


def _told(event: Created) -> dict[str, Any]:
    return {"made": event.at, "made_sequencer": event.sequencer, "marker": event.marker}


def _blank(event: Created | Found | Replicated, place: str) -> dict[str, Any]:
    return {"key": event.key, "version": event.version, "place": place}


def _failure(event: Replicated) -> dict[str, Any]:
    return {"failed": event.at, "reason": event.reason, "rule": event.rule}


def _flag(event: Replicated) -> dict[str, Any]:
    return {"untracked" if event.outcome == "not_tracked" else "overdue": True}


def _may_fail(stands: Replica, event: Replicated) -> bool:
    return stands.state == "PENDING" or (stands.state == "FAILED" and _is_later(stands, event))


def _is_later(stands: Replica, event: Replicated) -> bool:
    return stands.failed is None or (stands.failed, stands.reason or "") < (event.at, event.reason)

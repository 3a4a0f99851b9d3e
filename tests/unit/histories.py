"""Histories of a key in the buckets of some regions: what was done, S3's events of it, and what is where at the end."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from nearside.records import Replica
from nearside.replicas import Absent, Finding, Findings, Held
from nearside.s3_events import Created, Event, Found, Removed, Replicated, sequencer

START = 1_795_000_000_000


@dataclass(frozen=True)
class Looked:
    """HEADs were made, and this is what they found: what `Catalog.remember` is told."""

    key: str
    findings: Findings


type Told = Event | Looked


@dataclass
class Version:
    """One version of the key: where it was made and when, where it is, was, and is awaited."""

    name: str
    marker: bool
    origin: str
    order: tuple[int, str]
    travels: bool
    present: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    awaited: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


@dataclass
class Buckets:
    """The buckets of all places, one key, as S3 would treat them; `told` is everything that S3 says, in order."""

    places: tuple[str, ...]
    markers_travel: bool = True
    key: str = "a/b"
    versions: list[Version] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    clock: int = START
    _sequence: int = 0

    def pass_time(self, milliseconds: int) -> None:
        self.clock += milliseconds

    def create(self, place: str, *, marker: bool = False, lifecycle: bool = False) -> None:
        """A client's PUT, or its DELETE without a version; or the delete marker of a lifecycle rule."""
        travels = not lifecycle and (self.markers_travel or not marker)
        order = self._sequencer()
        version = Version(f"v{len(self.versions)}", marker, place, (self.clock, order), travels)
        version.present.add(place)
        version.awaited = set(self.places) - {place} if travels else set()
        self.versions.append(version)
        self._appeared(version, place, order, lifecycle=lifecycle)

    def delete(self, version: Version, place: str) -> None:
        """A DELETE of one version in one place. What was not replicated from there never will be."""
        version.present.remove(place)
        version.gone.add(place)
        if place == version.origin:
            version.awaited.clear()
        self.told.append(
            Removed(place=place, key=self.key, version=version.name, at=self.clock, sequencer=self._sequencer())
        )

    def arrive(self, version: Version, place: str, *, late: bool = False) -> None:
        """The version is replicated, or copied again after it failed."""
        version.awaited.remove(place)
        version.present.add(place)
        self.clock += 1
        if late:
            self._said(version, place, "after_threshold")
        self._appeared(version, place, self._sequencer())

    def find(self, version: Version, place: str) -> None:
        """A look finds the version, whose time it knows to the second."""
        modified = version.order[0] // 1000 * 1000
        self.told.append(Found(place=place, key=self.key, version=version.name, modified=modified))

    def fail(self, version: Version, place: str, reason: str) -> None:
        version.failed.add(place)
        self._said(version, place, "failed", reason)

    def miss(self, version: Version, place: str, *, tracked: bool) -> None:
        self._said(version, place, "missed_threshold" if tracked else "not_tracked")

    def look(self) -> None:
        """HEADs of the key in every place."""
        self.told.append(Looked(self.key, {place: self._finding(place) for place in self.places}))

    def newest(self, place: str) -> Version | None:
        return max((v for v in self.versions if place in v.present), key=lambda v: v.order, default=None)

    def expected(self) -> dict[tuple[str, str], str]:
        """The state that the catalog is to have at the end, by version and place. `WITHDRAWN` is absent, never was
        there and never will be."""
        found = {}
        for version in self.versions:
            for place in self.places:
                if place in version.present:
                    found[version.name, place] = "COMPLETED"
                elif place in version.gone:
                    found[version.name, place] = "ABSENT"
                elif version.travels:
                    waiting = "FAILED" if place in version.failed else "PENDING"
                    found[version.name, place] = waiting if version.present else "WITHDRAWN"
        return found

    def _finding(self, place: str) -> Finding:
        version = self.newest(place)
        if version is None or version.marker:
            return Absent(deleted=version is not None)
        return Held(version.name, f"etag-{version.name}", version.order[0] // 1000)

    def _appeared(self, version: Version, place: str, order: str, *, lifecycle: bool = False) -> None:
        self.told.append(
            Created(
                place=place,
                key=self.key,
                version=version.name,
                at=self.clock,
                sequencer=order,
                size=0 if version.marker else 7,
                etag="" if version.marker else f"etag-{version.name}",
                marker=version.marker,
                travels=not lifecycle,
            )
        )

    def _said(self, version: Version, place: str, outcome: Any, reason: str = "") -> None:
        self.told.append(
            Replicated(
                source=version.origin,
                destination=place,
                key=self.key,
                version=version.name,
                at=self.clock,
                outcome=outcome,
                rule=f"to-{place}",
                reason=reason,
            )
        )

    def _sequencer(self) -> str:
        self._sequence += 1
        return sequencer(f"{self._sequence:06x}".rstrip("0"))  # S3's differ in length


def live(buckets: Buckets, random: Random, steps: int) -> None:
    """So many things happen, chosen at random among those that can."""
    for _ in range(steps):
        buckets.pass_time(random.choice((0, 0, 1, 700)))
        place = random.choice(buckets.places)
        present = [(v, p) for v in buckets.versions for p in sorted(v.present)]
        awaited = [(v, p) for v in buckets.versions for p in sorted(v.awaited)]
        kind = random.choice(("put", "put", "marker", "lifecycle", "delete", *["replicate"] * 4, "look"))
        if kind == "delete" and present:
            buckets.delete(*random.choice(present))
        elif kind == "replicate" and awaited:
            _replicate(buckets, random, *random.choice(awaited))
        elif kind == "look":
            buckets.look()
        else:
            buckets.create(place, marker=kind in ("marker", "lifecycle"), lifecycle=kind == "lifecycle")


def _replicate(buckets: Buckets, random: Random, version: Version, place: str) -> None:
    match random.choice(("arrive", "arrive", "found", "late", "fail", "miss", "untracked")):
        case "arrive":
            buckets.arrive(version, place)
        case "found":
            buckets.arrive(version, place)
            buckets.find(version, place)
        case "late":
            buckets.miss(version, place, tracked=True)
            buckets.pass_time(1)
            buckets.arrive(version, place, late=True)
        case "fail":
            buckets.fail(version, place, random.choice(("DstKmsKeyInvalidState", "AssumeRoleNotPermitted")))
        case "miss":
            buckets.miss(version, place, tracked=True)
        case _:
            buckets.miss(version, place, tracked=False)


def state_of(replica: Replica) -> str:
    """Its state; `WITHDRAWN` when that is why it is absent."""
    return "WITHDRAWN" if replica.withdrawn else replica.state


def meaning(replica: Replica) -> dict[str, Any]:
    """What a record says, without what depends on the order of the events and says nothing: a later time that another
    place told, and the marker of what is no more."""
    fields: dict[str, Any] = {name: getattr(replica, name) for name in replica.__struct_fields__}
    del fields["made"], fields["made_sequencer"], fields["observed"]
    if replica.state == "ABSENT":
        del fields["marker"]
    else:
        fields["rank"] = replica.rank
    return fields

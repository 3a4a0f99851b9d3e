"""One object in every place: each version's state there, and where it is not as it should be, why and what to do."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from nearside.absence import Case, why
from nearside.copies import LooksClosely, Sight
from nearside.errors import Missing, NearsideError, Refused, Unreachable
from nearside.places import Place
from nearside.records import Current, Replica, made_at
from nearside.replicas import Denied, Findings, FindsReplicas, Held, Question, Silent
from nearside.replication_rules import Bucket, Buckets, ReadsBuckets, Unknown

MAX_LOOKS = 12  # versions and places that are looked at, not only read from the catalog, within one answer's time


class ReadsObjects(Protocol):
    """The catalog's records of one object in one home, as `nearside.catalog.StoresReplicas` has it."""

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], Current | None]:
        """Raises Unreachable or Refused."""
        ...


class Remembers(Protocol):
    """Keeps what HEADs found of an object that the catalog did not know. Raises Unreachable, Refused or Contended."""

    def __call__(self, key: str, findings: Findings) -> None: ...


class Copy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version in one place. `lag_ms` is from the version's first event to its arrival here; `why` and `fix` are
    there when it has not arrived."""

    place: str
    state: Literal["PENDING", "COMPLETED", "FAILED", "ABSENT", "UNKNOWN"]
    arrived_at: datetime | None = None
    removed_at: datetime | None = None
    size: int | None = None
    etag: str | None = None
    lag_ms: int | None = None
    overdue: bool = False
    source: str | None = None
    rule: str | None = None
    reason: str | None = None
    why: str | None = None
    fix: str | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the object, or a delete marker, in every place."""

    version: str
    newest: bool
    marker: bool
    made_at: datetime
    copies: list[Copy]


class ObjectReplication(msgspec.Struct, frozen=True):
    """The object's versions, the newest first. `remembered` says that the catalog did not know it and the places were
    asked; `unknown` what could not be asked, and why."""

    key: str
    versions: list[Version]
    remembered: bool
    unknown: list[str]


class Explainer(msgspec.Struct, frozen=True):
    """Reads the catalog, and the places where it does not know or something is amiss."""

    places: Sequence[Place]
    records: ReadsObjects
    find: FindsReplicas
    remember: Remembers
    buckets: ReadsBuckets
    look: LooksClosely
    target_seconds: int

    def explain(self, key: str, now: float) -> ObjectReplication:
        """The object in every place (`now` in seconds since the epoch). Raises Missing when no place has it, Refused or
        Unreachable when that cannot be told."""
        records, silent = self._read(key)
        remembered = False
        if not records:
            self._ask(key, silent)
            records, silent = self._read(key)
            remembered = True
        if not records:
            raise Unreachable(f"the catalog does not answer for {key!r}: {'; '.join(silent.values())}")
        scene = _Scene(self, key, now, self.buckets(self.places), silent)
        return ObjectReplication(key, scene.versions(records), remembered, scene.unknown())

    def _read(self, key: str) -> tuple[list[Replica], dict[str, str]]:
        """All records, and the places whose home does not answer, with why."""
        records: dict[tuple[str, str], Replica] = {}
        silent: dict[str, str] = {}
        for place in self.places:
            try:
                found, _ = self.records.object(key, place.name)
                records |= {(each.version, each.place): each for each in found if each.place == place.name}
            except NearsideError as error:
                silent[place.name] = str(error)
        return list(records.values()), silent

    def _ask(self, key: str, silent: Mapping[str, str]) -> None:
        """Asks every place for an object that the catalog does not know, and remembers it."""
        [findings] = self.find([Question(key, None, self.places)])
        if any(isinstance(finding, Held) for finding in findings.values()):
            if not silent:
                self.remember(key, findings)
            return
        for name, finding in findings.items():
            if isinstance(finding, Denied):
                raise Refused(f"{name} does not say whether it has {key!r}: {finding.why}")
        for name, finding in findings.items():
            if isinstance(finding, Silent):
                raise Unreachable(f"{name} does not say whether it has {key!r}: {finding.why}")
        raise Missing(f"no place has {key!r}")


class _Scene:
    """One object at one moment, with the looks that are left."""

    def __init__(self, by: Explainer, key: str, now: float, buckets: Buckets, silent: Mapping[str, str]) -> None:
        self._by = by
        self._key = key
        self._now = now
        self._buckets = buckets
        self._silent = silent
        self._looks = MAX_LOOKS
        self._seen: dict[tuple[str, str], Sight] = {}

    def versions(self, records: Sequence[Replica]) -> list[Version]:
        grouped: dict[str, list[Replica]] = {}
        for record in records:
            grouped.setdefault(record.version, []).append(record)
        made = {version: made_at(group) for version, group in grouped.items()}
        order = sorted(grouped, key=lambda version: (made[version], version), reverse=True)
        here = [version for version in order if any(each.state != "ABSENT" for each in grouped[version])]
        return [
            self._version(version, made[version], grouped[version], version == (here or order)[0]) for version in order
        ]

    def unknown(self) -> list[str]:
        said = [f"the catalog of {name}: {reason}" for name, reason in self._silent.items()]
        said += [f"the bucket of {name}: {b.why}" for name, b in self._buckets.items() if isinstance(b, Unknown)]
        return said

    def _version(self, version: str, made: int, records: Sequence[Replica], newest: bool) -> Version:
        by_place = {record.place: record for record in records}
        source = self._source(records)
        marker = any(record.marker for record in records)
        copies = [
            self._copy(version, place, by_place.get(place.name), source, marker, made) for place in self._by.places
        ]
        return Version(version=version, newest=newest, marker=marker, made_at=_time(made), copies=copies)

    def _source(self, records: Sequence[Replica]) -> Place | None:
        """Where it was written: the place that had it first. Of one that a look found, nobody knows since when."""
        held = [record for record in records if record.state == "COMPLETED"]
        first = min(held, key=lambda record: (record.found, record.seen or record.observed or 0), default=None)
        return next((place for place in self._by.places if first and place.name == first.place), None)

    def _copy(
        self, version: str, place: Place, record: Replica | None, source: Place | None, marker: bool, made: int
    ) -> Copy:
        if place.name in self._silent:
            return Copy(
                place=place.name, state="UNKNOWN", why=f"the catalog does not answer: {self._silent[place.name]}"
            )
        if record is not None and record.state == "COMPLETED":
            return self._arrived(record, source, made)
        looks = not marker
        case = Case(
            key=self._key,
            marker=marker,
            source=source,
            destination=place,
            record=record,
            source_bucket=self._buckets[source.name] if source else Unknown("no place has the version"),
            bucket=self._buckets[place.name],
            source_sight=self._look(source, version) if source and looks else None,
            sight=self._look(place, version) if looks else None,
            age_seconds=self._now - made / 1000,
            target_seconds=self._by.target_seconds,
        )
        found = why(case)
        rule = case.rule
        return Copy(
            place=place.name,
            state=record.state if record else "UNKNOWN",
            removed_at=_time(record.removed) if record and record.removed else None,
            overdue=bool(
                record and record.state == "PENDING" and (record.overdue or case.age_seconds > case.target_seconds)
            ),
            source=source.name if source else None,
            rule=rule.id if rule else record.rule if record else None,
            reason=record.reason if record else None,
            why=found.what,
            fix=found.fix,
        )

    def _arrived(self, record: Replica, source: Place | None, made: int) -> Copy:
        bucket = self._buckets[source.name] if source else None
        elsewhere = source is not None and source.name != record.place
        place = next(place for place in self._by.places if place.name == record.place)
        rule = bucket.matching(place, self._key) if isinstance(bucket, Bucket) and elsewhere else None
        arrived = record.seen or (None if record.found else record.observed)
        return Copy(
            place=record.place,
            state="COMPLETED",
            arrived_at=_time(arrived) if arrived else None,
            size=record.size,
            etag=record.etag,
            lag_ms=record.seen - made if elsewhere and record.seen else None,
            source=source.name if source and elsewhere else None,
            rule=rule.id if rule else None,
        )

    def _look(self, place: Place, version: str) -> Sight | None:
        known = self._seen.get((place.name, version))
        if known is None and self._looks:
            self._looks -= 1
            known = self._by.look(place, self._key, version)
            self._seen[place.name, version] = known
        return known


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

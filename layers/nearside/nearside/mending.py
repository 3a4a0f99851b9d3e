"""Repairing replicas that failed or are overdue: copied again, if that is right, with a proof; and never twice.

A copy is a new version: S3 cannot write one under another's id. So only the newest version of an object is copied, only
when the rules carry the copy to the other places too, and the version that it stands for is taken off the work list
(docs/architecture.md). Whatever is not certain is left alone and said.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from nearside import operations_log
from nearside.copies import (
    Carries,
    Close,
    Entry,
    ListsVersions,
    LooksClosely,
    Unfinished,
    current,
    find,
    newer,
    undecided,
)
from nearside.errors import NearsideError
from nearside.mended import Mended, Outcome, Target, answer
from nearside.obstacles import to_a_copy, to_a_deletion
from nearside.operations_log import AppendsOperations
from nearside.places import Place
from nearside.proof import Differs, Digests, Unproved, proof
from nearside.records import Replica
from nearside.replication_rules import Buckets
from nearside.s3_events import Event, Found, Removed, sequencer

_EQUAL = "an equal copy is there already"
NEVER = sequencer("")  # before every event of S3's: a true arrival later still counts


class ReadsRecord(Protocol):
    """One record, strongly consistent, as `nearside.records.StoresReplicas` has it."""

    def __call__(self, key: str, version: str, place: str) -> Replica | None: ...


class Mender(msgspec.Struct, frozen=True):
    """Repairs one replica after the other. `apply` tells the catalog."""

    places: Sequence[Place]
    record: ReadsRecord
    versions: ListsVersions
    look: LooksClosely
    carry: Carries
    digest: Digests
    apply: Callable[[Event], None]
    log: AppendsOperations
    buckets: Buckets
    clock: Callable[[], float]

    def mend(self, target: Target, *, dry_run: bool, may_delete: bool) -> Mended:
        """Repairs it if that is right; by a deletion only if that is allowed. What stands in the way is in the answer,
        never raised."""
        try:
            return _Case(self, target, dry_run, may_delete).mended()
        except NearsideError as error:
            return answer(target, "waiting", str(error))


class _Case:
    """One replica at one moment: what every place has of its object."""

    def __init__(self, by: Mender, target: Target, dry_run: bool, may_delete: bool) -> None:
        self._by = by
        self._target = target
        self._dry = dry_run
        self._may_delete = may_delete
        self._now_ms = int(by.clock() * 1000)

    def mended(self) -> Mended:
        target = self._target
        record = self._by.record(target.key, target.version, target.place.name)
        if record is None or record.state not in ("PENDING", "FAILED"):
            return answer(target, "present", f"nothing to do: {record.state if record else 'not in the catalog'}")
        listed = self._listed()
        there = find(listed[target.place.name], target.version)
        if there is not None:
            return self._arrived(there)
        holders = [place for place in self._by.places if find(listed[place.name], target.version)]
        if not holders:
            return self._done("gone", "no place has the version any more, so nothing is copied")
        source = holders[0]
        wanted = find(listed[source.name], target.version)
        assert wanted is not None
        later = newer(listed, wanted)
        equal = self._equal(source, wanted, listed, later)
        if equal is not None:
            return equal
        if later:
            return self._superseded(later)
        doubt = undecided(listed, wanted)
        if doubt:
            return answer(target, "refused", doubt, source.name)
        if wanted.marker:
            return self._marked(source, listed)
        return self._copied(source, listed)

    def _listed(self) -> Mapping[str, Sequence[Entry]]:
        return {place.name: self._by.versions(place, self._target.key) for place in self._by.places}

    def _arrived(self, there: Entry) -> Mended:
        target = self._target
        if not self._dry:
            self._by.carry.abandon(target.place, target.key, target.version)
            name = target.place.name
            self._by.apply(Found(place=name, key=target.key, version=target.version, modified=there.modified))
        return answer(target, "present", f"{target.place.name} has it; the catalog had not heard")

    def _equal(
        self,
        source: Place,
        wanted: Entry,
        listed: Mapping[str, Sequence[Entry]],
        later: Sequence[tuple[str, Entry]],
    ) -> Mended | None:
        """The answer when the destination's current version is a copy of this one, made by a run that did not come to
        its end, or by anybody: then the work is done."""
        over = current(listed[self._target.place.name])
        if over is None or wanted.marker or over.modified < wanted.modified or over.size != wanted.size:
            return None
        known = [entry.version for entry in listed[source.name]]
        older = over.version in known and known.index(over.version) > known.index(wanted.version)
        if older or any(entry.version != over.version for _, entry in later):
            return None
        mended = self._proved(source, over.version, _EQUAL)
        return mended if mended.outcome != "failed" else None

    def _superseded(self, later: Sequence[tuple[str, Entry]]) -> Mended:
        """A newer version stands: never to be hidden by a copy of an older one."""
        target = self._target
        _, top = max(later, key=lambda each: each[1].modified)
        if top.marker:
            return self._done("superseded", "the object has been deleted since; it is not brought back")
        return self._done(
            "superseded",
            f"the newer version {top.version} stands; a copy of an older one would hide it. Only S3 Batch Replication "
            f"brings {target.version} to {target.place.name}",
        )

    def _copied(self, source: Place, before: Mapping[str, Sequence[Entry]]) -> Mended:
        target = self._target
        sight = self._by.look(source, target.key, target.version)
        if not isinstance(sight, Close):
            return answer(target, "waiting", f"{source.name} does not show it: {sight}", source.name)
        if sight.encryption == "customer":
            return answer(target, "refused", "it is encrypted with a customer's own key (SSE-C)", source.name)
        if sight.tags is None:
            return answer(target, "waiting", f"{source.name} does not show its tags, which belong to it", source.name)
        obstacle = to_a_copy(self._by.buckets, self._by.places, target, sight.tags)
        if obstacle:
            return answer(target, "refused", obstacle, source.name)
        if self._dry:
            return answer(target, "dry run", f"would be copied from {source.name}, {sight.size} bytes", source.name)
        made = self._by.carry.copy(source, target.place, target.key, sight, current(before[target.place.name]))
        if isinstance(made, Unfinished):
            detail = f"{made.done} of {made.parts} parts are there; ask again, it goes on from there"
            return answer(target, "copying", detail, source.name)
        return self._checked(source, made.version, before) or self._proved(source, made.version, made.how)

    def _checked(self, source: Place, ours: str, before: Mapping[str, Sequence[Entry]]) -> Mended | None:
        """The second look at every place. None when our new version may stay; else it has been taken away again."""
        known = {entry.version for entries in before.values() for entry in entries} | {ours}
        try:
            after = self._listed()
        except NearsideError as error:
            return self._taken_away(source, ours, "waiting", f"whether it hides a newer one cannot be told: {error}")
        new = next((e.version for entries in after.values() for e in entries if e.version not in known), "")
        return self._taken_away(source, ours, "superseded", f"version {new} was written meanwhile") if new else None

    def _taken_away(self, source: Place, ours: str, outcome: Outcome, why: str) -> Mended:
        """Takes our version away everywhere, first where the others get it from; the replica stays on the list."""
        target, left = self._target, []
        for place in sorted(self._by.places, key=lambda place: place != target.place):
            try:
                self._by.carry.undo(place, target.key, ours)
            except NearsideError as error:
                left.append(f"; it may still be in {place.name}: {error}")
        detail = f"{why}; our own version {ours} has been taken away again{''.join(left)}"
        self._by.log(self._entry("repair undone", detail))
        return answer(target, outcome, detail, source.name)

    def _proved(self, source: Place, copy: str, how: str) -> Mended:
        target = self._target
        first = self._by.look(source, target.key, target.version)
        second = self._by.look(target.place, target.key, copy)
        if not (isinstance(first, Close) and isinstance(second, Close)):
            return answer(target, "unproved", f"a copy cannot be looked at: {first}, {second}", source.name, copy)
        try:
            proved = proof(self._by.digest, target.key, (source, first), (target.place, second))
        except Unproved as error:
            return answer(target, "unproved", str(error), source.name, copy)
        except Differs as error:
            if not self._dry and how != _EQUAL:
                return self._taken_away(source, copy, "failed", f"the copy differs: {error}")
            return answer(target, "failed", f"the copy differs: {error}", source.name)
        detail = f"{how}, from {source.name} as version {copy}; {proved}"
        return self._done("copied", detail, source.name, copy)

    def _marked(self, source: Place, before: Mapping[str, Sequence[Entry]]) -> Mended:
        """A deletion that did not arrive: the object is deleted here too."""
        target = self._target
        over = current(before[target.place.name])
        if over is None:
            return self._done("deleted", "nothing stands there", source.name)
        showing = [place for place in self._by.places if current(before[place.name])]
        obstacle = to_a_deletion(self._by.buckets, showing, target)
        if not self._may_delete:
            obstacle = f"a deletion is to be made up for, and the caller may not delete {target.key!r}"
        if obstacle:
            return answer(target, "refused", obstacle, source.name)
        if self._dry:
            return answer(target, "dry run", f"would be deleted in {target.place.name} as well", source.name)
        marker = self._by.carry.mark(target.place, target.key, over)
        detail = f"deleted by the marker {marker}, as in {source.name}"
        return self._checked(source, marker, before) or self._done("deleted", detail, source.name, marker)

    def _done(self, outcome: Outcome, detail: str, source: str = "", copy: str = "") -> Mended:
        """Logged first, then off the list: a run that dies between the two is finished by the next."""
        target = self._target
        if self._dry:
            return answer(target, "dry run", f"{outcome}: {detail}", source, copy)
        self._by.carry.abandon(target.place, target.key, target.version)
        self._by.log(self._entry(f"repair: {outcome}", detail))
        self._by.apply(
            Removed(
                place=target.place.name,
                key=target.key,
                version=target.version,
                at=self._now_ms,
                sequencer=NEVER,
            )
        )
        return answer(target, outcome, detail, source, copy)

    def _entry(self, action: str, detail: str) -> operations_log.Entry:
        target = self._target
        return operations_log.Entry(
            at=self._now_ms,
            id=f"{target.place.name}-{target.version}",
            action=action,
            key=target.key,
            place=target.place.name,
            version=target.version,
            detail=detail,
        )

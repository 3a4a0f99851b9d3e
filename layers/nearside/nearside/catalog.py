"""The catalog: which version of which object is in which place, kept right whatever order its events come in.

Every record has one home, the region of its place, and is only ever written there (docs/architecture.md), so that a
condition is judged where the record lives. Each rule below is a conditional write that changes nothing when it comes
twice or late; what they leave is the same for every order of the same events (tests/unit/test_catalog_simulation.py).
"""

from collections.abc import Sequence

import msgspec

from nearside.errors import Contended
from nearside.records import Current as Current
from nearside.records import Done as Done
from nearside.records import Outcome as Outcome
from nearside.records import RecordsLag as RecordsLag
from nearside.records import Refusal as Refusal
from nearside.records import Replica as Replica
from nearside.records import State as State
from nearside.records import StoresReplicas as StoresReplicas
from nearside.replicas import Absent, Findings, Held, newest
from nearside.s3_events import NULL_VERSION, Created, Event, Found, Removed, Replicated

_TRIES = 24  # of a read and a conditional write; each round that fails, another writer's succeeds


class Catalog(msgspec.Struct, frozen=True):
    """Applies events. `places` are the names of all places; `markers_travel` says whether rules replicate delete
    markers, `prefixes` which keys they replicate: nothing is awaited of others."""

    places: Sequence[str]
    store: StoresReplicas
    lag: RecordsLag
    markers_travel: bool = True
    prefixes: Sequence[str] = ("",)

    def apply(self, event: Event) -> None:
        """Makes the catalog know the event; nothing changes for one that comes twice or late. Raises Contended,
        Unreachable or Refused when it is to be tried again."""
        match event:
            case Created():
                self._created(event)
            case Removed():
                self._removed(event)
            case Replicated(outcome="failed"):
                self._failed(event)
            case Replicated(outcome="after_threshold"):
                self._arrived(self.store.complete(event), event.key, event.version, event.destination)
            case Found():
                self._arrived(self.store.find(event), event.key, event.version, event.place)
            case Replicated():
                outcome = self.store.miss(event)
                if isinstance(outcome, Refusal) and outcome.stands is None:
                    outcome = self.store.presume(event)
                    if isinstance(outcome, Refusal):  # told by another event meanwhile
                        self.store.miss(event)

    def remember(self, key: str, findings: Findings) -> None:
        """Keeps what HEADs found of an object that the catalog did not know: the version that each place holds, and
        that the newest is still to come where it is absent or an older one is held. What places did not say is not
        kept."""
        held = newest(findings)
        if held is None:
            return
        for place, finding in findings.items():
            if isinstance(finding, Held):
                seen = _observed(key, place, finding, "COMPLETED")
                self.store.observe(seen)
                self._refresh(key, seen.version, place)
            lacks = finding.version != held.version if isinstance(finding, Held) else finding == Absent()
            if lacks and self._is_replicated(key):
                self.store.observe(_observed(key, place, held, "PENDING"))
        self.settle(key, held.version_id or NULL_VERSION)  # it may have been deleted since the HEADs

    def _created(self, event: Created) -> None:
        """First what is so in the event's own place, then what that means elsewhere: another place's home may be away
        for hours, and whoever reads this one must not hear meanwhile that nothing has changed."""
        outcome = self.store.arrive(event)
        before = outcome.before if isinstance(outcome, Done) else None
        if before and before.made is not None and before.failed is None:  # of what failed, somebody's time to mend it
            self._measure(event.place, before.made, event.at)
        if _is_in_force(outcome, event.sequencer):
            stands = self._refresh(event.key, event.version, event.place)
        else:
            stands = outcome.stands if isinstance(outcome, Refusal) else None
        if not self._is_awaited(event):
            return
        told = [self._tell(place, event) for place in self.places if place != event.place]
        if None in told:  # it may have been deleted in the meantime, when there was nothing to withdraw yet
            stands = self.store.replica(event.key, event.version, event.place)
        # Deleted before it was told of, or meanwhile; or counted out where it was to come, though here it is.
        if any(each and each.withdrawn for each in told) or (stands is not None and stands.state == "ABSENT"):
            self.settle(event.key, event.version)

    def _is_awaited(self, event: Created) -> bool:
        travels = event.travels and (self.markers_travel or not event.marker) and self._is_replicated(event.key)
        return travels and event.version != NULL_VERSION

    def _is_replicated(self, key: str) -> bool:
        return key.startswith(tuple(self.prefixes))

    def _tell(self, place: str, event: Created) -> Replica | None:
        """Lets another place's record know of the version: that it is to come, or that it was made earlier than known.
        Told for late events too: an earlier time orders versions whatever became of the event's own. The record as it
        stood; None when it is expected from now on."""
        outcome = self.store.expect(place, event)
        if isinstance(outcome, Done) or outcome.stands is None:
            return None
        stands, rank = outcome.stands, (event.at, event.sequencer)
        is_told = stands.seen is not None or stands.made is not None
        if is_told and stands.rank < rank:
            return stands
        if not is_told or stands.rank != rank:  # it is the same when this event was told here before
            dated = self.store.date(place, event)
            if isinstance(dated, Done) and (before := dated.before) and before.sequencer and before.made is None:
                self._measure(place, event.at, before.seen or 0)
            # It may have arrived since it was read, and its own event have found it undated.
            stands = (dated.before if isinstance(dated, Done) else dated.stands) or stands
        if stands.state == "COMPLETED":
            self._refresh(event.key, event.version, place)
        return stands

    def _removed(self, event: Removed) -> None:
        outcome = self.store.remove(event)
        if _is_in_force(outcome, event.sequencer):
            self._refresh(event.key, event.version, event.place)
            if event.version != NULL_VERSION:
                self.settle(event.key, event.version)

    def _failed(self, event: Replicated) -> None:
        for _ in range(_TRIES):
            outcome = self.store.fail(event)
            if isinstance(outcome, Done) or outcome.stands is None or not outcome.stands.withdrawn:
                return
            outcome = self.store.note(event)
            if isinstance(outcome, Done) or (outcome.stands is not None and outcome.stands.withdrawn):
                return
        raise Contended(f"{event.key!r} in {event.destination} changed {_TRIES} times while its failure was noted")

    def _arrived(self, outcome: Outcome, key: str, version: str, place: str) -> None:
        stands = self._refresh(key, version, place)
        if isinstance(outcome, Done) or (stands is not None and stands.state == "COMPLETED"):
            self.settle(key, version)

    def settle(self, key: str, version: str) -> None:
        """Withdraws what is still to come of a version that no place has any more, or of a key that is replicated no
        longer: S3 does not copy it either. Renews what was withdrawn when some place has it after all. Read again after
        each change, so that whatever arrived or was removed meanwhile is seen, here or by its own event."""
        for _ in range(_TRIES):
            found = [self.store.replica(key, version, place) for place in self.places]
            replicas = [replica for replica in found if replica is not None]
            held = any(replica.state == "COMPLETED" for replica in replicas)
            awaited = held and self._is_replicated(key)
            changed = False
            for replica in replicas:
                if awaited and replica.withdrawn:
                    self.store.renew(replica)
                    changed = True
                elif not awaited and (replica.state == "PENDING" or (replica.state == "FAILED" and not held)):
                    self.store.withdraw(replica)
                    changed = True
            if not changed:
                return
        raise Contended(f"{key!r} came and went {_TRIES} times while it was looked for")

    def _measure(self, place: str, made: int, seen: int) -> None:
        if seen > made:
            self.lag(place, seen - made, seen)

    def _refresh(self, key: str, version: str, place: str) -> Replica | None:
        """Writes down which version is the newest in the place, now that this one came, went or moved; the version's
        record as it stands.

        The newest one is compared with this one only, so an object of a million versions costs no more than another;
        only when the newest is gone, or is older than was thought, are all of them read. Looked at again after each
        write: an event whose record was read before it changed has found nothing to correct yet.
        """
        whole = False
        for _ in range(_TRIES):
            if whole:
                replicas, stands = self.store.object(key, place)
                replica = next((each for each in replicas if each.version == version), None)
                wanted: Current | None = newest_of(key, place, replicas, stands)
            else:
                replica, stands = self.store.look(key, version, place)
                wanted = _successor(replica, stands)
                if wanted is not None and stands is not None and _is_behind(wanted, stands):
                    whole = True
                    continue
            if wanted is None or (stands and msgspec.structs.replace(wanted, revision=stands.revision) == stands):
                return replica
            self.store.put_current(wanted)
        raise Contended(f"{key!r} in {place} changed {_TRIES} times while it was looked at")


def newest_of(key: str, place: str, replicas: Sequence[Replica], stands: Current | None) -> Current:
    """The newest version that the place has by these records, as the successor of what stands."""
    held = [replica for replica in replicas if replica.place == place and replica.state == "COMPLETED"]
    if not held:
        return Current(key=key, place=place, version=None, revision=_next(stands))
    return _current(max(held, key=lambda replica: (replica.rank, replica.version)), stands)


def _successor(replica: Replica | None, stands: Current | None) -> Current | None:
    """What follows from one version's record: itself when it is the newest; none when what stands stays. When what
    stands is this version and it is gone, an empty record, which is behind everything."""
    held = replica is not None and replica.state == "COMPLETED"
    if replica is not None and stands is not None and stands.version == replica.version:
        return _current(replica, stands) if held else Current(key=stands.key, place=stands.place, version=None)
    if replica is None or not held:
        return None
    if stands is None or stands.version is None or (replica.rank, replica.version) > (stands.rank, stands.version):
        return _current(replica, stands)
    return None


def _is_behind(wanted: Current, stands: Current) -> bool:
    """Whether another version may be newer than what is wanted now in the place of what stands."""
    return wanted.version is None or (stands.version is not None and wanted.rank < stands.rank)


def _current(replica: Replica, stands: Current | None) -> Current:
    made, sequencer = replica.rank
    return Current(
        key=replica.key,
        place=replica.place,
        version=replica.version,
        made=made,
        sequencer=sequencer,
        marker=replica.marker,
        etag=replica.etag,
        size=replica.size,
        revision=_next(stands),
    )


def _next(stands: Current | None) -> int:
    return stands.revision + 1 if stands else 0


def _is_in_force(outcome: Outcome, sequencer: str) -> bool:
    """Whether the record is now as the event made it: by this write, or by an earlier delivery of the same event."""
    return isinstance(outcome, Done) or (outcome.stands is not None and outcome.stands.sequencer == sequencer)


def _observed(key: str, place: str, held: Held, state: State) -> Replica:
    return Replica(
        key=key,
        version=held.version_id or NULL_VERSION,
        place=place,
        state=state,
        etag=held.etag,
        observed=int(held.last_modified * 1000),
    )

"""Making sure of what seems to differ, and giving it to the replicator."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from nearside.errors import MissingBucket, NearsideError
from nearside.gateway.comparing import is_same
from nearside.gateway.describing import new_id
from nearside.gateway.differences import Difference, Kind
from nearside.gateway.errors import Busy, LeaseLost
from nearside.gateway.leases import Leases, owner_of
from nearside.gateway.merging import Row
from nearside.gateway.places import Places
from nearside.gateway.records import Copy, Generation, Record, Seen


class Settler:
    """Changes records under their leases only, and only if they still are as they were when they were compared."""

    def __init__(self, leases: Leases, places: Places, queue: Callable[[str, str], None]) -> None:
        self._leases = leases
        self._places = places
        self._queue = queue

    def sure(self, bucket: str, row: Row, suspicion: Difference) -> Difference | None:
        """What a HEAD of the object in the place makes of it, None when nothing differs. What a deleted object's place
        has without the gateway's mark is somebody else's: `unmanaged`. Raises Unreachable or Refused of the place."""
        if suspicion.kind in ("unplaced", "unmanaged"):
            return suspicion
        try:
            seen = self._places.ask(suspicion.place, lambda store: store.head(bucket, row.key))
        except MissingBucket:
            seen = None
        kind = _confirmed(row, suspicion, seen)
        return Difference(kind, row.key, suspicion.place) if kind else None

    def mend(self, bucket: str, row: Row, differences: Sequence[Difference]) -> bool:
        """Notes them in the record, which is due now, and tells the replicator. False when the object is being written
        or has been since: nothing was done."""
        record = self._taken(bucket, row)
        if record is None:
            return False
        copies = dict(record.copies)
        for each in differences:
            copies[each.place] = _to_do(copies.get(each.place), each)
        due = int(self._leases.clock() * 1000)
        return self._saved(msgspec.structs.replace(record, copies=copies, lease=None, due=due), owner_of(record))

    def adopt(self, bucket: str, row: Row, primary: str) -> bool:
        """Makes a record of an object that nobody knows, as the primary place has it: the other places are to get it.
        False as `mend`, and when it is gone. Raises Unreachable or Refused of the place."""
        record = self._taken(bucket, row)
        if record is None:
            return False
        try:
            seen = self._places.ask(primary, lambda store: store.head(bucket, row.key))
        except NearsideError:
            self._give_back(record)
            raise
        if seen is None:
            self._give_back(record)
            return False
        now = self._leases.clock()
        copies = {name: Copy() for name in self._places.names}
        copies[primary] = Copy(state="COMPLETED", version=seen.version, etag=seen.etag)
        adopted = msgspec.structs.replace(
            record,
            current=_generation(seen, now),
            copies=copies,
            lease=None,
            due=int(now * 1000) if len(copies) > 1 else None,
        )
        return self._saved(adopted, owner_of(record))

    def _taken(self, bucket: str, row: Row) -> Record | None:
        """The record with its lease ours, if it is still what was compared."""
        try:
            record = self._leases.take(bucket, row.key, wait_seconds=0)
        except Busy:
            return None
        if _content(record) == _content(row.record or Record(bucket=bucket, key=row.key)):
            return record
        self._give_back(record)
        return None

    def _give_back(self, record: Record) -> None:
        due = int(self._leases.clock() * 1000) if record.intents else record.due
        with suppress(LeaseLost):
            self._leases.records.save(msgspec.structs.replace(record, lease=None, due=due), owner_of(record))

    def _saved(self, record: Record, owner: str) -> bool:
        try:
            self._leases.records.save(record, owner)
        except LeaseLost:
            return False
        if record.due is not None:
            self._queue(record.bucket, record.key)
        return True


def _confirmed(row: Row, suspicion: Difference, seen: Seen | None) -> Kind | None:
    record = row.record
    assert record is not None  # for mypy: without one nothing but `unmanaged` is suspected
    copy = record.copies.get(suspicion.place, Copy())
    if suspicion.kind == "undeleted":
        ours = seen is not None and (seen.generation or (copy.etag and seen.etag == copy.etag))
        return None if seen is None else "undeleted" if ours else "unmanaged"
    if seen is None:
        return "missing"
    return None if is_same(record, copy, seen.etag, seen.size) else "different"


def _to_do(copy: Copy | None, difference: Difference) -> Copy:
    """The copy as the replicator is to find it."""
    if difference.kind in ("missing", "different"):
        return msgspec.structs.replace(copy or Copy(), doubt=True)
    if difference.kind == "undeleted":
        return msgspec.structs.replace(copy or Copy(), state="PENDING", doubt=True)
    if copy is None or copy.state != "COMPLETED":
        return Copy(multipart=copy.multipart if copy else "", doubt=copy.doubt if copy else False)
    return copy


def _content(record: Record) -> object:
    return record.current, record.deleted, record.copies, tuple(record.intents), record.staged, tuple(record.litter)


def _generation(seen: Seen, now: float) -> Generation:
    """What a place tells of an object that came there without the gateway; its SHA-256 is not known."""
    return Generation(
        id=seen.generation or new_id(now),
        made=int(seen.modified * 1000),
        size=seen.size,
        etag=seen.etag,
        headers=seen.headers,
    )

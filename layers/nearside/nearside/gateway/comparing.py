"""Whether what places list is what the catalog says of one key."""

from collections.abc import Collection, Sequence

from nearside.gateway.differences import Difference, Kind
from nearside.gateway.merging import Row
from nearside.gateway.records import Copy, Listed, Record


def suspected(row: Row, places: Sequence[str], compared: Collection[str]) -> list[Difference]:
    """What seems to differ, by place of `places`. A place that is not in `compared` and should have the object is
    suspected of not having it: it is to be asked. Listings are older than they look, so all but `unplaced` and
    `unmanaged` is to be looked at before it is told."""
    record = row.record
    if record is None or _is_nothing(record):
        return [Difference("unmanaged", row.key, name) for name in row.listed]
    kinds: dict[str, Kind | None]
    if record.current is None:
        kinds = {name: _of_deleted(record, record.copies.get(name)) for name in row.listed}
    else:
        kinds = {name: _of_copy(record, name, row.listed.get(name), name in compared) for name in places}
    return [Difference(kind, row.key, name) for name, kind in kinds.items() if kind]


def _is_nothing(record: Record) -> bool:
    """A record that says nothing: neither of an object, nor of one that was, nor of one that was begun."""
    return record.current is None and record.deleted is None and not record.intents and record.lease is None


def _of_deleted(record: Record, copy: Copy | None) -> Kind | None:
    if record.deleted is None:
        return None  # its first write is under way, or died: the lease's end makes it due
    waits = record.due is not None and copy is not None and copy.state != "ABSENT"
    return None if waits else "undeleted"


def _of_copy(record: Record, name: str, listed: Listed | None, is_compared: bool) -> Kind | None:
    copy = record.copies.get(name)
    waits = record.due is not None
    if copy is None or copy.state == "ABSENT":
        return "unplaced"
    if copy.state != "COMPLETED" or copy.doubt:  # a failed one is still tried, in its time
        return None if waits else "unplaced"
    if listed is None:
        return "missing"
    return "different" if is_compared and not is_same(record, copy, listed.etag, listed.size) else None


def is_same(record: Record, copy: Copy, etag: str, size: int) -> bool:
    """Whether what a place has (an empty ETag: it does not say) is the copy of the current generation."""
    assert record.current is not None  # for mypy: a deleted object has no copies to compare
    return size == record.current.size and etag in ("", copy.etag)

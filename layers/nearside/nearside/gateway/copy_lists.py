"""The gateway's copies that are pending or have failed, for `GET /api/replicas/status`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from nearside.gateway.records import Record
from nearside.work import WorkState
from nearside.work_lists import GatewayPage, ReplicaStatus


class ListsDue(Protocol):
    """The objects that something is still to be done for, eventually consistent."""

    def __call__(self, limit: int, cursor: str | None) -> tuple[Sequence[tuple[str, str]], str | None]:
        """Bucket and key of up to `limit`, those due first coming first within a shard; and the cursor of the next
        page, None on the last. Raises Unreachable, Refused, or BadCursor for a cursor that no page gave."""
        ...


class LoadsRecords(Protocol):
    """`nearside.gateway.records.StoresRecords`."""

    def load(self, bucket: str, key: str, *, eventual: bool = False) -> Record | None: ...


class CopyLists:
    """Implements `nearside.work_lists.ListsCopies` for these places."""

    def __init__(self, places: Sequence[str], due: ListsDue, records: LoadsRecords) -> None:
        self.places = places
        self._due = due
        self._records = records

    def page(self, place: str | None, state: WorkState | None, limit: int, cursor: str | None) -> GatewayPage:
        """What `nearside.work_lists.ListsCopies` says."""
        objects, following = self._due(max(1, limit // len(self.places)), cursor)
        records = [self._records.load(bucket, key, eventual=True) for bucket, key in objects]
        copies = [each for record in records if record for each in self._of(record)]
        wanted = [each for each in copies if place in (None, each.place) and state in (None, each.state)]
        return GatewayPage(wanted, following)

    def _of(self, record: Record) -> Iterator[ReplicaStatus]:
        for name in self.places:
            copy = record.copies.get(name)
            if copy is None or copy.state not in ("PENDING", "FAILED") or record.due is None:
                continue
            yield ReplicaStatus(
                key=record.key,
                version=record.current.id if record.current else "",
                place=name,
                state=copy.state,
                due=datetime.fromtimestamp(record.due / 1000, UTC),
                bucket=record.bucket,
                attempts=copy.attempts,
                marker=record.current is None,
                why=copy.why or None,
            )

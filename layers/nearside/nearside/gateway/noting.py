"""What the replicator did, among the operations (`GET /api/operations/log`)."""

import logging
from collections.abc import Callable

from nearside.errors import NearsideError
from nearside.gateway.records import Record
from nearside.operations_log import AppendsOperations, Entry

MAX_DETAIL = 500

log = logging.getLogger("nearside")


class OperationNotes:
    """Implements `nearside.gateway.replicating.Notes`; `clock` gives seconds since the epoch. What cannot be noted is
    logged: the copy is made all the same."""

    def __init__(self, append: AppendsOperations, clock: Callable[[], float]) -> None:
        self._append = append
        self._clock = clock

    def __call__(self, record: Record, place: str, action: str, why: str) -> None:
        current = record.current
        entry = Entry(
            at=int(self._clock() * 1000),
            id=f"{record.bucket}/{record.key}#{place}",
            action=f"gateway: {action}",
            bucket=record.bucket,
            key=record.key,
            place=place,
            version=current.id if current else "",
            detail=why[:MAX_DETAIL],
        )
        try:
            self._append(entry)
        except NearsideError as error:
            log.warning("%s/%s, %s: %s, which is not among the operations: %s", *_told(record, place, action), error)


def _told(record: Record, place: str, action: str) -> tuple[str, str, str, str]:
    return record.bucket, record.key, place, action

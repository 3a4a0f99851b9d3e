"""Taking back a write that did not reach enough places, or telling the replicator what may be wrong where."""

import logging
from collections.abc import Callable, Mapping

import msgspec

from nearside.errors import BadRequest, Contended, Missing, NearsideError, Refused
from nearside.gateway.errors import LeaseLost
from nearside.gateway.leases import Leases
from nearside.gateway.places import Places
from nearside.gateway.records import Copy, Generation, Record, Stored

MAX_INTENTS = 50  # kept: a record has room in the catalog (400 KB) for all of what clients may say in each

log = logging.getLogger("nearside")

type Queue = Callable[[str, str], None]
"""Tells the replicator of an object by bucket and key; never raises."""
type Answers = Mapping[str, Stored | NearsideError]


class Undo:
    """Call it with the record as it was, the generation that was to be, and what places answered."""

    def __init__(self, leases: Leases, places: Places, queue: Queue) -> None:
        self._leases = leases
        self._places = places
        self._queue = queue

    def __call__(self, record: Record, generation: Generation, answers: Answers) -> None:
        """Takes back what was written, as far as places answer; the rest is left in doubt for the replicator."""
        copies = dict(record.copies)
        touched = [name for name, answer in answers.items() if not self._is_untouched(record, name, answer)]
        for name in touched:
            copies[name] = msgspec.structs.replace(copies.get(name, Copy()), doubt=True)
        doubtful = any(copy.doubt for copy in copies.values()) or bool(record.intents)
        undone = msgspec.structs.replace(
            record,
            copies=copies,
            deleted=self._leases.now() if doubtful and record.current is None else record.deleted,
            intents=(*record.intents, generation)[-MAX_INTENTS:] if doubtful else (),
            due=self._leases.due() if doubtful else record.due,
        )
        try:
            self._leases.end(undone, record)
        except LeaseLost:
            written = dict.fromkeys(touched, Copy(state="COMPLETED"))
            self.in_doubt(msgspec.structs.replace(record, current=generation, copies=written))
            return
        if doubtful:
            self._queue(record.bucket, record.key)

    def in_doubt(self, lost: Record) -> None:
        """Has every copy of the object looked at (see `note_late`), soon."""
        if note_late(self._leases, lost):
            self._queue(lost.bucket, lost.key)

    def abandon(self, replaced: Record) -> None:
        """Ends the uploads that copies of a generation which is replaced by now were under way by, where that can be
        done at once: nobody else would."""
        for name, copy in replaced.copies.items():
            if not copy.multipart or name not in self._places or self._places.is_open(name):
                continue
            try:
                self._places.ask(name, lambda s: s.abort(replaced.bucket, replaced.key, copy.multipart))  # noqa: B023 - called at once
            except NearsideError as error:
                log.warning("%s: the upload %s could not be ended: %s", name, copy.multipart, error)

    def _is_untouched(self, record: Record, name: str, answer: Stored | NearsideError) -> bool:
        """Whether the place is as it was before, after what it took was removed again."""
        if not isinstance(answer, Stored):  # it said that it did not take it, or was not asked any more
            return isinstance(answer, Refused | BadRequest | Missing | Contended)
        if name in record.copies and record.current is not None and answer.version is None:
            return False  # there are no versions: what was written over is gone
        try:
            self._leases.check(record)
            self._places.ask(name, lambda store: store.delete(record.bucket, record.key, answer.version))
        except NearsideError as error:
            log.warning("%s: what was written there could not be removed again: %s", name, error)
            return False
        return True


def note_late(leases: Leases, lost: Record) -> bool:
    """Notes that something was done in places after the lease for it had ended: whoever had the lease then may have
    been written over, where there are no versions, or hidden. Every copy of the object is to be looked at, and that of
    each place where `lost` says that it was written. Whether it could be noted; reconcile finds it otherwise."""
    try:
        record = leases.take(lost.bucket, lost.key)
        copies = {name: msgspec.structs.replace(copy, doubt=True) for name, copy in record.copies.items()}
        for name in lost.holders():
            copies.setdefault(name, Copy(doubt=True))
        intents = (*record.intents, lost.current)[-MAX_INTENTS:] if lost.current else record.intents
        if record.current is not None and lost.current is not None and record.current.id == lost.current.id:
            intents = record.intents  # it counts all the same
        deleted = record.deleted if record.current else record.deleted or leases.now()
        doubted = msgspec.structs.replace(record, copies=copies, deleted=deleted, intents=intents, due=leases.due())
        leases.end(doubted, record)
    except NearsideError as error:
        log.warning("%s/%s: it could not be noted that copies are in doubt: %s", lost.bucket, lost.key, error)
        return False
    return True


def litter(record: Record) -> tuple[str, ...]:
    """The uploads whose parts are nobody's once the current generation is replaced."""
    upload = record.current.upload if record.current else ""
    return record.litter if not upload or upload in record.litter else (*record.litter, upload)

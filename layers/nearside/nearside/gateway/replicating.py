"""The replicator: does for one object whatever is still to be done, and can be asked any number of times."""

import random
from collections.abc import Callable, Mapping

import msgspec

from nearside.errors import Missing, NearsideError
from nearside.gateway.copying import Copier
from nearside.gateway.leases import SWEEP_SECONDS, Leases
from nearside.gateway.looking import Looker
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Promise
from nearside.gateway.records import Copy, Record
from nearside.gateway.spreading import Spreader

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 900.0
_MOST_DOUBLED = 16  # times: a place that is down for weeks fails more often than a float can be doubled

type Notes = Callable[[Record, str, str, str], None]
"""Told what was done: the record, the place, `copied`, `removed` or `failed`, and why."""


class Replicator:
    """Mends records, each by itself."""

    def __init__(
        self, leases: Leases, spread: Spreader, promise: Promise, copier: Copier, parts: PartsOf, notes: Notes
    ) -> None:
        self._leases = leases
        self._records = leases.records
        self._spread = spread
        self._places = spread.places
        self._promise = promise
        self._looker = Looker(leases, spread, verifies=promise.verify_uploads)
        self._copier = copier
        self._parts = parts
        self._notes = notes

    def mend(self, bucket: str, key: str) -> Record | None:
        """The record after places were looked at, given what they lack and made to forget what was deleted, as far as
        they answer; None when there is none. Its `due` is None when nothing is left to do.

        Raises Unreachable or Refused of the catalog, Busy and LeaseLost when others write the object, OutOfTime.
        """
        record = self._records.load(bucket, key)
        if record is None or (record.lease and record.lease.until > self._leases.now()):
            return record
        loaded = record
        ended = len(self._leases.at_it(record.intents)) < len(record.intents)
        if ended or any(copy.doubt for name, copy in record.copies.items() if name in self._places):
            record = self._looker.look(bucket, key)
        if record.current is None and (ended or self._is_somewhere(record)):
            record = self._looker.forget(bucket, key)
        current = record.current
        for name in self._lacking(record):
            record = self._copier.copy(record, name)
            if current is None or record.current is None or record.current.id != current.id:
                break  # somebody replaced or deleted it, and it is due again
        record = self._tidied(record)
        self._note(record, loaded.copies)
        return self._settled(record, untouched=record is loaded)

    def _lacking(self, record: Record) -> list[str]:
        """The places that are to get a copy now: not those that are left alone after failures."""
        if record.current is None:
            return []
        copies = [(name, record.copies.get(name, Copy())) for name in self._places.names]
        lacking = [name for name, copy in copies if copy.state != "COMPLETED"]
        return [name for name in self._places.in_order(lacking) if not self._places.is_open(name)]

    def _tidied(self, record: Record) -> Record:
        """The record after the parts of uploads that nobody needs any more were removed. Of those of the current
        generation the list stays, which has the SHA-256 of each."""
        if record.staged and self._is_safe(record):
            record = self._unstaged(record)
        listed = record.current.upload if record.current else ""
        cleared = [each for each in record.litter if self._is_cleared(record.bucket, each, forget=each != listed)]
        if not cleared:
            return record
        held = self._leases.take(record.bucket, record.key)
        if held.current is None or held.current.upload != listed:  # it was replaced: now the list is to go too
            cleared = [each for each in cleared if each != listed]
        litter = tuple(each for each in held.litter if each not in cleared)
        return self._leases.end(msgspec.structs.replace(held, litter=litter), held)

    def _unstaged(self, record: Record) -> Record:
        """The record with the object's parts given up, which is decided under the lease: a write that fails may have
        taken the object from a place meanwhile, and the parts are all that is left of it then."""
        held = self._leases.take(record.bucket, record.key)
        if not held.staged or held.current is None or not self._is_safe(held):
            return self._leases.end(held, held)
        unstaged = msgspec.structs.replace(held, staged=False, litter=(*held.litter, held.current.upload))
        return self._leases.end(unstaged, held)

    def _is_safe(self, record: Record) -> bool:
        """Whether enough places have the object."""
        enough = min(self._promise.required_replicas, len(self._places.names))
        certain = [name for name in record.holders() if name in self._places and not record.copies[name].doubt]
        return len(certain) >= enough and not record.intents

    def _is_cleared(self, bucket: str, upload_id: str, *, forget: bool) -> bool:
        """Whether all staged objects of the upload are gone, after trying; `forget` its parts as well."""
        parts = self._parts.uploads.parts(upload_id)
        for part in parts:
            names = [name for name in part.copies if name in self._places]
            if any(self._places.is_open(name) for name in names):
                return False
            answers = self._spread(
                names,
                len(names),
                lambda name, s: s.delete(bucket, part.staged, part.copies[name].version),  # noqa: B023 - called at once
            )
            # Missing: the bucket itself is gone.
            if any(
                isinstance(answer, NearsideError) and not isinstance(answer, Missing) for answer in answers.values()
            ):
                return False
        if forget:
            self._parts.uploads.remove_parts(upload_id, [part.number for part in parts])
        return True

    def _settled(self, record: Record, *, untouched: bool) -> Record:
        """The record with `due` as it is to be: none when all is done, else later each time. One that nothing could be
        done for, and that is not due yet, stays as it is: while a place is away each message would cost two writes."""
        if not self._is_left(record):
            wanted = None
        else:
            asked = [copy for name, copy in record.copies.items() if name in self._places]
            attempts = max((copy.attempts for copy in asked), default=0)
            # Where nothing failed, something could not be tried: a place is left alone, or parts could not be removed.
            pause = FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, _MOST_DOUBLED) if attempts else SWEEP_SECONDS
            pause = min(pause, LONGEST_PAUSE_SECONDS)
            wanted = self._leases.now() + int(pause * random.uniform(0.5, 1.0) * 1000)
        waits = untouched and wanted is not None and record.due is not None and record.due > self._leases.now()
        if (waits or wanted == record.due) and record.lease is None:  # else somebody died with it
            return record
        held = self._leases.take(record.bucket, record.key)
        if msgspec.structs.replace(held, lease=None, due=None) != msgspec.structs.replace(record, lease=None, due=None):
            wanted = held.due  # somebody changed it meanwhile, and said when
        return self._leases.end(msgspec.structs.replace(held, due=wanted), held)

    def _is_left(self, record: Record) -> bool:
        """Whether there is still something to do."""
        if record.litter or record.intents:
            return True
        copies = [record.copies.get(name, Copy()) for name in self._places.names]
        if record.current is None:
            return self._is_somewhere(record)
        return record.staged or any(copy.state != "COMPLETED" or copy.doubt for copy in copies)

    def _is_somewhere(self, deleted: Record) -> bool:
        return any(copy.state != "ABSENT" for name, copy in deleted.copies.items() if name in self._places)

    def _note(self, record: Record, before: Mapping[str, Copy]) -> None:
        for name, copy in record.copies.items():
            was = before.get(name, Copy())
            if copy.state != was.state and copy.state in ("COMPLETED", "ABSENT"):
                self._notes(record, name, "copied" if copy.state == "COMPLETED" else "removed", "")
            elif copy.attempts > was.attempts:
                self._notes(record, name, "failed", copy.why)

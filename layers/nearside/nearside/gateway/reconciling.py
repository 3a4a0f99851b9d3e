"""Compares what the places list with what the catalog says, bucket by bucket, and has what differs mended.

A look at a bucket goes through phases, and can stop after any key and go on later from its progress:

- `leftovers`: which uploads have old parts aside and are no longer under way;
- `keys`: the merge of the listings with the records, by key;
- `others`: the listings of places that do not sort their keys, each key looked up by itself;
- `removal`: the parts of those uploads that no record has named meanwhile.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from nearside.errors import MissingBucket, NearsideError, Unreachable
from nearside.gateway.comparing import suspected
from nearside.gateway.differences import Difference, Report, Tally
from nearside.gateway.leftovers import MAX_UPLOADS, Leftovers, named_by
from nearside.gateway.merging import PAGE, Asks, Merge, Only, Row
from nearside.gateway.places import Places
from nearside.gateway.records import StoresRecords
from nearside.gateway.s3_requests import OWN_PREFIX
from nearside.gateway.settling import Settler

type Phase = Literal["leftovers", "keys", "others", "removal", "done"]


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a look at a bucket has come, that began at `started` and was last gone on with at `touched`
    (milliseconds since the epoch). In the phase `keys` everything up to the key `after` is done; in `others`,
    everything up to `after` in the listing of the first of `unsorted`, the places without an order. `uploads` are
    those that may be left over. `report` is of this look so far, and of the whole when the phase is `done`."""

    report: Report
    started: int
    touched: int
    phase: Phase = "leftovers"
    after: str = ""
    unsorted: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to look: `adopt` makes records of objects in the primary place that nobody knows, `dry_run` only tells."""

    adopt: bool = False
    dry_run: bool = False


class Reconciler:
    """Goes on with a bucket until it is done or `out_of_time` says so. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        records: StoresRecords,
        places: Places,
        settler: Settler,
        leftovers: Leftovers,
        asked: Asked,
        clock: Callable[[], float],
        out_of_time: Callable[[], bool],
    ) -> None:
        self._records = records
        self._places = places
        self._settler = settler
        self._leftovers = leftovers
        self._asked = asked
        self._clock = clock
        self._out_of_time = out_of_time

    def begin(self, bucket: str) -> Progress:
        """A new look at the bucket, with nothing done yet."""
        now = int(self._clock() * 1000)
        return Progress(report=Report(bucket=bucket, dry_run=self._asked.dry_run), started=now, touched=now)

    def go_on(self, progress: Progress) -> Progress:
        """The progress when time is up or the bucket is done. Raises Unreachable or Refused when the catalog does not
        answer; a place that does not is told of in the report."""
        tally = Tally(progress.report)
        while progress.phase != "done" and not self._out_of_time():
            progress = self._step(progress, tally)
        report = tally.report(complete=progress.phase == "done")
        return msgspec.structs.replace(progress, report=report, touched=int(self._clock() * 1000))

    def _step(self, progress: Progress, tally: Tally) -> Progress:
        if progress.phase == "leftovers":
            return self._found(progress, tally)
        if progress.phase == "keys":
            return self._keys(progress, tally)
        if progress.phase == "others":
            return self._others(progress, tally)
        return self._removal(progress, tally)

    def _found(self, progress: Progress, tally: Tally) -> Progress:
        bucket, ids = progress.report.bucket, set[str]()
        for name in self._places.names:
            try:
                ids |= self._leftovers.found(bucket, name)
            except NearsideError as error:
                tally.unknown[name] = str(error)
        return msgspec.structs.replace(progress, phase="keys", uploads=tuple(sorted(ids)[:MAX_UPLOADS]))

    def _keys(self, progress: Progress, tally: Tally) -> Progress:
        bucket, after, uploads = progress.report.bucket, progress.after, set(progress.uploads)
        merge = Merge(self._records, self._places, bucket, after, progress.unsorted)
        done = True
        for row in merge.rows():
            if row.record:
                uploads -= named_by(row.record)
            self._row(bucket, row, merge, tally)
            after = row.key
            if self._out_of_time():
                done = False
                break
        for name in merge.homeless:
            self._give_bucket(bucket, name, merge)
        tally.unknown |= merge.silent
        progress = msgspec.structs.replace(
            progress, after=after, unsorted=tuple(merge.unsorted), uploads=tuple(sorted(uploads))
        )
        return msgspec.structs.replace(progress, phase="others", after="") if done else progress

    def _give_bucket(self, bucket: str, name: str, merge: Merge) -> None:
        if self._asked.dry_run:
            return
        try:
            self._places.ask(name, lambda store: store.make_bucket(bucket))
        except NearsideError as error:
            merge.leave_out(name, str(error))

    def _row(self, bucket: str, row: Row, merge: Asks, tally: Tally) -> None:
        """Compares a key in every place that answers, and has mended what differs."""
        tally.keys += 1
        suspicions = suspected(row, merge.asked, merge.compared)
        if suspicions and row.record and row.record.lease and row.record.lease.until > self._clock() * 1000:
            tally.add(Difference("changing", row.key, suspicions[0].place))
            return
        found = []
        for each in suspicions:
            try:
                difference = self._settler.sure(bucket, row, each)
            except NearsideError as error:
                merge.leave_out(each.place, str(error))
                continue
            if difference:
                found.append(difference)
        self._act(bucket, row, found, merge, tally)

    def _act(self, bucket: str, row: Row, found: Sequence[Difference], merge: Asks, tally: Tally) -> None:
        unmanaged = [each for each in found if each.kind == "unmanaged"]
        wrong = [each for each in found if each.kind != "unmanaged"]
        if wrong and not self._asked.dry_run:
            if not self._settler.mend(bucket, row, wrong):
                tally.add(Difference("changing", row.key, wrong[0].place))
                return
            tally.queued += 1
        primary = self._places.names[0]
        if self._is_to_adopt(row, unmanaged, primary) and self._is_adopted(bucket, row, primary, merge):
            unmanaged = [Difference("adopted", row.key, primary)]
        for each in (*wrong, *unmanaged):
            tally.add(each)

    def _is_to_adopt(self, row: Row, unmanaged: Sequence[Difference], primary: str) -> bool:
        in_primary = any(each.place == primary for each in unmanaged)
        return in_primary and self._asked.adopt and (row.record is None or row.record.deleted is None)

    def _is_adopted(self, bucket: str, row: Row, primary: str, merge: Asks) -> bool:
        try:
            return self._asked.dry_run or self._settler.adopt(bucket, row, primary)
        except NearsideError as error:
            merge.leave_out(primary, str(error))
            return False

    def _others(self, progress: Progress, tally: Tally) -> Progress:
        """One page of a place that does not sort its keys: each is looked up in the catalog."""
        if not progress.unsorted:
            return msgspec.structs.replace(progress, phase="removal")
        bucket, after = progress.report.bucket, progress.after
        name, *rest = progress.unsorted
        following = msgspec.structs.replace(progress, unsorted=tuple(rest), after="")
        merge = Only(name)
        try:
            page, more = self._places.ask(name, lambda store: store.listing(bucket, "", after, PAGE))
            if more and (not page or page[-1].key == after):
                raise Unreachable("its listing does not go on")
        except MissingBucket:
            return following
        except NearsideError as error:
            tally.unknown[name] = str(error)
            return following
        for listed in page:
            if not listed.key.startswith(OWN_PREFIX):
                record = self._records.load(bucket, listed.key)
                if record is None or record.current is None:  # else it was asked for in its turn
                    self._row(bucket, Row(listed.key, record, {name: listed}), merge, tally)
        if merge.silent:
            tally.unknown |= merge.silent
            return following
        return msgspec.structs.replace(progress, after=page[-1].key) if more else following

    def _removal(self, progress: Progress, tally: Tally) -> Progress:
        """The parts of one upload, or as many as there is time for: what is gone is not listed the next time."""
        if not progress.uploads:
            return msgspec.structs.replace(progress, phase="done")
        upload_id, *rest = progress.uploads
        gone = True
        for name in self._places.names:
            try:
                for each in self._leftovers.remove(
                    progress.report.bucket, name, upload_id, dry_run=self._asked.dry_run
                ):
                    tally.add(each)
                    if not self._asked.dry_run and self._out_of_time():
                        return progress
            except NearsideError as error:
                tally.unknown[name] = str(error)
                gone = False
        if gone and not self._asked.dry_run:
            self._leftovers.forget(upload_id)
        return msgspec.structs.replace(progress, uploads=tuple(rest))

"""The scheduled run: what is due goes to the replicator, then the buckets are looked at, the longest waiting first."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from nearside.errors import NearsideError
from nearside.gateway.differences import MENDED, Report
from nearside.gateway.reconciling import Progress, Reconciler
from nearside.gateway.records import StoresRecords
from nearside.operations_log import AppendsOperations, Entry

SWEPT = 1_000  # a run; the rest is as due a minute later
AGAIN_SECONDS = 24 * 3600  # a listing of a million keys costs a thousand requests in every place
AGAIN_AFTER_SILENCE_SECONDS = 3600

log = logging.getLogger("nearside")


class KeepsProgress(Protocol):
    """What is kept of each bucket from one run to the next. Every method raises Unreachable or Refused."""

    def all(self) -> Mapping[str, Progress]:
        """By bucket."""
        ...

    def keep(self, progress: Progress) -> None:
        """Puts it in the place of the bucket's last one."""
        ...

    def drop(self, bucket: str) -> None:
        """Forgets the bucket's, if there is one."""
        ...


class Ran(msgspec.Struct, frozen=True):
    """What a run did: how many due objects the replicator was told of, and the report of each bucket looked at."""

    swept: int
    reports: Sequence[Report]


class Rounds:
    """Runs of it. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        records: StoresRecords,
        kept: KeepsProgress,
        reconciler: Reconciler,
        queue: Callable[[str, str], None],
        append: AppendsOperations,
        clock: Callable[[], float],
        out_of_time: Callable[[], bool],
    ) -> None:
        self._records = records
        self._kept = kept
        self._reconciler = reconciler
        self._queue = queue
        self._append = append
        self._clock = clock
        self._out_of_time = out_of_time

    def run(self) -> Ran:
        """A sweep, and then each bucket goes on where the last run left it, until time is up; one that is done is begun
        anew after a day, or after an hour if a place did not answer. Raises Unreachable or Refused of the catalog."""
        swept = self.sweep()
        kept = self._kept.all()
        names = [bucket.name for bucket in self._records.buckets()]
        for gone in kept.keys() - set(names):
            self._kept.drop(gone)
        waiting = sorted(names, key=lambda name: kept[name].touched if name in kept else 0)
        reports = []
        for name in waiting:
            if self._out_of_time():
                break
            progress = self._next(name, kept.get(name))
            if progress is not None:
                reports.append(self._gone_on(progress))
        return Ran(swept, reports)

    def look(self, buckets: Sequence[str]) -> Sequence[Report]:
        """A look of its own at each bucket, from its beginning, of which nothing is kept."""
        reports = []
        for name in buckets:
            report = self._reconciler.go_on(self._reconciler.begin(name)).report
            self._tell(report, Report(bucket=name))
            reports.append(report)
        return reports

    def sweep(self) -> int:
        """How many objects that are due the replicator was told of."""
        due = self._records.due(int(self._clock() * 1000), SWEPT)
        told = 0
        for bucket, key in due:
            if self._out_of_time():
                break
            self._queue(bucket, key)
            told += 1
        return told

    def _next(self, name: str, progress: Progress | None) -> Progress | None:
        if progress is None:
            return self._reconciler.begin(name)
        if progress.phase != "done":
            return progress
        again = AGAIN_AFTER_SILENCE_SECONDS if progress.report.unknown else AGAIN_SECONDS
        is_time = progress.started + again * 1000 <= self._clock() * 1000
        return self._reconciler.begin(name) if is_time else None

    def _gone_on(self, progress: Progress) -> Report:
        later = self._reconciler.go_on(progress)
        self._kept.keep(later)
        self._tell(later.report, progress.report)
        return later.report

    def _tell(self, report: Report, before: Report) -> None:
        """Logs what was found since `before`, and puts it among the operations if something was done."""
        new = _since(report, before)
        words = new.words()
        level = logging.WARNING if new.counts or report.unknown else logging.INFO
        silent = "".join(f"; {name}: {why}" for name, why in report.unknown.items())
        log.log(level, "reconcile %s: %d keys, %s%s", report.bucket, new.keys, words, silent)
        if report.dry_run or not new.total(*MENDED):
            return
        at = int(self._clock() * 1000)
        entry = Entry(at=at, id=f"reconcile-{report.bucket}", action="reconcile", bucket=report.bucket, detail=words)
        try:
            self._append(entry)
        except NearsideError as error:
            log.warning("reconcile %s: not among the operations: %s", report.bucket, error)


def _since(report: Report, before: Report) -> Report:
    counts = {
        kind: {
            place: count - before.counts.get(kind, {}).get(place, 0)
            for place, count in of.items()
            if count > before.counts.get(kind, {}).get(place, 0)
        }
        for kind, of in report.counts.items()
    }
    return Report(
        bucket=report.bucket, keys=report.keys - before.keys, counts={k: of for k, of in counts.items() if of}
    )

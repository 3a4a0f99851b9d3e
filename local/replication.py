"""Replication between regions as S3's rules describe it: after a lag, versions keep their id, and replicas stay put.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from moto.s3.models import FakeKey

from local import object_store
from local.events import Events, Happened
from local.faults import Faults
from local.replication_events import AFTER, FAILED, MISSED, replication_event
from local.replication_faults import ReplicationFault
from local.replication_jobs import Job, Route, Waiting, refusal, waiting
from local.replication_rules import replication_rules

_log = logging.getLogger(__name__)

PENDING, COMPLETED, REPLICA = "PENDING", "COMPLETED", "REPLICA"
STATUS_FAILED = "FAILED"
THRESHOLD_SECONDS = 900.0  # Replication Time Control's 15 minutes


class Replication:
    """Carries new versions to the buckets that the rules of their bucket name, on one thread of its own.

    A version waits `lag_seconds`, longer while its own region or the other is off or a fault stalls it, and not at all
    where a fault or the destination makes it fail: S3 does not try it again then.
    """

    def __init__(self, region_of: Callable[[str], str], faults: Faults, events: Events, lag_seconds: float) -> None:
        self._region_of = region_of
        self._faults = faults
        self._events = events
        self._lag_seconds = lag_seconds
        self._threshold_seconds = THRESHOLD_SECONDS
        self._troubles: tuple[ReplicationFault, ...] = ()
        self._statuses: dict[tuple[str, str, str], str] = {}
        self._owed: dict[tuple[str, str, str], int] = {}
        # Everything on one route has the same lag, so the first in is the first out and no queue needs sorting.
        self._queues: dict[Route, deque[Job]] = {}
        self._stalled: list[Job] = []
        self._timed: deque[Job] = deque()
        self._failures: Counter[Route] = Counter()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="replication", daemon=True)
        self._thread.start()

    @property
    def lag_seconds(self) -> float:
        return self._lag_seconds

    @property
    def threshold_seconds(self) -> float:
        return self._threshold_seconds

    @property
    def troubles(self) -> tuple[ReplicationFault, ...]:
        return self._troubles

    def set_lag(self, seconds: float) -> None:
        """Also for what is already waiting."""
        with self._changed:
            self._lag_seconds = seconds
            self._changed.notify_all()

    def set_threshold(self, seconds: float) -> None:
        """After how long a version that still waits has missed its time; RTC's is 15 minutes."""
        with self._changed:
            self._threshold_seconds = seconds
            self._changed.notify_all()

    def trouble(self, faults: Iterable[ReplicationFault]) -> None:
        """The faults from now on, in place of those before. What stalled goes on where no fault stalls it any more."""
        with self._changed:
            self._troubles = tuple(faults)
            stalled, self._stalled = self._stalled, []
            for job in reversed(stalled):
                self._queues.setdefault(job.route, deque()).appendleft(job)
            self._changed.notify_all()

    def wake(self) -> None:
        """Look again: a region may be on again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def status(self, bucket: str, key: str, version_id: str) -> str:
        """`PENDING`, `COMPLETED`, `FAILED`, `REPLICA`, or empty when no rule applied to the version."""
        return self._statuses.get((bucket, key, version_id), "")

    def pending(self) -> dict[Route, int]:
        """How many versions wait on each route (from region, to region)."""
        return {route: found.count for route, found in self.waiting().items()}

    def waiting(self) -> dict[Route, Waiting]:
        """What waits on each route where something does."""
        with self._changed:
            return waiting((*self._stalled, *(job for queue in self._queues.values() for job in queue)))

    def failures(self) -> dict[Route, int]:
        """How many versions have failed on each route since the start."""
        with self._changed:
            return dict(self._failures)

    def settle(self, timeout_seconds: float) -> None:
        """Wait until nothing is pending. Raises TimeoutError that says what still waits."""
        with self._changed:
            if self._changed.wait_for(lambda: not self._is_busy(), timeout_seconds):
                return
        still = ", ".join(f"{count} from {source} to {to}" for (source, to), count in self.pending().items())
        raise TimeoutError(f"still pending after {timeout_seconds:g} s: {still}")

    def already_done(self, bucket: str, version: FakeKey) -> None:
        """Put the version into every destination now, as one that was replicated long ago."""
        for rule in replication_rules(bucket):
            object_store.insert_replica(version, rule.destination)
            self._statuses[rule.destination, version.name, version.version_id] = REPLICA
            self._statuses[bucket, version.name, version.version_id] = COMPLETED

    def added(self, bucket: str, version: object_store.Version) -> bool:
        """A client wrote this version: send it to every destination whose rule applies; False when none does."""
        is_marker = not isinstance(version, FakeKey)
        rules = [rule for rule in replication_rules(bucket) if rule.fits(version.name, marker=is_marker)]
        if not rules:
            return False
        identity = (bucket, version.name, version.version_id)
        with self._changed:
            was_idle = not self._is_busy()
            if not is_marker:
                self._statuses[identity] = PENDING
            self._owed[identity] = self._owed.get(identity, 0) + len(rules)
            for rule in rules:
                route = (self._region_of(bucket), self._region_of(rule.destination))
                job = Job(version, bucket, rule, route)
                self._queues.setdefault(route, deque()).append(job)
                if rule.time_control:
                    self._timed.append(job)
            if was_idle:
                self._changed.notify_all()
        return True

    def _is_busy(self) -> bool:
        return bool(self._stalled) or any(self._queues.values())

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                late = self._take_late()
                route, wait_seconds = self._next_route()
                if not late and (route is None or wait_seconds > 0):
                    self._changed.wait(self._until_next(wait_seconds if route else None))
                    continue
                job = None if late or route is None else self._queues[route][0]
            for each in late:
                self._tell(each, MISSED)
            if job is None:
                continue
            try:
                self._carry(job)
            except Exception:  # noqa: BLE001 - one version that fails must not end the thread
                _log.exception("replicating %s from %s failed", job.version.name, job.source)
                job.done = True
            with self._changed:
                self._queues[job.route].remove(job)  # the first, or near it: a fault's end may have put others before
                if not job.done:
                    self._stalled.append(job)
                if not self._is_busy():
                    self._changed.notify_all()

    def _next_route(self) -> tuple[Route | None, float]:
        now = time.monotonic()
        waits = {
            route: queue[0].since + self._lag_seconds - now
            for route, queue in self._queues.items()
            if queue and all(map(self._faults.is_on, route))
        }
        if not waits:
            return None, 0
        route = min(waits, key=lambda each: waits[each])
        return route, waits[route]

    def _take_late(self) -> list[Job]:
        """The versions that have missed their time since this was last asked."""
        late = []
        now = time.monotonic()
        while self._timed and (self._timed[0].done or self._timed[0].since + self._threshold_seconds <= now):
            job = self._timed.popleft()
            if not job.done:
                job.missed = True
                late.append(job)
        return late

    def _until_next(self, wait_seconds: float | None) -> float | None:
        if not self._timed:
            return wait_seconds
        until_late = max(0.0, self._timed[0].since + self._threshold_seconds - time.monotonic())
        return until_late if wait_seconds is None else min(wait_seconds, until_late)

    def _carry(self, job: Job) -> None:
        """Bring the version to its destination, let it fail, or leave it not `done` where a fault stalls it."""
        version = job.version
        key, version_id = version.name, version.version_id
        # A version that was deleted by its id while it waited is not replicated.
        exists = object_store.has_version(job.source, version)
        reason = refusal(job.rule.destination)
        for trouble in self._troubles:
            if exists and not reason and trouble.meets(job.route[1], key):
                if not trouble.reason:
                    return
                reason = trouble.reason
        job.done = True
        arrived = exists and not reason and object_store.insert_replica(version, job.rule.destination)
        if exists and not reason and isinstance(version, FakeKey):
            self._statuses[job.rule.destination, key, version_id] = REPLICA
        self._conclude(job, failed=exists and bool(reason))
        if arrived:
            self._announce(job)
            if job.missed:
                self._tell(job, AFTER)
        elif exists and reason and job.rule.metrics:
            self._tell(job, FAILED, failureReason=reason)

    def _conclude(self, job: Job, *, failed: bool) -> None:
        """One destination is done with: the source's status is one answer for all of them."""
        identity = job.identity
        if failed:
            self._failures[job.route] += 1
            if identity in self._statuses:
                self._statuses[identity] = STATUS_FAILED
        self._owed[identity] -= 1
        if not self._owed[identity]:
            del self._owed[identity]
            if self._statuses.get(identity) == PENDING:
                self._statuses[identity] = COMPLETED

    def _announce(self, job: Job) -> None:
        """The destination's own event."""
        version, region = job.version, job.route[1]
        name = "ObjectRemoved:DeleteMarkerCreated"
        happened = Happened(name, region, job.rule.destination, version.name, version.version_id)
        if isinstance(version, FakeKey):
            happened = replace(happened, name="ObjectCreated:Put", size=version.size, etag=version.etag)
        self._events.publish(happened)

    def _tell(self, job: Job, name: str, **more: str) -> None:
        source = (job.route[0], job.source)
        self._events.publish(replication_event(name, job.version, source, job.rule, job.asked, **more))

"""Replication between regions as S3's rules describe it: after a lag, versions keep their id, and replicas stay put.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from moto.s3.models import FakeKey

from local import object_store
from local.events import Events, Happened
from local.faults import Faults
from local.replication_rules import replication_rules

_log = logging.getLogger(__name__)

PENDING, COMPLETED, REPLICA = "PENDING", "COMPLETED", "REPLICA"

type _Route = tuple[str, str]
"""The region that a version leaves and the one it goes to."""


@dataclass(frozen=True, slots=True)
class _Job:
    version: object_store.Version
    source: str
    destination: str
    since: float


class Replication:
    """Carries new versions to the buckets that the rules of their bucket name, on one thread of its own.

    A version waits `lag_seconds`, and longer while its own region or the other is off.
    """

    def __init__(self, region_of: Callable[[str], str], faults: Faults, events: Events, lag_seconds: float) -> None:
        self._region_of = region_of
        self._faults = faults
        self._events = events
        self._lag_seconds = lag_seconds
        self._statuses: dict[tuple[str, str, str], str] = {}
        self._owed: dict[tuple[str, str, str], int] = {}
        # Everything on one route has the same lag, so the first in is the first out and no queue needs sorting.
        self._queues: dict[_Route, deque[_Job]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="replication", daemon=True)
        self._thread.start()

    @property
    def lag_seconds(self) -> float:
        return self._lag_seconds

    def set_lag(self, seconds: float) -> None:
        """Also for what is already waiting."""
        with self._changed:
            self._lag_seconds = seconds
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
        """`PENDING`, `COMPLETED`, `REPLICA`, or empty when no rule applied to the version."""
        return self._statuses.get((bucket, key, version_id), "")

    def pending(self) -> dict[_Route, int]:
        """How many versions wait on each route (from region, to region)."""
        with self._changed:
            return {route: len(queue) for route, queue in self._queues.items() if queue}

    def settle(self, timeout_seconds: float) -> None:
        """Wait until nothing is pending. Raises TimeoutError that says what still waits."""
        with self._changed:
            if self._changed.wait_for(lambda: not any(self._queues.values()), timeout_seconds):
                return
        waiting = ", ".join(f"{count} from {source} to {to}" for (source, to), count in self.pending().items())
        raise TimeoutError(f"still pending after {timeout_seconds:g} s: {waiting}")

    def already_done(self, bucket: str, version: FakeKey) -> None:
        """Put the version into every destination now, as one that was replicated long ago."""
        for rule in replication_rules(bucket):
            object_store.insert_replica(version, rule.destination)
            self._statuses[rule.destination, version.name, version.version_id] = REPLICA
            self._statuses[bucket, version.name, version.version_id] = COMPLETED

    def added(self, bucket: str, version: object_store.Version) -> None:
        """A client wrote this version: send it to every destination whose rule applies."""
        is_marker = not isinstance(version, FakeKey)
        rules = [
            rule
            for rule in replication_rules(bucket)
            if version.name.startswith(rule.prefix) and (rule.delete_markers or not is_marker)
        ]
        if not rules:
            return
        identity = (bucket, version.name, version.version_id)
        with self._changed:
            was_idle = not any(self._queues.values())
            if not is_marker:
                self._statuses[identity] = PENDING
            self._owed[identity] = len(rules)
            for rule in rules:
                route = (self._region_of(bucket), self._region_of(rule.destination))
                job = _Job(version, bucket, rule.destination, time.monotonic())
                self._queues.setdefault(route, deque()).append(job)
            if was_idle:
                self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                route, wait_seconds = self._next_route()
                if route is None or wait_seconds > 0:
                    self._changed.wait(None if route is None else wait_seconds)
                    continue
                job = self._queues[route][0]
            try:
                self._carry(job, route)
            except Exception:  # noqa: BLE001 - one version that fails must not end the thread
                _log.exception("replicating %s from %s failed", job.version.name, job.source)
            with self._changed:
                self._queues[route].popleft()
                if not any(self._queues.values()):
                    self._changed.notify_all()

    def _next_route(self) -> tuple[_Route | None, float]:
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

    def _carry(self, job: _Job, route: _Route) -> None:
        version = job.version
        key, version_id = version.name, version.version_id
        # A version that was deleted by its id while it waited is not replicated.
        exists = object_store.has_version(job.source, version)
        arrived = exists and object_store.insert_replica(version, job.destination)
        source = (job.source, key, version_id)
        if exists and isinstance(version, FakeKey):
            self._statuses[job.destination, key, version_id] = REPLICA
        self._owed[source] -= 1
        if not self._owed[source]:
            del self._owed[source]
            if source in self._statuses:
                self._statuses[source] = COMPLETED
        if arrived:
            self._tell(job, route[1])

    def _tell(self, job: _Job, region: str) -> None:
        version = job.version
        happened = Happened(
            "ObjectRemoved:DeleteMarkerCreated", region, job.destination, version.name, version.version_id
        )
        if isinstance(version, FakeKey):
            happened = replace(happened, name="ObjectCreated:Put", size=version.size, etag=version.etag)
        self._events.publish(happened)

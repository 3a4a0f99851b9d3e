"""S3 Batch Replication: a job that replicates what the rules did not, because it is older than they or has failed.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html
"""

import itertools
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.s3.models import FakeKey

from local import object_store
from local.replication import Replication

NONE, FAILED = "NONE", "FAILED"

_log = logging.getLogger(__name__)
_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which versions of a bucket a job takes: by replication status (`NONE`, `FAILED`, …; empty: all but `REPLICA`), by
    the beginning of the key, by when they were made, and one by one (key, version id or empty) when it has a manifest.
    """

    bucket: str
    statuses: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    listed: frozenset[tuple[str, str]] | None = None


@dataclass(slots=True)
class BatchJob:
    """One job as DescribeJob tells of it."""

    id: str
    token: str
    fields: str
    status: str = "New"
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None


class BatchReplication:
    """Runs jobs, each on a thread of its own: a version is replicated by the rules of its bucket, after the lag."""

    def __init__(self, replication: Replication) -> None:
        self._replication = replication
        self._jobs: dict[str, BatchJob] = {}
        self._lock = threading.Lock()

    def create(self, token: str, fields: str, selection: Selection, *, awaits_confirmation: bool) -> BatchJob:
        """A new job, or the one that was made with the same token. `fields` is XML that DescribeJob answers again."""
        with self._lock:
            for job in self._jobs.values():
                if job.token == token:
                    return job
            job = BatchJob(f"00000000-0000-4000-8000-{next(_serial):012d}", token, fields)
            self._jobs[job.id] = job
        if awaits_confirmation:
            job.status = "Suspended"  # until it is confirmed, which nobody can here
        else:
            threading.Thread(target=self._run, args=(job, selection), name="batch replication", daemon=True).start()
        return job

    def find(self, job_id: str) -> BatchJob | None:
        return self._jobs.get(job_id)

    def jobs(self) -> list[BatchJob]:
        """Every job, oldest first."""
        return list(self._jobs.values())

    def _run(self, job: BatchJob, selection: Selection) -> None:
        job.status = "Active"
        try:
            for version in list(self._chosen(selection)):
                job.total += 1
                if self._replication.added(selection.bucket, version):
                    job.succeeded += 1
                else:
                    job.failed += 1  # SrcBucketReplicationConfigMissing: no rule carries it
            job.status = "Complete"
        except Exception:  # noqa: BLE001 - a job that fails says so itself
            _log.exception("batch job %s failed", job.id)
            job.status = "Failed"
        job.ended = datetime.now(UTC)

    def _chosen(self, selection: Selection) -> Iterator[object_store.Version]:
        versions = object_store.all_versions(selection.bucket)
        if selection.listed is not None:
            versions = (version for version in versions if _is_listed(version, selection))
        for version in versions:
            if selection.prefixes and not version.name.startswith(selection.prefixes):
                continue
            made = object_store.version_time(version).replace(tzinfo=UTC)
            if selection.created_after and made < selection.created_after:
                continue
            if selection.created_before and made > selection.created_before:
                continue
            status = self._replication.status(selection.bucket, version.name, version.version_id) or NONE
            # Replicas are not replicated again unless a job asks for them.
            if status in (selection.statuses or (NONE, FAILED, "COMPLETED", "PENDING")):
                yield version


def _is_listed(version: object_store.Version, selection: Selection) -> bool:
    listed = selection.listed or frozenset()
    if (version.name, version.version_id) in listed:
        return True
    current = object_store.current_object(selection.bucket, version.name)
    return isinstance(version, FakeKey) and version is current and (version.name, "") in listed

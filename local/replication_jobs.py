"""Versions on their way from one bucket to another, and what waits of them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from moto.s3.models import FakeKey

from local.object_store import Version, find_bucket
from local.replication_rules import ReplicationRule

type Route = tuple[str, str]
"""The region that a version leaves and the one it goes to."""


@dataclass(slots=True, eq=False)
class Job:
    """One version on its way to one bucket. `since` is of the monotonic clock, `asked` of the wall's."""

    version: Version
    source: str
    rule: ReplicationRule
    route: Route
    since: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.time)
    missed: bool = False
    done: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """The version: its bucket, key and version id."""
        return self.source, self.version.name, self.version.version_id


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits on one route: how many versions, their bytes, and how long the oldest has waited."""

    count: int
    size: int
    oldest_seconds: float


def waiting(jobs: Iterable[Job]) -> dict[Route, Waiting]:
    """What waits on each route where something does."""
    now = time.monotonic()
    found: dict[Route, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.route, []).append(job)
    return {
        route: Waiting(
            count=len(together),
            size=sum(job.version.size for job in together if isinstance(job.version, FakeKey)),
            oldest_seconds=now - min(job.since for job in together),
        )
        for route, together in found.items()
    }


def refusal(destination: str) -> str:
    """Why a bucket takes no replica at all, as S3's failure reason; empty when it does."""
    found = find_bucket(destination)
    if found is None:
        return "DstBucketNotFound"
    return "" if found.versioning_status == "Enabled" else "DstBucketUnversioned"

"""From what was found out about replication to a verdict: what is broken or behind, in words, and what to do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from nearside.mrap import MrapState
from nearside.places import Place
from nearside.replication_rules import Bucket, Buckets, Unknown, pairs
from nearside.rule_verdicts import Meant as Meant
from nearside.rule_verdicts import Reason as Reason
from nearside.rule_verdicts import of_way
from nearside.work import Counts

type Verdict = Literal["healthy", "behind", "broken"]


class Lag(msgspec.Struct, frozen=True):
    """How long versions took to arrive in a place, in milliseconds, of `count` arrivals."""

    count: int
    p50_ms: int
    p99_ms: int
    max_ms: int


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What CloudWatch says of one rule; None is not known, and never zero.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
    """

    latency_seconds: float | None = None
    bytes_pending: int | None = None
    operations_pending: int | None = None
    operations_failed: int | None = None


class Gone(msgspec.Struct, frozen=True):
    """What the settings name and is not there; `why` in words."""

    why: str


class Seen(msgspec.Struct, frozen=True):
    """Everything that was found out, before it is judged."""

    buckets: Buckets
    waiting: Mapping[str, Counts | Unknown]
    lag: Mapping[str, Lag | Unknown | None]
    metrics: Mapping[tuple[str, str, str], Metrics]
    mrap: MrapState | Gone | Unknown | None
    unasked: Sequence[str]


def verdict(reasons: Sequence[Reason]) -> Verdict:
    """The worst of them; a note is none."""
    said = {reason.verdict for reason in reasons}
    return "broken" if "broken" in said else "behind" if "behind" in said else "healthy"


def reasons(places: Sequence[Place], seen: Seen, now: float, meant: Meant) -> list[Reason]:
    """Everything that keeps the verdict from being `healthy`, and notes, the worst first. `now` is in seconds since the
    epoch."""
    found = [reason for place in places for reason in _of_bucket(place, seen.buckets[place.name], len(places) > 1)]
    for source, destination in pairs(places):
        bucket = seen.buckets[source.name]
        if isinstance(bucket, Bucket):
            found += of_way(source, destination, bucket, meant)
            found += _of_metrics(source, destination, bucket, seen, meant.target_seconds)
    for place in places:
        found += _of_work(place, seen.waiting[place.name], now, meant.target_seconds)
    found += _of_mrap(seen.mrap)
    order = ("broken", "behind", "note")
    return sorted(found, key=lambda reason: order.index(reason.verdict))


def unknown(seen: Seen) -> list[str]:
    """What could not be asked, and why."""
    said = [f"the bucket of {name}: {each.why}" for name, each in seen.buckets.items() if isinstance(each, Unknown)]
    said += [f"the catalog of {name}: {each.why}" for name, each in seen.waiting.items() if isinstance(each, Unknown)]
    said += [f"the lag at {name}: {each.why}" for name, each in seen.lag.items() if isinstance(each, Unknown)]
    for (source, destination, rule), metrics in seen.metrics.items():
        if metrics == Metrics():
            said.append(f"CloudWatch has no numbers of {rule} from {source} to {destination}")
    if isinstance(seen.mrap, Gone | Unknown):
        said.append(f"the Multi-Region Access Point: {seen.mrap.why}")
    elif seen.mrap is not None and seen.mrap.routes_unknown:
        said.append(f"the routes of the Multi-Region Access Point: {seen.mrap.routes_unknown}")
    return [*said, *seen.unasked]


def _of_bucket(place: Place, bucket: Bucket | Unknown, replicates: bool) -> Iterator[Reason]:
    if isinstance(bucket, Unknown):
        yield Reason(
            "behind",
            f"{place.name} cannot be asked for its rules and its versioning: {bucket.why}",
            "if it is down, wait; if it refuses, grant the function s3:GetReplicationConfiguration and "
            "s3:GetBucketVersioning on the bucket",
        )
    elif bucket.versioning == "no such bucket":
        yield Reason(
            "broken",
            f"{place.name} has no bucket {place.bucket}",
            "create it with versioning and rules, or correct the settings BUCKET and REPLICAS",
        )
    elif replicates and bucket.versioning != "enabled":
        yield Reason(
            "broken",
            f"versioning of {place.bucket} in {place.name} is {_VERSIONING[bucket.versioning]}, and without it S3 "
            "replicates neither from there nor to there",
            f"enable it: aws s3api put-bucket-versioning --bucket {place.bucket} "
            "--versioning-configuration Status=Enabled; then repair what failed meanwhile",
        )


_VERSIONING = {"suspended": "suspended", "never enabled": "not enabled"}


def _of_metrics(source: Place, destination: Place, bucket: Bucket, seen: Seen, target_seconds: int) -> Iterator[Reason]:
    for rule in bucket.to(destination):
        metrics = seen.metrics.get((source.name, destination.name, rule.id), Metrics())
        named = f"{rule.id} from {source.name} to {destination.name}"
        if metrics.latency_seconds is not None and metrics.latency_seconds > target_seconds:
            yield Reason(
                "behind",
                f"CloudWatch says that {named} is {metrics.latency_seconds:.0f} s late, more than {target_seconds} s",
                "wait: S3 goes on by itself; look at BytesPendingReplication, whether it falls",
            )
        if metrics.operations_failed:
            yield Reason(
                "note",
                f"CloudWatch counts {metrics.operations_failed} failed operations of {named} in the last hour",
                "GET /api/replicas/status?state=FAILED lists those that the catalog heard of",
            )


def _of_work(place: Place, waiting: Counts | Unknown, now: float, target_seconds: int) -> Iterator[Reason]:
    if isinstance(waiting, Unknown):
        yield Reason(
            "behind",
            f"how much is waiting for {place.name} is not known: {waiting.why}",
            "look at the table, its region, and the function's right to query the index `work`",
        )
        return
    if waiting.failed:
        yield Reason(
            "broken",
            f"{_count(waiting.failed, waiting)} failed to reach {place.name}, and S3 never tries a failed one again",
            f'POST /replication/repair {{"place": "{place.name}", "dry_run": true}} shows what would be done; '
            "GET /replication/objects/{key} says why each failed",
        )
    age = None if waiting.oldest_pending is None else now - waiting.oldest_pending / 1000
    if age is not None and age > target_seconds:
        yield Reason(
            "behind",
            f"{_count(waiting.pending, waiting)} on the way to {place.name}, the oldest for {age:.0f} s, longer than "
            f"{target_seconds} s",
            "if a rule is broken, mend it first; what stays overdue is mended by POST /replication/repair",
        )


def _count(count: int, waiting: Counts) -> str:
    return f"{'at least ' if waiting.truncated else ''}{count} version{'' if count == 1 else 's'}"


def _of_mrap(mrap: MrapState | Gone | Unknown | None) -> Iterator[Reason]:
    match mrap:
        case Gone(why):
            yield Reason(
                "broken",
                f"the Multi-Region Access Point is gone: {why}; its URLs do not work",
                "set UseMrap to false, or MrapAlias to one that is there",
            )
        case Unknown(why):
            yield Reason(
                "behind",
                f"the Multi-Region Access Point cannot be asked for: {why}",
                "if its control plane is down, wait; if it refuses, grant the function s3:ListMultiRegionAccessPoints",
            )
        case MrapState():
            yield from _of_access_point(mrap)


def _of_access_point(mrap: MrapState) -> Iterator[Reason]:
    if mrap.status != "READY":
        yield Reason(
            "broken",
            f"the Multi-Region Access Point {mrap.name} is {mrap.status}: its URLs may not work",
            "set UseMrap to false until it is READY",
        )
    if mrap.routes_unknown:
        yield Reason(
            "behind",
            f"whom the Multi-Region Access Point sends where is not known: {mrap.routes_unknown}",
            "if no region tells the routes, wait; if they refuse, grant the function "
            "s3:GetMultiRegionAccessPointRoutes on it",
        )
    dials = [region for region in mrap.regions if region.traffic_dial_percentage == 0]
    for region in dials:
        yield Reason(
            "note",
            f"the Multi-Region Access Point sends nobody to {region.region} (its dial is at 0)",
            "turn the dial with SubmitMultiRegionAccessPointRoutes if that is not meant",
        )
    if dials and len(dials) == len(mrap.regions):
        yield Reason("broken", "the Multi-Region Access Point sends nobody anywhere", "turn a dial to 100")

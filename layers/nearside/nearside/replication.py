"""The health of replication: every rule, every place, what is waiting and what failed, and one verdict with reasons."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import msgspec

from nearside import verdicts
from nearside.errors import Missing, NearsideError
from nearside.lag import ReadsLag
from nearside.mrap import MrapState
from nearside.places import Place
from nearside.replication_rules import Bucket, ReadsBuckets, Rule, Unknown, pairs
from nearside.verdicts import Gone, Lag, Meant, Metrics, Reason, Seen, Verdict
from nearside.work import Counts, ListsWork

LAG_WINDOW_SECONDS = 24 * 3600


class Measured(msgspec.Struct, frozen=True):
    """A rule that CloudWatch is asked about."""

    source: Place
    destination: Place
    rule: str


class ReadsMetrics(Protocol):
    """CloudWatch's latest numbers of these rules, in order. Raises Unreachable or Refused."""

    def __call__(self, rules: Sequence[Measured]) -> Sequence[Metrics]: ...


class AsksMrap(Protocol):
    """The MRAP in use, with its routes. Raises Missing, Unreachable or Refused."""

    def __call__(self) -> MrapState: ...


class RuleHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule, or that there is none, from one place to another. Settings that cannot be read are left out."""

    source: str
    destination: str
    rule: str | None
    enabled: bool | None = None
    priority: int | None = None
    prefix: str | None = None
    tags: Mapping[str, str] | None = None
    delete_markers: bool | None = None
    replica_modifications: bool | None = None
    time_control: bool | None = None
    metrics_enabled: bool | None = None
    metrics: Metrics | None = None


class PlaceHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One place as a destination. What is None is not known, and `unknown` of the whole says why."""

    name: str
    bucket: str
    versioning: str | None
    pending: int | None
    failed: int | None
    oldest_pending_seconds: float | None
    lag: Lag | None


class ReplicationHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `broken`: something will not arrive unless somebody does something; `behind`: it will arrive, but
    later than the target, or whether it does is not known; `unknown` says what could not be asked, and why."""

    verdict: Verdict
    reasons: list[Reason]
    unknown: list[str]
    rules: list[RuleHealth]
    places: list[PlaceHealth]
    mrap: MrapState | None
    checked_at: datetime


class Replication(msgspec.Struct, frozen=True):
    """Finds out and judges. `mrap` is None when no MRAP is in use."""

    places: Sequence[Place]
    buckets: ReadsBuckets
    work: ListsWork
    lag: ReadsLag
    metrics: ReadsMetrics
    mrap: AsksMrap | None
    meant: Meant

    def health(self, now: float) -> ReplicationHealth:
        """The health at this moment (seconds since the epoch). Raises nothing for a place that cannot be asked: that is
        in `unknown`."""
        seen = self._seen(now)
        reasons = verdicts.reasons(self.places, seen, now, self.meant)
        return ReplicationHealth(
            verdict=verdicts.verdict(reasons),
            reasons=reasons,
            unknown=verdicts.unknown(seen),
            rules=[
                _rule_health(source, destination, rule, seen)
                for source, destination in pairs(self.places)
                for rule in _rules(seen.buckets[source.name], destination)
            ],
            places=[_place_health(place, seen, now) for place in self.places],
            mrap=seen.mrap if isinstance(seen.mrap, MrapState) else None,
            checked_at=datetime.fromtimestamp(now, UTC),
        )

    def _seen(self, now: float) -> Seen:
        buckets = self.buckets(self.places)
        measured = [
            Measured(source, destination, rule.id)
            for source, destination in pairs(self.places)
            for rule in _rules(buckets[source.name], destination)
            if rule is not None
        ]
        unasked: list[str] = []
        metrics: Sequence[Metrics] = ()
        try:
            metrics = self.metrics(measured) if measured else ()
        except NearsideError as error:
            unasked.append(f"CloudWatch's numbers: {error}")
        return Seen(
            buckets=buckets,
            waiting={place.name: _tried(partial(self.work.counts, place.name)) for place in self.places},
            lag={place.name: _tried(partial(self._lag, place.name, now)) for place in self.places},
            metrics={
                (each.source.name, each.destination.name, each.rule): found
                for each, found in zip(measured, metrics, strict=False)
            },
            mrap=self._mrap(),
            unasked=unasked,
        )

    def _mrap(self) -> MrapState | Gone | Unknown | None:
        try:
            return self.mrap() if self.mrap else None
        except Missing as error:
            return Gone(str(error))
        except NearsideError as error:
            return Unknown(str(error))

    def _lag(self, place: str, now: float) -> Lag | None:
        histogram = self.lag(place, int((now - LAG_WINDOW_SECONDS) * 1000), int(now * 1000))
        if not histogram.count:
            return None
        return Lag(histogram.count, histogram.quantile_ms(0.5), histogram.quantile_ms(0.99), histogram.max_ms)


def _tried[T](ask: Callable[[], T]) -> T | Unknown:
    try:
        return ask()
    except NearsideError as error:
        return Unknown(str(error))


def _rules(bucket: Bucket | Unknown, destination: Place) -> Sequence[Rule | None]:
    """The rules from the bucket to the place; one None when there is none, or it is not known."""
    return bucket.to(destination) or [None] if isinstance(bucket, Bucket) else [None]


def _rule_health(source: Place, destination: Place, rule: Rule | None, seen: Seen) -> RuleHealth:
    if rule is None:
        return RuleHealth(source=source.name, destination=destination.name, rule=None)
    return RuleHealth(
        source=source.name,
        destination=destination.name,
        rule=rule.id,
        enabled=rule.enabled,
        priority=rule.priority,
        prefix=rule.prefix,
        tags=rule.tags,
        delete_markers=rule.delete_markers,
        replica_modifications=rule.replica_modifications,
        time_control=rule.time_control,
        metrics_enabled=rule.metrics,
        metrics=seen.metrics.get((source.name, destination.name, rule.id), Metrics()),
    )


def _place_health(place: Place, seen: Seen, now: float) -> PlaceHealth:
    bucket, waiting, lag = seen.buckets[place.name], seen.waiting[place.name], seen.lag[place.name]
    known = waiting if isinstance(waiting, Counts) else None
    oldest = known.oldest_pending if known else None
    return PlaceHealth(
        name=place.name,
        bucket=place.bucket,
        versioning=bucket.versioning if isinstance(bucket, Bucket) else None,
        pending=known.pending if known else None,
        failed=known.failed if known else None,
        oldest_pending_seconds=None if oldest is None else max(0.0, round(now - oldest / 1000, 1)),
        lag=lag if isinstance(lag, Lag) else None,
    )

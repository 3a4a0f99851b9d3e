"""The health of replication: every reason, what it makes of the verdict, and what is not known."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from nearside.errors import Missing, NearsideError, Refused, Unreachable
from nearside.lag import EMPTY, Histogram, bucket
from nearside.mrap import MrapRegion, MrapState
from nearside.places import Place
from nearside.replication import Measured, Replication, ReplicationHealth
from nearside.replication_rules import Bucket, Rule, Unknown
from nearside.verdicts import Meant, Metrics
from nearside.work import Counts
from tests.unit.fakes import LONDON, OHIO

NOW = 10_000.0
GOOD: Any = {"delete_markers": True, "replica_modifications": True, "time_control": True, "metrics": True}
TO_OHIO = Rule(id="to-ohio", destination="pics-us", **GOOD)
TO_LONDON = Rule(id="to-london", destination="pics-eu", **GOOD)
READY = MrapState("m", "m.mrap", "READY", None, [MrapRegion("eu-west-2", "pics-eu", 100)])


class World:
    """Everything that is asked; change a field to make it say something else."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket | Unknown] = {
            "eu-west-2": Bucket("enabled", [TO_OHIO]),
            "us-east-2": Bucket("enabled", [TO_LONDON]),
        }
        self.waiting: dict[str, Counts | NearsideError] = {"eu-west-2": Counts(0, 0), "us-east-2": Counts(0, 0)}
        self.histogram: Histogram | NearsideError = EMPTY
        self.numbers: Metrics | NearsideError = Metrics(latency_seconds=1, operations_pending=0)
        self.mrap: MrapState | NearsideError = READY
        self.markers_travel = True
        self.prefixes = [""]

    def counts(self, place: str) -> Counts:
        return _said(self.waiting[place])

    def page(self, place: str, state: Any, limit: int, cursor: str | None = None, before: int | None = None) -> Any:
        raise AssertionError("health reads no pages")

    def health(self) -> ReplicationHealth:
        def read(places: Sequence[Place]) -> Mapping[str, Bucket | Unknown]:
            return self.buckets

        def measure(rules: Sequence[Measured]) -> Sequence[Metrics]:
            return [_said(self.numbers) for _ in rules]

        return Replication(
            places=(LONDON, OHIO),
            buckets=read,
            work=self,
            lag=lambda place, since, until: _said(self.histogram),
            metrics=measure,
            mrap=lambda: _said(self.mrap),
            meant=Meant(self.markers_travel, self.prefixes, 900),
        ).health(NOW)


def _said[T](what: T | NearsideError) -> T:
    if isinstance(what, NearsideError):
        raise what
    return what


def test_all_is_well() -> None:
    health = World().health()
    assert (health.verdict, health.reasons, health.unknown) == ("healthy", [], [])
    assert [(rule.source, rule.rule) for rule in health.rules] == [("eu-west-2", "to-ohio"), ("us-east-2", "to-london")]


def _with(rule: Rule, **changed: Any) -> Bucket:
    return Bucket("enabled", [msgspec.structs.replace(rule, **changed)])


BUCKETS = [
    (Bucket("suspended", [TO_OHIO]), "broken", "versioning of pics-eu in eu-west-2 is suspended"),
    (Bucket("never enabled", [TO_OHIO]), "broken", "versioning of pics-eu in eu-west-2 is not enabled"),
    (Bucket("no such bucket"), "broken", "eu-west-2 has no bucket pics-eu"),
    (Unknown("did not answer"), "behind", "eu-west-2 cannot be asked for its rules and its versioning: did not answer"),
    (Bucket("enabled"), "broken", "there is no replication rule from eu-west-2 to us-east-2"),
    (_with(TO_OHIO, enabled=False), "broken", "the rule to-ohio from eu-west-2 to us-east-2 is disabled"),
    (_with(TO_OHIO, delete_markers=False), "broken", "does not replicate delete markers"),
    (_with(TO_OHIO, replica_modifications=False), "healthy", "does not replicate changes to replicas"),
    (_with(TO_OHIO, metrics=False), "healthy", "has no replication metrics"),
    (_with(TO_OHIO, time_control=False), "healthy", "has no Replication Time Control"),
    (_with(TO_OHIO, prefix="images/"), "broken", "only a part of the bucket is replicated from eu-west-2"),
    (_with(TO_OHIO, tags={"a": "b"}), "broken", "from eu-west-2 to us-east-2, but tagged a=b: the rest stays"),
]


@pytest.mark.parametrize(("bucket", "verdict", "what"), BUCKETS, ids=[what for _, _, what in BUCKETS])
def test_what_the_settings_of_a_bucket_mean(bucket: Bucket | Unknown, verdict: str, what: str) -> None:
    world = World()
    world.buckets["eu-west-2"] = bucket
    health = world.health()
    assert health.verdict == verdict
    [reason] = [reason for reason in health.reasons if what in reason.what]
    assert reason.fix
    assert reason.verdict == (verdict if verdict != "healthy" else "note")


def test_delete_markers_may_be_meant_to_stay() -> None:
    world = World()
    world.markers_travel = False
    world.buckets["eu-west-2"] = _with(TO_OHIO, delete_markers=False)
    assert world.health().verdict == "healthy"


WAITING = [
    (Counts(5, 0, oldest_pending=int((NOW - 10) * 1000)), "healthy", None),
    (Counts(5, 0, oldest_pending=int((NOW - 901) * 1000)), "behind", "5 versions on the way to us-east-2, the oldest"),
    (Counts(0, 1), "broken", "1 version failed to reach us-east-2"),
    (Counts(0, 9, truncated=True), "broken", "at least 9 versions failed to reach us-east-2"),
    (Unreachable("the table is down"), "behind", "how much is waiting for us-east-2 is not known: the table is down"),
]


@pytest.mark.parametrize(("waiting", "verdict", "what"), WAITING)
def test_what_the_catalog_waits_for(waiting: Counts | NearsideError, verdict: str, what: str | None) -> None:
    world = World()
    world.waiting["us-east-2"] = waiting
    health = world.health()
    assert health.verdict == verdict
    assert [reason for reason in health.reasons if what and reason.what.startswith(what)] == health.reasons
    place = health.places[1]
    assert place.pending == (waiting.pending if isinstance(waiting, Counts) else None)


def test_the_worst_comes_first() -> None:
    world = World()
    world.waiting = {"eu-west-2": Counts(1, 0, oldest_pending=0), "us-east-2": Counts(0, 1)}
    world.buckets["eu-west-2"] = _with(TO_OHIO, metrics=False)
    health = world.health()
    assert [reason.verdict for reason in health.reasons] == ["broken", "behind", "note"]
    assert health.verdict == "broken"


def test_numbers_that_cloudwatch_does_not_have_are_unknown_and_no_zero() -> None:
    world = World()
    world.numbers = Metrics()
    health = world.health()
    assert health.rules[0].metrics == Metrics(
        latency_seconds=None, bytes_pending=None, operations_pending=None, operations_failed=None
    )
    assert health.unknown[0] == "CloudWatch has no numbers of to-ohio from eu-west-2 to us-east-2"
    assert health.verdict == "healthy"


def test_cloudwatch_that_does_not_answer_is_said() -> None:
    world = World()
    world.numbers = Refused("no right")
    assert world.health().unknown[-1] == "CloudWatch's numbers: no right"


@pytest.mark.parametrize(
    ("numbers", "verdict", "what"),
    [
        (Metrics(latency_seconds=901), "behind", "is 901 s late"),
        (Metrics(latency_seconds=900), "healthy", ""),
        (Metrics(operations_failed=3), "healthy", "3 failed operations"),
    ],
)
def test_what_cloudwatchs_numbers_mean(numbers: Metrics, verdict: str, what: str) -> None:
    world = World()
    world.numbers = numbers
    health = world.health()
    assert health.verdict == verdict
    assert all(what in reason.what for reason in health.reasons)
    assert bool(health.reasons) == bool(what)


def test_the_lag_that_was_measured() -> None:
    world = World()
    world.histogram = Histogram({bucket(100): 98, bucket(5_000): 2}, 5_000)
    lag = world.health().places[0].lag
    assert lag is not None
    assert (lag.count, 100 <= lag.p50_ms <= 107, lag.p99_ms, lag.max_ms) == (100, True, 5_000, 5_000)
    world.histogram = Unreachable("the table is down")
    health = world.health()
    assert health.places[0].lag is None
    assert "the lag at eu-west-2: the table is down" in health.unknown


MRAPS = [
    (msgspec.structs.replace(READY, status="INCONSISTENT_ACROSS_REGIONS"), "broken", "is INCONSISTENT_ACROSS_REGIONS"),
    (
        msgspec.structs.replace(READY, regions=[MrapRegion("eu-west-2", "pics-eu", 0)]),
        "broken",
        "sends nobody anywhere",
    ),
    (
        msgspec.structs.replace(
            READY, regions=[MrapRegion("eu-west-2", "pics-eu", 0), MrapRegion("us-east-2", "pics-us", 100)]
        ),
        "healthy",
        "sends nobody to eu-west-2",
    ),
]


@pytest.mark.parametrize(("mrap", "verdict", "what"), MRAPS)
def test_what_the_access_point_means(mrap: MrapState, verdict: str, what: str) -> None:
    world = World()
    world.mrap = mrap
    health = world.health()
    assert health.verdict == verdict
    assert any(what in reason.what for reason in health.reasons)


@pytest.mark.parametrize(
    ("mrap", "verdict", "what", "unknown"),
    [
        (
            msgspec.structs.replace(READY, routes_unknown="no right"),
            "behind",
            "sends where is not known: no right",
            "the routes of the Multi-Region Access Point: no right",
        ),
        (
            Unreachable("us-west-2 is down"),
            "behind",
            "cannot be asked for: us-west-2 is down",
            "the Multi-Region Access Point: us-west-2 is down",
        ),
        (Refused("no right"), "behind", "cannot be asked for: no right", "the Multi-Region Access Point: no right"),
        (Missing("no m.mrap here"), "broken", "is gone: no m.mrap", "the Multi-Region Access Point: no m.mrap here"),
    ],
)
def test_an_access_point_that_is_gone_is_broken_and_what_is_not_known_of_one_is_behind(
    mrap: MrapState | NearsideError, verdict: str, what: str, unknown: str
) -> None:
    world = World()
    world.mrap = mrap
    health = world.health()
    [reason] = health.reasons
    assert (health.verdict, health.unknown) == (verdict, [unknown])
    assert what in reason.what
    assert reason.fix


def _rule(id_: str, **changed: Any) -> Rule:
    return msgspec.structs.replace(TO_OHIO, id=id_, **changed)


RULES: list[tuple[list[Rule], list[str], str, list[str]]] = [
    ([_rule("a", prefix="a/"), _rule("b", prefix="b/")], ["a/", "b/"], "healthy", []),
    (
        [_rule("a", prefix="a/"), _rule("b", prefix="b/", enabled=False)],
        ["a/", "b/"],
        "broken",
        ["the rule b from eu-west-2 to us-east-2 is disabled: what is under 'b/' and is written"],
    ),
    ([_rule("a"), _rule("b", prefix="b/", enabled=False)], [""], "healthy", []),
    (
        [_rule("a", prefix="a/", enabled=False), _rule("b", prefix="b/", enabled=False)],
        ["a/", "b/"],
        "broken",
        ["the rule a from", "the rule b from"],
    ),
    ([_rule("a", prefix="a/")], ["a/b/"], "behind", ["the rule a from eu-west-2 to us-east-2 carries under 'a/'"]),
    ([_rule("a")], ["a/"], "behind", ["the rule a from eu-west-2 to us-east-2 carries the whole bucket, and"]),
    ([_rule("a", prefix="a/")], ["a/", "b/"], "broken", ["not everything under 'b/' is replicated from eu-west-2"]),
    ([_rule("a", prefix="a/", tags={"x": "y"})], ["a/"], "broken", ["not everything under 'a/' is replicated"]),
]


@pytest.mark.parametrize(("rules", "prefixes", "verdict", "said"), RULES)
def test_the_rules_are_held_against_what_is_said_to_be_replicated(
    rules: list[Rule], prefixes: list[str], verdict: str, said: list[str]
) -> None:
    world = World()
    world.prefixes = prefixes
    world.buckets["eu-west-2"] = Bucket("enabled", rules)
    world.buckets["us-east-2"] = Bucket(
        "enabled", [msgspec.structs.replace(TO_LONDON, id=prefix, prefix=prefix) for prefix in prefixes]
    )
    health = world.health()
    assert health.verdict == verdict
    assert len(health.reasons) == len(said)
    assert all(reason.what.startswith(what) for reason, what in zip(health.reasons, said, strict=True))

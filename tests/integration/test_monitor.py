"""The monitor against the world: one run notices, measures, settles and remembers."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from local.world import World
from nearside.errors import Unreachable
from nearside.operations_log import Wanted
from tests.integration.feeding import feeding
from tests.unit import functions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "nearside-eu-west-2", "nearside-us-east-2"

type Run = Callable[..., Any]


@pytest.fixture(scope="module")
def function(world: World) -> Iterator[ModuleType]:
    """The function, with the catalog told of every event; what is later than a second is overdue."""
    loaded = functions.load("monitor", **world.environment() | {"LAG_TARGET_SECONDS": "1"})
    with feeding(world, loaded._parts.catalog):
        yield loaded


@pytest.fixture
def run(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs it once; what it reports. A run ends as soon as all canaries have come: a test whose canaries never do waits
    a second for them."""
    event = json.loads((functions.ROOT / "events/monitor/schedule.json").read_text())

    def once(wait_seconds: float = 30.0) -> Any:
        monkeypatch.setattr("nearside.canary.WAIT_SECONDS", wait_seconds)
        return function.handler(event, None)

    return once


def logged(function: ModuleType) -> list[str]:
    """Every change of the verdict, the newest first."""
    now = int(time.time() * 1000)
    log = function._parts.log
    entries = log.page(Wanted(since=now - 3_600_000, until=now + 1000), 100).entries
    return [f"{entry.action}: {entry.detail}" for entry in entries if entry.action.startswith("verdict")]


@pytest.mark.usefixtures("forgotten")
def test_canaries_arrive_everywhere_are_measured_and_taken_away(
    world: World, run: Run, eu: "S3Client", us: "S3Client", capsys: pytest.CaptureFixture[str]
) -> None:
    report = run()
    flights = {(each["source"], each["destination"]): each for each in report["flights"]}
    assert set(flights) == {("eu-west-2", "us-east-2"), ("us-east-2", "eu-west-2")}
    assert all(each["arrived"] and each["lag_ms"] > 0 for each in flights.values())
    world.settle()
    for client, bucket in ((eu, EU), (us, US)):
        listed = client.list_object_versions(Bucket=bucket, Prefix=".nearside/")
        assert "Versions" not in listed
        assert "DeleteMarkers" not in listed
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    named = {each["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for each in metrics}
    assert {"Verdict", "CanaryLag", "PendingReplicas", "FailedReplicas"} <= named


@pytest.mark.usefixtures("forgotten")
def test_a_rule_switched_off_is_reported_and_logged_within_one_run(
    run: Run, function: ModuleType, eu: "S3Client"
) -> None:
    assert run()["verdict"] == "healthy"
    configuration: Any = eu.get_bucket_replication(Bucket=EU)["ReplicationConfiguration"]
    rules = [{**rule, "Status": "Disabled"} for rule in configuration["Rules"]]
    disabled: Any = {**configuration, "Rules": rules}
    eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=disabled)
    try:
        report = run(wait_seconds=1.0)
    finally:
        eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=configuration)
    assert (report["verdict"], report["changed_from"]) == ("broken", "healthy")
    assert "is disabled" in report["reasons"][0]["what"]
    assert logged(function)[0].startswith("verdict: healthy to broken: the rule to-nearside-us-east-2 from eu-west-2")
    time.sleep(1.1)  # the canary that was written meanwhile never comes: it is given up, and another sent
    assert run()["verdict"] == "healthy"
    assert logged(function)[0].startswith("verdict: broken to healthy")
    before = len(logged(function))
    assert run()["changed_from"] is None
    assert len(logged(function)) == before


def test_what_arrived_without_an_event_is_settled(world: World, run: Run, function: ModuleType, eu: "S3Client") -> None:
    key = "monitor/silent.txt"
    world.set_lag(0.5)
    version = eu.put_object(Bucket=EU, Key=key, Body=b"x")["VersionId"]
    time.sleep(0.2)
    heard = world.events.listeners.copy()
    world.events.listeners.clear()
    world.settle()
    time.sleep(0.2)
    world.events.listeners.extend(heard)
    record = function._parts.records.replica(key, version, "us-east-2")
    assert record is not None
    assert record.state == "PENDING"
    time.sleep(1.1)
    assert run()["resolved"]["arrived"] >= 1
    assert function._parts.records.replica(key, version, "us-east-2").state == "COMPLETED"


def test_what_is_gone_everywhere_is_no_longer_waited_for(
    world: World, run: Run, function: ModuleType, eu: "S3Client"
) -> None:
    key = "monitor/gone.txt"
    world.stall_replication("us-east-2", key)
    version = eu.put_object(Bucket=EU, Key=key, Body=b"x")["VersionId"]
    time.sleep(0.2)
    heard = world.events.listeners.copy()
    world.events.listeners.clear()
    eu.delete_object(Bucket=EU, Key=key, VersionId=version)
    time.sleep(0.2)
    world.events.listeners.extend(heard)
    time.sleep(1.1)
    assert run(wait_seconds=1.0)["resolved"]["gone"] >= 1  # us-east-2 is stalled: its canary never comes
    states = [function._parts.records.replica(key, version, place).state for place in ("eu-west-2", "us-east-2")]
    assert states == ["ABSENT", "ABSENT"]


def test_what_failed_is_mended_by_schedule_and_told(
    world: World, run: Run, function: ModuleType, eu: "S3Client", us: "S3Client", caplog: pytest.LogCaptureFixture
) -> None:
    key = "monitor/failed.txt"
    world.fail_replication("us-east-2", key, "DstPutObjectNotPermitted")
    version = eu.put_object(Bucket=EU, Key=key, Body=b"precious")["VersionId"]
    world.settle()
    deadline = time.monotonic() + 5
    while (record := function._parts.records.replica(key, version, "us-east-2")) is None or record.state != "FAILED":
        assert time.monotonic() < deadline, "it never failed"
        time.sleep(0.05)
    world.mend_replication()
    time.sleep(1.1)
    with caplog.at_level(logging.INFO, logger="nearside"):
        report = run()
    [done] = [each for each in report["repaired"]["replicas"] if each["key"] == key]
    assert done["outcome"] == "copied", done
    assert us.get_object(Bucket=US, Key=key)["Body"].read() == b"precious"
    assert "repairs: copied" in caplog.text
    now = int(time.time() * 1000)
    entries = function._parts.log.page(Wanted(since=now - 60_000, until=now + 1000, key=key), 10).entries
    assert [entry.action for entry in entries] == ["repair: copied"]


def test_a_run_that_learnt_nothing_is_an_error(world: World, run: Run, function: ModuleType) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nearside.monitor.Report.blind", True)
        with pytest.raises(Unreachable, match="nothing was learnt"):
            run()

"""The operators' routes against the world: what is broken is said, what failed is explained, mended and proved."""

import json
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.replication_faults import FAILURE_REASONS
from local.world import World
from nearside.failure_reasons import CAUSES
from nearside.replication_rules import Bucket, Rule
from tests.integration.feeding import feeding
from tests.unit import functions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "nearside-eu-west-2", "nearside-us-east-2"

type Call = Callable[..., tuple[int, Any]]


def load(world: World, **changed: str) -> ModuleType:
    """The function as the world's template would run it."""
    return functions.load("replication", **world.environment() | {"LAG_TARGET_SECONDS": "1"} | changed)


@pytest.fixture(scope="module")
def function(world: World) -> Iterator[ModuleType]:
    """The function, with the catalog told of every event."""
    loaded = load(world)
    with feeding(world, loaded._parts.catalog):
        yield loaded


@pytest.fixture
def call(function: ModuleType) -> Call:
    """Calls a route of it: the status and the answer."""

    def ask(event: str, body: Any = None, **changed: Any) -> tuple[int, Any]:
        sent = functions.event(f"replication/{event}", None if body is None else json.dumps(body), **changed)
        return functions.answer(function, sent)

    return ask


@pytest.fixture
def explain(call: Call) -> Callable[[str], Any]:
    """What is said of a key."""

    def ask(key: str) -> Any:
        status, answer = call("object", pathParameters={"key": key})
        assert status == 200, answer
        return answer

    return ask


_serial = iter(range(10_000))


@pytest.fixture
def key() -> str:
    return f"repl {next(_serial)}/ü+.txt"


def copies(answer: Any) -> dict[str, Any]:
    """The newest version's copies by place."""
    return {copy["place"]: copy for copy in answer["versions"][0]["copies"]}


def wait_for(met: Callable[[], Any], seconds: float = 5.0) -> Any:
    """What `met` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while not (got := met()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return got


@pytest.fixture
def failed(world: World, eu: "S3Client", key: str, explain: Callable[[str], Any]) -> str:
    """A version whose replication has failed, for a reason that has been mended since; its id."""
    world.fail_replication("us-east-2", key, "DstPutObjectNotPermitted")
    version = eu.put_object(Bucket=EU, Key=key, Body=b"precious", Metadata={"a": "b"}, ContentType="text/x")[
        "VersionId"
    ]
    world.settle()
    wait_for(lambda: copies(explain(key))["us-east-2"]["state"] == "FAILED")
    world.mend_replication()
    return version


@pytest.mark.usefixtures("forgotten")
def test_healthy_and_everything_is_said(call: Call) -> None:
    status, answer = call("health")
    assert status == 200
    assert answer["verdict"] == "healthy", answer["reasons"]
    assert {(rule["source"], rule["destination"]) for rule in answer["rules"]} == {
        ("eu-west-2", "us-east-2"),
        ("us-east-2", "eu-west-2"),
    }
    assert all(rule["enabled"] and rule["delete_markers"] for rule in answer["rules"])
    assert [place["versioning"] for place in answer["places"]] == ["enabled", "enabled"]
    assert answer["mrap"]["status"] == "READY"
    assert [region["traffic_dial_percentage"] for region in answer["mrap"]["regions"]] == [100, 100]


def test_cloudwatchs_numbers_are_told_and_never_made_up(world: World, call: Call, eu: "S3Client", key: str) -> None:
    world.set_lag(600)
    eu.put_object(Bucket=EU, Key=key, Body=b"four")
    world.publish_metrics()
    rules = {rule["source"]: rule for rule in call("health")[1]["rules"]}
    world.set_lag(0)
    assert rules["eu-west-2"]["metrics"]["operations_pending"] >= 1
    assert rules["eu-west-2"]["metrics"]["bytes_pending"] >= 4


def test_a_rule_that_was_removed_is_broken_with_the_reason(call: Call, eu: "S3Client") -> None:
    configuration: Any = eu.get_bucket_replication(Bucket=EU)["ReplicationConfiguration"]
    eu.delete_bucket_replication(Bucket=EU)
    try:
        answer = call("health")[1]
    finally:
        eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=configuration)
    assert answer["verdict"] == "broken"
    assert answer["reasons"][0]["what"].startswith("there is no replication rule from eu-west-2 to us-east-2")
    assert "PutBucketReplication" in answer["reasons"][0]["fix"]


def test_suspended_versioning_is_broken_with_the_reason(call: Call, us: "S3Client") -> None:
    configuration: Any = us.get_bucket_replication(Bucket=US)["ReplicationConfiguration"]
    us.delete_bucket_replication(Bucket=US)  # S3 does not suspend versioning before
    us.put_bucket_versioning(Bucket=US, VersioningConfiguration={"Status": "Suspended"})
    try:
        answer = call("health")[1]
    finally:
        us.put_bucket_versioning(Bucket=US, VersioningConfiguration={"Status": "Enabled"})
        us.put_bucket_replication(Bucket=US, ReplicationConfiguration=configuration)
    assert answer["verdict"] == "broken"
    assert "versioning of nearside-us-east-2 in us-east-2 is suspended" in answer["reasons"][0]["what"]


def test_a_place_that_is_off_is_not_known_rather_than_healthy(world: World, call: Call) -> None:
    world.switch("us-east-2", on=False)
    answer = call("health")[1]
    assert answer["verdict"] == "behind"
    assert any(said.startswith("the bucket of us-east-2") for said in answer["unknown"])


def test_an_object_in_every_place(world: World, eu: "S3Client", key: str, explain: Callable[[str], Any]) -> None:
    version = eu.put_object(Bucket=EU, Key=key, Body=b"x")["VersionId"]
    world.settle()
    answer = wait_for(lambda: (a := explain(key)) and copies(a)["us-east-2"]["state"] == "COMPLETED" and a)
    assert [each["version"] for each in answer["versions"]] == [version]
    there = copies(answer)["us-east-2"]
    assert there["lag_ms"] >= 0
    assert (there["source"], there["rule"]) == ("eu-west-2", "to-nearside-us-east-2")


def test_a_pending_object(world: World, eu: "S3Client", key: str, explain: Callable[[str], Any]) -> None:
    world.set_lag(600)
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    there = wait_for(lambda: copies(explain(key)).get("us-east-2"))
    assert (there["state"], there["why"], there["fix"]) == ("PENDING", "it is on its way", "wait")


def test_an_object_older_than_the_rule_is_found_remembered_and_explained(
    world: World, key: str, explain: Callable[[str], Any], call: Call
) -> None:
    world.add_old_object(key)
    answer = explain(key)
    assert answer["remembered"]
    assert "older than the rule" in copies(answer)["us-east-2"]["why"]
    assert "Batch Replication" in copies(answer)["us-east-2"]["fix"]
    assert not explain(key)["remembered"]
    assert [each["outcome"] for each in call("repair-key", {"key": key})[1]["replicas"]] == ["copied"]


def test_an_object_that_is_nowhere_is_missing(call: Call) -> None:
    assert call("object-missing")[0] == 404


def test_many_objects_at_once(world: World, eu: "S3Client", key: str, call: Call) -> None:
    arrived, new, old = f"{key} arrived", f"{key} new", f"{key} old"
    version = eu.put_object(Bucket=EU, Key=arrived, Body=b"x")["VersionId"]
    world.settle()

    def dots() -> dict[str, Any]:
        status, answer = call("objects", {"keys": [arrived, new, old, f"{key} none"]})
        assert status == 200, answer
        return {each["key"]: each for each in answer["objects"]}

    def states(found: Any) -> dict[str, str]:
        return {dot["place"]: dot["state"] for dot in found["places"]}

    wait_for(lambda: states(dots()[arrived])["us-east-2"] == "COMPLETED")
    world.set_lag(600)
    eu.put_object(Bucket=EU, Key=new, Body=b"x")
    world.add_old_object(old)
    wait_for(lambda: dots()[new]["places"][1]["why"] == "it is on its way")
    found = dots()
    assert found[arrived]["version_id"] == version
    assert found[arrived]["places"][1]["lag_ms"] >= 0
    assert states(found[new]) == states(found[arrived]) | {"us-east-2": "PENDING"}
    assert states(found[old]) == {"eu-west-2": "COMPLETED", "us-east-2": "ABSENT"}
    assert (found[f"{key} none"]["version_id"], set(states(found[f"{key} none"]).values())) == (None, {"ABSENT"})

    world.switch("eu-west-2", on=False)
    assert states(dots()[arrived]) == {"eu-west-2": "UNKNOWN", "us-east-2": "COMPLETED"}


def test_lag_over_time(world: World, eu: "S3Client", key: str, call: Call, function: ModuleType) -> None:
    def count() -> int:
        function._parts.lags.flush()
        status, answer = call("lag")
        assert (status, answer["unknown"]) == (200, [])
        return sum(point["count"] for point in answer["points"] if point["place"] == "us-east-2")

    before = count()
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    world.settle()
    wait_for(lambda: count() > before)
    world.switch("us-east-2", on=False)
    assert call("lag", queryStringParameters={"hours": "1"})[1]["unknown"][0].startswith("us-east-2: ")


def test_a_failed_object_is_explained_mended_proved_and_logged_once(
    failed: str, call: Call, us: "S3Client", eu: "S3Client", key: str, explain: Callable[[str], Any], world: World
) -> None:
    there = copies(explain(key))["us-east-2"]
    assert there["reason"] == "DstPutObjectNotPermitted"
    assert "may not write" in there["why"]
    assert "s3:ReplicateObject" in there["fix"]
    assert call("health")[1]["verdict"] == "broken"
    listed = call("status")[1]["replicas"]
    assert [(each["state"], each["place"]) for each in listed if each["key"] == key] == [("FAILED", "us-east-2")]

    [would] = call("repair-key", {"key": key, "dry_run": True})[1]["replicas"]
    assert (would["outcome"], would["source"]) == ("dry run", "eu-west-2")
    assert "Versions" not in us.list_object_versions(Bucket=US, Prefix=key)

    [done] = call("repair-key", {"key": key})[1]["replicas"]
    assert done["outcome"] == "copied", done
    assert "is " in done["detail"]
    copy = us.get_object(Bucket=US, Key=key)
    assert (copy["Body"].read(), copy["Metadata"], copy["ContentType"]) == (b"precious", {"a": "b"}, "text/x")
    assert copy["VersionId"] == done["copy_version"]
    world.settle()
    assert eu.head_object(Bucket=EU, Key=key)["VersionId"] == done["copy_version"]  # carried back: both sides agree

    logged = call("log", queryStringParameters={"key": key})[1]["operations"]
    assert [(each["action"], each["version"]) for each in logged] == [("repair: copied", failed)]
    assert logged[0]["detail"] == done["detail"]
    assert call("repair-key", {"key": key})[1]["replicas"] == []
    assert len(us.list_object_versions(Bucket=US, Prefix=key)["Versions"]) == 1
    assert copies(explain(key))["us-east-2"]["state"] == "COMPLETED"


def test_a_deleted_object_is_not_brought_back(
    failed: str, call: Call, us: "S3Client", eu: "S3Client", key: str, world: World
) -> None:
    eu.delete_object(Bucket=EU, Key=key)
    world.settle()
    [done] = call("repair-key", {"key": key})[1]["replicas"]
    assert done["outcome"] == "superseded"
    assert "deleted since" in done["detail"]
    assert "Versions" not in us.list_object_versions(Bucket=US, Prefix=key)


def test_a_newer_version_is_not_hidden(
    failed: str, call: Call, us: "S3Client", eu: "S3Client", key: str, world: World
) -> None:
    time.sleep(1.1)  # S3 tells versions apart by the second
    newer = eu.put_object(Bucket=EU, Key=key, Body=b"newer")["VersionId"]
    world.settle()
    [done] = call("repair-key", {"key": key})[1]["replicas"]
    assert (done["outcome"], newer in done["detail"]) == ("superseded", True)
    assert us.get_object(Bucket=US, Key=key)["Body"].read() == b"newer"


def test_a_repair_that_died_after_the_copy_is_finished_by_the_next(
    failed: str, call: Call, function: ModuleType, us: "S3Client", key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(function._parts.log, "_tables", None)  # the process dies where it would have logged
        assert call("repair-key", {"key": key})[0] == 500
    assert len(us.list_object_versions(Bucket=US, Prefix=key)["Versions"]) == 1
    [done] = call("repair-key", {"key": key})[1]["replicas"]
    assert done["outcome"] == "copied"
    assert done["detail"].startswith("an equal copy is there already")
    assert len(us.list_object_versions(Bucket=US, Prefix=key)["Versions"]) == 1
    assert len(call("log", queryStringParameters={"key": key})[1]["operations"]) == 1


def test_the_mrap_and_the_backends(call: Call) -> None:
    status, mrap = call("mrap")
    assert (status, mrap["status"], mrap["alias"]) == (200, "READY", "nearsidelocal.mrap")
    status, backends = call("backends")
    regional = [each for each in backends["backends"] if not each.get("gateway")]
    assert [(each["name"], each["primary"], each["state"]) for each in regional] == [
        ("eu-west-2", True, "up"),
        ("us-east-2", False, "up"),
    ]


def test_many_are_mended_by_one_batch_replication_job(world: World, us: "S3Client", eu: "S3Client", key: str) -> None:
    with_jobs = load(world, BATCH_ROLE_ARN="arn:aws:iam::123456789012:role/batch", REPAIR_JOB_OVER="1")
    versions = {}
    world.fail_replication("us-east-2", key)
    with feeding(world, with_jobs._parts.catalog):
        for number in range(3):
            name = f"{key}{number}"
            versions[name] = eu.put_object(Bucket=EU, Key=name, Body=b"x")["VersionId"]
        world.settle()
        world.mend_replication()

        def repair() -> Any:
            return functions.answer(with_jobs, functions.event("replication/repair-dry-run", "{}"))[1]

        answer = wait_for(lambda: (done := repair())["jobs"] and done)
        assert [job["source"] for job in answer["jobs"]] == ["eu-west-2", "us-east-2"]

        def arrived() -> bool:
            replica = with_jobs._parts.records.replica
            records = [replica(name, version, "us-east-2") for name, version in versions.items()]
            return [record and record.state for record in records] == ["COMPLETED"] * 3

        wait_for(arrived, 10)
    for name, version in versions.items():
        assert us.head_object(Bucket=US, Key=name)["VersionId"] == version


def test_every_setting_of_a_rule_is_read(world: World, eu: "S3Client", function: ModuleType) -> None:
    before: Any = eu.get_bucket_replication(Bucket=EU)["ReplicationConfiguration"]
    arn = f"arn:aws:s3:::{US}"
    on, off = {"Status": "Enabled"}, {"Status": "Disabled"}
    destination = {
        "Bucket": arn,
        "ReplicationTime": {**on, "Time": {"Minutes": 15}},
        "Metrics": {**on, "EventThreshold": {"Minutes": 15}},
    }
    tags = [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}]
    rules: Any = [
        {
            "ID": "both",
            "Priority": 7,
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "p/", "Tags": tags}},
            "DeleteMarkerReplication": off,
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": on, "ReplicaModifications": on},
            "Destination": destination,
        },
        {
            "ID": "prefix",
            "Priority": 8,
            "Status": "Disabled",
            "Filter": {"Prefix": "q/"},
            "DeleteMarkerReplication": on,
            "Destination": {"Bucket": arn},
        },
    ]
    changed: Any = {**before, "Rules": rules}
    try:
        eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=changed)
        found = function._parts.buckets(function._places)["eu-west-2"]
    finally:
        eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=before)
    assert isinstance(found, Bucket)
    assert found.to(function._places[1]) == [
        Rule(id="prefix", destination=US, enabled=False, priority=8, prefix="q/", delete_markers=True),
        Rule(
            id="both",
            destination=US,
            priority=7,
            prefix="p/",
            tags={"a": "b", "c": "d"},
            replica_modifications=True,
            time_control=True,
            metrics=True,
            kms=True,
        ),
    ]


def test_every_reason_for_which_the_worlds_replication_can_fail_has_its_words() -> None:
    assert set(FAILURE_REASONS) - set(CAUSES) == set()


@pytest.mark.parametrize("event", ["health", "mrap", "backends", "status", "log"])
def test_the_whole_is_for_those_who_may_read_the_whole(world: World, event: str) -> None:
    rules = [{"claim": "sub", "prefixes": ["users/${sub}/"], "actions": ["read", "write"]}]
    strict = load(world, AUTH_MODE="jwt", ACCESS_POLICY=json.dumps(rules))
    status, answer = functions.answer(strict, functions.event(f"replication/{event}"))
    assert (status, answer["error"]) == (403, "AccessDenied")


def test_what_aws_says_is_for_the_log_alone(
    world: World, call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words name roles and accounts."""
    secret = "User: arn:aws:sts::123456789012:assumed-role/nearside is not authorized"

    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": secret}}, "Operation")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    for event in ("health", "mrap", "status"):
        _, answer = call(event)
        assert "AccessDenied" in json.dumps(answer)
        assert "123456789012" not in json.dumps(answer)
    assert secret in caplog.text

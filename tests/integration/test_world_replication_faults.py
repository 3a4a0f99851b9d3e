"""Replication that fails, stalls or comes late on command, what S3 tells of it, and objects older than the rules."""

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.replication_faults import UnknownReason
from local.world import World
from tests.integration.http_client import get, send
from tests.integration.replicas import status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "nearside-eu-west-2", "nearside-us-east-2"


@pytest.fixture
def key() -> str:
    """A key that no other test uses, and that needs encoding."""
    return f"f {uuid4().hex}+ü"


def told(world: World, key: str) -> list[Any]:
    """The replication events of the key."""
    records = [record for record in world.records() if unquote_plus(record["s3"]["object"]["key"]) == key]
    return [record for record in records if "replicationEventData" in record]


def names(world: World, key: str) -> list[str]:
    return [record["eventName"].partition(":")[2] for record in told(world, key)]


def test_a_failure_is_final_and_told(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.fail_replication("us-east-2", prefix="f ", reason="AssumeRoleNotPermitted")
    version = eu.put_object(Bucket=EU, Key=key, Body=b"xyz")["VersionId"]
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == ("FAILED", None)
    (event,) = told(world, key)
    assert event["eventVersion"] == "2.2"
    assert event["eventName"] == "Replication:OperationFailedReplication"
    assert (event["awsRegion"], event["s3"]["bucket"]["name"]) == ("eu-west-2", EU)
    assert (event["s3"]["object"]["versionId"], event["s3"]["object"]["size"]) == (version, 3)
    data = event["replicationEventData"]
    assert data.pop("requestTime").endswith("Z")
    assert data == {
        "replicationRuleId": f"to-{US}",
        "destinationBucket": f"arn:aws:s3:::{US}",
        "s3Operation": "OBJECT_PUT",
        "failureReason": "AssumeRoleNotPermitted",
    }
    world.mend_replication()
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == ("FAILED", None)
    assert world.state().regions[1].failed_to >= 1


def test_a_fault_is_about_its_prefix_and_region(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.fail_replication("us-east-2", prefix="elsewhere/")
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    world.fail_replication("us-east-2")
    us.put_object(Bucket=US, Key=f"us/{key}", Body=b"x")
    world.settle()
    assert status(eu, EU, f"us/{key}") == "REPLICA"


def test_unknown_reasons_are_refused(world: World) -> None:
    with pytest.raises(UnknownReason, match="'DstBucketAccessDenied' is no failure reason of S3's"):
        world.fail_replication(reason="DstBucketAccessDenied")


def test_what_stalls_waits_while_others_pass(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.stall_replication("us-east-2", prefix="f ")
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    eu.put_object(Bucket=EU, Key=f"g{key}", Body=b"x")
    with pytest.raises(TimeoutError, match="1 from eu-west-2 to us-east-2"):
        world.settle(0.5)
    assert (status(eu, EU, key), status(us, US, key)) == ("PENDING", None)
    assert status(us, US, f"g{key}") == "REPLICA"
    world.mend_replication()
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == ("COMPLETED", "REPLICA")


def test_a_late_version_is_told_twice(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.stall_replication()
    world.set_threshold(0.2)
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    deadline = time.monotonic() + 5
    while not told(world, key) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert names(world, key) == ["OperationMissedThreshold"]
    assert status(us, US, key) is None
    world.mend_replication()
    world.settle()
    assert names(world, key) == ["OperationMissedThreshold", "OperationReplicatedAfterThreshold"]
    assert status(us, US, key) == "REPLICA"


def test_a_version_in_time_is_not_told_of(world: World, eu: "S3Client", key: str) -> None:
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    world.settle()
    world.set_threshold(0)
    time.sleep(0.05)
    assert names(world, key) == []


def test_without_metrics_or_time_control_nothing_is_told(
    world: World, eu: "S3Client", us: "S3Client", key: str
) -> None:
    kept = eu.get_bucket_replication(Bucket=EU)["ReplicationConfiguration"]
    plain: Any = {**kept, "Rules": [{**kept["Rules"][0], "Destination": {"Bucket": f"arn:aws:s3:::{US}"}}]}
    eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=plain)
    try:
        world.set_threshold(0)
        world.fail_replication()
        eu.put_object(Bucket=EU, Key=key, Body=b"x")
        world.settle()
    finally:
        eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=kept)
    assert (status(eu, EU, key), names(world, key)) == ("FAILED", [])


def test_a_removed_rule_leaves_objects_without_status(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    kept = eu.get_bucket_replication(Bucket=EU)["ReplicationConfiguration"]
    eu.delete_bucket_replication(Bucket=EU)
    try:
        eu.put_object(Bucket=EU, Key=key, Body=b"x")
    finally:
        eu.put_bucket_replication(Bucket=EU, ReplicationConfiguration=kept)
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == ("", None)


def test_suspending_versioning_needs_the_rule_gone_and_then_fails_replicas(
    world: World, eu: "S3Client", us: "S3Client", key: str
) -> None:
    with pytest.raises(ClientError, match="InvalidBucketState"):
        us.put_bucket_versioning(Bucket=US, VersioningConfiguration={"Status": "Suspended"})
    kept = us.get_bucket_replication(Bucket=US)["ReplicationConfiguration"]
    us.delete_bucket_replication(Bucket=US)
    us.put_bucket_versioning(Bucket=US, VersioningConfiguration={"Status": "Suspended"})
    try:
        eu.put_object(Bucket=EU, Key=key, Body=b"x")
        world.settle()
    finally:
        us.put_bucket_versioning(Bucket=US, VersioningConfiguration={"Status": "Enabled"})
        us.put_bucket_replication(Bucket=US, ReplicationConfiguration=kept)
    assert status(eu, EU, key) == "FAILED"
    assert told(world, key)[0]["replicationEventData"]["failureReason"] == "DstBucketUnversioned"


def test_an_old_object_has_no_status_and_no_copy(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    version = world.add_old_object(key, b"old")
    world.settle()
    head = eu.head_object(Bucket=EU, Key=key)
    assert (head["VersionId"], status(eu, EU, key), status(us, US, key)) == (version, "", None)
    assert time.time() - head["LastModified"].timestamp() > 29 * 86400
    assert [record for record in world.records() if unquote_plus(record["s3"]["object"]["key"]) == key] == []


def test_the_controls_do_it_too(world: World, eu: "S3Client", key: str) -> None:
    def post(target: str) -> Any:
        answer = send("POST", world.controls_url + target)
        assert answer.status == 200, answer.body
        return answer.json

    post("/fail-replication/us-east-2?prefix=a/&reason=DstKmsKeyNotFound")
    state = post("/stall-replication/eu-west-2")
    assert state["replication_faults"] == [
        {"region": "us-east-2", "prefix": "a/", "reason": "DstKmsKeyNotFound"},
        {"region": "eu-west-2", "prefix": "", "reason": ""},
    ]
    assert post("/events?lose=0.1&duplicate=0.2&delay=0.3&seconds=2")["event_delivery"] == {
        "lose": 0.1,
        "duplicate": 0.2,
        "delay": 0.3,
        "delay_seconds": 2,
    }
    assert post("/threshold?seconds=7")["threshold_seconds"] == 7
    page = get(f"{world.controls_url}/").body.decode()
    assert "fails (DstKmsKeyNotFound)" in page
    assert post("/mend-replication")["replication_faults"] == []
    healed = post("/heal")
    assert (healed["event_delivery"]["lose"], healed["threshold_seconds"]) == (0, 900)
    post(f"/old-object?key={quote(key)}")
    assert status(eu, EU, key) == ""
    post("/metrics")
    post("/redrive")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/fail-replication/us-east-2?reason=Because", "'Because' is no failure reason"),
        ("/fail-replication/mars-1", "region is 'mars-1'"),
        ("/events?lose=2", "lose is '2'"),
        ("/old-object", "key is missing"),
        ("/schedule/nonesuch", "'nonesuch' is no scheduled function"),
    ],
)
def test_bad_values_are_refused(world: World, target: str, says: str) -> None:
    answer = send("POST", world.controls_url + target)
    assert answer.status == 400
    assert says in answer.json["message"]

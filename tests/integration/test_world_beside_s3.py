"""What the world adds to moto's services: the table of all regions, the access point's routes, batch jobs, metrics."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from local.template import read_template
from local.world import World
from tests.integration.http_client import get
from tests.integration.signing_v4a import sign

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3control import S3ControlClient

EU, US = "nearside-eu-west-2", "nearside-us-east-2"
ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def control(world: World) -> Iterator["S3ControlClient"]:
    """A client of S3 Control; botocore puts the account before any host, which is no name of loopback."""
    client = boto3.client("s3control", region_name="us-west-2", endpoint_url=world.aws_url)

    def unprefix(request: AWSPreparedRequest, **_: object) -> None:
        request.url = (request.url or "").replace(f"{ACCOUNT}.", "", 1)

    client.meta.events.register("before-send.s3-control", unprefix)
    yield client
    world.traffic.reset()


def table(world: World, region: str) -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("dynamodb", region_name=region, endpoint_url=world.aws_url, config=config)


def test_one_table_for_all_regions(world: World) -> None:
    eu, us = table(world, "eu-west-2"), table(world, "us-east-2")
    name = world.environment()["TABLE"]
    item = {"PK": {"S": f"T#{uuid4().hex}"}, "SK": {"S": "x"}, "work": {"S": "w#PENDING#0"}, "due": {"N": "1"}}
    eu.put_item(TableName=name, Item=item)
    key = {name: item[name] for name in ("PK", "SK")}
    assert us.get_item(TableName=name, Key=key)["Item"] == item
    asked = {"KeyConditionExpression": "#w = :w", "ExpressionAttributeNames": {"#w": "work"}}
    found = us.query(TableName=name, IndexName="work", ExpressionAttributeValues={":w": item["work"]}, **asked)
    assert item in found["Items"]
    assert us.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires",
    }
    eu.delete_item(TableName=name, Key=key)


def test_a_region_that_is_off_has_no_table(world: World) -> None:
    world.switch("us-east-2", on=False)
    with pytest.raises(HTTPClientError):
        table(world, "us-east-2").describe_table(TableName="nearside")
    table(world, "eu-west-2").describe_table(TableName="nearside")


def test_the_functions_know_of_it(world: World) -> None:
    environment = world.environment()
    assert environment["DYNAMODB_ENDPOINT"] == world.aws_url
    assert environment["REPLICATES_DELETE_MARKERS"] == "true"
    assert int(environment["LAG_TARGET_SECONDS"]) == 900


def test_routes_are_told_and_changed(world: World, control: "S3ControlClient") -> None:
    def dials() -> dict[str, int]:
        answer = control.get_multi_region_access_point_routes(AccountId=ACCOUNT, Mrap=world.mrap_arn)
        assert answer["Mrap"] == world.mrap_arn
        return {route["Region"]: route["TrafficDialPercentage"] for route in answer["Routes"]}

    def submit(*routes: Any) -> None:
        control.submit_multi_region_access_point_routes(
            AccountId=ACCOUNT, Mrap=world.mrap_arn, RouteUpdates=list(routes)
        )

    assert dials() == {"eu-west-2": 100, "us-east-2": 100}
    submit({"Bucket": US, "Region": "us-east-2", "TrafficDialPercentage": 0})
    assert dials() == {"eu-west-2": 100, "us-east-2": 0}
    url, _ = sign(f"{world.mrap_url}/docs/guide.txt")
    assert get(url, {"X-World-Location": "us"}).headers["x-world-region"] == "eu-west-2"
    world.switch("eu-west-2", on=False)
    assert get(url, {"X-World-Location": "us"}).code == (503, "ServiceUnavailable")
    world.switch("eu-west-2", on=True)
    for bad, says in (
        ({"Region": "eu-west-2", "TrafficDialPercentage": 0}, "At least one Region"),
        ({"Region": "eu-west-2", "TrafficDialPercentage": 50}, "must be 0 or 100"),
        ({"Region": "eu-west-1", "TrafficDialPercentage": 100}, "eu-west-1 is not part"),
    ):
        with pytest.raises(ClientError, match=says):
            submit(bad)
    world.heal()
    assert dials() == {"eu-west-2": 100, "us-east-2": 100}


def test_routes_of_another_access_point(control: "S3ControlClient") -> None:
    arn = f"arn:aws:s3::{ACCOUNT}:accesspoint/other.mrap"
    with pytest.raises(ClientError, match="NoSuchMultiRegionAccessPoint"):
        control.get_multi_region_access_point_routes(AccountId=ACCOUNT, Mrap=arn)


def run_job(control: "S3ControlClient", token: str, **given: Any) -> Any:
    """The job when it has ended."""
    job = control.create_job(
        AccountId=ACCOUNT,
        ConfirmationRequired=False,
        Operation={"S3ReplicateObject": {}},
        Report={"Enabled": False},
        ClientRequestToken=token,
        Priority=1,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/batch",
        **given,
    )["JobId"]
    deadline = time.monotonic() + 5
    while True:
        described = control.describe_job(AccountId=ACCOUNT, JobId=job)["Job"]
        if described["Status"] in ("Complete", "Failed") or time.monotonic() > deadline:
            return described
        time.sleep(0.01)


def test_a_job_replicates_what_is_old_or_has_failed(
    world: World, control: "S3ControlClient", eu: "S3Client", us: "S3Client"
) -> None:
    prefix = f"batch-{uuid4().hex}/"
    old = world.add_old_object(f"{prefix}old")
    world.fail_replication(prefix=prefix)
    failed = eu.put_object(Bucket=EU, Key=f"{prefix}failed", Body=b"x")["VersionId"]
    world.settle()
    world.mend_replication()
    eu.put_object(Bucket=EU, Key=f"{prefix}done", Body=b"x")
    world.settle()
    manifest = {
        "SourceBucket": f"arn:aws:s3:::{EU}",
        "EnableManifestOutput": False,
        "Filter": {
            "EligibleForReplication": True,
            "ObjectReplicationStatuses": ["NONE", "FAILED"],
            "KeyNameConstraint": {"MatchAnyPrefix": [prefix]},
        },
    }
    token = uuid4().hex
    job = run_job(control, token, ManifestGenerator={"S3JobManifestGenerator": manifest})
    assert (job["Status"], job["ProgressSummary"]["NumberOfTasksSucceeded"]) == ("Complete", 2)
    world.settle()
    for name, version in (("old", old), ("failed", failed)):
        head = us.head_object(Bucket=US, Key=prefix + name)
        assert (head["VersionId"], head["ReplicationStatus"]) == (version, "REPLICA")
        assert eu.head_object(Bucket=EU, Key=prefix + name)["ReplicationStatus"] == "COMPLETED"
    again = run_job(control, token, ManifestGenerator={"S3JobManifestGenerator": manifest})
    assert again["JobId"] == job["JobId"]


def test_a_job_with_a_manifest_takes_what_it_names(
    world: World, control: "S3ControlClient", eu: "S3Client", us: "S3Client"
) -> None:
    prefix = f"listed-{uuid4().hex}/"
    named, other = f"{prefix}a b", f"{prefix}other"
    version = world.add_old_object(named)
    world.add_old_object(other)
    rows = f"{EU},{named.replace(' ', '+')},{version}\n".encode()
    etag = eu.put_object(Bucket=EU, Key=f"{prefix}manifest.csv", Body=rows)["ETag"]
    spec = {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key", "VersionId"]}
    location = {"ObjectArn": f"arn:aws:s3:::{EU}/{prefix}manifest.csv", "ETag": etag}
    job = run_job(control, uuid4().hex, Manifest={"Spec": spec, "Location": location})
    assert job["ProgressSummary"]["TotalNumberOfTasks"] == 1
    world.settle()
    found = us.list_objects_v2(Bucket=US, Prefix=prefix)["Contents"]
    assert sorted(item["Key"] for item in found) == [named, f"{prefix}manifest.csv"]


def test_a_job_that_is_not_there(control: "S3ControlClient") -> None:
    with pytest.raises(ClientError, match="NoSuchJob"):
        control.describe_job(AccountId=ACCOUNT, JobId="00000000-0000-4000-8000-999999999999")


def metric(world: World, name: str, region: str, statistic: Any) -> float:
    """The metric of the rule from eu to us in the last minutes; -1 without one."""
    names = {"SourceBucket": EU, "DestinationBucket": US, "RuleId": f"to-{US}"}
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch", region_name=region, endpoint_url=world.aws_url).get_metric_statistics(
        Namespace="AWS/S3",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in names.items()],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=600,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(point[statistic] for point in points) if points else -1


def test_metrics_tell_what_is_pending_and_has_failed(world: World, eu: "S3Client") -> None:
    world.publish_metrics()
    before = metric(world, "OperationsFailedReplication", "eu-west-2", "Sum")
    world.fail_replication(prefix="failing-")
    world.stall_replication(prefix="stalled-")
    eu.put_object(Bucket=EU, Key=f"failing-{uuid4().hex}", Body=b"x")
    for _ in range(2):
        eu.put_object(Bucket=EU, Key=f"stalled-{uuid4().hex}", Body=b"12345")
    with pytest.raises(TimeoutError):
        world.settle(0.3)
    world.publish_metrics()
    assert metric(world, "OperationsPendingReplication", "us-east-2", "Maximum") == 2
    assert metric(world, "BytesPendingReplication", "us-east-2", "Maximum") == 10
    assert metric(world, "ReplicationLatency", "us-east-2", "Maximum") > 0.2
    assert metric(world, "OperationsFailedReplication", "eu-west-2", "Sum") == before + 1
    # Each is published in one region only: S3's page says which.
    assert metric(world, "OperationsFailedReplication", "us-east-2", "Sum") == -1
    assert metric(world, "OperationsPendingReplication", "eu-west-2", "Maximum") == -1


def test_a_template_with_a_table_gives_its_keys(tmp_path: Any) -> None:
    (tmp_path / "template.yaml").write_text("""
Resources:
  Catalog:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      KeySchema: [{AttributeName: A, KeyType: HASH}]
""")
    read = read_template(tmp_path / "template.yaml", {}, "eu-west-2").table
    assert read is not None
    assert read["KeySchema"] == [{"AttributeName": "A", "KeyType": "HASH"}]

"""Reconcile in the running world: real places, the real table, the function, the command and what operators see."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from local import ROOT
from local.gateway_key import key_pair
from local.providers import PROVIDERS, Provider
from local.world import World
from nearside import settings
from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.adapters.gateway_work import GatewayWork
from nearside.adapters.message_visibility import MessageVisibility
from nearside.adapters.reconcile_cursors import ReconcileCursors
from nearside.adapters.replication_queue import ReplicationQueue
from nearside.errors import BadCursor
from nearside.gateway.differences import Difference, Report
from nearside.gateway.reconciling import Asked, Progress
from nearside.gateway_assembly import GatewayParts
from nearside.reconcile_assembly import rounds
from tests.integration.http_client import get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")

EU, HARBOR, B2 = PROVIDERS
SECONDS = 20.0


def client(url: str, key: str, secret: str, region: str) -> "S3Client":
    quiet: Any = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, **quiet)
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config,
    )


@pytest.fixture
def s3(world: World) -> "S3Client":
    """A client of the gateway."""
    key = key_pair()
    return client(world.gateway_url, key.access_key_id, key.secret_access_key, "eu-west-2")


@pytest.fixture
def place(world: World) -> Callable[[Provider], "S3Client"]:
    """A client of a place itself."""

    def made(provider: Provider) -> "S3Client":
        identity, url = provider.identity, world.provider_urls[provider.name]
        return client(url, identity.access_key_id, identity.secret_access_key, provider.region)

    return made


@pytest.fixture
def bucket(s3: "S3Client") -> Iterator[str]:
    """A bucket of the gateway with two objects that all places have."""
    name = f"rec-{uuid4().hex[:10]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    for key in ("a", "b/é 1"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    everywhere(s3, name, "a", "b/é 1")
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for each in page.get("Contents", ()):
            s3.delete_object(Bucket=name, Key=each["Key"])


def everywhere(s3: "S3Client", bucket: str, *keys: str) -> None:
    """Waits until every place has the objects, as the gateway says."""
    end = time.monotonic() + SECONDS
    for key in keys:
        while time.monotonic() < end:
            headers = s3.head_object(Bucket=bucket, Key=key)["ResponseMetadata"]["HTTPHeaders"]
            if headers["x-backend-count"] == "3":
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"{key} is not everywhere: {headers['x-replication-detail']}")


def in_place(provider: Provider, bucket: str) -> str:
    return provider.bucket.replace("{bucket}", bucket)


@pytest.fixture
def parts(world: World) -> GatewayParts:
    return GatewayParts(settings.load(environ=world.environment()))


@pytest.fixture(autouse=True)
def _keys_of_the_places(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the configuration says that they are."""
    for name, value in world.environment().items():
        if name.endswith(("_ACCESS_KEY_ID", "_SECRET_ACCESS_KEY")) and not name.startswith("AWS_"):
            monkeypatch.setenv(name, value)


def look(parts: GatewayParts, bucket: str, asked: Asked = Asked()) -> Report:  # noqa: B008 - it is frozen
    [report] = rounds(parts, asked, None).look([bucket])
    return report


def test_where_nothing_happened_nothing_is_found(parts: GatewayParts, bucket: str) -> None:
    report = look(parts, bucket)
    assert (report.words(), report.keys, report.complete, report.unknown) == ("nothing differs", 2, True, {})


def test_what_was_done_to_places_beside_the_gateway_is_found_and_mended(
    parts: GatewayParts, bucket: str, s3: "S3Client", place: Callable[[Provider], "S3Client"], world: World
) -> None:
    place(HARBOR).delete_object(Bucket=in_place(HARBOR, bucket), Key="b/é 1")
    place(B2).put_object(Bucket=in_place(B2, bucket), Key="a", Body=b"other")
    place(EU).put_object(Bucket=in_place(EU, bucket), Key="theirs", Body=b"x")
    report = look(parts, bucket)
    expected = {"missing": {"harbor": 1}, "different": {"b2": 1}, "unmanaged": {"eu-west-2": 1}}
    assert report.counts == expected
    end = time.monotonic() + SECONDS
    while look(parts, bucket, Asked(dry_run=True)).total("missing", "different") and time.monotonic() < end:
        time.sleep(0.1)
    world.settle(SECONDS)  # an object that is just being mended is not reported
    everywhere(s3, bucket, "a", "b/é 1")
    assert place(B2).get_object(Bucket=in_place(B2, bucket), Key="a")["Body"].read() == b"a"
    assert place(HARBOR).get_object(Bucket=in_place(HARBOR, bucket), Key="b/é 1")["Body"].read() == "b/é 1".encode()
    log = get(f"{world.api_url}/api/operations/log").json["operations"]
    [told] = [each for each in log if each["action"] == "reconcile" and each["bucket"] == bucket]
    assert "1 missing in harbor" in told["detail"]
    copied = [each for each in log if each["action"] == "gateway: copied" and each["bucket"] == bucket]
    assert {"a", "b/é 1"} <= {each["key"] for each in copied}


def test_an_object_of_the_primary_is_adopted_with_its_headers(
    parts: GatewayParts, bucket: str, s3: "S3Client", place: Callable[[Provider], "S3Client"]
) -> None:
    place(EU).put_object(
        Bucket=in_place(EU, bucket), Key="old", Body=b"was here", ContentType="text/x-old", Metadata={"by": "hand"}
    )
    assert look(parts, bucket, Asked(adopt=True)).counts == {"adopted": {"eu-west-2": 1}}
    everywhere(s3, bucket, "old")
    found = s3.get_object(Bucket=bucket, Key="old")
    assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (
        b"was here",
        "text/x-old",
        {"by": "hand"},
    )
    copy = place(HARBOR).get_object(Bucket=in_place(HARBOR, bucket), Key="old")
    assert (copy["Body"].read(), copy["ContentType"]) == (b"was here", "text/x-old")


def test_the_scheduled_function_keeps_where_it_is(world: World, bucket: str, parts: GatewayParts) -> None:
    answer = world.run_schedule("reconcile")
    assert bucket in {report["bucket"] for report in answer["reports"]}
    kept = ReconcileCursors(parts.wire).all()[bucket]
    assert (kept.phase, kept.report.keys) == ("done", 2)
    assert bucket not in {report["bucket"] for report in world.run_schedule("reconcile")["reports"]}


def test_the_command_says_what_differs(world: World, bucket: str, place: Callable[[Provider], "S3Client"]) -> None:
    def command(*arguments: str) -> tuple[int, str]:
        program = [sys.executable, "-m", "nearside.cli", "places", "reconcile", "--bucket", bucket, *arguments]
        environment = {**world.environment(), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "layers/nearside")}
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    code, said = command()
    assert (code, said) == (0, f"{bucket}: 2 keys, nothing differs; 0 given to the replicator\n")
    place(B2).put_object(Bucket=in_place(B2, bucket), Key="theirs", Body=b"x")
    code, said = command("--dry-run")
    assert code == 1
    assert said == f"{bucket}: 3 keys, 1 unmanaged in b2; nothing was changed\n  unmanaged in b2: theirs\n"


def test_what_waits_is_listed_with_why(world: World, s3: "S3Client", bucket: str) -> None:
    world.trouble_provider("b2", "down")
    s3.put_object(Bucket=bucket, Key="waits", Body=b"x")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = get(f"{world.api_url}/api/replicas/status?place=b2").json["replicas"]
        ours = [each for each in found if each["bucket"] == bucket and each.get("attempts")]
        if ours:
            break
        time.sleep(0.1)
    [waiting] = ours
    assert (waiting["key"], waiting["place"], waiting["state"]) == ("waits", "b2", "PENDING")
    assert waiting["why"]
    world.trouble_provider("b2", "heal")
    everywhere(s3, bucket, "waits")


@pytest.fixture
def wire(world: World) -> DynamoDbWire:
    told = settings.load(environ=world.environment())
    credentials = told.credentials
    assert credentials is not None
    return DynamoDbWire(told.table, told.primary.region, lambda: credentials, told.dynamodb_endpoint)


def test_progress_is_kept_by_bucket_and_what_cannot_be_read_counts_as_none(wire: DynamoDbWire) -> None:
    cursors = ReconcileCursors(wire)
    examples = (Difference("missing", "é\n", "b2"),)
    report = Report(bucket="kept", keys=7, counts={"missing": {"b2": 1}}, examples=examples, unknown={"b2": "away"})
    progress = Progress(
        report=report, started=1, touched=2, phase="keys", after="é\n", unsorted=("b2",), uploads=("u",)
    )
    cursors.keep(progress)
    assert cursors.all()["kept"] == progress
    item = {"PK": {"S": "GATEWAY-RECONCILE"}, "SK": {"S": "old"}, "progress": {"S": '{"phase": "of another time"}'}}
    wire.call("PutItem", {"Item": item})
    assert "old" not in cursors.all()
    for name in ("kept", "old", "never"):
        cursors.drop(name)
    assert not {"kept", "old"} & cursors.all().keys()


def test_what_is_to_do_is_read_page_by_page(wire: DynamoDbWire) -> None:
    wanted = {("w", f"key/{number}") for number in range(25)}
    for number, (bucket, key) in enumerate(sorted(wanted)):
        work = {"work": {"S": f"GATEWAY#{number % 8}"}, "due": {"N": str(number)}}
        wire.call("PutItem", {"Item": {"PK": {"S": f"GATEWAY#{bucket}"}, "SK": {"S": key}, **work}})
    for limit in (1, 7, 1000):
        found: list[tuple[str, str]] = []
        cursor = None
        while True:
            page, cursor = GatewayWork(wire)(limit, cursor)
            assert len(page) <= limit
            found += page
            if cursor is None:
                break
        assert len(found) == len(set(found))
        assert wanted <= set(found)
    for bucket, key in wanted:
        wire.call("DeleteItem", {"Key": {"PK": {"S": f"GATEWAY#{bucket}"}, "SK": {"S": key}}})
    with pytest.raises(BadCursor):
        GatewayWork(wire)(1, "bm90IG91cnM=")


def test_backends_shows_the_gateways_places(world: World) -> None:
    found = get(f"{world.api_url}/backends").json["backends"]
    ours = {each["name"]: each for each in found if each.get("gateway")}
    assert list(ours) == [provider.name for provider in PROVIDERS]
    for provider in PROVIDERS:
        told = ours[provider.name]
        assert (told["provider"], told["zone"], told["state"]) == (provider.kind, provider.zone_code, "up")
        assert "secret" not in json.dumps(told).lower()
    assert ours["eu-west-2"]["primary"] is True
    world.trouble_provider("harbor", "down")
    health = get(f"{world.api_url}/health").json
    assert (health["status"], health["places"]["gateway/b2"]) == ("degraded", "up")
    assert health["places"]["gateway/harbor"] != "up"


def test_an_unknown_place_is_told_the_known_ones(world: World) -> None:
    answer = get(f"{world.api_url}/api/replicas/status?place={quote('nowhere')}")
    assert answer.status == 400
    assert "expected one of eu-west-2, us-east-2, eu-west-2, harbor, b2" in answer.json["message"]


def test_a_message_comes_again_when_it_was_said_to(world: World, caplog: pytest.LogCaptureFixture) -> None:
    told = settings.load(environ=world.environment())
    credentials = told.credentials
    assert credentials is not None
    sqs: Any = boto3.client("sqs", region_name="eu-west-2", endpoint_url=world.aws_url)
    url = sqs.create_queue(QueueName=f"q-{uuid4().hex[:8]}", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    ReplicationQueue(url, "eu-west-2", lambda: credentials, world.aws_url)("photos", "é")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"]) == {"bucket": "photos", "key": "é"}
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    again = MessageVisibility(url, "eu-west-2", lambda: credentials, world.aws_url)
    again(message["ReceiptHandle"], 0)
    [message] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"
    assert not caplog.records
    again("no receipt", 7)
    assert "not after 7 s: SQS answered 4" in caplog.text
    MessageVisibility(url, "eu-west-2", lambda: credentials, "http://127.0.0.1:9")("r", 7)
    assert len(caplog.records) == 2

"""Clients at work while places fail and processes are killed: nothing acknowledged is lost, nothing deleted returns.

The gateway, and the replicator with reconcile, are processes of their own (`hurried.py`); the places are this world's.
Each client knows for each of its keys what may be there: a write that was not answered may have been done or not.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.deployment import PRIMARY
from local.functions import with_environment
from local.gateway_key import key_pair
from local.identities import WORLD
from local.tables import TABLE_NAME
from local.world import World
from nearside import settings
from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.adapters.gateway_records import GatewayRecords
from nearside.gateway.leftovers import Leftovers
from nearside.gateway.records import Record
from nearside.gateway_assembly import GatewayParts
from nearside.signing import Credentials
from tests.gateway.chaos import SHARED, Client, Faults, Process, Shared, free_port
from tests.gateway.converging import BUCKETS, assert_same_everywhere, everywhere
from tests.gateway.endpoints import Endpoint, made_bucket
from tests.gateway.expecting import check_listing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OPERATIONS = int(os.environ.get("CHAOS_OPERATIONS", "1200"))
CLIENTS = 8
# Of the processes' clock. S3 refuses what is signed by one that is 15 minutes off, so a long run has a slower one.
SPEED = 4.0 if OPERATIONS <= 1500 else 1.5
CONVERGE_SECONDS = 240 / SPEED  # a lease may take 95 s to end
LIMIT_SECONDS = 800 / (SPEED - 1) - CONVERGE_SECONDS


class Stage:
    """A gateway and a replicator beside the world, with a queue of their own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.sqs = boto3.session.Session().client("sqs", endpoint_url=world.aws_url, region_name=PRIMARY)
        made = self.sqs.create_queue(QueueName=f"chaos-{uuid.uuid4().hex[:8]}", Attributes={"VisibilityTimeout": "30"})
        self.queue_url = made["QueueUrl"]
        clock = {"BEGAN": str(time.time()), "SPEED": str(SPEED)}
        env = world.environment() | {"GATEWAY_QUEUE_URL": self.queue_url, "AWS_DEFAULT_REGION": PRIMARY, **clock}
        self.log = folder / "log"
        port = str(free_port())
        self.gateway = Process(["gateway", "--port", port], env, self.log)
        self.replicator = Process(["replicator", self.queue_url], env, self.log)
        self.endpoint = Endpoint("gateway", f"http://127.0.0.1:{port}", PRIMARY, key_pair())
        own = Credentials(WORLD.access_key_id, WORLD.secret_access_key)
        self.records = GatewayRecords(DynamoDbWire(TABLE_NAME, PRIMARY, lambda: own, world.aws_url))

    def all_records(self, bucket: str) -> list[Record]:
        """Of the objects of a bucket, deleted ones too."""
        found: list[Record] = []
        more = True
        while more:
            page, more = self.records.page(bucket, "", found[-1].key if found else "", 500)
            found += page
        return found

    def waiting(self) -> bool:
        """Whether messages can be received, or are being dealt with."""
        names: Any = ["ApproximateNumberOfMessages"]
        told = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return told[names[0]] != "0"

    def hurry(self, record: Record) -> None:
        """Has the replicator look at it now, as it would when it is due."""
        body = json.dumps({"bucket": record.bucket, "key": record.key})
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)


@pytest.fixture
def stage(world: World, tmp_path: Path) -> Iterator[Stage]:
    """Both processes running."""
    stage = Stage(world, tmp_path)
    stage.gateway.start()
    stage.replicator.start()
    yield stage
    stage.gateway.kill()
    stage.replicator.kill()


def is_undone(record: Record) -> bool:
    """Whether something is left to do for the object, wherever it is noted."""
    wanted = "ABSENT" if record.current is None else "COMPLETED"
    lacking = len(record.copies) < len(BUCKETS) and record.current is not None
    left = any(copy.state != wanted or copy.doubt for copy in record.copies.values())
    return lacking or left or bool(record.intents or record.litter or record.staged)


def converge(stage: Stage, bucket: str) -> None:
    """Waits until nothing is left to do. What is left must be noted where it is found again: due, or a lease that ends
    with work undone. Raises AssertionError."""
    for process in (stage.replicator, stage.gateway):
        process.kill()  # forgets which places to leave alone
        process.start()
    stage.sqs.purge_queue(QueueUrl=stage.queue_url)
    deadline = time.monotonic() + CONVERGE_SECONDS
    while True:
        undone = [record for record in stage.all_records(bucket) if is_undone(record)]
        forgotten = [record for record in undone if record.due is None and record.lease is None]
        assert forgotten == [], "nobody would ever look at these again"
        if not undone:
            return
        assert time.monotonic() < deadline, f"{len(undone)} are not done: {undone[:3]}"
        for record in undone:
            stage.hurry(record)
        while stage.waiting() and time.monotonic() < deadline:
            time.sleep(0.2)


def verifying(s3: "S3Client") -> "S3Client":
    """The client, asking for proved bytes."""

    def ask(request: Any, **_: Any) -> None:
        request.headers["X-Read-Consistency"] = "verified"

    s3.meta.events.register("before-sign.s3.GetObject", ask)
    return s3


def test_nothing_acknowledged_is_lost_and_nothing_deleted_returns(
    world: World, stage: Stage, endpoints: Mapping[str, Endpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = made_bucket(stage.endpoint.client(), f"chaos-{uuid.uuid4().hex[:8]}", PRIMARY)
    shared = Shared(bucket, OPERATIONS)
    faults = Faults(world, [stage.gateway, stage.replicator], pause=0.7, kill_every=4.0)
    options: dict[str, Any] = {"read_timeout": 40, "connect_timeout": 5}
    pairs = [(stage.endpoint.client(**options), verifying(stage.endpoint.client(**options))) for _ in range(CLIENTS)]
    clients = [Client(number, shared, *pair, faults) for number, pair in enumerate(pairs)]
    began = time.monotonic()
    faults.start()
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients) and time.monotonic() < began + LIMIT_SECONDS:
        time.sleep(0.5)
    shared.stop.set()
    for client in clients:
        client.join(60)
    faults.end()
    worked = time.monotonic() - began
    converge(stage, bucket)
    converged = time.monotonic() - began - worked
    with capsys.disabled():
        kills = f"gateway {stage.gateway.kills}, replicator {stage.replicator.kills}"
        print(f"\n{shared.count} operations {dict(shared.done)} in {worked:.0f} s, then {converged:.0f} s")  # noqa: T201
        print(f"answers {dict(shared.answers)}\nkills {kills}; faults {dict(faults.given)}")  # noqa: T201
    assert shared.wrong == []
    assert faults.failed == []
    assert shared.count >= OPERATIONS
    assert min(stage.gateway.kills, stage.replicator.kills) > 1
    check(world, stage, endpoints, bucket, shared, clients)
    assert "Traceback" not in stage.log.read_text()


def tidy(world: World, stage: Stage, bucket: str) -> None:
    """Ends the uploads that clients gave up, and does what reconcile does a week later: parts of which the answer was
    lost are found."""
    s3 = stage.endpoint.client()
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    with with_environment(world.environment()):
        parts = GatewayParts(settings.load())
        leftovers = Leftovers(parts.stored_uploads, parts.places, lambda: time.time() + 8 * 24 * 3600)
        for place in parts.places.names:
            while found := leftovers.found(bucket, place):  # so many at most at a time
                for upload_id in found:
                    assert list(leftovers.remove(bucket, place, upload_id, dry_run=False))


def check(
    world: World,
    stage: Stage,
    endpoints: Mapping[str, Endpoint],
    bucket: str,
    shared: Shared,
    clients: list[Client],
) -> None:
    """Every key has what it may have, in every place."""
    own = {"gateway": stage.endpoint, **{name: endpoints[name] for name in BUCKETS}}
    tidy(world, stage, bucket)
    contents = assert_same_everywhere(own, bucket)
    for client in clients:
        listed = {key: size for key, size in contents.items() if key.startswith(f"c{client.number}/")}
        check_listing(client.expected, listed)
        for key, state in client.expected.items():
            for name, template in {"gateway": "{bucket}", **BUCKETS}.items():
                if key in contents:
                    s3 = own[name].client()
                    state.read(s3.get_object(Bucket=template.format(bucket=bucket), Key=key)["Body"].read())
    for key in SHARED:
        if key in contents:
            found = stage.endpoint.client().get_object(Bucket=bucket, Key=key)["Body"].read()
            assert found in shared.written[key]
    assert everywhere(own, bucket)["gateway"] == contents

"""Events on their way from the buckets to the functions: queues, batches, retries, dead letters, disturbances."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from local.background import Background, NotScheduled
from local.delivery import Disturbance
from local.event_flow import EventFlow
from local.template import read_template
from local.world import World
from tests.integration.http_client import send

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "nearside-eu-west-2", "nearside-us-east-2"
REGIONS = ("eu-west-2", "us-east-2")

TEMPLATE = """
Resources:
  ListenFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: listen/
      Handler: handler.handler
      Timeout: 5
      Environment: {Variables: {WHO: template}}
      Events:
        Told:
          Type: SQS
          Properties:
            Queue: !GetAtt ToldQueue.Arn
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
        Often:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(5 minutes)}
  ToldQueue:
    Type: AWS::SQS::Queue
    Properties:
      RedrivePolicy: {deadLetterTargetArn: !GetAtt GivenUpQueue.Arn, maxReceiveCount: 3}
  GivenUpQueue:
    Type: AWS::SQS::Queue
  ToldQueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref ToldQueue]
      PolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: s3.amazonaws.com}, Action: sqs:SendMessage, Resource: '*'}]
"""

# It writes what it was given to a file, and fails on the keys that its name tells it to.
HANDLER = """
import json, os
REGION, OUT, WHO = os.environ["AWS_REGION"], os.environ["OUT"], os.environ["WHO"]
def handler(event, context):
    if event.get("source") == "aws.scheduler":
        return {"who": WHO, "kind": event["detail-type"], "region": event["region"]}
    failed = []
    for record in event["Records"]:
        body = json.loads(record["body"])
        text = record["body"]
        if "explode" in text:
            raise RuntimeError("asked to")
        if "poison" in text:
            failed.append({"itemIdentifier": record["messageId"]})
        with open(OUT, "a") as out:
            out.write(json.dumps({"region": REGION, "record": record, "body": body}) + "\\n")
    return {"batchItemFailures": failed}
"""


class Told:
    """The flow of one test, and what its function was told."""

    def __init__(self, flow: EventFlow, background: Background, out: Path) -> None:
        self.flow = flow
        self.background = background
        self._out = out

    def lines(self, part: str) -> list[Any]:
        """What the function was told with this text in it."""
        text = self._out.read_text() if self._out.exists() else ""
        return [json.loads(line) for line in text.splitlines() if part in line]

    def events(self, part: str) -> list[tuple[str, str]]:
        """Region and event name of each record."""
        return [(line["region"], line["body"]["Records"][0]["eventName"]) for line in self.lines(part)]


@pytest.fixture
def told(world: World, tmp_path: Path) -> Iterator[Told]:
    """Events of the world's buckets led to a function of the test's own."""
    (tmp_path / "listen").mkdir()
    (tmp_path / "listen" / "handler.py").write_text(HANDLER)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    template = read_template(tmp_path / "template.yaml", {}, "eu-west-2")
    background = Background(template, {"OUT": str(tmp_path / "out")}, REGIONS)
    with _listening(world, EventFlow(template, background, world.buckets, world.faults.is_on)) as flow:
        yield Told(flow, background, tmp_path / "out")


@contextmanager
def _listening(world: World, flow: EventFlow) -> Iterator[EventFlow]:
    world.events.listeners.append(flow.delivery)
    try:
        yield flow
    finally:
        world.events.listeners.remove(flow.delivery)
        flow.close()


@pytest.fixture
def put(eu: "S3Client") -> Callable[[str], str]:
    """Writes an object in the primary region under a key of its own that contains the text."""

    def write(text: str) -> str:
        key = f"{text}-{uuid4().hex}"
        eu.put_object(Bucket=EU, Key=key, Body=b"x")
        return key

    return write


def test_each_region_tells_of_its_own_bucket(world: World, told: Told, put: Callable[[str], str]) -> None:
    key = put("plain")
    world.settle()
    told.flow.settle(5)
    assert sorted(told.events(key)) == [("eu-west-2", "ObjectCreated:Put"), ("us-east-2", "ObjectCreated:Put")]
    line = told.lines(key)[0]
    assert line["record"]["eventSource"] == "aws:sqs"
    assert line["record"]["eventSourceARN"] == f"arn:aws:sqs:{line['region']}:123456789012:nearside-ToldQueue"
    assert line["record"]["attributes"]["ApproximateReceiveCount"] == "1"
    assert line["record"]["awsRegion"] == line["region"]


def test_s3_announces_itself(told: Told) -> None:
    told.flow.settle(5)
    announced = [(line["region"], line["body"]["Bucket"]) for line in told.lines("s3:TestEvent")]
    assert sorted(announced) == [("eu-west-2", EU), ("us-east-2", US)]


def test_events_arrive_within_a_moment(told: Told, put: Callable[[str], str]) -> None:
    told.flow.settle(5)
    key = put("quick")
    deadline = time.monotonic() + 1
    while not told.lines(key) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told.lines(key)


def test_a_poisoned_message_costs_nobody_elses(world: World, told: Told, put: Callable[[str], str]) -> None:
    world.switch("eu-west-2", on=True)
    poisoned, good = put("poison"), put("good")
    world.settle()
    told.flow.settle(10)
    assert len(told.events(good)) == 2
    assert len(told.events(poisoned)) == 6  # three times in each region
    for region in REGIONS:
        (body,) = told.flow.dead_letters()[region]
        assert json.loads(body)["Records"][0]["s3"]["object"]["key"] == poisoned


def test_a_raising_handler_has_its_whole_batch_again(world: World, told: Told, put: Callable[[str], str]) -> None:
    key = put("explode")
    world.settle()
    told.flow.settle(10)
    assert told.events(key) == []
    assert [len(bodies) for bodies in told.flow.dead_letters().values()] == [1, 1]


def test_dead_letters_are_tried_again_on_command(world: World, told: Told, put: Callable[[str], str]) -> None:
    key = put("poison")
    world.settle()
    told.flow.settle(10)
    before = len(told.events(key))
    assert told.flow.redrive() == 2
    told.flow.settle(10)
    assert len(told.events(key)) == 2 * before
    assert [len(bodies) for bodies in told.flow.dead_letters().values()] == [1, 1]


def test_a_region_that_is_off_deals_with_its_events_later(
    world: World, told: Told, put: Callable[[str], str], us: "S3Client"
) -> None:
    told.flow.settle(5)
    key = f"later-{uuid4().hex}"
    us.put_object(Bucket=US, Key=key, Body=b"x")
    world.switch("us-east-2", on=False)
    other = put("meanwhile")
    with pytest.raises(TimeoutError):
        world.settle(0.2)
    assert told.events(other) == [("eu-west-2", "ObjectCreated:Put")]
    world.switch("us-east-2", on=True)
    world.settle()
    told.flow.settle(5)
    assert len(told.events(key)) == len(told.events(other)) == 2


@pytest.mark.parametrize(
    ("disturbance", "expected"),
    [
        (Disturbance(lose=0.5), 5),
        (Disturbance(lose=1.0), 0),
        (Disturbance(duplicate=0.5, delay_seconds=0.1), 15),
        (Disturbance(delay=1.0, delay_seconds=0.2), 10),
    ],
)
def test_events_are_lost_doubled_and_delayed(
    world: World, told: Told, put: Callable[[str], str], disturbance: Disturbance, expected: int
) -> None:
    told.flow.settle(5)
    world.stall_replication()
    told.flow.disturb(disturbance)
    mark = f"d{uuid4().hex}"
    for _ in range(10):
        put(mark)
    told.flow.settle(5)
    assert len(told.lines(mark)) == expected


def test_late_events_come_after_later_ones(world: World, told: Told, put: Callable[[str], str]) -> None:
    world.stall_replication()
    told.flow.disturb(Disturbance(delay=0.5, delay_seconds=0.2))
    mark = f"o{uuid4().hex}"
    for number in range(4):
        put(f"{mark}-{number}")
    told.flow.settle(5)
    order = [line["body"]["Records"][0]["s3"]["object"]["key"].split("-")[1] for line in told.lines(mark)]
    assert order == ["0", "2", "1", "3"]


def test_a_schedule_runs_on_command(told: Told) -> None:
    assert told.background.run("listen") == {"who": "template", "kind": "Scheduled Event", "region": "eu-west-2"}


def test_functions_are_imported_anew_with_other_variables(told: Told, tmp_path: Path) -> None:
    told.background.load({"OUT": str(tmp_path / "other"), "WHO": "reloaded"})
    assert told.background.run("listen")["who"] == "reloaded"
    told.flow.queues["us-east-2"]["ToldQueue"].send('{"mark": "anew"}')
    told.flow.settle(5)
    assert "anew" in (tmp_path / "other").read_text()


def test_what_is_no_schedule(world: World, told: Told) -> None:
    with pytest.raises(NotScheduled, match="'nonesuch' is no scheduled function: listen"):
        told.background.run("nonesuch")
    with pytest.raises(NotScheduled):
        world.run_schedule("nonesuch")


def test_the_queues_are_there_for_sdks(world: World, told: Told) -> None:
    import boto3

    sqs = boto3.client("sqs", region_name="us-east-2", endpoint_url=world.aws_url)
    queue = sqs.get_queue_url(QueueName="nearside-GivenUpQueue")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="by hand")
    assert told.flow.dead_letters()["us-east-2"] == ["by hand"]


def test_the_worlds_own_functions_follow(world: World, put: Callable[[str], str]) -> None:
    def route(key: str) -> str:
        body = json.dumps({"key": key}).encode()
        answer = send("POST", f"{world.api_url}/presign", body, {"Content-Type": "application/json"}).json
        return str(answer["route"])

    world.stall_replication()
    key = put("followed")
    world.flow.settle(5)
    assert route(key) == "eu-west-2"
    world.mend_replication()
    world.settle()
    assert route(key) == "mrap"


def test_the_monitor_runs_on_command(world: World) -> None:
    assert world.schedules == ["monitor", "uploads", "reconcile"]
    answer = send("POST", f"{world.controls_url}/schedule/monitor")
    assert answer.status == 200
    assert answer.json["answer"]["verdict"] in ("healthy", "behind", "broken")

"""`replica_events` as Lambda runs it, with every recorded event, against DynamoDB (moto's)."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from local.functions import Context
from nearside.adapters import tables
from nearside.adapters.dynamodb import Records
from nearside.adapters.lag_records import LagRecords
from nearside.adapters.tables import Tables
from nearside.places import Place
from nearside.records import Replica
from nearside.s3_events import milliseconds
from tests.integration import catalog_table
from tests.unit import functions
from tests.unit.loopback import Asked, Told, serving

EU, US = "eu-west-2", "us-east-2"
PLACES = (Place(EU, "nearside-eu-west-2"), Place(US, "nearside-us-east-2"))
KEY, VERSION = "images/two regions.svg", "4HL4kqtJvjVBH40Nrjfkd"
ARRIVED = milliseconds("2026-11-21T09:00:04.456Z")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with catalog_table.dynamodb() as url:
        yield url


def context(seconds: float = 28) -> Context:
    """What Lambda tells the function: how long it still has."""
    return Context("ReplicaEventsFunction", "512", time.monotonic() + seconds)


class Function:
    """The handler on a table of its own."""

    def __init__(self, endpoint: str) -> None:
        table = f"events-{next(_numbers)}"
        self.tables: Tables = catalog_table.make(endpoint, PLACES, table)
        self.module = functions.load("replica_events", TABLE=table, DYNAMODB_ENDPOINT=endpoint)

    def __call__(self, *names: str) -> list[str]:
        """The ids of the messages that failed, of the recorded events one after the other."""
        failed: list[str] = []
        for name in names:
            answer: dict[str, Any] = self.module.handler(functions.event(f"replica_events/{name}"), context())
            failed += [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        return failed

    def record(self, place: str, key: str = KEY, version: str = VERSION) -> Replica | None:
        return Records(self.tables).replica(key, version, place)

    def state(self, place: str, key: str = KEY, version: str = VERSION) -> str | None:
        record = self.record(place, key, version)
        return record.state if record else None

    def newest(self, place: str, key: str = KEY) -> str | None:
        current = Records(self.tables).object(key, place)[1]
        return current.version if current else None


@pytest.fixture
def function(endpoint: str) -> Function:
    return Function(endpoint)


def test_created_and_arrived(function: Function) -> None:
    assert function("created") == []
    assert (function.state(EU), function.state(US)) == ("COMPLETED", "PENDING")
    assert (function.newest(EU), function.newest(US)) == (VERSION, None)
    assert function("arrived") == []
    assert (function.state(US), function.newest(US)) == ("COMPLETED", VERSION)
    measured = LagRecords(function.tables).between(US, ARRIVED, ARRIVED)
    assert (measured.count, measured.max_ms) == (1, 4_333)


def test_a_multipart_upload(function: Function) -> None:
    assert function("created-multipart") == []
    record = function.record(EU, "videos/café +1.mp4", "9sGzXwVr3mPq7TnYk2LbHd")
    assert record is not None
    assert (record.state, record.size) == ("COMPLETED", 73_400_320)


def test_a_delete_marker_is_the_newest_version(function: Function) -> None:
    assert function("created", "delete-marker") == []
    assert function.newest(EU) == "L4kqtJlcpXroDTDmpUMLUo"
    assert function.state(US, version="L4kqtJlcpXroDTDmpUMLUo") == "PENDING"


def test_a_removed_version(function: Function) -> None:
    assert function("created", "arrived", "removed-version") == []
    assert (function.state(EU), function.state(US)) == ("ABSENT", "COMPLETED")
    assert (function.newest(EU), function.newest(US)) == (None, VERSION)


def test_a_version_removed_before_it_was_copied_is_awaited_no_more(function: Function) -> None:
    assert function("removed-version", "created") == []
    record = function.record(US)
    assert record is not None
    assert (record.state, record.withdrawn) == ("ABSENT", True)


def test_what_a_lifecycle_rule_expires(function: Function) -> None:
    assert function("created", "expired") == []
    assert function.state(EU) == "ABSENT"
    assert function.newest(EU, "docs/old.txt") == "mJ0pXroDTDmpUMLUo9kqtL"
    assert function.record(US, "docs/old.txt", "mJ0pXroDTDmpUMLUo9kqtL") is None


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["created", "failed", "missed-threshold", "not-tracked"]))
)
def test_what_goes_wrong_on_the_way(function: Function, order: tuple[str, ...]) -> None:
    assert function(*order) == []
    record = function.record(US)
    assert record is not None
    assert (record.state, record.reason, record.rule) == ("FAILED", "AssumeRoleNotPermitted", "to-nearside-us-east-2")
    assert (record.overdue, record.untracked) == (True, True)


def test_a_copy_that_came_late(function: Function) -> None:
    assert function("created", "missed-threshold", "replicated-after-threshold") == []
    record = function.record(US)
    assert record is not None
    assert (record.state, record.overdue, function.newest(US)) == ("COMPLETED", False, VERSION)


def test_a_duplicate_changes_nothing(function: Function) -> None:
    assert function("duplicate") == []
    once = (function.record(EU), function.record(US))
    assert function("duplicate", "created", "arrived") == []
    assert (function.record(EU), function.record(US)) == once
    assert LagRecords(function.tables).between(US, ARRIVED, ARRIVED).count == 1


def test_a_poisoned_message_costs_nobody_elses(function: Function, caplog: pytest.LogCaptureFixture) -> None:
    messages = functions.event("replica_events/poisoned")["Records"]
    assert function("poisoned") == [messages[index]["messageId"] for index in (1, 2, 3)]
    assert (function.state(EU), function.state(US)) == ("COMPLETED", "COMPLETED")
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "the message is no S3 notification" in said
    assert "bucket 'somebody-elses-bucket' belongs to no place of this stack" in said
    assert "Records[0]: Object missing required field" in said


def test_a_catalog_that_cannot_be_reached_gets_every_message_again() -> None:
    module = functions.load("replica_events", TABLE="nearside", DYNAMODB_ENDPOINT="http://127.0.0.1:1")
    event = functions.event("replica_events/duplicate")
    answer = module.handler(event, context())
    assert {each["itemIdentifier"] for each in answer["batchItemFailures"]} == {
        r["messageId"] for r in event["Records"]
    }


def many(count: int) -> dict[str, Any]:
    """Messages of as many objects, each new in the first place."""
    [message] = functions.event("replica_events/created")["Records"]
    messages = []
    for number in range(count):
        body = json.loads(message["body"])
        body["Records"][0]["s3"]["object"]["key"] = f"k{number}"
        messages.append({**message, "messageId": f"m{number}", "body": json.dumps(body)})
    return {"Records": messages}


def test_a_region_that_hangs_is_not_waited_for_with_every_message(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "READ_SECONDS", 0.3)
    hung: list[Asked] = []

    def answer(asked: Asked) -> Told:
        if f"/{US}/" in asked.headers["authorization"]:
            hung.append(asked)
            return Told(hang_seconds=30)
        headers = {name: asked.headers[name] for name in ("authorization", "x-amz-target", "content-type")}
        said = urllib3.request("POST", endpoint, headers=headers, body=asked.body)
        return Told(said.status, {"content-type": "application/x-amz-json-1.0"}, said.data)

    function = Function(endpoint)
    with serving(answer) as server:
        module = functions.load("replica_events", TABLE=function.tables.name, DYNAMODB_ENDPOINT=server.url)
        for _ in range(2):  # the next batch asks it again
            began, hung[:] = time.monotonic(), []
            answered = module.handler(many(60), context())
            assert len(answered["batchItemFailures"]) == 60
            assert 0 < len(hung) <= 32 * tables.ATTEMPTS  # each of the threads at most once
            assert time.monotonic() - began < 10
    assert [function.newest(EU, f"k{number}") for number in range(60)] == [VERSION] * 60


def test_what_there_is_no_time_for_comes_again(function: Function, caplog: pytest.LogCaptureFixture) -> None:
    answer = function.module.handler(many(3), context(seconds=5))
    assert {each["itemIdentifier"] for each in answer["batchItemFailures"]} == {"m0", "m1", "m2"}
    assert "message m0: no time is left for it; it comes again" in caplog.text
    assert function.newest(EU, "k0") is None

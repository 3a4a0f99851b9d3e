"""The handlers of `replicator` and `reconcile`: which messages come again and when, and what is asked by hand."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from nearside.errors import BadRequest, MissingBucket, Unreachable
from nearside.gateway.differences import Report
from nearside.gateway.errors import Busy
from nearside.gateway.reconcile_rounds import Ran
from nearside.gateway.reconciling import Asked
from nearside.gateway.records import Bucket, Copy, Generation, Record
from tests.unit import functions

BACKENDS = {
    "backends": [
        {"name": "eu", "provider": "aws", "zone_code": "eu", "region": "eu-west-2", "is_primary": True},
        {"name": "us", "provider": "aws", "zone_code": "us", "region": "us-east-2", "bucket": "{bucket}-us"},
    ]
}
VARIABLES = {
    "TABLE": "nearside-catalog",
    "BACKENDS": json.dumps(BACKENDS),
    "GATEWAY_QUEUE_URL": "https://sqs.eu-west-2.amazonaws.com/123456789012/nearside-GatewayQueue",
}
DONE = Record(bucket="photos", key="k", current=Generation(id="g", made=0, size=1, etag="e"))


class Context:
    """Lambda's, as far as it is asked."""

    def __init__(self, milliseconds: int = 900_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


class Replicator:
    """Answers for each key what the test says: a record, or an error."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def mend(self, bucket: str, key: str) -> Record | None:
        with self._lock:
            self.asked.append((bucket, key))
        answer = self.answers.get(key)
        if isinstance(answer, Exception):
            raise answer
        found: Record | None = answer
        return found


def replicator(fake: Replicator, again: Callable[[str, int], None]) -> ModuleType:
    """The handler, with that replicator, and told when a message is to come again."""
    module = functions.load("replicator", **VARIABLES)
    module._parts.replicator = fake
    module._visible_again = again  # type: ignore[attr-defined]  # a module that was loaded by its path
    return module


def messages(*bodies: str, receives: int = 1) -> dict[str, Any]:
    """A batch of the queue's."""
    record = functions.event("replicator/copy")["Records"][0]
    return {
        "Records": [
            {
                **record,
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body,
                "attributes": {**record["attributes"], "ApproximateReceiveCount": str(receives)},
            }
            for number, body in enumerate(bodies)
        ]
    }


def of(key: str) -> str:
    return json.dumps({"bucket": "photos", "key": key})


def run(fake: Replicator, event: dict[str, Any], context: Context | None = None) -> tuple[list[str], dict[str, int]]:
    """Which messages come again, and after how many seconds."""
    pauses: dict[str, int] = {}
    module = replicator(fake, pauses.__setitem__)
    with mock.patch.object(module.random, "uniform", lambda low, high: high):
        answer = module.handler(event, context or Context())
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]], pauses


def test_a_message_is_done_when_nothing_is_left_to_do() -> None:
    fake = Replicator(done=DONE)
    assert run(fake, messages(of("done"), of("unknown"))) == ([], {})
    assert sorted(fake.asked) == [("photos", "done"), ("photos", "unknown")]


def test_what_is_not_done_comes_again_alone_and_later_each_time(caplog: pytest.LogCaptureFixture) -> None:
    left = Record(bucket="photos", key="k", current=DONE.current, copies={"b2": Copy(why="it is full")}, due=1)
    assert run(Replicator(left=left, done=DONE), messages(of("done"), of("left"))) == (["m1"], {"r1": 5})
    assert "photos/left: b2 is PENDING it is full" in caplog.text
    assert run(Replicator(left=left), messages(of("left"), receives=4)) == (["m0"], {"r0": 40})
    assert run(Replicator(left=left), messages(of("left"), receives=99)) == (["m0"], {"r0": 900})


@pytest.mark.parametrize(
    "error", [Unreachable("the catalog"), Busy("k is being written"), ZeroDivisionError("a fault of ours")]
)
def test_an_error_costs_its_own_message_only(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    failed, pauses = run(Replicator(bad=error, done=DONE), messages(of("bad"), of("done")))
    assert (failed, pauses) == (["m0"], {"r0": 5})
    assert str(error) in caplog.text


@pytest.mark.parametrize("body", ["not JSON", '{"bucket": "photos"}', '{"bucket": "b", "key": "k", "more": 1}', "[]"])
def test_a_message_that_is_none_of_the_gateway_fails_and_says_so(body: str, caplog: pytest.LogCaptureFixture) -> None:
    fake = Replicator()
    assert run(fake, messages(body))[0] == ["m0"]
    assert fake.asked == []
    assert "message m0: BadEvent: it is no message of the gateway: " in caplog.text


def test_without_time_nothing_is_begun(caplog: pytest.LogCaptureFixture) -> None:
    fake = Replicator(done=DONE)
    assert run(fake, messages(of("done")), Context(59_000)) == (["m0"], {"r0": 5})
    assert fake.asked == []
    assert "no time is left" in caplog.text


def test_a_copy_in_parts_is_told_when_time_is_over() -> None:
    module = functions.load("replicator", **VARIABLES)
    is_over = module._parts._out_of_time
    module._deadline.start(Context(900_000))
    assert not is_over()
    module._deadline.start(Context(30_000))
    assert is_over()


@pytest.mark.parametrize("name", ["replicator", "reconcile"])
@pytest.mark.parametrize("missing", VARIABLES)
def test_without_a_variable_it_does_not_start(name: str, missing: str) -> None:
    with pytest.raises(Exception, match=f"{missing} is not set"):
        functions.load(name, **{**VARIABLES, missing: ""})


class Rounds:
    """What reconcile's handler runs; remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Asked, float]] = []
        self.looked: list[Sequence[str]] = []

    def __call__(self, parts: object, asked: Asked, seconds: float) -> "Rounds":
        self.asked.append((asked, seconds))
        return self

    def run(self) -> Ran:
        return Ran(3, [Report(bucket="photos", keys=2, complete=True)])

    def look(self, buckets: Sequence[str]) -> Sequence[Report]:
        self.looked.append(buckets)
        return [Report(bucket=bucket) for bucket in buckets]


@pytest.fixture
def reconcile() -> tuple[ModuleType, Rounds]:
    module, rounds = functions.load("reconcile", **VARIABLES), Rounds()
    module.rounds = rounds  # type: ignore[attr-defined]  # instead of the real one
    module._parts.records = mock.Mock(buckets=lambda: [Bucket("films", 1), Bucket("photos", 2)])
    return module, rounds


def test_the_schedule_runs_a_round(reconcile: tuple[ModuleType, Rounds], caplog: pytest.LogCaptureFixture) -> None:
    module, rounds = reconcile
    with caplog.at_level(logging.INFO, "nearside"):
        answer = module.handler(functions.event("reconcile/schedule"), Context(120_000))
    assert (answer["swept"], answer["reports"][0]["bucket"]) == (3, "photos")
    assert rounds.asked == [(Asked(), 90.0)]
    assert "3 objects that are due told to the replicator" in caplog.text
    assert json.dumps(answer)


def test_by_hand_a_bucket_is_looked_at_as_asked(reconcile: tuple[ModuleType, Rounds]) -> None:
    module, rounds = reconcile
    answer = module.handler(functions.event("reconcile/dry-run"), Context(120_000))
    assert rounds.asked == [(Asked(dry_run=True), 90.0)]
    assert rounds.looked == [["photos"]]
    assert answer["reports"][0]["bucket"] == "photos"
    module.handler({"reconcile": {"adopt": True}}, Context())
    assert rounds.looked[-1] == ["films", "photos"]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"bucket": "nope"}, MissingBucket, "no bucket 'nope'"),
        ({"dry": True}, BadRequest, "dry"),
        (7, BadRequest, "reconcile: "),
    ],
)
def test_by_hand_what_is_wrong_is_said(
    reconcile: tuple[ModuleType, Rounds], asked: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        reconcile[0].handler({"reconcile": asked}, Context())

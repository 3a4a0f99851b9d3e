"""moto's SQS behind a narrow door: a region's queues, used as Lambda's event source mapping uses them."""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from moto.core.utils import unix_time_millis
from moto.sqs.models import Queue as MotoQueue
from moto.sqs.models import SQSBackend, sqs_backends

from local.intrinsics import PSEUDO_PARAMETERS
from local.object_store import ACCOUNT
from local.template import Queue

# moto deletes from a queue by making a new list: what is sent meanwhile, over HTTP too, would be lost.
changing_queues = threading.Lock()


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was received; `record` is what Lambda makes of it."""

    id: str
    handle: str
    record: dict[str, Any]


class RegionalQueue:
    """One queue of one region."""

    def __init__(self, region: str, name: str) -> None:
        self._region = region
        self._name = name

    @property
    def name(self) -> str:
        """The queue's name in moto: the template's logical id after the stack's name."""
        return self._name

    def send(self, body: str) -> None:
        with changing_queues:
            self._backend().send_message(self._name, body)

    def receive(self, count: int, hidden_seconds: int) -> list[Message]:
        """Up to `count` messages that are visible now. Those received too often move to the dead-letter queue."""
        with changing_queues:
            queue = self._queue()
            received = self._backend().receive_message(self._name, count, 0, hidden_seconds)
        return [Message(each.id, each.receipt_handle or "", self._record(each, queue)) for each in received]

    def delete(self, messages: Iterable[Message]) -> None:
        with changing_queues:
            for message in messages:
                self._backend().delete_message(self._name, message.handle)

    def release(self, message: Message, seconds: float) -> None:
        """Let the message be received again after this time; SQS itself counts in whole seconds."""
        for each in list(self._queue()._messages):
            if each.receipt_handle == message.handle:
                each.visible_at = unix_time_millis() + seconds * 1000

    def hurry(self, within_seconds: float) -> None:
        """Let what would be received again within this time be received now."""
        now = unix_time_millis()
        for each in list(self._queue()._messages):
            if each.visible_at <= now + within_seconds * 1000:
                each.visible_at = min(each.visible_at, now)

    def waiting(self) -> int:
        """How many messages are in the queue, received ones that are not yet deleted included."""
        return len(self._queue()._messages)

    def bodies(self) -> list[str]:
        """What the queue holds, oldest first, without receiving it."""
        return [message.body for message in list(self._queue()._messages)]

    def purge(self) -> list[str]:
        """Empty the queue and return what was in it."""
        with changing_queues:
            bodies = self.bodies()
            self._queue()._messages = []  # moto, like SQS, lets PurgeQueue be asked once a minute
        return bodies

    def remove(self) -> None:
        """Take the queue itself away."""
        self._backend().queues.pop(self._name, None)

    def _backend(self) -> SQSBackend:
        return sqs_backends[ACCOUNT][self._region]

    def _queue(self) -> MotoQueue:
        return self._backend().get_queue(self._name)

    def _record(self, message: Any, queue: MotoQueue) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.approximate_receive_count),
                "SentTimestamp": str(message.sent_timestamp),
                "SenderId": "AIDALOCALS3",
                "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
            },
            "messageAttributes": {},
            "md5OfBody": message.body_md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.queue_arn,
            "awsRegion": self._region,
        }


def create_queues(queues: Sequence[Queue], region: str) -> dict[str, RegionalQueue]:
    """The template's queues in this region, by logical id."""
    made = {queue.name: RegionalQueue(region, real_name(queue.name)) for queue in queues}
    for queue in sorted(queues, key=lambda each: bool(each.dead_letters)):  # a dead-letter queue before those it serves
        attributes: dict[str, Any] = {}
        if queue.dead_letters:
            arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{real_name(queue.dead_letters)}"
            policy = {"deadLetterTargetArn": arn, "maxReceiveCount": queue.max_receives}
            attributes["RedrivePolicy"] = json.dumps(policy)
        sqs_backends[ACCOUNT][region].create_queue(made[queue.name].name, **attributes)
    return made


def real_name(logical_id: str) -> str:
    """The name that CloudFormation would give the queue, but for its random end."""
    return f"{PSEUDO_PARAMETERS['AWS::StackName']}-{logical_id}"

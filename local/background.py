"""The functions that no request starts: those behind a queue, polled in every region, and those on a schedule."""

import itertools
import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.functions import LoadedFunction
from local.intrinsics import PSEUDO_PARAMETERS
from local.queues import Message, RegionalQueue
from local.template import Function, QueueSource, Schedule, Template

_POLL_SECONDS = 0.05
_RETRY_SECONDS = 0.2  # doubled with every further try
LAST_RETRY_SECONDS = 5.0
_CLOSE_SECONDS = 10.0
_MAX_LANES = 4
_ACCOUNT = PSEUDO_PARAMETERS["AWS::AccountId"]

_log = logging.getLogger(__name__)


class NotScheduled(ValueError):
    """A name that is no scheduled function's; the message says which are."""


class Background:
    """Loads the functions behind queues once for each region and each batch at a time, with its AWS_REGION, and the
    scheduled ones once."""

    def __init__(self, template: Template, overrides: Mapping[str, str], regions: tuple[str, ...]) -> None:
        self._template = template
        self._regions = regions
        self._loaded: dict[tuple[str, str, int], LoadedFunction] = {}
        self.load(overrides)

    def load(self, overrides: Mapping[str, str]) -> None:
        """Import every function anew, with these variables over its own. Raises FunctionFailed."""
        loaded = {}
        for function in self._template.functions.values():
            for source in function.queues:
                for region, lane in itertools.product(self.regions(source), range(lanes(source))):
                    environment = {**overrides, "AWS_REGION": region}
                    loaded[function.name, region, lane] = LoadedFunction(function, environment)
            if function.schedules:
                loaded[function.name, "", 0] = LoadedFunction(function, overrides)
        self._loaded = loaded

    def regions(self, source: QueueSource) -> tuple[str, ...]:
        """Where the queue is read: in each region when it is the buckets' events that come there, else in the first,
        where the functions are that send to it."""
        from_s3 = any(queue.from_s3 for queue in self._template.queues if queue.name == source.queue)
        return self._regions if from_s3 else self._regions[:1]

    @property
    def sources(self) -> list[tuple[Function, QueueSource]]:
        """Every function behind a queue, with the queue."""
        return [(function, source) for function in self._template.functions.values() for source in function.queues]

    @property
    def scheduled(self) -> dict[str, Function]:
        """The scheduled functions by the name of their folder, such as `monitor`."""
        return {function.code.name: function for function in self._template.functions.values() if function.schedules}

    def consume(
        self, function: Function, source: QueueSource, region: str, messages: list[Message], lane: int = 0
    ) -> list[Message]:
        """Give one batch to the function, in one of its `lanes`. Returns the messages that are to be tried again.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
        """
        event = {"Records": [message.record for message in messages]}
        try:
            answer = self._loaded[function.name, region, lane].invoke(event, float(function.timeout_seconds))
            return _failed(answer, messages) if source.partial else []
        except Exception:  # noqa: BLE001 - whatever a handler raises or answers wrongly fails the whole batch
            _log.exception("%s failed in %s on a batch of %d", function.name, region, len(messages))
            return messages

    def run(self, name: str) -> Any:
        """Run the scheduled function now and return its answer. Raises NotScheduled, TimedOut and what it raises."""
        if name not in self.scheduled:
            raise NotScheduled(f"{name!r} is no scheduled function: {', '.join(self.scheduled) or 'there is none'}")
        function = self.scheduled[name]
        event = _scheduled_event(function.schedules[0], self._regions[0])
        return self._loaded[function.name, "", 0].invoke(event, float(function.timeout_seconds))


def lanes(source: QueueSource) -> int:
    """How many batches the function works on at a time here; Lambda begins with five and goes on to the template's
    maximum."""
    return min(source.concurrency, _MAX_LANES)


class Poller:
    """Takes messages from one queue to one lane of its function on a thread of its own, while the region is on."""

    def __init__(
        self,
        background: Background,
        function: Function,
        source: QueueSource,
        region: str,
        queue: RegionalQueue,
        is_on: Callable[[str], bool],
        lane: int = 0,
    ) -> None:
        self._lane = lane
        self._background = background
        self._function = function
        self._source = source
        self._region = region
        self._queue = queue
        self._is_on = is_on
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"poll {queue.name} {region}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no further batch."""
        self._closing.set()

    def close(self) -> None:
        """Stop, and wait for the batch in hand, which is left to itself when it takes long."""
        self.stop()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                if self._is_on(self._region) and self._poll():
                    continue
            except Exception:  # noqa: BLE001 - one bad round must not end the thread
                _log.exception("polling %s in %s failed", self._queue.name, self._region)
            self._closing.wait(_POLL_SECONDS)

    def _poll(self) -> bool:
        messages = self._queue.receive(self._source.batch_size, self._function.timeout_seconds + 30)
        if not messages:
            return False
        again = self._background.consume(self._function, self._source, self._region, messages, self._lane)
        self._queue.delete(message for message in messages if message not in again)
        for message in again:
            self._queue.release(message, _wait_seconds(message))
        return True


def _wait_seconds(message: Message) -> float:
    """Until the next try: soon, since a test waits for it, but not so soon that a short outage uses all tries up."""
    tries = int(message.record["attributes"]["ApproximateReceiveCount"])
    return min(_RETRY_SECONDS * 2.0 ** (tries - 1), LAST_RETRY_SECONDS)


def _failed(answer: Any, messages: list[Message]) -> list[Message]:
    """The messages that the answer names; all of them when it names one that is not in the batch."""
    failures = (answer or {}).get("batchItemFailures") or []
    names = {failure["itemIdentifier"] for failure in failures}
    if names - {message.id for message in messages}:
        return messages
    return [message for message in messages if message.id in names]


def _scheduled_event(schedule: Schedule, region: str) -> Any:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html"""
    if schedule.input:
        return json.loads(schedule.input)
    newer = schedule.kind == "ScheduleV2"
    kind = f"scheduler:{region}:{_ACCOUNT}:schedule/default" if newer else f"events:{region}:{_ACCOUNT}:rule"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler" if newer else "aws.events",
        "account": _ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:{kind}/{schedule.name}"],
        "detail": "{}" if newer else {},
    }

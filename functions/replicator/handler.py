"""The gateway's objects to every place, message by message; one that is not done comes again later each time."""

import asyncio
import logging
import random
import time
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType, async_process_partial_response

from nearside import settings
from nearside.adapters import credentials
from nearside.adapters.message_visibility import MessageVisibility
from nearside.errors import BadEvent, NearsideError
from nearside.gateway.pausing import pause_seconds
from nearside.gateway.records import Record
from nearside.gateway_assembly import GatewayParts

# An object is not begun with less, and one that goes in parts is not gone on with: a part takes seconds, and what is
# under way in every place is to end before Lambda ends the function.
LEAST_MS = 60_000

log = logging.getLogger("nearside")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The object that something is to be done for."""

    bucket: str
    key: str


class _NotDone(NearsideError):
    """Something is left to do, or there was no time for it."""

    code = "NotDone"


class _Deadline:
    """The end of this invocation's time."""

    def __init__(self) -> None:
        self._end = 0.0

    def start(self, context: Any) -> None:
        self._end = time.monotonic() + (context.get_remaining_time_in_millis() - LEAST_MS) / 1000

    def is_over(self) -> bool:
        return time.monotonic() > self._end


_deadline = _Deadline()
_settings = settings.load(needs=("TABLE", "BACKENDS", "GATEWAY_QUEUE_URL"))
_parts = GatewayParts(_settings, out_of_time=_deadline.is_over)
_visible_again = MessageVisibility(
    _settings.gateway_queue_url, _settings.region, credentials.of(_settings), _settings.sqs_endpoint
)


def _mend(body: str) -> None:
    if _deadline.is_over():
        raise _NotDone("no time is left for it")
    try:
        message = msgspec.json.decode(body, type=Message)
    except msgspec.DecodeError as error:
        raise BadEvent(f"it is no message of the gateway: {error}") from error
    record = _parts.replicator.mend(message.bucket, message.key)
    if record is not None and record.due is not None:
        raise _NotDone(f"{message.bucket}/{message.key}: {_left(record)}")


def _left(record: Record) -> str:
    wanted = "ABSENT" if record.current is None else "COMPLETED"
    left = [f"{name} is {copy.state} {copy.why}" for name, copy in record.copies.items() if copy.state != wanted]
    return "; ".join(left) or "something is left to be looked at"


async def _record(record: Any, lambda_context: Any) -> None:  # Powertools gives the context by this name
    try:
        await asyncio.to_thread(_mend, record.body)
    except Exception as error:
        if isinstance(error, _NotDone):
            log.warning("message %s: not done: %s", record.message_id, error)
        elif isinstance(error, NearsideError):
            log.error("message %s: %s: %s", record.message_id, error.code, error)
        else:
            log.exception("message %s", record.message_id)
        receives = int(record.attributes.approximate_receive_count)
        await asyncio.to_thread(_visible_again, record.receipt_handle, pause_seconds(receives, random.uniform))
        raise


def handler(event: dict[str, Any], context: Any) -> Any:
    """The messages that are to come again: `{"batchItemFailures": [{"itemIdentifier": …}]}`."""
    _deadline.start(context)
    processor = AsyncBatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return async_process_partial_response(event=event, record_handler=_record, processor=processor, context=context)

"""S3's events of every bucket, from the queue into the catalog; a message that cannot be used costs no other."""

import asyncio
import logging
from typing import Any

from aws_lambda_powertools.utilities.batch import AsyncBatchProcessor, EventType, async_process_partial_response

from nearside import s3_events, settings
from nearside.assembly import CatalogParts
from nearside.errors import BadEvent, NearsideError

# A region's table that hangs costs the first of a batch's messages 3 s in each of 3 attempts, and the pauses between.
MESSAGE_MS = 13_000

log = logging.getLogger("nearside")

_settings = settings.load(needs=("TABLE",))
_parts = CatalogParts(_settings)
_places = {place.bucket: place.name for place in _settings.places}


class _OutOfTime(Exception):
    """The function might be ended before the message is done, and every other of its batch come again with it."""


def _apply(body: str, context: Any) -> None:
    """What can be read of the message is applied, whatever else is in it; the rest makes it fail."""
    if context.get_remaining_time_in_millis() < MESSAGE_MS:
        raise _OutOfTime
    notification = s3_events.read(body, _places)
    for event in notification.events:
        _parts.catalog.apply(event)
    if notification.complaints:
        raise BadEvent("; ".join(notification.complaints))


async def _record(record: Any, lambda_context: Any) -> None:  # Powertools gives the context by this name
    try:
        # Most of an event's time goes by waiting for DynamoDB in other regions: the batch's messages wait together.
        await asyncio.to_thread(_apply, record.body, lambda_context)
    except _OutOfTime:
        log.warning("message %s: no time is left for it; it comes again", record.message_id)
        raise
    except NearsideError as error:
        log.error("message %s: %s: %s", record.message_id, error.code, error)
        raise
    except Exception:
        log.exception("message %s", record.message_id)
        raise


def handler(event: dict[str, Any], context: Any) -> Any:
    """The messages that are to come again: `{"batchItemFailures": [{"itemIdentifier": …}]}`."""
    processor = AsyncBatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    with _parts.tables.asking_once():
        answer = async_process_partial_response(
            event=event, record_handler=_record, processor=processor, context=context
        )
        try:
            _parts.lags.flush()
        except NearsideError as error:  # statistics, kept for the next time: the messages are done all the same
            log.warning("lags not recorded: %s", error)
    return answer

"""S3's events as the catalog understands them, and how they are read from the messages that S3 sends to a queue.

The message: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (versions 2.1 to
2.6 are alike in what is read here); `replicationEventData`:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html; the kinds of events:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

from nearside.errors import BadEvent

NULL_VERSION = "null"  # S3's name for the version of an object in a bucket without versioning
MAX_KEY_BYTES = 1024

type Outcome = Literal["failed", "missed_threshold", "after_threshold", "not_tracked"]


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A version, or a delete marker, appeared in a place: by a client's write or as a replica. `at` is in milliseconds
    since the epoch, `sequencer` in the form that `sequencer()` gives; `travels` is false for what S3 never replicates,
    the delete markers of lifecycle rules."""

    place: str
    key: str
    version: str
    at: int
    sequencer: str
    size: int = 0
    etag: str = ""
    marker: bool = False
    travels: bool = True


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A version was deleted for good in a place."""

    place: str
    key: str
    version: str
    at: int
    sequencer: str


class Replicated(msgspec.Struct, frozen=True, kw_only=True):
    """What S3 said of replicating a version from one place to another."""

    source: str
    destination: str
    key: str
    version: str
    at: int
    outcome: Outcome
    rule: str = ""
    reason: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A look found a version in a place, and no event had told of it. When it came is not known: `modified` is its
    Last-Modified, which is its source's, cut to the second, in milliseconds since the epoch."""

    place: str
    key: str
    version: str
    modified: int


type Event = Created | Removed | Replicated | Found
"""S3 told all of them but the last."""


class Notification(msgspec.Struct, frozen=True):
    """A message: the events in it that could be read, and in words what is wrong with the rest of it."""

    events: Sequence[Event]
    complaints: Sequence[str]


def sequencer(text: str) -> str:
    """S3's sequencer in a form that compares as S3 means it: hexadecimal, the shorter padded with zeros at the right
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html)."""
    return text.upper().ljust(_SEQUENCER_DIGITS, "0")


_SEQUENCER_DIGITS = 32  # S3's have 16 to 18 today


def read(body: str, places: Mapping[str, str]) -> Notification:
    """The events of one message. `places` are the places' names by their buckets'.

    A test event, and events of kinds that say nothing of where an object is (tags, access lists, restores), are none.
    A record that cannot be read is a complaint, and costs the others of its message nothing. Raises BadEvent when the
    whole message is no S3 notification.
    """
    try:
        message = msgspec.json.decode(body, type=_Message)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadEvent(f"the message is no S3 notification: {error}") from error
    if message.Records is None:
        if message.Event == "s3:TestEvent":  # sent once, when a bucket's notifications are configured
            return Notification([], [])
        raise BadEvent("the message is no S3 notification: it has no Records")
    events: list[Event] = []
    complaints: list[str] = []
    for index, raw in enumerate(message.Records):
        try:
            record = msgspec.json.decode(raw, type=_Record)
            event = _event(record, places)
        except (msgspec.DecodeError, BadEvent, ValueError) as error:
            complaints.append(f"Records[{index}]: {error}")
        else:
            if event is not None:
                events.append(event)
    return Notification(events, complaints)


def _event(record: "_Record", places: Mapping[str, str]) -> Event | None:
    family, _, kind = record.eventName.removeprefix("s3:").partition(":")
    place = _place(record.s3.bucket.name, places)
    entity = record.s3.object
    key, version = _key(entity.key), entity.versionId or NULL_VERSION
    at = milliseconds(record.eventTime)
    order = sequencer(entity.sequencer) if entity.sequencer else _sequencer_of(at)
    marker = kind == "DeleteMarkerCreated"
    if family == "ObjectCreated" or (marker and family in ("ObjectRemoved", "LifecycleExpiration")):
        return Created(
            place=place,
            key=key,
            version=version,
            at=at,
            sequencer=order,
            size=0 if marker else entity.size or 0,
            etag="" if marker else (entity.eTag or "").strip('"'),
            marker=marker,
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
            travels=family != "LifecycleExpiration",
        )
    if family in ("ObjectRemoved", "LifecycleExpiration") and kind == "Delete":
        return Removed(place=place, key=key, version=version, at=at, sequencer=order)
    if family == "Replication":
        return _replicated(record, kind, place, key, version, at, places)
    return None


def _replicated(
    record: "_Record", kind: str, place: str, key: str, version: str, at: int, places: Mapping[str, str]
) -> Replicated:
    data = record.replicationEventData
    if data is None:
        raise BadEvent(f"{record.eventName} without replicationEventData")
    if kind not in _OUTCOMES:
        raise BadEvent(f"{record.eventName} is no kind of replication event that is known")
    return Replicated(
        source=place,
        destination=_place(data.destinationBucket.rpartition(":")[2], places),  # an ARN, or the bare name
        key=key,
        version=version,
        at=at,
        outcome=_OUTCOMES[kind],
        rule=data.replicationRuleId,
        reason=data.failureReason,
    )


_OUTCOMES: Mapping[str, Outcome] = {
    "OperationFailedReplication": "failed",
    "OperationMissedThreshold": "missed_threshold",
    "OperationReplicatedAfterThreshold": "after_threshold",
    "OperationNotTracked": "not_tracked",
}


def _place(bucket: str, places: Mapping[str, str]) -> str:
    if bucket not in places:
        raise BadEvent(f"bucket {bucket!r} belongs to no place of this stack ({', '.join(places)})")
    return places[bucket]


def _key(encoded: str) -> str:
    """The key, which S3 encodes as a form does: `red+flower.jpg` is `red flower.jpg`."""
    try:
        key = unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError as error:
        raise BadEvent(f"key {encoded!r} is not UTF-8") from error
    if not key or len(key.encode()) > MAX_KEY_BYTES:
        raise BadEvent(f"key {encoded[:100]!r} has {len(key.encode())} bytes: expected 1 to {MAX_KEY_BYTES}")
    return key


def milliseconds(text: str) -> int:
    """Since the epoch, of an ISO 8601 time; UTC when it does not say. Raises BadEvent."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadEvent(f"eventTime is {text!r}: expected an ISO 8601 time") from error
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _sequencer_of(at: int) -> str:
    """A sequencer for an event that has none. S3 promises one for puts and deletes only; those seen begin with the
    seconds since the epoch in ten digits, so one made of them stands where it should among real ones."""
    return sequencer(f"{at // 1000:010X}{at % 1000 * 0xFFFF // 1000:04X}")


class _Bucket(msgspec.Struct, frozen=True):
    name: str


class _Object(msgspec.Struct, frozen=True):
    key: str
    size: int | None = None
    eTag: str | None = None
    versionId: str | None = None
    sequencer: str | None = None


class _Entity(msgspec.Struct, frozen=True):
    bucket: _Bucket
    object: _Object


class _ReplicationData(msgspec.Struct, frozen=True):
    destinationBucket: str
    replicationRuleId: str = ""
    failureReason: str = ""


class _Record(msgspec.Struct, frozen=True):
    eventName: str
    eventTime: str
    s3: _Entity
    replicationEventData: _ReplicationData | None = None


class _Message(msgspec.Struct, frozen=True):
    Records: list[msgspec.Raw] | None = None
    Event: str = ""

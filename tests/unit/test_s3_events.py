"""S3's messages, read: every kind in S3's own shape, and what is wrong with one that is not."""

import json
from typing import Any

import pytest

from nearside.errors import BadEvent
from nearside.s3_events import Created, Removed, Replicated, milliseconds, read, sequencer
from tests.unit import functions

PLACES = {"nearside-eu-west-2": "eu-west-2", "nearside-us-east-2": "us-east-2"}


def bodies(name: str) -> list[str]:
    return [record["body"] for record in functions.event(f"replica_events/{name}")["Records"]]


def only(name: str) -> Any:
    [body] = bodies(name)
    notification = read(body, PLACES)
    assert notification.complaints == []
    [event] = notification.events
    return event


def changed(name: str = "created", **fields: Any) -> str:
    """The message with fields of its record set: `s3__object__key=…`."""
    message = json.loads(bodies(name)[0])
    for path, value in fields.items():
        *parents, last = path.split("__")
        where = message["Records"][0]
        for parent in parents:
            where = where[parent]
        if value is None:
            where.pop(last, None)
        else:
            where[last] = value
    return json.dumps(message)


def test_a_created_object() -> None:
    assert only("created") == Created(
        place="eu-west-2",
        key="images/two regions.svg",
        version="4HL4kqtJvjVBH40Nrjfkd",
        at=milliseconds("2026-11-21T09:00:00.123Z"),
        sequencer=sequencer("0069200B20075BCD15"),
        size=812,
        etag="9b2cf535f27731c974343645a3985328",
    )
    assert only("created").at % 1000 == 123
    assert only("created-multipart").key == "videos/café +1.mp4"
    assert only("created-multipart").etag.endswith("-9")


def test_a_delete_marker_and_a_removed_version() -> None:
    marker, removed = only("delete-marker"), only("removed-version")
    assert isinstance(marker, Created)
    assert (marker.marker, marker.travels, marker.size, marker.etag) == (True, True, 0, "")
    assert removed == Removed(
        place="eu-west-2",
        key="images/two regions.svg",
        version="4HL4kqtJvjVBH40Nrjfkd",
        at=milliseconds("2026-11-21T09:06:00Z"),
        sequencer=sequencer("0069200C880000000A"),
    )


def test_what_a_lifecycle_rule_does_stays_in_its_bucket() -> None:
    removed, marker = read(bodies("expired")[0], PLACES).events
    assert isinstance(removed, Removed)
    assert isinstance(marker, Created)
    assert (marker.marker, marker.travels) == (True, False)
    # They have no sequencer: one is made of their times, which stands among those that S3 gives.
    assert only("removed-version").sequencer < removed.sequencer < sequencer("006B030000")


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("failed", "failed", "AssumeRoleNotPermitted"),
        ("missed-threshold", "missed_threshold", ""),
        ("replicated-after-threshold", "after_threshold", ""),
        ("not-tracked", "not_tracked", ""),
    ],
)
def test_what_s3_says_of_replication(name: str, outcome: str, reason: str) -> None:
    event = only(name)
    assert isinstance(event, Replicated)
    assert (event.source, event.destination, event.outcome) == ("eu-west-2", "us-east-2", outcome)
    assert (event.rule, event.reason, event.version) == ("to-nearside-us-east-2", reason, "4HL4kqtJvjVBH40Nrjfkd")
    bare = read(changed(name, replicationEventData__destinationBucket="nearside-us-east-2"), PLACES)
    assert bare.events == [event]


def test_names_may_have_their_prefix() -> None:
    assert read(changed(eventName="s3:ObjectCreated:Put"), PLACES).events == [only("created")]


@pytest.mark.parametrize("version", [None, "", "null"])
def test_an_object_without_a_version_has_the_version_null(version: str | None) -> None:
    [event] = read(changed(s3__object__versionId=version), PLACES).events
    assert event.version == "null"


@pytest.mark.parametrize(
    "name", ["ObjectTagging:Put", "ObjectRestore:Completed", "ObjectAcl:Put", "IntelligentTiering"]
)
def test_what_says_nothing_of_where_an_object_is_is_passed_over(name: str) -> None:
    notification = read(changed(eventName=name), PLACES)
    assert (notification.events, notification.complaints) == ([], [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"s3__bucket__name": "other"}, "bucket 'other' belongs to no place of this stack (nearside-eu-west-2, "),
        ({"eventTime": "yesterday"}, "eventTime is 'yesterday'"),
        ({"eventTime": None}, "missing required field `eventTime`"),
        ({"s3__object__key": None}, "missing required field `key`"),
        ({"s3__object__key": "%ff"}, "is not UTF-8"),
        ({"s3__object__key": ""}, "has 0 bytes"),
        ({"s3__object__key": "a" * 1025}, "has 1025 bytes: expected 1 to 1024"),
        ({"s3__object__size": "big"}, "$.s3.object.size"),
        ({"eventName": "Replication:OperationFailedReplication"}, "without replicationEventData"),
    ],
)
def test_a_record_that_cannot_be_read_says_why(fields: dict[str, Any], words: str) -> None:
    notification = read(changed(**fields), PLACES)
    assert notification.events == []
    [complaint] = notification.complaints
    assert complaint.startswith("Records[0]: ")
    assert words in complaint


def test_an_unknown_destination_or_kind_of_replication_says_so() -> None:
    for fields, words in (
        ({"replicationEventData__destinationBucket": "arn:aws:s3:::x-y-z"}, "bucket 'x-y-z'"),
        ({"eventName": "Replication:OperationForgotten"}, "no kind of replication event"),
    ):
        [complaint] = read(changed("failed", **fields), PLACES).complaints
        assert words in complaint


def test_the_good_records_of_a_message_are_read_all_the_same() -> None:
    bad_and_good = bodies("poisoned")[3]
    notification = read(bad_and_good, PLACES)
    assert [type(event) for event in notification.events] == [Created]
    assert len(notification.complaints) == 1


@pytest.mark.parametrize("body", ["", "{not json", "[]", "{}", '"Records"', '{"Records": 1}', '{"Event": "s3:Other"}'])
def test_a_message_that_is_no_notification_is_refused(body: str) -> None:
    with pytest.raises(BadEvent, match="is no S3 notification"):
        read(body, PLACES)


def test_s3s_test_event_is_none() -> None:
    assert read(bodies("poisoned")[4], PLACES).events == []


def test_sequencers_compare_as_s3_means_it() -> None:
    assert sequencer("0055AED6DCD90281E5") < sequencer("0055AED6DCD90281E6")
    assert sequencer("0055aed6dcd9") < sequencer("0055AED6DCD90281E5") < sequencer("0055AED6DD")
    assert sequencer("00A0") == sequencer("00A")

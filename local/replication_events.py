"""S3's replication events: that a version failed, missed the time threshold, or came after it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from moto.s3.models import FakeKey

from local.events import Happened
from local.object_store import Version
from local.replication_rules import ReplicationRule

FAILED = "Replication:OperationFailedReplication"
MISSED = "Replication:OperationMissedThreshold"
AFTER = "Replication:OperationReplicatedAfterThreshold"


def replication_event(
    name: str, version: Version, source: tuple[str, str], rule: ReplicationRule, since: float, **more: str
) -> Happened:
    """The event, told by the source (its region and bucket). `since` is when the operation was asked for, in seconds
    since the epoch; `more` goes into `replicationEventData`."""
    data: Mapping[str, str] = {
        "replicationRuleId": rule.id,
        "destinationBucket": f"arn:aws:s3:::{rule.destination}",
        "s3Operation": "OBJECT_PUT" if isinstance(version, FakeKey) else "DELETE_MARKER_CREATE",
        "requestTime": datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        **more,
    }
    return Happened(
        name=name,
        region=source[0],
        bucket=source[1],
        key=version.name,
        version_id=version.version_id,
        size=version.size if isinstance(version, FakeKey) else None,
        etag=version.etag if isinstance(version, FakeKey) else "",
        replication=data,
    )

"""S3's event notifications: each record in S3's own shape, told to every listener as it happens.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

type Record = Mapping[str, Any]
type Listener = Callable[[Record], None]

FEED_LENGTH = 1000

_OWNER = "A1NEARSIDELOCAL"


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to one version: `name` is such as `ObjectCreated:Put`.

    `size` is None for delete markers and deletions; `principal` is the access key that asked, empty for replication;
    `replication` is what the replication events say beside (`replicationEventData`).
    """

    name: str
    region: str
    bucket: str
    key: str
    version_id: str
    size: int | None = None
    etag: str = ""
    principal: str = ""
    client: str = "127.0.0.1"
    replication: Mapping[str, str] | None = None


class Events:
    """Makes records and tells them to `listeners`, in the order in which they happened."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._lock = threading.Lock()
        # Only the order of two sequencers of one key means something, so one rising counter serves all keys.
        self._sequence = itertools.count(time.time_ns())

    def publish(self, happened: Happened) -> None:
        """Tell every listener."""
        with self._lock:
            record = _record(happened, f"{next(self._sequence):018X}")
            for listener in self.listeners:
                listener(record)


def _record(happened: Happened, sequencer: str) -> Record:
    described: dict[str, Any] = {"key": quote_plus(happened.key, safe="/")}
    if happened.size is not None:
        described |= {"size": happened.size, "eTag": happened.etag.strip('"')}
    described |= {"versionId": happened.version_id, "sequencer": sequencer}
    told_by_s3 = happened.replication is not None
    record = {
        "eventVersion": "2.2" if told_by_s3 else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": happened.region,
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "eventName": happened.name,
        "userIdentity": {
            "principalId": "s3.amazonaws.com" if told_by_s3 else f"AWS:{happened.principal or 's3-replication'}"
        },
        "requestParameters": {"sourceIPAddress": "s3.amazonaws.com" if told_by_s3 else happened.client},
        "responseElements": {
            "x-amz-request-id": secrets.token_hex(8).upper(),
            "x-amz-id-2": secrets.token_urlsafe(32),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "nearside",
            "bucket": {
                "name": happened.bucket,
                "ownerIdentity": {"principalId": _OWNER},
                "arn": f"arn:aws:s3:::{happened.bucket}",
            },
            "object": described,
        },
    }
    return record | ({"replicationEventData": dict(happened.replication)} if happened.replication else {})


class Feed:
    """The last records, oldest first: a listener that remembers."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=FEED_LENGTH)

    def __call__(self, record: Record) -> None:
        self._records.append(record)

    def records(self) -> list[Record]:
        return list(self._records)

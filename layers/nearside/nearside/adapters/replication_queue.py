"""Tells the replicator by SQS that an object has something to be done."""

import logging
import time
from collections.abc import Callable

import msgspec

from nearside import signing
from nearside.adapters.wire import Wire
from nearside.errors import NearsideError
from nearside.places import split_endpoint

log = logging.getLogger("nearside")

SECONDS = 1.0
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_TARGET = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"}


class ReplicationQueue:
    """Call it with bucket and key. Nothing is raised: the sweep finds a record whose message was lost. Thread-safe.

    `url` is the queue's; `endpoint` is an emulation, empty for AWS.
    """

    def __init__(
        self, url: str, region: str, credentials: Callable[[], signing.Credentials], endpoint: str = ""
    ) -> None:
        scheme, self._host, _ = split_endpoint(endpoint or url)
        self._wire = Wire(scheme, self._host)
        self._url = url
        self._region = region
        self._credentials = credentials

    def __call__(self, bucket: str, key: str) -> None:
        """Sends `{"bucket": …, "key": …}`."""
        message = msgspec.json.encode({"bucket": bucket, "key": key}).decode()
        body = msgspec.json.encode({"QueueUrl": self._url, "MessageBody": message})
        try:
            signer = signing.V4(self._credentials(), time.time(), self._region, "sqs")
            [(status, answer)] = self._wire.post([(signer.headers(self._host, _TARGET, body), body)], seconds=SECONDS)
        except NearsideError as error:
            log.warning("%s/%s: the replicator was not told: %s", bucket, key, error)
            return
        if status != 200:
            log.warning("%s/%s: the replicator was not told: SQS answered %d %r", bucket, key, status, answer[:300])

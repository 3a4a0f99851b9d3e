"""When a message that was received is to be received again."""

import logging
import time
from collections.abc import Callable

import msgspec

from nearside import signing
from nearside.adapters.wire import Wire
from nearside.errors import NearsideError
from nearside.places import split_endpoint

log = logging.getLogger("nearside")

SECONDS = 2.0
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
_TARGET = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.ChangeMessageVisibility"}


class MessageVisibility:
    """Of one queue, by its URL. `endpoint` is an emulation of SQS, empty for AWS. Thread-safe."""

    def __init__(
        self, url: str, region: str, credentials: Callable[[], signing.Credentials], endpoint: str = ""
    ) -> None:
        scheme, self._host, _ = split_endpoint(endpoint or url)
        self._wire = Wire(scheme, self._host)
        self._url = url
        self._region = region
        self._credentials = credentials

    def __call__(self, receipt_handle: str, seconds: int) -> None:
        """Lets the message be received again after so many seconds. When that cannot be said, which is logged, it is
        after the queue's own time. Raises nothing."""
        asked = {"QueueUrl": self._url, "ReceiptHandle": receipt_handle, "VisibilityTimeout": seconds}
        body = msgspec.json.encode(asked)
        try:
            signer = signing.V4(self._credentials(), time.time(), self._region, "sqs")
            [(status, answer)] = self._wire.post([(signer.headers(self._host, _TARGET, body), body)], seconds=SECONDS)
        except NearsideError as error:
            log.warning("a message comes again after the queue's own time, not after %d s: %s", seconds, error)
            return
        if status != 200:
            words = "a message comes again after the queue's own time, not after %d s: SQS answered %d %r"
            log.warning(words, seconds, status, answer[:300])

"""The table by DynamoDB's own JSON over `nearside.adapters.wire`: what the gateway's hot path can pay for.

boto3 takes 200 ms to import and a millisecond and a half for each call; this takes a tenth of that.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from nearside import signing
from nearside.adapters.wire import AT_ONCE, Wire
from nearside.errors import NearsideError, Unreachable, from_dynamodb
from nearside.places import split_endpoint

log = logging.getLogger("nearside")

SECONDS = 2.0  # for one try
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.05
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_TRANSIENT = frozenset({
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
})  # fmt: skip

type Item = Mapping[str, Mapping[str, Any]]


class ConditionFailed(Exception):
    """A condition did not hold; `item` is what stands (empty: nothing, or it was not asked for). `again` says that the
    request was sent before and no answer came, so that it may be its own first try that stands."""

    def __init__(self, item: Item, *, again: bool) -> None:
        super().__init__("the condition did not hold")
        self.item = item
        self.again = again


class DynamoDbWire:
    """One table in one region; `endpoint` is an emulation, empty for AWS. Thread-safe."""

    def __init__(
        self,
        table: str,
        region: str,
        credentials: Callable[[], signing.Credentials],
        endpoint: str = "",
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        scheme, self._host, _ = split_endpoint(endpoint or f"https://dynamodb.{region}.{suffix}")
        self._wire = Wire(scheme, self._host)
        self._table = table
        self._region = region
        self._credentials = credentials
        self._sleep = sleep

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an operation (`GetItem`) on the table. Throttling, 5xx and closed connections are tried again.

        Raises ConditionFailed, Refused, BadSettings when there is no such table, and Unreachable for whatever says
        nothing of the item.
        """
        sent = self._request(operation, request)
        lost = False
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            try:
                [(status, body)] = self._wire.post([self._signed(sent)], seconds=SECONDS)
            except Unreachable as error:
                failure: NearsideError = Unreachable(f"the catalog: {error}")
                lost = True
                continue
            if status == 200:
                return _decoded(body)
            code, failure = self._failure(operation, status, body, again=lost)
            if status < 500 and code not in _TRANSIENT:
                break
            lost = lost or status >= 500
        raise failure

    def call_many(self, operation: str, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to several of an operation that only reads, at once; errors as of `call`."""
        answers: list[dict[str, Any]] = []
        for start in range(0, len(requests), AT_ONCE):
            some = requests[start : start + AT_ONCE]
            try:
                signed = [self._signed(self._request(operation, each)) for each in some]
                told = self._wire.post(signed, seconds=SECONDS)
            except Unreachable:
                told = [(0, b"")] * len(some)
            for request, (status, body) in zip(some, told, strict=True):
                answers.append(_decoded(body) if status == 200 else self.call(operation, request))
        return answers

    def _request(self, operation: str, request: Mapping[str, Any]) -> tuple[str, bytes]:
        named = {} if operation.startswith("Batch") else {"TableName": self._table}
        return operation, msgspec.json.encode({**named, **request})

    def _signed(self, request: tuple[str, bytes]) -> tuple[Mapping[str, str], bytes]:
        operation, body = request
        target = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"}
        signer = signing.V4(self._credentials(), time.time(), self._region, "dynamodb")
        return signer.headers(self._host, target, body), body

    def _failure(self, operation: str, status: int, body: bytes, *, again: bool) -> tuple[str, NearsideError]:
        """The code, and the error that it is. Raises ConditionFailed."""
        try:
            said = _decoded(body)
        except msgspec.DecodeError:
            said = {}
        code = str(said.get("__type", "")).rpartition("#")[2]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(said.get("Item", {}), again=again)
        # DynamoDB's own words name the table's ARN and the role: they are for the log, not for whoever asked.
        words = said.get("message", said.get("Message", ""))
        log.warning("the catalog answered %s to %s: %s", code or status, operation, words)
        return code, from_dynamodb(code, f"the catalog answered {code or status}")


def _decoded(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])

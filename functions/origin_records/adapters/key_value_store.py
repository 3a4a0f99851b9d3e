"""The CloudFront key-value store that origin_function reads. It takes SigV4A only, which boto3 signs with awscrt."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KEY = "origins"
# Calls of the store's API are charged, and nobody else writes it: what it said is believed for so long.
REMEMBERED_SECONDS = 3_600
_CALL_SECONDS = 5


def client() -> Any:
    """A client of the data plane, which needs awscrt beside boto3."""
    config = Config(connect_timeout=_CALL_SECONDS, read_timeout=_CALL_SECONDS, retries={"total_max_attempts": 2})
    # The host comes from the store's ARN (https://<account>.cloudfront-kvs.global.api.aws); botocore wants a region.
    return cast(Any, boto3).client("cloudfront-keyvaluestore", region_name="us-east-1", config=config)


class _Seen(NamedTuple):
    value: str | None
    etag: str
    until: float


class KeyValueStore:
    """One key of one store; implements `origins.KeepsOrigins`. Raises botocore's errors."""

    def __init__(self, arn: str, client: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._arn = arn
        self._client = client
        self._clock = clock
        self._seen: _Seen | None = None

    def read(self) -> str | None:
        """The value, or what it was less than an hour ago; None when the key is not there."""
        if self._seen is None or self._clock() >= self._seen.until:
            # The version first: if somebody writes between the two calls, our write will fail rather than undo theirs.
            etag = self._client.describe_key_value_store(KvsARN=self._arn)["ETag"]
            self._see(self._value(), etag)
        assert self._seen is not None
        return self._seen.value

    def write(self, value: str) -> None:
        """Writes on condition that the store is as it was read. When somebody else wrote, this fails, and the next run
        reads again."""
        self.read()
        assert self._seen is not None
        etag, self._seen = self._seen.etag, None
        # https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_kvs_PutKey.html
        answer = self._client.put_key(KvsARN=self._arn, Key=KEY, Value=value, IfMatch=etag)
        self._see(value, answer["ETag"])

    def _value(self) -> str | None:
        try:
            return str(self._client.get_key(KvsARN=self._arn, Key=KEY)["Value"])
        except ClientError as error:
            # The store itself is there, or its version could not have been read.
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise

    def _see(self, value: str | None, etag: str) -> None:
        self._seen = _Seen(value, etag, self._clock() + REMEMBERED_SECONDS)

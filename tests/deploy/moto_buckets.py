"""Buckets of an in-process moto behind the real calls, with what S3 checks and says and moto does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends

from deploy.adopting_s3 import AwsCalls
from deploy.bucket_state import PARTS, Part, State
from local.object_store import ACCOUNT
from local.replication_rules import replication_xml
from tests.deploy.buckets import BUCKETS, CountedCalls, check, in_s3s_words


class _Raw:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


def _whole_rules(request: Any, **_: Any) -> AWSResponse | None:
    """moto's own answer forgets half of each rule."""
    bucket = request.url.split("://")[1].split(".")[0].split("?")[0]
    stored = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    if stored is None or not getattr(stored, "replication", None):
        return None
    return AWSResponse(request.url, 200, {}, _Raw(replication_xml(bucket)))  # type: ignore[arg-type]


@cache
def make_client(service: str, region: str) -> Any:
    """A client that moto answers."""
    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret"}
    client = boto3.client(service, region_name=region, config=Config(retries={"total_max_attempts": 1}), **keys)  # type: ignore[call-overload]
    if service == "s3":
        client.meta.events.register_first("before-send.s3.GetBucketReplication", _whole_rules)
    return client


class MotoCalls(CountedCalls, AwsCalls):
    """The real calls, counted; moto does not know Batch Replication jobs."""

    def __init__(self) -> None:
        CountedCalls.__init__(self)
        AwsCalls.__init__(self, make_client, ACCOUNT)

    def read(self, part: str, bucket: str, region: str) -> Part:
        return in_s3s_words(part, AwsCalls.read(self, part, bucket, region))

    def write(self, part: str, bucket: str, region: str, value: Part) -> None:
        check(self, part, bucket, region, value)
        self.change(lambda: AwsCalls.write(self, part, bucket, region, value))

    def write_record(self, bucket: str, region: str, key: str, content: bytes) -> None:
        self.change(lambda: AwsCalls.write_record(self, bucket, region, key, content))

    def delete_record(self, bucket: str, region: str, key: str) -> None:
        self.change(lambda: AwsCalls.delete_record(self, bucket, region, key))


@contextmanager
def moto_account(states: list[State], *, object_lock: bool = False) -> Iterator[MotoCalls]:
    """An account with the first buckets of BUCKETS, in these states."""
    # moto's reading of bucket policies knows neither principals nor conditions.
    with mock_aws(), patch.object(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL):
        calls = MotoCalls()
        for region, bucket in list(BUCKETS.items())[: len(states)]:
            make_client("sqs", region).create_queue(QueueName="events")
            make_client("sqs", region).create_queue(QueueName="theirs")
            lock = {"ObjectLockEnabledForBucket": True} if object_lock else {}
            where = {"LocationConstraint": region}
            make_client("s3", region).create_bucket(Bucket=bucket, CreateBucketConfiguration=where, **lock)
        for part in PARTS:
            for (region, bucket), state in zip(BUCKETS.items(), states, strict=False):
                if state[part] is not None:
                    AwsCalls.write(calls, part, bucket, region, state[part])
        yield calls

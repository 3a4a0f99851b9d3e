"""Real kills: `kill -9` of a process that adopts buckets of a moto server, and the same command again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from deploy.adopting import Adopter
from deploy.adopting_s3 import AwsCalls
from deploy.replication_merging import RuleChoices
from local.object_store import ACCOUNT
from tests.contract.source_tree import ROOT
from tests.deploy.buckets import BUCKETS, states_of, wanted

# moto's own answer forgets what more a rule says.
WANTED = wanted(2, cors_origins=("*",), rules=RuleChoices(metrics=False, delete_markers=False, modifications=False))
_KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret"}


def adopt(url: str, kill_at: int) -> None:
    """Adopts the first two buckets, and kills its process before the change of that number."""
    changes = 0

    def strike(model: Any, **_: Any) -> None:
        nonlocal changes
        changes += model.http["method"] in ("PUT", "DELETE")
        if changes > kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def client(service: str, region: str) -> Any:
        made = boto3.client(service, region_name=region, endpoint_url=url, **_KEYS)  # type: ignore[call-overload]  # the name is no literal
        made.meta.events.register("before-call.s3", strike)
        return made

    Adopter(AwsCalls(client, ACCOUNT), WANTED).apply()


@pytest.fixture
def url() -> Iterator[str]:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    yield "http://{}:{}".format(*moto.get_host_and_port())
    moto.stop()


def _run(url: str, kill_at: int) -> int:
    line = f"from tests.deploy.test_adopting_killed import adopt; adopt({url!r}, {kill_at})"
    return subprocess.run([sys.executable, "-c", line], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode


def test_killed_for_good_and_run_again(url: str) -> None:
    def client(service: str, region: str) -> Any:
        return boto3.client(service, region_name=region, endpoint_url=url, **_KEYS)  # type: ignore[call-overload]  # the name is no literal

    for region, bucket in list(BUCKETS.items())[:2]:
        client("sqs", region).create_queue(QueueName="events")
        client("s3", region).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    calls = AwsCalls(client, ACCOUNT)
    before = states_of(calls, 2)
    # After the first record; and, from there, between the same part of the one bucket and of the other.
    for kill_at in (1, 4):
        assert _run(url, kill_at) == -signal.SIGKILL
    left = [line for line in Adopter(calls, WANTED).plan().lines() if ": cors: " in line]
    assert left == ["acme-us: cors: + nearside-cors"]
    Adopter(calls, WANTED).apply()
    assert all(state["replication"] and state["notifications"] and state["cors"] for state in states_of(calls, 2))
    Adopter(calls, WANTED).undo()
    assert states_of(calls, 2) == [state | {"versioning": "Suspended"} for state in before]

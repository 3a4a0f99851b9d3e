"""The gateway in a process of its own beside a running world: killed and started again, it has what it acknowledged."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import ROOT
from local.gateway_key import key_pair
from local.running import exports
from tests.integration.console import PORTS, free_base, running_world

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def base() -> Iterator[int]:
    """The first port of a world as a program, with the gateway's first bucket."""
    with running_world() as base:
        s3 = client(f"http://127.0.0.1:{base + 8}")
        deadline = time.monotonic() + 20
        while "demo" not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield base


def environment(base: int) -> dict[str, str]:
    """The variables that `python -m local env` prints for the world."""
    lines = [line.removeprefix("export ") for line in exports(base, "127.0.0.1").splitlines() if "export" in line]
    printed = dict(shlex.split(line)[0].split("=", 1) for line in lines)
    return {"PATH": os.environ["PATH"], **printed}


@contextmanager
def gateway(base: int, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL and the process of a gateway beside the world."""
    port = str(free_base() + PORTS)
    command = [sys.executable, "-m", "local", "gateway", "--port", port, *options]
    with subprocess.Popen(command, cwd=ROOT, env=environment(base), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1], process
        finally:
            process.kill()


def client(url: str) -> "S3Client":
    pair = key_pair()
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="eu-west-2",
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def test_what_a_killed_gateway_acknowledged_the_next_one_has(base: int) -> None:
    with gateway(base) as (url, process):
        client(url).put_object(Bucket="demo", Key="a", Body=b"acknowledged")
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    with gateway(base) as (url, _):
        assert client(url).get_object(Bucket="demo", Key="a")["Body"].read() == b"acknowledged"
    assert client(f"http://127.0.0.1:{base + 8}").get_object(Bucket="demo", Key="a")["Body"].read() == b"acknowledged"


def test_its_limits_are_an_option(base: int) -> None:
    body = bytes(6_000_000)
    with gateway(base) as (url, _), pytest.raises(ClientError, match="413"):
        client(url).put_object(Bucket="demo", Key="big", Body=body)
    with gateway(base, "--no-limits") as (url, _):
        client(url).put_object(Bucket="demo", Key="big", Body=body)
        assert client(url).get_object(Bucket="demo", Key="big")["Body"].read() == body


def test_it_ends_when_it_is_told(base: int) -> None:
    with gateway(base) as (url, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        process.terminate()
        assert process.wait(10) == 0


def test_it_says_what_is_missing() -> None:
    command = [sys.executable, "-m", "local", "gateway", "--port", str(free_base() + PORTS)]
    ran = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("local: GatewayFunction")
    assert "Traceback" not in ran.stderr

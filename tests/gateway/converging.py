"""Whether all places have the same: what each lists when it is asked directly, against what the gateway lists."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local.providers import PROVIDERS
from local.world import World
from tests.gateway.endpoints import Endpoint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OWN = ".nearside/"
BUCKETS = {"moto": PROVIDERS[0].bucket, "rclone": PROVIDERS[1].bucket, "old-b2": PROVIDERS[2].bucket}

type Contents = Mapping[str, int]
"""Sizes by key."""


def drain(world: World, seconds: float = 60.0) -> None:
    """Lets the replicator do what is left to do now, not when its pauses and those of its breakers are over, until
    nothing is left and reconcile finds nothing. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    world.reload()
    while True:
        world.redrive()
        world.flow.hurry()
        if not world.flow.waiting()["sent"] and not swept(world.run_schedule("reconcile")):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:g} s the replicator still has {world.flow.waiting()['sent']} to do")
        time.sleep(0.2)


def swept(ran: Mapping[str, Any]) -> int:
    """How many objects reconcile found to be due."""
    return int(ran["swept"])


def listed(s3: "S3Client", bucket: str) -> Contents:
    """What is in the bucket, but for what the gateway put aside."""
    pages = s3.get_paginator("list_objects").paginate(Bucket=bucket)
    found = {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}
    return {key: size for key, size in found.items() if not key.startswith(OWN)}


def put_aside(s3: "S3Client", bucket: str) -> list[str]:
    """What the gateway put aside there."""
    return [each["Key"] for each in s3.list_objects(Bucket=bucket, Prefix=OWN).get("Contents", [])]


def everywhere(endpoints: Mapping[str, Endpoint], bucket: str) -> dict[str, Contents]:
    """What the gateway lists, and each place."""
    found = {"gateway": listed(endpoints["gateway"].client(), bucket)}
    for name, template in BUCKETS.items():
        found[name] = listed(endpoints[name].client(), template.format(bucket=bucket))
    return found


def assert_same_everywhere(endpoints: Mapping[str, Endpoint], bucket: str) -> Contents:
    """All list the same, and nothing is put aside any more. Returns what they list."""
    found = everywhere(endpoints, bucket)
    for name, contents in found.items():
        differing = sorted(set(contents.items()) ^ set(found["gateway"].items()))
        assert differing == [], f"{name} and the gateway: {differing[:6]}"
    for name, template in BUCKETS.items():
        aside = put_aside(endpoints[name].client(), template.format(bucket=bucket))
        assert aside == [], f"{name} has {len(aside)} parts put aside: {aside[:3]}"
    return found["gateway"]


def assert_same_bytes(endpoints: Mapping[str, Endpoint], bucket: str, bodies: Mapping[str, bytes]) -> None:
    """Every place gives these bytes for these keys."""
    for name, template in {"gateway": "{bucket}", **BUCKETS}.items():
        s3 = endpoints[name].client()
        for key, body in bodies.items():
            found = s3.get_object(Bucket=template.format(bucket=bucket), Key=key)["Body"].read()
            assert found == body, f"{name} has other bytes of {key}"

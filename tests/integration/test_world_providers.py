"""The gateway's places, each asked directly by boto3: what it can do, its keys, and its faults."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ResponseStreamingError,
)

from local import ROOT
from local.identities import WORLD, Identity
from local.object_store import find_bucket
from local.provider_faults import BadFault
from local.providers import NAMES, PROVIDERS, Provider, without_credentials
from local.rclone_server import RcloneServer
from local.server import Request
from local.world import World
from tests.integration.http_client import get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")

PART = 5 * 1024 * 1024
AWS, HARBOR, B2 = PROVIDERS

each = pytest.mark.parametrize("provider", PROVIDERS, ids=[provider.name for provider in PROVIDERS])
versioned = pytest.mark.parametrize("provider", [AWS, B2], ids=["eu-west-2", "b2"])


def client(world: World, provider: Provider, identity: Identity | None = None, **config: Any) -> "S3Client":
    """A client that asks for no checksums, unless `config` says otherwise, and tries once."""
    identity = identity or provider.identity
    quiet = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    return boto3.client(
        "s3",
        endpoint_url=world.provider_urls[provider.name],
        region_name=provider.region,
        aws_access_key_id=identity.access_key_id,
        aws_secret_access_key=identity.secret_access_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            **{**quiet, **config},
        ),
    )


@pytest.fixture
def s3(world: World, provider: Provider) -> "S3Client":
    return client(world, provider)


@pytest.fixture
def bucket(s3: "S3Client", provider: Provider) -> str:
    """A new bucket, with versions where they have to be asked for."""
    name = provider.bucket.format(bucket=f"test-{uuid4().hex[:12]}")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": provider.region})  # type: ignore[typeddict-item]  # B2's and rclone's are no regions of AWS
    if provider is AWS:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def refusal(ask: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        ask()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


# What it can do


@each
def test_an_object_comes_and_goes(s3: "S3Client", bucket: str) -> None:
    key, body = "ä/ö ü+%.txt", os.urandom(1000)
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/x", Metadata={"generation": "7"})
    head = s3.head_object(Bucket=bucket, Key=key)
    assert head["ETag"] == put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert (head["ContentType"], head["ContentLength"]) == ("text/x", 1000)
    # rclone answers it as `Generation`: HTTP's names have no case.
    assert {name.lower(): value for name, value in head["Metadata"].items()} == {"generation": "7"}
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    part = s3.get_object(Bucket=bucket, Key=key, Range="bytes=10-19")
    assert (part["Body"].read(), part["ContentRange"]) == (body[10:20], "bytes 10-19/1000")
    s3.delete_object(Bucket=bucket, Key=key)
    assert refusal(lambda: s3.get_object(Bucket=bucket, Key=key)) == (404, "NoSuchKey")
    assert refusal(lambda: s3.head_object(Bucket=bucket, Key=key)) == (404, "404")
    s3.delete_object(Bucket=bucket, Key=key)  # again


@each
def test_a_bucket_is_made_found_and_removed(world: World, s3: "S3Client", bucket: str) -> None:
    assert bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)
    assert refusal(lambda: s3.head_bucket(Bucket=bucket)) == (404, "404")
    assert refusal(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"")) == (404, "NoSuchBucket")


@each
def test_a_listing_is_in_order_and_has_pages(s3: "S3Client", bucket: str) -> None:
    keys = ["a", "b-", "b.c", "b/1", "b/2", "b0", "Z", "é", "💩"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    wanted = sorted(keys, key=str.encode)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [each["Key"] for page in pages for each in page["Contents"]] == wanted
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="b/1")["Contents"]
    assert [each["Key"] for each in after] == wanted[wanted.index("b/1") + 1 :]
    folded = s3.list_objects_v2(Bucket=bucket, Prefix="b", Delimiter="/")
    assert [each["Prefix"] for each in folded["CommonPrefixes"]] == ["b/"]
    assert [each["Key"] for each in folded["Contents"]] == ["b-", "b.c", "b0"]


@each
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)], ids=["in-order", "mixed"])
def test_an_upload_in_parts(s3: "S3Client", bucket: str, order: tuple[int, ...]) -> None:
    bodies = {1: os.urandom(PART), 2: os.urandom(PART), 3: b"end"}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ContentType="a/b", Metadata={"generation": "1"})
    names: Any = {"Bucket": bucket, "Key": "big", "UploadId": upload["UploadId"]}
    etags = {number: s3.upload_part(**names, PartNumber=number, Body=bodies[number])["ETag"] for number in order}
    assert [part["Size"] for part in s3.list_parts(**names)["Parts"]] == [PART, PART, 3]
    parts: Any = {"Parts": [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]}
    s3.complete_multipart_upload(**names, MultipartUpload=parts)
    whole = s3.get_object(Bucket=bucket, Key="big")
    assert whole["Body"].read() == bodies[1] + bodies[2] + bodies[3]
    assert whole["ContentType"] == "a/b"
    assert refusal(lambda: s3.list_parts(**names)) == (404, "NoSuchUpload")


@each
def test_an_upload_that_is_given_up(s3: "S3Client", bucket: str) -> None:
    names: Any = {"Bucket": bucket, "Key": "big"}
    names["UploadId"] = s3.create_multipart_upload(**names)["UploadId"]
    s3.upload_part(**names, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(**names)
    assert refusal(lambda: s3.upload_part(**names, PartNumber=2, Body=b"x")) == (404, "NoSuchUpload")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@each
def test_a_copy_with_other_metadata(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"body", ContentType="text/a", Metadata={"n": "1"})
    s3.copy_object(
        Bucket=bucket,
        Key="b",
        CopySource={"Bucket": bucket, "Key": "a"},
        MetadataDirective="REPLACE",
        ContentType="text/b",
        Metadata={"n": "2"},
    )
    made = s3.get_object(Bucket=bucket, Key="b")
    assert (made["Body"].read(), made["ContentType"]) == (b"body", "text/b")
    assert {name.lower(): value for name, value in made["Metadata"].items()}["n"] == "2"


@versioned
def test_versions(s3: "S3Client", bucket: str) -> None:
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="a", Body=b"2")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="a")
    assert marker["DeleteMarker"]
    assert s3.get_object(Bucket=bucket, Key="a", VersionId=first)["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"2"
    assert {each["VersionId"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]} == {first, second}


@each
def test_a_presigned_url(s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b", Body=b"body")
    asked: Any = {"Bucket": bucket, "Key": "a b", "ResponseContentType": "text/q"}
    url = s3.generate_presigned_url("get_object", Params=asked)
    answer = get(url)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"body", "text/q")
    assert get(url.replace("a%20b", "other")).status in (400, 403)


@pytest.mark.parametrize("provider", [HARBOR], ids=["harbor"])
def test_what_rclone_is_not(s3: "S3Client", bucket: str) -> None:
    """The reasons for its row in the gateway's table."""
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")  # taken, and not heeded
    assert s3.get_object(Bucket=bucket, Key="a", IfMatch='"other"')["Body"].read() == b"2"
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert b"<Tagging" in s3.get_object(Bucket=bucket, Key="a")["Body"].read()  # it was the object's body
    s3.put_object(Bucket=bucket, Key="file", Body=b"1")
    assert refusal(lambda: s3.put_object(Bucket=bucket, Key="file/below", Body=b"2"))[0] == 500
    assert s3.get_object(Bucket=bucket, Key="file")["Body"].read() == b"1"
    for key in ("a//b", "/a", "a/../b"):
        refused = refusal(lambda key=key: s3.put_object(Bucket=bucket, Key=key, Body=b""))  # type: ignore[misc]  # a default binds it
        assert refused == (400, "InvalidArgument")
    s3.put_object(Bucket=bucket, Key="file/", Body=b"3")
    assert s3.get_object(Bucket=bucket, Key="file")["Body"].read() == b"3"  # another key's object is lost
    names: Any = {"Bucket": bucket, "Key": "parts"}
    names["UploadId"] = s3.create_multipart_upload(**names)["UploadId"]
    etag = s3.upload_part(**names, PartNumber=1, Body=b"x")["ETag"]
    done = s3.complete_multipart_upload(**names, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert done["ETag"].endswith('-1"')
    assert s3.head_object(Bucket=bucket, Key="parts")["ETag"] == etag  # another one than it said


@pytest.mark.parametrize("provider", [B2], ids=["b2"])
def test_what_old_b2_refuses(world: World, provider: Provider, s3: "S3Client", bucket: str) -> None:
    modern = client(world, provider, request_checksum_calculation="when_supported")
    with pytest.raises(ClientError, match=r"Unsupported header 'x-amz-(sdk-)?checksum-.*' received for this API call"):
        modern.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    checking = client(world, provider, response_checksum_validation="when_supported")
    assert refusal(lambda: checking.get_object(Bucket=bucket, Key="a")) == (400, "InvalidArgument")
    assert refusal(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")) == (501, "NotImplemented")
    assert refusal(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"2", Tagging="a=b")) == (400, "InvalidArgument")
    assert refusal(lambda: s3.get_object_tagging(Bucket=bucket, Key="a")) == (501, "NotImplemented")
    off: Any = {"Status": "Suspended"}
    refused = refusal(lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=off))
    assert refused == (400, "InvalidArgument")  # boto3 sends a checksum with it in any case
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


# Whose it is


@each
def test_only_its_own_keys_open_it(world: World, provider: Provider, bucket: str) -> None:
    wrong = Identity(provider.identity.access_key_id, "wrong")
    assert refusal(client(world, provider, wrong).list_buckets) == (403, "SignatureDoesNotMatch")
    for other in PROVIDERS:
        if other is not provider:
            assert refusal(client(world, provider, other.identity).list_buckets)[0] == 403
    assert get(f"{world.provider_urls[provider.name]}/{bucket}/a").status in (400, 403)


@pytest.mark.parametrize("provider", [B2], ids=["b2"])
def test_aws_and_b2_do_not_see_each_other(world: World, s3: "S3Client", bucket: str) -> None:
    """Though moto has their buckets in one namespace."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    aws = client(world, AWS)
    ours = world.buckets["eu-west-2"]
    assert bucket not in [each["Name"] for each in aws.list_buckets()["Buckets"]]
    assert ours not in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert refusal(lambda: aws.get_object(Bucket=bucket, Key="a")) == (403, "AccessDenied")
    assert refusal(lambda: s3.list_objects_v2(Bucket=ours)) == (403, "AccessDenied")
    stolen: Any = {"Bucket": bucket, "Key": "a"}
    assert refusal(lambda: aws.copy_object(Bucket=ours, Key="stolen", CopySource=stolen)) == (403, "AccessDenied")
    stolen = {"Bucket": ours, "Key": "images/sunrise.png"}
    assert refusal(lambda: s3.copy_object(Bucket=bucket, Key="stolen", CopySource=stolen)) == (403, "AccessDenied")


@pytest.mark.parametrize("provider", [AWS], ids=["eu-west-2"])
def test_a_region_that_is_off_is_no_place_either(world: World, s3: "S3Client", bucket: str) -> None:
    world.switch("eu-west-2", on=False)
    with pytest.raises(ConnectionClosedError):
        s3.list_objects_v2(Bucket=bucket)


# Faults


@pytest.fixture
def stored(s3: "S3Client", bucket: str) -> bytes:
    """The body of the object `a`."""
    body = os.urandom(200_000)
    s3.put_object(Bucket=bucket, Key="a", Body=body)
    return body


@each
def test_down(world: World, provider: Provider, s3: "S3Client", bucket: str, stored: bytes) -> None:
    world.trouble_provider(provider.name, "down")
    with pytest.raises(ConnectionClosedError):
        s3.get_object(Bucket=bucket, Key="a")
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=bucket, Key="b", Body=b"")
    world.trouble_provider(provider.name, "heal")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == stored
    assert refusal(lambda: s3.head_object(Bucket=bucket, Key="b"))[0] == 404


@each
def test_slow(world: World, provider: Provider, s3: "S3Client", bucket: str) -> None:
    world.trouble_provider(provider.name, "slow", 0.15)
    started = time.monotonic()
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    assert 0.15 <= time.monotonic() - started < 5


@each
@pytest.mark.parametrize(
    ("fault", "says"), [("failing", (500, "InternalError")), ("throttled", (503, "SlowDown"))], ids=str
)
def test_refusing_a_part(
    world: World, provider: Provider, s3: "S3Client", bucket: str, stored: bytes, fault: str, says: tuple[int, str]
) -> None:
    world.trouble_provider(provider.name, fault, 0.5)
    codes = []
    for _ in range(6):
        try:
            codes.append((s3.get_object(Bucket=bucket, Key="a")["ResponseMetadata"]["HTTPStatusCode"], ""))
        except ClientError as error:
            codes.append((error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]))
    assert codes.count(says) == 3
    assert codes.count((200, "")) == 3


@each
def test_cut(world: World, provider: Provider, s3: "S3Client", bucket: str, stored: bytes) -> None:
    world.trouble_provider(provider.name, "cut")
    answer = s3.get_object(Bucket=bucket, Key="a")
    assert answer["ContentLength"] == len(stored)
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        answer["Body"].read()
    with pytest.raises(BotoCoreError):  # carried out, and the answer lost
        s3.put_object(Bucket=bucket, Key="b", Body=b"arrived")
    world.trouble_provider(provider.name, "heal")
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"arrived"


@each
def test_wrong_bytes(world: World, provider: Provider, s3: "S3Client", bucket: str, stored: bytes) -> None:
    world.trouble_provider(provider.name, "wrong-bytes", 0.5)
    got = [s3.get_object(Bucket=bucket, Key="a")["Body"].read() for _ in range(4)]
    assert got.count(stored) == 2
    assert all(len(body) == len(stored) for body in got)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1  # only objects
    world.trouble_provider(provider.name, "heal")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == stored


@each
def test_full(world: World, provider: Provider, s3: "S3Client", bucket: str, stored: bytes) -> None:
    upload: Any = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    world.trouble_provider(provider.name, "full")
    full = (507, "XMinioStorageFull")
    assert refusal(lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"")) == full
    assert refusal(lambda: s3.upload_part(**upload, PartNumber=1, Body=b"x")) == full
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == stored
    s3.delete_object(Bucket=bucket, Key="a")
    s3.abort_multipart_upload(**upload)


def test_heal_is_for_all(world: World) -> None:
    world.trouble_provider("harbor", "down")
    world.trouble_provider("b2", "full")
    world.heal()
    client(world, HARBOR).list_buckets()
    assert not world.state().gateway.providers[2].trouble.full


@pytest.mark.parametrize(
    ("name", "fault", "value", "says"),
    [
        ("mars", "down", None, "provider is 'mars': expected one of eu-west-2, harbor, b2"),
        ("b2", "sulk", None, "fault is 'sulk'"),
        ("b2", "slow", None, "seconds is None"),
        ("b2", "slow", 61.0, "seconds is 61"),
        ("b2", "cut", 1.5, "ratio is 1.5"),
    ],
)
def test_what_is_no_fault(world: World, name: str, fault: str, value: float | None, says: str) -> None:
    with pytest.raises(BadFault, match=says):
        world.trouble_provider(name, fault, value)


# The server that is a process


@pytest.fixture
def server() -> Iterator[RcloneServer]:
    with closing(RcloneServer(HARBOR.identity)) as server:
        yield server


def _processes(part: str) -> list[str]:
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True, timeout=10)
    return [line for line in listed.stdout.splitlines() if part in line and not line.startswith("ps ")]


def test_it_is_started_when_it_is_asked_and_ended_with_the_world(server: RcloneServer) -> None:
    assert server.folder is None
    assert server(Request("GET", "/", (("Host", "here"),))).status == 400  # unsigned
    folder = server.folder
    assert folder is not None
    assert [HARBOR.identity.secret_access_key in line for line in _processes(f"unix://{folder}")] == [False, False]
    server.close()
    assert _processes(f"unix://{folder}") == []
    assert not folder.exists()


def test_it_ends_when_the_world_is_killed() -> None:
    script = """
import os, signal
from local.providers import PROVIDERS
from local.rclone_server import RcloneServer
from local.server import Request
server = RcloneServer(PROVIDERS[1].identity)
server(Request("GET", "/", (("Host", "here"),)))
print(server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == -9
    folder = Path(ran.stdout.strip())
    assert folder.name.startswith("nearside-")
    deadline = time.monotonic() + 5
    while (folder.exists() or _processes(str(folder))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _processes(str(folder)) == []
    assert not folder.exists()


def test_gateway_buckets_in_aws_tell_no_events(world: World) -> None:
    """They are not the bucket that the catalog is about."""
    waiting = world.flow.waiting()
    name = AWS.bucket.format(bucket=f"test-{uuid4().hex[:12]}")
    s3 = client(world, AWS)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    s3.put_object(Bucket=name, Key="a", Body=b"")
    assert world.flow.waiting() == waiting
    assert find_bucket(name) is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_takes_the_worlds_own_key_pair_too(world: World, name: str) -> None:
    [backend] = [
        each
        for each in json.loads(without_credentials(world.environment())["BACKENDS"])["backends"]
        if each["name"] == name
    ]
    assert "credentials" not in backend
    s3 = boto3.client(
        "s3",
        region_name=backend["region"],
        endpoint_url=backend["endpoint_url"],
        aws_access_key_id=WORLD.access_key_id,
        aws_secret_access_key=WORLD.secret_access_key,
        config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
    )
    assert s3.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200

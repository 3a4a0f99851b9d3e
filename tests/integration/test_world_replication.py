"""Replication between the regions: the lag, the statuses, delete markers, order, regions that are off; and events."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.world import World
from tests.integration.replicas import status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

EU, US = "nearside-eu-west-2", "nearside-us-east-2"


@pytest.fixture
def key() -> str:
    """A key that no other test uses, and that needs encoding."""
    return f"r {uuid4().hex}+ü"


def test_a_version_arrives_after_the_lag_as_it_was(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.set_lag(0.3)
    eu.put_object(Bucket=EU, Key=key, Body=b"x", ContentType="text/plain", Metadata={"a": "b"}, Tagging="t=1")
    assert (status(eu, EU, key), status(us, US, key)) == ("PENDING", None)
    assert world.state().pending == 1
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == ("COMPLETED", "REPLICA")
    source, replica = eu.head_object(Bucket=EU, Key=key), us.head_object(Bucket=US, Key=key)
    for name in ("VersionId", "ETag", "LastModified", "ContentLength", "ContentType", "Metadata"):
        assert source[name] == replica[name]
    assert us.get_object_tagging(Bucket=US, Key=key)["TagSet"] == [{"Key": "t", "Value": "1"}]


def test_both_ways_and_not_back(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    us.put_object(Bucket=US, Key=key, Body=b"x")
    world.settle()
    assert (status(us, US, key), status(eu, EU, key)) == ("COMPLETED", "REPLICA")
    assert len(us.list_object_versions(Bucket=US, Prefix=key)["Versions"]) == 1


def test_a_delete_marker_is_replicated_and_a_versions_deletion_is_not(
    world: World, eu: "S3Client", us: "S3Client", key: str
) -> None:
    first = eu.put_object(Bucket=EU, Key=key, Body=b"1")["VersionId"]
    world.settle()
    marker = eu.delete_object(Bucket=EU, Key=key)["VersionId"]
    world.settle()
    assert status(us, US, key) is None
    (arrived,) = us.list_object_versions(Bucket=US, Prefix=key)["DeleteMarkers"]
    assert (arrived["VersionId"], arrived["IsLatest"]) == (marker, True)
    eu.delete_object(Bucket=EU, Key=key, VersionId=first)
    world.settle()
    assert us.head_object(Bucket=US, Key=key, VersionId=first)["ReplicationStatus"] == "REPLICA"
    assert "Versions" not in eu.list_object_versions(Bucket=EU, Prefix=key)


def test_a_version_deleted_while_it_waits_never_arrives(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.set_lag(0.2)
    version = eu.put_object(Bucket=EU, Key=key, Body=b"1")["VersionId"]
    eu.delete_object(Bucket=EU, Key=key, VersionId=version)
    world.settle()
    assert "Versions" not in us.list_object_versions(Bucket=US, Prefix=key)


def test_both_sides_agree_on_the_newest_whatever_the_order_of_arrival(
    world: World, eu: "S3Client", us: "S3Client", key: str
) -> None:
    world.set_lag(0.2)
    eu.put_object(Bucket=EU, Key=key, Body=b"older")
    us.put_object(Bucket=US, Key=key, Body=b"newer")
    world.settle()
    for client, bucket in ((eu, EU), (us, US)):
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"newer"
        assert len(client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]) == 2


def test_a_deletion_here_wins_over_an_older_object_on_its_way(
    world: World, eu: "S3Client", us: "S3Client", key: str
) -> None:
    world.set_lag(0.2)
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    us.delete_object(Bucket=US, Key=key)
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == (None, None)


@pytest.mark.parametrize("off", ["eu-west-2", "us-east-2"])
def test_a_region_that_is_off_makes_versions_wait(
    world: World, eu: "S3Client", us: "S3Client", key: str, off: str
) -> None:
    world.set_lag(0.1)
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    world.switch(off, on=False)
    with pytest.raises(TimeoutError, match="1 from eu-west-2 to us-east-2"):
        world.settle(0.3)
    world.switch(off, on=True)
    world.settle()
    assert (status(eu, EU, key), status(us, US, key)) == ("COMPLETED", "REPLICA")


def test_a_shorter_lag_holds_for_what_is_waiting(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    world.set_lag(600)
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    assert status(us, US, key) is None
    world.set_lag(0)
    world.settle(5)
    assert status(us, US, key) == "REPLICA"


def test_copies_and_multipart_uploads_are_replicated(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    eu.copy_object(Bucket=EU, Key=key, CopySource={"Bucket": EU, "Key": "docs/guide.txt"})
    upload = eu.create_multipart_upload(Bucket=EU, Key=key + "m")["UploadId"]
    part = eu.upload_part(Bucket=EU, Key=key + "m", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    eu.complete_multipart_upload(Bucket=EU, Key=key + "m", UploadId=upload, MultipartUpload=parts)
    world.settle()
    assert status(us, US, key) == "REPLICA"
    assert us.get_object(Bucket=US, Key=key + "m")["Body"].read() == b"part"


def test_samples_have_been_replicated_long_ago(eu: "S3Client", us: "S3Client") -> None:
    assert (status(eu, EU, "images/sunrise.png"), status(us, US, "images/sunrise.png")) == ("COMPLETED", "REPLICA")
    picture = us.get_object(Bucket=US, Key="images/sunrise.png")
    assert (picture["ContentType"], picture["Body"].read()[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    names = [item["Key"] for item in us.list_objects_v2(Bucket=US, Prefix="docs/")["Contents"]]
    assert "docs/Grüße aus Köln & 東京.txt" in names


def test_many_writers_lose_nothing(world: World, eu: "S3Client", us: "S3Client", key: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    world.set_lag(0)

    def write(number: int) -> None:
        client, bucket = ((eu, EU), (us, US))[number % 2]
        client.put_object(Bucket=bucket, Key=key, Body=str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    world.settle()
    listed = [
        [
            (each["VersionId"], each["IsLatest"])
            for each in client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
        ]
        for client, bucket in ((eu, EU), (us, US))
    ]
    assert len(listed[0]) == 40
    assert listed[0] == listed[1]


# Events


@pytest.fixture
def told(world: World, key: str) -> Callable[[], list[Any]]:
    """The records about the key, after everything has been replicated."""

    def records() -> list[Any]:
        world.settle()
        return [record for record in world.records() if unquote_plus(record["s3"]["object"]["key"]) == key]

    return records


def test_a_record_has_s3s_shape(world: World, eu: "S3Client", key: str, told: Callable[[], list[Any]]) -> None:
    answer = eu.put_object(Bucket=EU, Key=key, Body=b"four")
    written, arrived = told()
    assert written["eventVersion"].startswith("2.")
    assert (written["eventSource"], written["awsRegion"]) == ("aws:s3", "eu-west-2")
    age = datetime.now(UTC) - datetime.fromisoformat(written["eventTime"])
    assert age.total_seconds() < 10
    assert written["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{EU}"
    thing = written["s3"]["object"]
    assert thing["key"].startswith("r+")
    assert thing["key"].endswith("%2B%C3%BC")
    assert (thing["size"], thing["eTag"], thing["versionId"]) == (4, answer["ETag"].strip('"'), answer["VersionId"])
    assert int(thing["sequencer"], 16) < int(arrived["s3"]["object"]["sequencer"], 16)
    assert (arrived["awsRegion"], arrived["eventName"]) == ("us-east-2", "ObjectCreated:Put")
    assert arrived["s3"]["object"]["versionId"] == answer["VersionId"]


def test_the_name_tells_what_happened(world: World, eu: "S3Client", key: str, told: Callable[[], list[Any]]) -> None:
    eu.copy_object(Bucket=EU, Key=key, CopySource={"Bucket": EU, "Key": "docs/guide.txt"})
    upload = eu.create_multipart_upload(Bucket=EU, Key=key)["UploadId"]
    part = eu.upload_part(Bucket=EU, Key=key, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    done = eu.complete_multipart_upload(Bucket=EU, Key=key, UploadId=upload, MultipartUpload=parts)
    eu.delete_objects(Bucket=EU, Delete={"Objects": [{"Key": key}]})
    world.settle()
    eu.delete_object(Bucket=EU, Key=key, VersionId=done["VersionId"])
    names = [record["eventName"] for record in told() if record["awsRegion"] == "eu-west-2"]
    assert names == [
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
    ]
    arrived = [record["eventName"] for record in told() if record["awsRegion"] == "us-east-2"]
    assert arrived == ["ObjectCreated:Put", "ObjectCreated:Put", "ObjectRemoved:DeleteMarkerCreated"]


def test_a_refused_write_tells_nothing(eu: "S3Client", key: str, told: Callable[[], list[Any]]) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        eu.put_object(Bucket=EU, Key=key, Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert told() == []


def test_another_listener_hears_the_same(world: World, eu: "S3Client", key: str) -> None:
    heard: list[Any] = []
    world.events.listeners.append(heard.append)
    eu.put_object(Bucket=EU, Key=key, Body=b"x")
    deadline = time.monotonic() + 5
    while len(heard) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    world.events.listeners.remove(heard.append)
    assert heard == world.records()[-2:]

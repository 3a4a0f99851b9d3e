"""What the live tests leave behind, in an emulator: nothing of theirs, and everything of others. Needs no account."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy.settings import Region, Settings
from tests.live.deployed import NAMES, PREFIX, Deployed, clients_inside

BUCKETS = {"eu-west-2": "acme-eu", "us-east-2": "acme-us"}
KEY = f"{PREFIX}1"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws(config={"lambda": {"use_docker": False}}):
        system = Deployed(Settings([Region(*each) for each in BUCKETS.items()]), boto3.Session())
        for region, bucket in BUCKETS.items():
            s3 = system.client("s3", region)
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield system


def versions(deployed: Deployed) -> list[tuple[str, str]]:
    found = []
    for region, bucket in BUCKETS.items():
        listed = deployed.client("s3", region).list_object_versions(Bucket=bucket)
        found += [(bucket, each["Key"]) for kind in ("Versions", "DeleteMarkers") for each in listed.get(kind, ())]
    return sorted(found)


def made(deployed: Deployed) -> list[str]:
    """The roles and functions that there are."""
    found = [each["RoleName"] for each in deployed.client("iam", "eu-west-2").list_roles()["Roles"]]
    for region in BUCKETS:
        found += [each["FunctionName"] for each in deployed.client("lambda", region).list_functions()["Functions"]]
    return found


def test_every_version_and_marker_of_the_key_goes_and_nothing_else(deployed: Deployed) -> None:
    others = [KEY + "0", "images/a"]
    for region, bucket in BUCKETS.items():
        s3 = deployed.client("s3", region)
        for key in (KEY, KEY, *others):
            s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        s3.delete_object(Bucket=bucket, Key=KEY)
    deployed.remove(KEY, seconds=0.2)
    assert versions(deployed) == sorted((bucket, key) for bucket in BUCKETS.values() for key in others)


def test_what_arrives_while_it_is_taken_away_goes_too(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that was under way, after its original is gone."""
    deployed.client("s3", "us-east-2").put_object(Bucket="acme-us", Key=KEY, Body=b"1")
    late = [("eu-west-2", "acme-eu")]

    def sleep(seconds: float) -> None:
        for region, bucket in late:
            deployed.client("s3", region).put_object(Bucket=bucket, Key=KEY, Body=b"1")
        late.clear()

    monkeypatch.setattr("tests.live.deployed.time.sleep", sleep)
    deployed.remove(KEY)
    assert (versions(deployed), late) == ([], [])


@pytest.mark.parametrize("key", ["", "images/a", ".nearside/canary/1"])
def test_no_other_key_is_ever_removed(deployed: Deployed, key: str) -> None:
    with pytest.raises(ValueError, match="not of these tests"):
        deployed.remove(key)


def test_a_bucket_with_object_lock_is_told(deployed: Deployed) -> None:
    assert deployed.locked() == []
    deployed.client("s3", "us-east-2").put_object_lock_configuration(
        Bucket="acme-us", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )
    assert deployed.locked() == ["acme-us"]


def test_what_is_not_deployed_is_told_with_its_region(deployed: Deployed) -> None:
    template = '{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}'
    deployed.client("cloudformation", "eu-west-2").create_stack(StackName="nearside", TemplateBody=template)
    [missing] = deployed.missing()
    assert missing.startswith("us-east-2: ")


def test_the_clients_inside_go_when_all_is_well(deployed: Deployed) -> None:
    with clients_inside(deployed) as fetch:
        assert fetch.keys() == BUCKETS.keys()
        assert [name for name in made(deployed) if not name.startswith(NAMES)] == []
        assert len(made(deployed)) == 3
    assert made(deployed) == []


def test_the_clients_inside_go_when_the_test_fails(deployed: Deployed) -> None:
    with pytest.raises(KeyboardInterrupt), clients_inside(deployed):
        raise KeyboardInterrupt
    assert made(deployed) == []


@pytest.mark.parametrize("failing", ["create", "delete"])
def test_the_rest_goes_when_one_region_fails(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """The second region's function cannot be made, or not be taken away."""
    client = Deployed.client

    def fail(**asked: object) -> None:
        raise ConnectionError(failing)

    def half(self: Deployed, kind: str, region: str) -> Any:
        found = client(self, kind, region)
        if (kind, region) == ("lambda", "us-east-2"):
            setattr(found, f"{failing}_function", fail)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Deployed, "client", half)
        with pytest.raises(ConnectionError), clients_inside(deployed):
            assert failing == "delete"
    left = made(deployed)
    assert len(left) == (1 if failing == "delete" else 0)
    assert not any(each["RoleName"] in left for each in deployed.client("iam", "eu-west-2").list_roles()["Roles"])

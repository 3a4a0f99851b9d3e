"""What the calls say to AWS where moto does not answer, and what they make of its refusals."""

from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.validate import validate_parameters

from deploy.adopting_s3 import AwsCalls
from deploy.adoption_record import record_key
from deploy.bucket_state import PARTS, BatchJob, CallFailed
from local.object_store import ACCOUNT
from tests.deploy.buckets import NOTHING
from tests.deploy.moto_buckets import make_client, moto_account

REGION, BUCKET = "eu-west-2", "acme-eu"
KEY = record_key(BUCKET)
_CALLS = AwsCalls(make_client, ACCOUNT)


def _refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def _refused(method: str, error: Exception) -> Any:
    return patch.object(make_client("s3", REGION), method, side_effect=error)


def test_a_job_as_the_api_takes_it() -> None:
    control, asked = make_client("s3control", REGION), {}

    def create_job(**parameters: Any) -> dict[str, str]:
        asked.update(parameters)
        return {"JobId": "1"}

    role = f"arn:aws:iam::{ACCOUNT}:role/batch"
    with patch.object(control, "create_job", create_job):
        assert _CALLS.start_batch(BUCKET, REGION, BatchJob(role, "token", ("NONE", "FAILED", "COMPLETED"))) == "1"
    validate_parameters(asked, control.meta.service_model.operation_model("CreateJob").input_shape)
    statuses = asked["ManifestGenerator"]["S3JobManifestGenerator"]["Filter"]["ObjectReplicationStatuses"]
    [listed] = [
        control.meta.service_model.shape_for(name).enum
        for name in control.meta.service_model.shape_names
        if name == "ReplicationStatus"
    ]
    assert set(statuses) <= set(listed)
    assert (asked["ClientRequestToken"], asked["RoleArn"]) == ("token", role)


@pytest.mark.parametrize(
    ("part", "method", "permission"),
    [
        ("versioning", "put_bucket_versioning", "s3:PutBucketVersioning"),
        ("policy", "put_bucket_policy", "s3:PutBucketPolicy"),
        ("cors", "put_bucket_cors", "s3:PutBucketCORS"),
        ("lifecycle", "put_bucket_lifecycle_configuration", "s3:PutLifecycleConfiguration"),
        ("notifications", "put_bucket_notification_configuration", "s3:PutBucketNotification"),
        ("replication", "put_bucket_replication", "s3:PutReplicationConfiguration, and iam:PassRole"),
    ],
)
def test_the_permission_that_is_missing_to_write(part: str, method: str, permission: str) -> None:
    with _refused(method, _refusal("AccessDenied")), pytest.raises(CallFailed) as caught:
        _CALLS.write(part, BUCKET, REGION, {"Rules": []})
    assert str(caught.value).startswith(f"{BUCKET}: {part}: AWS refuses it (AccessDenied: no). It needs {permission}")


@pytest.mark.parametrize("part", PARTS)
def test_the_permission_that_is_missing_to_read(part: str) -> None:
    name = {"notifications": "notification_configuration", "lifecycle": "lifecycle_configuration"}.get(part, part)
    with _refused(f"get_bucket_{name}", _refusal("AccessDenied")), pytest.raises(CallFailed, match="It needs s3:Get"):
        _CALLS.read(part, BUCKET, REGION)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Versioning must be 'Enabled' on the bucket to apply a replication configuration", "up to 15 minutes"),
        ("Destination bucket must have versioning enabled.", "is not versioned"),
        ("Destination bucket must exist.", "`make deploy` makes it"),
    ],
)
def test_rules_that_s3_does_not_take(message: str, told: str) -> None:
    error = _refused("put_bucket_replication", _refusal("InvalidRequest", message))
    with error, pytest.raises(CallFailed, match=told):
        _CALLS.write("replication", BUCKET, REGION, {"Rules": []})


def test_a_refusal_without_words_of_ours() -> None:
    with _refused("put_bucket_cors", _refusal("SlowDown", "Please reduce")), pytest.raises(CallFailed) as caught:
        _CALLS.write("cors", BUCKET, REGION, {"CORSRules": []})
    assert str(caught.value) == f"{BUCKET}: cors: AWS refuses it (SlowDown: Please reduce)"


def test_aws_out_of_reach() -> None:
    error = _refused("get_bucket_cors", EndpointConnectionError(endpoint_url="https://s3"))
    with error, pytest.raises(CallFailed, match="cannot be reached"):
        _CALLS.read("cors", BUCKET, REGION)


def test_the_record_and_its_older_versions_are_deleted() -> None:
    with moto_account([NOTHING | {"versioning": "Enabled"}]) as calls:
        for content in (b"1", b"2"):
            calls.write_record(BUCKET, REGION, KEY, content)
        calls.write_record(BUCKET, REGION, f"{KEY}.mine", b"3")
        calls.delete_record(BUCKET, REGION, KEY)
        left = make_client("s3", REGION).list_object_versions(Bucket=BUCKET)
        assert [each["Key"] for each in left["Versions"]] == [f"{KEY}.mine"]
        assert "DeleteMarkers" not in left


def test_who_is_killed_while_the_record_is_deleted_leaves_the_newest() -> None:
    with moto_account([NOTHING | {"versioning": "Enabled"}]) as calls:
        for content in (b"1", b"2", b"3"):
            calls.write_record(BUCKET, REGION, KEY, content)
        client = make_client("s3", REGION)
        deleted, delete = [], client.delete_object

        def delete_two(**of: Any) -> None:
            deleted.append(of)
            if len(deleted) > 2:
                raise KeyboardInterrupt
            delete(**of)

        with patch.object(client, "delete_object", delete_two), pytest.raises(KeyboardInterrupt):
            calls.delete_record(BUCKET, REGION, KEY)
        assert calls.read_record(BUCKET, REGION, KEY) == b"3"


def test_a_record_that_is_locked_is_hidden() -> None:
    with moto_account([NOTHING], object_lock=True) as calls:
        client = make_client("s3", REGION)
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
        lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)
        calls.write_record(BUCKET, REGION, KEY, b"1")
        calls.delete_record(BUCKET, REGION, KEY)
        assert calls.read_record(BUCKET, REGION, KEY) is None
        assert len(client.list_object_versions(Bucket=BUCKET)["Versions"]) == 1


def test_who_may_not_look_or_looks_in_vain() -> None:
    error = ClientError({"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "HeadBucket")  # type: ignore[typeddict-item]  # the rest of the metadata is not read
    with _refused("head_bucket", error), pytest.raises(CallFailed, match=f"account {ACCOUNT} does not own it"):
        _CALLS.facts(BUCKET, REGION)
    with moto_account([NOTHING]) as calls, pytest.raises(CallFailed, match="acme-us: there is no such bucket"):
        calls.facts("acme-us", "us-east-2")

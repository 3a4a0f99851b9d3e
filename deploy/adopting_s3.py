"""What adopting asks of AWS, by the SDK."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.adopting_failures import explained
from deploy.bucket_state import BatchJob, CallFailed, Elsewhere, Facts, Part

# What S3 answers where a bucket has no such configuration.
_NONE = {
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "ReplicationConfigurationNotFoundError",
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}
_NO_OBJECT = {"NoSuchKey", "404"}
_VERSIONS = ("Versions", "DeleteMarkers")
_LIFECYCLE = ("Rules", "TransitionDefaultMinimumObjectSize")
_DEFAULT_SIZE = "all_storage_classes_128K"
_NOTIFICATIONS = (
    "TopicConfigurations",
    "QueueConfigurations",
    "LambdaFunctionConfigurations",
    "EventBridgeConfiguration",
)

# A service and a region → its client.
type Client = Callable[[str, str], Any]


@contextmanager
def told(bucket: str, part: str, *, writes: bool) -> Iterator[None]:
    """AWS's refusal as CallFailed, in words."""
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        words = explained(bucket, part, said.get("Code", ""), said.get("Message", ""), writes=writes)
        raise CallFailed(words) from error
    except BotoCoreError as error:
        raise CallFailed(f"{bucket}: AWS cannot be reached: {error}") from error


def account_of(client: Client, region: str) -> str:
    """Whose credentials these are. Raises CallFailed."""
    with told("the credentials", "account", writes=False):
        return str(client("sts", region).get_caller_identity()["Account"])


class AwsCalls:
    """Implements `deploy.bucket_state.Calls` for one account. `client` makes a client of a service in a region."""

    def __init__(self, client: Client, account: str) -> None:
        self._client = client
        self._account = account

    def facts(self, bucket: str, region: str) -> Facts:
        s3, owned = self._client("s3", region), self._of(bucket)
        with told(bucket, "facts", writes=False):
            try:
                found = s3.head_bucket(**owned)["BucketRegion"]
            except ClientError as error:
                raise Elsewhere(f"{bucket}: {_where(error, self._account, region)}") from error
            return _facts(s3, owned, region) if found == region else Facts(found)

    def read(self, part: str, bucket: str, region: str) -> Part:
        with told(bucket, part, writes=False):
            return _READERS[part](self._client("s3", region), self._of(bucket))

    def write(self, part: str, bucket: str, region: str, value: Part) -> None:
        with told(bucket, part, writes=True):
            _WRITERS[part](self._client("s3", region), self._of(bucket), value)

    def read_record(self, bucket: str, region: str, key: str) -> bytes | None:
        with told(bucket, "record", writes=False):
            try:
                found = self._client("s3", region).get_object(Key=key, **self._of(bucket))
            except ClientError as error:
                if error.response["Error"]["Code"] in _NO_OBJECT:
                    return None
                raise
            return bytes(found["Body"].read())

    def write_record(self, bucket: str, region: str, key: str, content: bytes) -> None:
        s3 = self._client("s3", region)
        with told(bucket, "record", writes=True):
            s3.put_object(Key=key, Body=content, ContentType="application/json", **self._of(bucket))

    def delete_record(self, bucket: str, region: str, key: str) -> None:
        """Every version of it, the newest last: whoever is killed leaves the newest. Where an object lock or a missing
        permission keeps them, a delete marker hides them."""
        s3, owned = self._client("s3", region), self._of(bucket)
        with told(bucket, "record", writes=True):
            pages = s3.get_paginator("list_object_versions").paginate(Prefix=key, **owned)
            versions = [
                each for page in pages for kind in _VERSIONS for each in page.get(kind, []) if each["Key"] == key
            ]
            try:
                for each in sorted(versions, key=lambda version: bool(version["IsLatest"])):
                    s3.delete_object(Key=key, VersionId=each["VersionId"], **owned)
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDenied":
                    raise
                s3.delete_object(Key=key, **owned)

    def start_batch(self, bucket: str, region: str, job: BatchJob) -> str:
        """Its manifest is made by S3 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html)."""
        with told(bucket, "job", writes=True):
            answer = self._client("s3control", region).create_job(
                AccountId=self._account,
                ConfirmationRequired=False,
                Operation={"S3ReplicateObject": {}},
                Report={"Enabled": False},
                ClientRequestToken=job.token,
                Description="Nearside: replicate what is older than the rules",
                Priority=10,
                RoleArn=job.role,
                ManifestGenerator={
                    "S3JobManifestGenerator": {
                        "ExpectedBucketOwner": self._account,
                        "SourceBucket": f"arn:aws:s3:::{bucket}",
                        "EnableManifestOutput": False,
                        "Filter": {"EligibleForReplication": True, "ObjectReplicationStatuses": [*job.statuses]},
                    }
                },
            )
        return str(answer["JobId"])

    def _of(self, bucket: str) -> dict[str, str]:
        return {"Bucket": bucket, "ExpectedBucketOwner": self._account}


def _facts(s3: Any, owned: Mapping[str, str], region: str) -> Facts:
    rules = _found(s3.get_bucket_encryption, owned).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    encryption = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    return Facts(
        region=region,
        requester_pays=_found(s3.get_bucket_request_payment, owned).get("Payer") == "Requester",
        object_lock=bool(_found(s3.get_object_lock_configuration, owned)),
        mfa_delete=s3.get_bucket_versioning(**owned).get("MFADelete") == "Enabled",
        kms=any(str(each.get("SSEAlgorithm")).startswith("aws:kms") for each in encryption),
    )


def _where(error: ClientError, account: str, region: str) -> str:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if status == 404:
        return "there is no such bucket"
    if status == 403:
        return f"account {account} does not own it, or may not look at it"
    found = error.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
    return f"it is in {found}, and the settings say {region}" if found else str(error)


def _found(ask: Callable[..., Any], owned: Mapping[str, str]) -> dict[str, Any]:
    """The answer without what the SDK adds; empty where the bucket has none."""
    try:
        answer = ask(**owned)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NONE:
            return {}
        raise
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _read_policy(s3: Any, owned: dict[str, str]) -> Part:
    found = _found(s3.get_bucket_policy, owned)
    if not found:
        return None
    policy = json.loads(found["Policy"])
    statements = policy.get("Statement", [])
    return policy | {"Statement": statements if isinstance(statements, list) else [statements]}


def _some(answer: Mapping[str, Any], *keys: str) -> Part:
    return {key: answer[key] for key in keys if key in answer and answer[key] != []} or None


def _read_lifecycle(s3: Any, owned: dict[str, str]) -> Part:
    found = _some(_found(s3.get_bucket_lifecycle_configuration, owned), *_LIFECYCLE)
    if found and (found.get(_LIFECYCLE[1]) == _DEFAULT_SIZE or "Rules" not in found):
        found.pop(_LIFECYCLE[1], None)  # S3 says it of its own
    return found or None


_READERS: Mapping[str, Callable[[Any, dict[str, str]], Part]] = {
    "versioning": lambda s3, of: s3.get_bucket_versioning(**of).get("Status"),
    "policy": _read_policy,
    "cors": lambda s3, of: _some(_found(s3.get_bucket_cors, of), "CORSRules"),
    "lifecycle": _read_lifecycle,
    "notifications": lambda s3, of: _some(_found(s3.get_bucket_notification_configuration, of), *_NOTIFICATIONS),
    "replication": lambda s3, of: _found(s3.get_bucket_replication, of).get("ReplicationConfiguration"),
}


def _write_versioning(s3: Any, of: dict[str, str], value: Part) -> None:
    s3.put_bucket_versioning(VersioningConfiguration={"Status": value or "Suspended"}, **of)


def _write_policy(s3: Any, of: dict[str, str], value: Part) -> None:
    s3.delete_bucket_policy(**of) if value is None else s3.put_bucket_policy(Policy=json.dumps(value), **of)


def _write_cors(s3: Any, of: dict[str, str], value: Part) -> None:
    s3.delete_bucket_cors(**of) if value is None else s3.put_bucket_cors(CORSConfiguration=value, **of)


def _write_lifecycle(s3: Any, of: dict[str, str], value: Part) -> None:
    if value is None:
        s3.delete_bucket_lifecycle(**of)
        return
    size = {key: value[key] for key in _LIFECYCLE[1:] if key in value}
    s3.put_bucket_lifecycle_configuration(LifecycleConfiguration={"Rules": value["Rules"]}, **size, **of)


def _write_notifications(s3: Any, of: dict[str, str], value: Part) -> None:
    s3.put_bucket_notification_configuration(NotificationConfiguration=value or {}, **of)


def _write_replication(s3: Any, of: dict[str, str], value: Part) -> None:
    if value is None:
        s3.delete_bucket_replication(**of)
    else:
        s3.put_bucket_replication(ReplicationConfiguration=value, **of)


_WRITERS: Mapping[str, Callable[[Any, dict[str, str], Part], None]] = {
    "versioning": _write_versioning,
    "policy": _write_policy,
    "cors": _write_cors,
    "lifecycle": _write_lifecycle,
    "notifications": _write_notifications,
    "replication": _write_replication,
}

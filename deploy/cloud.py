"""AWS as a run needs it: stacks, their events, buckets and what is in them, the access point; and the API's verdict."""

import itertools
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy import DeployFailed
from deploy.destroying import MAX_COUNTED
from deploy.parameters import StackId
from deploy.planning import Stack

_CONFIG = Config(retries={"mode": "adaptive", "max_attempts": 10})
_FAILURES_TOLD = 10
_ONLY_NAMES = "The following resource"  # (s) failed to …: each has an event of its own
TOKEN = "NEARSIDE_TOKEN"


class Aws:
    """The Cloud of an account, as a profile sees it."""

    def __init__(self, profile: str = "") -> None:
        self._session = boto3.Session(profile_name=profile or None)
        self._client = cache(self._new_client)

    def _new_client(self, kind: str, region: str) -> Any:
        return self._session.client(kind, region_name=region, config=_CONFIG)  # type: ignore[call-overload]

    def account(self, region: str) -> str:
        """The account's number."""
        return str(self._client("sts", region).get_caller_identity()["Account"])

    def stack(self, stack: StackId) -> Stack | None:
        """As `describe-stacks` says; None when there is none."""
        name, region = stack
        try:
            [found] = self._client("cloudformation", region).describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        return Stack(
            found["StackStatus"],
            {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])},
            {each["Key"]: each["Value"] for each in found.get("Tags", [])},
            {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
            found.get("StackStatusReason", ""),
        )

    def failures(self, stack: StackId) -> Sequence[str]:
        """What failed in the stack's newest operation, the first first; what was only cancelled with it is left out."""
        name, region = stack
        pages = self._client("cloudformation", region).get_paginator("describe_stack_events").paginate(StackName=name)
        found: list[str] = []
        try:
            for event in itertools.chain.from_iterable(page["StackEvents"] for page in pages):
                status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
                its_own = event["LogicalResourceId"] == name
                # What stops an update before any resource, such as an export in use, is told by the stack only.
                told = its_own and status.endswith("ROLLBACK_IN_PROGRESS") and not reason.startswith(_ONLY_NAMES)
                if reason and "cancelled" not in reason and (status.endswith("_FAILED") or told):
                    found.insert(0, f"{event['LogicalResourceId']} ({event.get('ResourceType', '')}): {reason}")
                if its_own and reason == "User Initiated":
                    break
        except ClientError as error:
            if "does not exist" not in error.response["Error"]["Message"]:
                raise
        return found[:_FAILURES_TOLD]

    def delete(self, stack: StackId) -> None:
        """Begins."""
        self._client("cloudformation", stack[1]).delete_stack(StackName=stack[0])

    def continue_rollback(self, stack: StackId) -> None:
        """Begins."""
        self._client("cloudformation", stack[1]).continue_update_rollback(StackName=stack[0])

    def roll_back(self, stack: StackId) -> None:
        """Begins."""
        self._client("cloudformation", stack[1]).rollback_stack(StackName=stack[0])

    def versioning(self, bucket: str, region: str) -> str | None:
        """`Enabled`, `Suspended` or empty; None when there is no such bucket. Refused is not missing: that raises."""
        try:
            return str(self._client("s3", region).get_bucket_versioning(Bucket=bucket).get("Status", ""))
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                return None
            raise

    def count(self, bucket: str, region: str) -> int:
        """Versions and delete markers, at most MAX_COUNTED; 0 when there is no such bucket."""
        found = 0
        try:
            for page in self._client("s3", region).get_paginator("list_object_versions").paginate(Bucket=bucket):
                found += len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))
                if found >= MAX_COUNTED:
                    return MAX_COUNTED
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
        return found

    def bucket(self, bucket: str, region: str) -> str:
        """In words what is there under the bucket's name; empty when nothing."""
        try:
            self._client("s3", region).head_bucket(Bucket=bucket, ExpectedBucketOwner=self.account(region))
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return ""
            if status in (301, 400):
                return "a bucket of that name is in another region"
            if status == 403:
                return "the name is taken, by another account or by a bucket that these credentials may not see"
            raise
        return "the account has a bucket of that name, which no stack of this deployment made"

    def delete_bucket(self, bucket: str, region: str) -> str:
        """Empty when it is gone, or was not there; else S3's words. S3 itself refuses one with anything in it."""
        try:
            self._client("s3", region).delete_bucket(Bucket=bucket)
        except ClientError as error:
            return "" if error.response["Error"]["Code"] == "NoSuchBucket" else str(error)
        return ""

    def page_files(self, bucket: str, region: str) -> Mapping[str, str]:
        """Every object of the page's bucket, and its ETag; none when there is no such bucket."""
        found: dict[str, str] = {}
        try:
            for page in self._client("s3", region).get_paginator("list_objects_v2").paginate(Bucket=bucket):
                found |= {each["Key"]: each["ETag"].strip('"') for each in page.get("Contents", ())}
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
        return found

    def put_page_file(self, bucket: str, region: str, key: str, body: bytes, content_type: str) -> None:
        """Whole, or not at all."""
        self._client("s3", region).put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def delete_page_files(self, bucket: str, region: str, keys: Sequence[str]) -> None:
        """Raises DeployFailed when one stays."""
        for some in itertools.batched(keys, 1000, strict=False):
            objects = [{"Key": each} for each in some]
            answer = self._client("s3", region).delete_objects(
                Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
            )
            if errors := answer.get("Errors"):
                raise DeployFailed(f"{bucket}: {errors[0].get('Key')} stays: {errors[0].get('Message')}")

    def look_again(self, distribution: str, path: str) -> None:
        """Begins: within minutes CloudFront has nothing older of the path."""
        asked = {"Paths": {"Quantity": 1, "Items": [path]}, "CallerReference": uuid.uuid4().hex}
        client = self._client("cloudfront", "us-east-1")
        client.create_invalidation(DistributionId=distribution, InvalidationBatch=asked)

    def table(self, name: str, region: str) -> bool:
        """Whether there is such a table, or a replica of it."""
        client = self._client("dynamodb", region)
        try:
            client.describe_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            return False
        return True

    def secret(self, name: str, region: str) -> bool:
        """Whether there is such a secret; one that is being deleted keeps its name."""
        client = self._client("secretsmanager", region)
        try:
            client.describe_secret(SecretId=name)
        except client.exceptions.ResourceNotFoundException:
            return False
        return True

    def checker_addresses(self) -> list[str]:
        """Where Route 53's health checkers ask from; IPv4, which S3's endpoints without `dualstack` have only."""
        found = self._client("route53", "us-east-1").get_checker_ip_ranges()["CheckerIpRanges"]
        return sorted(each for each in found if ":" not in each)

    def client(self, kind: str, region: str) -> Any:
        """A client of boto3's."""
        return self._client(kind, region)

    def mrap_status(self, name: str) -> str:
        """The access point's own state, such as READY or CREATING; its control plane is in us-west-2 only."""
        try:
            account = self.account("us-west-2")
            client = self._client("s3control", "us-west-2")
            found = client.get_multi_region_access_point(AccountId=account, Name=name)
        except (ClientError, BotoCoreError) as error:
            absent = getattr(error, "response", {}).get("Error", {}).get("Code") == "NoSuchMultiRegionAccessPoint"
            return "not there" if absent else f"not known: {error}"
        return str(found["AccessPoint"]["Status"])

    def begin_drift(self, stack: StackId) -> str:
        """The id of a detection that has begun."""
        return str(
            self._client("cloudformation", stack[1]).detect_stack_drift(StackName=stack[0])["StackDriftDetectionId"]
        )

    def drift(self, stack: StackId, detection: str) -> Mapping[str, str] | None:
        """Resources that are not as the template says, and how; None while that is being found out."""
        client = self._client("cloudformation", stack[1])
        state = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if state["DetectionStatus"] == "DETECTION_IN_PROGRESS":
            return None
        drifted = client.describe_stack_resource_drifts(
            StackName=stack[0], StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
        )["StackResourceDrifts"]
        return {each["LogicalResourceId"]: each["StackResourceDriftStatus"] for each in drifted}


def verdict(url: str) -> str:
    """What GET /replication/health says; a token for it is read from NEARSIDE_TOKEN."""
    token = os.environ.get(TOKEN, "")
    connection = HTTPSConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", "/replication/health", headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            hint = f"; set {TOKEN} to a token of a caller" if answer.status in (401, 403) else ""
            return f"not known: the API answers {answer.status}{hint}"
        said = json.loads(body)
        return "\n  ".join([said["verdict"], *(json.dumps(each) for each in said.get("reasons", []))])
    except (OSError, HTTPException, ValueError, KeyError) as error:
        return f"not known: {error}"
    finally:
        connection.close()

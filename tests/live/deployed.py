"""What is deployed on AWS, found by its settings; and clients inside its regions. What is made is taken away again."""

import base64
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import boto3
from botocore.exceptions import ClientError

from deploy.parameters import application_stack
from deploy.settings import Settings

PREFIX = ".nearside/live/"  # the buckets' rules replicate it, whatever their prefixes are
NAMES = "nearside-live-"  # of roles and functions: what a killed run leaves is found by it
# It has no rights at all: the URL that it is given has them. It writes no log, for it may not.
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_CODE = """
import base64, urllib.error, urllib.request
def handler(event, context):
    body = base64.b64decode(event["body"]) if event["body"] else None
    request = urllib.request.Request(event["url"], data=body, method=event["method"], headers=event["headers"])
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    return {"status": answer.status, "body": base64.b64encode(answer.read()).decode()}
"""


@dataclass(frozen=True)
class Fetched:
    """What a client inside a region was answered."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Deployed:
    """The system that the settings describe, as the profile may see it."""

    settings: Settings
    session: boto3.Session

    def client(self, kind: str, region: str) -> Any:
        """A boto3 client of the profile's."""
        return cast(Any, self.session).client(kind, region_name=region)

    def stack(self, name: str, region: str) -> dict[str, Any]:
        """A stack's parameters and outputs, one mapping of both."""
        [stack] = self.client("cloudformation", region).describe_stacks(StackName=name)["Stacks"]
        found = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())}
        return found | {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}

    def missing(self) -> list[str]:
        """The regions without the application's stack, or whose stack this profile may not see, and why."""
        found = []
        for each in self.settings.regions:
            try:
                self.stack(*application_stack(self.settings, each.region))
            except ClientError as error:
                found.append(f"{each.region}: {error}")
        return found

    def locked(self) -> list[str]:
        """The buckets with object lock, from which nothing could be taken away again."""
        found = []
        for each in self.settings.regions:
            try:
                self.client("s3", each.region).get_object_lock_configuration(Bucket=each.bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
                    raise
            else:
                found.append(each.bucket)
        return found

    def remove(self, key: str, *, seconds: float = 60.0) -> None:
        """Every version of the key and every delete marker, in every bucket. Where there were any it is looked again,
        until there are none: a copy that is under way arrives after its original is gone. Raises TimeoutError."""
        if not key.startswith(PREFIX):
            raise ValueError(f"{key} is not of these tests")
        end = time.monotonic() + seconds
        pause = min(5.0, seconds / 2)
        while self._remove(key):
            if time.monotonic() > end:
                raise TimeoutError(f"{key} comes back again and again")
            time.sleep(pause)

    def _remove(self, key: str) -> int:
        count = 0
        for each in self.settings.regions:
            s3 = self.client("s3", each.region)
            pages = s3.get_paginator("list_object_versions").paginate(Bucket=each.bucket, Prefix=key)
            for page in pages:
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    if found["Key"] == key:
                        s3.delete_object(Bucket=each.bucket, Key=key, VersionId=found["VersionId"])
                        count += 1
        return count


@contextmanager
def clients_inside(deployed: Deployed) -> Iterator[dict[str, Callable[..., Fetched]]]:
    """For each region a function `fetch(url, method, headers, body)` that asks from inside it.

    What takes a thing away is there before the thing is, and runs whatever happens to the others.
    """
    name = f"{NAMES}{uuid.uuid4().hex[:12]}"
    iam = deployed.client("iam", deployed.settings.primary.region)
    with ExitStack() as away:
        away.callback(_without, iam.delete_role, iam.exceptions.NoSuchEntityException, RoleName=name)
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]["Arn"]
        fetchers = {}
        for each in deployed.settings.regions:
            functions = deployed.client("lambda", each.region)
            missing = functions.exceptions.ResourceNotFoundException
            away.callback(_without, functions.delete_function, missing, FunctionName=name)
            _create(functions, name, role)
            fetchers[each.region] = _fetcher(functions, name)
        yield fetchers


def _without(delete: Callable[..., object], missing: type[Exception], **named: str) -> None:
    with suppress(missing):
        delete(**named)


def _create(functions: Any, name: str, role: str) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("asking.py", _CODE)
    code = {"ZipFile": held.getvalue()}
    asked = {"FunctionName": name, "Role": role, "Runtime": "python3.13", "Handler": "asking.handler", "Timeout": 30}
    for wait in (0, 5, 10, 15, 0):  # a new role is known everywhere some seconds later
        time.sleep(wait)
        try:
            functions.create_function(**asked, Code=code)
        except functions.exceptions.InvalidParameterValueException:
            continue
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        return
    raise TimeoutError(f"Lambda does not take the role {role}")


def _fetcher(functions: Any, name: str) -> Callable[..., Fetched]:
    def fetch(url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> Fetched:
        event = {"url": url, "method": method, "headers": headers or {}, "body": base64.b64encode(body).decode()}
        answer = json.loads(functions.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
        if "status" not in answer:
            raise AssertionError(f"the client inside the region failed: {answer.get('errorMessage')}")
        return Fetched(answer["status"], base64.b64decode(answer["body"]))

    return fetch


def until[T](ask: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """What `ask` answers as soon as it is not None; raises TimeoutError."""
    end = time.monotonic() + seconds
    while True:
        found = ask()
        if found is not None:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(2)

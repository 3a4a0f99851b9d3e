"""A CloudFormation to deploy to: states, failures, events; and a killed process."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import md5
from typing import Any, Literal

from deploy import DeployFailed
from deploy.parameters import Later, Parameters, StackId
from deploy.planning import WHOLE, Stack
from deploy.settings import Settings, parse
from deploy.steps import Step
from deploy.templates import Template
from tests.contract.source_tree import ROOT
from tests.deploy.refusals import check_deletion, check_order
from tests.deploy.world import FILE, World, alias

PAGE_BUCKET, PAGE_ORIGIN = ("acme-page-files", "eu-west-2"), "https://d1.cloudfront.net"
type When = Literal["before", "during", "after"]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class FakeCloud:
    """The Cloud of a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def stack(self, stack: StackId) -> Stack | None:
        self.world.tick()
        return self.world.stacks.get(stack)

    def failures(self, stack: StackId) -> Sequence[str]:
        return self.world.events.get(stack, [])

    def delete(self, stack: StackId) -> None:
        there = self.world.stacks.get(stack)
        if there is None:
            return
        check_deletion(self.world, stack)
        self.world.stacks[stack] = replace(there, status="DELETE_IN_PROGRESS")
        why = self.world.failing_deletions.get(stack, "")
        self.world.ends[stack] = (2, replace(there, status="DELETE_FAILED", reason=why) if why else None)

    def continue_rollback(self, stack: StackId) -> None:
        assert self.world.stacks[stack].status == "UPDATE_ROLLBACK_FAILED"
        there = self.world.stacks[stack]
        self.world.stacks[stack] = replace(there, status="UPDATE_ROLLBACK_IN_PROGRESS")
        self.world.ends[stack] = (2, replace(there, status="UPDATE_ROLLBACK_COMPLETE"))

    def roll_back(self, stack: StackId) -> None:
        assert self.world.stacks[stack].status == "UPDATE_FAILED"
        there = self.world.stacks[stack]
        self.world.stacks[stack] = replace(there, status="UPDATE_ROLLBACK_IN_PROGRESS")
        self.world.ends[stack] = (2, replace(there, status="UPDATE_ROLLBACK_COMPLETE"))

    def versioning(self, bucket: str, region: str) -> str | None:
        return self.world.buckets.get(bucket)

    def bucket(self, bucket: str, region: str) -> str:
        return "it is there" if bucket in self.world.buckets else ""

    def table(self, name: str, region: str) -> bool:
        assert name == "acme-catalog"
        return region in self.world.tables

    def secret(self, name: str, region: str) -> bool:
        assert name == "acme-gateway"
        return region in self.world.secrets

    def delete_bucket(self, bucket: str, region: str) -> str:
        if self.world.objects.get(bucket):
            return "BucketNotEmpty"
        if any(bucket in buckets.split(",") for buckets in self.world.points.values()):
            return "BucketHasAccessPointsAttached"
        self.world.buckets.pop(bucket, None)
        return ""

    def count(self, bucket: str, region: str) -> int:
        return self.world.objects.get(bucket, 0)

    def page_files(self, bucket: str, region: str) -> Mapping[str, str]:
        assert (bucket, region) == PAGE_BUCKET
        return dict(self.world.files)

    def put_page_file(self, bucket: str, region: str, key: str, body: bytes, content_type: str) -> None:
        assert (bucket, region) == PAGE_BUCKET
        assert content_type
        self.world.files[key] = md5(body).hexdigest()

    def delete_page_files(self, bucket: str, region: str, keys: Sequence[str]) -> None:
        assert (bucket, region) == PAGE_BUCKET
        for each in keys:
            del self.world.files[each]

    def look_again(self, distribution: str, path: str) -> None:
        assert (distribution, path) == ("E2", "/app/*")
        self.world.seen = {key: each for key, each in self.world.files.items() if key.startswith("app/")}


class FakeSam:
    """The Deploys of a world: a change set first (a new stack is REVIEW_IN_PROGRESS then), the work, its end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.between: Callable[[], None] = lambda: None  # where a kill may come while SAM is at work

    def deploy(self, step: Step, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        world, stack = self.world, step.stack
        old = world.stacks.get(stack)
        if old and old.status not in WHOLE:
            world.wrong.append(f"{stack}: deployed while {old.status}")
            raise DeployFailed(f"An error occurred (ValidationError): {stack[0]} is in {old.status} state")
        check_order(world, step, parameters)
        if old is None:
            world.stacks[stack] = Stack("REVIEW_IN_PROGRESS")
        self.between()
        world.done.append(step.key)
        world.stacks[stack] = replace(old or Stack(""), status=f"{'UPDATE' if old else 'CREATE'}_IN_PROGRESS")
        world.ends[stack] = (2, self._end(stack, old, parameters, tags))
        self.between()
        while stack in world.ends:
            world.tick()
        self.between()
        if world.stacks[stack].parameters != parameters:
            raise DeployFailed("sam deploy ended with 1")

    def _end(self, stack: StackId, old: Stack | None, parameters: Mapping[str, str], tags: Mapping[str, str]) -> Stack:
        if why := self.world.failing.get(stack):
            self.world.events[stack] = [f"SomeResource (AWS::Some::Resource): {why}"]
            return (
                replace(old, status="UPDATE_ROLLBACK_COMPLETE") if old else Stack("ROLLBACK_COMPLETE", parameters, tags)
            )
        self.world.events.pop(stack, None)
        status = "UPDATE_COMPLETE" if old else "CREATE_COMPLETE"
        return Stack(status, dict(parameters), dict(tags), _outputs(stack, parameters))


def _outputs(stack: StackId, parameters: Mapping[str, str]) -> dict[str, str]:
    name, region = stack
    if name.endswith("-global"):
        return {"MrapAlias": alias(parameters["Name"])}
    if name.endswith("-edge"):
        return {"DistributionArn": "arn:aws:cloudfront::123456789012:distribution/E1", "AccessIdentityUser": "abc"}
    if name.endswith("-page"):
        return {"PageOrigin": PAGE_ORIGIN, "PageBucket": PAGE_BUCKET[0], "PageDistribution": "E2"}
    queue = {"EventsQueueArn": f"arn:aws:sqs:{region}:123456789012:queue"}
    return queue | {"ApiUrl": f"https://a1.execute-api.{region}.amazonaws.com"} if name == FILE["name"] else {}


class Killing:
    """Kills at the n-th call of any of the things it wraps: before its effect, in the middle, or after it."""

    def __init__(self, at: int = -1, when: When = "before") -> None:
        self.at, self.when, self.calls = at, when, 0

    def wrap[T](self, wrapped: T) -> T:
        """The same with a death in it."""
        killing = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                return lambda *arguments: killing._call(wrapped, name, arguments)

        return Wrapped()  # type: ignore[return-value]

    def _call(self, wrapped: Any, name: str, arguments: tuple[Any, ...]) -> Any:
        self.calls += 1
        now = self.calls - 1 == self.at
        if now and self.when == "before":
            raise Killed
        if name == "deploy" and now and self.when == "during":
            points = iter([False, True])
            wrapped.between = lambda: _die(next(points, False))
        answer = getattr(wrapped, name)(*arguments)
        if now:
            raise Killed
        return answer


def _die(now: bool) -> None:
    if now:
        raise Killed


def settings(**changed: Any) -> Settings:
    return parse(json.loads(json.dumps(FILE | changed)), ROOT)


class AnyTemplate(Template):
    """A template that takes whatever a step gives it."""

    def whole(self, given: Parameters) -> dict[str, str | Later]:
        return dict(given)


def template(name: str, source: str = "1") -> Template:
    return AnyTemplate(name, {}, source, ())

"""Deploying, over two Protocols. What is there is asked anew: a killed run is just run again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from deploy import DeployFailed
from deploy.page_files import Keeps, PageFiles
from deploy.parameters import Later, Outputs, StackId
from deploy.planning import (
    HALTED,
    STILLBORN,
    STUCK,
    WHOLE,
    Change,
    Describes,
    Stack,
    Templates,
    change,
    is_moving,
    looked_at,
    mending,
    planned,
)
from deploy.preconditions import Looks, Preconditions
from deploy.settings import Settings
from deploy.steps import Step, rules_key, steps
from deploy.templates import SOURCE_TAG, Template

POLL_SECONDS = 5.0
# Where SAM keeps its bucket, in each region. A kill while SAM made it leaves it so that SAM refuses for ever.
SAMS_STACK = "aws-sam-cli-managed-default"
# An access point takes up to a day in rare cases (https://docs.aws.amazon.com/AmazonS3/latest/userguide/CreatingMultiRegionAccessPoints.html).
MAX_POLLS = int(26 * 3600 / POLL_SECONDS)


class Cloud(Describes, Looks, Keeps, Protocol):
    """What of AWS a run needs besides `sam deploy`. What changes a stack only begins it."""

    def failures(self, stack: StackId) -> Sequence[str]: ...
    def delete(self, stack: StackId) -> None: ...
    def continue_rollback(self, stack: StackId) -> None: ...
    def roll_back(self, stack: StackId) -> None: ...
    def count(self, bucket: str, region: str) -> int: ...
    def delete_bucket(self, bucket: str, region: str) -> str: ...


class Deploys(Protocol):
    """`sam deploy`: returns when the stack is done, raises DeployFailed when it did not come to be."""

    def deploy(self, step: Step, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a run would do, and what people should know of it."""

    changes: Sequence[Change] = ()
    notices: Sequence[str] = ()
    files: Sequence[str] = ()

    @property
    def lines(self) -> list[str]:
        """The plan in words, without the steps that are only for what goes, where nothing does."""
        told = [each for each in self.changes if each.action != "nothing" or not each.step.shrinks]
        changes = [line for each in told for line in each.lines]
        return [*changes, *self.files, *(f"NOTE     {each}" for each in self.notices)]


@dataclass(frozen=True)
class Run:
    """One run over the steps of some settings."""

    settings: Settings
    cloud: Cloud
    deploys: Deploys
    template: Templates
    say: Callable[[str], None]
    pause: Callable[[float], None]
    web: Mapping[str, bytes] = field(default_factory=dict)

    def plan(self) -> Plan:
        """What `deploy` would do, as things are now. Raises DeployFailed when it must not begin."""
        whole = steps(self.settings)
        there = looked_at(self.cloud, whole)
        notices = self._preconditions.notices(there)
        files = [page.planned(_outputs(there)) for page in self._page]
        return Plan(planned(there, whole, self.template), notices, files)

    def deploy(self) -> None:
        """Every step in order; what is as it should be is left alone."""
        whole = steps(self.settings)
        notices = self._preconditions.notices(looked_at(self.cloud, whole))
        rules = [rules_key(each) for each in self.settings.regions if not each.adopt and len(self.settings.regions) > 1]
        for index, step in enumerate(whole, 1):
            if step.key in rules[:1]:
                self._preconditions.check_versioned()
            self._deploy(step, whole, f"[{index}/{len(whole)}] {step.key}")
        for page in self._page:
            page.put(_outputs(looked_at(self.cloud, whole)), self.say)
        for each in notices:
            self.say(f"NOTE     {each}")

    @property
    def _page(self) -> list[PageFiles]:
        return [PageFiles(self.settings, self.cloud, self.web)] if self.settings.page.enabled else []

    @property
    def _preconditions(self) -> Preconditions:
        return Preconditions(self.settings, self.cloud)

    def _deploy(self, step: Step, whole: Sequence[Step], label: str) -> None:
        there = self._mended(step.stack, label)
        template = self.template(step.template)
        one = change(step, there, template, _outputs(looked_at(self.cloud, whole)))
        if one.action == "nothing":
            self.say(f"{label}: nothing to do")
            return
        self._preconditions.check(step.stack, there)
        for name, value in one.parameters.items():
            if isinstance(value, Later):
                raise DeployFailed(f"{label}: {name} is not there: {value}")
        self._mended((SAMS_STACK, step.stack[1]), label)
        self.say(f"{label}: {one.action} {named(step.stack)}")
        self._given(step, {name: str(value) for name, value in one.parameters.items()}, template, label)
        self.say(f"{label}: done")

    def _given(self, step: Step, parameters: Mapping[str, str], template: Template, label: str) -> None:
        """Deployed, and seen to be: `sam deploy` may end well with a stack that another change has rolled back."""
        try:
            self.deploys.deploy(step, parameters, {SOURCE_TAG: template.source})
            said = ""
        except DeployFailed as failure:
            said = str(failure)
        there = self.settled(step.stack)
        if said or there is None or there.status not in WHOLE or there.tags.get(SOURCE_TAG) != template.source:
            status = "not there" if there is None else f"{there.status} {there.reason}".strip()
            words = [
                f"{label}: {named(step.stack)} is {status}",
                *([said] if said else []),
                *self.cloud.failures(step.stack),
            ]
            raise DeployFailed("\n  ".join(words) + "\nMend that and run the same command again: it goes on here.")

    def _mended(self, stack: StackId, label: str) -> Stack | None:
        """The stack when it can be deployed: what moves is waited for, what is stuck is freed, in words."""
        there = self.settled(stack)
        if there is None or there.status in WHOLE:
            return there
        self.say(f"{label}: {named(stack)}: {mending(there) or f'it is {there.status}'}")
        for line in self.cloud.failures(stack):
            self.say(f"  {line}")
        if there.status in STILLBORN:
            self.cloud.delete(stack)
        elif there.status in STUCK:
            self.cloud.continue_rollback(stack)
        elif there.status in HALTED:
            self.cloud.roll_back(stack)
        there = self.settled(stack)
        if there is not None and there.status not in WHOLE:
            raise DeployFailed(
                f"{label}: {named(stack)} is {there.status} still: {there.reason}. "
                "The stack's events in the CloudFormation console say which resource is in the way."
            )
        return there

    def settled(self, stack: StackId) -> Stack | None:
        """The stack when CloudFormation is no longer at work on it; a killed run's work goes on without it."""
        told = ""
        for _ in range(MAX_POLLS):
            there = self.cloud.stack(stack)
            if there is None or not is_moving(there):
                return there
            if there.status != told:
                told = there.status
                self.say(f"  {named(stack)} is {told}: waiting")
            self.pause(POLL_SECONDS)
        raise DeployFailed(f"{named(stack)} is {told} for more than a day")


def _outputs(there: Mapping[StackId, Stack | None]) -> Outputs:
    return {stack: other.outputs for stack, other in there.items() if other and other.status not in STILLBORN}


def named(stack: StackId) -> str:
    """A stack in words."""
    return f"{stack[0]} in {stack[1]}"

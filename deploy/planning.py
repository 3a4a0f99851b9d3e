"""What is there, what each step would do, and why: the plan."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from deploy.parameters import Later, Outputs, StackId
from deploy.steps import Step
from deploy.templates import SOURCE_TAG, Template

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
WHOLE = frozenset({
    "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE",
})  # fmt: skip
# Never came to be: only deleting leads on.
STILLBORN = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"})
STUCK = frozenset({"UPDATE_ROLLBACK_FAILED"})
# Goes back by itself only when asked to.
HALTED = frozenset({"UPDATE_FAILED"})

type Action = Literal["create", "update", "nothing"]


@dataclass(frozen=True)
class Stack:
    """A stack as CloudFormation describes it."""

    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


type Templates = Callable[[str], Template]


class Describes(Protocol):
    """Who knows the stacks."""

    def stack(self, stack: StackId) -> Stack | None: ...


@dataclass(frozen=True)
class Change:
    """What one step would do, and what it gives its stack. `because` are lines for people; `first` is what has to be
    mended before; `replaces` is what the stack would have another one of."""

    step: Step
    action: Action
    because: tuple[str, ...]
    parameters: Mapping[str, str | Later] = field(default_factory=dict)
    first: str = ""
    replaces: str = ""

    @property
    def lines(self) -> list[str]:
        """The change in words."""
        name, region = self.step.stack
        told = [f"first: {self.first}"] if self.first else []
        told += [self.replaces] if self.replaces else []
        return [
            f"{self.action:8} {name} in {region} ({self.step.key})",
            *(f"         {line}" for line in (*told, *self.because)),
        ]


def is_moving(stack: Stack | None) -> bool:
    """Whether CloudFormation is at work on it."""
    return stack is not None and stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS"


def change(step: Step, there: Stack | None, template: Template, outputs: Outputs) -> Change:
    """What the step would do to what is there."""
    if step.shrinks:
        return _shrinking(step, there, template, outputs)
    wanted = template.whole(step.parameters(outputs))
    if there is None:
        return Change(step, "create", tuple(_unknown(wanted)), wanted)
    first = mending(there)
    if there.status in STILLBORN:
        return Change(step, "create", tuple(_unknown(wanted)), wanted, first)
    if step.only_creates and there.status in WHOLE:
        return Change(step, "nothing", ("it is there; a later step changes it",))
    because = [*_differences(there, wanted, template)]
    if there.tags.get(SOURCE_TAG) != template.source:
        because.append(f"{template.name} or its code changed")
    if there.status not in WHOLE and not is_moving(there):
        because.append(f"it is {there.status}")
    action: Action = "update" if because else "nothing"
    return Change(step, action, tuple(because), wanted, first, step.replaces(there.parameters))


def _shrinking(step: Step, there: Stack | None, template: Template, outputs: Outputs) -> Change:
    """What is new waits for the later step: it is not there yet to be named."""
    if there is None or there.status in STILLBORN:
        return Change(step, "nothing", ("it is not there",))
    wanted, going = template.whole(step.parameters(outputs)), dict[str, list[str]]()
    for name in step.shrinks:
        old, new = (str(each.get(name, "")).split(",") for each in (there.parameters, wanted))
        going[name] = [each for each in old if each not in new]
        wanted[name] = ",".join(each for each in new if each in old)
    because = [
        f"{name} without {', '.join(lost)}: their stack does not let go of what is imported here"
        for name, lost in going.items()
        if lost
    ]
    if not because:
        return Change(step, "nothing", ("nothing goes that it names",))
    return Change(step, "update", tuple(because), wanted, mending(there))


def looked_at(cloud: Describes, steps: Sequence[Step]) -> dict[StackId, Stack | None]:
    """Every stack of the steps, as it is now."""
    return {stack: cloud.stack(stack) for stack in dict.fromkeys(step.stack for step in steps)}


def mending(there: Stack) -> str:
    """In words what a stack in this state needs before it can be deployed; empty when nothing."""
    if there.status in STILLBORN:
        why = "a deletion stopped half-way" if there.status == "DELETE_FAILED" else "it never came to be"
        return f"it is {there.status}: {why}, so it is deleted"
    if there.status in STUCK:
        return f"it is {there.status}: its rollback is continued"
    if there.status in HALTED:
        return f"it is {there.status}: it is rolled back"
    return f"it is {there.status}: that is waited for" if is_moving(there) else ""


def planned(there: Mapping[StackId, Stack | None], steps: Sequence[Step], template: Templates) -> list[Change]:
    """What each step would do to what is there."""
    outputs = {name: each.outputs for name, each in there.items() if each and each.status not in STILLBORN}
    found, then = list[Change](), dict(there)
    for step in steps:
        one = change(step, then[step.stack], template(step.template), outputs)
        if one.replaces:
            outputs.pop(step.stack, None)  # they will be others
        if step.shrinks and one.action == "update":
            given = {name: str(value) for name, value in one.parameters.items()}
            then[step.stack] = Stack("UPDATE_COMPLETE", given, {SOURCE_TAG: template(step.template).source})
        created = any(c.step.stack == step.stack and c.action == "create" for c in found)
        found.append(replace(one, action="update", first="") if created else one)
    return found


def _unknown(wanted: Mapping[str, str | Later]) -> list[str]:
    return [f"{name}: {value}" for name, value in wanted.items() if isinstance(value, Later)]


def _differences(there: Stack, wanted: Mapping[str, str | Later], template: Template) -> Iterable[str]:
    for name, value in wanted.items():
        if template.is_secret(name):
            if value:
                yield f"{name} is secret: whether it changed cannot be known"
        elif isinstance(value, Later):
            yield f"{name}: {value}"
        elif there.parameters.get(name, "") != value:
            yield f"{name}: {there.parameters.get(name, '')!r} → {value!r}"
    for name in there.parameters.keys() - wanted.keys():
        yield f"{name}: {there.parameters[name]!r} → no such parameter any more"

"""A stack and its change sets as CloudFormation keeps them, and the work of an operation on one.

An operation is a generator that stops in the middle once: whoever runs it may keep it waiting there.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.intrinsics import TemplateError
from local.rehearsal_moto import ACCOUNT
from local.rehearsal_refusals import Refused
from local.rehearsal_resources import Resource, Resources
from local.rehearsal_templates import EXPORT, Written
from local.rehearsal_values import Strict

# Asked before each resource: stack, logical name, what is done; the reason to fail with, or nothing.
type Fails = Callable[[str, str, str], str]
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_moments = itertools.count(1)


@dataclass
class ChangeSet:
    """What a stack is to become."""

    id: str
    name: str
    kind: str
    written: Written
    template: str
    tags: Mapping[str, str]
    planned: Mapping[str, Any]
    changes: Sequence[Mapping[str, Any]]
    reason: str = ""


@dataclass
class Stack:
    """A stack. `wanted` is the change set that it was made from."""

    name: str
    region: str
    status: str = "REVIEW_IN_PROGRESS"
    reason: str = ""
    wanted: ChangeSet | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    undo: list[tuple[str, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = f"arn:aws:cloudformation:{self.region}:{ACCOUNT}:stack/{self.name}/{uuid.uuid4()}"
        self.turn("REVIEW_IN_PROGRESS", "User Initiated")

    @property
    def is_moving(self) -> bool:
        """Whether an operation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def turn(self, status: str, reason: str = "") -> None:
        """The stack's own status, with its event."""
        self.status, self.reason = status, reason
        self.tell(self.name, "AWS::CloudFormation::Stack", status, reason)

    def tell(self, name: str, kind: str, status: str, reason: str = "") -> None:
        """An event, the newest first."""
        event = {
            "StackId": self.id, "StackName": self.name, "EventId": str(uuid.uuid4()), "LogicalResourceId": name,
            "PhysicalResourceId": self.id if name == self.name else "", "ResourceType": kind,
            "ResourceStatus": status, "Timestamp": _BEGINNING + timedelta(seconds=next(_moments)),
        }  # fmt: skip
        self.events.insert(0, event | ({"ResourceStatusReason": reason} if reason else {}))


@dataclass
class Account:
    """All stacks and resources, and what a test makes fail."""

    stacks: list[Stack] = field(default_factory=list)
    resources: Resources = field(default_factory=Resources)
    fails: Fails = lambda stack, name, doing: ""

    def exports(self, region: str) -> dict[str, str]:
        """All exports of a region."""
        return {name: value for each in self.stacks if each.region == region for name, value in each.exports.items()}

    def importers(self, stack: Stack, export: str) -> list[str]:
        """The stacks that import it."""
        return [e.name for e in self.stacks if e.region == stack.region and e is not stack and export in e.imports]


class Operation:
    """One execution of a change set."""

    def __init__(self, account: Account, stack: Stack, wanted: ChangeSet) -> None:
        self._account, self._stack, self._wanted = account, stack, wanted
        self._new: dict[str, Resource] = {}
        self._imports: set[str] = set()
        self._replaced: list[tuple[str, Resource]] = []

    def run(self) -> Iterator[None]:
        """To the end, whichever it is."""
        stack, word = self._stack, self._wanted.kind
        stack.turn(f"{word}_IN_PROGRESS", "User Initiated")
        stack.undo = []
        stack.wanted = stack.wanted or self._wanted
        failed = ""
        names = self._wanted.written.present()
        for index, name in enumerate(names):
            if index == len(names) // 2:
                yield
            if why := self._one(name):
                failed = name
                break
        else:
            why = self._whole()
        if why:
            roll_back(
                stack, word, f"The following resource(s) failed to {word.lower()}: [{failed}]. " if failed else why
            )
            return
        stack.change_sets.clear()
        stack.undo = []
        if word == "UPDATE":
            self._clean()
        stack.turn(f"{word}_COMPLETE")

    def _values(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            EXPORT + name: value for name, value in self._account.exports(self._stack.region).items()
        }
        found |= {"AWS::StackName": self._stack.name, "AWS::StackId": self._stack.id}
        for name, resource in self._new.items():
            found |= {f"{name}.{attribute}".rstrip("."): value for attribute, value in resource.values.items()}
        return found

    def _one(self, name: str) -> str:
        """Why it could not be made or changed, or nothing."""
        stack, declared = self._stack, self._wanted.written.resources[name]
        kind = declared["Type"]
        there = stack.resources.get(name)
        doing = "UPDATE" if there and there.kind == kind else "CREATE"
        try:
            resolver = Strict(self._wanted.written, self._values())
            properties = resolver.resolve(declared.get("Properties") or {})
            self._imports |= resolver.imported
            if there and there.kind == kind and there.properties == properties:
                self._new[name] = there
            else:
                stack.tell(name, kind, f"{doing}_IN_PROGRESS")
                if why := self._account.fails(stack.name, name, doing):
                    raise Refused(why)
                self._new[name] = self._made(name, kind, properties, there)
                stack.tell(name, kind, f"{doing}_COMPLETE")
        except Exception as error:  # noqa: BLE001 - also what the emulator itself cannot do is told, and rolled back
            why = str(error) if isinstance(error, Refused | TemplateError) else f"Internal failure: {error!r}"
            stack.tell(name, kind, f"{doing}_FAILED", why)
            return why
        self._new[name].kept = declared.get("DeletionPolicy", "Delete")
        self._new[name].kept_when_replaced = declared.get("UpdateReplacePolicy", "Delete")
        return ""

    def _made(self, name: str, kind: str, properties: Mapping[str, Any], there: Resource | None) -> Resource:
        all_of_them, stack = self._account.resources, self._stack
        if there and there.kind == kind and not all_of_them.is_replaced(there, properties):
            changed = all_of_them.change(name, there, properties)
            stack.undo.append((name, lambda: all_of_them.revert(name, there, changed)))
            return changed
        asked = {attribute for of, attribute in self._wanted.written.asked() if of == name} - {""}
        made = all_of_them.make(stack.name, name, kind, properties, asked, stack.region)
        kept = self._wanted.written.resources[name].get("DeletionPolicy") == "Retain"
        stack.undo.append((name, lambda: all_of_them.drop(made, keep=kept)))
        if there:
            self._replaced.append((name, there))
        return made

    def _whole(self) -> str:
        """The outputs and exports; why the stack as a whole cannot be so, or nothing."""
        stack, account = self._stack, self._account
        resolver = Strict(self._wanted.written, self._values())
        outputs, exports = {}, {}
        try:
            for name, each in (self._wanted.written.document.get("Outputs") or {}).items():
                if resolver.condition(each.get("Condition", "")):
                    outputs[name] = str(resolver.resolve(each["Value"]))
                    if "Export" in each:
                        exports[str(resolver.resolve(each["Export"]["Name"]))] = outputs[name]
        except TemplateError as error:
            return str(error)
        for name, value in stack.exports.items():
            if exports.get(name) != value and (users := account.importers(stack, name)):
                done = "updated" if name in exports else "deleted"
                return f"Export {name} cannot be {done} as it is in use by {' and '.join(users)}"
        for name in exports.keys() - stack.exports.keys():
            if name in account.exports(stack.region):
                return f"Export with name {name} is already exported by another stack"
        gone = [(name, stack.resources[name]) for name in stack.resources if name not in self._new]
        self._replaced += gone
        stack.outputs, stack.exports = outputs, exports
        stack.imports = self._imports | resolver.imported
        stack.resources, stack.wanted = self._new, self._wanted
        return ""

    def _clean(self) -> None:
        stack = self._stack
        stack.turn("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        for name, each in reversed(self._replaced):
            policy = each.kept_when_replaced if name in stack.resources else each.kept
            try:
                self._account.resources.drop(each, keep=policy.startswith("Retain"))
            except Refused as error:  # CloudFormation gives up on it, and the update is complete
                stack.tell(name, each.kind, "DELETE_FAILED", str(error))


def roll_back(stack: Stack, word: str, reason: str, fails: str = "") -> None:
    """Back to what was before; `fails` is the reason why that cannot be."""
    prefix = "" if word == "CREATE" else "UPDATE_"
    stack.turn(f"{prefix}ROLLBACK_IN_PROGRESS", reason)
    while stack.undo:
        name, back = stack.undo[-1]
        try:
            if fails:
                raise Refused(fails)
            back()
        except Refused as error:
            stack.tell(name, "", "UPDATE_FAILED" if prefix else "DELETE_FAILED", str(error))
            stack.turn(f"{prefix}ROLLBACK_FAILED", f"The following resource(s) failed: [{name}]. ")
            return
        stack.undo.pop()
    stack.change_sets.clear()
    stack.turn(f"{prefix}ROLLBACK_COMPLETE")


def delete(account: Account, stack: Stack) -> Iterator[None]:
    """Every resource, the last first."""
    for name in stack.exports:
        if users := account.importers(stack, name):
            # No state of its own: it stays as it was, with the reason (https://github.com/aws/aws-cdk/issues/604).
            stack.turn(stack.status, f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}")
            return
    stack.turn("DELETE_IN_PROGRESS", "User Initiated")
    yield
    failed = []
    for name, each in reversed(list(stack.resources.items())):
        try:
            if why := account.fails(stack.name, name, "DELETE"):
                raise Refused(why)
            account.resources.drop(each, keep=each.kept.startswith("Retain"))
            stack.tell(name, each.kind, "DELETE_COMPLETE")
            del stack.resources[name]
        except Refused as error:
            stack.tell(name, each.kind, "DELETE_FAILED", str(error))
            failed.append(name)
    if failed:
        stack.turn("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
        return
    stack.exports, stack.imports = {}, set()
    stack.turn("DELETE_COMPLETE")

"""CloudFormation's query API over the rehearsal's stacks: what boto3 and SAM ask of it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local import rehearsal_moto as moto
from local.intrinsics import load_yaml
from local.rehearsal_change_sets import change_set, check_state, template_text
from local.rehearsal_parameters import Invalid, shown
from local.rehearsal_stacks import Account, ChangeSet, Operation, Stack, delete, roll_back

type Asked = Mapping[str, Any]
type Answer = dict[str, Any]
_MADE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class CloudFormation:
    """The service. `hold` may name an event that an operation waits for in its middle, while it answers already."""

    account: Account = field(default_factory=Account)
    hold: Callable[[Stack], threading.Event | None] = lambda stack: None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, action: str, asked: Asked, region: str) -> Answer:
        """Raises Invalid."""
        method = getattr(self, f"_{_words(action)}", None)
        if method is None:
            raise Invalid(f"{action} is not known to the rehearsal")
        with self._lock:
            found: Answer = method(asked, region)
        return found

    def stack(self, name: str, region: str) -> Stack:
        """By name, or by id also when it is deleted. Raises Invalid."""
        for each in self.account.stacks:
            if each.region == region and (each.id == name or (each.name == name and each.status != "DELETE_COMPLETE")):
                return each
        raise Invalid(f"Stack with id {name} does not exist")

    def _begin(self, stack: Stack, work: Iterator[None]) -> None:
        """To the middle at once; the rest at once too, or when the event comes."""
        for _ in work:
            if event := self.hold(stack):
                threading.Thread(target=self._end, args=(work, event), daemon=True).start()
                return

    def _end(self, work: Iterator[None], event: threading.Event) -> None:
        event.wait()
        with self._lock:
            for _ in work:
                pass

    def _describe_stacks(self, asked: Asked, region: str) -> Answer:
        if "StackName" in asked:
            return {"Stacks": [_told(self.stack(asked["StackName"], region))]}
        there = [each for each in self.account.stacks if each.region == region and each.status != "DELETE_COMPLETE"]
        return {"Stacks": [_told(each) for each in there]}

    def _create_change_set(self, asked: Asked, region: str) -> Answer:
        try:
            stack = self.stack(asked["StackName"], region)
        except Invalid:
            stack = None
        wanted = change_set(self.account, asked, stack, region)
        if stack is None:
            stack = Stack(asked["StackName"], region)
            self.account.stacks.append(stack)
        stack.change_sets[wanted.name] = wanted
        return {"Id": wanted.id, "StackId": stack.id}

    def _change_set(self, asked: Asked, region: str) -> tuple[Stack, ChangeSet]:
        name = asked["ChangeSetName"]
        for stack in self.account.stacks:
            if stack.region == region and asked.get("StackName", stack.name) in (stack.name, stack.id):
                for each in stack.change_sets.values():
                    if name in (each.name, each.id):
                        return stack, each
        raise Invalid(f"ChangeSet [{name}] does not exist")

    def _describe_change_set(self, asked: Asked, region: str) -> Answer:
        stack, found = self._change_set(asked, region)
        told = {
            "ChangeSetName": found.name, "ChangeSetId": found.id, "StackId": stack.id, "StackName": stack.name,
            "CreationTime": _MADE, "Changes": found.changes, "Status": "FAILED" if found.reason else "CREATE_COMPLETE",
            "ExecutionStatus": "UNAVAILABLE" if found.reason else "AVAILABLE",
        }  # fmt: skip
        return told | ({"StatusReason": found.reason} if found.reason else {})

    def _delete_change_set(self, asked: Asked, region: str) -> Answer:
        stack, found = self._change_set(asked, region)
        del stack.change_sets[found.name]
        return {}

    def _execute_change_set(self, asked: Asked, region: str) -> Answer:
        stack, wanted = self._change_set(asked, region)
        check_state(stack, wanted.kind, stack.name)
        if wanted.reason:
            raise Invalid(f"ChangeSet [{wanted.id}] cannot be executed in its current status of [FAILED]")
        self._begin(stack, Operation(self.account, stack, wanted).run())
        return {}

    def _describe_stack_events(self, asked: Asked, region: str) -> Answer:
        return {"StackEvents": list(self.stack(asked["StackName"], region).events)}

    def _delete_stack(self, asked: Asked, region: str) -> Answer:
        try:
            stack = self.stack(asked["StackName"], region)
        except Invalid:
            return {}
        if stack.is_moving:
            raise Invalid(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
        self._begin(stack, delete(self.account, stack))
        return {}

    def _continue_update_rollback(self, asked: Asked, region: str) -> Answer:
        stack = self.stack(asked["StackName"], region)
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise Invalid(f"Stack [{stack.id}] is in {stack.status} state and can not continue its rollback")
        roll_back(stack, "UPDATE", "")
        return {}

    def _list_stack_resources(self, asked: Asked, region: str) -> Answer:
        stack = self.stack(asked["StackName"], region)
        told = [
            {
                "LogicalResourceId": name, "PhysicalResourceId": each.values[""], "ResourceType": each.kind,
                "LastUpdatedTimestamp": _MADE, "ResourceStatus": "CREATE_COMPLETE",
            }
            for name, each in stack.resources.items()
        ]  # fmt: skip
        return {"StackResourceSummaries": told}

    def _describe_stack_resources(self, asked: Asked, region: str) -> Answer:
        told = self._list_stack_resources(asked, region)["StackResourceSummaries"]
        return {"StackResources": [each | {"Timestamp": each.pop("LastUpdatedTimestamp")} for each in told]}

    def _get_template_summary(self, asked: Asked, region: str) -> Answer:
        if "StackName" in asked:
            wanted = self.stack(asked["StackName"], region).wanted
            declared = wanted.written.document.get("Parameters") if wanted else {}
        else:
            declared = load_yaml(template_text(asked)).get("Parameters")
        return {"Parameters": [{"ParameterKey": each} for each in declared or {}]}

    def _get_template(self, asked: Asked, region: str) -> Answer:
        wanted = self.stack(asked["StackName"], region).wanted
        return {"TemplateBody": wanted.template if wanted else "", "StagesAvailable": ["Original"]}

    def _list_exports(self, _: Asked, region: str) -> Answer:
        found = self.account.exports(region)
        return {"Exports": [{"Name": name, "Value": value} for name, value in found.items()]}

    def _detect_stack_drift(self, asked: Asked, region: str) -> Answer:
        return {"StackDriftDetectionId": self.stack(asked["StackName"], region).id}

    def _describe_stack_drift_detection_status(self, asked: Asked, region: str) -> Answer:
        stack = self.stack(asked["StackDriftDetectionId"], region)
        return {
            "StackId": stack.id, "StackDriftDetectionId": stack.id, "Timestamp": _MADE,
            "DetectionStatus": "DETECTION_COMPLETE", "StackDriftStatus": "DRIFTED" if _drift(stack) else "IN_SYNC",
        }  # fmt: skip

    def _describe_stack_resource_drifts(self, asked: Asked, region: str) -> Answer:
        stack = self.stack(asked["StackName"], region)
        told = [
            {
                "StackId": stack.id, "LogicalResourceId": name, "ResourceType": stack.resources[name].kind,
                "StackResourceDriftStatus": how, "Timestamp": _MADE,
            }
            for name, how in _drift(stack).items()
        ]  # fmt: skip
        return {"StackResourceDrifts": told}


def _words(action: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in action).lstrip("_")


def _drift(stack: Stack) -> dict[str, str]:
    """Of the buckets, which are the only ones that are looked at."""
    found = {}
    for name, each in stack.resources.items():
        if each.kind == moto.BUCKET:
            state = moto.bucket_versioning(each.values[""])
            if state is None:
                found[name] = "DELETED"
            elif state != (each.properties.get("VersioningConfiguration") or {}).get("Status", ""):
                found[name] = "MODIFIED"
    return found


def _told(stack: Stack) -> Answer:
    wanted = stack.wanted
    told: Answer = {
        "StackId": stack.id, "StackName": stack.name, "CreationTime": _MADE, "StackStatus": stack.status,
        "DisableRollback": False,
    }  # fmt: skip
    if stack.reason and not stack.reason.startswith("User "):
        told["StackStatusReason"] = stack.reason
    if wanted:
        declared = wanted.written.document.get("Parameters") or {}
        told["Parameters"] = shown(declared, wanted.written.parameters)
        told["Tags"] = [{"Key": name, "Value": value} for name, value in wanted.tags.items()]
    told["Outputs"] = [{"OutputKey": name, "OutputValue": value} for name, value in stack.outputs.items()]
    return told

"""Making a change set: everything that CloudFormation refuses before anything is made."""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from local.intrinsics import TemplateError, load_yaml
from local.rehearsal_moto import ACCOUNT, object_bytes
from local.rehearsal_parameters import Invalid, check_rules, lacking_capabilities, parameter_values
from local.rehearsal_stacks import Account, ChangeSet, Stack
from local.rehearsal_templates import EXPORT, Written
from local.rehearsal_values import Strict, stand_ins

_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_UPDATABLE = frozenset({
    "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE",
})  # fmt: skip


def template_text(asked: Mapping[str, Any]) -> str:
    """From the request, or from the bucket that its URL names."""
    if "TemplateBody" in asked:
        return str(asked["TemplateBody"])
    bucket, _, key = unquote(urlsplit(asked["TemplateURL"]).path).lstrip("/").partition("/")
    found = object_bytes(bucket, key)
    if found is None:
        raise Invalid(f"S3 error: The specified key does not exist: {key}")
    return found.decode()


def check_state(stack: Stack | None, kind: str, name: str) -> None:
    """Raises Invalid when a change set of this kind cannot be made, or executed, now."""
    if kind == "CREATE":
        if stack and stack.status != "REVIEW_IN_PROGRESS":
            raise Invalid(f"Stack [{name}] already exists and cannot be created again with the changeSet")
    elif stack is None or stack.status == "REVIEW_IN_PROGRESS":
        raise Invalid(f"Stack [{name}] does not exist")
    elif stack.status not in _UPDATABLE:
        raise Invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def change_set(account: Account, asked: Mapping[str, Any], stack: Stack | None, region: str) -> ChangeSet:
    """Raises Invalid for what is refused at once; what is found later is the reason of a change set that failed."""
    name, kind = str(asked["StackName"]), str(asked.get("ChangeSetType", "UPDATE"))
    check_state(stack, kind, name)
    text = template_text(asked)
    try:
        document = load_yaml(text)
        declared = document.get("Parameters") or {}
        former = stack.wanted.written.parameters if stack and stack.wanted else {}
        parameters = parameter_values(declared, asked.get("Parameters", ()), former)
        written = Written(document, parameters, region, name)
        # SAM's transform leaves only what CloudFormation knows.
        check_rules(written.document.get("Rules") or {}, Strict(written, {"AWS::StackName": name}))
    except TemplateError as error:
        raise Invalid(f"Template format error: {error}") from error
    tags = {each["Key"]: each["Value"] for each in asked.get("Tags", ())}
    identity = f"arn:aws:cloudformation:{region}:{ACCOUNT}:changeSet/{asked['ChangeSetName']}/{uuid.uuid4()}"
    found = ChangeSet(identity, asked["ChangeSetName"], kind, written, text, tags, {}, ())
    if lacking := lacking_capabilities(written.resources.values(), asked.get("Capabilities", ())):
        found.reason = f"Requires capabilities : [{lacking}]"
        return found
    try:
        found.planned = _planned(account, written, name)
    except TemplateError as error:
        found.reason = str(error)
        return found
    there = stack.wanted.planned if stack and stack.wanted and kind == "UPDATE" else {}
    found.changes = list(_changes(there, found.planned, tags, stack if kind == "UPDATE" else None))
    if not found.changes and found.planned.get("") == there.get(""):
        found.reason = _NO_CHANGES
    return found


def _planned(account: Account, written: Written, stack: str) -> dict[str, Any]:
    """Each resource as it is to be, with names in place of references; outputs under no name."""
    values = stand_ins(written) | {EXPORT + name: value for name, value in account.exports(written.region).items()}
    resolver = Strict(written, values | {"AWS::StackName": stack, "AWS::StackId": stack})
    found: dict[str, Any] = {}
    for name in written.present():
        declared = written.resources[name]
        kept = [declared.get(each) for each in ("DeletionPolicy", "UpdateReplacePolicy")]
        found[name] = [declared["Type"], resolver.resolve(declared.get("Properties") or {}), kept]
    outputs = written.document.get("Outputs") or {}
    found[""] = {
        name: resolver.resolve({key: each[key] for key in ("Value", "Export") if key in each})
        for name, each in outputs.items()
        if resolver.condition(each.get("Condition", ""))
    }
    return found


def _changes(
    there: Mapping[str, Any], wanted: Mapping[str, Any], tags: Mapping[str, str], stack: Stack | None
) -> list[dict[str, Any]]:
    retagged = stack is not None and stack.wanted is not None and stack.wanted.tags != tags
    found = []
    for name in [*wanted, *(each for each in there if each not in wanted)]:
        if not name or (name in there and there[name] == wanted.get(name) and not retagged):
            continue
        action = "Add" if name not in there else "Modify" if name in wanted else "Remove"
        kind = (wanted.get(name) or there[name])[0]
        change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind}
        found.append({"Type": "Resource", "ResourceChange": change})
    return found

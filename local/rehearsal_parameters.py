"""What CloudFormation looks at before it makes a change set: parameters, a template's Rules, and capabilities.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.rehearsal_templates import Known

_IAM = "AWS::IAM::"
_NAMES = {"AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::IAM::User": "UserName"}
SECRET = "****"


class Invalid(Exception):
    """A ValidationError, in CloudFormation's words."""


def parameter_values(
    declared: Mapping[str, Mapping[str, Any]], given: Sequence[Mapping[str, Any]], former: Mapping[str, str]
) -> dict[str, str]:
    """The value of every parameter. Raises Invalid."""
    told = {each["ParameterKey"]: each for each in given}
    if unknown := sorted(told.keys() - declared.keys()):
        raise Invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    found: dict[str, str] = {}
    for name, about in declared.items():
        one = told.get(name, {})
        if one.get("UsePreviousValue") and name in former:
            found[name] = former[name]
        elif "ParameterValue" in one:
            found[name] = str(one["ParameterValue"])
        elif "Default" in about:
            found[name] = str(about["Default"])
    if missing := sorted(declared.keys() - found.keys()):
        raise Invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in found.items():
        _check(name, value, declared[name])
    return found


def _check(name: str, value: str, about: Mapping[str, Any]) -> None:
    kind = str(about.get("Type", "String"))
    values = [each.strip() for each in value.split(",")] if "List" in kind else [value]
    allowed = [str(each) for each in about.get("AllowedValues", ())]
    for each in values:
        if allowed and each not in allowed:
            raise Invalid(f"Parameter '{name}' must be one of AllowedValues")
        if "AllowedPattern" in about and not re.fullmatch(about["AllowedPattern"], each):
            raise Invalid(f"Parameter '{name}' must match pattern {about['AllowedPattern']}")
        if kind == "Number":
            _check_number(name, each, about)
        elif not int(about.get("MinLength", 0)) <= len(each) <= int(about.get("MaxLength", 4096)):
            raise Invalid(f"Parameter '{name}' must have another number of characters")


def _check_number(name: str, value: str, about: Mapping[str, Any]) -> None:
    if not re.fullmatch(r"-?\d+(\.\d+)?", value):
        raise Invalid(f"Parameter '{name}' must be a number.")
    least, most = float(about.get("MinValue", "-inf")), float(about.get("MaxValue", "inf"))
    if not least <= float(value) <= most:
        raise Invalid(f"Parameter '{name}' must be a number from {least:g} to {most:g}")


def shown(declared: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> list[dict[str, str]]:
    """As DescribeStacks tells them: a NoEcho one is hidden."""
    secret = {name for name, about in declared.items() if str(about.get("NoEcho", "")).lower() == "true"}
    return [
        {"ParameterKey": name, "ParameterValue": SECRET if name in secret else value} for name, value in values.items()
    ]


def check_rules(rules: Mapping[str, Mapping[str, Any]], resolver: Known) -> None:
    """Raises Invalid with the description of an assertion that does not hold."""
    for name, rule in rules.items():
        if resolver.resolve(rule.get("RuleCondition", True)):
            for each in rule["Assertions"]:
                if not resolver.resolve(each["Assert"]):
                    words = each.get("AssertDescription", "it does not hold")
                    raise Invalid(f"Template validation error: Rule {name}: {words}")


def lacking_capabilities(resources: Iterable[Mapping[str, Any]], given: Sequence[str]) -> str:
    """The capability that the caller has to acknowledge, or nothing."""
    kinds = [each for each in resources if each["Type"].startswith(_IAM)]
    if any(_NAMES.get(each["Type"]) in (each.get("Properties") or {}) for each in kinds):
        return "" if "CAPABILITY_NAMED_IAM" in given else "CAPABILITY_NAMED_IAM"
    known = {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"} & set(given)
    return "CAPABILITY_IAM" if kinds and not known else ""

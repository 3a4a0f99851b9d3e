"""Whether two configurations mean the same: S3 answers in its own words, with its own order and defaults."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from deploy.bucket_state import ENTRIES, Part

_ACCOUNT = re.compile(r"\d{12}")
_IDENTITY = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity "


def same(part: str, one: Part, other: Part) -> bool:
    """Whether both mean the same. The order of CORS rules counts: S3 takes the first that fits."""
    if part == "policy":
        one, other = _named_as_in(other, one), _named_as_in(one, other)
    return bool(_canonical(part, one) == _canonical(part, other))


def _named_as_in(other: Part, one: Part) -> Part:
    """S3 takes CloudFront's access identity as a canonical user and tells it as an ARN, from which nobody can work out
    the user (https://github.com/hashicorp/terraform/issues/6955). So where one says the ARN, the other's word counts.
    """
    if not one or not other:
        return one
    users = {each.get("Sid"): each["Principal"] for each in other["Statement"] if "CanonicalUser" in _principals(each)}
    return one | {
        "Statement": [
            each | {"Principal": users[each.get("Sid")]} if each.get("Sid") in users and _is_identity(each) else each
            for each in one["Statement"]
        ]
    }


def _principals(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    found = statement.get("Principal")
    return found if isinstance(found, dict) else {}


def _is_identity(statement: Mapping[str, Any]) -> bool:
    named = _listed(_principals(statement).get("AWS", []))
    return bool(named) and all(str(each).startswith(_IDENTITY) for each in named)


def _canonical(part: str, value: Part) -> Part:
    if not isinstance(value, dict):
        return value
    told = _ENTRIES_TOLD.get(part, dict)
    entries = {key: [_dumped(told(each)) for each in value[key]] for key in ENTRIES.get(part, {}) if key in value}
    return value | (entries if part == "cors" else {key: sorted(found) for key, found in entries.items()})


def _dumped(entry: Any) -> str:
    return json.dumps(entry, sort_keys=True, default=str)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    """S3 makes a list of one a string, sorts lists, and writes an account's number as the ARN of its root."""
    told = {key: value for key, value in statement.items() if (key, value) != ("Sid", "")}
    for key, value in told.items():
        if key in ("Action", "NotAction", "Resource", "NotResource"):
            told[key] = sorted(map(str, _listed(value)))
        elif key in ("Principal", "NotPrincipal"):
            named = {"AWS": "*"} if value == "*" else value
            told[key] = {kind: sorted(map(_arn, _listed(each))) for kind, each in named.items()}
        elif key == "Condition":
            told[key] = {operator: _tests(tests) for operator, tests in value.items()}
    return told


def _arn(principal: Any) -> str:
    return f"arn:aws:iam::{principal}:root" if _ACCOUNT.fullmatch(str(principal)) else str(principal)


def _tests(tests: Mapping[str, Any]) -> dict[str, list[str]]:
    """Condition keys know no case; numbers and truths come back as strings."""
    return {
        key.lower(): sorted(str(each).lower() if isinstance(each, bool) else str(each) for each in _listed(values))
        for key, values in tests.items()
    }


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What is off may be said or left out; and fifteen minutes is all that S3 takes."""
    if "Filter" not in rule:
        return dict(rule)  # the first form, whose defaults are others
    told: dict[str, Any] = {"Priority": 0, **rule, "Filter": _filter(rule["Filter"])}
    told["Destination"] = {
        name: value["Status"] if name in ("Metrics", "ReplicationTime") else value
        for name, value in _on(rule["Destination"]).items()
    }
    told["SourceSelectionCriteria"] = _on(rule.get("SourceSelectionCriteria") or {})
    return {key: value for key, value in _on(told).items() if value != {}}


def _on(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in choices.items()
        if not (isinstance(value, dict) and value.get("Status") == "Disabled")
    }


def _filter(chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if chosen in (None, {"Prefix": ""}) else dict(chosen or {})


def _life(rule: Mapping[str, Any]) -> dict[str, Any]:
    return dict(rule) | ({"Filter": _filter(rule["Filter"])} if "Filter" in rule else {})


def _notification(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The names of a filter's rules (`prefix`, `suffix`) come back in another case."""
    rules = ((entry.get("Filter") or {}).get("Key") or {}).get("FilterRules", [])
    told = {
        "Events": sorted(entry["Events"]),
        "Filter": sorted((each["Name"].lower(), each["Value"]) for each in rules),
    }
    return dict(entry) | told


_ENTRIES_TOLD: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "policy": _statement,
    "lifecycle": _life,
    "notifications": _notification,
    "replication": _rule,
}

"""cfn-lint's schemas of resources, for values in which nothing is left to resolve."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]
from jsonschema import Draft7Validator, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]

_MADE_UP = "rehearsed"


def schema_of(kind: str, region: str) -> Mapping[str, Any] | None:
    """The schema of a type of resource; None where cfn-lint has none for the region."""
    return _schema(kind, region)


@cache
def _schema(kind: str, region: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema
    except Exception as error:  # its own kind of error is private
        if type(error).__name__ != "ResourceNotFoundError":
            raise
        return None
    return found


def faults(kind: str, properties: Mapping[str, Any], region: str) -> list[str]:
    """What the schema has against them; empty when they are right."""
    schema = _schema(kind, region)
    assert schema is not None
    found = _Validator(schema).iter_errors(properties)
    return [f"{'/'.join(map(str, each.absolute_path)) or 'it'}: {each.message[:200]}" for each in found]


def has_attribute(kind: str, attribute: str, region: str) -> bool:
    """Whether Fn::GetAtt may ask it for this."""
    return attribute in PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).get_atts


def identifying(kind: str, region: str) -> list[str]:
    """The properties that name it, where whoever makes it may choose the name; a name is had once."""
    schema = _schema(kind, region) or {}
    named = schema.get("primaryIdentifier", ())
    return [] if set(named) & set(schema.get("readOnlyProperties", ())) else [each.split("/")[-1] for each in named]


def replacing(kind: str, region: str) -> set[str]:
    """The properties that cannot be changed: another value is another resource."""
    schema = _schema(kind, region) or {}
    return {each.split("/")[2] for each in schema.get("createOnlyProperties", ())}


def made_up(kind: str, name: str, attribute: str, region: str) -> str:
    """A value for what nobody created, in the form that the other resources' schemas ask for."""
    service = kind.split("::")[1].lower()
    if attribute.endswith("Arn") or (not attribute and kind in _ARN_REFS and kind != "AWS::Lambda::Function"):
        if kind == "AWS::IAM::Role":
            return f"arn:aws:iam::123456789012:role/{name}"
        what = _ARN_REFS.get(kind, "")
        return f"arn:aws:{service}:{region}:123456789012:{what}{name}" + ("" if attribute else ":1")
    return f"{_MADE_UP}{name[:40].lower()}"


# What a Ref to these is, begins so.
_ARN_REFS = {
    "AWS::Lambda::Function": "function:",
    "AWS::Lambda::Version": "function:",
    "AWS::Lambda::Alias": "function:",
    "AWS::Lambda::LayerVersion": "layer:",
    "AWS::SNS::Topic": "",
    "AWS::SecretsManager::Secret": "secret:",
    "AWS::CertificateManager::Certificate": "certificate/",
}


def _integer(_: Any, value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and bool(re.fullmatch(r"-?\d+", value)))


def _number(_: Any, value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (isinstance(value, str) and bool(re.fullmatch(r"-?\d+(\.\d+)?", value)))


def _boolean(_: Any, value: object) -> bool:
    return isinstance(value, bool) or value in ("true", "false")


def _string(_: Any, value: object) -> bool:
    return isinstance(value, str | int | float)


def _pattern(_: Any, pattern: str, value: object, __: Any) -> Iterator[ValidationError]:
    try:
        found = re.search(pattern, str(value))
    except re.error:
        return  # a dialect of its own, such as \p{L}
    if not found and isinstance(value, str) and _MADE_UP not in value and "{{resolve:" not in value:
        yield ValidationError(f"{json.dumps(value)} does not match {pattern}")


def _bound(below: bool) -> Any:
    def check(_: Any, bound: float, value: object, __: Any) -> Iterator[ValidationError]:
        told = float(str(value)) if _number(_, value) else bound
        if told < bound if below else told > bound:
            yield ValidationError(f"{value} is {'less' if below else 'more'} than {bound}")

    return check


def _multiple(_: Any, of: float, value: object, __: Any) -> Iterator[ValidationError]:
    if _number(_, value) and float(str(value)) % of:
        yield ValidationError(f"{value} is no multiple of {of}")


def _enum(_: Any, allowed: list[Any], value: object, __: Any) -> Iterator[ValidationError]:
    if str(value) not in map(str, allowed) and _MADE_UP not in str(value):
        yield ValidationError(f"{value!r} is none of {', '.join(map(str, allowed))}")


# CloudFormation takes "900" for a number and 900 for a string.
_CHECKER = Draft7Validator.TYPE_CHECKER.redefine_many(
    {"integer": _integer, "number": _number, "boolean": _boolean, "string": _string}
)
_Validator = extend(
    Draft7Validator,
    {"pattern": _pattern, "minimum": _bound(True), "maximum": _bound(False), "multipleOf": _multiple, "enum": _enum},
    type_checker=_CHECKER,
)

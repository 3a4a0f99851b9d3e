"""CloudFormation's intrinsic functions, as far as a template needs them to be read on one machine.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::StackName": "nearside",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-2:123456789012:stack/nearside/local",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NotificationARNs": "",
}

_NO_VALUE = object()


class TemplateError(ValueError):
    """The template says something that cannot be read here; the message tells what and where."""


# libyaml's reads the template ten times as fast; PyYAML is there without it on some machines.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type]  # one of two, chosen at run time
    """YAML with CloudFormation's short tags: `!Ref x` is read as `{"Ref": "x"}`."""


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _short_tag)


def load_yaml(text: str) -> dict[str, Any]:
    """The document, short tags written out. Raises TemplateError."""
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise TemplateError(f"not YAML: {error}") from error
    if not isinstance(document, dict):
        raise TemplateError("the template is no mapping")
    return document


# The functions whose value depends on nothing but their arguments.
_PLAIN: Mapping[str, Callable[[list[Any]], Any]] = {
    "Fn::Join": lambda arguments: arguments[0].join(map(_text, arguments[1])),
    "Fn::Select": lambda arguments: arguments[1][int(arguments[0])],
    "Fn::Split": lambda arguments: arguments[1].split(arguments[0]),
    "Fn::Equals": lambda arguments: _text(arguments[0]) == _text(arguments[1]),
    "Fn::Not": lambda arguments: not arguments[0],
    "Fn::And": all,
    "Fn::Or": any,
}


class Resolver:
    """Replaces the intrinsic functions in values of one template.

    A reference to a resource becomes its logical id, and an attribute of it `<id>.<attribute>`: nothing is deployed.
    """

    def __init__(self, document: Mapping[str, Any], parameters: Mapping[str, str], region: str) -> None:
        declared = document.get("Parameters") or {}
        unknown = set(parameters) - set(declared)
        if unknown:
            raise TemplateError(f"no such parameter: {', '.join(sorted(unknown))}")
        self._values: dict[str, Any] = PSEUDO_PARAMETERS | {"AWS::Region": region, "AWS::NoValue": _NO_VALUE}
        for name, parameter in declared.items():
            value = parameters.get(name, parameter.get("Default", ""))
            listed = "List" in str(parameter.get("Type", ""))
            self._values[name] = [part.strip() for part in str(value).split(",")] if listed else value
        self._conditions: Mapping[str, Any] = document.get("Conditions") or {}
        self._mappings: Mapping[str, Any] = document.get("Mappings") or {}

    def resolve(self, value: Any) -> Any:
        """The value with every function in it evaluated. Raises TemplateError for one that is not known here."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def condition(self, name: str) -> bool:
        """Whether the named condition holds."""
        if name not in self._conditions:
            raise TemplateError(f"no such condition: {name}")
        return bool(self.resolve(self._conditions[name]))

    def _call(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return self._values.get(argument, argument)
            case "Condition":
                return self.condition(argument)
            case "Fn::GetAtt":
                return ".".join(argument if isinstance(argument, list) else [argument])
            case "Fn::Sub":
                return self._substitute(argument)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.condition(condition) else otherwise)
            case "Fn::FindInMap":
                top, second, third = self.resolve(argument)
                return self._mappings[top][second][third]
        if name not in _PLAIN:
            raise TemplateError(f"{name} is not known to the local world")
        return _PLAIN[name](self.resolve(argument))

    def _substitute(self, argument: Any) -> str:
        text, extra = (argument, {}) if isinstance(argument, str) else argument
        local = {name: self.resolve(value) for name, value in extra.items()}

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):  # ${!literal} is written as it stands
                return f"${{{name[1:]}}}"
            return _text(local.get(name, self._values.get(name, name)))

        return re.sub(r"\$\{([^}]+)\}", replaced, text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)

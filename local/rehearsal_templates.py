"""A template as CloudFormation gets it: language extensions written out, SAM's transform done, parameters chosen."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]

from local.intrinsics import Resolver, TemplateError, load_yaml

_SAM = "AWS::Serverless-2016-10-31"
# What has no default, or whose default leaves something out.
_VALUES = {
    "JwtIssuer": "https://example.com",
    "MrapAlias": "nearsidelocal.mrap",
    "ReplicaRegion": "us-east-2",
    "Functions": "Presign,Explorer,ReplicaEvents,Replication,Monitor,Gateway,Replicator,Uploads,Reconcile",
    "Queues": "Events,Gateway",
    "Architecture": "arm64",
    "DataKmsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/rehearsed",
    "TableKmsKeyArns": ",".join(
        f"arn:aws:kms:{each}:123456789012:key/rehearsed" for each in ("eu-west-2", "us-east-2")
    ),
}
_OF_A_KIND = {"Number": "1", "CommaDelimitedList": "rehearsed"}
# The condition of what has none.
ALWAYS = ""
# Before the names of exports, among the values.
EXPORT = "export "
CODE_BUCKET, CODE_KEY = "rehearsal", "code.zip"
_CODE = f"s3://{CODE_BUCKET}/{CODE_KEY}"


class Written:
    """A template in one region after the transforms, with its parameters; nothing of it is resolved yet."""

    def __init__(self, document: dict[str, Any], parameters: Mapping[str, str], region: str, stack: str) -> None:
        self.region = region
        self.parameters = parameters
        os.environ.setdefault("AWS_DEFAULT_REGION", region)  # SAM asks an SDK's session for it
        pseudo = {"AWS::Region": region, "AWS::StackName": stack, "AWS::AccountId": "123456789012"}
        document = expand_language_extensions(document, {**parameters, **pseudo}, enabled=True).expanded_template
        if _SAM in _listed(document.get("Transform")):
            document = transform(document, dict(parameters), _Policies())
        self.document = document
        self.resources: Mapping[str, Mapping[str, Any]] = document["Resources"]

    def present(self) -> list[str]:
        """The names of the resources that the conditions leave in, each after those that it refers to."""
        resolver = self.resolver({})
        without = [n for n, each in self.resources.items() if not resolver.condition(each.get("Condition", ALWAYS))]
        return [name for name in self.in_order() if name not in without]

    def asked(self) -> set[tuple[str, str]]:
        """Everything that the template refers to: names and attributes."""
        return set(references(self.document))

    def resolver(self, values: Mapping[str, Any]) -> "Known":
        """With the values of references to resources: `Name` and `Name.Attribute`."""
        known = {name: value for name, value in self.parameters.items() if name in (self.document["Parameters"] or {})}
        return Known(self.document, known, self.region, values)

    def in_order(self) -> Iterator[str]:
        """The names of the resources, each after those that it refers to. Raises TemplateError for a circle."""
        needs = {
            name: {other for other, _ in references(each)} & set(self.resources) - {name}
            for name, each in self.resources.items()
        }
        while needs:
            ready = sorted(name for name, of in needs.items() if not of & needs.keys())
            if not ready:
                raise TemplateError(f"these refer to each other in a circle: {', '.join(sorted(needs))}")
            yield from ready
            for name in ready:
                del needs[name]


class Rehearsed(Written):
    """One template of the checkout, with everything in it on."""

    def __init__(self, path: Path, region: str) -> None:
        document = load_yaml(path.read_text())
        super().__init__(_with_code(document), _parameters(document), region, "nearside")

    def exports(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What other templates may import; also what a condition leaves out here."""
        found = {}
        for output in (self.document.get("Outputs") or {}).values():
            if "Export" in output:
                resolver = self.resolver(values)
                resolver.force(str(output.get("Condition", "")))
                found[EXPORT + str(resolver.resolve(output["Export"]["Name"]))] = resolver.resolve(output["Value"])
        return found


class Known(Resolver):
    """A resolver that knows what resources became. A condition may be forced, so that nothing is left out unseen."""

    def __init__(
        self, document: Mapping[str, Any], parameters: Mapping[str, str], region: str, values: Mapping[str, Any]
    ) -> None:
        super().__init__(document, parameters, region)
        self._values |= values
        self._forced = ALWAYS

    def force(self, condition: str) -> None:
        """This condition holds, whatever it says."""
        self._forced = condition

    def condition(self, name: str) -> bool:
        return name in (self._forced, ALWAYS) or super().condition(name)

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            told = ".".join(map(str, argument if isinstance(argument, list) else [argument]))
            return self._values.get(told, told)
        if name == "Fn::ImportValue":
            exported = EXPORT + str(self.resolve(argument))
            if exported not in self._values:
                raise TemplateError(f"no template exports {exported.removeprefix(EXPORT)}")
            return self._values[exported]
        if name == "Fn::GetAZs":
            return [f"{self._values['AWS::Region']}{letter}" for letter in "abc"]
        if name == "Fn::ToJsonString":
            return self._json(argument)
        if name == "Fn::Length":
            return len(self.resolve(argument))
        return super()._call(name, argument)

    def _json(self, argument: Any) -> str:
        return json.dumps(self.resolve(argument))


def references(value: Any) -> Iterator[tuple[str, str]]:
    """What a value refers to: names, and the attributes that it wants of them (empty for a Ref or a DependsOn)."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for name, argument in value.items():
            yield from _referred(name, argument)
            yield from references(argument)


def _referred(name: str, argument: Any) -> Iterator[tuple[str, str]]:
    match name:
        case "Ref":
            yield str(argument), ""
        case "DependsOn":
            yield from ((each, "") for each in _listed(argument))
        case "Fn::GetAtt":
            told = argument if isinstance(argument, list) else str(argument).split(".", 1)
            yield str(told[0]), ".".join(map(str, told[1:]))
        case "Fn::Sub":
            text = argument if isinstance(argument, str) else argument[0]
            for found in re.findall(r"\$\{([^!}][^}]*)\}", text):
                first, _, rest = found.partition(".")
                yield first, rest


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parameters(document: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, declared in (document.get("Parameters") or {}).items():
        value = _VALUES.get(name, declared.get("Default"))
        if value is None:
            allowed = declared.get("AllowedValues")
            value = allowed[0] if allowed else _OF_A_KIND.get(declared["Type"], "rehearsed")
        found[name] = str(value)
    for name in _switches(document):
        found[name] = found[name] or ("arn:aws:s3:::rehearsed" if name.endswith(("Arn", "Arns")) else "rehearsed")
    return found


def _switches(document: Mapping[str, Any]) -> Iterator[str]:
    """The parameters of which a condition asks only whether they are empty: all on, so that everything is seen."""
    for condition in (document.get("Conditions") or {}).values():
        match condition:
            case {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}:
                yield name
            case {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": name}]}, ""]}]}:
                yield name


def _with_code(document: dict[str, Any]) -> dict[str, Any]:
    """The code where `sam package` would have put it."""
    code = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
    for resource in document["Resources"].values():
        if isinstance(resource, dict) and (key := code.get(resource["Type"])):
            resource["Properties"][key] = _CODE
    return document


class _Policies:
    """SAM's names of managed policies; none is used."""

    def load(self) -> dict[str, str]:
        return {}

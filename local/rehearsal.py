"""`make rehearse`: every template through SAM's transform, its resources created in the emulator or checked by schema.

Each resource is checked against cfn-lint's schema, and then created by moto's CloudFormation where moto knows its type,
with what moto answered for the resources before it. A type that neither knows is a failure.
"""

import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from local import rehearsal_moto
from local.intrinsics import TemplateError
from local.rehearsal_schemas import faults, has_attribute, made_up, schema_of
from local.rehearsal_templates import CODE_BUCKET, CODE_KEY, Rehearsed, references

CREATED, CHECKED, UNKNOWN, WRONG = "created", "checked by schema", "not known", "wrong"
_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
_ROOT = Path(__file__).parents[1]
_PRIMARY, _GLOBAL = "eu-west-2", "us-east-1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one resource. `why` tells what is wrong with it, or why it was not created."""

    template: str
    name: str
    kind: str
    what: str
    why: str = ""


class Rehearsal:
    """Creates the resources of templates, in an emulator that is running already."""

    def __init__(self) -> None:
        self._exports: dict[str, Any] = {}

    def rehearse(self, path: Path, region: str) -> list[Outcome]:
        """What came of each resource of a template. Raises TemplateError for one that cannot be read."""
        template = Rehearsed(path, region)
        wanted: dict[str, set[str]] = {}
        for name, attribute in references(template.document):
            wanted.setdefault(name, set()).add(attribute)
        values: dict[str, Any] = dict(self._exports)
        outcomes = []
        for name in template.in_order():
            outcome = self._resource(path.name, template, name, wanted.get(name, set()) - {""}, values)
            outcomes.append(outcome)
        self._exports |= template.exports(values)
        return outcomes

    def _resource(self, file: str, template: Rehearsed, name: str, asked: set[str], values: dict[str, Any]) -> Outcome:
        resource = template.resources[name]
        kind = resource["Type"]
        try:
            properties = _resolved(template, resource, values)
        except (TemplateError, KeyError, IndexError, TypeError) as error:
            return Outcome(file, name, kind, WRONG, f"cannot be resolved: {error!r}")
        for attribute in ("", *asked):
            values[f"{name}.{attribute}".rstrip(".")] = made_up(kind, name, attribute, template.region)
        is_described = schema_of(kind, template.region) is not None
        if is_described and (found := faults(kind, properties, template.region)):
            return Outcome(file, name, kind, WRONG, "; ".join(found))
        if is_described and (
            missing := [each for each in sorted(asked) if not has_attribute(kind, each, template.region)]
        ):
            return Outcome(file, name, kind, WRONG, f"has no attribute {', '.join(missing)}")
        if not rehearsal_moto.knows(kind):
            return Outcome(file, name, kind, CHECKED if is_described else UNKNOWN)
        why = _created(f"{Path(file).stem}-{name}", name, kind, properties, asked, template.region, values)
        return Outcome(file, name, kind, (CHECKED if is_described else UNKNOWN) if why else CREATED, why)


def _resolved(template: Rehearsed, resource: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Its properties. One that a condition leaves out is read as if the condition held."""
    resolver = template.resolver(values)
    condition = resource.get("Condition")
    if condition and not resolver.condition(condition):
        resolver.force(condition)
    found: dict[str, Any] = resolver.resolve(resource.get("Properties") or {})
    return found


def _created(
    stack: str,
    name: str,
    kind: str,
    properties: Mapping[str, Any],
    asked: set[str],
    region: str,
    values: dict[str, Any],
) -> str:
    """Makes it, and remembers what it became; empty, or why the emulator could not."""
    try:
        made = rehearsal_moto.make(stack[:120], name, kind, properties, asked, region)
    except rehearsal_moto.Unable as error:
        return str(error)
    for attribute, value in made.items():
        values[f"{name}.{attribute}".rstrip(".")] = value
    return ""


def templates() -> dict[Path, str]:
    """Every template of the checkout, and a region that it is for."""
    stacks = sorted((_ROOT / "stacks").glob("*.yaml"))
    return {_ROOT / "template.yaml": _PRIMARY} | {path: _GLOBAL if path.stem == "edge" else _PRIMARY for path in stacks}


def rehearse(paths: Mapping[Path, str]) -> list[Outcome]:
    """What came of every resource of the templates, in one account that holds them all."""
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    with mock_aws():
        s3 = boto3.client("s3", region_name=_GLOBAL)
        s3.create_bucket(Bucket=CODE_BUCKET)
        s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=_EMPTY_ZIP)
        rehearsal = Rehearsal()
        return [outcome for path, region in paths.items() for outcome in rehearsal.rehearse(path, region)]


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """How many of each type were created, checked or neither; and, below, what is wrong."""
    columns = (CREATED, CHECKED, UNKNOWN, WRONG)
    lines = [f"{'template':15} {'type':48}" + "".join(f"{each:>18}" for each in columns)]
    counts = Counter((each.template, each.kind, each.what) for each in outcomes)
    for template, kind in sorted({(each.template, each.kind) for each in outcomes}):
        numbers = "".join(f"{counts[template, kind, each] or '-':>18}" for each in columns)
        lines.append(f"{template:15} {kind:48}{numbers}")
    total = Counter(each.what for each in outcomes)
    lines.append(f"{'':64}" + "".join(f"{total[each]:>18}" for each in columns))
    return lines + [
        f"{each.what}: {each.template} {each.name} ({each.kind}): {each.why}" for each in failures(outcomes)
    ]


def failures(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """What was neither created nor checked."""
    return [each for each in outcomes if each.what in (UNKNOWN, WRONG)]


def main() -> int:
    """Prints the table. One when anything is neither created nor checked."""
    outcomes = rehearse(templates())
    sys.stdout.writelines(f"{line}\n" for line in table(outcomes))
    return 1 if failures(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the local world has, the templates have: a variable, table key or route of its own would work nowhere else."""

import re

import pytest

from local import tables, world
from local.deployment import environment
from local.intrinsics import load_yaml
from local.rehearsal_templates import Rehearsed
from local.template import Template, declared_parameters, read_template
from nearside import openapi
from tests.contract.source_tree import ROOT, python_files

REGION = "eu-west-2"
# Lambda gives these.
_OF_LAMBDA = {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
EVERYTHING = {"JwtIssuer": "https://example.com", "Backends": "{}", "UseMrap": "true", "MrapAlias": "a.mrap"}


@pytest.fixture(scope="module")
def deployed() -> Rehearsed:
    """template.yaml as CloudFormation gets it."""
    return Rehearsed(ROOT / "template.yaml", REGION)


@pytest.fixture(scope="module")
def local() -> Template:
    """template.yaml as the local world reads it."""
    path = ROOT / "template.yaml"
    return read_template(path, declared_parameters(path, EVERYTHING), REGION)


def _properties(deployed: Rehearsed, kind: str) -> dict[str, dict[str, object]]:
    return {name: each["Properties"] for name, each in deployed.resources.items() if each["Type"] == kind}


def _variables(deployed: Rehearsed) -> dict[str, set[str]]:
    functions = _properties(deployed, "AWS::Lambda::Function")
    return {name: set(each.get("Environment", {}).get("Variables", {})) for name, each in functions.items()}  # type: ignore[attr-defined]


def test_the_world_sets_no_variable_that_the_template_does_not() -> None:
    given = environment({REGION: "http://a", "us-east-2": "http://b"}, "http://c", "http://d", {})
    declared = set().union(*_variables(Rehearsed(ROOT / "template.yaml", REGION)).values())
    # The key pairs of the world's providers: whatever names the Backends of a deployment say.
    of_places = {name for name in given if re.fullmatch(r"\w+_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)", name)}
    assert given.keys() - declared - _OF_LAMBDA - of_places == set()


def test_each_function_has_the_same_variables_here_and_there(deployed: Rehearsed, local: Template) -> None:
    assert _variables(deployed) == {name: set(each.environment) for name, each in local.functions.items()}


def test_the_routes_are_the_same_here_and_there(deployed: Rehearsed, local: Template) -> None:
    there = {str(each["RouteKey"]) for each in _properties(deployed, "AWS::ApiGatewayV2::Route").values()}
    assert {route.key for route in local.routes} == there == {route.key for route in openapi.ROUTES}


def test_the_queues_are_the_same_here_and_there(deployed: Rehearsed, local: Template) -> None:
    assert {queue.name for queue in local.queues} == set(_properties(deployed, "AWS::SQS::Queue"))


def test_the_table_has_the_same_keys_indexes_and_time_to_live_here_and_there(deployed: Rehearsed) -> None:
    [table] = _properties(deployed, "AWS::DynamoDB::GlobalTable").values()
    resolved = deployed.resolver({}).resolve({key: table[key] for key in tables._DEFAULT if key in table})
    assert resolved == tables._DEFAULT


def test_the_world_gives_no_parameter_that_no_template_has() -> None:
    paths = [ROOT / "template.yaml", *(ROOT / "stacks").glob("*.yaml")]
    known = {name for path in paths for name in load_yaml(path.read_text()).get("Parameters") or {}}
    assert world._PARAMETERS.keys() - known == set()


def test_the_world_names_no_resource_that_no_template_has() -> None:
    paths = [ROOT / "template.yaml", *(ROOT / "stacks").glob("*.yaml")]
    known = {name for path in paths for name in load_yaml(path.read_text())["Resources"]}
    text = "".join(path.read_text() for path in python_files("local"))
    named = set(re.findall(r'"([A-Z][A-Za-z]+(?:Function|Queue|DeadLetters|Distribution))"', text))
    assert named - known == set()

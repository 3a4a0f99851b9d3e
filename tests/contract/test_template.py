"""Facts that stand twice: template, settings, handlers, OpenAPI, documentation and events say the same."""

import ast
import json
import re
import tomllib
from typing import Any

import msgspec
import pytest

import nearside
from local.deployment import environment
from local.intrinsics import load_yaml
from local.template import read_template
from nearside import openapi
from nearside.items import Item
from nearside.json_objects import JsonAsked
from nearside.listing import Asked
from nearside.settings import Settings
from nearside.uploads_items import UploadAsked
from tests.contract.source_tree import LAYER, ROOT, functions_of, tree

# The functions that are there when `Backends` says so; and those that have to do with the gateway's places.
GATEWAY = {"GatewayFunction", "ReplicatorFunction", "ReconcileFunction"}
WRITERS = {*GATEWAY, "UploadsFunction"}
TEMPLATE = load_yaml((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
# Those of stacks/edge.yaml stand alone: test_edge.py is about them.
EDGE = functions_of("stacks/edge.yaml")
FUNCTIONS = sorted({path.parent.name for path in (ROOT / "functions").glob("*/handler.py")} - EDGE.keys())
EVENTS = sorted(path for path in (ROOT / "events").glob("*/*.json") if path.parent.name not in EDGE)
# What Lambda, or `aws configure export-credentials`, gives; and what the command reads and no function does.
NOT_IN_THE_TEMPLATE = {
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_CREDENTIAL_EXPIRATION", "AWS_LAMBDA_FUNCTION_NAME"),
    *("NEARSIDE_CACHE_DIR", "NEARSIDE_CACHE_MAX_BYTES"),
}


def of_type(kind: str) -> dict[str, Any]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


def routes_of_the_template() -> dict[str, str]:
    """Route key → the folder of the function that answers."""
    found = {}
    for route in of_type("AWS::ApiGatewayV2::Route").values():
        integration = re.search(r"integrations/\$\{(\w+)\}", str(route["Target"]))
        assert integration
        uri = str(RESOURCES[integration[1]]["Properties"]["IntegrationUri"])
        resource = next(name for name in of_type("AWS::Serverless::Function") if name in uri)
        found[route["RouteKey"]] = RESOURCES[resource]["Properties"]["CodeUri"].strip("/").removeprefix("functions/")
    return found


def routes_of_the_handlers() -> dict[str, str]:
    """Route key → function, from the table that each handler gives to web.boundary."""
    found: dict[str, str] = {}
    for function in FUNCTIONS:
        for node in ast.walk(tree(ROOT / "functions" / function / "handler.py")):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "web.boundary":
                table = node.args[0]
                assert isinstance(table, ast.Dict)
                found |= {ast.literal_eval(key): function for key in table.keys if key is not None}
    return found


def test_template_openapi_and_handlers_have_the_same_routes_in_the_same_functions() -> None:
    described = {route.key: route.function for route in openapi.ROUTES}
    assert routes_of_the_template() == described
    assert routes_of_the_handlers() == described


def test_the_documentation_has_the_same_routes() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(route.key.replace("+}", "}") for route in openapi.ROUTES)


@pytest.mark.parametrize("shape", [Item, Asked, JsonAsked, UploadAsked], ids=["presign", "listing", "json", "uploads"])
def test_the_documentation_names_every_field(shape: type[msgspec.Struct]) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    assert {field for field in shape.__struct_fields__ if not re.search(rf"[`?&]{field}[`=]", text)} == set()


def test_a_function_is_called_the_same_everywhere() -> None:
    resources = {name: each["CodeUri"] for name, each in of_type("AWS::Serverless::Function").items()}
    named = {"".join(map(str.title, folder.split("_"))) + "Function": f"functions/{folder}/" for folder in FUNCTIONS}
    assert resources == named
    assert sorted({path.parent.name for path in EVENTS}) == FUNCTIONS


def test_every_route_has_an_event_and_every_event_a_route_of_its_function() -> None:
    routes = routes_of_the_template()
    recorded = {path: json.loads(path.read_text()) for path in EVENTS if path.parent.name in routes.values()}
    asked = {path: event["routeKey"] for path, event in recorded.items() if "routeKey" in event}
    assert {path.name for path, route in asked.items() if routes.get(route) != path.parent.name} == set()
    assert set(asked.values()) == set(routes)
    scheduled = {path.parent.name for path, event in recorded.items() if "routeKey" not in event}
    assert scheduled == {"uploads"}, "a function that is not only asked by the API"


def declared() -> set[str]:
    names = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    for function in of_type("AWS::Serverless::Function").values():
        names |= set(function.get("Environment", {}).get("Variables", {}))
    return names


def read() -> set[str]:
    constants = {
        node.value
        for node in ast.walk(tree(LAYER / "nearside" / "settings.py"))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {value for value in constants if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", value)}


def test_the_template_sets_exactly_the_variables_that_settings_read() -> None:
    assert declared() == read() - NOT_IN_THE_TEMPLATE
    assert read() >= NOT_IN_THE_TEMPLATE


def test_the_table_of_settings_names_the_same_variables() -> None:
    cells = [line.split("|")[1] for line in (Settings.__doc__ or "").splitlines() if line.strip().startswith("| `")]
    assert {name for cell in cells for name in re.findall("`([A-Z0-9_]+)`", cell)} == declared()


def test_the_local_world_sets_every_variable() -> None:
    assert declared() <= set(
        environment({"eu-west-2": "http://a", "us-east-2": "http://b"}, "http://c", "http://d", {})
    )


def test_a_function_that_needs_a_variable_is_given_it() -> None:
    shared = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    for name, function in of_type("AWS::Serverless::Function").items():
        calls = [n for n in ast.walk(tree(ROOT / function["CodeUri"] / "handler.py")) if isinstance(n, ast.Call)]
        [load] = [call for call in calls if ast.unparse(call.func) == "settings.load"]
        needs = [ast.literal_eval(each.value) for each in load.keywords if each.arg == "needs"]
        given = shared | set(function.get("Environment", {}).get("Variables", {}))
        assert {variable for each in needs for variable in each} <= given, name


def test_no_anonymous_mode_can_come_from_the_template() -> None:
    assert sorted(TEMPLATE["Parameters"]["AuthMode"]["AllowedValues"]) == ["iam", "jwt"]
    assert TEMPLATE["Parameters"]["AuthMode"]["Default"] == "jwt"
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["AUTH_MODE"] == {"Ref": "AuthMode"}
    for name, function in of_type("AWS::Serverless::Function").items():
        assert "AUTH_MODE" not in function.get("Environment", {}).get("Variables", {})
        assert ("FunctionUrlConfig" in function) == (name == "GatewayFunction")
        assert {event["Type"] for event in function.get("Events", {}).values()} <= {"SQS", "ScheduleV2"}
    for route in of_type("AWS::ApiGatewayV2::Route").values():
        assert route["AuthorizationType"] == {"Fn::If": ["UseJwt", "JWT", "AWS_IAM"]}
        assert route["AuthorizerId"] == {"Fn::If": ["UseJwt", {"Ref": "JwtAuthorizer"}, {"Ref": "AWS::NoValue"}]}


def test_every_function_has_a_log_group_with_an_end_and_is_traced() -> None:
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == "Active"
    for function in of_type("AWS::Serverless::Function").values():
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        group = RESOURCES[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_package_has_one_version() -> None:
    project = tomllib.loads((LAYER / "pyproject.toml").read_text())["project"]
    assert project["version"] == nearside.__version__


def _statements(resource: str) -> list[Any]:
    """The policy of a role or a function, with what a condition adds to it."""
    return [each["Fn::If"][1] if "Fn::If" in each else each for each in _policy(resource)]


def _policy(resource: str) -> list[Any]:
    properties = RESOURCES[resource]["Properties"]
    [policy] = properties["Policies"]
    found: list[Any] = policy.get("PolicyDocument", policy)["Statement"]
    return found


def test_the_ledger_of_uploads_is_written_in_each_places_region_and_nothing_else_is() -> None:
    ledger = _rights("UploadsFunction")["Ledger"]
    assert ledger["Condition"]["ForAllValues:StringLike"] == {"dynamodb:LeadingKeys": ["UPLOADS*"]}
    assert ledger["Condition"]["StringEquals"] == _rights("MonitorFunction")["Catalog"]["Condition"]["StringEquals"]
    assert "dynamodb:UpdateItem" not in ledger["Action"]


def test_who_signs_urls_may_take_the_signing_role_and_nobody_else() -> None:
    trust = RESOURCES["SigningRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    named = [arn["Fn::Sub"] for each in trust for arn in each["Condition"]["ArnLike"]["aws:PrincipalArn"]]
    takers = [name for name in of_type("AWS::Serverless::Function") if "SIGNING_ROLE_ARN" in _variables(name)]
    assert sorted(re.findall(r"-(\w+)Role-", " ".join(named))) == sorted(takers)


def _variables(function: str) -> Any:
    return RESOURCES[function]["Properties"].get("Environment", {}).get("Variables", {})


def test_whoever_reads_objects_may_use_the_keys_that_they_are_encrypted_with() -> None:
    roles = [name for name, each in RESOURCES.items() if each["Properties"].get("Policies")]
    reading = {role for role in roles if any("s3:GetObject" in statement["Action"] for statement in _statements(role))}
    keys = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": {"Ref": "KmsKeyArns"}}
    with_keys = {role for role in roles if any(keys.items() <= statement.items() for statement in _statements(role))}
    assert (
        reading == with_keys == {"SigningRole", "ExplorerFunction", "ReplicationFunction", "MonitorFunction", *WRITERS}
    )


def test_the_monitor_mends_with_the_same_rights_as_whoever_asks_for_a_repair() -> None:
    functions = ("ReplicationFunction", "MonitorFunction")
    of_the_gateway = ("GatewayBuckets", "BackendSecrets")  # that it only asks how its places are
    rights = {function: {statement["Sid"]: statement for statement in _statements(function)} for function in functions}
    for sid in of_the_gateway:
        del rights["ReplicationFunction"][sid]
    assert rights["MonitorFunction"] == rights["ReplicationFunction"]
    variables = {
        function: set(RESOURCES[function]["Properties"]["Environment"]["Variables"]) - {"CURSOR_KEY", "BACKENDS"}
        for function in rights
    }
    assert variables["MonitorFunction"] == variables["ReplicationFunction"]


def _rights(function: str) -> dict[str, Any]:
    return {statement["Sid"]: statement for statement in _statements(function)}


def test_without_backends_there_is_nothing_of_a_gateway() -> None:
    ours = {name for name in RESOURCES if re.match("Gateway|Replicator|Reconcile", name)}
    assert ours >= GATEWAY
    assert {RESOURCES[name].get("Condition") for name in ours} == {"HasGateway", "HasGatewayInPrimary"}
    assert TEMPLATE["Outputs"]["GatewayUrl"]["Condition"] == "HasGateway"
    assert TEMPLATE["Parameters"]["Backends"]["Default"] == ""
    read = read_template(ROOT / "template.yaml", {"JwtIssuer": "https://example.com"}, "eu-west-2")
    assert not GATEWAY & read.functions.keys()


def test_the_second_region_has_a_gateway_and_no_second_reconcile() -> None:
    parameters = {"JwtIssuer": "https://example.com", "Backends": "{}"}
    assert read_template(ROOT / "template.yaml", parameters, "eu-west-2").functions.keys() >= GATEWAY
    second = read_template(ROOT / "template.yaml", parameters, "us-east-2").functions.keys()
    assert GATEWAY - second == {"ReconcileFunction"}


def test_the_functions_of_the_gateway_reach_catalog_and_places_with_the_same_rights() -> None:
    rights = {name: _rights(name) for name in WRITERS}
    for sid in ("Catalog", "GatewayBuckets", "GatewayObjects", "BackendSecrets", "Keys"):
        assert all(of[sid] == rights["GatewayFunction"][sid] for of in rights.values())
    of_the_regions = {"SigningRole", "Ledger"}
    assert rights["GatewayFunction"] == {
        sid: of for sid, of in rights["UploadsFunction"].items() if sid not in of_the_regions
    }
    # Without a gateway it has none of its rights.
    conditions = [each["Fn::If"][0] for each in _policy("UploadsFunction") if "Fn::If" in each]
    assert conditions == [
        "HasGateway",
        "HasGateway",
        "HasGatewayBuckets",
        "HasGatewayBuckets",
        "HasBackendSecrets",
        "HasKmsKeys",
        "HasDataKey",
    ]
    assert rights["GatewayFunction"].keys() == rights["ReplicatorFunction"].keys() - {"OperationsLog"}
    catalog = rights["GatewayFunction"]["Catalog"]
    assert all("${BucketRegion}" in resource["Fn::Sub"] for resource in catalog["Resource"])
    assert catalog["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["GATEWAY*"]}}


def test_only_the_replicator_may_say_when_a_message_comes_again() -> None:
    actions = {name: _rights(name)["Queue"]["Action"] for name in WRITERS}
    assert actions.pop("ReplicatorFunction") == ["sqs:SendMessage", "sqs:ChangeMessageVisibility"]
    assert set(actions.values()) == {"sqs:SendMessage"}


def test_whoever_only_asks_how_places_are_may_not_touch_an_object() -> None:
    for function in ("ExplorerFunction", "ReplicationFunction"):
        [buckets] = [each for each in _statements(function) if each.get("Sid") == "GatewayBuckets"]
        assert buckets["Action"] == "s3:ListBucket"
        assert "GATEWAY_SECRET" not in RESOURCES[function]["Properties"]["Environment"]["Variables"]


def test_a_message_stays_hidden_for_six_times_its_functions_timeout() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    found = {}
    for name, function in of_type("AWS::Serverless::Function").items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                queue = RESOURCES[event["Properties"]["Queue"]["Fn::GetAtt"][0]]["Properties"]
                timeout = function.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
                found[name] = queue["VisibilityTimeout"] >= 6 * timeout
                assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
                assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert found == {"ReplicaEventsFunction": True, "ReplicatorFunction": True}


def test_the_gateways_secret_outlives_its_stack_and_is_in_both_regions() -> None:
    secret = RESOURCES["GatewaySecret"]
    assert (secret["DeletionPolicy"], secret["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    name = secret["Properties"]["Name"]["Fn::Sub"]
    variables = RESOURCES["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    # By name in the other regions only: by name CloudFormation does not know that the function needs the secret.
    assert variables["GATEWAY_SECRET"]["Fn::If"] == [
        "IsPrimary",
        {"Fn::Sub": "{{resolve:secretsmanager:${GatewaySecret}}}"},
        {"Fn::Sub": "{{resolve:secretsmanager:" + name + "}}"},
    ]
    assert secret["Properties"]["ReplicaRegions"]["Fn::If"][0] == "HasReplica"


def test_an_api_without_an_origin_is_refused() -> None:
    """API Gateway takes no list with an empty origin, and `sam local` sees no CORS behind a condition."""
    [assertion] = TEMPLATE["Rules"]["AnOriginIsNamed"]["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::EachMemberEquals": [{"Ref": "AllowedOrigins"}, ""]}]}
    assert RESOURCES["Api"]["Properties"]["CorsConfiguration"]["AllowOrigins"] == {"Ref": "AllowedOrigins"}

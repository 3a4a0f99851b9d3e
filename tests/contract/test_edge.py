"""stacks/edge.yaml, its functions, the headers and docs/edge.md agree, and nobody is granted what is not needed."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local.intrinsics import Resolver, load_yaml
from tests.contract.source_tree import ROOT, functions_of
from tests.unit import flat_function

TEMPLATE = load_yaml((ROOT / "stacks" / "edge.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
GIVEN = {
    "Bucket": "pics-eu",
    "BucketRegion": "eu-west-2",
    "ReplicaBucket": "pics-us",
    "ReplicaRegion": "us-east-2",
    "MrapAlias": "mfzwi23gnjvgw.mrap",
    "TxtName": "origin.example.com",
}
FULL = {
    **GIVEN,
    "OriginKey": "0123456789abcdef",
    "StickyBy": "cookie",
    "StickyName": "viewer",
    "OriginResolvers": "192.0.2.1,[2001:db8::1]:5353",
    "OriginDebug": "true",
    "TxtZoneId": "Z1EXAMPLE",
    "PrimarySignature": "s" * 43,
    "ReplicaSignature": "s" * 43,
}
HEADERS_OF_THE_TABLE = r"^\| `(X-[A-Z-]+)` \|"


def resolved(**parameters: str) -> Resolver:
    return Resolver(TEMPLATE, {**GIVEN, **parameters}, "us-east-1")


def properties(name: str, **parameters: str) -> dict[str, Any]:
    """The resource's properties with these parameters over GIVEN."""
    found: dict[str, Any] = resolved(**parameters).resolve(RESOURCES[name]["Properties"])
    return found


def origin(name: str, **parameters: str) -> dict[str, Any]:
    origins = properties("Distribution", **parameters)["DistributionConfig"]["Origins"]
    [found] = [each for each in origins if each["Id"] == name]
    return dict(found)


def headers(**parameters: str) -> dict[str, str]:
    """What origin_router is told, by lower-case names as CloudFront hands them on."""
    told = origin("txt", **parameters).get("OriginCustomHeaders", ())
    return {each["HeaderName"].lower(): str(each["HeaderValue"]) for each in told}


def behaviour(**parameters: str) -> dict[str, Any]:
    [found] = properties("Distribution", **parameters)["DistributionConfig"]["CacheBehaviors"]
    return dict(found)


@pytest.fixture(scope="module")
def router() -> Iterator[dict[str, ModuleType]]:
    with flat_function.imported("origin_router") as modules:
        yield modules


# The functions.


def test_functions_folders_and_events_are_called_the_same() -> None:
    assert functions_of("stacks/edge.yaml").keys() == {"origin_router", "origin_records"}
    for folder in functions_of("stacks/edge.yaml"):
        resource = RESOURCES["".join(map(str.title, folder.split("_"))) + "Function"]["Properties"]
        assert resource["CodeUri"] == f"../functions/{folder}/"
        assert resource["Handler"] == "handler.handler"
        assert (ROOT / "functions" / folder / "handler.py").exists()
        assert list((ROOT / "events" / folder).glob("*.json"))


def test_the_edge_function_is_what_lambda_at_edge_takes() -> None:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-edge-function-restrictions.html"""
    assert "Globals" not in TEMPLATE
    function = RESOURCES["OriginRouterFunction"]["Properties"]
    allowed = {"Description", "CodeUri", "Handler", "Runtime", "Architectures", "MemorySize", "Timeout", "Role"}
    assert function.keys() <= allowed | {"AutoPublishAlias", "AutoPublishAliasAllProperties"}
    assert function["Architectures"] == ["x86_64"]
    assert function["Timeout"] <= 30
    assert PARAMETERS["OriginDeadlineMilliseconds"]["MaxValue"] < function["Timeout"] * 1000
    assert function["AutoPublishAlias"]
    for association in behaviour(OriginDebug="true")["LambdaFunctionAssociations"]:
        assert association["LambdaFunctionARN"] == "OriginRouterFunction.Version"
    raw = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]["CacheBehaviors"][0][
        "LambdaFunctionAssociations"
    ]
    assert json.dumps(raw).count('{"Ref": "OriginRouterFunction.Version"}') == 2


def test_the_edge_roles_trust_and_rights() -> None:
    role = RESOURCES["OriginRouterRole"]["Properties"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}
    rights = properties("OriginRouterRole", OriginAuth="oai")["Policies"]
    assert [policy["PolicyName"] for policy in rights] == ["logs"]
    [_, objects] = properties("OriginRouterRole", OriginAuth="sigv4")["Policies"]
    [statement] = objects["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == ["arn:aws:s3:::pics-eu/*", "arn:aws:s3:::pics-us/*"]


def test_nothing_may_do_everything() -> None:
    statements = [
        *[
            s
            for p in RESOURCES["OriginRouterRole"]["Properties"]["Policies"][:1]
            for s in p["PolicyDocument"]["Statement"]
        ],
        *[s for p in RESOURCES["OriginRecordsFunction"]["Properties"]["Policies"] for s in p["Statement"]],
    ]
    for statement in statements:
        assert "*" not in str(statement["Action"])
        assert statement["Resource"] != "*"
    [records] = RESOURCES["OriginRecordsFunction"]["Properties"]["Policies"][0]["Statement"]
    assert records["Resource"] == {"Fn::GetAtt": ["OriginStore", "Arn"]} or records["Resource"] == {
        "Fn::GetAtt": "OriginStore.Arn"
    }


def test_what_only_one_way_needs_is_made_for_that_way_only() -> None:
    conditions = {name: resource.get("Condition") for name, resource in RESOURCES.items()}
    for name in ("OriginRouterFunction", "OriginRouterRole"):
        assert conditions[name] == "UseRouter"
    for name in ("OriginStore", "OriginFunction", "OriginRecordsFunction", "OriginRecordsLogs", "BucketControl"):
        assert conditions[name] == "UseStore"
    assert conditions["AccessIdentity"] == "UseOai"


# The ways to the buckets.


def test_everything_else_goes_to_the_access_point_signed_with_sigv4a() -> None:
    found = origin("access-point")
    assert found["DomainName"] == "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"
    assert found["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    control = RESOURCES["AccessPointControl"]["Properties"]["OriginAccessControlConfig"]
    assert (control["SigningProtocol"], control["SigningBehavior"]) == ("sigv4a", "always")
    assert properties("Distribution")["DistributionConfig"]["DefaultCacheBehavior"]["TargetOriginId"] == "access-point"


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ({"OriginAuth": "oai"}, "identity"),
        ({"OriginAuth": "sigv4"}, "custom"),
        ({"OriginAuth": "none"}, "custom"),
        ({"OriginSwitch": "key-value-store"}, "control"),
        ({"OriginSwitch": "key-value-store", "OriginAuth": "sigv4"}, "control"),
    ],
    ids=str,
)
def test_each_way_gets_into_the_buckets_as_it_says(way: dict[str, str], kind: str) -> None:
    found = origin("txt", **way)
    identity = found.get("S3OriginConfig", {}).get("OriginAccessIdentity")
    assert found["DomainName"] == "pics-eu.s3.eu-west-2.amazonaws.com"
    assert ("CustomOriginConfig" in found) == (kind == "custom")
    assert ("S3OriginConfig" in found) == (kind != "custom")
    assert bool(identity) == (kind == "identity")
    assert ("OriginAccessControlId" in found) == (kind == "control")
    assert ("LambdaFunctionAssociations" in behaviour(**way)) == (kind != "control")
    assert ("FunctionAssociations" in behaviour(**way)) == (kind == "control")
    assert bool(headers(**way)) == (kind != "control")
    if kind != "control":
        assert headers(**way)["x-origin-auth"] == way["OriginAuth"]


def test_the_response_trigger_is_there_only_to_debug() -> None:
    quiet, loud = behaviour()["LambdaFunctionAssociations"], behaviour(OriginDebug="true")["LambdaFunctionAssociations"]
    assert [each["EventType"] for each in quiet] == ["origin-request"]
    assert [each["EventType"] for each in loud] == ["origin-request", "origin-response"]


# The headers.


def test_the_template_the_function_and_the_documentation_have_the_same_headers(router: dict[str, ModuleType]) -> None:
    known = set(router["directions"].HEADERS)
    assert headers(**FULL).keys() == known
    assert (
        len(known) <= 10
    )  # CloudFront's quota: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
    documented = re.findall(HEADERS_OF_THE_TABLE, (ROOT / "docs" / "edge.md").read_text(), re.MULTILINE)
    assert sorted(map(str.lower, documented)) == sorted(known)
    explained = " ".join(str(each.get("Description", "")) for each in PARAMETERS.values())
    told_by = known - {"x-origin-auth"}  # OriginAuth says it in its own words
    assert {name for name in told_by if name.upper() not in explained} == set()


def test_the_function_reads_what_the_template_tells_it(router: dict[str, ModuleType]) -> None:
    plain, full = (router["directions"].read(headers(**each)) for each in (GIVEN, FULL))
    question = router["directions"].Question
    assert plain.question == question("origin.example.com", allow=("pics-eu", "pics-us"))
    assert (plain.auth, plain.sticky, plain.debug) == ("oai", "", False)
    assert full.question.keys == ("0123456789abcdef",)
    assert full.question.resolvers == (("192.0.2.1", 53), ("2001:db8::1", 5353))
    assert (full.sticky, full.debug) == ("cookie:viewer", True)


@pytest.mark.parametrize("name", ["OriginStaleSeconds", "OriginDeadlineMilliseconds"])
@pytest.mark.parametrize("bound", ["MinValue", "MaxValue"])
def test_the_function_takes_the_bounds_of_the_parameters(router: dict[str, ModuleType], name: str, bound: str) -> None:
    assert router["directions"].read(headers(**{name: str(PARAMETERS[name][bound])}))


def test_without_a_second_bucket_only_the_first_is_allowed() -> None:
    assert headers(ReplicaBucket="", ReplicaRegion="")["x-origin-allow"] == "pics-eu"
    assert headers(OriginAllow="pics-*, other")["x-origin-allow"] == "pics-*, other"


def test_a_cookie_or_header_to_stick_to_reaches_the_function() -> None:
    assert behaviour(StickyBy="ip")["OriginRequestPolicyId"] == behaviour()["OriginRequestPolicyId"]
    for by, expected in (("cookie", ("Cookies", ["viewer"])), ("header", ("Headers", "viewer"))):
        way = {"StickyBy": by, "StickyName": "viewer"}
        assert behaviour(**way)["OriginRequestPolicyId"] == "WhatStickyNeeds"
        policy = properties("WhatStickyNeeds", **way)["OriginRequestPolicyConfig"]
        listed = policy["CookiesConfig" if by == "cookie" else "HeadersConfig"][expected[0]]
        assert expected[1] in (listed, *listed)


# The key-value store.


def test_the_schedule_tells_origin_records_the_same(router: dict[str, ModuleType]) -> None:
    schedule = properties("OriginRecordsFunction", **FULL, OriginSwitch="key-value-store")["Events"]["EveryMinute"]
    event = json.loads(schedule["Properties"]["Input"])
    assert event.keys() == json.loads((ROOT / "events/origin_records/schedule.json").read_text()).keys()
    told = router["directions"].read({name: value for name, value in event["headers"].items() if value})
    assert told.question._replace(floor_seconds=5) == router["directions"].read(headers(**FULL)).question
    recorded = json.loads((ROOT / "events/origin_records/schedule.json").read_text())
    assert recorded["headers"].keys() == event["headers"].keys()


def test_the_javascript_in_the_template_is_the_file_that_is_tested() -> None:
    function = RESOURCES["OriginFunction"]["Properties"]
    assert function["FunctionCode"] == (ROOT / "stacks" / "origin_function.js").read_text()
    assert function["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"
    assert function["AutoPublish"] is True


def test_function_and_store_have_the_same_key() -> None:
    adapter = (ROOT / "functions/origin_records/adapters/key_value_store.py").read_text()
    [key] = re.findall(r'^KEY = "(\w+)"', adapter, re.MULTILINE)
    assert f".get('{key}', {{format: 'json'}})" in RESOURCES["OriginFunction"]["Properties"]["FunctionCode"]


def test_words_and_grammar_stand_in_one_place() -> None:
    for name in ("directions", "txt_origin"):
        link = ROOT / "functions" / "origin_records" / f"{name}.py"
        assert link.is_symlink()
        assert link.readlink() == Path("../origin_router") / link.name


# The TXT records.


@pytest.mark.parametrize(("record", "bucket"), [("PrimaryRecord", "pics-eu"), ("ReplicaRecord", "pics-us")])
@pytest.mark.parametrize("signed", [True, False])
def test_a_record_of_the_stack_is_one_that_the_function_uses(
    router: dict[str, ModuleType], record: str, bucket: str, signed: bool
) -> None:
    way = {"TxtZoneId": "Z1EXAMPLE"}
    [text] = properties(record, **way)["ResourceRecords"]
    if signed:
        signature = router["txt_origin"].signature("origin.example.com", text.strip('"'), "0123456789abcdef")
        [text] = properties(record, **way, PrimarySignature=signature, ReplicaSignature=signature)["ResourceRecords"]
    assert text.startswith('"')
    assert text.endswith('"')
    keys = ["0123456789abcdef"] if signed else []
    origins, refusals = router["txt_origin"].usable("origin.example.com", [text.strip('"')], ["pics-*"], keys)
    assert ([each.bucket for each in origins], refusals) == ([bucket], [])


@pytest.mark.parametrize(("record", "health"), [("PrimaryRecord", "PrimaryHealth"), ("ReplicaRecord", "ReplicaHealth")])
def test_a_record_goes_when_its_bucket_does(record: str, health: str) -> None:
    found = properties(record, TxtZoneId="Z1EXAMPLE")
    assert found["HealthCheckId"] == health
    assert PARAMETERS["TxtTtl"]["MaxValue"] <= 60
    probe = properties(health, TxtZoneId="Z1EXAMPLE")["HealthCheckConfig"]
    assert (probe["Type"], probe["Port"], probe["EnableSNI"]) == ("HTTPS", 443, True)
    assert probe["ResourcePath"] == "/.nearside/probe"
    assert f'"{probe["FullyQualifiedDomainName"]}"' == found["ResourceRecords"][0]
    assert "HealthCheckId" not in properties(record, TxtZoneId="Z1EXAMPLE", ProbeKey="")


# The distribution.


def test_nothing_of_an_account_stands_in_the_template() -> None:
    text = (ROOT / "stacks" / "edge.yaml").read_text()
    assert re.findall(r"\b\d{12}\b", text) == []
    assert PARAMETERS["OriginKey"]["NoEcho"] is True


def test_viewers_come_by_https_and_take_compressed() -> None:
    config = properties("Distribution")["DistributionConfig"]
    for each in (config["DefaultCacheBehavior"], *config["CacheBehaviors"]):
        assert each["ViewerProtocolPolicy"] == "redirect-to-https"
        assert each["Compress"] is True
        assert each["ResponseHeadersPolicyId"] == "SecurityHeaders"
    assert (config["HttpVersion"], config["IPV6Enabled"]) == ("http2and3", True)


def test_what_is_not_asked_for_is_not_there() -> None:
    config = properties("Distribution")["DistributionConfig"]
    assert {"WebACLId", "Aliases"} & config.keys() == set()
    assert config["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    for name in ("LogSource", "LogDestination", "LogDelivery", "AliasRecord", "AliasRecordV6", "PrimaryRecord"):
        assert RESOURCES[name].get("Condition"), name


# The documentation.


def test_the_documented_command_signs_as_the_function_verifies(router: dict[str, ModuleType]) -> None:
    if not shutil.which("openssl"):
        pytest.skip("no openssl on this machine")
    text = (ROOT / "docs" / "edge.md").read_text()
    [command] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert f"prints `{printed}`" in text
    signed = f"pics-eu.s3.eu-west-2.amazonaws.com sig={printed}"
    assert router["txt_origin"].authentic("origin.example.com", signed, ["0123456789abcdef"])


def test_the_documented_policy_reads_the_probe_and_nothing_else() -> None:
    [block] = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "edge.md").read_text(), re.DOTALL)
    statement = json.loads(block)
    assert statement["Resource"].endswith(f"/{PARAMETERS['ProbeKey']['Default']}")
    assert statement["Action"] == "s3:GetObject"
    assert statement["Condition"].keys() == {"IpAddress"}


def test_every_parameter_that_the_documentation_names_is_there() -> None:
    text = (ROOT / "docs" / "edge.md").read_text() + (ROOT / "docs" / "operations.md").read_text()
    rows = [line for line in text.splitlines() if re.match(HEADERS_OF_THE_TABLE, line)]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1])}
    assert named >= {"TxtName", "OriginAllow", "OriginAuth", "StickyBy", "OriginDebug"}
    assert named <= PARAMETERS.keys()

"""What a real account would refuse, as far as it can be known without one; and the sizes that have limits."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.intrinsics import load_yaml
from local.rehearsal_templates import Written
from local.rehearsal_values import Strict, stand_ins
from tests.contract import refusal_rules
from tests.contract.source_tree import ROOT
from tests.contract.test_least_privilege import DOCUMENTS
from tests.contract.test_stacks import REGIONS

RULES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    rule.__name__: rule
    for rule in (refusal_rules.shared_names, refusal_rules.secrets_by_name, refusal_rules.crowded_access_logs)
}
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, and what template.yaml promises of it.
VARIABLES, FOR_THE_USER = 4096, 2400
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: all inline policies of a role together.
INLINE_POLICIES = 10_240
SECRET = "  Secret: {Type: 'AWS::SecretsManager::Secret', Properties: {Name: !Sub '${AWS::StackName}-s'}}\n"
READS = "  F: {Type: 'AWS::Serverless::Function', Properties: {X: %s}}\n"
BY_NAME, BY_REFERENCE = (
    f"!Sub '{{{{resolve:secretsmanager:${{{name}}}}}}}'" for name in ("AWS::StackName}-s", "Secret")
)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("template", DOCUMENTS)
def test_nothing_is_refused_in(template: str, rule: str) -> None:
    assert RULES[rule](DOCUMENTS[template]) == []


@pytest.mark.parametrize("template", DOCUMENTS)
def test_no_policy_names_what_a_long_name_of_a_stack_cuts(template: str) -> None:
    behind = "" if template == "template.yaml" else f"-{template.removeprefix('stacks/').removesuffix('.yaml')}"
    assert refusal_rules.cut_names(DOCUMENTS[template], refusal_rules.LONGEST_NAME + len(behind)) == []


# The rules themselves: each finds what it is for.


def test_each_rule_finds_what_it_is_for() -> None:
    assert refusal_rules.shared_names({"Parameters": {"A": {}, "B": {}}, "Mappings": {"B": {}}}) == ["B"]
    stage = "{Type: 'AWS::ApiGatewayV2::Stage', Properties: {AccessLogSettings: {DestinationArn: !GetAtt Logs.Arn}}}"
    text = f"Resources:\n  Stage: {stage}\n  Logs: {{Type: 'AWS::Logs::LogGroup', Properties: {{%s}}}}\n"
    assert refusal_rules.crowded_access_logs(load_yaml(text % "RetentionInDays: 1")) == ["Logs"]
    assert refusal_rules.crowded_access_logs(load_yaml(text % "LogGroupName: !Sub '/aws/vendedlogs/${X}'")) == []
    pattern = {"Resources": {"Role": {"Fn::Sub": "role/${AWS::StackName}-TwentyLettersInAName-*"}}}
    assert refusal_rules.cut_names(pattern, 31) == ["TwentyLettersInAName"]
    assert refusal_rules.cut_names(pattern, 30) == []


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (BY_NAME, ["Secret"]),
        (BY_REFERENCE, []),
        (f"!If [Here, {BY_REFERENCE}, {BY_NAME}]", []),
        (f"!If [Here, {BY_NAME}, other]", ["Secret"]),
    ],
)
def test_a_secret_that_is_read_by_name_is_found(read: str, found: list[str]) -> None:
    assert refusal_rules.secrets_by_name(load_yaml(f"Resources:\n{SECRET}{READS % read}")) == found


# template.yaml after SAM's transform, with parameters: nothing refers to what is not there, no list has a gap.


def key(region: str) -> str:
    return f"arn:aws:kms:{region}:123456789012:key/12345678-1234-1234-1234-123456789012"


def bucket_name(region: str) -> str:
    """One of 63 characters, as long as they may be."""
    return region.rjust(63, "b")


def application(count: int, here: int = 0, *, everything: bool) -> dict[str, str]:
    """The parameters of a world of so many regions, in one of them."""
    others = REGIONS[1:count]
    given = {
        "Bucket": bucket_name(REGIONS[0]),
        "BucketRegion": REGIONS[0],
        "ReplicaBucket": ",".join(map(bucket_name, others)),
        "ReplicaRegion": ",".join(others),
        "AuthMode": "iam",
        "AccessPolicy": "",
        "AllowedOrigins": "*",
    }
    return given | {
        "AuthMode": "jwt",
        "JwtIssuer": "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEf",
        "AllowedOrigins": "https://page.example",
        "UseMrap": "true",
        "MrapAlias": "mfzwi23gnjvgw.mrap",
        "ApiDomain": "api.example.com",
        "ApiCertificateArn": f"arn:aws:acm:{REGIONS[here]}:123456789012:certificate/1",
        "ApiZoneId": "Z0123456789",
        "KmsKeyArns": ",".join(map(key, REGIONS[:count])),
        "DataKmsKeyArn": key(REGIONS[here]),
        "TableKmsKeyArns": ",".join(map(key, REGIONS[:count])),
        "Backends": "?",
        "GatewayBucketArns": "arn:aws:s3:::acme-*,arn:aws:s3:::other",
        "BackendSecretArns": "arn:aws:secretsmanager:eu-west-2:123456789012:secret:b2-AbCdEf",
    } if everything else given  # fmt: skip


def made(parameters: dict[str, str], region: str) -> dict[str, dict[str, Any]]:
    """The resources after the transform and with these parameters, their properties resolved."""
    document = load_yaml((ROOT / "template.yaml").read_text())
    for resource in document["Resources"].values():
        for word in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][word] = "s3://code/code.zip"
    defaults = {name: str(each.get("Default", "")) for name, each in document["Parameters"].items()}
    written = Written(document, defaults | parameters, region, "n" * refusal_rules.LONGEST_NAME)
    resolver = Strict(written, stand_ins(written))
    return {name: resolver.resolve(written.resources[name]) for name in written.present()}


def gaps(value: Any) -> Iterator[Any]:
    """Lists with nothing in them or with an empty text, and ARNs of nothing."""
    if isinstance(value, dict):
        for each in value.values():
            yield from gaps(each)
    elif isinstance(value, list):
        yield from [value] if not value or "" in value else []
        for each in value:
            yield from gaps(each)
    elif isinstance(value, str) and value.startswith("arn:") and (value.endswith(":::") or ":::/" in value):
        yield value


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(("count", "here"), [(1, 0), (2, 0), (2, 1), (8, 0), (8, 7)])
def test_every_reference_leads_somewhere_and_no_list_has_a_gap(count: int, here: int, everything: bool) -> None:
    found = made(application(count, here, everything=everything), REGIONS[here])
    assert {name: held for name, each in found.items() if (held := list(gaps(each.get("Properties"))))} == {}


def test_variables_and_policies_have_room_for_what_the_user_gives() -> None:
    found = made(application(8, everything=True), REGIONS[0])
    functions = {name: each for name, each in found.items() if each["Type"] == "AWS::Lambda::Function"}
    sizes = {name: len(_short(each["Properties"]["Environment"]["Variables"])) for name, each in functions.items()}
    assert max(sizes.values()) <= VARIABLES - FOR_THE_USER, sizes
    assert (
        f"{FOR_THE_USER:,} bytes are for this and Backends"
        in DOCUMENTS["template.yaml"]["Parameters"]["AccessPolicy"]["Description"]
    )
    roles = {name: each["Properties"] for name, each in found.items() if each["Type"] == "AWS::IAM::Role"}
    policies = {name: len(_short(each.get("Policies", []))) for name, each in roles.items()}
    assert max(policies.values()) < INLINE_POLICIES / 2, policies


def _short(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))

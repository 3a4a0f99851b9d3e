"""The keys of what the application keeps itself: by choice, one in each region, and who may use them."""

from typing import Any

import pytest

from local.intrinsics import Resolver, load_yaml
from local.rehearsal_templates import Rehearsed
from tests.contract.source_tree import ROOT
from tests.contract.stack_rules import of_type
from tests.contract.test_stacks import REGIONS, TEMPLATE, application

KEYS = [f"arn:aws:kms:{region}:123456789012:key/k" for region in REGIONS]
SENDS = {"GatewayFunction", "UploadsFunction", "ReplicatorFunction", "ReconcileFunction"}


def resolver(count: int, *, keys: bool = True) -> Resolver:
    given = {"DataKmsKeyArn": KEYS[0], "TableKmsKeyArns": ",".join(KEYS[:count])} if keys else {}
    return Resolver(TEMPLATE, application(count) | given | {"Backends": "{}"}, REGIONS[0])


def properties(kind: str, count: int = 2, *, keys: bool = True) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = resolver(count, keys=keys).resolve(of_type(TEMPLATE, kind))
    return found


def test_without_a_key_everything_has_awss_own() -> None:
    for kind in ("AWS::Logs::LogGroup", "AWS::SecretsManager::Secret", "AWS::SQS::Queue"):
        assert not [
            name for name, each in properties(kind, keys=False).items() if {"KmsKeyId", "KmsMasterKeyId"} & each.keys()
        ]
    assert all(each["SqsManagedSseEnabled"] is True for each in properties("AWS::SQS::Queue", keys=False).values())
    assert "KMSMasterKeyId" not in str(properties("AWS::DynamoDB::GlobalTable", keys=False))
    assert "'KmsKeyId'" not in str(properties("AWS::SecretsManager::Secret", keys=False))
    assert "KmsKeyArn" not in resolver(2, keys=False).resolve(TEMPLATE["Globals"]["Function"])
    assert "DataKeys" not in str(properties("AWS::Serverless::Function", keys=False))


@pytest.mark.parametrize("count", [1, 2, 8])
def test_with_a_key_nothing_is_left_out_and_every_region_has_its_own(count: int) -> None:
    for name, queue in properties("AWS::SQS::Queue", count).items():
        assert (queue["SqsManagedSseEnabled"], queue["KmsMasterKeyId"]) == (False, KEYS[0]), name
    for kind in ("AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"):
        assert {each["KmsKeyId"] for each in properties(kind, count).values()} == {KEYS[0]}
    replicas = properties("AWS::SecretsManager::Secret", count)["GatewaySecret"].get("ReplicaRegions", [])
    assert [each["KmsKeyId"] for each in replicas] == KEYS[1:count]
    [table] = properties("AWS::DynamoDB::GlobalTable", count).values()
    assert [each["SSESpecification"]["KMSMasterKeyId"] for each in table["Replicas"]] == KEYS[:count]
    assert resolver(count).resolve(TEMPLATE["Globals"]["Function"])["KmsKeyArn"] == KEYS[0]


def test_whoever_reads_the_table_or_a_queue_may_decrypt_and_whoever_sends_may_make_keys() -> None:
    functions = properties("AWS::Serverless::Function")
    assert functions.keys() > SENDS
    for name, function in functions.items():
        [policy] = function["Policies"]
        [statement] = [each for each in policy["Statement"] if each.get("Sid") == "DataKeys"]
        assert statement["Resource"] == KEYS[:2]
        assert statement["Action"] == (["kms:Decrypt", "kms:GenerateDataKey"] if name in SENDS else "kms:Decrypt")
        sends = "sqs:SendMessage" in str(policy)
        assert sends is (name in SENDS)


def test_a_key_is_given_for_every_region_or_for_none() -> None:
    [assertion] = TEMPLATE["Rules"]["EveryRegionHasAKeyOrNone"]["Assertions"]
    one, every = {"Ref": "DataKmsKeyArn"}, {"Ref": "TableKmsKeyArns"}
    none = {"Fn::And": [{"Fn::Equals": [one, ""]}, {"Fn::EachMemberEquals": [every, ""]}]}
    assert assertion["Assert"] == {"Fn::Or": [{"Fn::Contains": [every, one]}, none]}


@pytest.mark.parametrize("template", ["template.yaml", "stacks/edge.yaml"])
def test_two_stacks_of_one_region_have_no_schedule_of_one_name(template: str) -> None:
    """SAM names a schedule by its logical id, the same in each stack, unless told not to."""
    made = Rehearsed(ROOT / template, "us-east-1").resources.values()
    schedules = [each["Properties"] for each in made if each["Type"] == "AWS::Scheduler::Schedule"]
    assert schedules
    assert not [each["Name"] for each in schedules if "Name" in each]


@pytest.mark.parametrize(
    ("keys", "actions"), [("", ["s3:GetObject"]), (",".join(KEYS[:2]), ["s3:GetObject", "kms:Decrypt"])]
)
def test_who_signs_at_the_edge_may_decrypt_what_it_reads(keys: str, actions: list[str]) -> None:
    edge = load_yaml((ROOT / "stacks" / "edge.yaml").read_text())
    given = {"Bucket": "pics-eu", "BucketRegion": REGIONS[0], "OriginAuth": "sigv4", "KmsKeyArns": keys}
    role = Resolver(edge, given, "us-east-1").resolve(edge["Resources"]["OriginRouterRole"]["Properties"])
    [_, objects] = role["Policies"]
    assert [each["Action"] for each in objects["PolicyDocument"]["Statement"]] == actions
    # Others cannot: CloudFormation refuses before it makes anything.
    rule = edge["Rules"]["AnAccessIdentityKnowsNoKeys"]
    assert rule["RuleCondition"] == {
        "Fn::And": [
            {"Fn::Equals": [{"Ref": "OriginSwitch"}, "edge-lambda"]},
            {"Fn::Not": [{"Fn::Equals": [{"Ref": "OriginAuth"}, "sigv4"]}]},
        ]
    }
    assert rule["Assertions"][0]["Assert"] == {"Fn::EachMemberEquals": [{"Ref": "KmsKeyArns"}, ""]}

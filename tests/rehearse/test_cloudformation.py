"""The rehearsal's CloudFormation refuses what AWS refuses: else a deployment in a wrong order would pass as well."""

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.rehearsal_server import Emulator, emulator
from tests.rehearse.deployment import client

REGION = "eu-west-2"
QUEUE = {"Type": "AWS::SQS::Queue"}
EXPORTING = {
    "Resources": {"Queue": QUEUE},
    "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Queue", "QueueName"]}, "Export": {"Name": "the-queue"}}},
}
IMPORTING = {
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": "the-queue"}}}}
}
VERSIONED = {"VersioningConfiguration": {"Status": "Enabled"}}


@pytest.fixture
def stacks(aws: Emulator) -> Any:
    """A client for CloudFormation."""
    return client(aws, "cloudformation", REGION)


def deploy(stacks: Any, name: str, template: dict[str, Any], **parameters: str) -> str:
    """The status that the stack ends in; or the reason why its change set failed."""
    try:
        status = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError:
        status = "REVIEW_IN_PROGRESS"
    stacks.create_change_set(
        StackName=name, ChangeSetName="a", TemplateBody=json.dumps(template),
        ChangeSetType="CREATE" if status == "REVIEW_IN_PROGRESS" else "UPDATE",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )  # fmt: skip
    made = stacks.describe_change_set(StackName=name, ChangeSetName="a")
    if made["Status"] == "FAILED":
        return str(made["StatusReason"])
    stacks.execute_change_set(StackName=name, ChangeSetName="a")
    return str(stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def reasons(stacks: Any, name: str) -> str:
    """All that the events of a stack say."""
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(event.get("ResourceStatusReason", "") for event in events)


def bucket(name: str, **properties: Any) -> dict[str, Any]:
    """A template with a bucket."""
    return {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}}}


def access_point(name: str, *buckets: str) -> dict[str, Any]:
    """A template with an access point."""
    properties = {"Name": name, "Regions": [{"Bucket": each} for each in buckets]}
    return {"Resources": {"Point": {"Type": "AWS::S3::MultiRegionAccessPoint", "Properties": properties}}}


def table(*regions: str) -> dict[str, Any]:
    """A template with a global table."""
    properties = {
        "TableName": "a",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "Replicas": [{"Region": each} for each in regions],
    }
    return {"Resources": {"Table": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": properties}}}


def replicating(to: str) -> dict[str, Any]:
    """A bucket's properties: a rule to another bucket."""
    rule = {"Destination": {"Bucket": f"arn:aws:s3:::{to}"}, "Status": "Enabled", "Priority": 1, "Filter": {}}
    role = "arn:aws:iam::123456789012:role/a"
    return {**VERSIONED, "ReplicationConfiguration": {"Role": role, "Rules": [rule]}}


def test_an_import_of_what_nobody_exports(stacks: Any) -> None:
    assert deploy(stacks, "b", IMPORTING) == "No export named the-queue found"


def test_an_export_that_is_imported_stays(stacks: Any) -> None:
    assert deploy(stacks, "a", EXPORTING) == deploy(stacks, "b", IMPORTING) == "CREATE_COMPLETE"
    assert deploy(stacks, "a", {"Resources": {"Queue": QUEUE}}) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Export the-queue cannot be deleted as it is in use by b" in reasons(stacks, "a")
    stacks.delete_stack(StackName="a")
    [there] = stacks.describe_stacks(StackName="a")["Stacks"]
    assert there["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert there["StackStatusReason"] == "Export the-queue cannot be deleted as it is in use by b"
    stacks.delete_stack(StackName="b")
    stacks.delete_stack(StackName="a")
    with pytest.raises(ClientError, match="Stack with id a does not exist"):
        stacks.describe_stacks(StackName="a")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (access_point("point", "nobodys"), "The specified bucket does not exist: nobodys"),
        (bucket("one", **replicating("nobodys")), "Destination bucket must exist: nobodys"),
        (bucket("one", **replicating("plain")), "Destination bucket must have versioning enabled: plain"),
        (bucket("plain"), "plain already exists"),
        (
            bucket(
                "one",
                NotificationConfiguration={
                    "QueueConfigurations": [{"Event": "s3:*", "Queue": f"arn:aws:sqs:{REGION}:123456789012:nobodys"}]
                },
            ),
            "Unable to validate the following destination configurations",
        ),
        (table("us-east-2"), "Replicas must have the region of the stack among them"),
    ],
)
def test_a_creation_that_is_refused_is_rolled_back(stacks: Any, template: dict[str, Any], why: str) -> None:
    assert deploy(stacks, "plain", bucket("plain")) == "CREATE_COMPLETE"
    whole = {"Resources": {"First": QUEUE, **template["Resources"]}}
    assert deploy(stacks, "a", whole) == "ROLLBACK_COMPLETE"
    assert why in reasons(stacks, "a")
    assert stacks.list_stack_resources(StackName="a")["StackResourceSummaries"] == []
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        deploy(stacks, "a", whole)


def test_an_update_that_is_refused_leaves_the_old_parameters(aws: Emulator, stacks: Any) -> None:
    template = bucket("one", BucketName={"Ref": "Name"}) | {"Parameters": {"Name": {"Type": "String"}}}
    assert deploy(stacks, "a", template, Name="one") == deploy(stacks, "b", bucket("two")) == "CREATE_COMPLETE"
    assert deploy(stacks, "a", template, Name="two") == "UPDATE_ROLLBACK_COMPLETE"
    [there] = stacks.describe_stacks(StackName="a")["Stacks"]
    assert there["Parameters"] == [{"ParameterKey": "Name", "ParameterValue": "one"}]
    assert {each["Name"] for each in client(aws, "s3", REGION).list_buckets()["Buckets"]} == {"one", "two"}


def test_an_access_point_cannot_be_replaced_under_its_name_nor_lose_a_bucket(stacks: Any) -> None:
    for name in ("one", "two"):
        deploy(stacks, name, bucket(name))
    assert deploy(stacks, "a", access_point("point", "one")) == "CREATE_COMPLETE"
    assert deploy(stacks, "a", access_point("point", "one", "two")) == "UPDATE_ROLLBACK_COMPLETE"
    assert deploy(stacks, "a", access_point("other", "one", "two")) == "UPDATE_COMPLETE"
    stacks.delete_stack(StackName="two")
    assert stacks.describe_stacks(StackName="two")["Stacks"][0]["StackStatus"] == "DELETE_FAILED"
    assert "part of a Multi-Region Access Point" in reasons(stacks, "two")


def test_a_global_table_takes_one_replica_at_a_time(stacks: Any) -> None:
    assert deploy(stacks, "a", table(REGION)) == "CREATE_COMPLETE"
    assert deploy(stacks, "a", table(REGION, "us-east-2", "us-west-2")) == "UPDATE_ROLLBACK_COMPLETE"
    assert deploy(stacks, "a", table(REGION, "us-east-2")) == "UPDATE_COMPLETE"
    assert deploy(stacks, "a", table(REGION, "us-east-2")).startswith("The submitted information didn't contain chang")


@pytest.mark.parametrize(
    ("declared", "value", "why"),
    [
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "1", "must match pattern"),
        ({"Type": "String", "AllowedValues": ["a"]}, "b", "must be one of AllowedValues"),
        ({"Type": "Number", "MinValue": 2}, "1", "must be a number from 2"),
        ({"Type": "Number"}, "one", "must be a number"),
    ],
)
def test_a_parameter_that_is_not_allowed(stacks: Any, declared: dict[str, Any], value: str, why: str) -> None:
    template = {"Parameters": {"One": declared}, "Resources": {"Queue": QUEUE}}
    with pytest.raises(ClientError, match=why):
        deploy(stacks, "a", template, One=value)


def test_parameters_that_are_unknown_or_missing(stacks: Any) -> None:
    with pytest.raises(ClientError, match="do not exist in the template"):
        deploy(stacks, "a", {"Resources": {"Queue": QUEUE}}, One="a")
    with pytest.raises(ClientError, match="must have values"):
        deploy(stacks, "a", {"Parameters": {"One": {"Type": "String"}}, "Resources": {"Queue": QUEUE}})


def test_a_rule_that_does_not_hold(stacks: Any) -> None:
    assertion = {"Assert": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}, "AssertDescription": "not here"}
    with pytest.raises(ClientError, match="not here"):
        deploy(stacks, "a", {"Rules": {"One": {"Assertions": [assertion]}}, "Resources": {"Queue": QUEUE}})


def test_a_role_needs_a_capability(stacks: Any) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    assert deploy(stacks, "a", {"Resources": {"Role": role}}) == "Requires capabilities : [CAPABILITY_IAM]"


@pytest.mark.parametrize(("policy", "left"), [("Retain", {"one"}), ("RetainExceptOnCreate", set()), ("Delete", set())])
def test_what_a_creation_that_failed_leaves(aws: Emulator, stacks: Any, policy: str, left: set[str]) -> None:
    template = bucket("one")
    template["Resources"]["Bucket"]["DeletionPolicy"] = policy
    aws.cloudformation.account.fails = lambda stack, name, doing: "no more" if name == "Queue" else ""
    assert deploy(stacks, "a", {"Resources": template["Resources"] | {"Queue": QUEUE}}) == "ROLLBACK_COMPLETE"
    assert {each["Name"] for each in client(aws, "s3", REGION).list_buckets()["Buckets"]} == left


def test_a_stack_at_work_takes_nothing_else(aws: Emulator, stacks: Any) -> None:
    held = threading.Event()
    aws.cloudformation.hold = lambda stack: held
    assert deploy(stacks, "a", {"Resources": {"Queue": QUEUE}}) == "CREATE_IN_PROGRESS"
    with pytest.raises(ClientError, match="cannot be deleted while in status CREATE_IN_PROGRESS"):
        stacks.delete_stack(StackName="a")
    with pytest.raises(ClientError, match="CREATE_IN_PROGRESS state and can not be updated"):
        deploy(stacks, "a", {"Resources": {"Queue": QUEUE}})
    held.set()
    stacks.get_waiter("stack_create_complete").wait(StackName="a", WaiterConfig={"Delay": 1})


def test_a_bucket_without_a_name_has_the_same_in_every_account(aws: Emulator, stacks: Any) -> None:
    template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}
    assert deploy(stacks, "a", template) == "CREATE_COMPLETE"
    [one] = client(aws, "s3", REGION).list_buckets()["Buckets"]
    with emulator() as another:
        assert deploy(client(another, "cloudformation", REGION), "a", template) == "CREATE_COMPLETE"
        [other] = client(another, "s3", REGION).list_buckets()["Buckets"]
    assert one["Name"] == other["Name"]

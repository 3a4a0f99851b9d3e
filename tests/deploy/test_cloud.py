"""The adapter against an emulated AWS: absent is None or 0, and versions and delete markers are counted."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from deploy import DeployFailed
from deploy.cloud import Aws

STACK = ("acme", "eu-west-2")
TEMPLATE = """{"Parameters": {"Name": {"Type": "String"}}, "Resources": {"Q": {"Type": "AWS::SQS::Queue"}},
"Outputs": {"Told": {"Value": {"Ref": "Name"}}}}"""


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@mock_aws
def test_a_stack_is_described_and_deleted() -> None:
    aws = Aws()
    assert aws.stack(STACK) is None
    assert aws.failures(STACK) == []
    boto3.client("cloudformation", region_name="eu-west-2").create_stack(
        StackName="acme",
        TemplateBody=TEMPLATE,
        Parameters=[{"ParameterKey": "Name", "ParameterValue": "a"}],
        Tags=[{"Key": "nearside:source", "Value": "1"}],
    )
    there = aws.stack(STACK)
    assert there is not None
    assert (there.status, there.parameters, there.outputs) == ("CREATE_COMPLETE", {"Name": "a"}, {"Told": "a"})
    assert there.tags == {"nearside:source": "1"}
    aws.delete(STACK)
    assert aws.stack(STACK) is None


@mock_aws
def test_versions_and_delete_markers_are_counted() -> None:
    aws, s3 = Aws(), boto3.client("s3", region_name="eu-west-2")
    assert (aws.versioning("acme-eu", "eu-west-2"), aws.count("acme-eu", "eu-west-2")) == (None, 0)
    s3.create_bucket(Bucket="acme-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    assert aws.versioning("acme-eu", "eu-west-2") == ""
    s3.put_bucket_versioning(Bucket="acme-eu", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="acme-eu", Key="a", Body=b"1")
    s3.put_object(Bucket="acme-eu", Key="a", Body=b"2")
    s3.delete_object(Bucket="acme-eu", Key="a")
    assert (aws.versioning("acme-eu", "eu-west-2"), aws.count("acme-eu", "eu-west-2")) == ("Enabled", 3)


@mock_aws
def test_what_is_in_the_way_is_told() -> None:
    aws, s3 = Aws(), boto3.client("s3", region_name="eu-west-2")
    assert aws.bucket("acme-eu", "eu-west-2") == ""
    s3.create_bucket(Bucket="acme-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    assert aws.bucket("acme-eu", "eu-west-2").startswith("the account has a bucket of that name")
    assert not aws.table("acme-catalog", "eu-west-2")
    boto3.client("dynamodb", region_name="eu-west-2").create_table(
        TableName="acme-catalog",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert aws.table("acme-catalog", "eu-west-2")
    assert not aws.table("acme-catalog", "us-east-2")
    assert not aws.secret("acme-gateway", "eu-west-2")
    boto3.client("secretsmanager", region_name="eu-west-2").create_secret(Name="acme-gateway", SecretString="a")
    assert aws.secret("acme-gateway", "eu-west-2")


@pytest.mark.parametrize(
    ("status", "words"), [(403, "the name is taken"), (301, "in another region"), (400, "another")]
)
def test_a_bucket_of_somebody_else_is_in_the_way(status: int, words: str) -> None:
    aws = Aws()
    with Stubber(aws.client("s3", "eu-west-2")) as s3, Stubber(aws.client("sts", "eu-west-2")) as sts:
        sts.add_response("get_caller_identity", {"Account": "123456789012"})
        s3.add_client_error("head_bucket", str(status), http_status_code=status)
        assert words in aws.bucket("acme-eu", "eu-west-2")


def test_what_is_wrong_with_the_asking_is_not_taken_for_an_answer() -> None:
    aws = Aws()
    with Stubber(aws.client("s3", "eu-west-2")) as s3, Stubber(aws.client("sts", "eu-west-2")) as sts:
        sts.add_response("get_caller_identity", {"Account": "123456789012"})
        s3.add_client_error("head_bucket", "500", http_status_code=500)
        with pytest.raises(ClientError):
            aws.bucket("acme-eu", "eu-west-2")


@mock_aws
def test_a_bucket_is_deleted_when_it_is_empty_and_else_s3_says_why() -> None:
    aws, s3 = Aws(), boto3.client("s3", region_name="eu-west-2")
    s3.create_bucket(Bucket="acme-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    s3.put_object(Bucket="acme-eu", Key="a", Body=b"1")
    assert "BucketNotEmpty" in aws.delete_bucket("acme-eu", "eu-west-2")
    s3.delete_object(Bucket="acme-eu", Key="a")
    assert aws.delete_bucket("acme-eu", "eu-west-2") == ""
    assert aws.versioning("acme-eu", "eu-west-2") is None
    assert aws.delete_bucket("acme-eu", "eu-west-2") == ""


def test_checkers_addresses_are_those_that_reach_s3() -> None:
    aws = Aws()
    with Stubber(aws.client("route53", "us-east-1")) as route53:
        ranges = ["2600:1f1c:7ff:f800::/53", "54.183.255.128/26", "15.177.0.0/18"]
        route53.add_response("get_checker_ip_ranges", {"CheckerIpRanges": ranges})
        assert aws.checker_addresses() == ["15.177.0.0/18", "54.183.255.128/26"]


@pytest.mark.parametrize(
    ("code", "words"), [("NoSuchMultiRegionAccessPoint", "not there"), ("AccessDenied", "not known")]
)
def test_an_access_point_that_may_not_be_seen_is_not_known(code: str, words: str) -> None:
    aws = Aws()
    with Stubber(aws.client("s3control", "us-west-2")) as s3control, Stubber(aws.client("sts", "us-west-2")) as sts:
        sts.add_response("get_caller_identity", {"Account": "123456789012"})
        s3control.add_client_error("get_multi_region_access_point", code)
        assert aws.mrap_status("acme-1").startswith(words)


def test_what_failed_is_told_the_first_first_and_also_what_only_the_stack_tells() -> None:
    aws = Aws()
    told = [  # the newest first, as CloudFormation has them
        ("acme", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("Queue", "UPDATE_FAILED", "Resource update cancelled"),
        ("Role", "UPDATE_FAILED", "no such policy"),
        ("acme", "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update: [Role]."),
        ("acme", "UPDATE_ROLLBACK_IN_PROGRESS", "Export acme-Queue cannot be deleted as it is in use"),
        ("acme", "UPDATE_IN_PROGRESS", "User Initiated"),
        ("Old", "CREATE_FAILED", "of an operation before"),
    ]
    events = [
        {
            "StackId": "1",
            "EventId": str(number),
            "StackName": "acme",
            "Timestamp": datetime(2026, 11, 21, tzinfo=UTC),
            "LogicalResourceId": name,
            "ResourceType": "AWS::X",
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }
        for number, (name, status, reason) in enumerate(told)
    ]
    with Stubber(aws.client("cloudformation", "eu-west-2")) as cloudformation:
        cloudformation.add_response("describe_stack_events", {"StackEvents": events}, {"StackName": "acme"})
        assert aws.failures(STACK) == [
            "acme (AWS::X): Export acme-Queue cannot be deleted as it is in use",
            "Role (AWS::X): no such policy",
        ]


@mock_aws
def test_the_pages_files_are_put_listed_and_taken_away() -> None:
    aws, s3, place = Aws(), boto3.client("s3", region_name="eu-west-2"), ("acme-page", "eu-west-2")
    assert aws.page_files(*place) == {}
    s3.create_bucket(Bucket="acme-page", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    names = [f"app/{number:04}.js" for number in range(1001)]
    for each in names:
        aws.put_page_file(*place, each, b"1", "text/javascript; charset=utf-8")
    assert aws.page_files(*place) == dict.fromkeys(names, "c4ca4238a0b923820dcc509a6f75849b")
    assert s3.get_object(Bucket="acme-page", Key=names[0])["ContentType"] == "text/javascript; charset=utf-8"
    aws.delete_page_files(*place, names)
    assert aws.page_files(*place) == {}


def test_a_file_of_the_page_that_stays_is_told() -> None:
    aws = Aws()
    with Stubber(aws.client("s3", "eu-west-2")) as stub:
        stub.add_response("delete_objects", {"Errors": [{"Key": "app/a.js", "Message": "Access Denied"}]})
        with pytest.raises(DeployFailed, match=r"acme-page: app/a.js stays: Access Denied"):
            aws.delete_page_files("acme-page", "eu-west-2", ["app/a.js"])


def test_cloudfront_is_told_each_time_anew() -> None:
    """What has the reference of an earlier one is not done again."""
    aws, references = Aws(), list[str]()
    client = aws.client("cloudfront", "us-east-1")
    client.meta.events.register(
        "before-parameter-build.cloudfront.CreateInvalidation",
        lambda params, **_: references.append(params["InvalidationBatch"]["CallerReference"]),
    )
    with Stubber(client) as stub:
        for _ in range(2):
            batch = {"Paths": {"Quantity": 1, "Items": ["/app/*"]}, "CallerReference": ANY}
            stub.add_response("create_invalidation", {}, {"DistributionId": "E1", "InvalidationBatch": batch})
            aws.look_again("E1", "/app/*")
    assert len({*references}) == len(references) == 2

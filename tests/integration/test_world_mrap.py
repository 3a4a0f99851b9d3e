"""The access point: the nearest region that is on, whatever it holds; and what S3 does not do through one."""

from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from local.world import World
from tests.integration.http_client import get, send
from tests.integration.signing_v4a import sign

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

GUIDE = "docs/guide.txt"


def served_by(world: World, location: str | None) -> str:
    url, _ = sign(f"{world.mrap_url}/{GUIDE}")
    answer = get(url, {"X-World-Location": location} if location else {})
    assert answer.status == 200
    return answer.headers["x-world-region"]


@pytest.mark.parametrize(
    ("location", "region"),
    [
        ("eu", "eu-west-2"),
        ("us", "us-east-2"),
        ("US", "us-east-2"),
        ("us-east-2", "us-east-2"),
        ("us-west-2", "us-east-2"),
        ("eu-central-1", "eu-west-2"),
        ("JP", "eu-west-2"),
        ("mx", "us-east-2"),
        (None, "eu-west-2"),
    ],
)
def test_the_nearest_region_serves(world: World, location: str | None, region: str) -> None:
    assert served_by(world, location) == region


def test_the_default_location_is_a_control(world: World) -> None:
    world.set_location("us")
    assert served_by(world, None) == "us-east-2"
    assert served_by(world, "eu") == "eu-west-2"


def test_an_unknown_location_is_refused(world: World) -> None:
    url, _ = sign(f"{world.mrap_url}/{GUIDE}")
    answer = get(url, {"X-World-Location": "mars"})
    assert answer.code == (400, "InvalidArgument")
    assert "'mars'" in answer.error["Message"]


def test_a_region_that_is_off_is_passed_over(world: World) -> None:
    world.switch("us-east-2", on=False)
    assert served_by(world, "us") == "eu-west-2"
    world.switch("eu-west-2", on=False)
    url, _ = sign(f"{world.mrap_url}/{GUIDE}")
    assert get(url).code == (503, "ServiceUnavailable")


def test_contents_are_not_looked_at(world: World, eu: "S3Client") -> None:
    key = f"m{uuid4().hex}"
    world.set_lag(600)
    eu.put_object(Bucket=world.buckets["eu-west-2"], Key=key, Body=b"x")
    url, _ = sign(f"{world.mrap_url}/{key}")
    assert get(url, {"X-World-Location": "eu"}).body == b"x"
    assert get(url, {"X-World-Location": "us"}).code == (404, "NoSuchKey")
    world.set_lag(0)
    world.settle()
    assert get(url, {"X-World-Location": "us"}).body == b"x"


def test_an_upload_lands_in_the_nearest_bucket(world: World, us: "S3Client") -> None:
    key = f"m{uuid4().hex}"
    url, _ = sign(f"{world.mrap_url}/{key}", method="PUT")
    answer = send("PUT", url, b"x", {"X-World-Location": "us"})
    assert (answer.status, answer.headers["x-world-region"]) == (200, "us-east-2")
    assert us.get_object(Bucket=world.buckets["us-east-2"], Key=key)["Body"].read() == b"x"


@pytest.mark.parametrize("path", ["a%20b%2B%25%23%3F", "/a", "a//b", "..", "%E6%9D%B1", "a%3Bb%3Dc"])
def test_hard_keys(world: World, path: str) -> None:
    url, _ = sign(f"{world.mrap_url}/{path}", method="PUT")
    assert send("PUT", url, path.encode()).status == 200
    assert get(sign(f"{world.mrap_url}/{path}")[0]).body == path.encode()
    assert send("DELETE", sign(f"{world.mrap_url}/{path}", method="DELETE")[0]).status == 204


def test_listing_through_it(world: World) -> None:
    answer = get(sign(f"{world.mrap_url}/?list-type=2&prefix=docs%2F")[0])
    assert answer.status == 200
    assert b"<Key>docs/guide.txt</Key>" in answer.body


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("GET", "/", (405, "MethodNotAllowed")),
        ("GET", "/?versions=", (405, "MethodNotAllowed")),
        ("GET", "/?location=", (405, "MethodNotAllowed")),
        ("HEAD", "/", (405, "")),
        ("POST", "/?delete=", (405, "MethodNotAllowed")),
        ("DELETE", "/", (405, "MethodNotAllowed")),
        ("GET", "/a?attributes=", (405, "MethodNotAllowed")),
    ],
)
def test_unsupported_operations(world: World, method: str, target: str, code: tuple[int, str]) -> None:
    answer = send(method, sign(world.mrap_url + target, method=method)[0])
    assert (answer.status, answer.error["Code"] if answer.body else "") == code


def test_copies_are_not_supported(world: World) -> None:
    headers = {"x-amz-copy-source": f"{world.buckets['eu-west-2']}/{GUIDE}"}
    url, _ = sign(f"{world.mrap_url}/copy", method="PUT", headers=headers)
    answer = send("PUT", url, headers=headers)
    assert answer.code == (501, "NotImplemented")
    assert answer.error["Header"] == "x-amz-copy-source"


def test_a_region_set_must_have_the_region(world: World) -> None:
    assert get(sign(f"{world.mrap_url}/{GUIDE}", regions="eu-west-2,us-*")[0]).status == 200
    answer = get(sign(f"{world.mrap_url}/{GUIDE}", regions="us-*")[0])
    assert answer.code == (400, "AuthorizationQueryParametersError")


def test_pages_may_use_it(world: World) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT", "X-World-Location": "us"}
    answer = send("OPTIONS", f"{world.mrap_url}/a", headers=asked)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    url, _ = sign(f"{world.mrap_url}/{GUIDE}")
    assert "X-World-Region" in get(url, {"Origin": "https://app.example"}).headers["access-control-expose-headers"]


def test_faults_of_the_region_are_felt_through_it(world: World) -> None:
    world.fail("eu-west-2", 1)
    assert get(sign(f"{world.mrap_url}/{GUIDE}")[0]).status in (500, 503)


def test_the_control_plane_knows_it(world: World) -> None:
    """boto3 puts the account before the host of S3 Control, and a test's host has no such name: sent by path here."""
    control = boto3.client("s3control", region_name="us-west-2", endpoint_url=world.aws_url, config=Config())

    def stay(request: object, **_: object) -> None:
        url = str(getattr(request, "url"))  # noqa: B009 - botocore's request has no type here
        setattr(request, "url", url.replace("//123456789012.", "//"))  # noqa: B010

    control.meta.events.register("before-send.s3-control", stay)
    found = control.get_multi_region_access_point(AccountId="123456789012", Name="nearside")["AccessPoint"]
    assert (found["Status"], found["Alias"]) == ("READY", world.mrap_alias)
    assert {region["Region"]: region["Bucket"] for region in found["Regions"]} == world.buckets


def test_the_rest_of_aws_has_no_unguarded_s3(world: World) -> None:
    assert get(f"{world.aws_url}/{world.buckets['eu-west-2']}/{GUIDE}").status == 400


@pytest.mark.parametrize("service", ["dynamodb", "sqs", "secretsmanager"])
def test_the_rest_of_aws_answers(world: World, service: str) -> None:
    client = boto3.client(service, region_name="eu-west-2", endpoint_url=world.aws_url)  # type: ignore[call-overload]
    calls = {"dynamodb": "list_tables", "sqs": "list_queues", "secretsmanager": "list_secrets"}
    answer = getattr(client, calls[service])()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200

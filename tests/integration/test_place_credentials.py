"""Key pairs of places in Secrets Manager and SSM, and the replicator's queue, in moto's server."""

import json
import logging
import secrets
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from nearside.adapters import place_credentials
from nearside.adapters.credentials import CredentialSource
from nearside.adapters.replication_queue import ReplicationQueue
from nearside.errors import NoCredentials, Refused, Unreachable
from nearside.gateway.backends import Backend, CredentialsAt
from nearside.signing import Credentials
from tests.integration.catalog_table import KEY, dynamodb
from tests.unit.loopback import Told, closed_port, serving

REGION = "eu-west-2"
PAIR = {"access_key_id": "AKIDPLACE", "secret_access_key": "wJalrXUtnFEMI"}


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    """The endpoint of a moto server."""
    with dynamodb() as url:
        yield url


@pytest.fixture
def endpoint(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, as boto3 finds it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    return aws_url


def client(service: Any, url: str) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=KEY.access_key_id,
        aws_secret_access_key=KEY.secret_access_key,
    )


def source(**where: str) -> CredentialSource:
    backend = Backend(name="wasabi", provider="wasabi", zone_code="z", region="r1", credentials=CredentialsAt(**where))
    return place_credentials.of(backend, lambda: KEY, REGION)


def put(kind: str, name: str, value: str, url: str) -> None:
    if kind == "ssm":
        client("ssm", url).put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    else:
        client("secretsmanager", url).create_secret(Name=name, SecretString=value)


@pytest.fixture(params=["secretsmanager", "ssm"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_pair_is_read_once_and_again_after_five_minutes(
    kind: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"/places/{secrets.token_hex(6)}"
    put(kind, name, json.dumps(PAIR), endpoint)
    now = 1000.0
    monkeypatch.setattr("nearside.adapters.place_credentials.time.monotonic", lambda: now)
    pair = source(**{kind: name})
    expected = Credentials("AKIDPLACE", "wJalrXUtnFEMI")
    assert pair() == expected
    with closed_port() as nowhere:
        monkeypatch.setenv("AWS_ENDPOINT_URL", nowhere)
        assert pair() == expected, "it is known"
        now += 301
        assert pair() == expected, "better than none"
        with pytest.raises(Unreachable, match=f"^wasabi: the (secret|parameter) {name} cannot be read"):
            source(**{kind: name})()
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if kind == "ssm":
        put(kind, name, json.dumps({**PAIR, "session_token": "t"}), endpoint)
        assert pair() == expected
        now += 31
        assert pair() == Credentials("AKIDPLACE", "wJalrXUtnFEMI", "t")


@pytest.mark.parametrize("value", ["wJalrXUtnFEMI", '{"access_key_id": "wJalrXUtnFEMI"}', '{"wJalrXUtnFEMI": 1}'])
def test_what_is_no_pair_says_so_without_telling_it(kind: str, endpoint: str, value: str) -> None:
    name = f"/places/{secrets.token_hex(6)}"
    put(kind, name, value, endpoint)
    with pytest.raises(NoCredentials) as error:
        source(**{kind: name})()
    assert f"{name} is not " in str(error.value)
    assert "wJalrXUtnFEMI" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.usefixtures("endpoint")
def test_what_is_not_there_says_so(kind: str) -> None:
    with pytest.raises(NoCredentials, match="/places/none does not exist"):
        source(**{kind: "/places/none"})()


def test_what_may_not_be_read_says_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"__type": "AccessDeniedException", "message": "arn:aws:iam::1:role/x may not"}).encode()
    with serving(lambda _: Told(400, {"content-type": "application/x-amz-json-1.1"}, body)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(Refused, match=r"may not be read by the function \(AccessDeniedException\)") as error:
            source(**{kind: "/a"})()
    assert "arn:" not in str(error.value)


def test_a_message_is_in_the_queue(aws_url: str) -> None:
    sqs = client("sqs", aws_url)
    url = sqs.create_queue(QueueName=f"q-{secrets.token_hex(6)}")["QueueUrl"]
    send = ReplicationQueue(url, REGION, lambda: KEY, aws_url)
    send("photos", 'a "ü"')
    send("photos", "b")
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    told = [json.loads(each["Body"]) for each in messages]
    assert sorted(told, key=lambda each: str(each["key"])) == [
        {"bucket": "photos", "key": 'a "ü"'},
        {"bucket": "photos", "key": "b"},
    ]


def test_a_queue_that_does_not_take_it_is_logged_and_nothing_else(
    aws_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "nearside"):
        ReplicationQueue(f"{aws_url}/123456789012/nope", REGION, lambda: KEY, aws_url)("photos", "k")
        with closed_port() as url:
            ReplicationQueue(f"{url}/1/q", REGION, lambda: KEY)("photos", "k")
    refused, away = caplog.messages
    assert refused.startswith("photos/k: the replicator was not told: SQS answered 400")
    assert "QueueDoesNotExist" in refused
    assert away.startswith("photos/k: the replicator was not told: 127.0.0.1")

"""`BACKENDS` is read strictly, an error names the field, and nothing of a secret is in any of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside import settings
from nearside.adapters import place_credentials
from nearside.errors import BadSettings
from nearside.gateway import backends
from nearside.gateway.backends import Backend, CredentialsAt, parse
from nearside.gateway.errors import InvalidBucketName
from nearside.gateway.places import Promise
from nearside.signing import Credentials

ROOT = Path(__file__).parents[2]
EU = {"name": "eu", "provider": "aws", "zone_code": "eu-lon", "region": "eu-west-2", "is_primary": True}
WASABI = {
    "name": "wasabi",
    "provider": "wasabi",
    "zone_code": "us-vir",
    "region": "us-east-1",
    "endpoint_url": "https://s3.wasabisys.com",
    "bucket": "acme-{bucket}",
    "credentials": {"environment": "WASABI"},
}
THIRD = {**WASABI, "name": "third", "enabled": False, "credentials": {"ssm": "/places/third"}}


def text(*places: Any, **replication: Any) -> str:
    return json.dumps({"backends": list(places), **({"replication": replication} if replication else {})})


def test_a_good_configuration_is_what_it_says() -> None:
    read = parse(text(WASABI, EU, THIRD, required_replicas=2, async_upload=False, verify_uploads=True))
    assert [each.name for each in read.enabled] == ["eu", "wasabi"], "the primary first, without what is not enabled"
    assert read.enabled[1] == Backend(
        name="wasabi",
        provider="wasabi",
        zone_code="us-vir",
        region="us-east-1",
        endpoint_url="https://s3.wasabisys.com",
        bucket="acme-{bucket}",
        credentials=CredentialsAt(environment="WASABI"),
    )
    assert read.replication == Promise(required_replicas=2, async_upload=False, verify_uploads=True)
    assert read.enabled[1].bucket_name("photos") == "acme-photos"
    assert read.enabled[1].facts.title == "Wasabi"
    assert parse(text(EU, WASABI)).replication == Promise()


def test_two_places_that_are_the_same_buckets_are_refused() -> None:
    again = {**WASABI, "name": "again", "endpoint_url": "https://s3.wasabisys.com/"}
    with pytest.raises(BadSettings, match="wasabi and again are the same buckets"):
        parse(text(EU, WASABI, again))
    with pytest.raises(BadSettings, match="eu and us are the same buckets"):  # AWS's names are everybody's
        parse(text(EU, {**EU, "name": "us", "region": "us-east-2", "is_primary": False}))
    for other in ({"enabled": False}, {"bucket": "other-{bucket}"}, {"credentials": {"environment": "ANOTHER"}}):
        assert len(parse(text(EU, WASABI, {**again, **other})).backends) == 3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"colour": "red"}, "BACKENDS.backends[1]: object contains unknown field `colour`"),
        ({"region": 5}, "BACKENDS.backends[1].region is 5: expected `str`, got `int`"),
        ({"region": ""}, 'BACKENDS.backends[1].region is "": expected `str` matching regex'),
        ({"name": "eu"}, "BACKENDS.backends[1].name is 'eu', which another place has already"),
        ({"name": "E U"}, 'BACKENDS.backends[1].name is "E U": expected `str` matching regex'),
        ({"zone_code": "a,b"}, 'BACKENDS.backends[1].zone_code is "a,b": expected `str` matching regex'),
        ({"enabled": "no"}, 'BACKENDS.backends[1].enabled is "no": expected `bool`, got `str`'),
        ({"provider": "dropbox"}, 'BACKENDS.backends[1].provider is "dropbox": expected one of aws, b2, linode'),
        ({"is_primary": True}, "BACKENDS.backends: is_primary is true for eu, wasabi: expected exactly one"),
        ({"bucket": "fixed"}, 'BACKENDS.backends[1].bucket is "fixed": expected `str` matching regex'),
        ({"bucket": "{bucket}{bucket}"}, 'BACKENDS.backends[1].bucket is "{bucket}{bucket}": expected'),
        ({"bucket": "UP-{bucket}"}, 'BACKENDS.backends[1].bucket is "UP-{bucket}": expected'),
        ({"endpoint_url": ""}, "BACKENDS.backends[1].endpoint_url is '': expected https://host"),
        (
            {"endpoint_url": "s3.example.org"},
            "BACKENDS.backends[1].endpoint_url is 's3.example.org': expected https://",
        ),
        ({"endpoint_url": "ftp://a.org"}, "BACKENDS.backends[1].endpoint_url is 'ftp://a.org': expected https://"),
        (
            {"endpoint_url": "https://a.org?x"},
            "BACKENDS.backends[1].endpoint_url is 'https://a.org?x': expected https://",
        ),
        ({"endpoint_url": "https://a b"}, "BACKENDS.backends[1].endpoint_url is 'https://a b': expected https://"),
        (
            {"endpoint_url": "https://a:99999"},
            "BACKENDS.backends[1].endpoint_url is 'https://a:99999': expected https://",
        ),
        ({"endpoint_url": "https://"}, "BACKENDS.backends[1].endpoint_url is 'https://': expected https://host"),
        (
            {"endpoint_url": "http://s3.example.org"},
            "is 'http://s3.example.org': expected https, since only a loopback",
        ),
        ({"endpoint_url": "http://8.8.8.8"}, "is 'http://8.8.8.8': expected https, since only a loopback"),
        ({"endpoint_url": "http://0.0.0.0"}, "is 'http://0.0.0.0': expected https, since only a loopback"),
        ({"endpoint_url": "http://localhost.example.org"}, "expected https, since only a loopback"),
        ({"credentials": {}}, "BACKENDS.backends[1].credentials: expected exactly one of environment, secretsmanager"),
        (
            {"credentials": {"environment": "A", "ssm": "/b"}},
            "BACKENDS.backends[1].credentials: expected exactly one of environment, secretsmanager, ssm",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_with_its_value(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSettings) as error:
        parse(text(EU, {**WASABI, **wrong}))
    assert words in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9000",
        "http://127.0.0.1",
        "http://10.1.2.3:80/s3",
        "http://[::1]:9000",
        "http://minio.internal",
    ],
)
def test_within_a_machine_or_a_network_http_will_do(url: str) -> None:
    assert parse(text(EU, {**WASABI, "endpoint_url": url})).backends[1].endpoint_url == url


@pytest.mark.parametrize(
    ("places", "replication", "words"),
    [
        ([], {}, "BACKENDS.backends is a JSON list: expected `array` of length >= 1"),
        ([WASABI], {}, "BACKENDS.backends: is_primary is true for none: expected exactly one enabled place"),
        ([{**EU, "enabled": False}, WASABI], {}, "is_primary is true for none"),
        ([EU, WASABI], {"required_replicas": 0}, "BACKENDS.replication.required_replicas is 0: expected 1 to 2"),
        ([EU, WASABI, THIRD], {"required_replicas": 3}, "BACKENDS.replication.required_replicas is 3: expected 1 to 2"),
        ([EU], {}, "BACKENDS.replication.required_replicas is 2: expected 1 to 1"),
        ([EU, WASABI], {"quorum": 1}, "BACKENDS.replication: object contains unknown field `quorum`"),
        ([EU, "wasabi"], {}, 'BACKENDS.backends[1] is "wasabi": expected `object`, got `str`'),
        ([EU, {"name": "x"}], {}, "BACKENDS.backends[1]: object missing required field `provider`"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_named(places: list[Any], replication: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSettings) as error:
        parse(text(*places, **replication))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("given", "words"), [("", "BACKENDS is not set"), ("{", "BACKENDS is no JSON"), ("[]", "BACKENDS is")]
)
def test_what_is_no_configuration_at_all(given: str, words: str) -> None:
    with pytest.raises(BadSettings, match=words):
        parse(given)


SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.mark.parametrize(
    "wrong",
    [
        {"credentials": {"secret_access_key": SECRET}},
        {"credentials": {SECRET: "x"}},
        {"credentials": {"environment": SECRET}},
        {"credentials": {"ssm": f"{SECRET}+"}},
        {"credentials": SECRET},
        {"credentials": [SECRET]},
        {"endpoint_url": f"https://AKID:{SECRET}@s3.example.org"},
        {"endpoint_url": f"https://AKID:{SECRET}@s3.example.org:port"},
        {"endpoint_url": f"http://{SECRET.replace('/', '')}@127.0.0.1"},
    ],
    ids=lambda value: str(value).replace(SECRET, "…"),
)
def test_a_secret_in_the_wrong_place_is_not_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSettings) as error:
        parse(text(EU, {**WASABI, **wrong}))
    assert "BACKENDS.backends[1]." in str(error.value)
    assert SECRET not in str(error.value)
    assert SECRET.replace("/", "") not in str(error.value)
    assert error.value.__cause__ is None, "a traceback would show it"


def test_where_credentials_are_is_not_in_a_repr() -> None:
    assert SECRET not in repr(parse(text(EU, {**WASABI, "credentials": {"secretsmanager": SECRET}})))


@given(st.from_regex(r"[a-z0-9.-]{0,70}", fullmatch=True))
def test_a_bucket_of_a_place_has_a_name_that_s3_takes(bucket: str) -> None:
    backend = parse(text(EU, WASABI)).backends[1]
    if 1 <= len(bucket) <= 58 and bucket[-1] not in ".-":
        assert backend.bucket_name(bucket) == f"acme-{bucket}"
    else:
        with pytest.raises(InvalidBucketName, match="which is no bucket's name"):
            backend.bucket_name(bucket)


def test_the_schema_is_current() -> None:
    """`nearside places schema > docs/backends.schema.json` makes it so."""
    assert json.loads((ROOT / "docs" / "backends.schema.json").read_text()) == backends.schema()


def test_the_key_pair_of_a_place_is_in_the_environment() -> None:
    environ = {"WASABI_ACCESS_KEY_ID": "AKID", "WASABI_SECRET_ACCESS_KEY": SECRET}
    assert settings.environment_credentials("WASABI", environ) == Credentials("AKID", SECRET)
    with_token = {**environ, "WASABI_SESSION_TOKEN": "t"}
    assert settings.environment_credentials("WASABI", with_token) == Credentials("AKID", SECRET, "t")
    for missing in environ:
        left = {name: value for name, value in environ.items() if name != missing}
        with pytest.raises(BadSettings, match=f"^{missing} is not set$"):
            settings.environment_credentials("WASABI", left)


def test_without_credentials_a_place_is_asked_with_the_functions_own() -> None:
    own = Credentials("AKID", SECRET)
    assert place_credentials.of(parse(text(EU, WASABI)).backends[0], lambda: own, "eu-west-2")() is own

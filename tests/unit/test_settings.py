"""Settings are strict, and an error names the variable."""

import json
import os
from unittest import mock

import pytest

from local.intrinsics import load_yaml
from nearside import settings
from nearside.access import Rule
from nearside.errors import BadSettings
from nearside.places import Mrap, Place
from nearside.signing import Credentials
from tests.unit import functions

GOOD = dict(functions.ENVIRONMENT)


def loaded(**changed: str) -> settings.Settings:
    return settings.load(environ={**GOOD, **changed})


def test_good_settings_are_what_they_say() -> None:
    read = loaded(S3_ENDPOINT="http://127.0.0.1:3001", SIGNING_ROLE_ARN="arn:aws:iam::123456789012:role/a/b")
    assert read.places == (
        Place("eu-west-2", "nearside-eu-west-2", "http://127.0.0.1:3001"),
        Place("us-east-2", "nearside-us-east-2"),
    )
    assert read.primary == read.home == read.places[0]
    assert (read.use_mrap, read.mrap) == (True, Mrap("mfzwi23gnjvgw.mrap"))
    assert (read.auth_mode, read.cursor_key, read.region) == ("jwt", "0123456789abcdef", "eu-west-2")
    assert read.policy.rules == [Rule("sub", ["users/${sub}/"], ["read", "write"])]
    assert read.credentials == Credentials("AKIDEXAMPLE", "secret")
    assert read.signing_role_arn == "arn:aws:iam::123456789012:role/a/b"


def test_little_is_enough() -> None:
    read = settings.load(environ={"BUCKET": "pics", "AWS_DEFAULT_REGION": "eu-west-1"})
    assert read.places == (Place("eu-west-1", "pics"),)
    assert (read.use_mrap, read.mrap, read.auth_mode, read.credentials) == (False, None, "jwt", None)
    assert list(read.policy.rules) == []
    assert read.table_regions == ("eu-west-1",)
    assert read.replicated_prefixes == ("",)
    assert (read.table, read.dynamodb_endpoint, read.replicates_delete_markers, read.lag_target_seconds) == (
        "",
        "",
        True,
        900,
    )


def test_the_catalogs_settings_are_what_they_say() -> None:
    read = loaded(
        TABLE="nearside-catalog",
        TABLE_REGIONS="eu-west-2,us-east-2",
        DYNAMODB_ENDPOINT="http://127.0.0.1:3005",
        REPLICATES_DELETE_MARKERS="false",
        REPLICATED_PREFIXES='["images/", ".nearside/"]',
        LAG_TARGET_SECONDS="30",
    )
    assert (read.table, read.dynamodb_endpoint) == ("nearside-catalog", "http://127.0.0.1:3005")
    assert read.table_regions == ("eu-west-2", "us-east-2")
    assert (read.replicates_delete_markers, read.lag_target_seconds) == (False, 30)
    assert read.replicated_prefixes == ("images/", ".nearside/")


def test_a_listing_may_be_kept_as_long_as_template_and_settings_agree_on() -> None:
    assert [loaded(LISTING_MAX_AGE=text).listing_max_age for text in ("", "0", "60", "86400")] == [0, 0, 60, 86_400]
    parameter = load_yaml((functions.ROOT / "template.yaml").read_text())["Parameters"]["ListingMaxAge"]
    limits = {"Default": 0, "MinValue": 0, "MaxValue": settings.MAX_LISTING_MAX_AGE}
    assert limits.items() <= parameter.items()


def test_home_is_the_place_of_the_functions_own_region() -> None:
    assert loaded(AWS_REGION="us-east-2").home.region == "us-east-2"
    assert loaded(AWS_REGION="us-east-2").primary.region == "eu-west-2"
    assert loaded(AWS_REGION="ap-south-1").home.region == "eu-west-2"


def test_the_end_of_the_environments_session_is_known_when_it_is_told() -> None:
    read = loaded(AWS_SESSION_TOKEN="token", AWS_CREDENTIAL_EXPIRATION="2026-11-21T12:00:00+00:00")
    assert read.credentials == Credentials("AKIDEXAMPLE", "secret", "token", 1_795_262_400.0)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_pair_is_a_mistake(missing: str) -> None:
    with pytest.raises(BadSettings, match=f"{missing} is not set, and its other half is"):
        loaded(**{missing: ""})


def test_no_key_pair_leaves_it_to_the_chain() -> None:
    assert loaded(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="").credentials is None


RULE = {"claim": "sub", "prefixes": ["a/"], "actions": ["read"]}
REPLICA = {"region": "us-east-2", "bucket": "pics-us"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BUCKET", "", "is not set"),
        ("BUCKET", "Pics", "'Pics': expected a bucket's name"),
        ("BUCKET", "ab", "'ab'"),
        ("BUCKET", "a" * 64, "a bucket's name"),
        ("BUCKET", "pics/", "a bucket's name"),
        ("BUCKET_REGION", "eu west", "expected a region"),
        ("AWS_REGION", "https://x", "expected a region"),
        ("S3_ENDPOINT", "127.0.0.1:3001", "expected http(s)://host[:port][/path]"),
        ("S3_ENDPOINT", "ftp://host", "expected http(s)"),
        ("S3_ENDPOINT", "http://host/?x=1", "expected http(s)"),
        ("S3_ENDPOINT", "http://user@host", "expected http(s)"),
        ("USE_MRAP", "yes", "'yes': expected one of true, false"),
        ("USE_MRAP", "True", "expected one of true, false"),
        ("MRAP_ALIAS", "", "is not set, and USE_MRAP is true"),
        ("MRAP_ALIAS", "my-access-point", "expected an alias such as mfzwi23gnjvgw.mrap"),
        ("MRAP_ALIAS", "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "expected an alias"),
        ("MRAP_ENDPOINT", "host", "expected http(s)"),
        ("AUTH_MODE", "public", "'public': expected one of jwt, iam, none"),
        ("SIGNING_ROLE_ARN", "nearside", "expected the ARN of a role"),
        ("SIGNING_ROLE_ARN", "arn:aws:iam::123456789012:user/x", "expected the ARN of a role"),
        ("CURSOR_KEY", "short", "has 5 characters: at least 16 expected"),
        ("LISTING_MAX_AGE", "86401", "'86401': expected whole seconds from 0 to 86400"),
        ("LISTING_MAX_AGE", "-1", "'-1': expected whole seconds"),
        ("LISTING_MAX_AGE", "1.5", "expected whole seconds"),
        ("LISTING_MAX_AGE", "1h", "expected whole seconds"),
        ("S3CONTROL_ENDPOINT", "host", "expected http(s)"),
        ("DYNAMODB_ENDPOINT", "host", "expected http(s)"),
        ("TABLE", "a/b", "expected a table's name"),
        ("TABLE_REGIONS", "eu-west-2, us-east-2", "expected regions such as eu-west-2,us-east-2"),
        ("REPLICATES_DELETE_MARKERS", "yes", "'yes': expected one of true, false"),
        ("LAG_TARGET_SECONDS", "0", "expected a whole number of at least 1"),
        ("LAG_TARGET_SECONDS", "-5", "expected a whole number"),
        ("LAG_TARGET_SECONDS", "15m", "expected a whole number"),
        ("REPLICATED_PREFIXES", "images/", "is not what it should be"),
        ("REPLICATED_PREFIXES", "[1]", "Expected `str`, got `int` - at `$[0]`"),
        ("CLOUDWATCH_ENDPOINT", "host", "expected http(s)"),
        ("BATCH_ROLE_ARN", "batch", "expected the ARN of a role"),
        ("REPAIR_JOB_OVER", "many", "expected a whole number"),
        ("AWS_CREDENTIAL_EXPIRATION", "soon", "expected an ISO 8601 time"),
        ("ACCESS_POLICY", "{", "is not what it should be"),
        ("ACCESS_POLICY", "{}", "Expected `array`, got `object`"),
        ("ACCESS_POLICY", json.dumps([{**RULE, "claims": "x"}]), "unknown field `claims` - at `$[0]`"),
        (
            "ACCESS_POLICY",
            json.dumps([{**RULE, "actions": ["list"]}]),
            "Invalid enum value 'list' - at `$[0].actions[0]`",
        ),
        ("ACCESS_POLICY", json.dumps([{"claim": "sub"}]), "missing required field `prefixes`"),
        ("ACCESS_POLICY", json.dumps([{**RULE, "prefixes": "a/"}]), "Expected `array`, got `str` - at `$[0].prefixes`"),
        ("REPLICAS", "us-east-2", "is not what it should be"),
        ("REPLICAS", json.dumps([{"region": "us-east-2"}]), "missing required field `bucket`"),
        ("REPLICAS", json.dumps([{**REPLICA, "name": "x"}]), "unknown field `name`"),
        ("REPLICAS", json.dumps([{**REPLICA, "region": "us east"}]), "[0].region is 'us east'"),
        ("REPLICAS", json.dumps([{**REPLICA, "bucket": "Pics"}]), "[0].bucket is 'Pics'"),
        ("REPLICAS", json.dumps([{**REPLICA, "endpoint": "host"}]), "[0].endpoint is 'host'"),
        ("REPLICAS", json.dumps([{**REPLICA, "region": "eu-west-2"}]), "which another place has already"),
        ("REPLICAS", json.dumps([REPLICA, REPLICA]), "[1].region is 'us-east-2', which another place has already"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(BadSettings) as caught:
        loaded(**{name: value})
    assert str(caught.value).startswith(name)
    assert words in str(caught.value)


def test_a_region_must_come_from_somewhere() -> None:
    with pytest.raises(BadSettings, match="BUCKET_REGION is not set, and neither is AWS_REGION"):
        settings.load(environ={"BUCKET": "pics"})


def test_what_a_function_needs_must_be_there() -> None:
    with pytest.raises(BadSettings, match="CURSOR_KEY is not set"):
        settings.load(needs=("CURSOR_KEY",), environ={**GOOD, "CURSOR_KEY": ""})


def test_overrides_win() -> None:
    assert settings.load(environ=GOOD, overrides={"BUCKET": "other"}).primary.bucket == "other"


@pytest.mark.parametrize(
    ("function", "name", "value"), [("presign", "BUCKET", ""), ("explorer", "CURSOR_KEY", "short")]
)
def test_a_function_with_bad_settings_refuses_to_start(function: str, name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=f"^{name}"):
        functions.load(function, **{name: value})


def test_the_environment_is_read_when_nothing_else_is_given() -> None:
    with mock.patch.dict(os.environ, {**GOOD, "BUCKET": "from-the-environment"}, clear=True):
        assert settings.load().primary.bucket == "from-the-environment"


def test_the_gateways_settings_are_what_they_say() -> None:
    read = loaded(
        BACKENDS="{no JSON, and nobody looks here",
        GATEWAY_DOMAINS="s3.example.org,localhost",
        GATEWAY_MAX_BODY_BYTES="1000",
        GATEWAY_SECRET="g" * 32,
        GATEWAY_QUEUE_URL="https://sqs.eu-west-2.amazonaws.com/123456789012/gateway",
        SQS_ENDPOINT="http://127.0.0.1:3005",
    )
    assert read.backends == "{no JSON, and nobody looks here", "it is parsed by nearside.gateway.backends"
    assert read.gateway_domains == ("s3.example.org", "localhost")
    assert (read.gateway_max_body_bytes, read.gateway_secret) == (1000, "g" * 32)
    assert read.gateway_queue_url == "https://sqs.eu-west-2.amazonaws.com/123456789012/gateway"
    assert read.sqs_endpoint == "http://127.0.0.1:3005"
    none = loaded()
    assert (none.backends, none.gateway_domains, none.gateway_max_body_bytes) == ("", (), 4_500_000)
    assert (none.gateway_secret, none.gateway_queue_url, none.sqs_endpoint) == ("", "", "")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GATEWAY_DOMAINS", "S3.example.org", "GATEWAY_DOMAINS is 'S3.example.org': expected domains in lower case"),
        ("GATEWAY_DOMAINS", "a..b", "GATEWAY_DOMAINS is 'a..b'"),
        ("GATEWAY_MAX_BODY_BYTES", "0", "GATEWAY_MAX_BODY_BYTES is '0': expected a whole number of at least 1"),
        ("GATEWAY_SECRET", "short", "GATEWAY_SECRET has 5 characters: at least 32 expected"),
        ("GATEWAY_QUEUE_URL", "queue", "GATEWAY_QUEUE_URL is 'queue': expected the URL of a queue"),
        ("SQS_ENDPOINT", "127.0.0.1", "SQS_ENDPOINT is '127.0.0.1': expected http"),
    ],
)
def test_a_wrong_variable_of_the_gateway_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(BadSettings) as error:
        loaded(**{name: value})
    assert str(error.value).startswith(words)


def test_a_repr_has_no_secret() -> None:
    read = loaded(GATEWAY_SECRET="g" * 32, BACKENDS="somebody's key pair by mistake")
    for secret in (read.gateway_secret, read.cursor_key, read.backends, "secret"):
        assert secret not in repr(read)

"""The file of settings: strict, and an error names field, value and what is expected."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.settings import BadDeploySettings, Settings, load, parse
from tests.contract.source_tree import ROOT

GOOD: dict[str, Any] = {
    "regions": [{"region": "eu-west-2", "bucket": "acme-eu"}, {"region": "us-east-2", "bucket": "acme-us"}],
    "api": {"issuer": "https://example.com"},
}
EU, US = GOOD["regions"]
KEYS = {each["region"]: f"arn:aws:kms:{each['region']}:123456789012:key/1" for each in (EU, US)}


def test_the_example_is_good_and_shows_the_defaults() -> None:
    example = load(ROOT / "nearside.example.toml")
    raw = tomllib.loads((ROOT / "nearside.example.toml").read_text())
    assert raw.keys() >= {each for each in Settings.__struct_fields__ if each not in ("gateway", "backends_json")}
    assert example == parse({"regions": raw["regions"], "api": {"issuer": raw["api"]["issuer"]}}, ROOT)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"region": []}, "region"),
        ({"regions": []}, r"regions is \[\]; expected 1 to 8"),
        ({"regions": [EU | {"bucket": "Acme"}]}, r"regions\[0\].bucket is 'Acme'; expected a bucket's name"),
        ({"regions": [EU | {"region": "London"}]}, r"regions\[0\].region is 'London'; expected a region"),
        ({"regions": [EU | {"adopt": "yes"}]}, r"regions\[0\].adopt: Expected `bool`, got `str`; it is 'yes'"),
        ({"regions": [EU | {"bukket": 1}]}, r"regions\[0\]: .*unknown field `bukket`"),
        ({"regions": [EU, US | {"bucket": "acme-eu"}]}, "regions.bucket is 'acme-eu'; expected each only once"),
        ({"regions": [EU, US | {"region": "eu-west-2"}]}, "regions.region is 'eu-west-2'; expected each only once"),
        ({"api": {}}, "api.issuer is ''; expected the tokens' issuer"),
        ({"api": GOOD["api"] | {"policy": "[{}]"}}, r"api.policy is '\[\{\}\]'; expected a JSON list"),
        ({"api": {"auth": "none"}}, "api.auth: Invalid enum value 'none'; it is 'none'"),
        ({"buckets": {"kms_key": {"eu-west-2": "alias/a"}}}, "kms_key.eu-west-2 is 'alias/a'; expected the ARN"),
        (
            {"buckets": {"kms_key": {"eu-west-2": "arn:aws:kms:eu-west-2:123456789012:key/a"}}},
            "all regions or none; missing: us-east-2",
        ),
        ({"replication": {"rtc": True, "metrics": False}}, "replication.metrics is False"),
        ({"edge": {"enabled": True}}, "edge.txt_name is ''"),
        ({"security": {"kms_key": {"eu-west-2": "k"}}}, "security.kms_key.eu-west-2 is 'k'; expected the ARN"),
        ({"alarms": {"topic_key": {"eu-north-1": "k"}}}, "one of the regions eu-west-2, us-east-2"),
        ({"functions": {"log_retention_days": 31}}, "functions.log_retention_days is 31; expected one of 1, 3, 5"),
        ({"replication": {"prefixes": ["a/"]}}, 'with ".nearside/" among them'),
        ({"replication": {"prefixes": ["a/", "a/b/", ".nearside/"]}}, "expected none that begins with another"),
        ({"buckets": {"probe_addresses": ["192.0.2.0/24"]}}, "expected none without edge.enabled"),
        ({"buckets": {"object_lock_mode": "governance"}}, "buckets.object_lock_mode: Invalid enum value"),
        ({"api": GOOD["api"] | {"zone": "Z1"}}, "api.zone is 'Z1'; expected empty without domain"),
        ({"api": GOOD["api"] | {"origins": ["https://a.example,https://b.example"]}}, "api.origins is .*no comma"),
        ({"replication": {"prefixes": [" a/", ".nearside/"]}}, "replication.prefixes is ' a/'; expected no comma"),
        ({"api": GOOD["api"] | {"origins": []}}, r"api.origins is \[\]; expected at least one origin"),
        ({"buckets": {"cors_origins": [""]}}, "buckets.cors_origins is ''; expected no comma, no spaces"),
        (
            {"edge": {"enabled": True, "txt_name": "a.example"}, "buckets": {"kms_key": KEYS}},
            "edge.origin_auth is 'oai'; expected sigv4 with buckets.kms_key",
        ),
        (
            {"api": GOOD["api"] | {"policy": '[{"claim":"sub","prefixes":["' + "a" * 2400 + '"],"actions":["read"]}]'}},
            "api.policy with gateway.backends is '24.. bytes'; expected 2400 bytes together at most",
        ),
        ({"gateway": {"backends": "none.json"}}, "gateway.backends is 'none.json'; expected a JSON file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(BadDeploySettings, match=words):
        parse(GOOD | changed, ROOT)


def test_more_buckets_than_a_role_can_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "backends.json").write_text("{}")
    gateway = {
        "backends": "backends.json",
        "bucket_arns": [f"arn:aws:s3:::{'a' * 50}{number:03}" for number in range(53)],
    }
    assert parse(GOOD | {"gateway": gateway}, tmp_path).gateway
    gateway["bucket_arns"] = [*gateway["bucket_arns"], "arn:aws:s3:::one-more"]
    with pytest.raises(BadDeploySettings, match=r"is '70.. bytes'; expected 7000 bytes at most"):
        parse(GOOD | {"gateway": gateway}, tmp_path)

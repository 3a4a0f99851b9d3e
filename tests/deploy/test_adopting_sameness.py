"""S3 answers in its own words: what means the same, and what does not."""

from typing import Any

import pytest

from deploy.adoption_record import Record, is_changed
from deploy.adoption_sameness import same

STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": ["123456789012", "arn:aws:iam::123456789012:role/a"]},
    "Action": ["s3:PutObject", "s3:GetObject"],
    "Resource": ["arn:aws:s3:::acme-eu/*"],
    "Condition": {"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"s3:max-keys": 10}},
}
RULE: dict[str, Any] = {
    "ID": "a",
    "Priority": 1,
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "DeleteMarkerReplication": {"Status": "Disabled"},
    "SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Disabled"}},
    "Destination": {"Bucket": "arn:aws:s3:::acme-us", "Metrics": {"Status": "Enabled"}},
}
LIFE: dict[str, Any] = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
HEARS: dict[str, Any] = {
    "Id": "a",
    "QueueArn": "arn:aws:sqs:eu-west-2:123456789012:q",
    "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "a/"}, {"Name": "suffix", "Value": ".b"}]}},
}
LISTS = {
    "policy": "Statement",
    "replication": "Rules",
    "lifecycle": "Rules",
    "notifications": "QueueConfigurations",
    "cors": "CORSRules",
}


def _same(part: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    return same(part, {LISTS[part]: [one]}, {LISTS[part]: [other]})


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("policy", STATEMENT, STATEMENT | {"Action": ["s3:GetObject", "s3:PutObject"]}),
        ("policy", STATEMENT, STATEMENT | {"Resource": "arn:aws:s3:::acme-eu/*", "Sid": ""}),
        (
            "policy",
            STATEMENT,
            STATEMENT | {"Principal": {"AWS": ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:root"]}},
        ),
        (
            "policy",
            STATEMENT,
            STATEMENT
            | {"Condition": {"Bool": {"AWS:SecureTransport": "true"}, "NumericLessThan": {"s3:max-keys": ["10"]}}},
        ),
        ("policy", STATEMENT | {"Principal": "*"}, STATEMENT | {"Principal": {"AWS": "*"}}),
        ("replication", RULE, RULE | {"Filter": {}}),
        ("replication", RULE, {key: value for key, value in RULE.items() if key != "SourceSelectionCriteria"}),
        ("replication", RULE, RULE | {"ExistingObjectReplication": {"Status": "Disabled"}}),
        (
            "replication",
            RULE,
            RULE
            | {
                "Destination": RULE["Destination"]
                | {"Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}
            },
        ),
        (
            "replication",
            RULE,
            RULE | {"Destination": RULE["Destination"] | {"ReplicationTime": {"Status": "Disabled"}}},
        ),
        ("lifecycle", LIFE, LIFE | {"Filter": {}}),
        ("notifications", HEARS, HEARS | {"Events": ["s3:ObjectRemoved:*", "s3:ObjectCreated:*"]}),
        (
            "notifications",
            HEARS,
            HEARS
            | {
                "Filter": {
                    "Key": {"FilterRules": [{"Name": "Suffix", "Value": ".b"}, {"Name": "Prefix", "Value": "a/"}]}
                }
            },
        ),
    ],
)
def test_the_same_in_other_words(part: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one != other
    assert _same(part, one, other)
    assert _same(part, other, one)


@pytest.mark.parametrize(
    ("part", "one", "other"),
    [
        ("policy", STATEMENT, STATEMENT | {"Effect": "Deny"}),
        ("policy", STATEMENT, STATEMENT | {"Action": ["s3:GetObject"]}),
        ("policy", STATEMENT, STATEMENT | {"Principal": {"AWS": "123456789012"}}),
        ("policy", STATEMENT, STATEMENT | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        ("policy", STATEMENT, {key: value for key, value in STATEMENT.items() if key != "Condition"}),
        ("replication", RULE, RULE | {"Priority": 2}),
        ("replication", RULE, RULE | {"Filter": {"Prefix": "a/"}}),
        ("replication", RULE, RULE | {"Status": "Disabled"}),
        ("replication", RULE, RULE | {"DeleteMarkerReplication": {"Status": "Enabled"}}),
        ("replication", RULE, RULE | {"SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}}}),
        ("replication", RULE, RULE | {"Destination": {"Bucket": "arn:aws:s3:::acme-us"}}),
        ("lifecycle", LIFE, LIFE | {"Expiration": {"Days": 2}}),
        ("lifecycle", LIFE, LIFE | {"Filter": {"Prefix": "a/"}}),
        ("notifications", HEARS, {key: value for key, value in HEARS.items() if key != "Filter"}),
        ("notifications", HEARS, HEARS | {"Events": ["s3:ObjectCreated:*"]}),
    ],
)
def test_something_else(part: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not _same(part, one, other)
    assert not _same(part, other, one)


def test_the_order_of_cors_rules_counts() -> None:
    one, other = ({"ID": name, "AllowedOrigins": ["*"], "AllowedMethods": ["GET"]} for name in "ab")
    assert not same("cors", {"CORSRules": [one, other]}, {"CORSRules": [other, one]})
    assert same("lifecycle", {"Rules": [one, other]}, {"Rules": [other, one]})


def _reads(principal: dict[str, str]) -> dict[str, Any]:
    return {"Statement": [{"Sid": "NearsideAccessIdentity", "Effect": "Allow", "Principal": principal}]}


GIVEN, ANOTHER = _reads({"CanonicalUser": "0123"}), _reads({"CanonicalUser": "4567"})
TOLD = _reads({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"})


def test_an_access_identity_that_s3_tells_by_its_arn() -> None:
    assert same("policy", GIVEN, TOLD)
    assert not same("policy", GIVEN, ANOTHER)
    assert not same("policy", GIVEN, _reads({"AWS": "arn:aws:iam::123456789012:role/a"}))
    assert not same("policy", GIVEN, None)


def test_another_access_identity_is_a_change_though_s3_tells_neither() -> None:
    record = Record({"policy": None}, {"policy": GIVEN})
    assert not is_changed("policy", {"policy": TOLD}, {"policy": GIVEN}, record)
    assert is_changed("policy", {"policy": TOLD}, {"policy": ANOTHER}, record)

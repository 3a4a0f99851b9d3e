"""An adopted bucket gets what stacks/bucket.yaml gives one that it makes."""

from typing import Any

from deploy.adopting_policy import READERS, TLS_ONLY, Readers
from deploy.adoption_sameness import same
from deploy.bucket_merging import EVENTS, Wanted, merged
from deploy.bucket_state import Facts, Part
from deploy.replication_merging import Destination, RuleChoices
from local.intrinsics import Resolver, load_yaml
from tests.contract.source_tree import ROOT

KEY = "arn:aws:kms:us-east-2:123456789012:key/1"
READ = Readers(
    "arn:aws:cloudfront::123456789012:distribution/E1", "0123456789abcdef", ".nearside/probe", ("1.2.3.0/26",)
)
WANTED = Wanted(
    "acme-eu",
    "eu-west-2",
    "arn:aws:iam::123456789012:role/r",
    "arn:aws:sqs:eu-west-2:123456789012:q",
    (Destination("acme-us", KEY),),
    RuleChoices(time_control=True, prefixes=("images/", ".nearside/")),
    tls_only=True,
    readers=READ,
    cors_origins=("https://example.com",),
    lifecycle=True,
    old_versions_days=90,
)
PARAMETERS = {
    "Bucket": WANTED.bucket,
    "CorsOrigins": "https://example.com",
    "Destinations": "acme-us",
    "DestinationKmsKeyArns": KEY,
    "Rtc": "true",
    "Prefixes": "images/,.nearside/",
    "EventsQueueArn": WANTED.queue,
    "DistributionArn": READ.distribution,
    "AccessIdentityUser": READ.identity,
    "ProbeAddresses": "1.2.3.0/26",
}


def _made(resource: str) -> dict[str, Any]:
    template = load_yaml((ROOT / "stacks" / "bucket.yaml").read_text())
    found: dict[str, Any] = Resolver(template, PARAMETERS, WANTED.region).resolve(
        template["Resources"][resource]["Properties"]
    )
    return found


def _adopted(part: str) -> Part:
    return merged(part, None, WANTED, Facts(WANTED.region))


def test_the_policy() -> None:
    names = {"OnlyTls": TLS_ONLY, **{name.removeprefix("Nearside"): name for name in READERS}}
    made = _made("TheBucketPolicy")["PolicyDocument"]
    for statement in made["Statement"]:
        statement["Sid"] = names[statement["Sid"]]
        # The resolver writes the bucket by its logical id.
        if isinstance(statement["Resource"], list):
            statement["Resource"] = [f"arn:aws:s3:::{WANTED.bucket}", f"arn:aws:s3:::{WANTED.bucket}/*"]
    assert same("policy", _adopted("policy"), made)


def test_the_rules() -> None:
    made = [
        rule | {"ID": rule.pop("Id").replace("to-", "nearside-")}
        for rule in _made("TheBucket")["ReplicationConfiguration"]["Rules"]
    ]
    assert len(made) == 2
    assert same("replication", {"Rules": _adopted("replication")["Rules"]}, {"Rules": made})


def test_the_notifications() -> None:
    made = _made("TheBucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert {each["Event"] for each in made} == set(EVENTS)
    assert {each["Queue"] for each in made} == {WANTED.queue}
    [adopted] = _adopted("notifications")["QueueConfigurations"]
    assert (adopted["QueueArn"], adopted["Events"]) == (WANTED.queue, [*EVENTS])


def test_cors() -> None:
    [made] = _made("TheBucket")["CorsConfiguration"]["CorsRules"]
    named = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    [adopted] = _adopted("cors")["CORSRules"]
    assert adopted == {"ID": "nearside-cors"} | {named.get(key, key): value for key, value in made.items()}


def test_the_lifecycle() -> None:
    made = _made("TheBucket")["LifecycleConfiguration"]["Rules"]
    assert {_life_made(rule) for rule in made} == {_life_adopted(rule) for rule in _adopted("lifecycle")["Rules"]}


def _life_made(rule: dict[str, Any]) -> tuple[Any, ...]:
    """Whose; uploads, current objects, old versions, delete markers: after how many days."""
    return (
        rule.get("Prefix", ""),
        rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        rule.get("ExpirationInDays"),
        rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        rule.get("ExpiredObjectDeleteMarker"),
    )


def _life_adopted(rule: dict[str, Any]) -> tuple[Any, ...]:
    end = rule.get("Expiration", {})
    told = {"ExpirationInDays": end.get("Days"), "ExpiredObjectDeleteMarker": end.get("ExpiredObjectDeleteMarker")}
    return _life_made(rule | told | {"Prefix": rule["Filter"]["Prefix"]})

"""The stacks of the buckets and of the access point, and template.yaml for one region and for many."""

import json
import re
import tomllib
from typing import Any

import pytest

from local.intrinsics import Resolver, load_yaml
from local.template import read_template
from nearside import canary
from tests.contract.source_tree import ROOT

DOCUMENTS = {name: load_yaml((ROOT / name).read_text()) for name in ("stacks/bucket.yaml", "stacks/global.yaml")}
TEMPLATE = load_yaml((ROOT / "template.yaml").read_text())
REGIONS = [
    "eu-west-2",
    "us-east-2",
    "ap-southeast-2",
    "eu-north-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "us-east-1",
]
QUEUE = "arn:aws:sqs:eu-west-2:123456789012:nearside-EventsQueue"


def bucket_of(region: str) -> str:
    return f"pics-{region}"


OTHERS = [bucket_of(region) for region in REGIONS[1:]]


def bucket(**parameters: str) -> dict[str, Any]:
    """The bucket's properties with these parameters."""
    resolver = Resolver(DOCUMENTS["stacks/bucket.yaml"], {"Bucket": "pics-eu", **parameters}, "eu-west-2")
    found: dict[str, Any] = resolver.resolve(DOCUMENTS["stacks/bucket.yaml"]["Resources"]["TheBucket"]["Properties"])
    return found


def statements(resource: str, **parameters: str) -> dict[str, Any]:
    document = DOCUMENTS["stacks/bucket.yaml"]
    resolver = Resolver(document, {"Bucket": "pics-eu", **parameters}, "eu-west-2")
    properties = resolver.resolve(document["Resources"][resource]["Properties"])
    policy = (
        properties["PolicyDocument"] if "PolicyDocument" in properties else properties["Policies"][0]["PolicyDocument"]
    )
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def rules(**parameters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bucket(**parameters)["ReplicationConfiguration"]["Rules"]
    return found


def test_the_first_pass_has_no_rules_and_no_notifications() -> None:
    made = bucket()
    assert not {"ReplicationConfiguration", "NotificationConfiguration", "CorsConfiguration"} & made.keys()
    assert not {"ObjectLockEnabled", "ObjectLockConfiguration"} & made.keys()
    assert made["VersioningConfiguration"] == {"Status": "Enabled"}
    assert made["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert set(made["PublicAccessBlockConfiguration"].values()) == {True}
    [encryption] = made["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    resolver = Resolver(DOCUMENTS["stacks/bucket.yaml"], {}, "eu-west-2")
    assert not resolver.condition(DOCUMENTS["stacks/bucket.yaml"]["Resources"]["BucketReplicationRole"]["Condition"])


def test_of_an_adopted_bucket_the_stack_has_the_role_only() -> None:
    document = DOCUMENTS["stacks/bucket.yaml"]
    made = {
        adopted: Resolver(document, {"Adopted": adopted, "Destinations": OTHERS[0]}, "eu-west-2")
        for adopted in ("true", "false")
    }
    for kind in ("Resources", "Outputs"):
        for name, each in document[kind].items():
            assert made["false"].condition(each["Condition"])
            assert made["true"].condition(each["Condition"]) is (
                name in ("BucketReplicationRole", "ReplicationRoleArn")
            )
    # CloudFormation refuses a stack without a resource.
    rule = document["Rules"]["AnAdoptedBucketHasDestinations"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Adopted"}, "true"]}
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::EachMemberEquals": [{"Ref": "Destinations"}, ""]}]}


@pytest.mark.parametrize("count", range(1, 8))
def test_there_is_one_rule_for_each_destination(count: int) -> None:
    made = rules(Destinations=",".join(OTHERS[:count]))
    assert [rule["Destination"]["Bucket"] for rule in made] == [f"arn:aws:s3:::{name}" for name in OTHERS[:count]]
    assert {rule["Filter"]["Prefix"] for rule in made} == {""}
    assert len({rule["Priority"] for rule in made}) == len({rule["Id"] for rule in made}) == count


def test_there_is_one_rule_for_each_destination_and_prefix() -> None:
    prefixes = ["a/", "b/", "c/", ".nearside/"]
    made = rules(Destinations=",".join(OTHERS), Prefixes=",".join(prefixes))
    pairs = [(rule["Destination"]["Bucket"].split(":::")[1], rule["Filter"]["Prefix"]) for rule in made]
    assert pairs == [(name, prefix) for name in OTHERS for prefix in prefixes]
    assert len({rule["Priority"] for rule in made}) == len({rule["Id"] for rule in made}) == len(pairs)


def test_rules_differ_in_nothing_but_their_numbers() -> None:
    keys = ",".join(f"arn:aws:kms:{region}:123456789012:key/k" for region in REGIONS[1:])
    made = rules(Destinations=",".join(OTHERS), Prefixes="a/,b/,c/,.nearside/", DestinationKmsKeyArns=keys)
    for index, rule in enumerate(made):
        key = rule["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"]
        assert f":{REGIONS[1 + index // 4]}:" in key
    plain = [re.sub(r"'(Id|Bucket|Prefix|ReplicaKmsKeyID)': '[^']*'|'Priority': \d+", "", str(rule)) for rule in made]
    assert len(set(plain)) == 1


def test_what_is_replicated_is_a_choice() -> None:
    given = {"Destinations": OTHERS[0]}
    [rule] = rules(**given)
    assert rule["DeleteMarkerReplication"] == {"Status": "Enabled"}
    assert rule["SourceSelectionCriteria"] == {"ReplicaModifications": {"Status": "Enabled"}}
    assert rule["Destination"]["Metrics"] == {"Status": "Enabled"}
    assert "ReplicationTime" not in rule["Destination"]
    [rule] = rules(**given, Rtc="true", Metrics="false", DeleteMarkers="false", Modifications="false")
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert "SourceSelectionCriteria" not in rule
    assert rule["Destination"]["Metrics"] == {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
    assert rule["Destination"]["ReplicationTime"] == {"Status": "Enabled", "Time": {"Minutes": 15}}


def test_the_canaries_must_be_replicated() -> None:
    rule = DOCUMENTS["stacks/bucket.yaml"]["Rules"]["TheCanariesAreReplicated"]
    either = rule["Assertions"][0]["Assert"]["Fn::Or"]
    prefixes = {"Ref": "Prefixes"}
    assert either == [{"Fn::EachMemberEquals": [prefixes, ""]}, {"Fn::Contains": [prefixes, ".nearside/"]}]


def test_all_four_kinds_of_events_go_to_the_queue_unfiltered() -> None:
    """docs/operations.md, "What the buckets must tell"."""
    found = bucket(EventsQueueArn=QUEUE)["NotificationConfiguration"]["QueueConfigurations"]
    told = "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*", "s3:Replication:*"
    assert found == [{"Event": event, "Queue": QUEUE} for event in told]
    text = (ROOT / "docs" / "operations.md").read_text()
    assert all(f"`{event}`" in text for event in told)


def test_lock_lifecycle_cors_and_keys_are_choices() -> None:
    key = "arn:aws:kms:eu-west-2:123456789012:key/k"
    made = bucket(ObjectLockDays="30", CorsOrigins="https://a.example,https://b.example", KmsKeyArn=key)
    assert made["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": "30"}
    assert made["ObjectLockEnabled"] is True
    assert made["CorsConfiguration"]["CorsRules"][0]["AllowedOrigins"] == ["https://a.example", "https://b.example"]
    [encryption] = made["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["BucketKeyEnabled"] is True
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    ids = [rule["Id"] for rule in made["LifecycleConfiguration"]["Rules"]]
    assert ids == ["AbortIncompleteMultipartUpload", "ExpiredDeleteMarkers", "OldVersions", "Canaries"]
    assert len(bucket(OldVersionsDays="0")["LifecycleConfiguration"]["Rules"]) == 3
    assert made["LifecycleConfiguration"]["Rules"][3]["Prefix"] == canary.PREFIX


def test_only_who_is_named_gets_in_and_nobody_without_tls() -> None:
    assert statements("TheBucketPolicy").keys() == {"OnlyTls"}
    given = {
        "DistributionArn": "arn:aws:cloudfront::123456789012:distribution/E1",
        "AccessIdentityUser": "abc",
        "ProbeAddresses": "192.0.2.0/24,198.51.100.0/24",
    }
    found = statements("TheBucketPolicy", **given)
    assert found.keys() == {"OnlyTls", "Distribution", "AccessIdentity", "Route53HealthCheckers"}
    assert {found[sid]["Action"] for sid in found.keys() - {"OnlyTls"}} == {"s3:GetObject"}
    assert found["Route53HealthCheckers"]["Resource"] == "arn:aws:s3:::pics-eu/.nearside/probe"
    assert found["Route53HealthCheckers"]["Condition"]["IpAddress"]["aws:SourceIp"] == [
        "192.0.2.0/24",
        "198.51.100.0/24",
    ]


def test_the_role_replicates_to_the_destinations_and_nowhere_else() -> None:
    plain = statements("BucketReplicationRole", Destinations="pics-us,pics-au", DeleteMarkers="false")
    assert plain.keys() == {"Rules", "Versions", "Replicas"}
    assert plain["Replicas"]["Resource"] == ["arn:aws:s3:::pics-us/*", "arn:aws:s3:::pics-au/*"]
    keys = {"KmsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/k", "DestinationKmsKeyArns": "arn:a,arn:b"}
    whole = statements("BucketReplicationRole", Destinations="pics-us,pics-au", ObjectLockDays="1", **keys)
    assert whole.keys() == plain.keys() | {"Locks", "DeleteMarkers", "SourceKey", "DestinationKeys"}
    assert whole["DestinationKeys"]["Resource"] == ["arn:a", "arn:b"]
    # A bucket key is checked, by decrypting, before it is used for a replica.
    assert whole["DestinationKeys"]["Action"] == ["kms:Encrypt", "kms:Decrypt"]
    assert whole["SourceKey"]["Action"] == "kms:Decrypt"


@pytest.mark.parametrize("count", range(1, 9))
def test_the_access_point_is_over_every_bucket(count: int) -> None:
    document = DOCUMENTS["stacks/global.yaml"]
    names = [bucket_of(region) for region in REGIONS[:count]]
    resolver = Resolver(document, {"Buckets": ",".join(names)}, "eu-west-2")
    made = resolver.resolve(document["Resources"]["AccessPoint"]["Properties"])
    assert [region["Bucket"] for region in made["Regions"]] == names
    assert not resolver.condition(document["Resources"]["AccessPointPolicy"]["Condition"])


def test_an_access_point_that_is_replaced_stays() -> None:
    access_point = DOCUMENTS["stacks/global.yaml"]["Resources"]["AccessPoint"]
    assert access_point["UpdateReplacePolicy"] == "Retain"
    assert access_point["DeletionPolicy"] == "Delete"


# template.yaml


def application(count: int) -> dict[str, str]:
    """The parameters of a world of so many regions."""
    others = REGIONS[1:count]
    return {
        "Bucket": bucket_of(REGIONS[0]),
        "ReplicaBucket": ",".join(map(bucket_of, others)),
        "ReplicaRegion": ",".join(others),
        "MrapAlias": "abc.mrap",
    }


@pytest.mark.parametrize("count", range(1, 9))
def test_the_functions_know_every_region(count: int) -> None:
    read = read_template(ROOT / "template.yaml", application(count), "eu-west-2")
    variables = read.functions["PresignFunction"].environment
    others = REGIONS[1:count]
    assert json.loads(variables["REPLICAS"]) == [{"region": each, "bucket": bucket_of(each)} for each in others]
    assert variables["TABLE_REGIONS"] == ",".join(REGIONS[:count])
    assert read.table is not None
    assert [replica["Region"] for replica in read.table["Replicas"]] == REGIONS[:count]
    resolver = Resolver(TEMPLATE, application(count), "eu-west-2")
    secret = resolver.resolve(TEMPLATE["Resources"]["GatewaySecret"]["Properties"])
    assert [each["Region"] for each in secret.get("ReplicaRegions", [])] == others


@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_roles_reach_every_bucket_and_every_replica_of_the_table(count: int) -> None:
    resolver = Resolver(TEMPLATE, application(count), "eu-west-2")
    arns = [f"arn:aws:s3:::{bucket_of(region)}" for region in REGIONS[:count]]
    point = "arn:aws:s3::123456789012:accesspoint/abc.mrap"
    [policy] = resolver.resolve(TEMPLATE["Resources"]["SigningRole"]["Properties"]["Policies"])
    objects, listing = policy["PolicyDocument"]["Statement"][:2]
    assert objects["Resource"] == [*(f"{arn}/*" for arn in arns), f"{point}/object/*"]
    assert listing["Resource"] == [*arns, point]
    for name in ("ReplicationFunction", "MonitorFunction", "ReplicaEventsFunction"):
        [policy] = resolver.resolve(TEMPLATE["Resources"][name]["Properties"]["Policies"])
        found = {statement["Sid"]: statement for statement in policy["Statement"]}
        assert found["Catalog"]["Condition"] == {"StringEquals": {"aws:RequestedRegion": REGIONS[:count]}}
        if name != "ReplicaEventsFunction":
            assert found["Buckets"]["Resource"] == arns
            assert found["CopiesForRepair"]["Resource"] == [f"{arn}/*" for arn in arns]


@pytest.mark.parametrize(("region", "senders"), [(0, [0]), (1, [1, 2]), (2, [1, 2])])
def test_the_events_queue_hears_the_buckets_only(region: int, senders: list[int]) -> None:
    resolver = Resolver(TEMPLATE, application(3), REGIONS[region])
    document = resolver.resolve(TEMPLATE["Resources"]["EventsQueuePolicy"]["Properties"]["PolicyDocument"])
    found = document["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
    assert ([found] if isinstance(found, str) else found) == [f"arn:aws:s3:::{bucket_of(REGIONS[n])}" for n in senders]


def test_every_stack_has_its_environment_of_samconfig() -> None:
    environments = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for name in ("bucket", "global", "watch", "edge", "page"):
        assert environments[name]["global"]["parameters"]["template_file"] == f"stacks/{name}.yaml"
        assert environments[name]["deploy"]["parameters"]["resolve_s3"] is True


# stacks/page.yaml


def page(resource: str, **parameters: str) -> dict[str, Any]:
    """The properties of a resource of the page's stack."""
    document = load_yaml((ROOT / "stacks" / "page.yaml").read_text())
    given = {"ApiOrigin": "https://api.example.com", "ObjectOrigins": "https://pics-eu.example.com", **parameters}
    found: dict[str, Any] = Resolver(document, given, "eu-west-2").resolve(
        document["Resources"][resource]["Properties"]
    )
    return found


def test_the_pages_bucket_is_read_by_its_distribution_alone() -> None:
    document = page("PageBucketPolicy")["PolicyDocument"]
    deny, *allow = document["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert {each["Action"] for each in allow} == {"s3:GetObject", "s3:ListBucket"}
    for each in allow:
        assert each["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert "distribution/" in each["Condition"]["StringEquals"]["AWS:SourceArn"]


def test_no_query_of_a_viewer_reaches_the_pages_bucket_which_its_distribution_may_list() -> None:
    behavior = page("Distribution")["DistributionConfig"]["DefaultCacheBehavior"]
    assert "OriginRequestPolicyId" not in behavior
    assert behavior["AllowedMethods"] == ["GET", "HEAD"]
    forwarded = page("PageCache")["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]
    assert forwarded["QueryStringsConfig"] == {"QueryStringBehavior": "none"}


def test_the_page_has_a_name_of_its_own_by_choice() -> None:
    plain = page("Distribution")["DistributionConfig"]
    assert "Aliases" not in plain
    assert plain["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    certificate = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    named = page("Distribution", DomainName="a.example.com", CertificateArn=certificate)["DistributionConfig"]
    assert named["Aliases"] == ["a.example.com"]
    assert named["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"


def test_what_the_pages_objects_are_encrypted_with_makes_etags_of_md5s() -> None:
    [rule] = page("PageBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}

"""What no emulator can prove: routing by distance, replication and its events, canaries, the switch at the edge."""

import os
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from deploy.parameters import application_stack, edge_stack
from nearside.client import Presigner
from nearside.signing import Credentials
from tests.live.conftest import SWITCH
from tests.live.deployed import NAMES, Deployed, clients_inside, until

REPLICATION_SECONDS = 900  # what replication time control promises
LATE_MS = REPLICATION_SECONDS * 1000
BODY = b"nearside, live"


def presigner(deployed: Deployed) -> Presigner:
    stack = deployed.stack(*application_stack(deployed.settings, deployed.settings.primary.region))
    if not stack.get("MrapAlias"):
        pytest.skip("there is no Multi-Region Access Point ([mrap] enabled)")
    first, *others = deployed.settings.regions

    def credentials() -> Credentials:
        own: Any = deployed.session.get_credentials()
        frozen = own.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")

    return Presigner(
        bucket=first.bucket,
        region=first.region,
        replicas={each.region: each.bucket for each in others},
        mrap_alias=stack["MrapAlias"],
        credentials=credentials,
    )


def status_in(deployed: Deployed, bucket: str, region: str, key: str) -> str | None:
    """The replication status of the key's newest version there, None while there is none."""
    s3 = deployed.client("s3", region)
    try:
        return str(s3.head_object(Bucket=bucket, Key=key).get("ReplicationStatus", "none"))
    except s3.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise


def several_regions(deployed: Deployed) -> None:
    if len(deployed.settings.regions) < 2:
        pytest.skip("there is one region: nothing is replicated")


def test_a_url_of_the_access_point_leads_to_the_region_it_is_used_in(deployed: Deployed, key: str) -> None:
    """What a client writes from inside a region begins there, and is a replica everywhere else."""
    several_regions(deployed)
    urls = presigner(deployed)
    with clients_inside(deployed) as fetch:
        for here in deployed.settings.regions:
            mine = f"{key}-{here.region}"
            try:
                put = fetch[here.region](urls.presign(mine, "PUT", check=False).url, "PUT", {}, BODY)
                assert put.status == 200, put.body
                for there in deployed.settings.regions:
                    status = until(
                        lambda there=there, mine=mine: status_in(deployed, there.bucket, there.region, mine),  # type: ignore[misc]
                        seconds=REPLICATION_SECONDS,
                        what=f"{mine} in {there.region}",
                    )
                    assert (status == "REPLICA") == (there != here), (here.region, there.region, status)
                for region in fetch:
                    got = fetch[region](urls.presign(mine, "GET", check=False).url)
                    assert (got.status, got.body) == (200, BODY), region
            finally:
                deployed.remove(mine)


def test_the_events_of_every_region_come_into_the_catalog(deployed: Deployed, key: str) -> None:
    several_regions(deployed)
    first = deployed.settings.primary
    version = deployed.client("s3", first.region).put_object(Bucket=first.bucket, Key=key, Body=BODY)["VersionId"]
    name, _ = application_stack(deployed.settings, first.region)
    table = f"{name}-catalog"

    def states() -> dict[str, str] | None:
        found: dict[str, str] = {}
        for each in deployed.settings.regions:  # where the table is, which is one
            answer = deployed.client("dynamodb", each.region).query(
                TableName=table,
                KeyConditionExpression="PK = :pk",
                ExpressionAttributeValues={":pk": {"S": f"OBJ#{first.bucket}#{key}"}},
            )
            ours = {item["SK"]["S"]: item for item in answer["Items"] if item["SK"]["S"].startswith(f"{version}#")}
            found |= {name: item["state"]["S"] for name, item in ours.items() if "seen" in item}
        done = len(found) == len(deployed.settings.regions) and set(found.values()) == {"COMPLETED"}
        return found if done else None

    assert until(states, seconds=REPLICATION_SECONDS, what="an event of every region")


def test_the_canaries_arrive(deployed: Deployed) -> None:
    """The monitor writes one in every place, every five minutes. A new metric is listed within a quarter of an hour."""
    several_regions(deployed)
    metrics = deployed.client("cloudwatch", deployed.settings.primary.region)
    places = [each.region for each in deployed.settings.regions]
    ways = {(source, destination) for source in places for destination in places if source != destination}

    def lags() -> dict[tuple[str, str], float] | None:
        found: dict[tuple[str, str], float] = {}
        for way in ways:
            dimensions = [
                {"Name": each, "Value": place} for each, place in zip(("Source", "Destination"), way, strict=True)
            ]
            data = metrics.get_metric_statistics(
                Namespace="Nearside",
                MetricName="CanaryLag",
                Dimensions=dimensions,
                StartTime=time.time() - 3600,
                EndTime=time.time(),
                Period=3600,
                Statistics=["Average"],
            )["Datapoints"]
            if data:
                found[way] = data[0]["Average"]
        return found if found.keys() == ways else None

    slow = {way: lag for way, lag in until(lags, seconds=1200, what=f"canaries {ways}").items() if lag >= LATE_MS}
    assert slow == {}


def test_the_edge_follows_its_record(deployed: Deployed) -> None:
    """The weights of the two TXT records change places, and back. It moves everybody who uses the distribution."""
    if os.environ.get(SWITCH) != deployed.settings.name:
        pytest.skip(f"it moves the edge's traffic for minutes: set {SWITCH}={deployed.settings.name} to let it")
    if not deployed.settings.edge.enabled:
        pytest.skip("there is no edge ([edge] enabled)")
    edge = deployed.stack(*edge_stack(deployed.settings))
    if edge["OriginDebug"] != "true" or not edge["TxtZoneId"] or not edge["ReplicaBucket"]:
        pytest.skip("the edge does not tell its origin: it needs OriginDebug, TxtZoneId and a second bucket")
    dns = deployed.client("route53", "us-east-1")
    name = edge["TxtName"].rstrip(".") + "."
    answer = dns.list_resource_record_sets(
        HostedZoneId=edge["TxtZoneId"], StartRecordName=name, StartRecordType="TXT", MaxItems="2"
    )
    before = [each for each in answer["ResourceRecordSets"] if (each["Name"], each["Type"]) == (name, "TXT")]
    assert len(before) == 2
    weights = {edge["BucketRegion"]: 0, edge["ReplicaRegion"]: 100}
    try:
        _put(dns, edge["TxtZoneId"], [{**each, "Weight": weights[each["SetIdentifier"]]} for each in before])
        until(
            lambda: edge["ReplicaBucket"] in _origin(edge) or None,
            seconds=600,
            what="the second bucket as the origin",
        )
    finally:
        _put(dns, edge["TxtZoneId"], before)
    until(lambda: edge["Bucket"] + ".s3" in _origin(edge) or None, seconds=600, what="the primary as the origin again")


def _put(dns: Any, zone: str, records: list[dict[str, Any]]) -> None:
    changes = [{"Action": "UPSERT", "ResourceRecordSet": each} for each in records]
    dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def _origin(edge: dict[str, Any]) -> str:
    """The origin of a request that no cache can answer. The object is not there, which the header does not mind."""
    path = edge["TxtPathPattern"].lstrip("/").replace("*", f"{NAMES}{time.time_ns()}")
    try:
        with urllib.request.urlopen(f"https://{edge['DomainName']}/{path}", timeout=30) as answer:
            return str(answer.headers.get("X-Nearside-Origin", ""))
    except urllib.error.HTTPError as error:
        return str(error.headers.get("X-Nearside-Origin", ""))

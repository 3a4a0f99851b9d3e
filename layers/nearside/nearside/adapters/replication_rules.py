"""Buckets' versioning and replication configuration by boto3, all places at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from nearside import signing
from nearside.adapters.s3 import client_of, error_of
from nearside.errors import MissingBucket
from nearside.places import Place
from nearside.replication_rules import Bucket, Rule, Unknown, Versioning

PARALLEL = 8
READ_SECONDS = 5
_NO_CONFIGURATION = "ReplicationConfigurationNotFoundError"
_VERSIONING: dict[str, Versioning] = {"Enabled": "enabled", "Suspended": "suspended"}


class BucketSettings:
    """Implements `nearside.replication_rules.ReadsBuckets`."""

    def __init__(self, credentials: Callable[[], signing.Credentials]) -> None:
        self._credentials = credentials

    def __call__(self, places: Sequence[Place]) -> dict[str, Bucket | Unknown]:
        credentials = self._credentials()
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="rules") as threads:
            found = threads.map(lambda place: _asked(place, credentials), places)
            return {place.name: each for place, each in zip(places, found, strict=True)}


def _asked(place: Place, credentials: signing.Credentials) -> Bucket | Unknown:
    try:
        s3 = client_of(place.region, place.endpoint, credentials, read_seconds=READ_SECONDS)
        status = s3.get_bucket_versioning(Bucket=place.bucket).get("Status", "")
        versioning = _VERSIONING.get(status, "never enabled")
        try:
            configuration: Any = s3.get_bucket_replication(Bucket=place.bucket)["ReplicationConfiguration"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _NO_CONFIGURATION:
                raise
            return Bucket(versioning)
        return Bucket(versioning, [_rule(each) for each in configuration["Rules"]])
    except ClientError as error:
        known = error_of(place.name, error)
        return Bucket("no such bucket") if isinstance(known, MissingBucket) else Unknown(str(known))
    except BotoCoreError as error:
        return Unknown(f"{place.name} cannot be reached: {error}")


def _rule(each: Any) -> Rule:
    """One rule. In version 1, without a Filter, delete markers are replicated
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html)."""
    chosen = each.get("Filter")
    both = (chosen or {}).get("And", {})
    tags = [*both.get("Tags", ()), *([chosen["Tag"]] if chosen and "Tag" in chosen else ())]
    selection, destination = each.get("SourceSelectionCriteria", {}), each["Destination"]
    return Rule(
        id=each.get("ID", ""),
        destination=destination["Bucket"].rpartition(":")[2],
        enabled=each["Status"] == "Enabled",
        priority=each.get("Priority", 0),
        prefix=both.get("Prefix") or (chosen or {}).get("Prefix") or each.get("Prefix") or "",
        tags={tag["Key"]: tag["Value"] for tag in tags},
        delete_markers=chosen is None or _on(each.get("DeleteMarkerReplication")),
        replica_modifications=_on(selection.get("ReplicaModifications")),
        time_control=_on(destination.get("ReplicationTime")),
        metrics=_on(destination.get("Metrics")),
        kms=_on(selection.get("SseKmsEncryptedObjects")),
    )


def _on(setting: Any) -> bool:
    return bool(setting) and setting.get("Status") == "Enabled"

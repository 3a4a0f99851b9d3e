"""What AWS refuses because of something that is not there, or is: the reasons for the order of a deployment."""

from collections.abc import Iterable, Mapping
from typing import Any

from local import rehearsal_moto as moto


class Refused(Exception):
    """A resource could not be made, changed or deleted; the service's words."""


def check(kind: str, properties: Mapping[str, Any], former: Mapping[str, Any] | None, region: str) -> None:
    """Raises Refused. `former` are its properties before a change, None before it is made."""
    match kind:
        case moto.BUCKET:
            _bucket(properties, former)
        case moto.TABLE:
            _table(properties, former, region)
        case moto.ACCESS_POINT:
            _access_point(properties)
        case moto.SECRET:
            if former is None and moto.secret_exists(properties.get("Name", ""), region):
                raise Refused(f"A resource with the ID you requested already exists: {properties['Name']}")
        case "AWS::S3::BucketPolicy":
            _there("bucket", properties["Bucket"], moto.bucket_versioning(properties["Bucket"]) is not None)
        case "AWS::S3::MultiRegionAccessPointPolicy":
            _there("access point", properties["MrapName"], properties["MrapName"] in moto.access_points())
        case "AWS::Lambda::Function" | "AWS::Lambda::LayerVersion":
            code = properties.get("Code") or properties.get("Content") or {}
            if "S3Bucket" in code and moto.object_bytes(code["S3Bucket"], code["S3Key"]) is None:
                raise Refused("Error occurred while GetObject. S3 Error Code: NoSuchKey.")


def _there(what: str, name: str, found: bool) -> None:
    if not found:
        raise Refused(f"The specified {what} does not exist: {name}")


def _bucket(properties: Mapping[str, Any], former: Mapping[str, Any] | None) -> None:
    name = properties.get("BucketName", "")
    if former is None and name and moto.bucket_versioning(name) is not None:
        raise Refused(f"{name} already exists")
    replication = properties.get("ReplicationConfiguration")
    if replication and (properties.get("VersioningConfiguration") or {}).get("Status") != "Enabled":
        raise Refused("Versioning must be 'Enabled' on the bucket to apply a replication configuration")
    for rule in (replication or {}).get("Rules", ()):
        destination = rule["Destination"]["Bucket"].removeprefix("arn:aws:s3:::")
        state = moto.bucket_versioning(destination)
        if state is None:
            raise Refused(f"Destination bucket must exist: {destination}")
        if state != "Enabled":
            raise Refused(f"Destination bucket must have versioning enabled: {destination}")
    for each in (properties.get("NotificationConfiguration") or {}).get("QueueConfigurations", ()):
        if not moto.queue_exists(each["Queue"]):
            raise Refused(f"Unable to validate the following destination configurations: {each['Queue']}")


def _table(properties: Mapping[str, Any], former: Mapping[str, Any] | None, region: str) -> None:
    wanted = replicas(properties)
    if region not in wanted:
        raise Refused("Replicas must have the region of the stack among them")
    new = wanted - (replicas(former) if former else set())
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-globaltable.html
    if former is not None and len(wanted ^ replicas(former)) > 1:
        raise Refused("You can only add or remove a single replica in each update")
    for each in sorted(new):
        if moto.table_exists(properties["TableName"], each):
            raise Refused(f"Table {properties['TableName']} already exists in {each}")


def replicas(properties: Mapping[str, Any]) -> set[str]:
    """The regions of a global table."""
    return {each["Region"] for each in properties["Replicas"]}


def _access_point(properties: Mapping[str, Any]) -> None:
    if properties["Name"] in moto.access_points():
        raise Refused(f"Multi-Region Access Point {properties['Name']} already exists")
    for bucket in buckets(properties):
        _there("bucket", bucket, moto.bucket_versioning(bucket) is not None)


def buckets(properties: Mapping[str, Any]) -> list[str]:
    """The buckets of an access point."""
    return [each["Bucket"] for each in properties["Regions"]]


def check_deletion(kind: str, properties: Mapping[str, Any], ref: str, points: Iterable[Mapping[str, Any]]) -> None:
    """Raises Refused. `points` are the properties of the access points that there are."""
    if kind == moto.BUCKET and moto.bucket_versioning(ref) is not None:
        if not moto.is_empty(ref):
            raise Refused(f"The bucket you tried to delete is not empty: {ref}")
        if any(ref in buckets(each) for each in points):
            raise Refused(f"The bucket is part of a Multi-Region Access Point: {ref}")
    if kind == moto.TABLE and properties.get("DeletionProtectionEnabled"):
        raise Refused("Resource cannot be deleted as it is currently protected against deletion")

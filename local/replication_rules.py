"""Replication rules, kept where S3 keeps them: in the bucket's own replication configuration."""

from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from local.object_store import ACCOUNT, backend
from local.s3_errors import S3Error


@dataclass(frozen=True, slots=True)
class ReplicationRule:
    """One enabled rule of a bucket's replication configuration. `metrics` and `time_control` (RTC) say which events S3
    tells of it."""

    id: str
    prefix: str
    destination: str
    delete_markers: bool
    metrics: bool
    time_control: bool

    def fits(self, key: str, *, marker: bool) -> bool:
        """Whether it carries this key, or a delete marker of it."""
        return key.startswith(self.prefix) and (self.delete_markers or not marker)


def put_replication_rule(source: str, destination: str) -> None:
    """One rule for the whole bucket, delete markers and replicas' metadata included, with Replication Time Control."""
    rule = {
        "ID": f"to-{destination}",
        "Priority": "1",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": f"arn:aws:s3:::{destination}",
            "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": "15"}},
            "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": "15"}},
        },
    }
    role = f"arn:aws:iam::{ACCOUNT}:role/replication"
    backend().put_bucket_replication(source, {"Role": role, "Rule": [rule]})


def replication_rules(bucket: str) -> list[ReplicationRule]:
    """The enabled rules of the bucket's replication configuration."""
    configuration = replication_configuration(bucket)
    return [_rule(rule) for rule in (configuration or {}).get("Rule", []) if rule["Status"] == "Enabled"]


def replication_configuration(bucket: str) -> dict[str, Any] | None:
    """The configuration as its XML was parsed, `Rule` a list; None when the bucket has none."""
    return backend().get_bucket_replication(bucket)


def replication_xml(bucket: str) -> bytes:
    """The stored configuration; moto's own answer forgets DeleteMarkerReplication and SourceSelectionCriteria."""
    stored = replication_configuration(bucket) or {}
    inner = "".join(_element(name, value) for name, value in stored.items() if not name.startswith("@"))
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    xml = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{xml}<ReplicationConfiguration xmlns="{space}">{inner}</ReplicationConfiguration>'.encode()


def check_versioning(bucket: str, body: bytes) -> None:
    """Raises S3Error for a PutBucketVersioning that would suspend versioning while the bucket replicates.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-troubleshoot.html
    """
    if b"Suspended" in body and replication_configuration(bucket):
        message = (
            "A replication configuration is present on this bucket, so you cannot change the versioning state. "
            "To change the versioning state, first delete the replication configuration."
        )
        raise S3Error(409, "InvalidBucketState", message)


def _element(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, dict):
        value = "".join(_element(key, item) for key, item in value.items())
        return f"<{name}>{value}</{name}>"
    return f"<{name}>{escape(str(value or ''))}</{name}>"


def _rule(rule: dict[str, Any]) -> ReplicationRule:
    chosen = rule.get("Filter") or {}
    destination = rule["Destination"]
    return ReplicationRule(
        id=rule.get("ID") or "",
        prefix=chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or rule.get("Prefix") or "",
        destination=destination["Bucket"].removeprefix("arn:aws:s3:::"),
        delete_markers=_enabled(rule, "DeleteMarkerReplication"),
        metrics=_enabled(destination, "Metrics"),
        time_control=_enabled(destination, "ReplicationTime"),
    )


def _enabled(settings: dict[str, Any], name: str) -> bool:
    return bool((settings.get(name) or {}).get("Status") == "Enabled")

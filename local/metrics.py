"""S3's replication metrics, put into moto's CloudWatch as S3 would publish them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from moto.cloudwatch.models import cloudwatch_backends

from local.object_store import ACCOUNT
from local.replication import Replication
from local.replication_jobs import Waiting
from local.replication_rules import replication_rules

NAMESPACE = "AWS/S3"


class ReplicationMetrics:
    """Publishes, for each rule with metrics, what is pending (in the destination's region) and what has failed since
    the last time (in the source's)."""

    def __init__(self, replication: Replication, buckets: Mapping[str, str], region_of: Callable[[str], str]) -> None:
        self._replication = replication
        self._buckets = buckets
        self._region_of = region_of
        self._told: dict[tuple[str, str], int] = {}

    def publish(self) -> None:
        """Put one datum of each metric for each rule."""
        waiting, failures = self._replication.waiting(), self._replication.failures()
        for source, bucket in self._buckets.items():
            for rule in replication_rules(bucket):
                route = (source, self._region_of(rule.destination))
                dimensions = {"SourceBucket": bucket, "DestinationBucket": rule.destination, "RuleId": rule.id}
                if not rule.metrics:
                    continue
                here = waiting.get(route, Waiting(0, 0, 0.0))
                failed = failures.get(route, 0) - self._told.get(route, 0)
                self._told[route] = failures.get(route, 0)
                pending = [
                    ("ReplicationLatency", here.oldest_seconds, "Seconds"),
                    ("BytesPendingReplication", float(here.size), "Bytes"),
                    ("OperationsPendingReplication", float(here.count), "Count"),
                ]
                _put(route[1], dimensions, pending)
                _put(source, dimensions, [("OperationsFailedReplication", float(failed), "Count")])


def _put(region: str, dimensions: Mapping[str, str], values: list[tuple[str, float, str]]) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)  # as moto keeps times
    data = [
        {
            "MetricName": name,
            "Value": value,
            "Unit": unit,
            "Timestamp": now,
            "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
        }
        for name, value, unit in values
    ]
    cloudwatch_backends[ACCOUNT][region].put_metric_data(NAMESPACE, data)

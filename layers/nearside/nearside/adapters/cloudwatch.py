"""S3's replication metrics from CloudWatch, by boto3."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors, signing
from nearside.adapters.s3 import error_of
from nearside.replication import Measured
from nearside.verdicts import Metrics

SECONDS = 5
_QUERIES = 500  # in one call: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
# Field, metric, statistic, period in seconds. Within the last hour; of the gauges the latest counts
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html).
_ASKED = (
    ("latency_seconds", "ReplicationLatency", "Maximum", 60),
    ("bytes_pending", "BytesPendingReplication", "Maximum", 60),
    ("operations_pending", "OperationsPendingReplication", "Maximum", 60),
    ("operations_failed", "OperationsFailedReplication", "Sum", 3600),
)
_GAUGE_MINUTES = 15
_HOUR = timedelta(hours=1)


class ReplicationMetrics:
    """Implements `nearside.replication.ReadsMetrics`. S3 publishes them in the destination's region; the source's is
    asked too, and the larger number told. `endpoint` is an emulation's address, empty for AWS."""

    def __init__(self, credentials: Callable[[], signing.Credentials], endpoint: str = "") -> None:
        self._credentials = credentials
        self._endpoint = endpoint

    def __call__(self, rules: Sequence[Measured]) -> list[Metrics]:
        """The numbers of each rule; None where CloudWatch has none. Raises Refused or Unreachable when no region
        answers."""
        found: list[dict[str, float]] = [{} for _ in rules]
        failure: errors.NearsideError | None = None
        answered = False
        for region in sorted({place.region for rule in rules for place in (rule.source, rule.destination)}):
            numbers = [i for i, rule in enumerate(rules) if region in (rule.source.region, rule.destination.region)]
            try:
                for number, field, value in self._read(region, rules, numbers):
                    found[number][field] = max(value, found[number].get(field, 0.0))
                answered = True
            except ClientError as error:
                failure = error_of(f"CloudWatch in {region}", error)
            except BotoCoreError as error:
                failure = errors.Unreachable(f"CloudWatch in {region} cannot be reached: {error}")
        if failure is not None and not answered:
            raise failure
        return [_metrics(each) for each in found]

    def _read(self, region: str, rules: Sequence[Measured], numbers: Sequence[int]) -> list[tuple[int, str, float]]:
        now = datetime.now(UTC)
        queries = [
            _query(f"q{number}_{index}", rules[number], metric, statistic, period)
            for number in numbers
            for index, (_, metric, statistic, period) in enumerate(_ASKED)
        ]
        client = self._client(region)
        values: list[tuple[int, str, float]] = []
        for start in range(0, len(queries), _QUERIES):
            answer = client.get_metric_data(
                MetricDataQueries=queries[start : start + _QUERIES],
                StartTime=now - _HOUR,
                EndTime=now + timedelta(minutes=1),
                ScanBy="TimestampDescending",
            )
            for result in answer["MetricDataResults"]:
                number, _, index = result["Id"].removeprefix("q").partition("_")
                field, _, statistic, _ = _ASKED[int(index)]
                value = _value(result, statistic, now)
                if value is not None:
                    values.append((int(number), field, value))
        return values

    def _client(self, region: str) -> Any:
        credentials = self._credentials()
        return cast(Any, boto3).client(  # there are no stubs for this service among the pins
            "cloudwatch",
            region_name=region,
            endpoint_url=self._endpoint or None,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token or None,
            config=Config(connect_timeout=2, read_timeout=SECONDS, retries={"total_max_attempts": 2}),
        )


def _query(name: str, rule: Measured, metric: str, statistic: str, period: int) -> dict[str, Any]:
    dimensions = {
        "SourceBucket": rule.source.bucket,
        "DestinationBucket": rule.destination.bucket,
        "RuleId": rule.rule,
    }
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/S3",
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": period,
            "Stat": statistic,
        },
        "ReturnData": True,
    }


def _value(result: Any, statistic: str, now: datetime) -> float | None:
    """The latest of a gauge, if it is not older than 15 minutes; the whole of a count. None when there is nothing."""
    points = list(zip(result["Timestamps"], result["Values"], strict=True))
    if statistic == "Sum":
        return sum(value for _, value in points) if points else None
    recent = [(at, value) for at, value in points if at >= now - timedelta(minutes=_GAUGE_MINUTES)]
    return float(max(recent)[1]) if recent else None


def _metrics(found: dict[str, float]) -> Metrics:
    whole = {field: int(value) for field, value in found.items() if field != "latency_seconds"}
    return Metrics(latency_seconds=found.get("latency_seconds"), **whole)

"""The monitor's numbers as CloudWatch metrics, written to the log in the Embedded Metric Format by Powertools.

https://docs.powertools.aws.dev/lambda/python/latest/core/metrics/
"""

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from nearside.monitor import Report

NAMESPACE = "Nearside"
_VERDICTS = {"healthy": 0, "behind": 1, "broken": 2}


def publish(report: Report) -> None:
    """Writes them to standard output. What is not known is left out, never written as zero."""
    _write("Verdict", MetricUnit.Count, _VERDICTS[report.verdict], {"Of": "replication"})
    for place in report.health.places:
        of = {"Place": place.name}
        if place.pending is not None and place.failed is not None:
            _write("PendingReplicas", MetricUnit.Count, place.pending, of)
            _write("FailedReplicas", MetricUnit.Count, place.failed, of)
            _write("OldestPending", MetricUnit.Seconds, place.oldest_pending_seconds or 0, of)
        if place.lag is not None:
            _write("LagP50", MetricUnit.Milliseconds, place.lag.p50_ms, of)
            _write("LagP99", MetricUnit.Milliseconds, place.lag.p99_ms, of)
            _write("LagMax", MetricUnit.Milliseconds, place.lag.max_ms, of)
    for flight in report.flights:
        way = {"Source": flight.source, "Destination": flight.destination}
        if flight.lag_ms is not None:
            _write("CanaryLag", MetricUnit.Milliseconds, flight.lag_ms, way)
        _write("CanaryAge", MetricUnit.Milliseconds, flight.age_ms, way)


def _write(name: str, unit: MetricUnit, value: float, dimensions: dict[str, str]) -> None:
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        for dimension, text in dimensions.items():
            metric.add_dimension(name=dimension, value=text)

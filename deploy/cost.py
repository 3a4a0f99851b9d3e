"""What a month costs, in dollars for each part, from what is stored and asked; `python -m deploy.cost` prints it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

from deploy.prices import LIST, TB, Prices

KB_IN_GB = 1024.0 * 1024.0
# What one request, event or run takes. Assumed, and said in docs/cost.md: put your own measurements here.
PRESIGN_GB_SECONDS = 0.5 * 0.060
EVENT_GB_SECONDS = 0.5 * 0.020  # of one event in a batch
MONITOR_GB_SECONDS = 1.0 * 45.0
MONITOR_RUNS = 12 * 24 * 30
EVENTS_IN_A_BATCH = 10.0
POLLS = 5 * 3 * 60 * 24 * 30  # Lambda's five pollers of one queue, which wait 20 seconds each
LOG_KB_A_REQUEST = 1.0
CATALOG_KB_A_REPLICA = 1.0
EVENT_WRITES = 1.2  # of the table and, while a replica is pending, of its index
ALARM_METRICS_PRIMARY, ALARM_METRICS_OTHER = 44, 39  # of stacks/watch.yaml without a gateway
METRICS_A_PLACE, METRICS_A_WAY = 6, 2  # what adapters/emf.py writes
TRACED = 0.05  # X-Ray's default sampling


@dataclass(frozen=True, slots=True)
class Size:
    """A month. `requests` are presigned GETs and the downloads they lead to; a part of the objects is written anew."""

    name: str
    objects: float
    gigabytes: float
    requests: float
    regions: int = 2
    rewritten: float = 0.10
    rtc: bool = False
    through_mrap: float = 1.0
    through_cloudfront: float = 0.0
    cached: float = 0.8

    @property
    def object_gb(self) -> float:
        return self.gigabytes / self.objects

    @property
    def written(self) -> float:
        return self.objects * self.rewritten

    @property
    def copies(self) -> float:
        return self.written * (self.regions - 1)

    @property
    def fetched(self) -> float:
        """Downloads that reach S3: not those that CloudFront has."""
        return self.requests * (1 - self.through_cloudfront * self.cached)


SIZES = (
    Size("small", 10_000, 100, 1e6),
    Size("middle", 1e6, 5 * TB, 50e6),
    Size("large", 1e9, 500 * TB, 1e9),
)


def month(size: Size, prices: Prices = LIST) -> Mapping[str, float]:
    """Each part of the bill, in dollars, unrounded; the parts are docs/cost.md's."""
    return {
        **_storage(size, prices),
        **_replication(size, prices),
        **_delivery(size, prices),
        **_application(size, prices),
        **_watching(size, prices),
    }


def _storage(size: Size, prices: Prices) -> dict[str, float]:
    # What was written over stays as an old version, for a month as deployed.
    kept = size.gigabytes * (1 + size.rewritten)
    return {
        "S3 storage, every region": size.regions * prices.s3_gb_month.cost(kept),
        "S3 writes": size.written * prices.s3_write,
        "S3 reads": size.fetched * prices.s3_read + size.requests * prices.s3_read * 0.05,  # HEADs presign makes
    }


def _replication(size: Size, prices: Prices) -> dict[str, float]:
    gigabytes = size.copies * size.object_gb
    return {
        "Replication traffic": gigabytes * prices.between_regions_gb,
        "Replication requests": size.copies * (prices.s3_write + prices.s3_read),
        "Replication time control": gigabytes * prices.rtc_gb if size.rtc else 0.0,
    }


def _delivery(size: Size, prices: Prices) -> dict[str, float]:
    viewed = size.requests * size.through_cloudfront
    direct = size.requests - viewed
    return {
        "MRAP": size.through_mrap * size.object_gb * (size.fetched * prices.mrap_gb + direct * prices.mrap_internet_gb),
        "Traffic to the internet": prices.internet_gb.cost(direct * size.object_gb),
        "CloudFront": prices.cloudfront_gb.cost(viewed * size.object_gb) + viewed * prices.cloudfront_request,
    }


def _application(size: Size, prices: Prices) -> dict[str, float]:
    asked = size.requests
    # One event of the write and one of each copy.
    events = size.written * size.regions
    runs = asked + events / EVENTS_IN_A_BATCH + MONITOR_RUNS
    gb_seconds = asked * PRESIGN_GB_SECONDS + events * EVENT_GB_SECONDS + MONITOR_RUNS * MONITOR_GB_SECONDS
    catalog_gb = size.objects * size.regions * CATALOG_KB_A_REPLICA / KB_IN_GB
    writes = events * EVENT_WRITES * size.regions
    table = prices.dynamodb_gb_month + prices.dynamodb_backup_gb_month
    return {
        "API Gateway": prices.http_api_request.cost(asked),
        "Lambda": runs * prices.lambda_request + gb_seconds * prices.lambda_gb_second,
        "DynamoDB, every region": writes * prices.dynamodb_write
        + (asked + events) * prices.dynamodb_read
        + size.regions * catalog_gb * table,
        "SQS": (events + 2 * events / EVENTS_IN_A_BATCH + size.regions * POLLS) * prices.sqs_request,
    }


def _watching(size: Size, prices: Prices) -> dict[str, float]:
    alarms = ALARM_METRICS_PRIMARY + (size.regions - 1) * ALARM_METRICS_OTHER
    metrics = 1 + size.regions * METRICS_A_PLACE + size.regions * (size.regions - 1) * METRICS_A_WAY
    # The API's line and the function's of each request.
    logs_gb = size.requests * 2 * LOG_KB_A_REQUEST / KB_IN_GB
    return {
        "CloudWatch alarms": alarms * prices.alarm_metric,
        "CloudWatch metrics and dashboard": metrics * prices.metric + prices.dashboard,
        "CloudWatch logs and X-Ray": logs_gb * prices.log_gb + size.requests * TRACED * prices.xray_trace,
    }


def table(sizes: Sequence[Size]) -> str:
    """The parts and their sum as the Markdown table of docs/cost.md."""
    months = [month(size) for size in sizes]
    rows = [(part, [each[part] for each in months]) for part in months[0]]
    rows.append(("**together**", [sum(each.values()) for each in months]))
    head = f"| part | {' | '.join(size.name for size in sizes)} |\n|---|{'---:|' * len(sizes)}\n"
    return head + "".join(starmap(_row, rows))


def _row(part: str, dollars: Sequence[float]) -> str:
    return f"| {part} | {' | '.join(f'{each:,.2f}' for each in dollars)} |\n"


def choices(sizes: Sequence[Size]) -> str:
    """What each choice changes of a month's sum, as the second table."""
    changed = {
        "with replication time control": [replace(size, rtc=True) for size in sizes],
        "downloads through CloudFront, four of five cached": [replace(size, through_cloudfront=1.0) for size in sizes],
        "without the access point": [replace(size, through_mrap=0.0) for size in sizes],
        "a third region": [replace(size, regions=3) for size in sizes],
    }
    before = [sum(month(size).values()) for size in sizes]
    rows = [
        (name, [sum(month(size).values()) - was for size, was in zip(others, before, strict=True)])
        for name, others in changed.items()
    ]
    return f"| choice | {' | '.join(size.name for size in sizes)} |\n|---|{'---:|' * len(sizes)}\n" + "".join(
        f"| {name} | {' | '.join(f'{each:+,.2f}' for each in dollars)} |\n" for name, dollars in rows
    )


if __name__ == "__main__":
    sys.stdout.write(f"{table(SIZES)}\n{choices(SIZES)}")

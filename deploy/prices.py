"""AWS's list prices for cost.py: US East (N. Virginia), dollars, without free tiers; sources in docs/cost.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

TB = 1024.0  # gigabytes, as AWS counts its tiers
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Tiered:
    """A price that falls with the amount: pairs of where a tier begins and what a unit in it costs."""

    tiers: Sequence[tuple[float, float]]

    def cost(self, amount: float) -> float:
        """Of the whole amount, each part at its tier's price."""
        ends = [*pairwise(begin for begin, _ in self.tiers), (self.tiers[-1][0], float("inf"))]
        return sum(
            max(0.0, min(amount, end) - begin) * price
            for (begin, end), (_, price) in zip(ends, self.tiers, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """Per gigabyte, gigabyte-month, gigabyte-second, request, or thing and month, as each name says."""

    s3_gb_month: Tiered = Tiered(((0, 0.023), (50 * TB, 0.022), (500 * TB, 0.021)))
    s3_write: float = 0.005 / 1000
    s3_read: float = 0.0004 / 1000
    between_regions_gb: float = 0.02
    rtc_gb: float = 0.015
    mrap_gb: float = 0.0033
    mrap_internet_gb: float = 0.005  # near a region; over an ocean it is ten times as much
    internet_gb: Tiered = Tiered(((0, 0.09), (10 * TB, 0.085), (50 * TB, 0.07), (150 * TB, 0.05)))
    cloudfront_gb: Tiered = Tiered(
        ((0, 0.085), (10 * TB, 0.08), (50 * TB, 0.06), (150 * TB, 0.04), (500 * TB, 0.03), (1024 * TB, 0.025))
    )
    cloudfront_request: float = 0.01 / 10_000
    lambda_request: float = 0.20 / MILLION
    lambda_gb_second: float = 0.0000133334
    http_api_request: Tiered = Tiered(((0, 1.00 / MILLION), (300 * MILLION, 0.90 / MILLION)))
    dynamodb_write: float = 0.625 / MILLION
    dynamodb_read: float = 0.125 / MILLION
    dynamodb_gb_month: float = 0.25
    dynamodb_backup_gb_month: float = 0.20
    sqs_request: float = 0.40 / MILLION
    metric: float = 0.30
    alarm_metric: float = 0.10
    dashboard: float = 3.00
    log_gb: float = 0.50
    xray_trace: float = 5.00 / MILLION


LIST = Prices()

"""The bill is reckoned right, and docs/cost.md says the same as the code."""

import re
from dataclasses import astuple, fields, replace
from pathlib import Path

import pytest

from deploy import cost
from deploy.prices import LIST, TB, Tiered
from tests.contract.test_watch import unrolled

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
SMALL, MIDDLE, LARGE = cost.SIZES


@pytest.mark.parametrize(
    ("gigabytes", "dollars"), [(0, 0), (1, 0.023), (50 * TB, 1177.6), (51 * TB, 1200.128), (600 * TB, 13465.6)]
)
def test_each_part_of_an_amount_costs_its_tiers_price(gigabytes: float, dollars: float) -> None:
    assert LIST.s3_gb_month.cost(gigabytes) == pytest.approx(dollars)


def test_one_tier_is_one_price() -> None:
    assert Tiered(((0, 2.0),)).cost(10) == 20


def test_parts_that_can_be_reckoned_by_hand() -> None:
    bill = cost.month(SMALL)
    assert bill["API Gateway"] == pytest.approx(1.00)
    assert bill["S3 storage, every region"] == pytest.approx(2 * 110 * 0.023)
    assert bill["Replication traffic"] == pytest.approx(10 * 0.02)  # a tenth of 100 GB, to one other region
    assert bill["Traffic to the internet"] == pytest.approx(10_000 * 0.09)  # a million times 10 MB
    assert bill["MRAP"] == pytest.approx(10_000 * (0.0033 + 0.005))


def test_what_is_not_chosen_costs_nothing() -> None:
    for size in cost.SIZES:
        bill = cost.month(size)
        assert bill["Replication time control"] == bill["CloudFront"] == 0
        assert cost.month(replace(size, through_mrap=0))["MRAP"] == 0
        assert cost.month(replace(size, through_cloudfront=1))["Traffic to the internet"] == 0
        one = cost.month(replace(size, regions=1))
        assert one["Replication traffic"] == one["Replication requests"] == 0


def test_more_of_anything_never_costs_less() -> None:
    for size in cost.SIZES:
        before = cost.month(size)
        for more in (
            replace(size, objects=size.objects * 2, gigabytes=size.gigabytes * 2),
            replace(size, requests=size.requests * 2),
            replace(size, regions=3),
            replace(size, rtc=True),
        ):
            after = cost.month(more)
            assert all(after[part] >= before[part] for part in before)
            assert sum(after.values()) > sum(before.values())


def test_a_month_without_traffic_costs_what_stands() -> None:
    idle = cost.month(replace(SMALL, requests=0, rewritten=0))
    standing = {"S3 storage, every region", "Lambda", "DynamoDB, every region", "SQS"}
    assert {part for part, dollars in idle.items() if dollars > 0} == {
        *standing, "CloudWatch alarms", "CloudWatch metrics and dashboard",
    }  # fmt: skip


def test_the_page_has_the_tables_that_the_code_makes() -> None:
    assert cost.table(cost.SIZES) in PAGE
    assert cost.choices(cost.SIZES) in PAGE


def test_the_page_has_a_formula_for_each_part_and_a_source_for_each_price() -> None:
    formulas = re.findall(r"^\| ([^|]+) \| `", PAGE, re.MULTILINE)
    assert formulas == list(cost.month(SMALL))
    named = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert [name for name, *_ in named] == [field.name for field in fields(LIST)]
    for (name, written, checked, source), value in zip(named, astuple(LIST), strict=True):
        numbers = [float(each) for each in re.findall(r"\d+\.\d+", written)]
        tiers = [price for _, price in value["tiers"]] if isinstance(value, dict) else _tiers(value)
        per = re.search(r"a million|1,000\b|10,000\b", written)
        times = {"a million": 1e6, "1,000": 1e3, "10,000": 1e4}[per[0]] if per else 1.0
        assert numbers == pytest.approx([price * times for price in tiers]), name
        assert re.search(r"20\d\d|not verified", checked), name
        assert "http" in source, name


def _tiers(value: float | tuple[tuple[tuple[float, float], ...]]) -> list[float]:
    return [value] if isinstance(value, float) else [price for _, price in value[0]]


def test_the_alarms_that_are_paid_for_are_those_of_the_stack() -> None:
    """A query is paid for each metric it looks at: one for each operation of the catalog's seven."""
    looked_at = {"CatalogThrottled": 7, "CatalogFails": 7}
    every = ["Presign", "Explorer", "ReplicaEvents", "Replication", "Uploads"]
    counted = {}
    for where, functions in (("primary", [*every, "Monitor"]), ("other", every)):
        counted[where] = 0
        for name, resource in unrolled({"Functions": functions, "Queues": ["Events"]}).items():
            absent = {"IsPrimary"} if where == "other" else set()
            if resource["Type"] == "AWS::CloudWatch::Alarm" and resource.get("Condition") not in absent | {
                "HasGateway"
            }:
                queries = resource["Properties"].get("Metrics", [{"Expression": "SELECT"}])
                paid = [each for each in queries if "MetricStat" in each or "SELECT" in str(each.get("Expression"))]
                counted[where] += looked_at.get(name, len(paid))
    assert counted == {"primary": cost.ALARM_METRICS_PRIMARY, "other": cost.ALARM_METRICS_OTHER}

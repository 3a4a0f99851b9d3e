"""Health: each place's state in words, and what they are together."""

import pytest

from nearside.health import health
from nearside.replicas import Finding
from tests.unit.fakes import ABSENT, DENIED, LONDON, NEWEST, OHIO, SILENT, FakeReplicas


@pytest.mark.parametrize(
    ("london", "ohio", "status", "words"),
    [
        (NEWEST, NEWEST, "healthy", ["up", "up"]),
        (NEWEST, SILENT, "degraded", ["up", "did not answer within 3 s"]),
        (DENIED, NEWEST, "degraded", ["refused (403)", "up"]),
        (ABSENT, NEWEST, "degraded", ["has no such bucket", "up"]),
        (SILENT, DENIED, "unhealthy", ["did not answer within 3 s", "refused (403)"]),
    ],
)
def test_health_is_of_every_place(london: Finding, ohio: Finding, status: str, words: list[str]) -> None:
    find = FakeReplicas({"": {"eu-west-2": london, "us-east-2": ohio}})
    seen = health([LONDON, OHIO], find)
    assert (seen.status, list(seen.places.items())) == (
        status,
        list(zip(["eu-west-2", "us-east-2"], words, strict=True)),
    )
    assert len(find.asked) == 1

"""Lags over time: minutes put together to steps, and places whose records cannot be read."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from nearside import lag
from nearside.errors import BadRequest, Unreachable
from nearside.lag import Histogram
from nearside.lag_series import STEP_SECONDS, LagAsked, LagPoint, series
from nearside.listing import asked_as
from tests.unit.fakes import LONDON, OHIO

START = 1_800_000_000_000  # a whole step
MINUTE = 60_000


def of(lag_ms: int, count: int = 1) -> Histogram:
    return Histogram({lag.bucket(lag_ms): count}, lag_ms)


class Minutes:
    """What was recorded; remembers what it was asked. Implements `nearside.lag_series.ReadsLagMinutes`."""

    def __init__(self, recorded: Mapping[str, Mapping[int, Histogram]], down: str = "") -> None:
        self.recorded = recorded
        self.down = down
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self, place: str, since: int, until: int) -> Mapping[int, Histogram]:
        self.asked.append((place, since, until))
        if place == self.down:
            raise Unreachable("its table is down")
        return self.recorded.get(place, {})


def test_minutes_of_a_step_are_one_point_and_steps_without_arrivals_are_none() -> None:
    minutes = {START: of(100, 98), START + 4 * MINUTE: of(5_000, 2), START + 10 * MINUTE: of(200)}
    found = series((LONDON, OHIO), Minutes({OHIO.name: minutes}), 1, START / 1000 + 900)
    assert found.step_seconds == STEP_SECONDS
    assert [(point.at, point.place, point.count) for point in found.points] == [
        (datetime.fromtimestamp(START / 1000, UTC), OHIO.name, 100),
        (datetime.fromtimestamp(START / 1000 + 600, UTC), OHIO.name, 1),
    ]
    first = found.points[0]
    assert 100 <= first.p50_ms <= 107
    assert first.p99_ms == 5_000


def test_the_window_begins_with_a_whole_step() -> None:
    read = Minutes({})
    series((LONDON,), read, 2, START / 1000 + 7.5)
    assert read.asked == [(LONDON.name, START - 7_200_000, START + 7_500)]


def test_places_are_mixed_by_time() -> None:
    read = Minutes({OHIO.name: {START: of(1)}, LONDON.name: {START: of(2), START + 5 * MINUTE: of(3)}})
    points = series((OHIO, LONDON), read, 1, START / 1000 + 600).points
    assert [point.place for point in points] == [LONDON.name, OHIO.name, LONDON.name]


def test_a_place_whose_records_cannot_be_read_is_said() -> None:
    read = Minutes({OHIO.name: {START: of(7)}}, down=LONDON.name)
    found = series((LONDON, OHIO), read, 1, START / 1000)
    assert found.points == [LagPoint(datetime.fromtimestamp(START / 1000, UTC), OHIO.name, 7, 7, 1)]
    assert found.unknown == [f"{LONDON.name}: its table is down"]


@pytest.mark.parametrize(("query", "hours"), [({}, 24), ({"hours": "1"}, 1), ({"hours": "72"}, 72)])
def test_hours(query: dict[str, str], hours: int) -> None:
    assert asked_as(query, LagAsked).hours == hours


@pytest.mark.parametrize("hours", ["0", "73", "many", "-1"])
def test_other_hours_are_refused(hours: str) -> None:
    with pytest.raises(BadRequest):
        asked_as({"hours": hours}, LagAsked)

"""How long copies took to arrive over time: the lags of each place in steps of five minutes, for a plot."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Protocol

import msgspec

from nearside.errors import NearsideError
from nearside.lag import EMPTY, Histogram
from nearside.places import Place

STEP_SECONDS = 300
MAX_HOURS = 72  # the records are kept for 3 days


class LagAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of `GET /replication/lag`."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=MAX_HOURS)] = 24


class LagPoint(msgspec.Struct, frozen=True):
    """The copies that arrived in one place within one step, which begins at `at`."""

    at: datetime
    place: str
    p50_ms: int
    p99_ms: int
    count: int


class LagSeries(msgspec.Struct, frozen=True):
    """Every step in which something arrived, the oldest first. `unknown` says which places' records could not be read,
    and why."""

    step_seconds: int
    points: list[LagPoint]
    unknown: list[str]


class ReadsLagMinutes(Protocol):
    """What was recorded of a place, minute by minute, from one time to another; all in milliseconds since the epoch.
    Raises Unreachable or Refused."""

    def __call__(self, place: str, since: int, until: int) -> Mapping[int, Histogram]: ...


def series(places: Sequence[Place], read: ReadsLagMinutes, hours: int, now: float) -> LagSeries:
    """The lags of the last hours (`now` in seconds since the epoch), in whole steps. Raises nothing for a place whose
    records cannot be read."""
    step = STEP_SECONDS * 1000
    until = int(now * 1000)
    since = until - hours * 3_600_000
    since -= since % step
    points: list[LagPoint] = []
    unknown: list[str] = []
    for place in places:
        steps: dict[int, Histogram] = {}
        try:
            for minute, histogram in read(place.name, since, until).items():
                at = minute - minute % step
                steps[at] = steps.get(at, EMPTY).plus(histogram)
        except NearsideError as error:
            unknown.append(f"{place.name}: {error}")
            continue
        points += [_point(place.name, at, steps[at]) for at in steps if steps[at].count]
    return LagSeries(STEP_SECONDS, sorted(points, key=lambda point: (point.at, point.place)), unknown)


def _point(place: str, at: int, histogram: Histogram) -> LagPoint:
    return LagPoint(
        datetime.fromtimestamp(at / 1000, UTC),
        place,
        histogram.quantile_ms(0.5),
        histogram.quantile_ms(0.99),
        histogram.count,
    )

"""How long copies take to arrive: a histogram per place and minute, collected first and written once per batch."""

import math
from collections.abc import Mapping
from threading import Lock
from typing import Protocol

import msgspec

MINUTE_MS = 60_000
# Ten steps from one power of two to the next: a quantile is read at most 7 % too high.
STEPS_PER_DOUBLING = 10
_TOP = 310  # 2**31 ms, 24 days; what took longer is counted there


class Histogram(msgspec.Struct, frozen=True):
    """Lags counted by bucket, and the longest, in milliseconds. `counts` has the numbers of non-empty buckets."""

    counts: Mapping[int, int]
    max_ms: int

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile_ms(self, q: float) -> int:
        """The least upper end of a bucket that `q` (0 to 1) of all lags do not exceed; 0 when there are none."""
        wanted, seen = q * self.count, 0
        for number in sorted(self.counts):
            seen += self.counts[number]
            if seen >= wanted:
                return min(upper_ms(number), self.max_ms)
        return 0

    def plus(self, other: "Histogram") -> "Histogram":
        """Both together."""
        numbers = {*self.counts, *other.counts}
        counts = {number: self.counts.get(number, 0) + other.counts.get(number, 0) for number in numbers}
        return Histogram(counts, max(self.max_ms, other.max_ms))


EMPTY = Histogram({}, 0)


def bucket(lag_ms: int) -> int:
    """The number of the bucket that a lag is counted in: the first whose upper end it does not exceed."""
    return min(_TOP, max(0, math.ceil(STEPS_PER_DOUBLING * math.log2(max(1, lag_ms)) - 1e-9)))


def upper_ms(number: int) -> int:
    """The upper end of a bucket, in milliseconds."""
    return int(2 ** (number / STEPS_PER_DOUBLING))


class WritesLag(Protocol):
    """Adds to what is on record of a place's minute (milliseconds since the epoch). Raises Unreachable or Refused."""

    def __call__(self, place: str, minute: int, histogram: Histogram) -> None: ...


class ReadsLag(Protocol):
    """What was recorded of a place from one time to another, in milliseconds since the epoch. Raises Unreachable or
    Refused."""

    def __call__(self, place: str, since: int, until: int) -> Histogram: ...


class Lags:
    """Collects lags and writes them when flushed, a record per place and minute; implements
    `nearside.catalog.RecordsLag`. Thread-safe. A function that dies before it flushes loses what it measured, no more
    than that: lags are statistics."""

    def __init__(self, write: WritesLag) -> None:
        self._write = write
        self._lock = Lock()
        self._collected: dict[tuple[str, int], Histogram] = {}

    def __call__(self, place: str, lag_ms: int, at: int) -> None:
        """Counts one lag for the minute of `at`."""
        minute = at - at % MINUTE_MS
        with self._lock:
            known = self._collected.get((place, minute), EMPTY)
            self._collected[place, minute] = known.plus(Histogram({bucket(lag_ms): 1}, lag_ms))

    def flush(self) -> None:
        """Writes what was collected. Raises Unreachable or Refused; what was not written then is kept for next time."""
        with self._lock:
            while self._collected:
                (place, minute), histogram = next(iter(self._collected.items()))
                self._write(place, minute, histogram)
                del self._collected[place, minute]

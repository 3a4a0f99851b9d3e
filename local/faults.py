"""What can be wrong with a region: it is off, it is slow, or a part of its requests fails."""

import threading
from dataclasses import dataclass, replace

from local.s3_errors import S3Error
from local.server import Dropped

MAX_SLOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Condition:
    """How a region does. `failing_ratio` is the part of requests refused, 0 to 1."""

    on: bool = True
    slow_seconds: float = 0.0
    failing_ratio: float = 0.0


class Faults:
    """The condition of each region, changed while it runs. Raises KeyError for an unknown region."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._conditions = {region: Condition() for region in regions}
        self._owed = dict.fromkeys(regions, 0.0)
        self._failures = dict.fromkeys(regions, 0)
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def condition(self, region: str) -> Condition:
        return self._conditions[region]

    def is_on(self, region: str) -> bool:
        return self._conditions[region].on

    def switch(self, region: str, *, on: bool) -> None:
        self._change(region, on=on)

    def slow(self, region: str, seconds: float) -> None:
        self._change(region, slow_seconds=seconds)

    def fail(self, region: str, ratio: float) -> None:
        self._change(region, failing_ratio=ratio)

    def heal(self) -> None:
        """Everything on, quick and well again."""
        for region in self._conditions:
            self._conditions[region] = Condition()

    def close(self) -> None:
        """Let requests that are being slowed go on at once."""
        self._closing.set()

    def meet(self, region: str) -> None:
        """Let a request to the region suffer what it must. Raises Dropped or S3Error."""
        condition = self._conditions[region]
        if not condition.on:
            raise Dropped
        if condition.slow_seconds:
            self._closing.wait(condition.slow_seconds)
        if condition.failing_ratio and self._is_due(region, condition.failing_ratio):
            self._failures[region] += 1
            if self._failures[region] % 2:
                raise S3Error(503, "SlowDown", "Please reduce your request rate.")
            raise S3Error(500, "InternalError", "We encountered an internal error. Please try again.")

    def _change(self, region: str, **changes: float) -> None:
        with self._lock:
            self._conditions[region] = replace(self._conditions[region], **changes)  # type: ignore[arg-type]  # fields by name

    def _is_due(self, region: str, ratio: float) -> bool:
        """Spread failures evenly instead of drawing lots: at 0.5 every second request fails, and a test can count."""
        with self._lock:
            self._owed[region] += ratio
            if self._owed[region] < 1:
                return False
            self._owed[region] -= 1
            return True

"""The access point's routes: how much of its traffic each region may take, all of it or none.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapFailover.html
"""

import threading
from collections.abc import Mapping

ACTIVE, PASSIVE = 100, 0


class BadRoutes(ValueError):
    """Routes that S3 does not accept; the message says why."""


class Traffic:
    """The dial of each region's bucket, in percent. Changes hold at once, where AWS takes up to two minutes."""

    def __init__(self, buckets: Mapping[str, str]) -> None:
        self.buckets = dict(buckets)
        self._dials = dict.fromkeys(buckets, ACTIVE)
        self._lock = threading.Lock()

    def dials(self) -> dict[str, int]:
        """The percentage of each region."""
        return dict(self._dials)

    def is_active(self, region: str) -> bool:
        return self._dials[region] == ACTIVE

    def submit(self, dials: Mapping[str, int]) -> None:
        """Change the dials of these regions. Raises BadRoutes for an unknown region, another percentage than 0 or 100,
        and when no region would be left active."""
        for region, dial in dials.items():
            if region not in self._dials:
                raise BadRoutes(f"The Region {region} is not part of this Multi-Region Access Point.")
            if dial not in (ACTIVE, PASSIVE):
                raise BadRoutes("TrafficDialPercentage must be 0 or 100.")
        with self._lock:
            wanted = self._dials | dict(dials)
            if ACTIVE not in wanted.values():
                raise BadRoutes("At least one Region must be active.")
            self._dials = wanted

    def reset(self) -> None:
        """All active, as at first."""
        self._dials = dict.fromkeys(self._dials, ACTIVE)

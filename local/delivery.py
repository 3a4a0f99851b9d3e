"""Delivery of S3's events to the queues of their regions: at least once and in any order, on command worse than S3's.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
"""

import heapq
import itertools
import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from local.events import Record
from local.queues import RegionalQueue

MAX_DELAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happens to events on their way: the part of them (0 to 1) that is lost, that comes twice, and that comes
    `delay_seconds` late and so after later ones. A second delivery is as late."""

    lose: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    delay_seconds: float = 0.5


class Delivery:
    """A listener that sends each event of a region's own bucket to the region's queues. What is late waits on a thread.

    Other buckets' events go nowhere: nobody has set up notifications for them.
    """

    def __init__(self, queues: Mapping[str, Sequence[RegionalQueue]], buckets: Mapping[str, str]) -> None:
        self._queues = queues
        self._buckets = buckets
        self._disturbance = Disturbance()
        self._owed = {"lose": 0.0, "duplicate": 0.0, "delay": 0.0}
        self._late: list[tuple[float, int, RegionalQueue, str]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closing = False
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="event delivery", daemon=True)
        self._thread.start()

    @property
    def disturbance(self) -> Disturbance:
        return self._disturbance

    def disturb(self, disturbance: Disturbance) -> None:
        """How it goes for events from now on."""
        with self._changed:
            self._disturbance = disturbance
            self._owed = dict.fromkeys(self._owed, 0.0)

    def announce(self, region: str) -> None:
        """The message that S3 sends when notifications are set up, which is no event."""
        test = {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "Bucket": self._buckets[region],
            "RequestId": secrets.token_hex(8).upper(),
            "HostId": secrets.token_urlsafe(32),
        }
        for queue in self._queues[region]:
            queue.send(json.dumps(test))

    def __call__(self, record: Record) -> None:
        region = record["awsRegion"]
        queues = self._queues[region]
        if not queues or record["s3"]["bucket"]["name"] != self._buckets[region]:
            return
        body = json.dumps({"Records": [record]})
        with self._changed:
            if self._is_due("lose", self._disturbance.lose):
                self.lost += 1
                return
            late = self._disturbance.delay_seconds
            delays = [late if self._is_due("delay", self._disturbance.delay) else 0.0]
            if self._is_due("duplicate", self._disturbance.duplicate):
                delays.append(late)
            for queue, delay in itertools.product(queues, delays):
                if delay:
                    heapq.heappush(self._late, (time.monotonic() + delay, next(self._order), queue, body))
                    self._changed.notify_all()
                else:
                    queue.send(body)

    def pending(self) -> int:
        """How many late deliveries are still to come."""
        with self._changed:
            return len(self._late)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                now = time.monotonic()
                if self._late and self._late[0][0] <= now:
                    _, _, queue, body = heapq.heappop(self._late)
                    queue.send(body)
                else:
                    self._changed.wait(self._late[0][0] - now if self._late else None)

    def _is_due(self, kind: str, ratio: float) -> bool:
        """Evenly, as `Faults` fails requests: a test can count."""
        self._owed[kind] += ratio
        if self._owed[kind] < 1:
            return False
        self._owed[kind] -= 1
        return True

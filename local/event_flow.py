"""The way of S3's events: from the buckets through each region's queues to the functions behind them."""

import contextlib
import time
from collections.abc import Callable, Mapping

from local.background import Background, Poller
from local.delivery import Delivery, Disturbance
from local.queues import RegionalQueue, create_queues
from local.template import Template

_SETTLE_POLL_SECONDS = 0.01


class EventFlow:
    """Makes the queues of the template in every region, delivers to those that a function reads, and polls them."""

    def __init__(
        self, template: Template, background: Background, buckets: Mapping[str, str], is_on: Callable[[str], bool]
    ) -> None:
        self.queues = {region: create_queues(template.queues, region) for region in buckets}
        self._is_on = is_on
        read = {source.queue for _, source in background.sources}
        self._read = {region: [self.queues[region][name] for name in read] for region in buckets}
        self.delivery = Delivery(self._read, buckets)
        for region in buckets:
            self.delivery.announce(region)
        self._pollers = [
            Poller(background, function, source, region, self.queues[region][source.queue], is_on)
            for region in buckets
            for function, source in background.sources
        ]

    def disturb(self, disturbance: Disturbance) -> None:
        """How delivery goes from now on."""
        self.delivery.disturb(disturbance)

    def waiting(self) -> dict[str, int]:
        """How many events wait in each region's queues, and on their way there under `late`."""
        late = self.delivery.pending()  # first: what is late goes into a queue, and not back
        counts = {region: sum(queue.waiting() for queue in queues) for region, queues in self._read.items()}
        return counts | {"late": late}

    def settle(self, timeout_seconds: float) -> None:
        """Wait until every event is delivered and dealt with. Raises TimeoutError that says where events wait."""
        deadline = time.monotonic() + timeout_seconds
        while any(self.waiting().values()):
            if time.monotonic() > deadline:
                still = ", ".join(f"{count} in {where}" for where, count in self.waiting().items() if count)
                raise TimeoutError(f"events still wait after {timeout_seconds:g} s: {still}")
            time.sleep(_SETTLE_POLL_SECONDS)

    def dead_letters(self) -> dict[str, list[str]]:
        """The bodies of the messages in each region's dead-letter queues."""
        return {
            region: [body for queue in self._dead_letter_queues(region) for body in queue.bodies()]
            for region in self.queues
        }

    def redrive(self) -> int:
        """Send what is in the dead-letter queues to the queues again, as an operator does. Returns how many."""
        count = 0
        for region, queues in self._read.items():
            for dead_letters in self._dead_letter_queues(region):
                for body in dead_letters.purge():
                    count += 1
                    for queue in queues:
                        queue.send(body)
        return count

    def close(self) -> None:
        """Stop polling and delivering, and remove the queues with what still waits in them."""
        with contextlib.ExitStack() as stack:
            for queues in self.queues.values():
                for queue in queues.values():
                    stack.callback(queue.remove)
            stack.callback(self.delivery.close)
            for poller in self._pollers:
                stack.callback(poller.close)

    def _dead_letter_queues(self, region: str) -> list[RegionalQueue]:
        return [queue for queue in self.queues[region].values() if queue not in self._read[region]]

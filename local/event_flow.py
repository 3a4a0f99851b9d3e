"""The queues: the way of S3's events from the buckets to each region's functions, and of what functions send."""

import contextlib
import time
from collections.abc import Callable, Mapping

from local.background import LAST_RETRY_SECONDS, Background, Poller, lanes
from local.delivery import Delivery, Disturbance
from local.queues import RegionalQueue, create_queues
from local.template import Template

_SETTLE_POLL_SECONDS = 0.01


class EventFlow:
    """Makes the queues of the template in every region, delivers to those that S3 may send to, and polls those that a
    function reads."""

    def __init__(
        self, template: Template, background: Background, buckets: Mapping[str, str], is_on: Callable[[str], bool]
    ) -> None:
        self._template = template
        self.queues = {region: create_queues(template.queues, region) for region in buckets}
        self._is_on = is_on
        self._read = {
            region: {
                self.queues[region][source.queue]
                for _, source in background.sources
                if region in background.regions(source)
            }
            for region in buckets
        }
        from_s3 = [queue.name for queue in template.queues if queue.from_s3]
        self._told = {
            region: {self.queues[region][name] for name in from_s3} & self._read[region] for region in buckets
        }
        self.delivery = Delivery({region: list(queues) for region, queues in self._told.items()}, buckets)
        for region in buckets:
            self.delivery.announce(region)
        self._pollers = [
            Poller(background, function, source, region, self.queues[region][source.queue], is_on, lane)
            for function, source in background.sources
            for region in background.regions(source)
            for lane in range(lanes(source))
        ]

    def disturb(self, disturbance: Disturbance) -> None:
        """How delivery goes from now on."""
        self.delivery.disturb(disturbance)

    def waiting(self) -> dict[str, int]:
        """How many events wait in each region's queues, and on their way there under `late`; what functions sent waits
        under `sent`."""
        late = self.delivery.pending()  # first: what is late goes into a queue, and not back
        events = {region: sum(queue.waiting() for queue in queues) for region, queues in self._told.items()}
        sent = sum(queue.waiting() for region, queues in self._read.items() for queue in queues - self._told[region])
        return events | {"late": late, "sent": sent}

    def hurry(self) -> None:
        """Try again now what failed and waits for its next try."""
        for queues in self._read.values():
            for queue in queues:
                queue.hurry(LAST_RETRY_SECONDS)

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
        for queues in self.queues.values():
            for queue in self._template.queues:
                for body in queues[queue.dead_letters].purge() if queue.dead_letters else ():
                    count += 1
                    queues[queue.name].send(body)
        return count

    def close(self) -> None:
        """Stop polling and delivering, and remove the queues with what still waits in them."""
        with contextlib.ExitStack() as stack:
            for queues in self.queues.values():
                for queue in queues.values():
                    stack.callback(queue.remove)
            stack.callback(self.delivery.close)
            for poller in self._pollers:
                poller.stop()
                stack.callback(poller.close)

    def _dead_letter_queues(self, region: str) -> list[RegionalQueue]:
        names = {queue.dead_letters for queue in self._template.queues}
        return [queue for name, queue in self.queues[region].items() if name in names]

"""What may be changed in a running world, by a person at the controls or by a test."""

from collections.abc import Sequence

from local.delivery import Disturbance
from local.dns_zone import DEFAULT_TTL_SECONDS, Text
from local.edge_stack import EdgeStack
from local.event_flow import EventFlow
from local.faults import Faults
from local.function_url import FunctionUrl
from local.locations import Location, locate
from local.providers import Providers
from local.replication import THRESHOLD_SECONDS, Replication
from local.replication_faults import DEFAULT_REASON, ReplicationFault, checked_reason
from local.traffic import Traffic


class Adjustable:
    """The parts of a world that are changed, and how."""

    faults: Faults
    replication: Replication
    traffic: Traffic
    flow: EventFlow
    edge: EdgeStack
    providers: Providers
    gateway: FunctionUrl | None
    _location: Location

    def location(self) -> Location:
        """Where a client is that does not say."""
        return self._location

    def set_location(self, name: str) -> None:
        """Raises UnknownLocation."""
        self._location = locate(name)

    def set_lag(self, seconds: float) -> None:
        """How long replication takes from now on, also for what is already waiting."""
        self.replication.set_lag(seconds)

    def switch(self, region: str, *, on: bool) -> None:
        """Turn a region off or on. Raises KeyError for an unknown one, as `slow` and `fail` do."""
        self.faults.switch(region, on=on)
        self.replication.wake()

    def slow(self, region: str, seconds: float) -> None:
        """Make every request to the region take this much longer."""
        self.faults.slow(region, seconds)

    def fail(self, region: str, ratio: float) -> None:
        """Refuse this part (0 to 1) of the requests to the region."""
        self.faults.fail(region, ratio)

    def fail_replication(self, region: str = "", prefix: str = "", reason: str = DEFAULT_REASON) -> None:
        """Let versions of keys with the prefix fail for S3's `reason` on their way to the region ('': to any). They
        stay FAILED: S3 does not try again. Raises UnknownReason."""
        self._trouble(ReplicationFault(region, prefix, checked_reason(reason)))

    def stall_replication(self, region: str = "", prefix: str = "") -> None:
        """Let versions of keys with the prefix wait on their way to the region ('': to any) until this is mended."""
        self._trouble(ReplicationFault(region, prefix))

    def _trouble(self, fault: ReplicationFault) -> None:
        self.replication.trouble((*self.replication.troubles, fault))

    def mend_replication(self) -> None:
        """No more faults of replication: what stalled goes on, what failed stays failed."""
        self.replication.trouble(())

    def set_threshold(self, seconds: float) -> None:
        """After how long a version on its way has missed its time (RTC: 900 s) and S3 tells so."""
        self.replication.set_threshold(seconds)

    def disturb_events(
        self, lose: float = 0.0, duplicate: float = 0.0, delay: float = 0.0, delay_seconds: float = 0.5
    ) -> None:
        """Lose, deliver twice, and deliver late these parts (0 to 1) of the events from now on."""
        self.flow.disturb(Disturbance(lose, duplicate, delay, delay_seconds))

    def redrive(self) -> int:
        """Move the messages of the dead-letter queues back to their queues. Returns how many."""
        return self.flow.redrive()

    def set_dns(
        self, name: str, texts: Sequence[Text], ttl_seconds: int = DEFAULT_TTL_SECONDS, weights: Sequence[int] = ()
    ) -> None:
        """Let the name in nearside.test have these TXT records and no others; with weights, one for each, an answer has
        one of them, and none of a region that is off. Raises BadRecord, as the others about DNS do."""
        self.edge.zone.set(name, texts, ttl_seconds, weights)

    def remove_dns(self, name: str) -> None:
        """Let the name have no records."""
        self.edge.zone.remove(name)

    def fail_dns(self, mode: str, seconds: float | None = None) -> None:
        """Let the name server fail in one of the ways of `dns_zone.FAILURES`; `slow` by these seconds (10)."""
        self.edge.dns.fail(mode, seconds)

    def mend_dns(self) -> None:
        """The name server answers quickly and well again."""
        self.edge.dns.mend()

    def trouble_provider(self, name: str, fault: str, value: float | None = None) -> None:
        """Let one of the gateway's places have one of `provider_faults.FAULTS`: `slow` by `value` seconds; `failing`,
        `throttled`, `cut`, `wrong-bytes` in this part of its requests (None: all); or `heal` it. Raises BadFault."""
        self.providers.faults.set(name, fault, value)

    def limit_lambda(self, *, on: bool) -> None:
        """Let the gateway's URL have Lambda's limits on payloads or not, and the function know of it."""
        if self.gateway:
            self.gateway.limit(on=on)

    def heal(self) -> None:
        """Everything on, quick and well, all routes active, clients in Europe, the first TXT record, Lambda's limits
        again. What failed stays failed."""
        self.faults.heal()
        self.providers.faults.heal()
        self.limit_lambda(on=True)
        self.flow.hurry()
        self.traffic.reset()
        self.disturb_events()
        self.set_threshold(THRESHOLD_SECONDS)
        self.mend_replication()
        self.set_location("eu")
        self.edge.heal()

"""Taking an object's lease, and waiting for it a little when somebody else has it."""

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from nearside.errors import NearsideError
from nearside.gateway.describing import new_id
from nearside.gateway.errors import Busy, LeaseLost
from nearside.gateway.records import Generation, Lease, Record, StoresRecords

LEASE_SECONDS = 30.0
CALL_SECONDS = 15.0  # what a place may take to answer (11), and a few by which clocks may differ
LONG_CALL_SECONDS = 65.0  # the same of a place that copies, or makes one object of parts
# No function lives longer: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LONGEST_EXTRA_SECONDS = 900.0
LATE_SECONDS = 120.0  # after it began, what a process does whose lease ended may still arrive in a place
LEAST_BYTES_PER_SECOND = 1_000_000  # to a place
WAIT_SECONDS = 10.0
SWEEP_SECONDS = 60.0  # a record is due this long after its message was sent, in case that was lost
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.2


class Leases:
    """Thread-safe. `clock` gives seconds since the epoch."""

    def __init__(
        self, records: StoresRecords, clock: Callable[[], float], sleep: Callable[[float], None], seconds: float = 0.0
    ) -> None:
        self.records = records
        self.clock = clock
        self._sleep = sleep
        self._seconds = seconds or LEASE_SECONDS

    def take(
        self,
        bucket: str,
        key: str,
        intent: Generation | None = None,
        *,
        extra_seconds: float = 0.0,
        wait_seconds: float = WAIT_SECONDS,
    ) -> Record:
        """The record as it was, with its lease now ours; `intent` is put down. Raises Busy when another had
        it for all of `wait_seconds`."""
        extra_seconds = min(extra_seconds, LONGEST_EXTRA_SECONDS)
        owner = secrets.token_hex(8)
        deadline = self.clock() + wait_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            now = self.clock()
            until = int((now + self._seconds + extra_seconds) * 1000)
            try:
                return self.records.lease(bucket, key, Lease(owner, until), int(now * 1000), intent)
            except Busy:
                if now + pause > deadline:
                    raise
            self._sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def errand(self) -> Generation:
        """An intent for changing places without a new generation, so that whoever has the lease next knows of it."""
        return Generation(id=new_id(self.clock()), made=self.now(), size=0, etag="")

    def at_it(self, intents: Sequence[Generation]) -> tuple[Generation, ...]:
        """Those whose processes may be slow, and not dead."""
        return tuple(each for each in intents if self.now() < self.late_at(each))

    def late_at(self, intent: Generation) -> int:
        """When nothing of it can arrive in a place any more (milliseconds since the epoch)."""
        extra = min(intent.size / LEAST_BYTES_PER_SECOND, LONGEST_EXTRA_SECONDS)
        return intent.made + int((LATE_SECONDS + extra) * 1000)

    def check(self, held: Record, seconds: float = CALL_SECONDS) -> None:
        """Raises LeaseLost unless the lease goes on for `seconds`: what is begun now in a place might else end when
        somebody else writes there."""
        if held.lease is None or self.clock() + seconds > held.lease.until / 1000:
            raise LeaseLost(f"{held.key!r}: its lease is nearly over")

    @contextmanager
    def given_back(self, held: Record) -> Iterator[None]:
        """Gives the lease back, with `held` saved and due at once, when something happens that nobody expected."""
        try:
            yield
        except NearsideError:
            raise
        except Exception:
            with suppress(NearsideError):
                self.end(msgspec.structs.replace(held, due=self.now()), held)
            raise

    def keep(self, changed: Record, held: Record) -> None:
        """Saves the record that we hold, and go on holding it. Raises LeaseLost."""
        self.records.save(changed, owner_of(held))

    def end(self, changed: Record, held: Record) -> Record:
        """Saves the record and gives the lease back; the record as saved. While intents of the dead are left in it, it
        is due. Raises LeaseLost."""
        due = changed.due
        if changed.intents and due is None:
            due = self.due()
        ended = msgspec.structs.replace(changed, lease=None, due=due)
        self.records.save(ended, owner_of(held))
        return ended

    def pause(self, seconds: float) -> None:
        """Waits for somebody else."""
        self._sleep(seconds)

    def due(self) -> int:
        """When the sweep is to find a record that the replicator is told of now."""
        return int((self.clock() + SWEEP_SECONDS) * 1000)

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return int(self.clock() * 1000)


def owner_of(record: Record) -> str:
    """Whose lease the record has, empty for nobody's."""
    return record.lease.owner if record.lease else ""

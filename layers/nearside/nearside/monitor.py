"""The scheduled look at replication: overdue versions, repairs, canaries, the verdict and its changes, lags."""

from collections.abc import Callable, Sequence

import msgspec

from nearside.canary import Flight
from nearside.errors import NearsideError
from nearside.notes import KeepsNotes
from nearside.operations_log import AppendsOperations, Entry
from nearside.places import Place
from nearside.repair import Repairs
from nearside.replication import ReplicationHealth
from nearside.resolving import Resolved
from nearside.verdicts import Reason, Verdict, verdict

_NOTE = "verdict"
_MAX_DETAIL = 2_000


class Report(msgspec.Struct, frozen=True):
    """What a run found and mended. `changed_from` is the last run's verdict when it was another, `repaired` None when
    nothing could be, `lost` what could not be done or kept."""

    verdict: Verdict
    reasons: list[Reason]
    changed_from: str | None
    health: ReplicationHealth
    flights: list[Flight]
    resolved: Resolved
    repaired: Repairs | None
    lost: list[str]

    @property
    def blind(self) -> bool:
        """Whether nothing was learnt of any place: no bucket, no work list and no canary answered."""
        seen = any(place.versioning is not None or place.failed is not None for place in self.health.places)
        return not seen and all(flight.trouble for flight in self.flights)


class Monitor(msgspec.Struct, frozen=True):
    """One run of it. The verdict's memory is kept with the first place, the primary."""

    places: Sequence[Place]
    fly: Callable[[], list[Flight]]
    resolve: Callable[[], Resolved]
    repair: Callable[[], Repairs]
    health: Callable[[float], ReplicationHealth]
    notes: KeepsNotes
    log: AppendsOperations
    target_seconds: int
    clock: Callable[[], float]

    def run(self) -> Report:
        """Everything in turn; the verdict comes after what was overdue has been looked for and mended. Raises nothing
        that one place's failure brings about."""
        lost: list[str] = []
        resolved = self.resolve()
        repaired = self._repaired(lost)
        flights = self.fly()
        health = self.health(self.clock())
        reasons = [*health.reasons, *_of_canaries(flights, self.target_seconds)]
        now = verdict(reasons)
        self._keep_lags(health, lost)
        before = self._remember(now, reasons, lost)
        changed_from = before if before != now else None
        return Report(now, reasons, changed_from, health, flights, resolved, repaired, lost)

    def _repaired(self, lost: list[str]) -> Repairs | None:
        try:
            return self.repair()
        except NearsideError as error:
            lost.append(f"the repair: {error}")
            return None

    def _keep_lags(self, health: ReplicationHealth, lost: list[str]) -> None:
        """What presigning tells as `ready_at`."""
        for place in health.places:
            if place.lag is not None:
                self._kept(place.name, "lag", {"p99": place.lag.p99_ms, "count": place.lag.count}, lost)

    def _remember(self, now: Verdict, reasons: Sequence[Reason], lost: list[str]) -> str | None:
        """The last run's verdict, and this one's in its place; a change is logged before it is remembered, so that a
        run that dies in between logs it again rather than never."""
        at = int(self.clock() * 1000)
        said = "; ".join(reason.what for reason in reasons if reason.verdict != "note")[:_MAX_DETAIL]
        home = self.places[0].name
        try:
            note = self.notes.read(home, _NOTE)
        except NearsideError as error:
            lost.append(f"the last verdict: {error}")
            return now
        before = str(note["verdict"]) if note else None
        if before != now or (note and note["said"] != said and now == "broken"):
            action = f"verdict: {before or 'none'} to {now}" if before != now else f"verdict: still {now}"
            try:
                self.log(Entry(at=at, id=f"verdict-{now}", action=action, detail=said or "nothing is amiss"))
            except NearsideError as error:
                lost.append(f"the change of the verdict: {error}")
                return before
        self._kept(home, _NOTE, {"verdict": now, "at": at, "said": said}, lost)
        return before

    def _kept(self, place: str, name: str, note: dict[str, str | int], lost: list[str]) -> None:
        try:
            self.notes.write(place, name, note)
        except NearsideError as error:
            lost.append(f"the note {name} of {place}: {error}")


def _of_canaries(flights: Sequence[Flight], target_seconds: int) -> list[Reason]:
    """A canary that is overdue, or could not be written."""
    reasons = []
    for flight in flights:
        way = f"from {flight.source} to {flight.destination}"
        if flight.trouble:
            reasons.append(
                Reason(
                    "behind",
                    f"no canary could be sent {way}: {flight.trouble}",
                    "look at the place and at the function's right to write there (s3:PutObject on .nearside/*)",
                )
            )
        elif not flight.arrived and flight.age_ms > target_seconds * 1000:
            reasons.append(
                Reason(
                    "behind",
                    f"no canary has come {way} for {flight.age_ms / 1000:.0f} s, longer than {target_seconds} s",
                    "if no other reason explains it, look at the replication role and at CloudTrail",
                )
            )
    return reasons

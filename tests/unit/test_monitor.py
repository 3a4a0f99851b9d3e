"""The monitor: canaries that come, come late or never, the verdict's changes, and what no event told of."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from nearside import canary, work
from nearside.canary import Canaries, Flight
from nearside.copies import Close, Entry
from nearside.errors import NearsideError, Unreachable
from nearside.mended import Mended
from nearside.monitor import Monitor, Report
from nearside.notes import Note
from nearside.operations_log import Entry as Operation
from nearside.places import Place
from nearside.records import Replica
from nearside.repair import Repairs
from nearside.replicas import Absent
from nearside.replication import PlaceHealth, ReplicationHealth
from nearside.resolving import PER_RUN, Resolved, Resolver
from nearside.s3_events import Event, Found, Removed, sequencer
from nearside.verdicts import Lag, Reason, Verdict
from nearside.work import Counts, Work, WorkState
from tests.unit.fakes import LONDON, OHIO

PLACES = (LONDON, OHIO)


class Notes:
    """In memory; `down` lets every call fail."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Note] = {}
        self.down: NearsideError | None = None

    def read(self, place: str, name: str) -> Note | None:
        if self.down:
            raise self.down
        return self.kept.get((place, name))

    def write(self, place: str, name: str, note: Note) -> None:
        if self.down:
            raise self.down
        self.kept[place, name] = dict(note)

    def drop(self, place: str, name: str) -> None:
        self.kept.pop((place, name), None)


class Sky:
    """Buckets in which a canary arrives `lag` seconds after it was written (None: never), by a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.lag: float | None = 0.2
        self.written: dict[str, tuple[str, float]] = {}
        self.keys: dict[str, str] = {}
        self.gone: set[tuple[str, str]] = set()
        self.notes = Notes()
        self.down: str | None = None

    def put(self, place: Place, key: str, body: bytes) -> str:
        if place.name == self.down:
            raise Unreachable(f"{place.name} is down")
        version = f"{place.name}-{len(self.written)}"
        self.written[version], self.keys[version] = (place.name, self.now), key
        return version

    def undo(self, place: Place, key: str, version: str) -> None:
        assert key == self.keys[version]
        self.gone.add((place.name, version))

    def look(self, place: Place, key: str, version: str) -> Any:
        assert key == self.keys[version]
        _, at = self.written[version]
        there = (place.name, version) not in self.gone and self.lag is not None and self.now >= at + self.lag
        return Close(version=version, size=1, etag="e", modified=0) if there else Absent()

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def fly(self) -> dict[str, Flight]:
        flights = Canaries(PLACES, self, self.look, self.notes, 900, lambda: self.now, self.pause).fly()
        return {f"{flight.source}>{flight.destination}": flight for flight in flights}


def test_a_canary_is_measured_and_taken_away_everywhere() -> None:
    sky = Sky()
    flights = sky.fly()
    assert set(flights) == {"eu-west-2>us-east-2", "us-east-2>eu-west-2"}
    assert all(200 <= (flight.lag_ms or 0) <= 400 for flight in flights.values())
    assert sky.gone == {(place.name, version) for place in PLACES for version in sky.written}
    assert sky.notes.kept == {}


def test_one_that_is_late_is_looked_for_by_the_next_run_and_its_lag_not_made_up() -> None:
    sky = Sky()
    sky.lag = 100
    first = sky.fly()
    assert all(flight.lag_ms is None and flight.age_ms >= canary.WAIT_SECONDS * 1000 for flight in first.values())
    sky.now += 300
    sky.lag = 0.2  # of the next ones
    later = Canaries(PLACES, sky, sky.look, sky.notes, 900, lambda: sky.now, sky.pause).fly()
    old, new = later[:2], later[2:]
    assert all(flight.lag_ms is None and flight.age_ms >= 300_000 and flight.arrived for flight in old)
    assert all(flight.lag_ms is not None and flight.arrived for flight in new)
    assert not any(flight.arrived for flight in first.values())


def test_every_canary_has_a_key_of_its_own_by_which_it_is_looked_for_and_taken_away() -> None:
    sky = Sky()
    sky.lag = 100
    sky.fly()
    sky.now += 300
    sky.fly()
    assert len(set(sky.keys.values())) == 4
    for version, (place, _) in sky.written.items():
        assert sky.keys[version].startswith(f".nearside/canary/{place}/")


def test_one_that_never_comes_is_replaced_and_its_age_goes_on() -> None:
    sky = Sky()
    sky.lag = None
    sky.fly()
    for _ in range(4):
        sky.now += 300
        flights = sky.fly()
    assert len(sky.written) == 4  # one more per place, after 900 s
    assert all(flight.age_ms >= 1_200_000 for flight in flights.values())
    sky.lag = 0.0
    sky.fly()
    sky.now += 300
    assert all(flight.lag_ms is not None for flight in sky.fly().values())


def test_a_place_that_is_down_does_not_keep_the_other_from_being_measured() -> None:
    sky = Sky()
    sky.down = "us-east-2"
    flights = sky.fly()
    assert flights["us-east-2>eu-west-2"].trouble == "us-east-2 is down"
    assert flights["eu-west-2>us-east-2"].lag_ms is not None


class Office:
    """A monitor whose verdict, flights, notes and log are at hand."""

    def __init__(self) -> None:
        self.verdict: Verdict = "healthy"
        self.flights: list[Flight] = []
        self.notes = Notes()
        self.logged: list[str] = []
        self.log_is_down = False
        self.repairs: Repairs | NearsideError = Repairs(False, [], [], False)
        self.place_is_known = True

    def log(self, entry: Operation) -> None:
        if self.log_is_down:
            raise Unreachable("the log is down")
        self.logged.append(f"{entry.action}: {entry.detail}")

    def health(self, now: float) -> ReplicationHealth:
        reasons = [] if self.verdict == "healthy" else [Reason(self.verdict, "something is amiss", "mend it")]
        place = PlaceHealth(
            name="us-east-2",
            bucket="pics-us",
            versioning="enabled" if self.place_is_known else None,
            pending=0 if self.place_is_known else None,
            failed=0 if self.place_is_known else None,
            oldest_pending_seconds=None,
            lag=Lag(10, 100, 900, 1_000),
        )
        return ReplicationHealth(
            verdict=self.verdict,
            reasons=reasons,
            unknown=[],
            rules=[],
            places=[place],
            mrap=None,
            checked_at=datetime.fromtimestamp(now, UTC),
        )

    def repair(self) -> Repairs:
        if isinstance(self.repairs, NearsideError):
            raise self.repairs
        return self.repairs

    def run(self) -> Report:
        return Monitor(
            places=PLACES,
            fly=lambda: self.flights,
            resolve=Resolved,
            repair=self.repair,
            health=self.health,
            notes=self.notes,
            log=self.log,
            target_seconds=900,
            clock=lambda: 1_000.0,
        ).run()


def test_a_change_of_the_verdict_is_logged_once() -> None:
    office = Office()
    changes = []
    for verdict in ("healthy", "healthy", "broken", "broken", "behind", "healthy"):
        office.verdict = verdict
        changes.append(office.run().changed_from)
    assert changes == [None, None, "healthy", None, "broken", "behind"]
    assert office.logged == [
        "verdict: none to healthy: nothing is amiss",
        "verdict: healthy to broken: something is amiss",
        "verdict: broken to behind: something is amiss",
        "verdict: behind to healthy: nothing is amiss",
    ]


def test_a_change_that_could_not_be_logged_is_logged_by_the_next_run() -> None:
    office = Office()
    office.run()
    office.verdict, office.log_is_down = "broken", True
    assert office.run().lost == ["the change of the verdict: the log is down"]
    office.log_is_down = False
    assert office.run().changed_from == "healthy"
    assert office.logged[-1].startswith("verdict: healthy to broken")


def test_notes_that_do_not_answer_cost_neither_the_verdict_nor_the_numbers() -> None:
    office = Office()
    office.notes.down = Unreachable("the table is down")
    office.verdict = "broken"
    report = office.run()
    assert (report.verdict, report.changed_from) == ("broken", None)
    assert report.lost == ["the note lag of us-east-2: the table is down", "the last verdict: the table is down"]


def test_the_lag_is_kept_for_presigning() -> None:
    office = Office()
    office.run()
    assert office.notes.kept["us-east-2", "lag"]["p99"] == 900


def test_what_was_repaired_is_reported_and_what_keeps_it_from_repairing_costs_nothing_else() -> None:
    office = Office()
    done = Mended(key="a", version="v", place="us-east-2", outcome="copied", detail="proved")
    office.repairs = Repairs(False, [done], [], False)
    assert office.run().repaired == office.repairs
    office.repairs = Unreachable("the table is down")
    report = office.run()
    assert (report.repaired, report.verdict) == (None, "healthy")
    assert report.lost == ["the repair: the table is down"]


def test_a_run_that_learnt_nothing_is_blind() -> None:
    office = Office()
    assert not office.run().blind
    office.place_is_known = False
    office.flights = [Flight("a", "b", None, 0, "a is down")]
    assert office.run().blind
    office.flights.append(Flight("b", "a", 100, 100))
    assert not office.run().blind


@pytest.mark.parametrize(
    ("flight", "verdict", "what"),
    [
        (Flight("a", "b", None, 901_000), "behind", "no canary has come from a to b for 901 s"),
        (Flight("a", "b", None, 900_000), "healthy", ""),
        (Flight("a", "b", 100, 100, arrived=True), "healthy", ""),
        (Flight("a", "b", None, 901_000, arrived=True), "healthy", ""),  # found by the next run
        (Flight("a", "b", None, 0, "a is down"), "behind", "no canary could be sent from a to b: a is down"),
    ],
)
def test_canaries_count_in_the_verdict(flight: Flight, verdict: str, what: str) -> None:
    office = Office()
    office.flights = [flight]
    report = office.run()
    assert report.verdict == verdict
    assert all(reason.what.startswith(what) for reason in report.reasons)


class Books:
    """Work lists, records and buckets for the resolver. Two works per page."""

    def __init__(self, works: Sequence[Work]) -> None:
        self.works = list(works)
        self.has: dict[str, set[str]] = {place.name: set() for place in PLACES}
        self.replicas: list[Replica] = []
        self.applied: list[Event] = []
        self.settled: list[tuple[str, str]] = []
        self.notes = Notes()
        self.down: str | None = None
        self.looked: list[str] = []
        self.stop_after = 10_000
        self.unread: str | None = None

    def counts(self, place: str) -> Counts:
        raise AssertionError("the resolver counts nothing")

    def page(
        self, place: str, state: WorkState, limit: int, cursor: str | None = None, before: int | None = None
    ) -> work.Page:
        if place == self.unread:
            raise Unreachable("its table is down")
        found = [each for each in self.works if (each.place, each.state) == (place, state)]
        found = [each for each in found if before is None or each.due <= before]
        first = int(cursor or 0)
        last = first + min(2, limit)
        return work.Page(found[first:last], str(last) if last < len(found) else None)

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], None]:
        return [each for each in self.replicas if (each.key, each.place) == (key, place)], None

    def versions(self, place: Place, key: str) -> Sequence[Entry]:
        if place.name == self.down:
            raise Unreachable("down")
        if place == OHIO:
            self.looked.append(key)
        return [Entry(version="v", modified=5_000)] if key in self.has[place.name] else []

    def resolve(self) -> Resolved:
        return Resolver(
            places=PLACES,
            work=self,
            records=self,
            versions=self.versions,
            apply=self.applied.append,
            settle=lambda key, version: self.settled.append((key, version)),
            notes=self.notes,
            target_seconds=900,
            clock=lambda: 10_000.0,
            out_of_time=lambda: len(self.looked) >= self.stop_after,
        ).resolve()


def late(key: str, **changed: Any) -> Work:
    overdue = Work(key=key, version="v", place="us-east-2", state="PENDING", due=1_000)
    return msgspec.structs.replace(overdue, **changed)


def test_what_arrived_is_completed() -> None:
    books = Books([late("a"), late("b", state="FAILED", due=9_999_000)])
    books.has["us-east-2"] = {"a", "b"}
    assert books.resolve() == Resolved(looked=2, arrived=2)
    there = [Found(place="us-east-2", key=key, version="v", modified=5_000) for key in ("a", "b")]
    assert books.applied == there


def test_what_is_not_overdue_is_left_alone() -> None:
    books = Books([late("a", due=9_500_000)])
    assert books.resolve() == Resolved()


def test_what_is_still_somewhere_is_waited_for() -> None:
    books = Books([late("a")])
    books.has["eu-west-2"] = {"a"}
    assert books.resolve() == Resolved(looked=1)
    assert (books.applied, books.settled) == ([], [("a", "v")])


def test_what_is_gone_everywhere_is_taken_back_with_a_sequencer_after_its_last() -> None:
    books = Books([late("a")])
    last = sequencer("0055AED6DCD90281E5")
    held = Replica(key="a", version="v", place="eu-west-2", state="COMPLETED", sequencer=last)
    other = msgspec.structs.replace(held, version="w")
    waiting = Replica(key="a", version="v", place="us-east-2", state="PENDING")
    books.replicas = [held, other, waiting]
    assert books.resolve() == Resolved(looked=1, gone=1)
    removed = [each for each in books.applied if isinstance(each, Removed)]
    assert [(each.place, each.version) for each in removed] == [("eu-west-2", "v"), ("us-east-2", "v")]
    assert last < removed[0].sequencer < sequencer("0055AED6DCD90281E6")


def test_a_place_that_does_not_answer_proves_nothing() -> None:
    books = Books([late("a")])
    books.down = "eu-west-2"
    assert books.resolve() == Resolved(looked=1, silent=1)
    assert books.applied == []


def test_a_run_goes_on_where_the_last_one_stopped() -> None:
    works = [late(f"k{number:03d}") for number in range(PER_RUN + 5)]
    books = Books(works)
    books.has["eu-west-2"] = {each.key for each in works}
    assert books.resolve().looked == PER_RUN
    assert books.resolve().looked == 5
    assert books.looked == [each.key for each in works]
    assert books.notes.kept == {}
    assert books.resolve().looked == PER_RUN


def test_a_run_that_is_out_of_time_stops() -> None:
    books = Books([late(f"k{number}") for number in range(9)])
    books.has["eu-west-2"] = {each.key for each in books.works}
    books.stop_after = 4
    assert books.resolve().looked == 4
    books.stop_after = 10_000
    assert books.resolve().looked == 5


def test_a_run_begins_in_the_list_where_the_last_one_stopped() -> None:
    books = Books([late("a", place="eu-west-2"), late("b")])
    books.has = {"eu-west-2": {"b"}, "us-east-2": {"a"}}
    for books.stop_after in (1, 2):  # one more each time
        books.resolve()
    assert books.looked == ["a", "b"]


def test_a_list_that_cannot_be_read_leaves_the_others() -> None:
    books = Books([late("a")])
    books.has["us-east-2"] = {"a"}
    books.unread = "eu-west-2"
    assert books.resolve() == Resolved(looked=1, arrived=1, silent=2)

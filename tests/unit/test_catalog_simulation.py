"""The catalog ends as the buckets are, whatever happens to objects and however its events are told.

For random histories in two and three regions: events in any order, twice, late, lost and told again.
"""

import threading
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearside.catalog import Catalog
from nearside.errors import Unreachable
from tests.unit.histories import Buckets, Looked, Told, live, meaning, state_of
from tests.unit.memory_catalog import MemoryStore

REGIONS = ("eu-west-2", "us-east-2", "ap-northeast-1")

seeds = st.integers(0, 2**32)
sizes = st.integers(1, 24)
each_world = given(regions=st.integers(2, 3), markers_travel=st.booleans(), steps=sizes, seed=seeds)
often = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def lived(regions: int, markers_travel: bool, steps: int, seed: int) -> tuple[Buckets, Random]:
    random = Random(seed)
    buckets = Buckets(REGIONS[:regions], markers_travel)
    live(buckets, random, steps)
    return buckets, random


def told_anyhow(told: Sequence[Told], random: Random) -> list[Told]:
    """Everything at least once, some of it more often, in any order."""
    events = [event for event in told for _ in range(random.choice((1, 1, 1, 2, 3)))]
    random.shuffle(events)
    return events


def catalog_of(buckets: Buckets) -> tuple[Catalog, MemoryStore]:
    store = MemoryStore({place: place for place in buckets.places})
    return Catalog(buckets.places, store, lambda place, lag_ms, at: None, buckets.markers_travel), store


def tell(catalog: Catalog, told: Told) -> None:
    if isinstance(told, Looked):
        catalog.remember(told.key, told.findings)
    else:
        catalog.apply(told)


def assert_equal(store: MemoryStore, buckets: Buckets) -> None:
    """Every region's table, once all writes have reached it, says what the buckets are."""
    store.replicate()
    for region in buckets.places:
        replicas = {(r.version, r.place): r for r in store.replicas(region)}
        assert {identity: state_of(replica) for identity, replica in replicas.items()} == buckets.expected()
        for version in buckets.versions:
            for place in version.present:
                replica = replicas[version.name, place]
                assert (replica.marker, replica.rank) == (version.marker, version.order)
        currents = store.currents(region)
        for place in buckets.places:
            newest, current = buckets.newest(place), currents.get((buckets.key, place))
            assert (current.version if current else None) == (newest.name if newest else None)
            if newest and current:
                assert (current.made, current.marker) == (newest.order[0], newest.marker)


@often
@each_world
def test_the_catalog_ends_as_the_buckets_are(regions: int, markers_travel: bool, steps: int, seed: int) -> None:
    buckets, random = lived(regions, markers_travel, steps, seed)
    catalog, store = catalog_of(buckets)
    for told in told_anyhow(buckets.told, random):
        tell(catalog, told)
    assert_equal(store, buckets)


@often
@each_world
def test_the_same_events_in_any_order_leave_the_same_records(
    regions: int, markers_travel: bool, steps: int, seed: int
) -> None:
    buckets, random = lived(regions, markers_travel, steps, seed)
    events = [told for told in buckets.told if not isinstance(told, Looked)]

    def left(order: Sequence[Told]) -> list[dict[str, object]]:
        catalog, store = catalog_of(buckets)
        for told in order:
            tell(catalog, told)
        store.replicate()
        records = store.replicas(REGIONS[0])
        return [meaning(r) for r in sorted(records, key=lambda r: (r.version, r.place))]

    assert left(told_anyhow(events, random)) == left(events) == left(events[::-1])


@often
@each_world
def test_events_that_were_lost_for_a_while_or_half_applied_are_made_good(
    regions: int, markers_travel: bool, steps: int, seed: int
) -> None:
    """A function may die between any two of its writes; its message comes again."""
    buckets, random = lived(regions, markers_travel, steps, seed)
    catalog, store = catalog_of(buckets)
    dying = Catalog(buckets.places, Dying(store, random), catalog.lag, buckets.markers_travel)  # type: ignore[arg-type]
    waiting = told_anyhow(buckets.told, random)
    while waiting:
        told = waiting.pop(random.randrange(len(waiting)))
        try:
            tell(dying, told)
        except Unreachable:
            # A HEAD is not a message: nobody makes it again.
            waiting += [] if isinstance(told, Looked) else [told]
    for told in buckets.told:
        if isinstance(told, Looked):
            tell(catalog, told)
    assert_equal(store, buckets)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@each_world
def test_events_that_are_applied_at_once_end_the_same(
    regions: int, markers_travel: bool, steps: int, seed: int
) -> None:
    """Three functions at work, whose reads and writes take turns in an order chosen at random."""
    buckets, random = lived(regions, markers_travel, steps, seed)
    catalog, store = catalog_of(buckets)
    events = told_anyhow(buckets.told, random)
    turns = Turns(random)
    shared = Catalog(buckets.places, InTurn(store, turns), catalog.lag, buckets.markers_travel)  # type: ignore[arg-type]

    turns.run([Worker(shared, events[start::3]) for start in range(3)])
    assert_equal(store, buckets)


@settings(max_examples=400)
@given(regions=st.integers(2, 3), seed=seeds)
def test_a_version_may_be_removed_while_it_arrives(regions: int, seed: int) -> None:
    """The closest races: every event of one short-lived version at once, over an older one that stays."""
    random = Random(seed)
    buckets = Buckets(REGIONS[:regions])
    buckets.create(REGIONS[0])
    catalog, store = catalog_of(buckets)
    tell(catalog, buckets.told.pop())
    buckets.pass_time(1)
    buckets.create(REGIONS[0])
    version = buckets.versions[1]
    for place in REGIONS[1:regions]:
        buckets.miss(version, place, tracked=True)
        if random.random() < 0.7:
            buckets.arrive(version, place, late=random.random() < 0.5)
    for place in sorted(version.present):
        if random.random() < 0.8:
            buckets.delete(version, place)
    turns = Turns(random)
    shared = Catalog(buckets.places, InTurn(store, turns), catalog.lag)  # type: ignore[arg-type]
    turns.run([Worker(shared, [told]) for told in buckets.told])
    assert_equal(store, buckets)


def test_lag_is_measured_once_from_the_first_event_to_the_arrival() -> None:
    for order in ((0, 1), (1, 0), (0, 0, 1, 1, 0), (1, 1, 0, 0, 1)):
        buckets = Buckets(REGIONS[:2])
        buckets.create(REGIONS[0])
        buckets.pass_time(1_999)
        buckets.arrive(buckets.versions[0], REGIONS[1])
        catalog, store = catalog_of(buckets)
        measured: list[tuple[str, int, int]] = []
        catalog = Catalog(buckets.places, store, lambda place, lag_ms, at, to=measured: to.append((place, lag_ms, at)))
        for index in order:
            tell(catalog, buckets.told[index])
        assert measured == [(REGIONS[1], 2_000, buckets.clock)], order


class Worker:
    """A function at work on some events."""

    def __init__(self, catalog: Catalog, share: Sequence[Told]) -> None:
        self._catalog, self._share = catalog, share

    def __call__(self) -> None:
        for told in self._share:
            tell(self._catalog, told)


class Dying:
    """The store of a function that dies before one of its calls now and then."""

    def __init__(self, store: MemoryStore, random: Random) -> None:
        self._store, self._random = store, random

    def __getattr__(self, name: str) -> object:
        if self._random.random() < 0.1:
            raise Unreachable("this function has just died")
        return getattr(self._store, name)


class Turns:
    """Lets threads make one step each, in an order that `random` chooses: the same seed, the same run."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._here = threading.local()
        self._arrived = threading.Semaphore(0)

    def wait(self) -> None:
        """Called by a worker before each of its steps."""
        self._arrived.release()
        self._here.go.acquire()

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Ends when all have; raises what one of them raised."""
        gates = [threading.Semaphore(0) for _ in works]
        failures: list[Exception] = []
        running = set(range(len(works)))

        def worker(index: int) -> None:
            self._here.go = gates[index]
            try:
                self.wait()
                works[index]()
            except Exception as error:  # noqa: BLE001 - raised again below, in the thread of the test
                failures.append(error)
            finally:
                running.discard(index)
                self._arrived.release()

        threads = [threading.Thread(target=worker, args=(index,), daemon=True) for index in running]
        for thread in threads:
            thread.start()
            self._arrived.acquire()
        while running:
            gates[self._random.choice(sorted(running))].release()
            self._arrived.acquire()
        if failures:
            raise failures[0]


class InTurn:
    """The store, each of whose calls waits for its turn."""

    def __init__(self, store: MemoryStore, turns: Turns) -> None:
        self._store, self._turns = store, turns

    def __getattr__(self, name: str) -> object:
        self._turns.wait()
        return getattr(self._store, name)


def test_the_histories_hold_every_state() -> None:
    """Else the tests above would prove little."""
    seen = set()
    for each in range(60):
        buckets, _ = lived(3, True, 24, each)
        seen |= set(buckets.expected().values())
        kinds = {getattr(told, "outcome", type(told).__name__) for told in buckets.told}
        seen |= kinds
    assert seen >= {"COMPLETED", "ABSENT", "PENDING", "FAILED", "WITHDRAWN", "failed", "missed_threshold"}
    assert seen >= {"after_threshold", "not_tracked", "Created", "Removed", "Looked", "Found"}

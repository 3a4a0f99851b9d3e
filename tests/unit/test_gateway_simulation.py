"""Random histories of the gateway: places fail, answers get lost, processes die anywhere; what was answered holds."""

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from nearside.errors import Missing, NearsideError, Unreachable
from nearside.gateway.copying import Copier
from nearside.gateway.describing import Conditions, Described, new_id
from nearside.gateway.leases import CALL_SECONDS
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Places, Promise
from nearside.gateway.reading import Reader
from nearside.gateway.records import Generation, Store
from nearside.gateway.replicating import Replicator
from nearside.gateway.spreading import Spreader
from nearside.gateway.writing import Writer
from tests.unit.gateway_free import FreeWorld
from tests.unit.gateway_memory import Clock, MemoryRecords, MemoryStore, MemoryUploads, leases_of, places_of
from tests.unit.gateway_processes import World

BUCKET = "photos"
KEYS = ("a", "b")
LEASE = 40.0
VERSIONED, PLAIN = True, False


class Killed(BaseException):
    """The process ends here: nothing after this point is done, not even in a handler of errors."""


class OneByOne(Spreader):
    """Asks the places one after the other, so that a history is the same whenever it is played."""

    def __call__[T](
        self, names: Sequence[str], wanted: int, act: Callable[[str, Store], T]
    ) -> Mapping[str, T | NearsideError]:
        answers: dict[str, T | NearsideError] = {}
        for name in names:
            if sum(not isinstance(each, NearsideError) for each in answers.values()) == wanted:
                break
            try:
                answers[name] = self._asked(name, act)
            except NearsideError as error:
                answers[name] = error
        return answers


class History:
    """One gateway over some places, a model of what it answered, and a hand that makes things go wrong."""

    def __init__(self, seed: int, kinds: Sequence[bool], required: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.stores = [MemoryStore(f"p{n}", versions=kind, clock=self.clock) for n, kind in enumerate(kinds)]
        for store in self.stores:
            store.buckets[BUCKET] = {}
            store.fault = self.fault(store.name)
        self.records, self.uploads = MemoryRecords(), MemoryUploads()
        self.records.fault = self.kill
        self.promise = Promise(required_replicas=required)
        self.down: set[str] = set()
        self.flaky = self.deadly = 0.0
        self.queue: list[tuple[str, str]] = []
        self.start()
        # By key: what a read may give. None stands for "it does not exist".
        self.allowed: dict[str, set[bytes | None]] = {key: {None} for key in KEYS}
        self.made = 0

    def start(self) -> None:
        """A process: what it remembers is gone with it."""
        self.places: Places = places_of(self.stores, self.clock)
        leases, spread = leases_of(self.records, self.clock), OneByOne(self.places)
        parts = PartsOf(self.uploads, self.places)
        self.reader = Reader(leases, self.places, parts, self.tell)
        self.writer = Writer(leases, spread, self.promise, self.tell)
        copier = Copier(leases, self.places, self.promise, self.reader, parts, lambda: False, chunk_bytes=8)
        self.replicator = Replicator(leases, spread, self.promise, copier, parts, lambda *noted: None)

    def tell(self, bucket: str, key: str) -> None:
        self.queue.append((bucket, key))

    def kill(self, method: str, when: str) -> None:
        if self.random.random() < self.deadly:
            raise Killed

    def fault(self, name: str) -> Callable[[str, str], None]:
        def fault(method: str, when: str) -> None:
            self.kill(method, when)
            if (name in self.down and when == "before") or self.random.random() < self.flaky:
                raise Unreachable(f"{name} does not answer")

        return fault

    def step(self) -> None:
        key = self.random.choice(KEYS)
        act = self.random.choice((self.put, self.put, self.delete, self.read, self.read, self.mend, self.weather))
        try:
            act(key)
        except Killed:
            self.start()
            self.clock.sleep(self.random.choice((0.0, LEASE)))

    def weather(self, key: str) -> None:
        self.down = {store.name for store in self.stores if self.random.random() < 0.25}
        self.flaky, self.deadly = self.random.choice((0.0, 0.05, 0.2)), self.random.choice((0.0, 0.02, 0.05))
        self.clock.sleep(self.random.choice((0.0, 20.0)))

    def put(self, key: str) -> None:
        self.made += 1
        body = f"{key}{self.made}".encode().ljust(self.random.choice((8, 20)), b".")
        before = set(self.allowed[key])
        self.allowed[key] = before | {body}  # until it is answered, it may or may not count
        quorum = self.random.choice((None, None, len(self.stores)))
        try:
            self.writer.put(BUCKET, key, body, Described(), Conditions(), quorum)
        except NearsideError:
            return
        self.allowed[key] = {body}

    def delete(self, key: str) -> None:
        self.allowed[key] |= {None}
        try:
            self.writer.delete(BUCKET, key, Conditions())
        except NearsideError:
            return
        self.allowed[key] = {None}

    def read(self, key: str) -> None:
        try:
            record = self.reader.find(BUCKET, key)
            assert record.current is not None
            found: bytes | None = self.reader.read(record, 0, record.current.size - 1).data
        except Missing:
            found = None
        except NearsideError:
            return
        assert found in self.allowed[key], (key, found, self.allowed[key])

    def mend(self, key: str) -> None:
        try:
            self.replicator.mend(BUCKET, key)
        except NearsideError:
            return

    def settle(self) -> None:
        """Everything is well again, and the sweep comes by until nothing is due."""
        self.down, self.flaky, self.deadly = set(), 0.0, 0.0
        self.start()
        for _ in range(20):
            self.clock.sleep(1000.0)
            due = self.records.due(int(self.clock() * 1000), 100)
            if not due:
                return
            for bucket, key in due:
                self.replicator.mend(bucket, key)
        raise AssertionError(f"still due: {self.records.items}")

    def check(self) -> None:
        """Every place has what the gateway gives, under its own name, and nothing else."""
        expected: dict[str, bytes] = {}
        for key in KEYS:
            self.read(key)
            try:
                record = self.reader.find(BUCKET, key)
            except Missing:
                continue
            assert record.current is not None
            expected[key] = self.reader.read(record, 0, record.current.size - 1).data
        for store in self.stores:
            assert store.bodies(BUCKET) == expected, store.name


@pytest.mark.parametrize(
    ("kinds", "required"),
    [
        ((VERSIONED, VERSIONED, PLAIN), 2),
        ((VERSIONED, PLAIN), 1),
        ((PLAIN, PLAIN, PLAIN), 2),
        ((PLAIN,), 1),
        ((VERSIONED, VERSIONED, VERSIONED), 3),
        ((PLAIN, VERSIONED), 2),
    ],
)
@pytest.mark.parametrize("batch", range(4))
def test_what_was_answered_holds(kinds: Sequence[bool], required: int, batch: int) -> None:
    for seed in range(batch * 40, batch * 40 + 40):
        history = History(seed, kinds, required)
        try:
            for _ in range(60):
                history.step()
            history.settle()
            history.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, places {kinds}, required {required}: {error}") from error


def test_a_generation_is_made_for_one_write_only() -> None:
    assert len({new_id(1.0) for _ in range(1000)}) == 1000
    assert Generation(id="1", made=0, size=0, etag="").upload == ""


@pytest.mark.parametrize(
    ("kinds", "required", "longest"),
    [
        ((VERSIONED, VERSIONED, PLAIN), 2, 11.0),
        ((VERSIONED, PLAIN), 1, 11.0),
        ((PLAIN, PLAIN, PLAIN), 2, 11.0),
        ((PLAIN,), 1, 11.0),
        ((PLAIN, VERSIONED), 2, 11.0),
        ((VERSIONED, VERSIONED), 2, 11.0),
        ((VERSIONED, VERSIONED), 2, 3 * CALL_SECONDS),
        ((VERSIONED, VERSIONED, VERSIONED), 2, 3 * CALL_SECONDS),
    ],
)
def test_what_was_answered_holds_with_processes_at_once(kinds: Sequence[bool], required: int, longest: float) -> None:
    """Steps of several operations in any order, with calls that take long, clocks that differ, a catalog that fails,
    wrong bytes, uploads in parts and copies. Calls take longer than a lease allows only where there are versions: else
    such a call may write over what was answered, and nobody can keep it from that."""
    for seed in range(12):
        promise = Promise(required_replicas=required, verify_uploads=seed % 5 == 0, async_upload=seed % 7 != 0)
        world = World(seed, kinds, promise, OneByOne, longest=longest, lies=seed % 3 == 0)
        try:
            world.play(operations=30, at_once=4)
            world.settle()
            world.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, places {kinds}, required {required}: {error}") from error


@pytest.mark.parametrize("kinds", [(VERSIONED, PLAIN, VERSIONED), (PLAIN, PLAIN)])
def test_what_was_answered_holds_with_threads(kinds: Sequence[bool]) -> None:
    world = FreeWorld(7, kinds, Promise(required_replicas=2), Spreader)
    try:
        world.play(operations=160, at_once=4)
    finally:
        world.end()
    world.settle()
    world.check()

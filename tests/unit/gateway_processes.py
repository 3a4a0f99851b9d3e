"""Processes of the gateway over the same places and the same catalog, which do what a seed says all at once."""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from nearside.errors import Missing, NearsideError
from nearside.gateway.completing import etag_of
from nearside.gateway.copying import Copier
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.leases import Leases
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Promise
from nearside.gateway.reading import Reader
from nearside.gateway.records import Record
from nearside.gateway.replicating import Replicator
from nearside.gateway.spreading import Spreader
from nearside.gateway.staging import Staging
from nearside.gateway.uploading import Uploads
from nearside.gateway.writing import Writer
from tests.unit.gateway_interleaving import Hand, Register, Weather
from tests.unit.gateway_memory import MemoryRecords, MemoryStore, MemoryUploads, places_of

BUCKET = "photos"
KEYS = ("a", "b")
SKEW_SECONDS = 1.5


class InTurn:
    """Stands in for the threads of Staging."""

    def map[A, B](self, act: Callable[[A], B], given: Iterable[A]) -> Iterable[B]:
        return [act(each) for each in given]


class Process:
    """One gateway and one replicator, with breakers, caches and a clock of their own."""

    def __init__(self, world: "World", spreader: type[Spreader], skew: float = 0.0) -> None:
        self.places = places_of(world.stores, world.hand)

        def clock() -> float:
            return world.hand.now + skew

        leases, spread = Leases(world.records, clock, world.hand.sleep), spreader(self.places)
        parts = PartsOf(world.uploads, self.places)
        self.reader = Reader(leases, self.places, parts, world.tell)
        self.writer = Writer(leases, spread, world.promise, world.tell)
        copier = Copier(leases, self.places, world.promise, self.reader, parts, lambda: False, chunk_bytes=8)
        self.replicator = Replicator(leases, spread, world.promise, copier, parts, lambda *noted: None)
        staging = Staging(spread, world.promise, clock)
        staging.threads = cast(Any, InTurn())
        self.uploads = Uploads(world.records, world.uploads, staging, self.writer, self.reader, self.places, clock)


class World:
    """Places and a catalog, what was written there, and three processes. `longest` is how many seconds a place may take
    to answer; `lies` has a place give wrong bytes now and then, so that only verified reads are right."""

    def __init__(
        self,
        seed: int,
        kinds: Sequence[bool],
        promise: Promise,
        spreader: type[Spreader],
        *,
        longest: float = 11.0,
        lies: bool = False,
        hand: Hand | None = None,
    ) -> None:
        random.seed(seed)  # of the leases' pauses, too
        self.hand = hand or Hand(seed)
        self.random = self.hand.random
        self.promise, self.longest, self.lies, self._spreader = promise, longest, lies, spreader
        self.stores = [MemoryStore(f"p{n}", versions=kind, clock=self.hand) for n, kind in enumerate(kinds)]
        for store in self.stores:
            store.buckets[BUCKET] = {}
            store.fault = self.hand.fault(store.name)
        self.records, self.uploads = MemoryRecords(), MemoryUploads()
        self.records.fault = self.hand.fault("")
        self.time = itertools.count(1)
        self.keys = {key: Register(lambda: next(self.time)) for key in KEYS}
        self.bodies: dict[str, bytes] = {}
        self.processes = [self.process(skew) for skew in (0.0, -SKEW_SECONDS, SKEW_SECONDS)]
        self.acts = (
            *(self.put, self.put, self.delete, self.read, self.read),
            *(self.mend, self.mend, self.multipart, self.copy, self.retag),
        )

    def process(self, skew: float = 0.0) -> Process:
        """Another process, whose clock is that much ahead."""
        return Process(self, self._spreader, skew)

    def tell(self, bucket: str, key: str) -> None:
        """The queue loses every message: the sweep has to find the work."""

    def body(self, key: str) -> bytes:
        """Bytes that were never written before."""
        body = f"{key}{next(self.time)}".encode().ljust(self.random.choice((8, 20)), b".")
        self.bodies[hashlib.md5(body, usedforsecurity=False).hexdigest()] = body
        return body

    def put(self, process: Process, key: str) -> None:
        body, quorum = self.body(key), self.random.choice((None, None, len(self.stores)))
        self.keys[key].write(body, lambda: process.writer.put(BUCKET, key, body, Described(), Conditions(), quorum))

    def delete(self, process: Process, key: str) -> None:
        self.keys[key].write(None, lambda: process.writer.delete(BUCKET, key, Conditions()))

    def multipart(self, process: Process, key: str) -> None:
        body, size = self.body(key), self.random.choice((3, 5, 8))
        pieces = [body[first : first + size] for first in range(0, len(body), size)]
        self.bodies[etag_of([hashlib.md5(piece, usedforsecurity=False).hexdigest() for piece in pieces])] = body

        def act() -> None:
            upload = process.uploads.create(BUCKET, key, Described())
            parts = [process.uploads.part(upload, number, piece, {}) for number, piece in enumerate(pieces, 1)]
            wanted = [(part.number, part.etag) for part in parts]
            process.uploads.complete(upload, wanted, Conditions(), None)
            if self.random.random() < 0.3:  # the client did not hear it, and says it again
                process.uploads.complete(upload, wanted, Conditions(), None)

        self.keys[key].write(body, act)

    def copy(self, process: Process, key: str) -> None:
        """A copy of another key, or of this one onto itself."""
        try:
            source = process.reader.find(BUCKET, self.random.choice(KEYS))
        except NearsideError:
            return
        assert source.current is not None
        if self.lies and "-" in source.current.etag:  # nobody knows the SHA-256 of what would come
            return
        body = self.bodies[source.current.etag]
        self.keys[key].write(body, lambda: process.writer.copy(source, BUCKET, key, Described(), Conditions(), None))

    def retag(self, process: Process, key: str) -> None:
        try:
            process.writer.retag(BUCKET, key, {"tagged": str(next(self.time))})
        except NearsideError:
            return

    def mend(self, process: Process, key: str) -> None:
        try:
            process.replicator.mend(BUCKET, key)
        except NearsideError:
            return

    def read(self, process: Process, key: str) -> None:
        began, verified = next(self.time), self.random.random() < 0.3
        try:
            record = process.reader.find(BUCKET, key)
            found: bytes | None = self._bytes(process, record, verified=verified)
        except Missing:
            found = None
        except NearsideError:
            return
        if self.lies and not verified and found is not None:
            return
        told = self.keys[key].told()
        assert self.keys[key].may_be(found, began, next(self.time)), (key, found, began, told)

    def _bytes(self, process: Process, record: Record, *, verified: bool) -> bytes:
        assert record.current is not None
        last = record.current.size - 1
        return process.reader.read(record, 0, last, "verified" if verified else "latest").data

    def change_weather(self) -> None:
        chance = self.random
        self.hand.weather = Weather(
            flaky=chance.choice((0, 0.05, 0.2)),
            catalog=chance.choice((0, 0, 0.05)),
            deadly=chance.choice((0, 0.01, 0.03)),
            slow=chance.choice((0, 0.1, 0.4)),
            longest=self.longest,
            down=frozenset(store.name for store in self.stores if chance.random() < 0.2),
        )
        for store in self.stores:
            store.wrong = self.lies and chance.random() < 0.2

    def play(self, operations: int, at_once: int) -> None:
        """So many operations, up to `at_once` of them at the same time."""
        try:
            for _ in range(operations):
                while len(self.hand.tasks) >= at_once:
                    self.hand.step()
                if self.random.random() < 0.15:
                    self.change_weather()
                act = self.random.choice(self.acts)
                self._begin(act, self.random.choice(self.processes), self.random.choice(KEYS))
                for _ in range(self.random.randrange(12)):
                    if self.hand.tasks:
                        self.hand.step()
            self.hand.end()
        finally:
            self.hand.clear()

    def _begin(self, act: Callable[[Process, str], None], process: Process, key: str) -> None:
        self.hand.begin(lambda: act(process, key))

    def settle(self) -> None:
        """Everything is well again, and the sweep comes by until nothing is due."""
        self.hand.weather = Weather()
        for store in self.stores:
            store.wrong = False
        process = self.process()
        for _ in range(30):
            self.hand.now += 1000
            due = self.records.due(int(self.hand.now * 1000), 100)
            if not due:
                return
            for bucket, key in due:
                process.replicator.mend(bucket, key)
        raise AssertionError(f"still due: {self.records.items}")

    def check(self) -> None:
        """Every place has what the gateway gives, under its own name, and nothing else; and the catalog nothing that is
        still to be done."""
        process = self.process()
        expected = {}
        for key in KEYS:
            self.read(process, key)
            try:
                record = process.reader.find(BUCKET, key)
            except Missing:
                continue
            expected[key] = self._bytes(process, record, verified=False)
        for store in self.stores:
            found = {key: body for key, body in store.bodies(BUCKET).items() if not key.startswith(".nearside/")}
            assert found == expected, (store.name, self.records.items)
        for record in self.records.items.values():
            assert not record.intents, record
            assert not record.litter, record
            assert not record.staged, record
            assert record.lease is None, record

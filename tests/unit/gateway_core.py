"""A gateway over places in memory that does one thing at a time, for tests that say what happens when."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from nearside.errors import NearsideError, Unreachable
from nearside.gateway.copying import Copier
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.leases import Leases
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Promise
from nearside.gateway.reading import Body, Reader
from nearside.gateway.records import Copy, Generation, Record, Store, StoresUploads
from nearside.gateway.replicating import Replicator
from nearside.gateway.spreading import Spreader
from nearside.gateway.staging import Staging
from nearside.gateway.uploading import Uploads
from nearside.gateway.writing import Writer
from tests.unit.gateway_memory import Clock, MemoryRecords, MemoryStore, MemoryUploads, places_of
from tests.unit.gateway_processes import InTurn

BUCKET, KEY = "photos", "a/key"
VERSIONED, PLAIN = True, False

logging.getLogger("nearside").addHandler(logging.NullHandler())


class OneByOne(Spreader):
    """Asks the places one after the other, so that the same happens every time."""

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


class Process:
    """What one process of the gateway has."""

    def __init__(self, world: "Gateway", chunk_bytes: int, spreader: type[Spreader]) -> None:
        self.places = places_of([store for store in world.stores if store.name not in world.disabled], world.clock)
        self.leases = Leases(world.records, world.clock, world.clock.sleep)
        self.spread = spreader(self.places)
        self.parts = PartsOf(cast(StoresUploads, world.uploads), self.places)
        self.reader = Reader(self.leases, self.places, self.parts, world.tell)
        self.writer = Writer(self.leases, self.spread, world.promise, world.tell)
        copier = Copier(
            self.leases, self.places, world.promise, self.reader, self.parts, world.is_out_of_time, chunk_bytes
        )
        self.replicator = Replicator(self.leases, self.spread, world.promise, copier, self.parts, world.note)
        staging = Staging(self.spread, world.promise, world.clock)
        staging.threads = cast(Any, InTurn())
        self.multipart = Uploads(
            world.records, world.uploads, staging, self.writer, self.reader, self.places, world.clock
        )

    def put(self, body: bytes, key: str = KEY, quorum: int | None = None, **conditions: Any) -> Record:
        return self.writer.put(BUCKET, key, body, Described(), Conditions(**conditions), quorum)

    def delete(self, key: str = KEY) -> Record | None:
        return self.writer.delete(BUCKET, key, Conditions())

    def upload(self, *pieces: bytes, key: str = KEY) -> Record:
        """An object of these parts."""
        upload = self.multipart.create(BUCKET, key, Described())
        parts = [self.multipart.part(upload, number, piece, {}) for number, piece in enumerate(pieces, 1)]
        return self.multipart.complete(upload, [(part.number, part.etag) for part in parts], Conditions(), None)

    def get(self, consistency: Any = "latest", key: str = KEY) -> Body:
        record = self.reader.find(BUCKET, key, consistency)
        assert record.current is not None
        return self.reader.read(record, 0, record.current.size - 1, consistency)

    def mend(self, key: str = KEY) -> Record:
        record = self.replicator.mend(BUCKET, key)
        assert record is not None
        return record


class Gateway(Process):
    """One process over places `p0`, `p1`, … of these kinds. `calls` are those of the places, in order; `do` makes
    something happen when a call is about to be made, or was made."""

    def __init__(
        self,
        *kinds: bool,
        required: int = 2,
        chunk_bytes: int = 8,
        spreader: type[Spreader] = OneByOne,
        verify: bool = False,
        async_upload: bool = True,
    ) -> None:
        self.clock = Clock()
        self.promise = Promise(required_replicas=required, verify_uploads=verify, async_upload=async_upload)
        self.stores = [MemoryStore(f"p{n}", versions=kind, clock=self.clock) for n, kind in enumerate(kinds)]
        self.records, self.uploads = MemoryRecords(), MemoryUploads()
        self.down: set[str] = set()
        self.disabled: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str, str]] = []
        self.out_of_time: Callable[[], bool] = lambda: False
        self._happen: list[tuple[str, str, str, Callable[[], object]]] = []
        for store in self.stores:
            store.buckets[BUCKET] = {}
            store.fault = self._fault(store.name)
        self.records.fault = self._fault("catalog")
        self._chunk_bytes, self._spreader = chunk_bytes, spreader
        super().__init__(self, chunk_bytes, spreader)

    def another(self) -> Process:
        """Another process, which knows nothing of this one."""
        return Process(self, self._chunk_bytes, self._spreader)

    def tell(self, bucket: str, key: str) -> None:
        self.told.append((bucket, key))

    def note(self, record: Record, place: str, action: str, why: str) -> None:
        self.notes.append((place, action, why))

    def is_out_of_time(self) -> bool:
        return self.out_of_time()

    def do(self, place: str, method: str, when: str, act: Callable[[], object]) -> None:
        """Once, when that call is next made."""
        self._happen.append((place, method, when, act))

    def fail(self, place: str, method: str, when: str = "before", error: Exception | None = None) -> None:
        """Once: `before` means that the place did not do it, `after` that its answer was lost."""
        wrong = error or Unreachable(f"{place} does not answer")

        def act() -> None:
            raise wrong

        self.do(place, method, when, act)

    def _fault(self, name: str) -> Callable[[str, str], None]:
        def fault(method: str, when: str) -> None:
            if name != "catalog" and when == "before":
                self.calls.append((name, method))
            happens = next((each for each in self._happen if each[:3] == (name, method, when)), None)
            if happens:
                self._happen.remove(happens)
                happens[3]()
            if name in self.down and when == "before":
                raise Unreachable(f"{name} does not answer")

        return fault

    def bodies(self, key: str = KEY) -> dict[str, bytes | None]:
        """What a client of each place sees under the key."""
        return {store.name: store.bodies(BUCKET).get(key) for store in self.stores}

    def versions(self, place: int, key: str = KEY) -> list[bytes | None]:
        """All versions that the place has, oldest first; None is a delete marker."""
        return [held.body if held else None for held in self.stores[place].buckets[BUCKET].get(key, [])]

    def staged(self) -> set[str]:
        """The gateway's own keys in all places."""
        keys = {key for store in self.stores for key in store.bodies(BUCKET)}
        return {key for key in keys if key.startswith(".nearside/")}

    def record(self, key: str = KEY) -> Record:
        return self.records.items[BUCKET, key]

    def copy(self, place: str, key: str = KEY) -> Copy:
        return self.record(key).copies[place]

    def generation(self, key: str = KEY) -> Generation:
        current = self.record(key).current
        assert current is not None
        return current

    def states(self, key: str = KEY) -> dict[str, str]:
        return {name: copy.state for name, copy in self.record(key).copies.items()}

    def is_free(self, key: str = KEY) -> bool:
        """Whether nobody has the lease."""
        record = self.records.items.get((BUCKET, key))
        return record is None or record.lease is None

    def settle(self) -> None:
        """Another process mends what is due until nothing is."""
        process = self.another()
        for _ in range(20):
            self.clock.sleep(1000.0)
            due = self.records.due(int(self.clock() * 1000), 100)
            if not due:
                return
            for bucket, key in due:
                process.replicator.mend(bucket, key)
        raise AssertionError(f"still due: {self.records.items}")


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()

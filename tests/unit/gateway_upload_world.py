"""A gateway with uploads over places in memory: nothing in it is done at the same time as anything else."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from nearside.errors import NearsideError
from nearside.gateway.copying import Copier
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.leftovers import Leftovers, named_by
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Places, Promise
from nearside.gateway.reading import Reader
from nearside.gateway.records import Record, Store, Upload
from nearside.gateway.replicating import Replicator
from nearside.gateway.spreading import Spreader
from nearside.gateway.staging import Staging
from nearside.gateway.uploading import Uploads
from nearside.gateway.writing import Writer
from tests.unit.gateway_memory import Clock, MemoryRecords, MemoryStore, MemoryUploads, leases_of, places_of

BUCKET, KEY = "photos", "a/big one"
OLD = 8 * 24 * 3600.0


class OneByOne(Spreader):
    """Asks the places one after the other, so that the same is done in the same order every time."""

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


class InTurn:
    """Stands in for the threads of Staging."""

    def map[A, B](self, act: Callable[[A], B], given: Iterable[A]) -> Iterable[B]:
        return [act(each) for each in given]


class FaultyUploads(MemoryUploads):
    """MemoryUploads whose every method asks `fault` before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Callable[[str, str], None] = lambda method, when: None

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("begin", "upload", "uploads", "end", "put_part", "parts", "remove_parts"):
            return found

        def asked(*given: Any, **named: Any) -> Any:
            self.fault(name, "before")
            answer = found(*given, **named)
            self.fault(name, "after")
            return answer

        return asked


class Gateway:
    """Three places of which one has no versions; `promise` says how many a part goes to."""

    def __init__(self, promise: Promise | None = None) -> None:
        self.clock = Clock()
        self.stores = {
            name: MemoryStore(name, versions=name != "c", clock=self.clock, buckets={BUCKET: {}}) for name in "abc"
        }
        self.records, self.uploading = MemoryRecords(), FaultyUploads()
        self.promise = promise or Promise(required_replicas=2)
        self.told: list[tuple[str, str]] = []
        self.start()

    def start(self) -> None:
        """A new process over the same stores."""
        self.places: Places = places_of(list(self.stores.values()), self.clock)
        leases, spread = leases_of(self.records, self.clock), OneByOne(self.places)
        parts = PartsOf(self.uploading, self.places)
        self.reader = Reader(leases, self.places, parts, self._tell)
        self.writer = Writer(leases, spread, self.promise, self._tell)
        copier = Copier(leases, self.places, self.promise, self.reader, parts, lambda: False, chunk_bytes=8)
        self.replicator = Replicator(leases, spread, self.promise, copier, parts, lambda *noted: None)
        self.leftovers = Leftovers(self.uploading, self.places, self.clock)
        self.staging = Staging(spread, self.promise, self.clock)
        self.staging.threads = cast(ThreadPoolExecutor, InTurn())
        self.uploads = Uploads(
            self.records, self.uploading, self.staging, self.writer, self.reader, self.places, self.clock
        )

    def set_fault(self, fault: Callable[[str, str], None]) -> None:
        """Has every call to a store ask it."""
        self.records.fault = self.uploading.fault = fault
        for store in self.stores.values():
            store.fault = fault

    def _tell(self, bucket: str, key: str) -> None:
        self.told.append((bucket, key))

    def create(self, described: Described | None = None) -> Upload:
        return self.uploads.create(BUCKET, KEY, described or Described())

    def put(self, upload: Upload, *bodies: bytes) -> list[tuple[int, str]]:
        """Uploads these parts; what a client completes them with."""
        return [(n, self.uploads.part(upload, n, body, {}).etag) for n, body in enumerate(bodies, start=1)]

    def complete(self, upload: Upload, wanted: Sequence[tuple[int, str]], **more: Any) -> Record:
        more = {"conditions": Conditions(), "quorum": None, **more}
        return self.uploads.complete(upload, wanted, **more)

    def found(self) -> bytes:
        """The object's bytes. Raises Missing."""
        record = self.reader.find(BUCKET, KEY)
        assert record.current is not None
        return self.reader.read(record, 0, record.current.size - 1).data

    def staged(self) -> dict[str, set[str]]:
        """The staged objects that each place shows."""
        return {name: {key for key in store.bodies(BUCKET) if key != KEY} for name, store in self.stores.items()}

    def items(self) -> dict[str, list[int]]:
        """The numbers of the parts that are listed, by list."""
        return {name: sorted(parts) for name, parts in self.uploading.numbered.items() if parts}

    def settle(self) -> None:
        """The replicator does what is to be done, and reconcile what it does a week later."""
        self.set_fault(lambda method, when: None)
        self.start()
        for _ in range(20):
            self.clock.sleep(1000.0)
            due = self.records.due(int(self.clock() * 1000), 100)
            for bucket, key in due:
                self.replicator.mend(bucket, key)
            if not due:
                break
        self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """What reconcile does of parts a week later."""
        self.clock.sleep(OLD)
        ids = {each for name in self.places.names for each in self.leftovers.found(BUCKET, name)}
        for record in self.records.items.values():
            ids -= named_by(record)
        for upload_id in ids:
            for name in self.places.names:
                list(self.leftovers.remove(BUCKET, name, upload_id, dry_run=False))
            self.leftovers.forget(upload_id)


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()

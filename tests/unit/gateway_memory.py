"""The gateway's stores in memory: records, uploads, and places that fail on command."""

import copy as copying
import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from nearside.errors import Missing, MissingBucket, Refused, Unreachable
from nearside.gateway.errors import BucketNotEmpty, Busy, LeaseLost
from nearside.gateway.leases import Leases
from nearside.gateway.places import Place, Places, Promise
from nearside.gateway.records import Bucket, Copy, Generation, Lease, Listed, Part, Record, Seen, Stored, Upload


class MemoryRecords:
    """Implements StoresRecords. `fault` is asked before and after `load`, `lease` and `save`, as MemoryStore's is."""

    def __init__(self) -> None:
        self.fault: Callable[[str, str], None] = lambda method, when: None
        self.items: dict[tuple[str, str], Record] = {}
        self.made: dict[str, Bucket] = {}
        self.down = False
        self.lock = threading.Lock()

    def _up(self) -> None:
        if self.down:
            raise Unreachable("the catalog does not answer")

    def load(self, bucket: str, key: str, *, eventual: bool = False) -> Record | None:
        self._up()
        self.fault("load", "before")
        return self.items.get((bucket, key))

    def lease(self, bucket: str, key: str, lease: Lease, now: int, intent: Generation | None = None) -> Record:
        self._up()
        self.fault("lease", "before")
        with self.lock:
            stands = self.items.get((bucket, key), Record(bucket=bucket, key=key))
            if stands.lease and stands.lease.until > now:
                raise Busy(f"{key} is being written")
            intents = (*stands.intents, intent) if intent else stands.intents
            self.items[bucket, key] = msgspec.structs.replace(stands, lease=lease, intents=intents)
        self.fault("lease", "after")
        return msgspec.structs.replace(stands, lease=lease)

    def save(self, record: Record, owner: str) -> None:
        self._up()
        self.fault("save", "before")
        with self.lock:
            stands = self.items.get((record.bucket, record.key))
            if stands is None or stands.lease is None or stands.lease.owner != owner:
                raise LeaseLost(f"{record.key} is somebody else's by now")
            # Through JSON, as a real store does: what does not survive that shows.
            record = msgspec.json.decode(msgspec.json.encode(record), type=Record)
            if record.current or record.deleted or record.copies or record.intents or record.litter or record.lease:
                self.items[record.bucket, record.key] = record
            else:
                del self.items[record.bucket, record.key]
        self.fault("save", "after")

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Record], bool]:
        self._up()
        keys = sorted(key for of, key in self.items if of == bucket and key.startswith(prefix) and key > after)
        return [self.items[bucket, key] for key in keys[:limit]], len(keys) > limit

    def due(self, now: int, limit: int) -> Sequence[tuple[str, str]]:
        found = [
            (each.bucket, each.key)
            for each in self.items.values()
            if (each.due is not None and each.due <= now) or (each.lease and each.lease.until <= now)
        ]
        return found[:limit]

    def buckets(self) -> Sequence[Bucket]:
        self._up()
        return sorted(self.made.values(), key=lambda each: each.name)

    def bucket(self, name: str) -> Bucket | None:
        self._up()
        return self.made.get(name)

    def put_bucket(self, bucket: Bucket) -> bool:
        self._up()
        return self.made.setdefault(bucket.name, bucket) is bucket

    def remove_bucket(self, name: str) -> None:
        self._up()
        self.made.pop(name, None)


class MemoryUploads:
    """Implements StoresUploads."""

    def __init__(self) -> None:
        self.under_way: dict[tuple[str, str, str], Upload] = {}
        self.numbered: dict[str, dict[int, Part]] = {}

    def begin(self, upload: Upload) -> None:
        self.under_way[upload.bucket, upload.key, upload.id] = upload

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        return self.under_way.get((bucket, key, upload_id))

    def uploads(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Upload], bool]:
        names = sorted(
            (f"{key}\0{upload_id}", each)
            for (of, key, upload_id), each in self.under_way.items()
            if of == bucket and key.startswith(prefix)
        )
        found = [each for name, each in names if name > after and name.partition("\0")[0] != after]
        return found[:limit], len(found) > limit

    def end(self, upload: Upload) -> bool:
        return self.under_way.pop((upload.bucket, upload.key, upload.id), None) is not None

    def put_part(self, upload_id: str, part: Part) -> Part | None:
        parts = self.numbered.setdefault(upload_id, {})
        before = parts.get(part.number)
        parts[part.number] = part
        return before

    def parts(self, upload_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Part]:
        parts = self.numbered.get(upload_id, {})
        return [parts[number] for number in sorted(parts) if number > after][:limit]

    def remove_parts(self, upload_id: str, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.numbered.get(upload_id, {}).pop(number, None)


@dataclass(slots=True)
class Held:
    """One version in a place."""

    body: bytes
    etag: str
    version: str | None
    generation: str
    headers: Mapping[str, str]
    modified: float


@dataclass
class MemoryStore:
    """Implements Store: a place, with versions or without. `fault` is asked before and after each call, with the
    method's name and `before` or `after`, and raises what is to go wrong; `wrong` makes it give other bytes."""

    name: str
    versions: bool = True
    clock: Callable[[], float] = lambda: 0.0
    buckets: dict[str, dict[str, list[Held | None]]] = field(default_factory=dict)
    multiparts: dict[str, tuple[Generation, dict[int, bytes]]] = field(default_factory=dict)
    fault: Callable[[str, str], None] = lambda method, when: None
    wrong: bool = False
    locked: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def _keys(self, bucket: str) -> dict[str, list[Held | None]]:
        if self.locked:
            raise Refused(f"{self.name} refused it")
        if bucket not in self.buckets:
            raise MissingBucket(f"{self.name} has no bucket {bucket}")
        return self.buckets[bucket]

    def _find(self, bucket: str, key: str, version: str | None) -> Held | None:
        held = self._keys(bucket).get(key, [])
        if version is None:
            return held[-1] if held else None
        return next((each for each in held if each and each.version == version), None)

    def _write(self, bucket: str, key: str, body: bytes, generation: Generation, etag: str = "") -> Stored:
        keys = self._keys(bucket)
        version = f"{self.name}{next(self.numbers)}" if self.versions else None
        etag = etag or hashlib.md5(body, usedforsecurity=False).hexdigest()
        held = Held(body, etag, version, generation.id, generation.headers, self.clock())
        keys[key] = [*keys.get(key, []), held] if self.versions else [held]
        return Stored(version, etag)

    def _done[T](self, method: str, act: Callable[[], T]) -> T:
        self.fault(method, "before")
        with self.lock:
            answer = act()
        self.fault(method, "after")
        return answer

    def put(self, bucket: str, key: str, body: bytes, generation: Generation) -> Stored:
        return self._done("put", lambda: self._write(bucket, key, body, generation))

    def copy(self, bucket: str, key: str, source: tuple[str, str, Copy], generation: Generation) -> Stored:
        def act() -> Stored:
            self._keys(bucket)
            held = self._find(source[0], source[1], source[2].version)
            if held is None or held.etag != source[2].etag:
                raise Missing("the source is not there")
            return self._write(bucket, key, held.body, generation)

        return self._done("copy", act)

    def get(self, bucket: str, key: str, version: str | None, first: int, last: int) -> tuple[bytes, str]:
        body, etag = self.whole(bucket, key, version)
        return body[first : last + 1], etag

    def whole(self, bucket: str, key: str, version: str | None) -> tuple[bytes, str]:
        def act() -> tuple[bytes, str]:
            held = self._find(bucket, key, version)
            if held is None:
                raise Missing(f"{self.name} has no {key}")
            body = bytes(byte ^ 255 for byte in held.body) if self.wrong else held.body
            return body, held.etag

        return self._done("get", act)

    def head(self, bucket: str, key: str, version: str | None = None) -> Seen | None:
        def act() -> Seen | None:
            held = self._find(bucket, key, version)
            if held is None:
                return None
            return Seen(
                size=len(held.body),
                etag=held.etag,
                version=held.version,
                generation=held.generation,
                modified=held.modified,
                headers=held.headers,
            )

        return self._done("head", act)

    def delete(self, bucket: str, key: str, version: str | None = None) -> None:
        def act() -> None:
            keys = self._keys(bucket)
            if version is not None:
                keys[key] = [each for each in keys.get(key, []) if not each or each.version != version]
            elif self.versions:
                keys[key] = [*keys.get(key, []), None]
            else:
                keys.pop(key, None)
            if key in keys and not keys[key]:
                del keys[key]

        self._done("delete", act)

    def presign(
        self, bucket: str, key: str, version: str | None, seconds: int, query: Mapping[str, str], method: str = "GET"
    ) -> str:
        return f"https://{self.name}.test/{bucket}/{key}?v={version}&s={seconds}&{sorted(query.items())}"

    def begin(self, bucket: str, key: str, generation: Generation) -> str:
        def act() -> str:
            self._keys(bucket)
            upload_id = f"{self.name}-upload-{next(self.numbers)}"
            self.multiparts[upload_id] = (generation, {})
            return upload_id

        return self._done("begin", act)

    def part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        def act() -> str:
            if upload_id not in self.multiparts:
                raise Missing("there is no such upload")
            self.multiparts[upload_id][1][number] = body
            return hashlib.md5(body, usedforsecurity=False).hexdigest()

        return self._done("part", act)

    def parts(self, bucket: str, key: str, upload_id: str) -> Mapping[int, tuple[str, int]]:
        def act() -> Mapping[int, tuple[str, int]]:
            if upload_id not in self.multiparts:
                raise Missing("there is no such upload")
            bodies = self.multiparts[upload_id][1]
            return {
                number: (hashlib.md5(body, usedforsecurity=False).hexdigest(), len(body))
                for number, body in bodies.items()
            }

        return self._done("parts", act)

    def complete(self, bucket: str, key: str, upload_id: str, etags: Sequence[str]) -> Stored:
        def act() -> Stored:
            if upload_id not in self.multiparts:
                raise Missing("there is no such upload")
            generation, bodies = self.multiparts.pop(upload_id)
            body = b"".join(bodies[number] for number in range(1, len(etags) + 1))
            whole = hashlib.md5(body, usedforsecurity=False).hexdigest()
            return self._write(bucket, key, body, generation, f"{whole}-{len(etags)}-{self.name}")

        return self._done("complete", act)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        self._done("abort", lambda: self.multiparts.pop(upload_id, None))

    def listing(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Listed], bool]:
        def act() -> tuple[Sequence[Listed], bool]:
            tops = {key: held[-1] for key, held in self._keys(bucket).items() if held and held[-1]}
            keys = sorted(key for key in tops if key.startswith(prefix) and key > after)
            found = [
                Listed(key, len(top.body), top.etag, top.modified)
                for key in keys[:limit]
                if (top := tops[key]) is not None
            ]
            return found, len(keys) > limit

        return self._done("listing", act)

    def make_bucket(self, bucket: str) -> None:
        self._done("make_bucket", lambda: self.buckets.setdefault(bucket, {}))

    def has_bucket(self, bucket: str) -> bool:
        return self._done("has_bucket", lambda: bucket in self.buckets)

    def remove_bucket(self, bucket: str) -> None:
        def act() -> None:
            keys = self.buckets.get(bucket, {})
            if any(held and held[-1] for key, held in keys.items() if not key.startswith(".nearside/")):
                raise BucketNotEmpty(f"{bucket} is not empty")
            self.buckets.pop(bucket, None)

        self._done("remove_bucket", act)

    def bodies(self, bucket: str) -> dict[str, bytes]:
        """What a client of the place itself sees of a bucket."""
        keys = copying.copy(self.buckets.get(bucket, {}))
        return {key: held[-1].body for key, held in keys.items() if held and held[-1]}


class Clock:
    """Stands still until it is told to go on, or somebody sleeps."""

    def __init__(self, now: float = 1_760_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def places_of(stores: Sequence[MemoryStore], clock: Callable[[], float]) -> Places:
    """Places over these stores, the first one primary, in zones `zone-<name>`."""
    return Places([Place(each.name, "other", f"zone-{each.name}", each is stores[0], each) for each in stores], clock)


def leases_of(records: MemoryRecords, clock: Clock) -> Leases:
    """Leases over the records, on that clock."""
    return Leases(records, clock, clock.sleep)


PROMISE = Promise(required_replicas=2)

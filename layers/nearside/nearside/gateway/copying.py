"""Copying an object to a place that lacks it: small ones at once, large ones in parts that a later try goes on with."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from nearside.errors import Contended, Missing, MissingBucket, NearsideError, Unreachable
from nearside.gateway.describing import Consistency
from nearside.gateway.errors import LeaseLost, OutOfTime, WrongBytes
from nearside.gateway.leases import CALL_SECONDS, LONG_CALL_SECONDS, Leases
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Places, Promise
from nearside.gateway.proving import Proof, Segment
from nearside.gateway.reading import MAX_VERIFIED_BYTES, Reader
from nearside.gateway.records import Copy, Generation, Record, Store, Stored
from nearside.gateway.undoing import note_late

CHUNK_BYTES = 16 * 1024**2
_BYTES_PER_SECOND = 10_000_000  # at least, of a provider that makes one object of parts
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
ATTEMPTS_TO_FAIL = 8  # then the copy counts as FAILED, and is still tried


class Copier:
    """Copies one object to one place. `out_of_time` says that there is no time for another part."""

    def __init__(
        self,
        leases: Leases,
        places: Places,
        promise: Promise,
        reader: Reader,
        parts: PartsOf,
        out_of_time: Callable[[], bool],
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._leases = leases
        self._places = places
        self._promise = promise
        self._reader = reader
        self._parts = parts
        self._out_of_time = out_of_time
        self._chunk_bytes = chunk_bytes

    def copy(self, record: Record, name: str) -> Record:
        """The record after the place was given its copy, or with what went wrong. Raises OutOfTime, Busy, LeaseLost."""
        current = record.current
        assert current is not None  # for mypy: only called with one
        try:
            if current.size <= self._chunk_bytes:
                return self._small(record, name, current)
            return self._large(record, name, current)
        except (OutOfTime, Contended):
            raise
        except NearsideError as error:
            return self._failed(record, name, error)

    def _small(self, record: Record, name: str, current: Generation) -> Record:
        proved: Consistency = "verified" if self._segments(current) else "latest"
        data = self._reader.read(record, 0, current.size - 1, proved).data

        def act(store: Store) -> Stored:
            stored = store.put(record.bucket, record.key, data, current)
            if self._promise.verify_uploads and store.whole(record.bucket, record.key, stored.version)[0] != data:
                raise Unreachable("it gives back other bytes than were written")
            return stored

        return self._landed(record, name, act, CALL_SECONDS)[0]

    def _large(self, record: Record, name: str, current: Generation) -> Record:
        copy = record.copies.get(name, Copy())
        if copy.etag and not copy.multipart:
            return self._read_back(record, name, current)
        record, upload_id = self._begun(record, name, current)
        if not upload_id:
            return record
        proof = Proof(self._segments(current))
        try:
            etags = self._uploaded(record, name, current, upload_id, proof)
        except WrongBytes as error:  # another try begins anew, and asks another place first
            self._aborted(record, name, upload_id)
            return self._failed(record, name, error, multipart="")
        if etags is None:
            return self._noted(record, name, multipart="")
        proved = not self._segments(current) or (proof.whole and not self._promise.verify_uploads)
        landed, is_ours = self._landed(
            record,
            name,
            lambda store: store.complete(record.bucket, record.key, upload_id, etags),
            LONG_CALL_SECONDS,
            proved=proved,
        )
        if not is_ours:
            self._aborted(record, name, upload_id)
            return landed
        return landed if proved else self._read_back(landed, name, current)

    def _uploaded(
        self, record: Record, name: str, current: Generation, upload_id: str, proof: Proof
    ) -> list[str] | None:
        """The ETags of all parts, of which the place may have the first ones already; None when there is no such upload
        any more. Raises OutOfTime; WrongBytes when they are not those that were written."""
        try:
            have = self._places.ask(name, lambda s: s.parts(record.bucket, record.key, upload_id))
        except Missing:
            return None
        chunk, proves = self._chunk(current)
        turn = record.copies.get(name, Copy()).attempts
        etags: list[str] = []
        for number, first in enumerate(range(0, current.size, chunk), 1):
            last = min(first + chunk, current.size) - 1
            # Only while all before it are there: after a change of the size of parts, others lie elsewhere.
            if number == len(etags) + 1 and number in have and have[number][1] == last - first + 1:
                if not proves:
                    proof.skip()
                etags.append(have[number][0])
                continue
            have = {}
            if self._out_of_time():
                raise OutOfTime(f"{number - 1} parts of {-(-current.size // chunk)} are copied")
            data = self._reader.read(record, first, last, "verified" if proves else "latest", turn).data
            if not proves:
                proof.feed(first, data)
            etags.append(self._part(record, name, upload_id, number, data))
        return etags

    def _part(self, record: Record, name: str, upload_id: str, number: int, data: bytes) -> str:
        return self._places.ask(name, lambda s: s.part(record.bucket, record.key, upload_id, number, data))

    def _chunk(self, current: Generation) -> tuple[int, bool]:
        """How large the parts of the copy are, and whether each is proved before it is copied: where the client's own
        parts are small and alike, so that each of ours has some of them whole. Ours must be alike too: some providers
        refuse others (https://developers.cloudflare.com/r2/objects/multipart-objects/)."""
        least = chunk_bytes(current.size, self._chunk_bytes)
        parts = self._parts.all(current.upload) if current.upload else ()
        size = parts[0].size if parts else 0
        alike = all(part.size == size for part in parts[:-1]) and all(part.sha256 for part in parts)
        chunk = -(-least // size) * size if 0 < size <= least else 0
        if not 0 < chunk <= MAX_VERIFIED_BYTES or not alike or parts[-1].size > size:
            return least, False
        return chunk, True

    def _begun(self, record: Record, name: str, current: Generation) -> tuple[Record, str]:
        """The record with the place's upload that this copy goes by, and its id; none when it is needed no more."""
        if upload_id := record.copies.get(name, Copy()).multipart:
            return record, upload_id
        bucket, key = record.bucket, record.key
        try:
            upload_id = self._places.ask(name, lambda store: store.begin(bucket, key, current))
        except MissingBucket:
            self._places.ask(name, lambda store: store.make_bucket(bucket))
            upload_id = self._places.ask(name, lambda store: store.begin(bucket, key, current))
        try:
            held = self._leases.take(bucket, key)
            copy = held.copies.get(name, Copy())
            if self._is_wanted(held, record, name) and not copy.multipart:
                begun = msgspec.structs.replace(copy, multipart=upload_id, version=None, etag="")
                noted = msgspec.structs.replace(held, copies={**held.copies, name: begun})
                return self._leases.end(noted, held), upload_id
            saved = self._leases.end(held, held)
        except NearsideError:
            self._aborted(record, name, upload_id)
            raise
        self._aborted(record, name, upload_id)
        return saved, copy.multipart if self._is_wanted(
            saved, record, name
        ) else ""  # another run's: it goes on with that

    def _aborted(self, record: Record, name: str, upload_id: str) -> None:
        with suppress(NearsideError):  # the bucket's own lifecycle rule ends it otherwise
            self._places.ask(name, lambda store: store.abort(record.bucket, record.key, upload_id))

    def _landed(
        self, record: Record, name: str, act: Callable[[Store], Stored], call_seconds: float, *, proved: bool = True
    ) -> tuple[Record, bool]:
        """The record after `act`, which makes the object appear in the place: under the lease, so that nothing newer is
        written over, and only if it is still wanted; and whether it was. Without `proved` it does not count yet."""
        bucket, key = record.bucket, record.key
        extra = call_seconds - CALL_SECONDS + (record.current or _NOTHING).size / _BYTES_PER_SECOND
        current = msgspec.structs.replace(record.current or _NOTHING, made=self._leases.now())
        held = self._leases.take(bucket, key, current, extra_seconds=extra)
        if not self._is_wanted(held, record, name):
            return self._leases.end(held, held), False
        try:
            with self._leases.given_back(held):
                stored = self._acted(held, name, act, call_seconds)
        except NearsideError:
            with suppress(NearsideError):
                self._leases.end(held, held)
            raise
        before = held.copies.get(name, Copy())
        done = Copy(state="COMPLETED", version=stored.version, etag=stored.etag)
        if not proved:
            done = msgspec.structs.replace(done, state=before.state, attempts=before.attempts)
        try:
            return self._leases.end(msgspec.structs.replace(held, copies={**held.copies, name: done}), held), True
        except LeaseLost:
            late = {name: Copy(state="COMPLETED")}
            note_late(self._leases, msgspec.structs.replace(held, copies=late))
            raise

    def _acted(self, held: Record, name: str, act: Callable[[Store], Stored], call_seconds: float) -> Stored:
        try:
            return self._places.ask(name, act)
        except MissingBucket:
            self._places.ask(name, lambda store: store.make_bucket(held.bucket))
            self._leases.check(held, call_seconds)
            return self._places.ask(name, act)

    def _read_back(self, record: Record, name: str, current: Generation) -> Record:
        """The record with the copy that landed proved, or taken for missing again when the place gives back other bytes
        than were written. Raises OutOfTime: then it is read from its beginning again."""
        landed = record.copies.get(name, Copy())
        proof = Proof(self._segments(current))
        chunk = chunk_bytes(current.size, self._chunk_bytes)
        try:
            for first in range(0, current.size, chunk):
                if self._out_of_time():
                    raise OutOfTime(f"{first} bytes of {current.size} are read back")
                last = min(first + chunk, current.size) - 1
                data, etag = self._places.ask(
                    name,
                    lambda s, a=first, b=last: s.get(record.bucket, record.key, landed.version, a, b),  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
                )
                if etag != landed.etag:
                    raise WrongBytes("it has another version there")
                proof.feed(first, data)
        except (Missing, WrongBytes) as error:
            return self._failed(record, name, error, version=None, etag="")
        return self._noted(record, name, state="COMPLETED", attempts=0, why="")

    def _segments(self, current: Generation) -> Sequence[Segment]:
        if current.upload:
            return self._parts.segments(current.upload, 0, current.size - 1)
        return [(0, current.size - 1, current.sha256)] if current.sha256 else []

    def _failed(self, record: Record, name: str, error: NearsideError, **changes: object) -> Record:
        attempts = record.copies.get(name, Copy()).attempts + 1
        state = "FAILED" if attempts >= ATTEMPTS_TO_FAIL else "PENDING"
        return self._noted(record, name, state=state, attempts=attempts, why=str(error)[:200], **changes)

    def _noted(self, record: Record, name: str, **changes: object) -> Record:
        """The record with this changed of the copy, if it is still wanted."""
        held = self._leases.take(record.bucket, record.key)
        if not self._is_wanted(held, record, name):
            return self._leases.end(held, held)
        copy = msgspec.structs.replace(held.copies.get(name, Copy()), **changes)
        return self._leases.end(msgspec.structs.replace(held, copies={**held.copies, name: copy}), held)

    def _is_wanted(self, held: Record, record: Record, name: str) -> bool:
        """Whether the record is still of that generation, and the copy as it was when this run began with it."""
        same = held.current is not None and record.current is not None and held.current.id == record.current.id
        copy, before = held.copies.get(name, Copy()), record.copies.get(name, Copy())
        return (
            same and copy.state in ("PENDING", "FAILED") and (copy.version, copy.etag) == (before.version, before.etag)
        )


_NOTHING = Generation(id="", made=0, size=0, etag="")


def chunk_bytes(size: int, least: int = CHUNK_BYTES) -> int:
    """How large the parts of a copy are: `least`, or so many whole mebibytes that there are 10,000 at most."""
    mebibyte = 1024**2
    return least if size <= MAX_PARTS * least else -(-size // (MAX_PARTS * mebibyte)) * mebibyte

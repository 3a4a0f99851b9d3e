"""Reading objects: from the first place that has the version that is wanted, and proving what it gave."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec

from nearside.errors import BadRequest, Missing, NearsideError
from nearside.gateway.describing import Consistency
from nearside.gateway.errors import NotSupported, Replaced, Unavailable
from nearside.gateway.leases import Leases
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Places, Promise
from nearside.gateway.proving import Segment, is_proved
from nearside.gateway.records import Copy, Generation, Record, Seen
from nearside.gateway.undoing import Queue

MAX_VERIFIED_BYTES = 64 * 1024**2  # held in memory to be proved
REDIRECT_SECONDS = 900
_ROUNDS = 3
_WAIT_SECONDS, _PAUSE_SECONDS = 2.0, 0.05  # for a write that is under way where there are no versions
_OTHER = "it has another version there, or none"

log = logging.getLogger("nearside")


class Body(msgspec.Struct, frozen=True):
    """Bytes of an object, and the place they came from (the first, when several had a part each)."""

    data: bytes
    place: str


class Reader:
    """Finds objects and reads them."""

    def __init__(self, leases: Leases, places: Places, parts: PartsOf, queue: Queue) -> None:
        self._leases = leases
        self._records = leases.records
        self._places = places
        self._parts = parts
        self._queue = queue

    def find(self, bucket: str, key: str, consistency: Consistency = "latest") -> Record:
        """The object's record. Raises Missing when it was deleted or never written; Unreachable when the catalog does
        not answer, unless `consistency` is `any`: then it is what the first place that answers has."""
        try:
            record = self._records.load(bucket, key, eventual=consistency == "any")
        except NearsideError:
            if consistency != "any":
                raise
            record = self._seen(bucket, key)
        if record is None or record.current is None:
            raise Missing(f"{key!r} does not exist in {bucket}")
        return record

    def read(self, record: Record, first: int, last: int, consistency: Consistency = "latest", turn: int = 0) -> Body:
        """Bytes `first` to `last` (inclusive) of the record's current generation. With another `turn` another place is
        asked first, of those that answer.

        Raises Unavailable when no place that has it answers with it, Replaced when it was replaced meanwhile; with
        `verified` BadRequest for more than 64 MiB, NotSupported for an object without a SHA-256.
        """
        if _current(record).size == 0:
            return Body(b"", next(iter(self._places.in_order(record.holders())), ""))
        if consistency != "verified":
            return self._tried(record, lambda newest, said: self._first(newest, first, last, turn, said))
        segments = self._segments(record, first, last)
        begin, end = segments[0][0], segments[-1][1]
        if end - begin + 1 > MAX_VERIFIED_BYTES:
            raise BadRequest(
                f"{end - begin + 1} bytes would have to be verified at once: at most {MAX_VERIFIED_BYTES} are"
            )
        body = self._tried(record, lambda newest, said: self._proved(newest, segments, turn, said))
        return Body(body.data[first - begin : last - begin + 1], body.place)

    def redirect(self, record: Record, query: Mapping[str, str]) -> tuple[str, str]:
        """A URL that gives the object for 15 minutes, with `query` (`response-content-type`, …) in it, and its place.
        Raises Unavailable when no place has it as one object, or none that has it answers, and Replaced."""
        name, version = self._tried(record, self._having)
        store = self._places[name].store
        return store.presign(record.bucket, record.key, version, REDIRECT_SECONDS, query), name

    def doubt(self, record: Record, name: str, *, wrong: bool = False) -> None:
        """Notes that the place does not have what it should, and has the replicator look at it; nothing is raised.
        `wrong`: its bytes are not those that were written, which no look would show, so it is to get them again."""
        log.warning("%s: %s/%s is not what was written there", name, record.bucket, record.key)
        copy = record.copies.get(name)
        if copy is None or (copy.doubt and not wrong):  # the replicator knows
            return
        # Busy: somebody is writing it. Whatever is there then, the next reader sees.
        with suppress(NearsideError):
            held = self._leases.take(record.bucket, record.key, wait_seconds=0.0)
            changed = held
            if copy == held.copies.get(name) and held.current == record.current:
                others = [each for each in held.holders() if each != name]
                doubted = msgspec.structs.replace(copy, doubt=True)
                if wrong and (others or held.staged):
                    doubted = Copy(why="its bytes were not those that were written")
                due = self._leases.due() if held.due is None else min(held.due, self._leases.due())
                changed = msgspec.structs.replace(held, copies={**held.copies, name: doubted}, due=due)
            self._leases.end(changed, held)
            self._queue(record.bucket, record.key)

    def _tried[T](self, record: Record, act: Callable[[Record, dict[str, str]], T | None]) -> T:
        """What `act` makes of the record, or of a newer one of the same generation: its second argument is for what is
        wrong where. It gives None for nothing."""
        said: dict[str, str] = {}
        for _ in range(_ROUNDS):
            said.clear()
            found = act(record, said)
            if found is not None:
                return found
            newer, waited = self._newer(record, waits=_OTHER in said.values())
            if not waited and newer.copies == record.copies and newer.staged == record.staged:
                break
            record = newer
        words = "; ".join(f"{name}: {why}" for name, why in said.items()) or "no place has it as one object"
        raise Unavailable(f"{record.key!r} cannot be had from any place now ({words})")

    def _newer(self, record: Record, *, waits: bool) -> tuple[Record, bool]:
        """The record as it is now. With `waits`, after the write that is under way, if there is one: a place without
        versions has its object already; and whether there was. Raises Replaced."""
        until, waited = self._leases.clock() + _WAIT_SECONDS, False
        while True:
            newer = self._records.load(record.bucket, record.key)
            if newer is None or newer.current is None or newer.current.id != _current(record).id:
                raise Replaced(f"{record.key!r} was replaced while it was read: try again")
            written = newer.lease is not None and newer.lease.until > self._leases.now()
            if not waits or not written or self._leases.clock() >= until:
                return newer, waited
            self._leases.pause(_PAUSE_SECONDS)
            waited = True

    def _first(self, record: Record, first: int, last: int, turn: int, said: dict[str, str]) -> Body | None:
        """From the first place that gives it, or put together."""
        for name in self._places.in_order(record.holders(), turn):
            data = self._from(record, name, first, last, said)
            if data is not None:
                return Body(data, name)
        return self._put_together(record, first, last, turn, said) if record.staged else None

    def _proved(self, record: Record, segments: Sequence[Segment], turn: int, said: dict[str, str]) -> Body | None:
        """All bytes of the segments, from one place after the other until one gives the right ones."""
        begin, end = segments[0][0], segments[-1][1]
        wrong, found = [], None
        for name in self._places.in_order(record.holders(), turn):
            data = self._from(record, name, begin, end, said)
            if data is not None and is_proved(data, begin, segments):
                found = Body(data, name)
                break
            if data is not None:
                said[name] = "its bytes are not those that were written"
                wrong.append(name)
        if found is None and record.staged:
            body = self._put_together(record, begin, end, turn, said)
            found = body if body and is_proved(body.data, begin, segments) else None
        for name in wrong:
            self.doubt(record, name, wrong=found is not None)
        return found

    def _having(self, record: Record, said: dict[str, str]) -> tuple[str, str | None] | None:
        """The first place that has the object, and its version there."""
        for name in self._places.in_order(record.holders()):
            copy = record.copies[name]
            try:
                seen = self._places.ask(name, lambda store: store.head(record.bucket, record.key, copy.version))  # noqa: B023 - called at once
            except NearsideError as error:
                said[name] = str(error)
                continue
            if seen is not None and seen.etag == copy.etag:
                return name, copy.version
            said[name] = _OTHER
            if not self._is_being_written(record):
                self.doubt(record, name)
        return None

    def _from(self, record: Record, name: str, first: int, last: int, said: dict[str, str]) -> bytes | None:
        """What the place gives; None when it is not there as it should be, or the place does not answer."""
        copy = record.copies[name]
        bucket, key = record.bucket, record.key
        try:
            if first == 0 and last == _current(record).size - 1:
                data, etag = self._places.ask(name, lambda s: s.whole(bucket, key, copy.version))
            else:
                data, etag = self._places.ask(name, lambda s: s.get(bucket, key, copy.version, first, last))
            if etag == copy.etag and len(data) == last - first + 1:
                return data
            said[name] = _OTHER
        except Missing:
            said[name] = _OTHER
        except NearsideError as error:
            said[name] = str(error)
            return None
        if not self._is_being_written(record):
            self.doubt(record, name)
        return None

    def _is_being_written(self, record: Record) -> bool:
        """Whether somebody holds the lease, so that a place without versions may be ahead of the record."""
        try:
            newer = self._records.load(record.bucket, record.key)
        except NearsideError:
            return True
        return newer is None or newer.lease is not None

    def _put_together(self, record: Record, first: int, last: int, turn: int, said: dict[str, str]) -> Body | None:
        """From the staged parts. They may have gone because a place has the object by now."""
        upload = _current(record).upload
        if not self._are_listed(record):
            said["its parts"] = "they are not listed any more"
            return None
        try:
            pieces = [
                self._parts.read(record.bucket, part, begin, end, turn)
                for part, begin, end in self._parts.covering(upload, first, last)
            ]
        except Unavailable as error:
            said["its parts"] = str(error)
            return None
        return Body(b"".join(data for data, _ in pieces), pieces[0][1])

    def _segments(self, record: Record, first: int, last: int) -> Sequence[Segment]:
        """What a SHA-256 is known of, around these bytes. Raises NotSupported when there is nothing, Replaced."""
        current = _current(record)
        segments: Sequence[Segment] = [(0, current.size - 1, current.sha256)] if current.sha256 else []
        if current.upload:
            if not self._are_listed(record):
                self._newer(record, waits=False)
            segments = self._parts.segments(current.upload, first, last)
        if not segments:
            raise NotSupported("no SHA-256 is known of this object, which was copied from parts or came without one")
        return segments

    def _are_listed(self, record: Record) -> bool:
        """Whether the parts that make the object are still listed: they are not when it was replaced."""
        current = _current(record)
        return sum(part.size for part in self._parts.all(current.upload)) == current.size

    def _seen(self, bucket: str, key: str) -> Record | None:
        """What the first place that answers has, as a record. Raises Unavailable when none answers."""
        for name in self._places.in_order(self._places.names):
            try:
                seen = self._places.ask(name, lambda store: store.head(bucket, key))
            except NearsideError:
                continue
            return _as_record(bucket, key, name, seen) if seen else None
        raise Unavailable("neither the catalog nor any place answers")


def told(record: Record, places: Places, promise: Promise, used: str | None) -> dict[str, str]:
    """The gateway's own headers of an answer about an object (lower-case names): where it is, by the record."""
    having = [name for name in places.names if (copy := record.copies.get(name)) and copy.state == "COMPLETED"]
    states = {name: record.copies[name].state if name in record.copies else "PENDING" for name in places.names}
    headers = {
        "x-backend-count": str(len(having)),
        "x-backend-zones": ",".join(places[name].zone for name in having),
        "x-replication-status": "complete" if len(having) >= promise.required_replicas else "partial",
        "x-replication-detail": ", ".join(f"{name}={state}" for name, state in states.items()),
    }
    return {"x-backend-used": used, **headers} if used else headers


def _current(record: Record) -> Generation:
    if record.current is None:
        raise Missing(f"{record.key!r} does not exist in {record.bucket}")
    return record.current


def _as_record(bucket: str, key: str, name: str, seen: Seen) -> Record:
    current = Generation(
        id=seen.generation, made=int(seen.modified * 1000), size=seen.size, etag=seen.etag, headers=seen.headers
    )
    copy = Copy(state="COMPLETED", version=seen.version, etag=seen.etag)
    return Record(bucket=bucket, key=key, current=current, copies={name: copy})

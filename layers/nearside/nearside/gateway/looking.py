"""Looking at what places really have of an object, after a process died or a copy turned out not to be as written."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from nearside.errors import MissingBucket, NearsideError, Refused, Unreachable
from nearside.gateway.errors import LeaseLost
from nearside.gateway.leases import LONG_CALL_SECONDS, Leases
from nearside.gateway.records import Copy, Generation, Record, Seen, Store
from nearside.gateway.spreading import Spreader
from nearside.gateway.undoing import litter, note_late

_LAYERS = 8  # versions of one key that dead writers may have left on top of each other: the rest at the next look

type Answers = Mapping[str, Seen | NearsideError | None]


class Looker:
    """Looks under the object's lease. `verifies`: that a place has the bytes is not taken from its mark."""

    def __init__(self, leases: Leases, spread: Spreader, *, verifies: bool) -> None:
        self._leases = leases
        self._spread = spread
        self._places = spread.places
        self._verifies = verifies

    def look(self, bucket: str, key: str) -> Record:
        """The record after every copy in doubt was looked at, and all when somebody died while writing. What a place
        that does not answer has stays in doubt. Raises Busy, LeaseLost."""
        record = self._leases.take(bucket, key, self._leases.errand(), extra_seconds=LONG_CALL_SECONDS)
        with self._leases.given_back(record):
            doubted = {name for name, copy in record.copies.items() if copy.doubt}
            names = [name for name in self._places.names if record.intents or name in doubted]
            answers = self._asked(names, lambda _, store: _head(store, bucket, key))
            looked = self._judged(record, answers) if record.current else _to_be_removed(record, answers)
        return self._left(looked, record)

    def forget(self, bucket: str, key: str) -> Record:
        """The record of a deleted object after every place that answers was made to forget it. What somebody else put
        there under the same key stays. Raises Busy, LeaseLost."""
        record = self._leases.take(bucket, key, self._leases.errand())
        if record.current is not None:
            return self._leases.end(record, record)
        with self._leases.given_back(record):
            left = {name for name, copy in record.copies.items() if copy.state != "ABSENT"}
            names = [name for name in self._places.names if record.intents or name in left]
            answers = self._asked(names, lambda name, store: self._forgotten(record, name, store))
        copies = dict(record.copies)
        for name, answer in answers.items():
            failed = isinstance(answer, NearsideError)
            copies[name] = _unanswered(copies.get(name, Copy()), answer) if failed else Copy(state="ABSENT")
        answered = not any(isinstance(answer, NearsideError) for answer in answers.values())
        deleted = self._leases.now() if record.deleted is None else record.deleted
        intents = self._leases.at_it(record.intents) if answered else record.intents
        return self._left(msgspec.structs.replace(record, copies=copies, deleted=deleted, intents=intents), record)

    def _asked[T](self, names: Sequence[str], act: Callable[[str, Store], T]) -> Mapping[str, T | NearsideError]:
        """What the places answer, all at once. Those that are left alone for now are not asked: somebody may be waiting
        for the lease."""
        answering = [name for name in names if not self._places.is_open(name)]
        answers = self._spread(answering, len(answering), act)
        alone = Unreachable("it did not answer, and is left alone for a while")
        return {name: answers.get(name, alone) for name in names}

    def _left(self, looked: Record, record: Record) -> Record:
        """The record as saved, due whatever was found: what is to be done about it is not done yet."""
        try:
            return self._leases.end(msgspec.structs.replace(looked, due=looked.due or self._leases.due()), record)
        except LeaseLost:
            note_late(self._leases, msgspec.structs.replace(record, current=None))
            raise

    def _forgotten(self, record: Record, name: str, store: Store) -> None:
        intended = {intent.id for intent in record.intents}
        copy = record.copies.get(name)
        for _ in range(_LAYERS):
            seen = _head(store, record.bucket, record.key)
            if seen is None:
                return
            ours = seen.generation in intended  # never answered for, so it does not stay even as an old version
            if not ours and not seen.generation and (copy is None or seen.etag != (copy.etag or None)):
                return
            self._leases.check(record)
            try:
                store.delete(record.bucket, record.key, seen.version if ours else None)
            except Refused:  # many let us hide an object, and not remove a version of it
                store.delete(record.bucket, record.key)
        raise Unreachable(f"more than {_LAYERS} versions of it lie on top of each other")

    def _judged(self, record: Record, answers: Answers) -> Record:
        copies = {**record.copies, **{name: self._copy(record, name, answer) for name, answer in answers.items()}}
        judged = msgspec.structs.replace(record, copies=copies)
        if any(judged.copies[name].doubt for name in answers):
            return judged
        if not judged.holders() and not record.staged:
            judged = _carried_through(judged, answers)
        elif not self._is_peeled(judged, answers):
            return judged
        return msgspec.structs.replace(judged, intents=self._leases.at_it(record.intents))

    def _copy(self, record: Record, name: str, seen: Seen | NearsideError | None) -> Copy:
        current, copy = record.current, record.copies.get(name, Copy())
        assert current is not None  # for mypy: only called with one
        if isinstance(seen, NearsideError):
            return _unanswered(msgspec.structs.replace(copy, doubt=True), seen)
        if copy.state == "COMPLETED":
            if _is_top(seen, copy):
                return msgspec.structs.replace(copy, doubt=False, attempts=0, why="")
            return self._uncovered(record, name, copy, seen)
        # It had arrived, and its answer was lost. One with an ETag has arrived and is still to be proved.
        if seen and _is(seen, current) and not self._verifies and not copy.etag:
            return Copy(state="COMPLETED", version=seen.version, etag=seen.etag)
        return msgspec.structs.replace(copy, doubt=False)

    def _uncovered(self, record: Record, name: str, copy: Copy, seen: Seen | None) -> Copy:
        """A copy that is not the newest version of its key in the place: made so again, if it is still there, by taking
        away what dead writers put over it, or else by copying it."""
        gone = Copy(why="it was not there any more")
        current = record.current
        if copy.version is None or current is None:
            return gone
        try:
            hidden = self._places.ask(name, lambda store: store.head(record.bucket, record.key, copy.version))
            if hidden is None or hidden.etag != copy.etag:
                return gone
            if _is_top(self._peeled(record, name, seen), copy):
                return msgspec.structs.replace(copy, doubt=False, attempts=0, why="")
            source = (record.bucket, record.key, copy)
            self._leases.check(record, LONG_CALL_SECONDS)
            stored = self._places.ask(name, lambda store: store.copy(record.bucket, record.key, source, current))
        except NearsideError as error:
            return _unanswered(msgspec.structs.replace(copy, doubt=True), error)
        return Copy(state="COMPLETED", version=stored.version, etag=stored.etag)

    def _is_peeled(self, judged: Record, answers: Answers) -> bool:
        """Whether no place has, as its newest version, what a dead writer put there, after trying to take it away."""
        try:
            for name, seen in answers.items():
                if isinstance(seen, Seen) and judged.copies[name].state != "COMPLETED":
                    self._peeled(judged, name, seen)
        except NearsideError:
            return False
        return True

    def _peeled(self, record: Record, name: str, seen: Seen | None) -> Seen | None:
        """What the place has after the versions that dead writers put on top were removed, if it lets us."""
        current = record.current.id if record.current else ""
        intended = {intent.id for intent in record.intents} - {current}
        for _ in range(_LAYERS):
            if seen is None or seen.version is None or seen.generation not in intended:
                return seen
            version = seen.version
            self._leases.check(record)
            try:
                self._places.ask(name, lambda store: store.delete(record.bucket, record.key, version))  # noqa: B023 - called at once
            except Refused:  # it is to be covered then
                return seen
            seen = self._places.ask(name, lambda store: _head(store, record.bucket, record.key))
        raise Unreachable(f"more than {_LAYERS} versions of it lie on top of each other")


def _head(store: Store, bucket: str, key: str) -> Seen | None:
    try:
        return store.head(bucket, key)
    except MissingBucket:
        return None


def _is(seen: Seen, generation: Generation) -> bool:
    return seen.generation == generation.id and seen.size == generation.size


def _is_top(seen: Seen | None, copy: Copy) -> bool:
    return seen is not None and seen.etag == copy.etag and copy.version in (None, seen.version)


def _unanswered(copy: Copy, error: object) -> Copy:
    return msgspec.structs.replace(copy, attempts=copy.attempts + 1, why=str(error)[:200])


def _carried_through(record: Record, answers: Answers) -> Record:
    """The record of an object that no place has for certain, as far as there is something left of it: a copy that was
    not proved, or else a write that was begun and not committed. It was written over where there are no versions, so
    the one that nobody was answered for takes effect after all."""
    assert record.current is not None  # for mypy: only called with one
    for generation in (record.current, *reversed(record.intents)):
        having = {name: seen for name, seen in answers.items() if isinstance(seen, Seen) and _is(seen, generation)}
        if having:
            copies = {name: Copy() for name in record.copies}
            for name, seen in having.items():
                copies[name] = Copy(state="COMPLETED", version=seen.version, etag=seen.etag)
            if generation.id == record.current.id:
                return msgspec.structs.replace(record, copies=copies)
            return msgspec.structs.replace(record, current=generation, copies=copies, litter=litter(record))
    return record


def _to_be_removed(record: Record, answers: Answers) -> Record:
    """The record of an object that does not exist, with a copy for each place that may have what a dead writer left."""
    copies = dict(record.copies)
    for name, answer in answers.items():
        if answer is not None or name in copies:
            copies[name] = msgspec.structs.replace(copies.get(name, Copy()), state="PENDING", doubt=False)
    deleted = record.deleted if record.deleted is not None or not copies else _made(record)
    return msgspec.structs.replace(record, copies=copies, deleted=deleted)


def _made(record: Record) -> int:
    return max((intent.made for intent in record.intents), default=0)

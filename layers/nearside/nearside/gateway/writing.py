"""Writing and removing objects: in several places at once, and then in the record, which is the moment it counts."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec

from nearside.errors import BadRequest, MissingBucket, NearsideError, Unreachable
from nearside.gateway.describing import Conditions, Described, new_generation
from nearside.gateway.errors import LeaseLost, MissingUpload, Unavailable
from nearside.gateway.leases import CALL_SECONDS, LEAST_BYTES_PER_SECOND, LONG_CALL_SECONDS, Leases
from nearside.gateway.places import Places, Promise
from nearside.gateway.records import Copy, Generation, Record, Store, Stored
from nearside.gateway.spreading import Spreader
from nearside.gateway.undoing import Answers, Queue, Undo, litter

MAX_COPY_BYTES = 5 * 1024**3  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html


class Writer:
    """Puts, copies, deletes and retags objects."""

    def __init__(self, leases: Leases, spread: Spreader, promise: Promise, queue: Queue) -> None:
        self._leases = leases
        self._spread = spread
        self._places: Places = spread.places
        self._promise = promise
        self._queue = queue
        self._undo = Undo(leases, spread.places, queue)

    def put(
        self, bucket: str, key: str, body: bytes, described: Described, conditions: Conditions, quorum: int | None
    ) -> Record:
        """The record of the object that `body` now is, in at least `quorum` places (None: in one at least).

        Raises PreconditionFailed or Missing by the conditions, Unavailable when fewer than `quorum` places took it,
        NearsideError (500) when none did: then the object is as it was before. Raises Busy when others write it.
        """
        sha256 = hashlib.sha256(body).hexdigest()
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        generation = new_generation(len(body), etag, sha256, described, self._leases.clock())
        self._check_quorum(self._places.names, quorum)
        record = self._begun(bucket, key, generation, conditions)

        def act(_: str, store: Store) -> Stored:
            self._leases.check(record)
            return self._put(store, bucket, key, body, generation)

        return self._written(record, generation, self._places.names, act, quorum)

    def copy(
        self, source: Record, bucket: str, key: str, described: Described, conditions: Conditions, quorum: int | None
    ) -> Record:
        """The record of a new object with the bytes of `source`, copied by each place that has it within itself.

        Raises as `put`; BadRequest over 5 GiB; Unavailable while the source is not in any place as one object yet.
        """
        whole = source.current
        if whole is None or whole.size > MAX_COPY_BYTES:
            raise BadRequest(f"{source.key!r} has {whole.size if whole else 0} bytes: at most {MAX_COPY_BYTES} (5 GiB)")
        having = [name for name in source.holders() if name in self._places]
        if not having:
            raise Unavailable(f"{source.key!r} is in no place as one object yet: try again in a moment")
        generation = new_generation(whole.size, whole.etag, whole.sha256, described, self._leases.clock())
        self._check_quorum(having, quorum)
        record = self._begun(bucket, key, generation, conditions, LONG_CALL_SECONDS)

        def act(name: str, store: Store) -> Stored:
            self._leases.check(record, LONG_CALL_SECONDS)
            copied = source.bucket, source.key, source.copies[name]
            try:
                return store.copy(bucket, key, copied, generation)
            except MissingBucket:
                store.make_bucket(bucket)
                return store.copy(bucket, key, copied, generation)

        return self._written(record, generation, having, act, quorum)

    def delete(self, bucket: str, key: str, conditions: Conditions) -> Record | None:
        """The record of the object that is no more; None when there was none. Places that do not answer now are made to
        forget it by the replicator. Raises PreconditionFailed or Missing by the conditions, Busy."""
        errand = self._leases.errand()
        record = self._leases.take(bucket, key, errand)
        self._check(record, conditions)
        if record.current is None:
            self._give_back(record)
            return None
        gone = msgspec.structs.replace(
            record,
            current=None,
            deleted=self._leases.now(),
            copies={name: msgspec.structs.replace(copy, state="PENDING") for name, copy in record.copies.items()},
            intents=(*record.intents, errand),
            staged=False,
            litter=litter(record),
            due=self._leases.due(),
        )
        self._leases.keep(gone, record)  # from here on it is deleted, whatever happens

        def act(_: str, store: Store) -> None:
            self._leases.check(record)
            store.delete(bucket, key)

        with self._leases.given_back(gone):
            answers = self._spread(self._answering(gone.copies), len(gone.copies), act)
        copies = {name: _removed(copy, answers.get(name, copy)) for name, copy in gone.copies.items()}
        done = all(copies[name].state == "ABSENT" for name in copies if name in self._places)
        done = done and not gone.litter and not record.intents
        due = None if done else gone.due
        gone = msgspec.structs.replace(gone, copies=copies, intents=record.intents, due=due)
        try:
            self._leases.end(gone, record)
        except LeaseLost:  # somebody may have written it again, and have lost what they wrote to this deletion
            self._undo.in_doubt(gone)
            return gone
        self._undo.abandon(record)
        if not done:
            self._queue(bucket, key)
        return gone

    def retag(self, bucket: str, key: str, tags: Mapping[str, str]) -> Record:
        """The record with other tags, which the gateway keeps, and no place. Raises Missing, Busy."""
        record = self._leases.take(bucket, key)
        self._check(record, Conditions(if_match="*"))
        assert record.current is not None  # for mypy: If-Match would have raised
        tagged = msgspec.structs.replace(record, current=msgspec.structs.replace(record.current, tags=tags))
        return self._leases.end(tagged, record)

    def commit(self, bucket: str, key: str, generation: Generation, conditions: Conditions) -> Record:
        """The record of an object that is made of the staged parts of `generation.upload`: every place is still to get
        it as one object. The same again when it is there already. Raises as `put`."""
        record = self._leases.take(bucket, key, generation)  # put down: who ends the upload must not look like an abort
        if record.current is not None and record.current.upload == generation.upload:
            self._give_back(record)
            return record
        if generation.upload in record.litter:
            self._give_back(record)
            raise MissingUpload(f"the upload {generation.upload!r} was completed, and its object replaced since")
        self._check(record, conditions)
        return self._saved(record, generation, {}, staged=True)

    def _begun(
        self,
        bucket: str,
        key: str,
        generation: Generation,
        conditions: Conditions,
        call_seconds: float = CALL_SECONDS,
    ) -> Record:
        """The record, ours, with the generation put down as intended."""
        extra = call_seconds - CALL_SECONDS + generation.size / LEAST_BYTES_PER_SECOND
        record = self._leases.take(bucket, key, generation, extra_seconds=extra)
        self._check(record, conditions)
        return record

    def _check_quorum(self, names: Sequence[str], quorum: int | None) -> None:
        """Before anything is written over that cannot be had back."""
        if len(names) < (quorum or 1):
            raise Unavailable(f"X-Write-Quorum is {quorum}: only {len(names)} places can take it now")

    def _check(self, record: Record, conditions: Conditions) -> None:
        try:
            with self._leases.given_back(record):
                conditions.check_write(record.current)
        except NearsideError:
            self._give_back(record)
            raise

    def _give_back(self, record: Record) -> None:
        """Ends our lease without a change."""
        with suppress(LeaseLost):
            self._leases.end(record, record)

    def _written(
        self,
        record: Record,
        generation: Generation,
        names: Sequence[str],
        act: Callable[[str, Store], Stored],
        quorum: int | None,
    ) -> Record:
        """The record after `act` was done in enough of the places `names`."""
        needed = quorum or 1
        wanted = max(self._promise.required_replicas, needed) if self._promise.async_upload else len(self._places.names)
        answers: dict[str, Stored | NearsideError] = {}
        begun = msgspec.structs.replace(record, intents=(*record.intents, generation))
        with self._leases.given_back(begun):
            rounds, alone = self._rounds(record, names, quorum)
            for number, together in enumerate(rounds):
                done, left = len(_stored(answers)), sum(map(len, rounds[number:])) + len(alone)
                if done < wanted and done + left >= needed:
                    answers |= self._spread(together, wanted - done, act)
            if len(_stored(answers)) < needed <= len(_stored(answers)) + len(alone):
                answers |= self._spread(alone, needed - len(_stored(answers)), act)
        done = len(_stored(answers))
        if done < needed:
            self._undo(record, generation, answers)
            said = "; ".join(f"{name}: {error}" for name, error in answers.items() if isinstance(error, NearsideError))
            if len(answers) == len(names) and all(isinstance(answer, BadRequest) for answer in answers.values()):
                raise BadRequest(f"no place can have it ({said})")
            if quorum is None or (not done and len(answers) == len(names)):
                raise NearsideError(f"no place took it ({said})")
            raise Unavailable(f"X-Write-Quorum is {quorum}: {done} took it, and it was undone ({said})")
        return self._saved(record, generation, answers)

    def _rounds(self, record: Record, names: Sequence[str], quorum: int | None) -> tuple[list[list[str]], list[str]]:
        """The places that are written at once, one round after the other, and those that are left alone unless nothing
        else helps.

        A place without versions whose copy is certain must not be written over in vain: if it is the last certain one,
        before the new one is somewhere else; and with a quorum, before the others have shown that it can be met.
        """
        order = self._places.in_order(names)
        alone = [name for name in order if self._places.is_open(name)]
        order = [name for name in order if name not in alone]
        certain = [name for name in order if (copy := record.copies.get(name)) and _is_certain(copy)]
        plain = [name for name in certain if record.copies[name].version is None]
        last = plain[:1] if plain == certain else []
        late = [name for name in plain if name not in last] if quorum and quorum > 1 else []
        first = [name for name in order if name not in last and name not in late]
        return [together for together in (first, late, last) if together], alone

    def _saved(
        self,
        record: Record,
        generation: Generation,
        answers: Answers,
        *,
        staged: bool = False,
    ) -> Record:
        nobodys = litter(record)
        copies: dict[str, Copy] = {}
        for name in [*self._places.names, *record.copies]:
            answer = answers.get(name)
            if isinstance(answer, Stored):
                copies[name] = Copy(state="COMPLETED", version=answer.version, etag=answer.etag)
            else:
                copies[name] = Copy(why=str(answer)[:200] if answer else "")
        intents = self._leases.at_it(record.intents)
        behind = bool(intents) or any(copies[name].state != "COMPLETED" for name in self._places.names)
        new = msgspec.structs.replace(
            record,
            current=generation,
            deleted=None,
            copies=copies,
            intents=intents,
            staged=staged,
            litter=nobodys,
            due=self._leases.due() if behind or nobodys or staged else None,
        )
        try:
            new = self._leases.end(new, record)
        except LeaseLost:
            self._undo.in_doubt(new)
            raise
        self._undo.abandon(record)
        if new.due is not None:
            self._queue(new.bucket, new.key)
        return new

    def _put(self, store: Store, bucket: str, key: str, body: bytes, generation: Generation) -> Stored:
        try:
            stored = store.put(bucket, key, body, generation)
        except MissingBucket:  # it was made while this place was away
            store.make_bucket(bucket)
            stored = store.put(bucket, key, body, generation)
        if self._promise.verify_uploads:
            try:
                found, _ = store.whole(bucket, key, stored.version)
            except NearsideError as error:  # whatever it says, it took the object
                raise Unreachable(f"it does not give back what was written: {error}") from error
            if hashlib.sha256(found).hexdigest() != generation.sha256:
                raise Unreachable("it gives back other bytes than were written")
        return stored

    def _answering(self, copies: Mapping[str, Copy]) -> list[str]:
        """Those of the places that do not keep us waiting."""
        return [name for name in self._places.in_order(copies) if not self._places.is_open(name)]


def _stored(answers: Answers) -> list[str]:
    return [name for name, answer in answers.items() if isinstance(answer, Stored)]


def _is_certain(copy: Copy) -> bool:
    return copy.state == "COMPLETED" and not copy.doubt


def _removed(copy: Copy, answer: Copy | NearsideError | None) -> Copy:
    """A copy of a deleted object after its place was asked to remove it (`copy` itself: it was not asked)."""
    if answer is None:
        return Copy(state="ABSENT")
    return copy if isinstance(answer, Copy) else msgspec.structs.replace(copy, why=str(answer)[:200])

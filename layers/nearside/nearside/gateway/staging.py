"""The bytes of parts, put aside in places until their object is put together."""

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from nearside.errors import MissingBucket, NearsideError, Unreachable
from nearside.gateway.errors import Unavailable
from nearside.gateway.places import Promise
from nearside.gateway.records import Copy, Generation, Part, Store, Stored, Upload
from nearside.gateway.s3_requests import OWN_PREFIX
from nearside.gateway.spreading import Spreader

PARTS = f"{OWN_PREFIX}parts/"
_PARALLEL = 16

log = logging.getLogger("nearside")


class Staging:
    """Writes parts to enough places, and removes them. Thread-safe. `clock` gives seconds since the epoch."""

    def __init__(self, spread: Spreader, promise: Promise, clock: Callable[[], float]) -> None:
        self._spread = spread
        self._places = spread.places
        self._promise = promise
        self._clock = clock
        self.threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="part")

    def put(self, upload: Upload, number: int, body: bytes, checksums: Mapping[str, str]) -> Part:
        """The part, in `required_replicas` places if so many take it. Raises Unavailable when none does."""
        now = int(self._clock() * 1000)
        generation = Generation(
            id=upload.id,
            made=now,
            size=len(body),
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(body).hexdigest(),
        )
        # A name of its own for each try: a late one must not write over the bytes of another.
        staged = f"{PARTS}{upload.id}/{number:05d}-{secrets.token_hex(8)}"
        answers = self._spread(
            self._places.in_order(self._places.names),
            self._promise.required_replicas,
            lambda _, store: self._put(store, upload.bucket, staged, body, generation),
        )
        copies = {
            name: Copy(state="COMPLETED", version=answer.version, etag=answer.etag)
            for name, answer in answers.items()
            if isinstance(answer, Stored)
        }
        if not copies:  # a place that took it and could not say so keeps it until it is found to be left over
            said = "; ".join(f"{name}: {answer}" for name, answer in answers.items())
            raise Unavailable(f"part {number} was taken by no place ({said}): try again")
        return Part(
            number=number,
            size=len(body),
            etag=generation.etag,
            sha256=generation.sha256,
            made=now,
            staged=staged,
            copies=copies,
            checksums=checksums,
        )

    def remove(self, bucket: str, parts: Sequence[Part]) -> None:
        """Removes the bytes of the parts where that can be done now; reconcile finds the rest. Raises nothing."""
        wanted = [(part, name) for part in parts for name in part.copies if name in self._places]
        list(self.threads.map(lambda each: self._removed(bucket, *each), wanted))

    def _put(self, store: Store, bucket: str, staged: str, body: bytes, generation: Generation) -> Stored:
        try:
            stored = store.put(bucket, staged, body, generation)
        except MissingBucket:  # it was made while this place was away
            store.make_bucket(bucket)
            stored = store.put(bucket, staged, body, generation)
        if self._promise.verify_uploads:
            found, _ = store.whole(bucket, staged, stored.version)
            if hashlib.sha256(found).hexdigest() != generation.sha256:
                store.delete(bucket, staged, stored.version)
                raise Unreachable("it gives back other bytes than were written")
        return stored

    def _removed(self, bucket: str, part: Part, name: str) -> None:
        if self._places.is_open(name):  # it would keep the client waiting
            return
        version = part.copies[name].version
        try:
            self._places.ask(name, lambda store: store.delete(bucket, part.staged, version))
        except NearsideError as error:
            log.warning("%s: %s/%s could not be removed: %s", name, bucket, part.staged, error)

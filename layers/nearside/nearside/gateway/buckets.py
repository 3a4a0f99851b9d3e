"""The gateway's buckets, each of which is a bucket in every place."""

import logging
from collections.abc import Callable, Mapping, Sequence

from nearside.errors import MissingBucket, NearsideError, Refused, Unreachable
from nearside.gateway.errors import BucketExists, BucketNotEmpty, Unavailable
from nearside.gateway.records import Bucket, Store, StoresRecords, StoresUploads
from nearside.gateway.s3_requests import OWN_PREFIX
from nearside.gateway.spreading import Spreader

_PAGE = 1000
_AFTER_OWN = f"{OWN_PREFIX}\U0010ffff"  # comes after every key of the gateway's own

log = logging.getLogger("nearside")


class Buckets:
    """Makes and removes buckets. `clock` gives seconds since the epoch."""

    def __init__(
        self, records: StoresRecords, uploads: StoresUploads, spread: Spreader, clock: Callable[[], float]
    ) -> None:
        self._records = records
        self._uploads = uploads
        self._spread = spread
        self._clock = clock

    def list(self) -> Sequence[Bucket]:
        """All of them, by name. Raises Unreachable or Refused of the catalog, as every method here does."""
        return self._records.buckets()

    def check(self, name: str) -> Bucket:
        """The bucket. Raises MissingBucket."""
        bucket = self._records.bucket(name)
        if bucket is None:
            raise MissingBucket(f"the bucket {name!r} does not exist")
        return bucket

    def create(self, name: str) -> None:
        """Makes the bucket in every place at once. A place that does not answer gets it with the first object.

        Raises BucketExists; Refused when a place does not let us have the name, which may be somebody else's there, or
        whatever else a place has against it; Unavailable when no place answers. What was made is then removed again.
        """
        if self._records.bucket(name) is not None:
            raise BucketExists(f"the bucket {name!r} exists")
        answers = self._everywhere(lambda store: _make(store, name))
        made = [place for place, answer in answers.items() if answer is True]
        against = {p: e for p, e in answers.items() if isinstance(e, NearsideError) and not isinstance(e, Unreachable)}
        if against or all(isinstance(answer, NearsideError) for answer in answers.values()):
            self._undo(name, made)
            place, error = next(
                iter((against or _errors(answers)).items()), ("no place", Unavailable("none is enabled"))
            )
            raise (type(error) if against else Unavailable)(f"{place}: the bucket {name!r} cannot be made: {error}")
        # Places first: a process that dies in between leaves buckets which the next try takes for its own. The other
        # way round clients would see a bucket that no place has.
        if not self._records.put_bucket(Bucket(name, int(self._clock() * 1000))):
            raise BucketExists(f"the bucket {name!r} exists")

    def delete(self, name: str) -> None:
        """Removes the bucket from the catalog and from every place; if that cannot be done everywhere, it is put back
        into the catalog, and asked again it goes on where it stopped.

        Raises MissingBucket; BucketNotEmpty while it has an object or an upload under way, or a place has an object
        there that the gateway does not know; Unavailable when a place does not answer, Refused when it does not let
        us: both name it, and the bucket stays.
        """
        bucket = self.check(name)
        self._refuse_unless_empty(name)
        # Looked at everywhere before anything is removed anywhere: removing takes old versions along.
        self._raise_first(name, self._everywhere(lambda store: _check_empty(store, name)))
        # Clients begin nothing in it from here on: parts that they put aside would be removed with the bucket, although
        # their upload could still be completed.
        self._records.remove_bucket(name)
        try:
            self._refuse_unless_empty(name)
            self._raise_first(name, self._everywhere(lambda store: store.remove_bucket(name)))
            # What was begun before may have been written meanwhile: whoever writes makes the place's bucket again.
            self._refuse_unless_empty(name)
        except BaseException:
            self._records.put_bucket(bucket)
            raise

    def _refuse_unless_empty(self, name: str) -> None:
        after, more = "", True
        while more:
            page, more = self._records.page(name, "", after, _PAGE)
            for record in page:
                if record.current is not None:
                    raise BucketNotEmpty(f"the bucket {name!r} has objects, among them {record.key!r}")
                after = record.key
        uploads, _ = self._uploads.uploads(name, "", "", 1)
        if uploads:
            raise BucketNotEmpty(f"the bucket {name!r} has an upload under way, of {uploads[0].key!r}: abort it first")

    def _everywhere[T](self, act: Callable[[Store], T]) -> Mapping[str, T | NearsideError]:
        names = self._spread.places.names
        answers = self._spread(names, len(names), lambda _, store: act(store))
        return {name: answers[name] for name in names}  # in this order, whichever answered first

    def _undo(self, name: str, made: Sequence[str]) -> None:
        if self._records.bucket(name) is not None:  # somebody else made it at the same time
            return
        answers = self._spread(made, len(made), lambda _, store: store.remove_bucket(name))
        for place, error in _errors(answers).items():
            log.warning("%s: the bucket %s was made and could not be removed again: %s", place, name, error)

    def _raise_first(self, name: str, answers: Mapping[str, object]) -> None:
        """Raises what stands against the bucket's removal, if anything does: rather what no waiting helps with."""
        errors = {place: error for place, error in _errors(answers).items() if not isinstance(error, MissingBucket)}
        for kind, raised in ((BucketNotEmpty, BucketNotEmpty), (Refused, Refused), (NearsideError, Unavailable)):
            for place, error in errors.items():
                if isinstance(error, kind):
                    raise raised(f"{place}: the bucket {name!r} cannot be removed: {error}")


def _make(store: Store, name: str) -> bool:
    """Whether the bucket had to be made: one that was ours before is not to be removed when something goes wrong."""
    had = store.has_bucket(name)
    store.make_bucket(name)
    return not had


def _check_empty(store: Store, name: str) -> None:
    page, _ = store.listing(name, "", "", 1)
    if page and page[0].key.startswith(OWN_PREFIX):
        page, _ = store.listing(name, "", _AFTER_OWN, 1)
    if page:
        raise BucketNotEmpty(f"it still has {page[0].key!r}")


def _errors(answers: Mapping[str, object]) -> Mapping[str, NearsideError]:
    return {place: answer for place, answer in answers.items() if isinstance(answer, NearsideError)}

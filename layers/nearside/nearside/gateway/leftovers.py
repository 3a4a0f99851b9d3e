"""Staged parts of uploads that are no more: what a process left that died while it ended one."""

from collections.abc import Callable, Collection, Iterator

from nearside.errors import MissingBucket
from nearside.gateway.differences import Difference
from nearside.gateway.merging import PAGE
from nearside.gateway.places import Places
from nearside.gateway.records import Listed, Record, StoresUploads
from nearside.gateway.staging import PARTS

OLD_SECONDS = 7 * 24 * 3600
MAX_UPLOADS = 100  # that are looked after in one go: they are kept with the bucket's progress


class Leftovers:
    """An upload's parts are left over when it is not under way, and then no record of the bucket names it.

    It is done in this order, with the records read in between, because an upload that is not under way never is again:
    a record that names it later has been there, or has named it as intended, since before. `clock` gives seconds since
    the epoch.
    """

    def __init__(self, uploads: StoresUploads, places: Places, clock: Callable[[], float]) -> None:
        self._uploads = uploads
        self._places = places
        self._clock = clock

    def found(self, bucket: str, place: str) -> set[str]:
        """Uploads that are not under way, and of which the place has parts older than 7 days. At most MAX_UPLOADS.
        Raises Unreachable or Refused of the place, or of the catalog."""
        found, ids = set[str](), set[str]()
        for listed in self._old(bucket, place, PARTS):
            ids.add(upload_of(listed.key))
            if len(ids) == MAX_UPLOADS:  # those that are under way must not hide the rest for ever
                found |= ids - self._under_way(bucket, ids)
                ids.clear()
                if len(found) >= MAX_UPLOADS:
                    return set(sorted(found)[:MAX_UPLOADS])
        return set(sorted(found | (ids - self._under_way(bucket, ids)))[:MAX_UPLOADS])

    def remove(self, bucket: str, place: str, upload_id: str, *, dry_run: bool) -> Iterator[Difference]:
        """Removes the upload's old parts from the place, each of them as it is told. Raises as `found`."""
        for listed in self._old(bucket, place, f"{PARTS}{upload_id}/"):
            if not dry_run:
                self._removed(bucket, place, listed.key)
            yield Difference("leftover", listed.key, place)

    def forget(self, upload_id: str) -> None:
        """Forgets the parts: no place has them."""
        self._uploads.remove_parts(upload_id, [part.number for part in self._uploads.parts(upload_id)])

    def _removed(self, bucket: str, place: str, key: str) -> None:
        """Its version, if it has one: hidden by a delete marker it would still be paid for."""
        seen = self._places.ask(place, lambda store: store.head(bucket, key))
        if seen is not None:
            self._places.ask(place, lambda store: store.delete(bucket, key, seen.version))

    def _old(self, bucket: str, place: str, prefix: str) -> Iterator[Listed]:
        after, more = "", True
        while more:
            try:
                page, more = self._places.ask(place, lambda store: store.listing(bucket, prefix, after, PAGE))  # noqa: B023 - called at once
            except MissingBucket:
                return
            for listed in page:
                if listed.modified < self._clock() - OLD_SECONDS:
                    yield listed
            more = more and bool(page)
            after = page[-1].key if page else after

    def _under_way(self, bucket: str, ids: Collection[str]) -> set[str]:
        found: set[str] = set()
        after, more = "", bool(ids)
        while more:
            page, more = self._uploads.uploads(bucket, "", after, PAGE)
            found |= {upload.id for upload in page if upload.id in ids}
            after = f"{page[-1].key}\0{page[-1].id}" if page else after
            more = more and bool(page)
        return found


def upload_of(staged: str) -> str:
    """The upload that a staged part's key is of."""
    return staged.removeprefix(PARTS).partition("/")[0]


def named_by(record: Record) -> set[str]:
    """The uploads whose parts the record needs, or is to have removed by the replicator. A generation names the list of
    its parts, `<upload>/<try>`."""
    names = [intent.upload for intent in record.intents] + list(record.litter)
    if record.current is not None and record.staged:
        names.append(record.current.upload)
    return {name.partition("/")[0] for name in names}

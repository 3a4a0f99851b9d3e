"""What is done when an object is asked for: a hit, a validation by one small request, or one download for all."""

import errno
import hashlib
from collections.abc import Sequence

import msgspec

from nearside.caching.asking import Reply, first, is_same, light
from nearside.caching.downloading import ATTEMPTS, Download
from nearside.caching.errors import NotCached, ObjectChanged, ObjectTooLarge, UnreachableObject, UnsafeCache
from nearside.caching.pins import Pin
from nearside.caching.sources import FindsSources, Source
from nearside.caching.store import Found
from nearside.caching.terms import Got, Means, Target, Terms
from nearside.errors import NearsideError, NoCredentials
from nearside.uri import Remote, S3Object

_ANYBODY = "*"
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class Getter(msgspec.Struct, frozen=True):
    """Gets objects into a store. Thread-safe, and right beside other processes on the same store."""

    means: Means

    def get(self, remote: Remote, finds: FindsSources, terms: Terms) -> Got:
        """The object's file, as valid as `terms` ask for.

        Raises the errors of `nearside.caching.errors`; whatever happens, an entry that was there stays.
        """
        uri = finds.shown(remote)
        pin = self.means.pins.of(uri) if self.means.pins else None
        try:
            identity = tuple(finds.identity(remote))
        except NoCredentials as error:
            return self._without_login(remote, finds, terms, pin, light(error))
        means = msgspec.structs.replace(self.means, patience=self.means.patience.begun())
        call = _Call(means, Target(remote, uri, identity), finds, terms, pin)
        if pin and pin.version_id and isinstance(remote, S3Object) and not remote.version_id and not call.is_pinned():
            remote = S3Object(remote.bucket, remote.key, pin.version_id)
            call = _Call(means, Target(remote, uri, tuple(finds.identity(remote))), finds, terms, pin)
        if (hit := call.without_request()) is not None:
            return hit
        if terms.offline:
            raise NotCached(f"{uri} is not in the cache, and was asked for offline")
        try:
            return call.with_requests()
        except UnreachableObject:
            if (stale := call.stale()) is not None:
                return stale
            raise
        except OSError as error:
            if error.errno in _NOT_WRITABLE:
                where = self.means.store.root
                raise UnsafeCache(f"the cache {where} cannot be written: {error.strerror}") from error
            raise

    def _without_login(
        self, remote: Remote, finds: FindsSources, terms: Terms, pin: Pin | None, ended: NoCredentials
    ) -> Got:
        """What may be given though a login has ended, so that nobody can be asked, nor be told whose entries are asked
        for: then it is the one entry of this object at this endpoint, whoever's. Raises `ended` when there is none, or
        there are those of two accounts, or the terms do not allow it."""
        known = tuple(finds.identity(remote, _ANYBODY))
        entries = [found.entry for folder in self.means.store.folders() if (found := folder.read()) is not None]
        fit = [each.identity for each in entries if _by_anybody(each.identity) == known]
        if len(fit) != 1:
            raise ended
        call = _Call(self.means, Target(remote, finds.shown(remote), fit[0]), finds, terms, pin)
        got = call.without_request() or call.stale()
        if got is None:
            raise ended
        return got


def _by_anybody(identity: tuple[str, ...]) -> tuple[str, ...]:
    return (*identity[:2], _ANYBODY, *identity[3:])


class _Call:
    """One call of `get`."""

    def __init__(self, means: Means, target: Target, finds: FindsSources, terms: Terms, pin: Pin | None) -> None:
        self._means = means
        self._target = target
        self._finds = finds
        self._terms = terms
        self._pin = pin
        self._began = means.clock()
        self._seen: Found | None = None
        self._folder = means.store.entry(target.identity)
        self._download = Download(means, target, self._folder, terms)

    def is_pinned(self) -> bool:
        """Whether the entry is what is pinned, so that it need not be asked for by its version."""
        return (found := self._read()) is not None and self._never_changes(found)

    def without_request(self) -> Got | None:
        """The entry, if the terms say that it may be used as it is: a version never changes, and what has the pinned
        SHA-256 is what was pinned."""
        self._seen = found = self._read()
        if found is None or self._terms.force:
            return None
        age = self._began - found.validated_at
        young = self._terms.max_age is not None and 0 <= age <= self._terms.max_age
        if young or self._terms.offline or self._never_changes(found):
            return self._hit(found)
        return None

    def stale(self) -> Got | None:
        """The entry, if the terms let it be used though its sources cannot be reached."""
        allowed = self._terms.stale_if_error
        if allowed is False or (found := self._read()) is None:
            return None
        if allowed is not True and self._began - found.validated_at > allowed:
            return None
        return self._hit(found, stale=True)

    def with_requests(self) -> Got:
        """The entry once a source said that it is valid, or its new version."""
        sources = self._finds.sources(self._target.remote)
        found = self._seen
        for _ in range(ATTEMPTS):
            known = None if self._terms.force else found
            got = self._first(sources) if known is None else self._validated(known, sources)
            if got is not None:
                return got
            found = self._read()
            if found is not None and (got := self._of_others(found)) is not None:
                return got
        raise ObjectChanged(f"{self._target.uri} was another one at each of {ATTEMPTS} attempts to read it")

    def _first(self, sources: Sequence[Source]) -> Got | None:
        """Downloads it, unless another did while this one waited for the lock; then None says to look again."""
        try:
            with self._folder.locked(self._lock_seconds()):
                found = self._read()
                if found is not None and (got := self._of_others(found)) is not None:
                    return got
                return self._download(sources) if found is None or self._terms.force else None
        except NearsideError:
            if self._folder.read() is None:  # only the lock is in there
                self._folder.drop(spare_recent=False)
            raise

    def _of_others(self, found: Found) -> Got | None:
        """What somebody else downloaded or validated since this call began."""
        when = found.entry.fetched_at if self._terms.force else found.validated_at
        return self._hit(found) if when >= self._began else None

    def _validated(self, found: Found, sources: Sequence[Source]) -> Got | None:
        """Asks whether the entry is valid. When it is not, the answer is already the new version's: it is downloaded,
        unless another does so; then this one waits, and None says to look again."""
        asked_at = self._means.clock()
        reply = first(sources, found.entry, self._means.patience)
        if is_same(reply.answer, found.entry):
            reply.answer.close()
            hit = self._hit(_renamed(found, reply))
            self._folder.validated(asked_at)
            return hit
        with self._folder.try_lock() as mine:
            again = self._read() if mine else None
            if again is not None and again.entry == found.entry:  # else another has downloaded a newer one meanwhile
                return self._download(sources, reply, asked_at)
        reply.answer.close()
        with self._folder.locked(self._lock_seconds()):
            return None

    def _lock_seconds(self) -> float | None:
        limits = [each for each in (self._means.lock_seconds, self._means.patience.left()) if each is not None]
        return min(limits, default=None)

    def _read(self) -> Found | None:
        found = self._folder.read()
        if found is not None and self._means.verify and not is_sound(found):
            return None
        return found

    def _never_changes(self, found: Found) -> bool:
        if self._pin:
            return found.entry.sha256 == self._pin.sha256
        remote = self._target.remote
        return isinstance(remote, S3Object) and remote.version_id not in ("", "null")  # `null` is written over

    def _hit(self, found: Found, *, stale: bool = False) -> Got | None:
        limit, size = self._terms.max_bytes, found.entry.size
        if self._means.pins is not None:
            self._means.pins.check(self._target.uri, size, found.entry.sha256)
        if limit is not None and size > limit:
            raise ObjectTooLarge(f"{self._target.uri} has {size} bytes: expected at most {limit}")
        try:
            release = self._folder.hold(found)
        except FileNotFoundError:  # evicted since it was read
            return None
        used_at, before = self._means.clock(), self._folder.used_before()
        self._folder.used(used_at)
        return Got(found, release, lambda: self._folder.finished(used_at, before), stale=stale)


def is_sound(found: Found) -> bool:
    """Whether the data has the SHA-256 that it was stored with."""
    with found.path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest() == found.entry.sha256


def _renamed(found: Found, reply: Reply) -> Found:
    """The same bytes under the version id that they have now: they may have been written again since they were
    downloaded, and the former version may be deleted."""
    version_id = reply.answer.headers.get("x-amz-version-id", "")
    if not version_id or version_id == found.entry.version_id or reply.source.name != found.entry.fetched_from:
        return found
    return msgspec.structs.replace(found, entry=msgspec.structs.replace(found.entry, version_id=version_id))

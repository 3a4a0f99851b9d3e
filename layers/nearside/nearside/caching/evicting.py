"""Keeps a cache within its size: what was least recently used goes first, and never what is in use."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

import msgspec

from nearside.caching.errors import CacheBusy, CacheFull, ObjectTooLarge
from nearside.caching.files import bytes_in
from nearside.caching.folders import Folder
from nearside.caching.locks import Guard, locked, tried
from nearside.caching.sessions import held_entries, remove_dead, unfinished_bytes
from nearside.caching.store import Store

_KEPT = 0.9  # of the limit, after an eviction
_WAIT_SECONDS = 10.0
_SCANNED_EVERY = 64  # a scan after this part of the limit was added


class Stats(msgspec.Struct, frozen=True):
    """What is in a cache: `bytes` in `entries`, of which `in_use` (entries) are held or were just handed out;
    `max_bytes` is the limit (None: there is none), `free_bytes` the disk's, `unfinished_bytes` of downloads."""

    root: str
    entries: int
    bytes: int
    in_use: int
    max_bytes: int | None
    free_bytes: int
    unfinished_bytes: int


class _Item(msgspec.Struct, frozen=True):
    """An entry as a scan sees it. `used_at` is in seconds of the epoch."""

    folder: Folder
    size: int
    used_at: float
    versions: int


class Usage:
    """Keeps the entries of a store within `max_bytes` (None: no limit) and off a full disk. Thread-safe.

    One process evicts at a time. Another one that added something leaves it to it; who asks for an eviction waits.
    """

    def __init__(self, store: Store, max_bytes: int | None) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._lock = Guard()
        self._known: int | None = None  # at the last scan, and what this process added since
        self._unscanned = 0
        self._stuck = False  # over the limit with all in use

    def added(self, size: int) -> None:
        """Counts a download of so many bytes; evicts down to 90 % of the limit when it is exceeded.

        Looks at the disk only when the limit may be exceeded, or a 64th of it was added since it last did: other
        processes add as well.
        """
        limit = self._max_bytes
        if limit is None:
            return
        with self._lock:
            self._unscanned += size
            if self._known is not None:
                self._known += size
                if (self._known <= limit or self._stuck) and self._unscanned * _SCANNED_EVERY < limit:
                    return
            self._unscanned = 0
            self._known = None
        self._evict_to(limit, int(limit * _KEPT), wait=False)

    def evict(self, max_bytes: int | None = None) -> int:
        """Removes least recently used entries until the rest is within `max_bytes` (None: the limit). Where there is no
        limit, only former versions and what dead processes left go. The bytes that were freed. Raises CacheBusy when
        somebody else evicts for more than 10 seconds."""
        limit = self._max_bytes if max_bytes is None else max_bytes
        return self._evict_to(limit, limit, wait=True)

    def make_room(self, size: int) -> None:
        """Before a download of so many bytes: evicts when the disk has no room for it. Raises ObjectTooLarge when it is
        over the limit, CacheFull when no eviction helps."""
        limit = self._max_bytes
        if limit is not None and size > limit:
            raise ObjectTooLarge(f"{size} bytes are more than the cache may hold ({limit} bytes)")
        free = self._free_bytes()
        if free < size:
            free = self._freed(size)
        if free < size:
            raise CacheFull(f"no room for {size} bytes on the disk of {self._store.root}: {free} bytes are free")

    def clear(self, older_than: float | None = None, wanted: Callable[[Folder], bool] = lambda folder: True) -> int:
        """Removes all entries that are `wanted`, or those not used for `older_than` seconds, but none that is held (one
        that was just handed out goes too); the bytes that were freed. Raises CacheBusy when somebody else evicts for
        more than 10 seconds."""
        now = self._store.clock()
        freed = 0
        with self._evicting(wait=True) as ours:
            if ours:
                remove_dead(self._store.sessions)
                for item in self._scan():
                    old = older_than is None or now - item.used_at >= older_than
                    if old and wanted(item.folder):
                        freed += item.folder.drop(spare_recent=False)
        return freed

    def stats(self) -> Stats:
        """What is in the cache now."""
        items = [item for item in self._scan() if item.versions]
        held = held_entries(self._store.sessions)
        return Stats(
            root=str(self._store.root),
            entries=len(items),
            bytes=sum(item.size for item in items),
            in_use=sum(item.folder.name in held or self._store.recent(item.used_at) for item in items),
            max_bytes=self._max_bytes,
            free_bytes=self._free_bytes(),
            unfinished_bytes=unfinished_bytes(self._store.sessions),
        )

    def _evict_to(self, limit: int | None, kept: int | None, *, wait: bool) -> int:
        """Removes entries until at most `kept` bytes are left, if there are more than `limit`."""
        with self._evicting(wait=wait) as ours:
            if not ours:
                return 0
            remove_dead(self._store.sessions)
            items = self._oldest_first()
            freed = sum(item.folder.tidy() for item in items if item.versions > 1)
            total = sum(item.size for item in items) - freed
            if limit is not None and kept is not None and total > limit:
                gone = self._drop(items, total - kept)
                freed += gone
                total -= gone
        with self._lock:
            self._known = total
            self._stuck = limit is not None and total > limit
        return freed

    def _freed(self, size: int) -> int:
        """Removes entries until so many bytes are free on the disk; how many are. Waits for who evicts already."""
        with contextlib.suppress(OSError), self._evicting(wait=True) as ours:  # after CacheBusy the other freed some
            if ours:
                remove_dead(self._store.sessions)
                free = self._free_bytes()
                if free < size:
                    self._drop(self._oldest_first(), size - free)
        return self._free_bytes()

    def _drop(self, items: list[_Item], wanted: int) -> int:
        freed = 0
        for item in items:
            if freed >= wanted:
                break
            freed += item.folder.drop()
        return freed

    def _oldest_first(self) -> list[_Item]:
        """Those from the future first: they are from before a clock went back, so nobody knows how old they are."""
        now = self._store.clock()
        return sorted(self._scan(), key=lambda item: (item.used_at <= now + self._store.grace_seconds, item.used_at))

    def _scan(self) -> Iterator[_Item]:
        for folder in self._store.folders():
            with contextlib.suppress(OSError):  # gone meanwhile
                path = folder.path
                used_at, size, versions = path.stat().st_mtime, 0, 0
                with os.scandir(path) as items:
                    for item in items:
                        versions += item.is_dir(follow_symlinks=False)
                        size += bytes_in(item)
                yield _Item(folder, size, used_at, versions)

    @contextlib.contextmanager
    def _evicting(self, *, wait: bool) -> Iterator[bool]:
        """Whether we are the one that evicts. Raises CacheBusy, if it may wait."""
        path, make = self._store.root / "evicting", self._store.make_root
        with contextlib.ExitStack() as stack:
            ours = False
            try:
                if wait:
                    stack.enter_context(locked(path, _WAIT_SECONDS, make))
                ours = wait or stack.enter_context(tried(path, make))
            except CacheBusy:
                root, seconds = self._store.root, _WAIT_SECONDS
                raise CacheBusy(f"somebody else evicts in {root} for more than {seconds:g} seconds") from None
            except OSError:  # a root that only can be read
                pass
            yield ours

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._store.root).free

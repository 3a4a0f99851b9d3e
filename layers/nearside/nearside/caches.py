"""`CacheManager`: a cache in a folder, wired to wherever objects can be read."""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack
from weakref import WeakValueDictionary

import msgspec

from nearside import settings
from nearside.caching.asking import Patience
from nearside.caching.contents import json_of, read_bytes, text_of
from nearside.caching.entries import FOLDER
from nearside.caching.evicting import Stats, Usage
from nearside.caching.fetching import Transfer
from nearside.caching.files import TemporaryFolder
from nearside.caching.getting import Getter, is_sound
from nearside.caching.locks import Guard
from nearside.caching.many import GivenUp, each_of
from nearside.caching.options import Access, Asked
from nearside.caching.pins import Pins
from nearside.caching.progress import bar
from nearside.caching.resources import LocalizedResource, file_at
from nearside.caching.store import Found, Store
from nearside.caching.terms import Means, Terms
from nearside.errors import BadRequest, BadSettings
from nearside.uri import S3Object, WebAddress, parse

if TYPE_CHECKING:
    pass

_STORES: "WeakValueDictionary[Path, Store]" = WeakValueDictionary()
_STORES_LOCK = Guard()
_PART_OF_THE_DISK = 4


class CacheManager:
    """A cache in a folder, and how it is filled. Thread-safe, and safe beside other processes with the same folder.

    `cache_dir` is the folder; without it NEARSIDE_CACHE_DIR, else the user's own cache folder (`/tmp/nearside` in
    Lambda), or with `persistent=False` a temporary one that `close` removes, as the end of a `with` block does. What is
    kept there stays under `max_bytes` (default: NEARSIDE_CACHE_MAX_BYTES, else a quarter of the disk): the least
    recently used goes first. `max_age`, `offline` and `stale_if_error` are the terms of calls that name none (see
    `Asked`). `lock_file` names an `s3.lock`: then only what it pins is given. `verify` computes the SHA-256 at every
    hit. Another's download of the same object is waited for, `lock_seconds` at most. Objects of `parallel_over` bytes
    are downloaded in parts, `max_concurrency` at a time; `get_many` gets `max_workers` objects at a time.

    Raises UnsafeCache when the folder is not only ours to write, BadSettings, NotPinned without the lock file.
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        persistent: bool = True,
        max_bytes: int | None = None,
        max_age: float | None = None,
        offline: bool = False,
        stale_if_error: bool | float = False,
        lock_file: str | os.PathLike[str] | None = None,
        verify: bool = False,
        lock_seconds: float | None = None,
        max_workers: int = 32,
        max_concurrency: int = 8,
        parallel_over: int = Transfer().parallel_over,
        **access: Unpack[Access],
    ) -> None:
        from nearside.adapters.cache_access import Anywhere

        _refuse_under_one({"max_bytes": max_bytes, "max_workers": max_workers, "max_concurrency": max_concurrency})
        wanted = settings.cache()
        self._temporary: TemporaryFolder | None = None
        if cache_dir is None and not persistent:
            self._temporary = TemporaryFolder("nearside-")
        self.dir = _folder(cache_dir, self._temporary, wanted)
        self._store = _store(self.dir)
        usage = Usage(self._store, max_bytes or wanted.max_bytes or _part_of_the_disk(self.dir))
        self._usage = usage
        self._finds = Anywhere(**access)
        transfer = Transfer(workers=max_concurrency, parallel_over=parallel_over, room=usage.make_room)
        pins = Pins.read(Path(lock_file)) if lock_file is not None else None
        self._getter = Getter(
            Means(self._store, usage, transfer, pins, verify, lock_seconds, patience=access.get("patience", Patience()))
        )
        self._terms = Terms(max_age=max_age, offline=offline, stale_if_error=stale_if_error)
        self._max_workers = max_workers

    def get(self, uri: str | os.PathLike[str], **asked: Unpack[Asked]) -> LocalizedResource:
        """The object, web address or file as a local file.

        Raises BadUri, MissingObject, RefusedObject, UnreachableObject, NotCached, CorruptDownload, ObjectChanged,
        ObjectTooLarge, PinBroken, NotPinned, CacheFull, NoCredentials.
        """
        return self._get(uri, asked)

    def get_many(
        self,
        uris: Iterable[str | os.PathLike[str]],
        *,
        progress: bool | None = None,
        return_exceptions: bool = False,
        **asked: Unpack[Asked],
    ) -> list[Any]:
        """A LocalizedResource for each URI, in their order, many at a time. `progress` shows a bar on standard error
        (default: when that is a terminal). Raises what `get` raises, for the first that fails; with
        `return_exceptions` the errors stand in the list instead."""
        wanted = list(uris)
        give_up = threading.Event()
        with bar(len(set(wanted)), shown=progress) as shown:

            def told(count: int) -> None:
                if give_up.is_set():
                    raise GivenUp
                shown.bytes_done(count)

            return each_of(
                wanted,
                lambda uri: self._get(uri, asked, told),
                shown.file_done,
                workers=self._max_workers,
                keep_errors=return_exceptions,
                give_up=give_up,
            )

    def get_bytes(self, uri: str | os.PathLike[str], **asked: Unpack[Asked]) -> bytes:
        """The object's bytes, unpacked when it is stored with gzip. Raises what `get` raises, and BadContent."""
        with self._get(uri, asked) as found:
            most = asked.get("max_object_bytes")
            return read_bytes(found.path, found.uri, found.content_encoding, max_bytes=most)

    def get_text(self, uri: str | os.PathLike[str], encoding: str = "utf-8", **asked: Unpack[Asked]) -> str:
        """The object as text. Raises what `get_bytes` raises."""
        return text_of(self.get_bytes(uri, **asked), str(uri), encoding)

    def get_json(self, uri: str | os.PathLike[str], *, any_type: bool = False, **asked: Unpack[Asked]) -> Any:
        """The JSON object (a dict) in the object; with `any_type` any JSON value. Raises what `get_bytes` raises,
        BadJson (a ValueError), and NotAnObject (a TypeError) for something else than an object."""
        return json_of(self.get_bytes(uri, **asked), str(uri), any_type=any_type)

    def _get(
        self, uri: str | os.PathLike[str], asked: Asked, progress: Callable[[int], None] | None = None
    ) -> LocalizedResource:
        resource = parse(uri)
        if version := asked.get("version_id"):
            if not isinstance(resource, S3Object):
                raise BadRequest(f"version_id is {version!r}: only objects of S3 have versions")
            resource = msgspec.structs.replace(resource, version_id=version)
        if not isinstance(resource, S3Object | WebAddress):
            return file_at(resource, asked.get("max_object_bytes"))
        terms = msgspec.structs.replace(
            self._terms,
            **{name: asked[name] for name in ("force", "max_age", "offline", "stale_if_error") if name in asked},
            max_bytes=asked.get("max_object_bytes"),
            progress=progress,
        )
        got = self._getter.get(resource, self._finds, terms)
        entry = got.found.entry
        return LocalizedResource(
            path=got.found.path,
            from_cache=True,
            source="s3" if isinstance(resource, S3Object) else "http",
            uri=self._finds.shown(resource),
            downloaded=got.downloaded,
            stale=got.stale,
            etag=entry.etag,
            version_id=entry.version_id,
            sha256=entry.sha256,
            size=entry.size,
            content_type=entry.content_type,
            content_encoding=entry.content_encoding,
            last_modified=entry.last_modified,
            _release=got.release,
            _finish=got.finish,
        )

    def shown(self, uri: str | os.PathLike[str]) -> str:
        """The URI as it is kept, said and pinned: a web address without its password and without what signs it. Raises
        BadUri."""
        resource = parse(uri)
        return self._finds.shown(resource) if isinstance(resource, S3Object | WebAddress) else str(resource)

    def entries(self) -> Iterator[Found]:
        """Every entry, in no order; damaged ones are left out."""
        return (found for folder in self._store.folders() if (found := folder.read()) is not None)

    def verify(self) -> list[tuple[str, Path]]:
        """What is damaged: for each entry whose data has not the SHA-256 that it was stored with its URI and the data,
        and for one that cannot be read at all an empty text and its folder. (A hit looks only at the data's size and
        time, and computes the SHA-256 when the time differs.)"""
        damaged: list[tuple[str, Path]] = []
        for folder in self._store.folders():
            found = folder.read()
            if found is None and (folder.path / "entry.json").exists():
                damaged.append(("", folder.path))
            elif found is not None and not is_sound(found):
                damaged.append((found.entry.uri, found.path))
        return damaged

    def stats(self) -> Stats:
        """How much there is, how much of it is in use, and how much there may be."""
        return self._usage.stats()

    def evict(self, max_bytes: int | None = None) -> int:
        """Removes the least recently used until at most `max_bytes` (default: the cache's own bound) are left; the
        bytes that were freed. What is in use stays."""
        return self._usage.evict(max_bytes)

    def clear(self, older_than: float | None = None, *, uris: Iterable[str] | None = None) -> int:
        """Removes what was not used for `older_than` seconds (default: everything), of these URIs or of all; the bytes
        that were freed. What somebody holds stays."""
        if uris is None:
            return self._usage.clear(older_than)
        wanted = frozenset(self.shown(uri) for uri in uris)
        return self._usage.clear(older_than, lambda at: (found := at.read()) is not None and found.entry.uri in wanted)

    def close(self) -> None:
        """Removes a temporary cache, if this is the process that made it; another one stays as it is."""
        if self._temporary is not None:
            self._store.close()
            self._temporary.close()
            self._temporary = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_under_one(numbers: Mapping[str, int | None]) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise BadSettings(f"{name} is {number}: expected at least 1")


def _folder(
    cache_dir: str | os.PathLike[str] | None, temporary: TemporaryFolder | None, wanted: settings.CacheSettings
) -> Path:
    if temporary is not None:
        return temporary.path
    if cache_dir is not None or wanted.folder:
        return Path(cache_dir or wanted.folder).expanduser().resolve()
    if wanted.in_lambda:
        return Path("/tmp/nearside")
    from platformdirs import user_cache_path

    return user_cache_path("nearside", appauthor=False)


def _store(folder: Path) -> Store:
    """The store in a folder of its own in there, so that nothing else in it is ever touched: the same for all managers
    of this process, which then have one session. It ends when they are gone, and all that they handed out."""
    root = folder / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _STORES_LOCK:
        store = _STORES.get(root)
        if store is None:
            _STORES[root] = store = Store(root)
        return store


def _part_of_the_disk(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).total // _PART_OF_THE_DISK
    except OSError:  # removed this moment, or a file system that does not tell
        return None

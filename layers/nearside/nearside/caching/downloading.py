"""An object downloaded into its entry, under the entry's lock: begun anew while it changes, is cut or comes damaged."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from nearside.caching.asking import Reply, first, light
from nearside.caching.entries import Entry, file_name
from nearside.caching.errors import CorruptDownload, ObjectChanged, UnreachableObject
from nearside.caching.fetching import Fetched, fetch
from nearside.caching.files import no_room
from nearside.caching.folders import Folder
from nearside.caching.reading import Changed, Restart
from nearside.caching.sources import Source
from nearside.caching.terms import Got, Means, Target, Terms
from nearside.uri import S3Object, WebAddress

ATTEMPTS = 5
"""How often a download is begun that was changed or cut."""
_DAMAGED = 3


class Download:
    """Downloads one object into its folder and seals it. Whoever calls it has the folder's lock."""

    def __init__(self, means: Means, target: Target, folder: Folder, terms: Terms) -> None:
        self._means = means
        self._target = target
        self._folder = folder
        self._terms = terms

    def __call__(self, sources: Sequence[Source], reply: Reply | None = None, asked_at: float = 0.0) -> Got:
        """The object's newest version. `reply` is a first answer that is there already, asked for at `asked_at`.

        Raises the errors of `nearside.caching.errors`."""
        doubted, damaged = "", 0
        for _ in range(ATTEMPTS):
            if reply is None:
                asked_at = self._means.clock()
                reply = first(sources, None, self._means.patience)
            part = self._part(reply)
            why: Exception
            try:
                fetched = self._fetched(reply, sources, part)
                if not fetched.in_doubt or fetched.sha256 == doubted:
                    return self._sealed(part, fetched, asked_at)
                doubted = fetched.sha256  # when the same bytes come again, the ETag is no MD5
                why = CorruptDownload(f"{fetched.source} sent bytes whose MD5 is not the ETag that it sent with them")
            except (Changed, Restart, CorruptDownload) as error:
                why = light(error)
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
            if isinstance(why, CorruptDownload):
                damaged += 1
                if damaged == _DAMAGED:
                    raise why
                sources = _after(reply.source, sources)
            reply = None
        if isinstance(why, Restart) and isinstance(why.__cause__, UnreachableObject):
            raise why.__cause__
        raise ObjectChanged(f"{self._target.uri} was replaced during each of {ATTEMPTS} downloads") from why

    def _part(self, reply: Reply) -> Path:
        try:
            return self._folder.part()
        except BaseException:
            reply.answer.close()
            raise

    def _fetched(self, reply: Reply, sources: Sequence[Source], part: Path) -> Fetched:
        told = _Told(self._terms.progress)
        transfer = msgspec.structs.replace(self._means.transfer, max_bytes=self._terms.max_bytes, progress=told)
        from_s3 = isinstance(self._target.remote, S3Object)
        try:
            with no_room(str(self._means.store.root)):
                return fetch(reply, sources, part, transfer, self._means.patience, from_s3=from_s3)
        except (Changed, Restart, CorruptDownload):
            told.in_vain()
            raise

    def _sealed(self, part: Path, fetched: Fetched, asked_at: float) -> Got:
        if self._means.pins is not None:
            self._means.pins.check(self._target.uri, fetched.size, fetched.sha256)
        headers = fetched.headers
        remote = self._target.remote
        key = remote.key if isinstance(remote, S3Object) else _path_of(remote)
        entry = Entry(
            uri=self._target.uri,
            identity=self._target.identity,
            file=f"{fetched.sha256[:16]}/{file_name(key)}",  # what it holds is its name: it never changes
            size=fetched.size,
            sha256=fetched.sha256,
            mtime_ns=0,
            fetched_at=asked_at,
            fetched_from=fetched.source,
            etag=headers.get("etag", ""),
            version_id=headers.get("x-amz-version-id", ""),
            last_modified=headers.get("last-modified", ""),
            content_type=headers.get("content-type", ""),
            content_encoding=headers.get("content-encoding", ""),
        )
        found = self._folder.seal(part, entry)
        release = self._folder.hold(found)
        used_at = self._means.clock()
        self._folder.used(used_at)
        self._folder.validated(asked_at)
        got = Got(found, release, lambda: self._folder.finished(used_at, 0.0), downloaded=True)
        self._means.usage.added(fetched.size)
        return got


class _Told:
    """Counts the bytes that whoever shows the progress was told of."""

    def __init__(self, tell: Callable[[int], None] | None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._count = 0

    def __call__(self, count: int) -> None:
        if self._tell is not None:
            with self._lock:
                self._count += count
            self._tell(count)

    def in_vain(self) -> None:
        """The bytes will have to come again."""
        self(-self._count)


def _after(damaged: Source, sources: Sequence[Source]) -> Sequence[Source]:
    """The sources, with the one whose copy came damaged as the last."""
    return [*(source for source in sources if source is not damaged), damaged]


def _path_of(remote: WebAddress) -> str:
    return remote.url.partition("#")[0].partition("?")[0].partition("://")[2].partition("/")[2]

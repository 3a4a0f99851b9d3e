"""What the cache hands out: a path, and where it came from."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from nearside.caching.errors import BadUri, MissingObject, ObjectTooLarge, RefusedObject
from nearside.uri import LocalFile


@dataclass(frozen=True)
class LocalizedResource:
    """A local file to read: never changed, and not evicted while this object lives (or until its `with` block ends).

    `from_cache` is True whenever the file lives in the cache; `downloaded` says that this very call brought it.
    `stale`: its source could not be reached, and it was asked for all the same. The rest describes the version, where
    it is known: `etag` as it was sent, `sha256` in hex and `size` in bytes of the file.
    """

    path: Path
    from_cache: bool
    source: Literal["local", "s3", "http"]
    uri: str = ""
    downloaded: bool = False
    stale: bool = False
    etag: str = ""
    version_id: str = ""
    sha256: str = ""
    size: int = 0
    content_type: str = ""
    content_encoding: str = ""
    last_modified: str = ""
    _release: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    _finish: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._release is not None:
            weakref.finalize(self, self._release).atexit = False  # the session ends with the process anyway

    def __reduce__(self) -> tuple[object, ...]:
        """A copy in another process holds nothing: it has the five minutes after the file was handed out."""
        public = {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}
        return partial(LocalizedResource, **public), ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the use of the file: from now on it may be evicted."""
        if self._release is not None and self._finish is not None:
            self._release()
            self._finish()


def file_at(resource: LocalFile, max_bytes: int | None) -> LocalizedResource:
    """A file of this machine, as it is. Raises MissingObject, RefusedObject, BadUri for what is no path, and
    ObjectTooLarge when it is over `max_bytes`."""
    try:
        found = resource.path.stat()
    except FileNotFoundError:
        raise MissingObject(f"there is no file {resource.text}") from None
    except PermissionError as error:
        raise RefusedObject(f"{resource.text} cannot be read: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise BadUri(f"{resource.text[:200]} is no path of a file: {error}") from None
    if max_bytes is not None and found.st_size > max_bytes:
        raise ObjectTooLarge(f"{resource.text} has {found.st_size} bytes: expected at most {max_bytes}")
    path = resource.path.resolve()
    return LocalizedResource(path, from_cache=False, source="local", uri=resource.text, size=found.st_size)

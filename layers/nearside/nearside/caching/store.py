"""The cache on disk: a root that is ours alone, one folder for each entry, and one session for each process."""

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nearside.caching.entries import folder_name
from nearside.caching.errors import UnsafeCache
from nearside.caching.folders import Folder, Found, Ground
from nearside.caching.sessions import Session, remove_dead

__all__ = ["GRACE_SECONDS", "Folder", "Found", "Store"]

GRACE_SECONDS = 300.0
_LAYOUT = "1"
_PREFIX = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{64}")
_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This is a cache of nearside; https://bford.info/cachedir/ says what this file is for.
"""


class Store:
    """The entries in `root`, which is made when it is not there.

    An entry counts as in use while a process holds it, and for `grace_seconds` after it was last handed out. Raises
    UnsafeCache when others may write to the root or its layout is of another version, OSError when it cannot be made. A
    root that only can be read is fine: what would be written is not, or raises OSError.
    """

    def __init__(
        self, root: Path, *, clock: Callable[[], float] = time.time, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - Path.resolve would follow links
        self.clock = clock
        self.grace_seconds = grace_seconds
        self.sessions = self.root / "sessions"
        self._objects = self.root / "objects"
        self.session = Session(self.sessions)
        self._ground = Ground(self.root, self.sessions, self.session, clock, grace_seconds)
        self.make_root()
        _refuse_unsafe(self.root)
        _refuse_other_layout(self.root)
        self._lay_out()
        remove_dead(self.sessions)

    def entry(self, identity: Sequence[str]) -> Folder:
        """The folder of this identity's entry, whether it is there or not."""
        return self._folder(folder_name(identity), tuple(identity))

    def folders(self) -> Iterator[Folder]:
        """The folders of all entries that are there now, in no order."""
        for prefix in _folders_in(self._objects, _PREFIX):
            for name in _folders_in(self._objects / prefix, _NAME):
                if name.startswith(prefix):
                    yield self._folder(name, None)

    def close(self) -> None:
        """Ends this process's session: nothing is held by this store any longer, its unfinished downloads are gone."""
        self.session.close()

    def _folder(self, name: str, identity: tuple[str, ...] | None) -> Folder:
        return Folder(self._ground, name, identity)

    def recent(self, used_at: float) -> bool:
        """Whether what was used then (seconds of the epoch) counts as in use still."""
        return self._ground.recent(used_at)

    def make_root(self) -> None:
        """Makes the root where it is not there. Raises OSError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _lay_out(self) -> None:
        with contextlib.suppress(OSError):  # a root that only can be read
            for folder in (self._objects, self.sessions):
                folder.mkdir(mode=0o700, exist_ok=True)
            for name, text in (("CACHEDIR.TAG", _TAG), ("version", _LAYOUT + "\n")):
                path = self.root / name
                if not path.exists() or not path.stat().st_size:  # empty: whoever wrote it died
                    path.write_text(text)


def _refuse_unsafe(root: Path) -> None:
    """Raises UnsafeCache when another user could put files into the root for us to read."""
    found = root.stat()
    if os.name != "posix":
        return
    for owner in (found.st_uid, root.lstat().st_uid):  # it may be a link
        if owner not in (os.geteuid(), 0):
            raise UnsafeCache(f"the cache {root} belongs to another user (uid {owner})")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeCache(f"others may write to the cache {root} (mode {stat.S_IMODE(found.st_mode):o}): chmod go-w it")


def _refuse_other_layout(root: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        layout = (root / "version").read_text(errors="replace")[:20].strip()
        if layout not in ("", _LAYOUT):
            raise UnsafeCache(
                f"the cache {root} has the layout {layout!r}, this is for {_LAYOUT!r}: take another folder"
            )


def _folders_in(folder: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    try:
        with os.scandir(folder) as items:
            names = [item.name for item in items if pattern.fullmatch(item.name) and item.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield from names

"""An entry's folder: reading it, writing it, holding it against eviction, and dropping it."""

import contextlib
import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from nearside.caching import locks
from nearside.caching.entries import Entry, folder_name
from nearside.caching.errors import CorruptDownload
from nearside.caching.files import (
    bytes_in,
    entry_at,
    is_folder,
    is_plain,
    is_whole,
    no_room,
    place,
    remove,
    replace,
    touch,
)
from nearside.caching.sessions import Session, held_versions

_CLOCK_TICK = 0.000_002  # what file systems and floats make of a time
_OURS = ("lock", "entry.json")


class Ground(msgspec.Struct, frozen=True):
    """What all folders of a store stand on. `grace_seconds` is how long an entry stays in use after its last use."""

    root: Path
    sessions: Path
    session: Session
    clock: Callable[[], float]
    grace_seconds: float

    def recent(self, at: float) -> bool:
        """Whether this time is not longer ago than the grace. One far in the future is not: a clock went back."""
        return abs(self.clock() - at) < self.grace_seconds


class Found(msgspec.Struct, frozen=True):
    """An entry as it was read: its data's `path`, when it was last validated (in seconds of the epoch), and the number
    of entry.json's inode."""

    entry: Entry
    path: Path
    validated_at: float
    inode: int = 0


class Folder:
    """The folder of one entry, which may not be there. Thread-safe."""

    def __init__(self, ground: Ground, name: str, identity: tuple[str, ...] | None) -> None:
        self.name = name
        self._ground = ground
        self._identity = identity
        self._shelf = f"{ground.root}{os.sep}objects{os.sep}{name[:2]}"
        self._folder = f"{self._shelf}{os.sep}{name}"
        self._json = f"{self._folder}{os.sep}entry.json"
        self._before = 0.0  # when the version that was sealed last had been handed out

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self._folder)

    def read(self) -> Found | None:
        """The entry with its data as it was sealed; None when it is not there, is another's, or is damaged in any way.
        Data with another modification time is read whole and must have the right SHA-256. Never raises."""
        try:
            if not self._is_there():
                return None
            entry, at = entry_at(self._json)
            version, _, file = entry.file.partition("/")
            if not self._is_ours(entry) or not (is_plain(version) and is_plain(file)):
                return None
            folder = f"{self._folder}{os.sep}{version}"
            path = f"{folder}{os.sep}{file}"
            if not is_folder(folder) or not is_whole(path, entry):
                return None
            return Found(entry, Path(path), at.st_mtime, at.st_ino)
        except (OSError, ValueError):
            return None

    def locked(self, timeout: float | None) -> AbstractContextManager[None]:
        """Holds the entry's lock, one holder among all processes and threads; not to be entered twice by one thread.
        Makes the folder. Raises CacheBusy after `timeout` seconds (None: never), OSError where it cannot be written."""
        self._clear_the_way()
        return locks.locked(self._lock_path, timeout, self._make)

    def try_lock(self) -> AbstractContextManager[bool]:
        """Holds the entry's lock when it is free, and says whether. Makes the folder. Raises OSError."""
        self._clear_the_way()
        return locks.tried(self._lock_path, self._make)

    def part(self) -> Path:
        """A new file for a download, which goes with this process. Raises CacheFull, OSError."""
        with no_room(self._folder):
            return self._ground.session.new_file(".part")

    def seal(self, part: Path, entry: Entry) -> Found:
        """Makes the downloaded part this entry's data, at once for all who read. The caller has the lock. The part is
        gone afterwards, also on an error, and so are former versions that nobody uses. Raises CorruptDownload when it
        is not as long as the entry says, CacheFull, OSError."""
        if not self._is_there():  # somebody removed the whole cache
            self._make()
        now = self._ground.clock()
        version, _, file = entry.file.partition("/")
        if not (is_plain(version) and is_plain(file)) or version in _OURS:
            raise ValueError(f"no file of an entry: {entry.file!r}")
        draft: Path | None = None
        try:
            with no_room(self._folder):
                part.chmod(0o444)
                found = part.stat()
                if found.st_size != entry.size:
                    raise CorruptDownload(f"{entry.uri}: {found.st_size} bytes instead of {entry.size}")
                entry = msgspec.structs.replace(entry, mtime_ns=found.st_mtime_ns)
                draft = self._ground.session.new_file(".json", msgspec.json.encode(entry))
                os.utime(draft, (now, now))
                at = os.stat(draft)  # noqa: PTH116 - half the time of Path.stat
                former, used = self._version(), self.path.stat().st_mtime
                before = used if former == version else _changed_at(f"{self._folder}{os.sep}{version}")
                path = place(part, Path(self._folder, version), file)
                if former and former != version:  # it notes when it was last handed out
                    touch(f"{self._folder}{os.sep}{former}", used)
                replace(draft, Path(self._json))
        except BaseException:
            for left in (part, draft):
                if left is not None:
                    left.unlink(missing_ok=True)
            raise
        with contextlib.suppress(OSError):
            self._prune(version)
        self._before = before
        self.used(now)
        return Found(entry, path, at.st_mtime, at.st_ino)

    def validated(self, at: float) -> None:
        """Notes when the entry was validated. Never raises."""
        touch(self._json, at)

    def used(self, at: float) -> None:
        """Notes when the entry was last used. Never raises."""
        touch(self._folder, at)

    def used_before(self) -> float:
        """When it was last used; 0 when that cannot be told. Never raises."""
        return _changed_at(self._folder)

    def finished(self, at: float, before: float) -> None:
        """Takes back that it was used at this time, if it was not used since: nobody needs the grace for that, only for
        the use `before`. (One that seems to have been later still counts as of now: a clock went back.) Never raises.
        """
        if abs(self.used_before() - at) < _CLOCK_TICK:
            self.used(max(min(max(before, self._before), at), at - self._ground.grace_seconds))

    def hold(self, found: Found) -> Callable[[], None]:
        """Keeps this version from being removed by any process, until the returned function is called or this process
        ends. Raises FileNotFoundError when it is gone, or going, already."""
        # Who removes an entry or a former version takes it out of entry.json, then looks who holds it; we write that we
        # hold it, then look at entry.json. So one of the two sees the other: we raise, or it lets the data be (and puts
        # entry.json back). No lock is needed here.
        session = self._ground.session
        name = f"{self.name}/{found.entry.file.partition('/')[0]}"
        holds = [session.hold(name)]

        def release() -> None:
            with contextlib.suppress(IndexError):
                session.release(name, holds.pop())

        try:
            now = os.stat(self._json)  # noqa: PTH116 - half the time of Path.stat
            if (now.st_ino, now.st_mtime) != (found.inode, found.validated_at):
                again = self.read()
                if again is None or again.entry.file != found.entry.file:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(found.path))
            os.stat(found.path)  # noqa: PTH116 - half the time of Path.stat
        except BaseException:
            release()
            raise
        return release

    def drop(self, *, spare_recent: bool = True) -> int:
        """Removes the entry when nobody holds it, nor, with `spare_recent`, was it just handed out; the bytes that were
        freed, 0 when it is in use or locked. Never raises."""
        with contextlib.suppress(OSError):
            if not self._is_there():
                return 0
            with locks.tried(self._lock_path, _missing) as ours:
                return self._drop(spare_recent) if ours else 0
        return 0

    def tidy(self) -> int:
        """Removes former versions that nobody uses; the bytes that were freed. Never raises."""
        with contextlib.suppress(OSError, ValueError), locks.tried(self._lock_path, _missing) as ours:
            return self._prune(entry_at(self._json)[0].file.partition("/")[0]) if ours else 0
        return 0

    @property
    def _lock_path(self) -> Path:
        return Path(f"{self._folder}{os.sep}lock")

    def _is_there(self) -> bool:
        return is_folder(self._shelf) and is_folder(self._folder)

    def _is_ours(self, entry: Entry) -> bool:
        return entry.identity == self._identity if self._identity else folder_name(entry.identity) == self.name

    def _clear_the_way(self) -> None:
        """Removes a planted link or file in the place of the folder."""
        for folder in (self._shelf, self._folder):
            if not is_folder(folder):
                with contextlib.suppress(OSError):  # not there; or a folder by now, which this never removes
                    Path(folder).unlink()

    def _make(self) -> None:
        """Makes the folder, and those that it is in. Raises OSError."""
        self._clear_the_way()
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:
            root = self._ground.root
            for folder in (root, root / "objects", Path(self._shelf), self.path):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _version(self) -> str:
        """The version that entry.json names; empty when it is not there, or damaged."""
        with contextlib.suppress(OSError, ValueError):
            version = entry_at(self._json)[0].file.partition("/")[0]
            return version if is_plain(version) else ""
        return ""

    def _prune(self, current: str) -> int:
        """Removes the versions that are not this one and nobody uses. The caller has the lock."""
        with os.scandir(self._folder) as items:
            former = [item for item in items if item.name not in (current, *_OURS)]
        if not former:
            return 0
        held = held_versions(self._ground.sessions, self.name)
        freed = 0
        for item in former:
            if item.name in held or self._ground.recent(item.stat(follow_symlinks=False).st_mtime):
                continue
            freed += bytes_in(item)
            remove(Path(item.path))
        return freed

    def _drop(self, spare_recent: bool) -> int:
        used = self.path.stat().st_mtime
        if (spare_recent and self._ground.recent(used)) or held_versions(self._ground.sessions, self.name):
            return 0
        present, leaving = Path(self._json), Path(self._folder, "entry.leaving")
        with contextlib.suppress(FileNotFoundError):
            present.replace(leaving)
        held = True  # when it cannot be told
        try:
            held = bool(held_versions(self._ground.sessions, self.name))
        finally:
            if held:
                with contextlib.suppress(FileNotFoundError):
                    leaving.replace(present)
                self.used(used)
        if held:
            return 0
        with os.scandir(self._folder) as items:
            freed = sum(map(bytes_in, items))
        try:
            trash = self._ground.session.new_name(".trash")
            self.path.replace(trash)
            remove(trash)
        except OSError:  # Windows moves no folder with an open file; a full disk may have no room for a session
            for item in list(self.path.iterdir()):
                if item.name != "lock":
                    remove(item)
        return freed


def _changed_at(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def _missing() -> None:
    raise FileNotFoundError(errno.ENOENT, "no such entry")

"""A session: what one process uses of a cache, for as long as it lives, and its unfinished downloads."""

import contextlib
import itertools
import os
import secrets
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from nearside.caching.files import SAFELY, remove
from nearside.caching.locks import Lock, taken

_COMPACT_LINES = 256
_ATTEMPTS = 100


class _Opened:
    """The folder of a session of this process."""

    def __init__(self, folder: Path, alive: Lock, held: int) -> None:
        self.folder = folder
        self.alive = alive
        self.held = held
        self.lines = 0


class Session:
    """What this process holds of the cache whose sessions are in this folder. Thread-safe; opens itself at first use.

    A child that is forked off gets a session of its own, in which it holds what its parent held: its copies of the
    parent's objects go on using the same files.
    """

    def __init__(self, sessions: Path) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._ended: deque[tuple[str, int]] = deque()
        self._closed = 0  # how often: what was held before is held no longer
        self._numbers = itertools.count()
        self._opened: _Opened | None = None
        self._end: weakref.finalize[..., Session] | None = None
        _all.add(self)

    def hold(self, name: str) -> int:
        """Counts a use of `<entry>/<version>`, which other processes see when this returns what `release` needs. Never
        raises: where nothing can be written (a read-only cache, a full disk) only the time of last use guards it."""
        with self._lock:
            self._counts[name] = count = self._counts.get(name, 0) + 1
            if count == 1:
                self._append(f"+{name}\n")
            closed = self._closed
        self._settle()
        return closed

    def release(self, name: str, hold: int) -> None:
        """Ends one use. The garbage collector may call this in the middle of anything, also of what has the lock in
        this very thread: then whoever has it settles it."""
        self._ended.append((name, hold))
        self._settle()

    def _settle(self) -> None:
        while self._ended and self._lock.acquire(blocking=False):
            try:
                name, hold = self._ended.popleft()
                count = self._counts.get(name, 0) if hold == self._closed else 0
                if count > 1:
                    self._counts[name] = count - 1
                elif count and self._counts.pop(name):
                    self._append(f"-{name}\n")
            finally:
                self._lock.release()

    def new_file(self, ending: str, data: bytes = b"") -> Path:
        """A new file of this session, with this in it. Raises OSError."""
        for _ in range(_ATTEMPTS):
            path = self.new_name(ending)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFELY, 0o600)
                with open(descriptor, "wb", 0) as file:  # noqa: PTH123 - opens a descriptor
                    file.write(data)
            except FileNotFoundError:  # the whole cache was removed under us
                self._reopen(path.parent)
                continue
            return path
        raise FileNotFoundError(f"{self._sessions} is removed again and again")

    def new_name(self, ending: str) -> Path:
        """A new name in this session's folder. Raises OSError."""
        with self._lock:
            opened = self._opened or self._open()
        return opened.folder / f"{next(self._numbers)}{ending}"

    def close(self) -> None:
        """Ends the session and with it every use; a later use opens a new one."""
        with self._lock:
            self._counts.clear()
            self._closed += 1
            self._close()

    def _append(self, line: str) -> None:
        with contextlib.suppress(OSError):
            opened = self._opened or self._open()
            data = line.encode()
            written = os.write(opened.held, data)
            if written < len(data):  # the disk is full; half a line would spoil the next
                os.ftruncate(opened.held, os.fstat(opened.held).st_size - written)
            opened.lines += 1
            if opened.lines > _COMPACT_LINES + 4 * len(self._counts):
                self._compact(opened)

    def _compact(self, opened: _Opened) -> None:
        """Writes anew what is held. Who has the old file open reads what was held when it opened it, which is all that
        it needs: see `Folder.hold`. Raises OSError, and then the old file goes on."""
        opened.lines = 0
        new = opened.folder / "held.new"
        new.write_text("".join(f"+{name}\n" for name in self._counts))
        if os.name == "posix":
            held = os.open(new, os.O_WRONLY | os.O_APPEND | SAFELY)
            new.replace(opened.folder / "held")
            opened.held, held = held, opened.held  # before it is closed: a child forked now closes its own
            os.close(held)
        else:  # Windows replaces no open file
            os.close(opened.held)
            with contextlib.suppress(PermissionError):  # somebody reads it
                new.replace(opened.folder / "held")
            opened.held = _open_held(opened.folder)

    def _open(self) -> _Opened:
        """Raises OSError. Who looks for dead sessions may find this one before its lock is taken, and remove it: then
        the lock is not to be had, or on no file of that name, and the next name is tried."""
        for _ in range(_ATTEMPTS):
            folder = self._sessions / f"{os.getpid()}-{secrets.token_hex(8)}"
            folder.mkdir(mode=0o700, parents=True)
            alive = None
            try:
                alive = taken(folder / "alive")
                held = _open_held(folder) if alive else -1
            except FileNotFoundError:
                alive = None
            finally:
                if alive is None:
                    remove(folder)
            if alive is None:
                continue
            self._opened = _Opened(folder, alive, held)
            self._end = weakref.finalize(self, _ended, os.getpid(), self._opened)
            for name in self._counts:
                self._append(f"+{name}\n")
            return self._opened
        raise FileNotFoundError(f"{self._sessions} is removed again and again")

    def _reopen(self, folder: Path) -> None:
        with self._lock:
            if self._opened is not None and self._opened.folder == folder:
                self._close()

    def _close(self) -> None:
        if self._end is not None:
            self._end()
        self._end = self._opened = None

    def forked(self) -> None:
        """In a forked child: a session of its own."""
        self._lock = threading.Lock()
        self._ended = deque(self._ended)
        inherited, self._opened = self._opened, None
        if self._end is not None:
            self._end.detach()
            self._end = None
        if inherited is not None:
            with contextlib.suppress(OSError):
                os.close(inherited.held)
        if self._counts:
            with contextlib.suppress(OSError):
                self._open()


_all: weakref.WeakSet[Session] = weakref.WeakSet()


def _forked() -> None:
    for session in list(_all):
        session.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _open_held(folder: Path) -> int:
    return os.open(folder / "held", os.O_WRONLY | os.O_CREAT | os.O_APPEND | SAFELY, 0o600)


def _ended(pid: int, opened: _Opened) -> None:
    if os.getpid() != pid:
        return
    with contextlib.suppress(OSError):
        os.close(opened.held)
    if os.name == "posix":  # nobody takes it for dead while it goes; Windows cannot remove a locked file
        remove(opened.folder)
    opened.alive.release()
    remove(opened.folder)


def remove_dead(sessions: Path) -> None:
    """Removes the sessions whose processes are gone, with their unfinished downloads, as far as it can."""
    for folder in _folders(sessions):
        with contextlib.suppress(OSError):
            alive = taken(folder / "alive")
            if alive is None:
                continue
            if os.name == "posix":  # only with the lock: who opens this one now has it on a new file
                remove(folder)
                alive.release()
            else:
                alive.release()
                remove(folder)


def held_versions(sessions: Path, entry: str) -> set[str]:
    """The names of this entry's versions that a live process uses. Raises OSError when it cannot be told."""
    mark = f"+{entry}/".encode()
    versions: set[str] = set()
    for folder in _folders(sessions):
        text = _held(folder)
        if mark in text and not _is_dead(folder):
            versions.update(name[len(entry) + 1 :] for name in replayed(text) if name.startswith(entry + "/"))
    return versions


def held_entries(sessions: Path) -> set[str]:
    """The names of all entries that a live process uses. Raises OSError when it cannot be told."""
    names: set[str] = set()
    for folder in _folders(sessions):
        held = replayed(_held(folder))
        if held and not _is_dead(folder):
            names.update(name.partition("/")[0] for name in held)
    return names


def unfinished_bytes(sessions: Path) -> int:
    """The size of all unfinished downloads, also of processes that are gone."""
    total = 0
    for folder in _folders(sessions):
        with contextlib.suppress(OSError), os.scandir(folder) as inside:
            for item in inside:
                if item.name.endswith(".part"):
                    total += item.stat(follow_symlinks=False).st_size
    return total


def replayed(text: bytes) -> set[str]:
    """What is held after these lines. The last line counts only when it is whole."""
    held: set[str] = set()
    for line in text.rpartition(b"\n")[0].decode(errors="replace").split("\n"):
        if line.startswith("+"):
            held.add(line[1:])
        elif line.startswith("-"):
            held.discard(line[1:])
    return held


def _held(folder: Path) -> bytes:
    """Raises OSError when it cannot be told: then nobody may think that nothing is held."""
    try:
        return (folder / "held").read_bytes()
    except FileNotFoundError:  # nothing held yet, or ended
        return b""


def _is_dead(folder: Path) -> bool:
    """Whether nobody has the session's lock."""
    try:
        alive = taken(folder / "alive")
    except FileNotFoundError:
        return True
    except OSError:  # whatever keeps us from asking: it may be alive
        return False
    if alive is None:
        return False
    alive.release()
    return True


def _folders(sessions: Path) -> Iterator[Path]:
    try:
        with os.scandir(sessions) as items:
            found = [item.name for item in items if item.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    yield from (sessions / name for name in found)

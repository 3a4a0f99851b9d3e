"""Locks on files, across threads, processes and forks, that are right also when the file itself is removed."""

import contextlib
import errno
import os
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from nearside.caching.errors import CacheBusy
from nearside.caching.files import SAFELY, remove

_POLL_SECONDS = 0.02
_FOREVER = -1.0
_ATTEMPTS = 1000


class Lock:
    """A lock that is held, to be released once, by whichever thread. Its file is open until then: its inode is given to
    no other file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._owner = os.getpid()
        _open.add(self)

    def release(self) -> None:
        """Lets it go; in a forked child, which never had it, nothing happens. (It would go with the last descriptor
        only, and a child has a copy: so it is let go in so many words.)"""
        if self._descriptor >= 0 and self._owner == os.getpid():
            from filelock import unlock_descriptor

            try:
                unlock_descriptor(self._descriptor)
            finally:
                self.forget()

    def forget(self) -> None:
        """Closes the file without letting go what another process may hold by it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.forget()


_open: "weakref.WeakSet[Lock]" = weakref.WeakSet()


class Guard:
    """A lock among the threads of this process, for `with`. A forked child has it free: a thread of the parent that had
    it is not there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _guards.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """In a forked child."""
        self._lock = threading.Lock()


_guards: "weakref.WeakSet[Guard]" = weakref.WeakSet()


class _Turn:
    """Whose turn it is among the threads of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wanted_by = 0


_turns: dict[str, _Turn] = {}
_guard = Guard()


def _forget() -> None:
    """In a forked child: the threads that had a turn or wanted one are not here."""
    for guard in list(_guards):
        guard.renew()
    _turns.clear()
    for lock in list(_open):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def locked(path: Path, timeout: float | None, make: Callable[[], None]) -> Iterator[None]:
    """Holds the lock on this file; `make` makes the folder that it is in. Not to be entered twice by one thread.

    Threads of this process wait without polling. Raises CacheBusy when `timeout` seconds have passed (None: never).
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with _turn(path, timeout) as ours:
        lock = _file_lock(path, deadline, make) if ours else None
        if lock is None:
            raise CacheBusy(f"another download holds {path.parent} for more than {timeout:g} seconds")
        try:
            yield
        finally:
            lock.release()


@contextlib.contextmanager
def tried(path: Path, make: Callable[[], None]) -> Iterator[bool]:
    """Holds the lock on this file if nobody else does; whether it is held."""
    with _turn(path, 0.0) as ours:
        lock = _file_lock(path, time.monotonic(), make) if ours else None
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()


def taken(path: Path) -> Lock | None:
    """A lock on this file, to be released by the caller; None when somebody has it. Raises FileNotFoundError when the
    folder is not there, or no longer."""
    return _attempt(path, 0.0)


@contextlib.contextmanager
def _turn(path: Path, timeout: float | None) -> Iterator[bool]:
    key = str(path)
    with _guard:
        turn = _turns.setdefault(key, _Turn())
        turn.wanted_by += 1
    ours = False
    try:
        ours = turn.lock.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
        yield ours
    finally:
        if ours:
            turn.lock.release()
        with _guard:
            turn.wanted_by -= 1
            if not turn.wanted_by and _turns.get(key) is turn:
                del _turns[key]


def _file_lock(path: Path, deadline: float | None, make: Callable[[], None]) -> Lock | None:
    for _ in range(_ATTEMPTS):
        left = _FOREVER if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            lock = _attempt(path, left)
        except FileNotFoundError:  # not there yet, or evicted this moment
            with contextlib.suppress(FileExistsError):  # pathlib's mkdir, when a folder goes while it looks
                make()
            continue
        except OSError:
            if not _out_of_the_way(path):
                raise
            continue
        return lock
    raise FileNotFoundError(errno.ENOENT, "removed again and again", str(path))


class _Gone(FileNotFoundError):
    """The lock was on a file that is no longer the one of this name."""


def _attempt(path: Path, timeout: float) -> Lock | None:
    """Raises FileNotFoundError when the folder is not there, or was moved away meanwhile.

    An evictor moves an entry's folder away with its lock file, so the file that we waited for may guard nothing by now:
    its path must still lead to it.
    """
    from filelock import lock_descriptor

    deadline = time.monotonic() + timeout
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | SAFELY, 0o600)
    try:
        while not lock_descriptor(descriptor, blocking=False):
            if timeout != _FOREVER and time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_POLL_SECONDS)
        same = os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        same = False
    except BaseException:
        os.close(descriptor)
        raise
    lock = Lock(descriptor)
    if not same:
        lock.release()
        raise _Gone
    return lock


def _out_of_the_way(path: Path) -> bool:
    """Removes what stands at a lock's place and is no file; whether there was such a thing."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    if stat.S_ISREG(mode):
        return False
    remove(path)
    return not os.path.lexists(path)

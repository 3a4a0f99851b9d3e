"""Processes over one cache: what the tests of `nearside.caching.store` run as children, and kill."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nearside.caching import sessions
from nearside.caching.entries import Entry
from nearside.caching.errors import CacheBusy
from nearside.caching.evicting import Usage
from nearside.caching.store import Folder, Found, Store

ROOT = Path(__file__).parents[2]
_READING = ("open", "close", "read", "stat", "lstat", "fstat", "scandir")
_WRITING = ("write", "ftruncate", "replace", "rename", "mkdir", "rmdir", "unlink", "remove", "utime", "chmod")


def identity_of(key: str) -> tuple[str, ...]:
    return ("s3", "aws", "123456789012", "bucket", key)


def entry_of(key: str, data: bytes, version: str = "v1", name: str = "data.bin") -> Entry:
    return Entry(
        uri=f"s3://bucket/{key}",
        identity=identity_of(key),
        file=f"{version}/{name}",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        mtime_ns=0,
        fetched_at=1.0,
        fetched_from="aws",
    )


def put(store: Store, key: str, data: bytes = b"data", version: str = "v1") -> Found:
    """Downloads it, so to speak."""
    folder = store.entry(identity_of(key))
    with folder.locked(30.0):
        return sealed(folder, key, data, version)


def sealed(folder: Folder, key: str, data: bytes, version: str = "v1") -> Found:
    part = folder.part()
    part.write_bytes(data)
    return folder.seal(part, entry_of(key, data, version))


def is_whole(found: Found) -> bool:
    return hashlib.sha256(found.path.read_bytes()).hexdigest() == found.entry.sha256


@contextlib.contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One of the actions below in a process of its own; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.cache_processes", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'layers/nearside'}"},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """The next line that the child says; empty when it ended."""
    assert process.stdout
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    """Lets a child go on that waits."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # one write: many say something at once


def _wait() -> None:
    sys.stdin.readline()


class Steps:
    """Runs an action before the n-th call of the operating system that touches files, and says how many there were."""

    def __init__(self, at: int, action: Callable[[], None]) -> None:
        self.seen = 0
        self._at = at
        self._action = action
        self._inside = False
        self._real = [(os, name, getattr(os, name)) for name in _READING + _WRITING]
        if os.name == "posix":
            import fcntl

            self._real.append((fcntl, "flock", fcntl.flock))

    def __enter__(self) -> "Steps":
        for module, name, call in self._real:
            setattr(module, name, self._stepped(call))
        return self

    def __exit__(self, *_: object) -> None:
        for module, name, call in self._real:
            setattr(module, name, call)

    def _stepped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            if not self._inside:
                self._inside = True
                try:
                    if self.seen == self._at:
                        self._action()
                finally:
                    self._inside = False
                self.seen += 1
            return call(*arguments, **named)

        return stepped


def hold(root: str, key: str) -> None:
    """Holds an entry until it is told to release it, then lives until it is told to end."""
    store = Store(Path(root), grace_seconds=0)
    folder = store.entry(identity_of(key))
    found = folder.read()
    assert found
    release = folder.hold(found)
    _say("held")
    _wait()
    release()
    _say("released")
    _wait()


def lock(root: str, key: str) -> None:
    """Holds an entry's lock, with half a download."""
    folder = Store(Path(root)).entry(identity_of(key))
    with folder.locked(5.0):
        folder.part().write_bytes(b"half")
        _say("locked")
        _wait()


def add_up(root: str, key: str, times: str) -> None:
    """Counts in a file under the lock, while others drop the entry."""
    store = Store(Path(root), grace_seconds=0)
    folder = store.entry(identity_of(key))
    count = Path(root, "count")
    for _ in range(int(times)):
        with folder.locked(60.0):
            before = int(count.read_text())
            sealed(folder, key, b"x")
            count.write_text(str(before + 1))
        folder.drop()
    _say("done")


def fork_holding(root: str, key: str) -> None:
    """The parent holds and ends at once; its child says so, and goes on until it is told to end."""
    store = Store(Path(root), grace_seconds=0)
    folder = store.entry(identity_of(key))
    found = folder.read()
    assert found
    release = folder.hold(found)
    parent = os.getpid()
    if os.fork():
        store.close()
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.01)
    _say("child")
    _wait()
    release()
    _say("released")
    _wait()
    os._exit(0)


def fork_locked(root: str, key: str) -> None:
    """A child is forked while the parent holds the lock, and outlives it."""
    folder = Store(Path(root)).entry(identity_of(key))
    with folder.locked(5.0):
        if os.fork():
            os._exit(0)  # as if it were killed
        time.sleep(0.05)
    try:
        with folder.locked(5.0):
            _say("locked")
    except CacheBusy:
        _say("busy")
    _wait()
    os._exit(0)


def churn(root: str, seed: str, rounds: str, processes: str) -> None:
    """So many processes download, read, hold, evict and check in random order; each says `wrong` when what it holds is
    not whole. Their parent ends when all have, and they end with it."""
    children = [os.fork()]
    while children[-1] and len(children) < int(processes):
        children.append(os.fork())
    if children[-1]:
        for process in children:
            os.waitpid(process, 0)
        return
    _churn(Path(root), random.Random(int(seed) * 100 + len(children)), int(rounds))
    os._exit(0)


def _churn(root: Path, chance: random.Random, rounds: int) -> None:
    parent = os.getppid()
    store = Store(root, grace_seconds=0)
    usage = Usage(store, 3000)
    _say("ready")
    for number in range(rounds):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        key = f"k{chance.randrange(6)}"
        folder = store.entry(identity_of(key))
        kind = chance.random()
        if kind < 0.4:
            data = chance.randbytes(chance.randrange(1, 1500))
            put(store, key, data, hashlib.sha256(data).hexdigest()[:16])
            usage.added(len(data))
        elif kind < 0.55:
            with contextlib.suppress(CacheBusy):
                usage.evict(500) if kind < 0.5 else usage.clear()
        elif (found := folder.read()) is not None:
            try:
                release = folder.hold(found)
            except FileNotFoundError:
                continue
            time.sleep(chance.random() / 500)
            if not is_whole(found):
                _say(f"wrong {number}")
            release()
    store.close()
    _say("done")


def die_at_each_step(what: str) -> None:
    """Kills a forked child before each call that touches files, and looks at what it leaves."""
    for number in range(1000):
        with tempfile.TemporaryDirectory() as base:
            root = Path(base, "cache")
            before = Store(root, grace_seconds=0)
            if what != "first":
                put(before, "k", b"old", "old")
            before.close()
            del before
            pid = os.fork()
            if not pid:
                with contextlib.suppress(BaseException), Steps(number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                    _act(what, root)
                os._exit(0)
            killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
            problem = _problem_of(root, what)
            if problem:
                _say(f"step {number}: {problem}")
                return
            if not killed:
                _say(f"fine {number}")
                return


def _act(what: str, root: Path) -> None:
    store = Store(root, grace_seconds=0)
    folder = store.entry(identity_of("k"))
    if what == "drop":
        folder.drop()
    elif what == "hold":
        found = folder.read()
        assert found
        sessions._COMPACT_LINES = 2
        for _ in range(3):
            folder.hold(found)()
        folder.hold(found)
    else:
        put(store, "k", b"newer", "new")
    store.close()


def _problem_of(root: Path, what: str) -> str:
    """What is wrong in a cache whose only user was killed."""
    store = Store(root, grace_seconds=0)
    left = [str(path) for path in (root / "sessions").iterdir()]
    if left:
        return f"left {left}"
    folder = store.entry(identity_of("k"))
    found = folder.read()
    if found is None and what not in ("drop", "first"):
        return "nothing there"
    if found is not None and not is_whole(found):
        return "half a file"
    with folder.try_lock() as ours:
        if not ours:
            return "locked"
    again = put(store, "k", b"again", "again")
    if folder.read() != again or sorted(path.name for path in folder.path.iterdir()) != ["again", "entry.json", "lock"]:
        return f"not new: {sorted(path.name for path in folder.path.iterdir())}"
    if not folder.drop() or folder.path.exists():
        return "not dropped"
    store.close()
    return ""


if __name__ == "__main__":
    {each.__name__: each for each in (hold, lock, add_up, fork_holding, fork_locked, churn, die_at_each_step)}[
        sys.argv[1]
    ](*sys.argv[2:])

"""What the processes in tests/cache/test_processes.py do: run as a program, commands come on standard input.

Each command is a line of JSON, each answer too. `fork` runs the command in a forked child, whose id is answered at
once: that saves the 200 ms of a new interpreter, and the child has opened nothing of the cache yet.
"""

import errno
import json
import os
import random
import signal
import sys
from typing import Any

import nearside.adapters.cache_configured  # noqa: F401 - imported before the forks, so that they get to work at once
from nearside.cache import CacheManager
from nearside.errors import NearsideError
from tests.cache.looking import HASTY, sha256


def digests(folder: str, url: str, uris: list[str], **asked: Any) -> list[str]:
    """The SHA-256 of what a get of each URI gives, or the name of its error, in a random order of asking."""
    cache = CacheManager(folder, endpoint_url=url, region="eu-west-2", anonymous=True, patience=HASTY)
    order = list(range(len(uris)))
    random.shuffle(order)
    found = [""] * len(uris)
    for index in order:
        try:
            with cache.get(uris[index], **asked) as got:
                found[index] = sha256(got.path.read_bytes())
        except (NearsideError, OSError) as error:
            found[index] = f"{type(error).__name__} {error.errno if isinstance(error, OSError) else None}"
    return found


def forced(folder: str, url: str, uris: list[str]) -> list[str]:
    """The same, each downloaded again."""
    return digests(folder, url, uris, force=True)


def crowded(folder: str, url: str, uris: list[str], max_bytes: int) -> list[list[str]]:
    """What was read of each in a cache with room for few of them and no time of grace: of each get the SHA-256 at its
    begin and at its end."""
    from nearside.caching.store import Store

    Store.__init__.__kwdefaults__["grace_seconds"] = 0.0  # type: ignore[index]  # it has some
    cache = CacheManager(
        folder, endpoint_url=url, region="eu-west-2", anonymous=True, patience=HASTY, max_bytes=max_bytes
    )
    found: list[list[str]] = [[] for _ in uris]
    for _ in range(8):
        for index in random.sample(range(len(uris)), len(uris)):
            with cache.get(uris[index]) as got:
                found[index].append(sha256(got.path.read_bytes()))
                if random.random() < 0.1:
                    cache.evict(0)
                found[index].append(sha256(got.path.read_bytes()))
    return found


_kept: dict[str, CacheManager] = {}
_in_use: list[Any] = []


def kept(folder: str, url: str, uris: list[str]) -> list[str]:
    """As `digests`, with a manager that stays, and files that stay in use."""
    if folder not in _kept:
        _kept[folder] = CacheManager(folder, endpoint_url=url, region="eu-west-2", anonymous=True, patience=HASTY)
    found = _kept[folder].get_many(uris)
    _in_use.extend(found)
    return [sha256(each.path.read_bytes()) for each in found]


def fork_and_go_on(folder: str, url: str, uris: list[str]) -> list[list[str]]:
    """What a forked child and its parent get at the same time; the child's end follows."""
    coming, going = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.write(going, json.dumps(kept(folder, url, uris)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(going)
    own = kept(folder, url, uris)
    with os.fdopen(coming) as pipe:
        theirs = json.load(pipe)
    _later.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return [own, theirs]


_later: list[Any] = []


def many(folder: str, url: str, uris: list[str]) -> list[str]:
    """The same by get_many."""
    cache = CacheManager(folder, endpoint_url=url, region="eu-west-2", anonymous=True, patience=HASTY)
    return [sha256(each.path.read_bytes()) for each in cache.get_many(uris)]


def with_little_room(folder: str, url: str, uris: list[str], room: int) -> list[str]:
    """As `digests`, but no file may grow over `room` bytes: what is written beyond is refused by the system."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    return digests(folder, url, uris)


def with_a_full_disk(folder: str, url: str, uris: list[str], room: int) -> list[str]:
    """As `digests`, but the device is full after `room` bytes of a download."""
    import io
    from collections.abc import Callable
    from pathlib import Path

    class Full(io.FileIO):
        def write(self, data: Any, /) -> int:
            size = memoryview(data).nbytes
            left = room - self.tell()
            if left <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(memoryview(data)[: min(left, size)])  # as the system does: what has room is written

        def truncate(self, size: int | None = None, /) -> int:
            if size is not None and size > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().truncate(size)

    opened: Callable[..., Any] = Path.open

    def open_(self: Path, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        if self.name.endswith(".part") and set(mode) & set("wax+"):
            full = Full(self, mode.replace("b", ""))
            return full if buffering == 0 else io.BufferedRandom(full) if "+" in mode else io.BufferedWriter(full)
        return opened(self, mode, buffering, *more, **named)

    Path.open = open_  # type: ignore[method-assign]  # only in this process
    return digests(folder, url, uris)


_COMMANDS = {
    each.__name__: each
    for each in (crowded, digests, forced, kept, fork_and_go_on, many, with_little_room, with_a_full_disk)
}


def _answer(given: Any) -> None:
    sys.stdout.write(json.dumps(given) + "\n")
    sys.stdout.flush()


def _serve() -> None:
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name != "fork":
            _answer(_COMMANDS[name](*arguments))
            while _later:
                _answer(_later.pop())
            continue
        child = os.fork()
        if child:
            _answer(child)
            os.waitpid(child, 0)
            _answer("gone")
            continue
        random.seed()
        try:
            _COMMANDS[arguments[0]](*arguments[1:])
        finally:
            os._exit(0)


if __name__ == "__main__":
    _serve()

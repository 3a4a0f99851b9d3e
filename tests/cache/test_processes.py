"""Many processes on one cache, processes that are killed, and disks that are full."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from nearside.caching.errors import CacheFull, NotCached
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, root_of, sha256, unfinished

ROOT = Path(__file__).parents[2]
PROCESSES, OBJECTS, ROUNDS = 16, 50, 40

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed and forked as POSIX does")


class Worker:
    """A process that runs tests/cache/working.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def tell(self, *command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process died"
        return json.loads(line)

    def ask(self, *command: object) -> Any:
        self.tell(*command)
        return self.hear()


@contextmanager
def working() -> Iterator[Worker]:
    """A worker, which is gone at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "layers/nearside"), str(ROOT)])}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/cache/working.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def fill(server: FaultyServer, count: int, size: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Objects of about `size` random bytes: their URIs and their SHA-256."""
    chance = random.Random(seed)
    uris, sums = [], []
    for number in range(count):
        stored = server.put(f"box/{number}.bin", chance.randbytes(chance.randint(size // 2, size)))
        uris.append(f"s3://box/{number}.bin")
        sums.append(stored.sha256)
    return uris, sums


def test_sixteen_processes_download_each_of_fifty_objects_once(
    server: FaultyServer, folder: Path, make: MakeCache
) -> None:
    uris, sums = fill(server, OBJECTS, 50_000)
    with ExitStack() as stack:
        workers = [stack.enter_context(working()) for _ in range(PROCESSES)]
        for number, worker in enumerate(workers):
            worker.tell("many" if number % 2 else "digests", str(folder), server.url, uris)
        assert all(worker.hear() == sums for worker in workers)
    downloads = Counter(each.target for each in server.asked if each.status in (200, 206))
    assert set(downloads.values()) == {1}
    assert len(downloads) == OBJECTS
    assert {each.status for each in server.asked} <= {200, 304}
    assert sorted(data_of(folder).values()) == sorted(sums)
    assert unfinished(folder) == []
    assert make().verify() == []


def test_processes_see_one_version_or_the_other_while_objects_change(server: FaultyServer, folder: Path) -> None:
    uris, first = fill(server, 8, 20_000, seed=1)
    known = [{each} for each in first]
    over = threading.Event()

    def change() -> None:
        chance = random.Random(2)
        while not over.wait(0.005):
            number = chance.randrange(len(uris))
            body = chance.randbytes(20_000)
            known[number].add(sha256(body))
            server.put(f"box/{number}.bin", body)

    with ExitStack() as stack:
        workers = [stack.enter_context(working()) for _ in range(4)]
        changer = threading.Thread(target=change)
        changer.start()
        try:
            for _ in range(6):
                for worker in workers:
                    worker.tell("digests", str(folder), server.url, uris)
                for worker in workers:
                    for digest, versions in zip(worker.hear(), known, strict=True):
                        assert digest in versions
        finally:
            over.set()
            changer.join()
        newest = [server.newest(uri.removeprefix("s3://")).sha256 for uri in uris]
        assert workers[0].ask("digests", str(folder), server.url, uris) == newest


def test_whatever_moment_a_process_is_killed_at_no_half_file_is_served(
    server: FaultyServer, folder: Path, make: MakeCache
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    chance = random.Random(seed)
    uris, sums = fill(server, 12, 300_000, seed)
    names = [uri.removeprefix("s3://") for uri in uris]
    with working() as worker:
        for _ in range(ROUNDS):
            for name in chance.sample(names, 3):
                server.mend(name)
                server.fail(name, Fault(trickle=chance.choice([4_000, 50_000])), times=1)
            what = chance.choice(["digests", "forced"])
            child = worker.ask("fork", what, str(folder), server.url, uris)
            time.sleep(chance.uniform(0, 0.08))
            with suppress(ProcessLookupError):  # it was done already
                os.kill(child, signal.SIGKILL)
            assert worker.hear() == "gone"
            _check_readable(folder, server, uris, sums, make)
        for name in names:
            server.mend(name)
        assert worker.ask("digests", str(folder), server.url, uris) == sums
    cache = make()
    assert cache.verify() == []
    assert cache.stats().unfinished_bytes == 0
    assert unfinished(folder) == []
    assert sorted(data_of(folder).values()) == sorted(sums), "data that no entry names was left"
    assert len(list((root_of(folder) / "sessions").iterdir())) <= 1, "sessions of the dead were left"


def _check_readable(folder: Path, server: FaultyServer, uris: list[str], sums: list[str], make: MakeCache) -> None:
    cache = make()
    for uri, expected in zip(uris, sums, strict=True):
        try:
            found = cache.get(uri, offline=True)
        except NotCached:
            continue
        assert sha256(found.path.read_bytes()) == expected


def test_the_next_start_removes_what_a_killed_process_left(server: FaultyServer, folder: Path) -> None:
    uris, sums = fill(server, 1, 300_000)
    going = threading.Event()
    server.fail("box/0.bin", Fault(stall_after=100_000, until=going))
    with working() as worker, working() as next_one:
        child = worker.ask("fork", "digests", str(folder), server.url, uris)
        _until(lambda: unfinished(folder) != [])
        _until(lambda: server.asked)
        os.kill(child, signal.SIGKILL)
        assert worker.hear() == "gone"
        assert unfinished(folder) != [], "the test did not kill it in the middle"
        going.set()
        assert next_one.ask("digests", str(folder), server.url, uris) == sums
        assert unfinished(folder) == []
        assert server.statuses("box/0.bin") == [200, 200]


def test_a_lock_of_a_killed_process_is_free(server: FaultyServer, folder: Path) -> None:
    uris, sums = fill(server, 1, 300_000)
    going = threading.Event()
    server.fail("box/0.bin", Fault(stall_after=100_000, until=going))
    with working() as worker, working() as waiting:
        child = worker.ask("fork", "digests", str(folder), server.url, uris)
        _until(lambda: server.asked)
        waiting.tell("digests", str(folder), server.url, uris)
        os.kill(child, signal.SIGKILL)
        assert waiting.hear() == sums
        assert worker.hear() == "gone"
        going.set()


def test_while_others_evict_a_file_in_use_stays(server: FaultyServer, folder: Path) -> None:
    uris, sums = fill(server, 20, 10_000)
    with ExitStack() as stack:
        workers = [stack.enter_context(working()) for _ in range(4)]
        for worker in workers:
            worker.tell("crowded", str(folder), server.url, uris, 40_000)
        for worker in workers:
            for digests, expected in zip(worker.hear(), sums, strict=True):
                assert set(digests) == {expected}
    assert len(server.asked) > 2 * len(uris), "nothing was evicted, so nothing was proved"


@pytest.mark.parametrize("size", [300_000, 20_000_000], ids=["in one", "in parts"])
@pytest.mark.parametrize("how", ["with_little_room", "with_a_full_disk"])
def test_a_disk_that_gets_full_is_said_and_leaves_nothing_behind(
    server: FaultyServer, folder: Path, make: MakeCache, how: str, size: int
) -> None:
    body = random.Random(3).randbytes(size)
    small = server.put("box/small", b"it was there before")
    stored = server.put("box/large", body)
    make().get("s3://box/small")
    uris = ["s3://box/large", "s3://box/small"]
    with working() as worker:
        error, before = worker.ask(how, str(folder), server.url, uris, 100_000)
        assert error == f"{CacheFull.__name__} {28}"
        assert before == small.sha256
        assert list(data_of(folder).values()) == [small.sha256]
        assert unfinished(folder) == []
    assert sha256(make().get("s3://box/large").path.read_bytes()) == stored.sha256


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, where mounting is permitted."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here; the tests above do without")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
@pytest.mark.parametrize("chunked", [False, True], ids=["length known", "length unknown"])
def test_a_real_full_disk_is_said_and_leaves_nothing_behind(
    server: FaultyServer, make: MakeCache, tiny_disk: Path, chunked: bool
) -> None:
    server.put("box/large", random.Random(5).randbytes(3_000_000))
    server.put("box/small", b"small")
    cache = make(cache_dir=tiny_disk / "cache", max_bytes=1_000_000_000)
    cache.get("s3://box/small")
    server.fail("box/large", Fault(chunked=chunked), times=None)
    for _ in range(3):
        with pytest.raises(CacheFull) as full:
            cache.get("s3://box/large")
        assert isinstance(full.value, OSError)
    assert unfinished(tiny_disk / "cache") == []
    assert cache.get_bytes("s3://box/small") == b"small"
    assert cache.verify() == []


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_on_a_full_disk_what_is_there_is_still_read(server: FaultyServer, make: MakeCache, tiny_disk: Path) -> None:
    server.put("box/small", b"small")
    server.put("box/new", b"new")
    cache = make(cache_dir=tiny_disk / "cache", max_bytes=1_000_000_000)
    cache.get("s3://box/small")
    with (tiny_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4_096))
    assert cache.get("s3://box/small").path.read_bytes() == b"small"
    assert cache.get("s3://box/small", offline=True).path.read_bytes() == b"small"
    with pytest.raises(CacheFull):
        cache.get("s3://box/new")
    (tiny_disk / "filler").unlink()
    assert cache.get_bytes("s3://box/new") == b"new"


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_cache_that_only_can_be_read_is_read(server: FaultyServer, tiny_disk: Path) -> None:
    """As in a container's image. What is not there cannot be put there, and that is no missing object."""
    server.put("box/small", b"small")
    server.put("box/new", b"new")
    with working() as worker:
        worker.ask("digests", str(tiny_disk / "cache"), server.url, ["s3://box/small"])
    command = ["mount", "-o", "remount,ro", str(tiny_disk)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    with working() as worker:
        here = str(tiny_disk / "cache")
        assert worker.ask("digests", here, server.url, ["s3://box/small"]) == [sha256(b"small")]
        (error,) = worker.ask("digests", here, server.url, ["s3://box/new"])
        assert not error.startswith("MissingObject")
    assert server.statuses("box/small") == [200, 304]


def test_a_process_that_forks_shares_nothing_that_breaks(server: FaultyServer, folder: Path) -> None:
    """Parent and child go on with the same manager: connections, locks and files in use are each one's own."""
    uris, sums = fill(server, 10, 30_000)
    with working() as worker:
        assert worker.ask("kept", str(folder), server.url, uris[:5]) == sums[:5]
        for _ in range(3):
            worker.tell("fork_and_go_on", str(folder), server.url, uris)
            assert worker.hear() == [sums, sums]
            assert worker.hear() == 0
    assert unfinished(folder) == []


def _until(holds: Any) -> None:
    pause = threading.Event()
    for _ in range(3_000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it never came to that")

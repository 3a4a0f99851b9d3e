"""Eviction: the cache stays within its size, the least recently used goes first, and never what is in use."""

import errno
import os
import shutil
import signal
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nearside.caching import evicting
from nearside.caching.errors import CacheBusy, CacheFull, ObjectTooLarge
from nearside.caching.evicting import Usage
from nearside.caching.locks import locked
from nearside.caching.store import Found, Store
from tests.unit.cache_processes import child, identity_of, is_whole, put, said

Disk = namedtuple("Disk", "free")
OVERHEAD = 400  # of entry.json, at most


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", grace_seconds=0)


def fill(store: Store, keys: str, size: int = 10_000, now: float = 1000.0) -> None:
    for number, key in enumerate(keys):
        put(store, key, os.urandom(size))
        store.entry(identity_of(key)).used(now + number)


def keys_in(store: Store) -> str:
    entries = (folder.read() for folder in store.folders())
    return "".join(sorted(found.entry.identity[-1] for found in entries if found))


def test_the_least_recently_used_go_first_down_to_nine_tenths(store: Store) -> None:
    usage = Usage(store, 50_000)
    fill(store, "abcde")
    store.entry(identity_of("a")).used(2000)
    usage.added(10_000)
    assert keys_in(store) == "acde"
    put(store, "f", bytes(10_000))
    usage.added(10_000)
    assert keys_in(store) == "adef"
    assert usage.stats().bytes <= 45_000


def test_evict_goes_to_the_given_size_and_says_what_it_freed(store: Store) -> None:
    usage = Usage(store, None)
    fill(store, "abcde")
    assert usage.evict() == 0
    freed = usage.evict(25_000)
    assert 30_000 <= freed <= 3 * (10_000 + OVERHEAD)
    assert keys_in(store) == "de"
    assert usage.evict(0) > 20_000
    assert not list((store.root / "objects").glob("*/*"))


def test_what_is_in_use_stays_though_the_cache_is_too_large(store: Store) -> None:
    usage = Usage(store, 20_000)
    fill(store, "abcde")
    found = store.entry(identity_of("a")).read()
    assert found
    release = store.entry(identity_of("a")).hold(found)
    assert usage.evict(0) > 40_000
    assert keys_in(store) == "a"
    assert usage.clear() == 0
    release()
    assert usage.clear() > 10_000
    assert keys_in(store) == ""


def test_what_another_process_holds_or_downloads_stays(store: Store) -> None:
    usage = Usage(store, 20_000)
    fill(store, "abc")
    with child("hold", str(store.root), "b") as holder, child("lock", str(store.root), "c") as locker:
        assert (said(holder), said(locker)) == ("held", "locked")
        assert usage.evict(0) > 10_000
        assert keys_in(store) == "bc"
        assert usage.stats().unfinished_bytes == 4
    assert usage.evict(0) > 20_000
    assert usage.stats().unfinished_bytes == 0


def test_what_was_just_handed_out_stays_for_the_grace(tmp_path: Path) -> None:
    now = 10_000.0
    store = Store(tmp_path / "cache", clock=lambda: now, grace_seconds=300)
    usage = Usage(store, 25_000)
    fill(store, "abc", now=now - 100)
    assert usage.stats().in_use == 3
    assert usage.evict(0) == 0
    now += 201.5
    assert usage.stats().in_use == 1
    assert usage.evict(0) > 20_000
    assert keys_in(store) == "c"


def test_a_path_that_was_handed_out_keeps_its_grace_through_later_uses(tmp_path: Path) -> None:
    now = 10_000.0
    store = Store(tmp_path / "cache", clock=lambda: now, grace_seconds=300)
    fill(store, "a", now=now)
    folder = store.entry(identity_of("a"))
    for now in (10_100.0, 10_200.0):  # two that end, as a `with` block does
        before = folder.used_before()
        assert before == 10_000
        folder.used(now)
        folder.finished(now, before)
    now = 10_299.0
    assert Usage(store, None).evict(0) == 0
    now = 10_301.0
    assert Usage(store, None).evict(0) > 10_000
    assert folder.used_before() == 0


def test_what_nobody_keeps_a_path_of_goes_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", clock=lambda: 10_000.0, grace_seconds=300)
    put(store, "a")
    folder = store.entry(identity_of("a"))
    folder.used(10_000)
    folder.finished(10_000, 0.0)
    assert folder.used_before() == 9_700
    assert Usage(store, None).evict(0) > 0


@pytest.mark.parametrize(("used", "left"), [(10_000.0, 9_950.0), (10_000.001, 10_000.001)])
def test_a_use_is_taken_back_only_when_none_came_after_it(tmp_path: Path, used: float, left: float) -> None:
    store = Store(tmp_path / "cache", clock=lambda: 10_000.0, grace_seconds=300)
    fill(store, "a")
    folder = store.entry(identity_of("a"))
    folder.used(used)
    folder.finished(10_000, 9_950)
    assert folder.used_before() == pytest.approx(left, abs=1e-6)


def test_a_use_before_that_is_in_the_future_counts_as_of_now(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", clock=lambda: 10_000.0, grace_seconds=300)
    fill(store, "a", now=90_000)
    folder = store.entry(identity_of("a"))
    before = folder.used_before()
    folder.used(10_000)
    folder.finished(10_000, before)
    assert folder.used_before() == 10_000
    assert Usage(store, None).evict(0) == 0


def test_times_in_the_future_protect_nothing(tmp_path: Path) -> None:
    """A clock went back: what is from then is the oldest."""
    store = Store(tmp_path / "cache", clock=lambda: 5000.0, grace_seconds=300)
    fill(store, "ab", now=1000)
    fill(store, "cd", now=9000)
    Usage(store, None).evict(25_000)
    assert keys_in(store) == "ab"


def test_clear_takes_what_was_not_used_for_so_long(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", clock=lambda: 1004.0, grace_seconds=0)
    usage = Usage(store, None)
    fill(store, "abcde")
    assert usage.clear(older_than=2.5) > 20_000
    assert keys_in(store) == "cde"
    assert usage.clear(older_than=0) > 30_000
    assert keys_in(store) == ""


def test_the_disk_is_looked_at_only_now_and_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = 0
    real = Store.folders

    def counted(self: Store) -> Iterator[object]:
        nonlocal scans
        scans += 1
        return real(self)

    monkeypatch.setattr(Store, "folders", counted)
    Usage(store, None).added(10**12)
    assert scans == 0
    usage = Usage(store, 64_000)
    usage.added(10)
    assert scans == 1
    for _ in range(99):
        usage.added(10)
    assert scans == 1
    usage.added(10)
    assert scans == 2


def test_a_cache_that_is_too_large_with_all_in_use_is_not_looked_at_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache")
    fill(store, "abc", now=store.clock())
    usage = Usage(store, 20_000)
    usage.added(0)
    monkeypatch.setattr(Store, "folders", lambda self: 1 / 0)
    usage.added(1)
    with pytest.raises(ZeroDivisionError):
        usage.added(20_000)


def test_former_versions_and_what_dead_processes_left_go_at_an_eviction(tmp_path: Path) -> None:
    now = 10_000.0
    store = Store(tmp_path / "cache", clock=lambda: now, grace_seconds=300)
    old = put(store, "a", b"x" * 1000, "v1")
    put(store, "a", b"y" * 1000, "v2")
    assert old.path.exists()
    with child("lock", str(store.root), "b") as process:
        assert said(process) == "locked"
    now += 301
    assert Usage(store, None).evict() == 1000
    assert not old.path.exists()
    assert not list(store.root.rglob("*.part"))
    assert keys_in(store) == "a"


def test_an_object_larger_than_the_cache_is_refused_by_both_sizes(store: Store) -> None:
    with pytest.raises(ObjectTooLarge, match=r"101 bytes.*100 bytes"):
        Usage(store, 100).make_room(101)
    Usage(store, 100).make_room(100)


def test_a_full_disk_is_made_room_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "abcde")
    disk = 12_000 + sum(each.stat().st_size for each in (store.root / "objects").rglob("*") if each.is_file())

    def usage_of(_: Path) -> Disk:
        return Disk(disk - sum(each.stat().st_size for each in (store.root / "objects").rglob("*") if each.is_file()))

    monkeypatch.setattr(shutil, "disk_usage", usage_of)
    usage = Usage(store, None)
    usage.make_room(12_000)
    assert keys_in(store) == "abcde"
    usage.make_room(30_000)
    assert keys_in(store) == "cde"
    with pytest.raises(CacheFull, match=r"1000000 bytes.* \d+ bytes are free") as caught:
        usage.make_room(1_000_000)
    assert isinstance(caught.value, OSError)


def test_stats_tell_what_is_there(store: Store) -> None:
    usage = Usage(store, 123_456)
    assert usage.stats().entries == 0
    fill(store, "ab")
    with store.entry(identity_of("c")).locked(1.0):
        store.entry(identity_of("c")).part().write_bytes(b"12345")
    found = store.entry(identity_of("a")).read()
    assert found
    store.entry(identity_of("a")).hold(found)
    stats = usage.stats()
    assert (stats.root, stats.entries, stats.in_use) == (str(store.root), 2, 1)
    assert 20_000 <= stats.bytes <= 2 * (10_000 + OVERHEAD)
    assert (stats.max_bytes, stats.unfinished_bytes) == (123_456, 5)
    assert stats.free_bytes > 0


@pytest.mark.parametrize("act", [Usage.clear, lambda usage: usage.evict(0)], ids=["clear", "evict"])
def test_who_clears_or_evicts_waits_for_who_evicts_and_who_added_does_not(
    store: Store, act: Callable[[Usage], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "a")
    usage = Usage(store, 1)
    free, held = threading.Event(), threading.Event()

    def keep() -> None:
        with locked(store.root / "evicting", 30, store.make_root):
            held.set()
            free.wait(30)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        assert held.wait(30)
        usage.added(10_000)
        assert keys_in(store) == "a"
        with monkeypatch.context() as patch:
            patch.setattr(evicting, "_WAIT_SECONDS", 0.05)
            with pytest.raises(CacheBusy, match=r"somebody else evicts in .* for more than 0\.05 seconds"):
                act(usage)
        threading.Timer(0.1, free.set).start()
        assert act(usage) > 10_000
    finally:
        free.set()
        keeper.join()
    assert keys_in(store) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_a_thread_counts_goes_on(store: Store) -> None:
    usage = Usage(store, 10**9)
    with usage._lock:
        pid = os.fork()
        if not pid:
            signal.alarm(20)
            usage.added(1)
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_root_that_is_gone_or_only_can_be_read_is_no_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "a")
    usage = Usage(store, 100)
    real = os.open

    def open_to_read(path: str, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_to_read)
        assert usage.evict(0) == 0
        assert usage.clear() == 0
    assert keys_in(store) == "a"
    shutil.rmtree(store.root)
    assert usage.evict(0) == 0
    assert usage.stats().entries == 0


class Caches(RuleBasedStateMachine):
    """Two stores on one root over a model: what is held stays whole, and LRU goes first."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.now = 1000.0
        self.stores = [Store(Path(self.folder.name), clock=lambda: self.now, grace_seconds=0) for _ in range(2)]
        self.holds: list[tuple[Found, object]] = []
        self.order: list[str] = []  # of use

    def touch(self, key: str) -> None:
        self.now += 1
        self.order = [each for each in self.order if each != key] + [key]

    def held(self) -> set[str]:
        return {found.entry.identity[-1] for found, _ in self.holds}

    @rule(who=st.integers(0, 1), key=st.sampled_from("abcd"), version=st.integers(0, 2))
    def download(self, who: int, key: str, version: int) -> None:
        self.touch(key)
        put(self.stores[who], key, bytes([version]) * 1000, f"v{version}")

    @rule(who=st.integers(0, 1), key=st.sampled_from("abcd"))
    def hold(self, who: int, key: str) -> None:
        folder = self.stores[who].entry(identity_of(key))
        found = folder.read()
        assert (found is not None) == (key in self.order)
        if found is not None:
            self.touch(key)
            self.holds.append((found, folder.hold(found)))
            folder.used(self.now)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        _, release = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        assert callable(release)
        release()

    @rule(who=st.integers(0, 1), kept=st.integers(0, 4))
    def evict(self, who: int, kept: int) -> None:
        sizes = {}
        for folder in self.stores[who].folders():
            found = folder.read()
            assert found
            versions = [path for path in folder.path.iterdir() if path.is_dir()]
            in_use = {each.path.parent for each, _ in self.holds}
            key = found.entry.identity[-1]
            sizes[key] = (folder.path / "entry.json").stat().st_size
            sizes[key] += 1000 * sum(path in in_use or path == found.path.parent for path in versions)
        wanted = sum(sizes.values()) - kept * 1200
        for key in list(self.order):
            if wanted <= 0:
                break
            if key not in self.held():
                wanted -= sizes[key]
                self.order.remove(key)
        Usage(self.stores[who], None).evict(kept * 1200)

    @rule(who=st.integers(0, 1))
    def close(self, who: int) -> None:
        mine = self.stores[who].session
        self.stores[who].close()
        self.holds = [(found, release) for found, release in self.holds if not _is_of(release, mine)]

    @invariant()
    def all_is_well(self) -> None:
        assert keys_in(self.stores[0]) == "".join(sorted(self.order))
        for found, _ in self.holds:
            assert is_whole(found)

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()


def _is_of(release: object, session: object) -> bool:
    return any(cell.cell_contents is session for cell in release.__closure__)  # type: ignore[attr-defined]  # a closure


Caches.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestCaches = Caches.TestCase

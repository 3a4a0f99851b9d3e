"""Sessions of the cache: what a live process holds stays, whoever evicts; what a dead one held goes."""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside import caches
from nearside.caches import CacheManager
from nearside.caching import locks, sessions
from nearside.caching.resources import LocalizedResource
from nearside.caching.sessions import Session, held_entries, held_versions, remove_dead, replayed
from nearside.caching.store import Folder, Found, Store
from tests.unit.cache_processes import Steps, child, identity_of, is_whole, put, said, tell

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", grace_seconds=0)


@pytest.fixture
def folder(store: Store) -> Folder:
    return store.entry(identity_of("k"))


def sessions_of(store: Store) -> list[str]:
    return [path.name for path in store.sessions.iterdir()]


def test_what_a_process_holds_is_kept_until_it_releases_it(store: Store, folder: Folder) -> None:
    found = put(store, "k")
    with child("hold", str(store.root), "k") as process:
        assert said(process) == "held"
        assert held_versions(store.sessions, folder.name) == {"v1"}
        assert folder.drop() == 0
        assert folder.read() == found
        newer = put(store, "k", b"newer", "v2")
        assert is_whole(found)
        assert folder.drop() == 0
        tell(process)
        assert said(process) == "released"
        assert folder.tidy() > 0
        assert not found.path.exists()
        assert is_whole(newer)
        assert folder.drop() > 0
        tell(process)


def test_what_a_killed_process_held_is_not(store: Store, folder: Folder) -> None:
    put(store, "k")
    with child("hold", str(store.root), "k") as process:
        assert said(process) == "held"
        process.kill()
        process.wait()
        assert held_entries(store.sessions) == set()
        assert folder.drop() > 0
    store.close()
    assert len(sessions_of(store)) == 1
    Store(store.root)
    assert sessions_of(store) == []


@forks
def test_a_forked_child_goes_on_holding_what_its_parent_held(store: Store, folder: Folder) -> None:
    put(store, "k")
    with child("fork_holding", str(store.root), "k") as process:
        assert said(process) == "child"
        assert folder.drop() == 0
        tell(process)
        assert said(process) == "released"
        assert folder.drop() > 0
        tell(process)


def _in_child(root: Path) -> tuple[int, bool]:
    folder = Store(root, grace_seconds=0).entry(identity_of("k"))
    found = folder.read()
    assert found
    folder.hold(found)()
    return folder.drop(), is_whole(found)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_of_multiprocessing_share_the_cache(store: Store, folder: Folder, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not here")
    release = folder.hold(put(store, "k"))
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_in_child, (store.root,)) == (0, True)
    assert folder.read() is not None
    release()
    assert folder.drop() > 0


def test_a_session_that_ends_holds_nothing_and_the_next_use_opens_another(store: Store, folder: Folder) -> None:
    found = put(store, "k")
    stale = folder.hold(found)
    store.close()
    assert sessions_of(store) == []
    release = folder.hold(found)
    stale()  # was of the other session
    assert Store(store.root, grace_seconds=0).entry(identity_of("k")).drop() == 0
    release()
    assert folder.drop() > 0
    store.close()
    store.close()


def test_a_store_that_is_forgotten_leaves_no_session_but_for_what_is_held(tmp_path: Path) -> None:
    store = Store(tmp_path, grace_seconds=0)
    folder = store.entry(identity_of("k"))
    release = folder.hold(put(store, "k"))
    place = store.sessions
    del store, folder
    gc.collect()
    assert held_entries(place) != set()
    del release
    gc.collect()
    assert list(place.iterdir()) == []


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0  # noqa: PTH208 - short


def test_managers_that_are_gone_leave_no_session_and_no_descriptor(tmp_path: Path) -> None:
    before = _descriptors()
    for number in range(500):
        with CacheManager(tmp_path / str(number % 20)) as manager:
            store = manager._store
            store.session.hold(f"{number}/v1")
        assert CacheManager(manager.dir)._store is store  # one for all of a process
        del manager, store
    gc.collect()
    assert _descriptors() <= before + 2
    assert not list(tmp_path.glob("*/nearside-1/sessions/*"))


def test_what_a_manager_handed_out_keeps_its_session(tmp_path: Path) -> None:
    manager = CacheManager(tmp_path)
    folder = manager._store.entry(identity_of("k"))
    found = put(manager._store, "k")
    folder.finished(manager._store.clock(), 0.0)
    resource = LocalizedResource(found.path, from_cache=True, source="s3", _release=folder.hold(found))
    del manager, folder
    gc.collect()
    folder = Store(tmp_path / "nearside-1", grace_seconds=0).entry(identity_of("k"))
    assert folder.drop() == 0
    assert is_whole(found)
    del resource
    gc.collect()
    assert not list((tmp_path / "nearside-1/sessions").iterdir())
    assert folder.drop() > 0


@forks
@pytest.mark.parametrize("way", ["close", "forget", "end"])
def test_a_forked_child_leaves_its_parents_temporary_folder(way: str) -> None:
    manager = CacheManager(persistent=False)
    found = put(manager._store, "k")
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            if way == "close":
                with manager:
                    pass
            elif way == "forget":
                del manager
                gc.collect()
            elif manager._temporary:
                manager._temporary.close()  # as the end of the process does
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert is_whole(found)
    manager.close()
    assert not manager.dir.exists()


def test_a_temporary_folder_goes_with_its_manager() -> None:
    manager = CacheManager(persistent=False)
    folder = manager.dir
    put(manager._store, "k")
    del manager
    gc.collect()
    assert not folder.exists()


@forks
def test_a_child_forked_while_a_thread_opens_a_cache_opens_its_own(tmp_path: Path) -> None:
    with caches._STORES_LOCK:
        pid = os.fork()
        if not pid:
            signal.alarm(20)
            CacheManager(tmp_path)
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_hold_counts_its_users(store: Store, folder: Folder) -> None:
    found = put(store, "k")
    first, second = folder.hold(found), folder.hold(found)
    first()
    first()
    assert folder.drop() == 0
    second()
    assert folder.drop() > 0


def test_many_holds_need_few_descriptors_and_little_room(store: Store) -> None:
    found = {key: put(store, key, b"x") for key in map(str, range(30))}
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    kept = []
    for key, each in found.items():
        folder = store.entry(identity_of(key))
        kept += [folder.hold(each) for _ in range(40)]
    after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208 - short
    assert after <= before + 1
    for _ in range(2000):
        store.session.release("a/b", store.session.hold("a/b"))
    assert len(held_entries(store.sessions)) == 30
    (place,) = store.sessions.iterdir()
    assert len((place / "held").read_bytes()) < 100 * (2 * 256 + 5 * 30)
    for release in kept:
        release()
    assert held_entries(store.sessions) == set()


def test_threads_that_start_at_once_have_one_session(store: Store) -> None:
    barrier = threading.Barrier(8)

    def start(number: int) -> Path:
        barrier.wait(30)
        Store(store.root)
        return store.session.new_file(f"{number}.part").parent

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    remove_dead(store.sessions)
    assert len(sessions_of(store)) == 1


@pytest.mark.parametrize("at", range(12))
def test_a_session_that_is_removed_while_it_opens_is_another_one(tmp_path: Path, at: int) -> None:
    session = Session(tmp_path)
    with Steps(at, lambda: remove_dead(tmp_path)):
        part = session.new_file(".part")
    remove_dead(tmp_path)
    assert part.exists()
    assert held_entries(tmp_path) == set()
    session.hold("a/b")
    assert held_entries(tmp_path) == {"a"}
    session.close()


def test_a_session_that_opens_while_it_is_taken_for_dead_stays_or_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step of who removes the folder that was made, but not yet locked."""
    for at in range(1000):
        place = tmp_path / str(at)
        session = Session(place)
        made, go_on = threading.Event(), threading.Event()
        opener = threading.Thread(target=session.hold, args=("a/b",))

        def taken_late(
            path: Path, made: threading.Event = made, go_on: threading.Event = go_on, opener: object = opener
        ) -> locks.Lock | None:
            if threading.current_thread() is opener:
                made.set()
                go_on.wait(30)
            return locks.taken(path)

        def open_it(go_on: threading.Event = go_on, opener: threading.Thread = opener) -> None:
            go_on.set()
            opener.join()

        monkeypatch.setattr(sessions, "taken", taken_late)
        opener.start()
        assert made.wait(30)
        with Steps(at, open_it) as steps:
            remove_dead(place)
        open_it()
        assert held_entries(place) == {"a"}, at
        session.close()
        if steps.seen <= at:
            assert at > 5
            return


@pytest.mark.parametrize("what", ["drop", "replace"])
def test_a_hold_against_an_eviction_at_each_step(tmp_path: Path, what: str) -> None:
    """Whoever holds while another drops the entry, or replaces its version, has the data or is told that it has not."""
    for at in range(1000):
        store, other = Store(tmp_path, grace_seconds=0), Store(tmp_path, grace_seconds=0)
        found = put(store, "k", b"old", "old")
        other.session.hold("x/y")  # open
        outcome: list[bool] = []
        freed = 0

        def hold(other: Store = other, found: Found = found, outcome: list[bool] = outcome) -> None:
            try:
                other.entry(identity_of("k")).hold(found)
                outcome.append(True)
            except FileNotFoundError:
                outcome.append(False)

        with Steps(at, hold) as steps:
            if what == "drop":
                freed = store.entry(identity_of("k")).drop()
            else:
                put(store, "k", b"new", "new")
        if outcome == [True]:
            assert is_whole(found), at
            if what == "drop":
                assert not freed, at
                assert other.entry(identity_of("k")).read() == found
        else:
            assert outcome == [False] or steps.seen <= at
        other.close()
        store.close()
        if steps.seen <= at:
            return


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("what", ["drop", "replace"])
def test_an_eviction_against_a_hold_at_each_step(tmp_path: Path, at: int, what: str) -> None:
    store, other = Store(tmp_path, grace_seconds=0), Store(tmp_path, grace_seconds=0)
    found = put(store, "k")
    folder = store.entry(identity_of("k"))
    store.session.hold("x/y")  # open

    def go() -> None:
        if what == "drop":
            other.entry(identity_of("k")).drop()
        else:
            put(other, "k", b"newer", "v2")

    held = True
    with Steps(at, go):
        try:
            folder.hold(found)
        except FileNotFoundError:
            held = False
    if held:
        assert is_whole(found)
    elif what == "drop":
        assert folder.read() is None
    else:
        assert folder.read() == other.entry(identity_of("k")).read() != None  # noqa: E711 - a chain


def test_who_cannot_tell_what_is_held_evicts_nothing(
    store: Store, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = put(store, "k")
    calls = 0

    def fail(*_: object) -> set[str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("too many open files")
        return set()

    with monkeypatch.context() as patch:
        patch.setattr("nearside.caching.folders.held_versions", fail)
        assert folder.drop() == 0
    assert calls == 2
    assert folder.read() == found
    (held,) = store.sessions.glob("*/held")
    held.unlink()
    held.mkdir()
    assert folder.drop() == 0


@given(
    st.lists(st.tuples(st.sampled_from("+-"), st.sampled_from(["a/1", "a/2", "b/1"]))), st.sampled_from(["", "+a", "-"])
)
def test_replaying_gives_what_is_held(lines: list[tuple[str, str]], cut: str) -> None:
    held: set[str] = set()
    for sign, name in lines:
        (held.add if sign == "+" else held.discard)(name)
    assert replayed(("".join(f"{sign}{name}\n" for sign, name in lines) + cut).encode()) == held


@given(st.lists(st.tuples(st.sampled_from(["hold", "release", "close", "fork"]), st.integers(0, 3)), max_size=40))
def test_others_see_what_a_session_counts(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]]
) -> None:
    place = tmp_path_factory.mktemp("sessions")
    session = Session(place)
    model: dict[str, list[int]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "_COMPACT_LINES", 1)
        for act, number in acts:
            name = f"{number}/v"
            if act == "hold":
                model.setdefault(name, []).append(session.hold(name))
            elif act == "release" and model.get(name):
                session.release(name, model[name].pop())
            elif act == "close":
                session.close()
                model.clear()
            elif act == "fork":
                session.forked()  # what it was is dead, and holds nothing that counts
            assert held_entries(place) == {name[0] for name, uses in model.items() if uses}
    session.close()
    remove_dead(place)
    assert list(place.iterdir()) == []

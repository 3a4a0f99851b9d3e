"""The cache on disk: what is served is whole, whatever was planted, cut, killed or full."""

import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from nearside.caching import locks
from nearside.caching.errors import CacheBusy, CacheFull, CorruptDownload, UnsafeCache
from nearside.caching.store import Folder, Found, Store
from tests.unit.cache_processes import Steps, child, entry_of, identity_of, is_whole, put, said, sealed, tell

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", grace_seconds=0)


@pytest.fixture
def folder(store: Store) -> Folder:
    return store.entry(identity_of("k"))


def write_entry(folder: Folder, text: bytes) -> None:
    (folder.path / "entry.json").write_bytes(text)


def changed(found: Found, **fields: object) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(found.entry, **fields))


def test_what_is_sealed_is_read(store: Store, folder: Folder) -> None:
    assert folder.read() is None
    found = put(store, "k", b"hello")
    assert folder.read() == found
    assert found.path.read_bytes() == b"hello"
    assert found.path == folder.path / "v1/data.bin"
    assert found.entry.mtime_ns == found.path.stat().st_mtime_ns
    assert [each.path for each in store.folders()] == [folder.path]
    assert [each.read() for each in store.folders()] == [found]


@posix
def test_all_is_ours_alone_and_data_is_read_only(store: Store, folder: Folder) -> None:
    found = put(store, "k")
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o444
    part = folder.part()
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert part.stat().st_size == 0


def test_the_root_says_what_it_is(store: Store) -> None:
    assert (store.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert (store.root / "version").read_text() == "1\n"


def test_a_root_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("2\n")
    tmp_path.chmod(0o700)
    with pytest.raises(UnsafeCache, match="layout '2'"):
        Store(tmp_path)


def test_a_version_file_that_was_cut_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("")
    tmp_path.chmod(0o700)
    Store(tmp_path)
    assert (tmp_path / "version").read_text() == "1\n"


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_root_where_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(UnsafeCache, match="others may write"):
        Store(root)
    link = tmp_path / "link"
    link.symlink_to(root)
    with pytest.raises(PermissionError):
        Store(link)


@posix
def test_a_root_of_another_user_is_refused_but_for_the_superusers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        Store(tmp_path / "cache")
        os.chown(tmp_path / "cache", 12345, -1)
    with pytest.raises(UnsafeCache, match="another user"):
        Store(tmp_path / "cache")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"shorter"),
        lambda path: path.write_bytes(b"OTHER WORDS"),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.rename(path.parent / "real"), path.symlink_to(path.parent / "real")),
        lambda path: (path.parent.rename(path.parent.parent / "r"), path.parent.symlink_to(path.parent.parent / "r")),
    ],
    ids=["gone", "cut", "same size", "folder", "link", "linked folder"],
)
def test_damaged_data_is_not_served_and_is_replaced(
    store: Store, folder: Folder, damage: Callable[[Path], object]
) -> None:
    found = put(store, "k", b"right words")
    found.path.chmod(0o600)
    damage(found.path)
    assert folder.read() is None
    again = put(store, "k", b"right words")
    assert folder.read() == again
    assert is_whole(again)
    assert not again.path.is_symlink()
    assert not again.path.parent.is_symlink()


def test_data_with_another_time_is_read_once_and_then_trusted(
    store: Store, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = put(store, "k")
    os.utime(found.path, (1, 1))
    assert folder.read() == found
    assert found.path.stat().st_mtime_ns == found.entry.mtime_ns
    os.utime(found.path, (2, 2))
    monkeypatch.setattr(os, "utime", lambda *given, **named: 1 / 0 if named else None)  # it is not touched again
    with pytest.raises(ZeroDivisionError):
        folder.read()
    assert folder.read() == found


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"uri": 1}',
        b"\xff\xfe",
        b"x" * 2_000_000,
        b'{"x": ' + b"[" * 500_000,
    ],
    ids=["empty", "cut", "list", "wrong", "binary", "huge", "deep"],
)
def test_a_foreign_entry_json_is_nothing(store: Store, folder: Folder, text: bytes) -> None:
    put(store, "k")
    write_entry(folder, text)
    assert folder.read() is None
    assert [each.read() for each in store.folders()] == [None]
    assert folder.read() != put(store, "k")  # inode and time are new
    assert folder.read() is not None


@pytest.mark.parametrize(
    "file",
    [
        "",
        "x",
        "lock/x",
        "/etc/passwd",
        "../x",
        "../../x",
        "v1/../../x",
        "v1/..",
        "./x",
        "v1/",
        "/x",
        "v1/a\0b",
        "v1/a/b",
    ],
)
def test_an_entry_that_leads_elsewhere_is_nothing(store: Store, folder: Folder, file: str) -> None:
    found = put(store, "k", b"data")
    for planted in (folder.path.parent / "x", folder.path / "x", folder.path / "v1/x"):
        shutil.copy2(found.path, planted)
    write_entry(folder, changed(found, file=file))
    assert folder.read() is None
    with folder.locked(1.0), pytest.raises(ValueError, match="no file of an entry"):
        folder.seal(folder.part(), msgspec.structs.replace(entry_of("k", b""), file=file))


def test_an_entry_of_another_identity_is_nothing(store: Store, folder: Folder) -> None:
    found = put(store, "k")
    write_entry(folder, changed(found, identity=identity_of("other")))
    assert folder.read() is None
    assert [each.read() for each in store.folders()] == [None]


@posix
@pytest.mark.parametrize("level", [0, 1])
def test_a_linked_entry_folder_is_nothing_and_is_replaced(store: Store, folder: Folder, level: int) -> None:
    put(store, "k")
    target = folder.path if level == 0 else folder.path.parent
    moved = store.root / "elsewhere"
    target.rename(moved)
    target.symlink_to(moved)
    assert folder.read() is None
    assert list(store.folders()) == []
    assert folder.drop() == 0
    assert folder.read() != put(store, "k")
    assert not target.is_symlink()
    assert folder.read() is not None
    assert moved.exists()


@posix
@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        ("link", lambda path, target: path.symlink_to(target)),
        ("folder", lambda path, _: path.mkdir()),
        ("pipe", lambda path, _: os.mkfifo(path)),
    ],
)
def test_what_stands_in_the_place_of_a_file_of_ours_is_removed(
    store: Store, folder: Folder, kind: str, plant: Callable[[Path, Path], object]
) -> None:
    target = store.root / "target"
    target.write_text("mine")
    with folder.locked(1.0):
        pass
    for name in ("lock", "entry.json"):
        path = folder.path / name
        path.unlink(missing_ok=True)
        plant(path, target)
    assert folder.read() is None
    if kind == "pipe":
        (folder.path / "lock").unlink()  # a pipe is locked as well as a file
    put(store, "k")
    assert folder.read() is not None
    assert target.read_text() == "mine"


def test_names_may_be_as_long_as_the_file_system_takes(store: Store, folder: Folder) -> None:
    entry = msgspec.structs.replace(entry_of("k", b"data"), file="v" * 255 + "/" + "ü" * 127 + "x")
    with folder.locked(1.0):
        part = folder.part()
        part.write_bytes(b"data")
        found = folder.seal(part, entry)
    assert folder.read() == found
    write_entry(folder, changed(found, file="v1/" + "x" * 5000))
    assert folder.read() is None


def test_a_part_of_another_length_is_never_sealed(store: Store, folder: Folder) -> None:
    old = put(store, "k", b"old")
    with folder.locked(1.0):
        part = folder.part()
        part.write_bytes(b"hal")
        with pytest.raises(CorruptDownload, match="3 bytes instead of 4"):
            folder.seal(part, entry_of("k", b"half", "v2"))
    assert not part.exists()
    assert folder.read() == old


def test_each_version_has_its_own_path(store: Store, folder: Folder) -> None:
    old = put(store, "k", b"old", "v1")
    release = folder.hold(old)
    new = put(store, "k", b"newer", "v2")
    assert folder.read() == new
    assert old.path.read_bytes() == b"old"
    with pytest.raises(FileNotFoundError):
        folder.hold(old)
    assert old.path.exists()  # its first hold is still there
    release()
    release()
    put(store, "k", b"newest", "v3")
    assert not old.path.parent.exists()
    assert not new.path.parent.exists()


def test_a_former_version_stays_for_the_grace_after_it_was_handed_out(tmp_path: Path) -> None:
    now = 1_000_000.0
    store = Store(tmp_path / "cache", clock=lambda: now, grace_seconds=300)
    folder = store.entry(identity_of("k"))
    old = put(store, "k", b"old", "v1")
    now += 299
    folder.used(now)
    put(store, "k", b"new", "v2")
    now += 299
    folder.used(now)  # of the new one
    assert folder.tidy() == 0
    assert old.path.exists()
    now += 2
    assert folder.tidy() == 3
    assert not old.path.exists()
    assert folder.read() is not None


def test_a_version_that_is_sealed_again_keeps_the_grace_it_had(tmp_path: Path) -> None:
    """Downloaded though nothing changed, or changed and changed back: its path was handed out before."""
    now = 1_000_000.0
    store = Store(tmp_path / "cache", clock=lambda: now, grace_seconds=300)
    folder = store.entry(identity_of("k"))

    def download(version: str) -> None:
        with folder.locked(30.0):
            sealed(folder, "k", b"data", version)
        folder.used(now)
        folder.finished(now, 0.0)

    download("v1")
    assert folder.used_before() == now - 300
    handed_out = now = now + 1000
    folder.used(now)
    now += 100
    download("v1")
    assert folder.used_before() == handed_out
    now += 100
    download("v2")
    assert folder.used_before() == now - 300
    now += 50
    download("v1")
    assert folder.used_before() == handed_out
    assert folder.drop() == 0


@pytest.mark.parametrize("name", ["replace", "open", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_what_was_there(
    store: Store, folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    old = put(store, "k", b"old")

    def full(*given: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    with folder.locked(1.0):
        part = folder.part()
        part.write_bytes(b"new")
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(CacheFull) as caught:
                folder.seal(part, entry_of("k", b"new", "v2"))
        assert caught.value.errno == errno.ENOSPC
        assert isinstance(caught.value, OSError)
    assert folder.read() == old
    assert not part.exists()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(CacheFull):
            folder.part()


def test_a_hold_on_a_full_disk_still_serves(store: Store, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = put(store, "k")
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: real(file, data[:5]))
        release = folder.hold(found)
    other = folder.hold(found)
    release()
    other()
    assert folder.drop() > 0


@posix
def test_a_cache_that_only_can_be_read_is_read(store: Store, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = put(store, "k")
    os.utime(found.path, (5, 5))
    store.close()

    def refuse(*given: object, **named: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    real = os.open
    for name in ("mkdir", "utime", "replace", "rename", "unlink", "chmod"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(
        os,
        "open",
        lambda path, flags, *more, **named: (refuse if flags & os.O_CREAT else real)(path, flags, *more, **named),
    )
    again = Store(store.root)
    read = again.entry(identity_of("k")).read()
    assert read == found
    folder = again.entry(identity_of("k"))
    folder.used(1.0)
    folder.validated(1.0)
    folder.hold(found)()
    assert folder.drop() == 0
    with pytest.raises(OSError, match="Read-only"):
        folder.part()
    again.close()


def test_times_that_are_none_are_no_error(store: Store, folder: Folder) -> None:
    folder.used(1.0)
    folder.validated(1.0)
    assert not folder.path.exists()
    put(store, "k")
    for at in (float("nan"), float("inf"), -1e300):
        folder.used(at)
        folder.validated(at)
    folder.validated(12.0)
    found = folder.read()
    assert found is not None
    assert found.validated_at == 12.0


def test_the_whole_cache_may_be_removed_while_it_is_used(store: Store, folder: Folder) -> None:
    folder.hold(put(store, "k"))
    shutil.rmtree(store.root)
    assert folder.read() is None
    found = put(store, "k")
    assert folder.read() == found
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700 or os.name != "posix"
    assert Store(store.root, grace_seconds=0).entry(identity_of("k")).drop() == 0  # its hold was written anew


def test_threads_wait_for_each_other_and_no_lock_is_kept(store: Store, folder: Folder) -> None:
    inside = 0
    seen: list[int] = []

    def enter(_: int) -> None:
        nonlocal inside
        with folder.locked(None):
            inside += 1
            seen.append(inside)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(100)))
    assert seen == [1] * 100
    assert locks._turns == {}


def test_a_lock_that_is_held_is_waited_for_only_so_long(store: Store, folder: Folder) -> None:
    free, held = threading.Event(), threading.Event()

    def keep() -> None:
        with folder.locked(None):
            held.set()
            free.wait(30)

    keeper = threading.Thread(target=keep)
    keeper.start()
    held.wait(30)
    try:
        with pytest.raises(CacheBusy, match=r"0\.05 seconds") as caught, folder.locked(0.05):
            pass
        assert str(folder.path) in str(caught.value)
        with folder.try_lock() as ours:
            assert not ours
        assert folder.drop() == 0
    finally:
        free.set()
        keeper.join()
    with folder.try_lock() as ours:
        assert ours


@posix
def test_a_lock_whose_file_is_moved_away_at_any_step_is_taken_anew(store: Store, folder: Folder) -> None:
    """Of two that wait, each on another file, one is in."""
    path = folder.path / "lock"
    for at in range(1000):
        with folder.locked(1.0):
            pass
        others: list[object] = []

        def evict(at: int = at, others: list[object] = others) -> None:
            evictor = locks.taken(path)
            if evictor is not None:
                folder.path.rename(store.root / f"moved-{at}")
                folder.path.mkdir()
                others.append(locks.taken(path))  # a third one is there first
                evictor.release()

        with Steps(at, evict) as steps, folder.try_lock() as ours:
            assert ours is (not others), at
        for other in others:
            assert other is not None
            other.release()  # type: ignore[attr-defined]  # filelock's
        if steps.seen <= at:
            assert at > 5
            return


def test_processes_wait_for_each_other_while_the_entry_is_dropped_all_the_time(store: Store) -> None:
    (store.root / "count").write_text("0")
    with child("add_up", str(store.root), "k", "25") as one, child("add_up", str(store.root), "k", "25") as two:
        for _ in range(25):
            store.entry(identity_of("k")).drop()
        assert (said(one), said(two)) == ("done", "done")
    assert (store.root / "count").read_text() == "50"


def test_a_process_that_is_killed_leaves_no_lock_and_no_part(store: Store, folder: Folder) -> None:
    with child("lock", str(store.root), "k") as process:
        assert said(process) == "locked"
        assert list(store.root.rglob("*.part"))
        with folder.try_lock() as ours:
            assert not ours
        with pytest.raises(CacheBusy), folder.locked(0.05):
            pass
        process.kill()
        process.wait()
        with folder.locked(5.0):
            pass
        Store(store.root)
        assert not list(store.root.rglob("*.part"))


@posix
@pytest.mark.parametrize("what", ["first", "put", "drop", "hold"])
def test_killed_at_any_step_it_leaves_nothing_half(what: str) -> None:
    with child("die_at_each_step", what) as process:
        assert said(process).startswith("fine ")


@posix
def test_a_forked_child_does_not_keep_its_parents_lock(store: Store) -> None:
    with child("fork_locked", str(store.root), "k") as process:
        assert said(process) == "locked"
        tell(process)


def test_sixteen_processes_over_one_cache(store: Store) -> None:
    with child("churn", str(store.root), "1", "25", "16") as processes:
        said_last = [said(processes) for _ in range(32)]
    assert sorted(said_last) == ["done"] * 16 + ["ready"] * 16
    Store(store.root)  # one that looked for dead sessions may have left the name of one that ended meanwhile
    assert not list((store.root / "sessions").iterdir())
    for each in store.folders():
        found = each.read()
        assert found is None or is_whole(found)


def test_killed_at_random_moments(store: Store) -> None:
    for seed in range(5):
        with child("churn", str(store.root), str(seed), "100000", "2") as process:
            for _ in range(2):
                assert said(process) == "ready"
            for _ in range(20 * seed):
                put(store, f"k{seed}", os.urandom(100), str(seed))
            process.kill()
        fresh = Store(store.root, grace_seconds=0)
        for each in fresh.folders():
            found = each.read()
            assert found is None or is_whole(found)
        fresh.close()

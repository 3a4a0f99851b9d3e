"""The folder: whose it is, what is noticed when it is damaged or planted, and how it is kept small."""

import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from nearside.cache import CacheManager
from nearside.caching.errors import NotCached, ObjectTooLarge, UnsafeCache
from nearside.errors import NearsideError
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, root_of, sha256, unfinished

URI = "s3://box/data.bin"
NAME = "box/data.bin"

LAYER = str(Path(__file__).parents[2] / "layers" / "nearside")

on_posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def _age(folder: Path, seconds: float) -> None:
    """Everything was last used so long ago."""
    for each in (root_of(folder) / "objects").glob("??/*"):
        os.utime(each, (time.time() - seconds, time.time() - seconds))


@on_posix
def test_the_folder_is_the_users_alone(server: FaultyServer, cache: CacheManager, folder: Path) -> None:
    server.put(NAME, b"x")
    path = cache.get(URI).path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert root_of(folder).stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o333 == 0, "a file that somebody may write or run"
    for each in folder.rglob("*"):
        assert each.stat().st_mode & 0o022 == 0, f"others may write {each}"


@on_posix
def test_a_cache_that_others_may_write_is_refused(make: MakeCache, folder: Path) -> None:
    root_of(folder).mkdir(parents=True)
    root_of(folder).chmod(0o777)
    with pytest.raises(UnsafeCache) as unsafe:
        make()
    assert isinstance(unsafe.value, PermissionError)
    assert str(root_of(folder)) in str(unsafe.value)


@on_posix
def test_in_a_folder_that_others_may_write_the_cache_is_the_users_alone(
    server: FaultyServer, make: MakeCache, folder: Path
) -> None:
    """As in /tmp."""
    folder.mkdir()
    folder.chmod(0o1777)
    server.put(NAME, b"x")
    assert make().get_bytes(URI) == b"x"
    assert root_of(folder).stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o7777 == 0o1777, "the folder itself is left as it was"


@on_posix
def test_a_folder_that_others_may_read_is_used(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    server.put(NAME, b"x")
    assert make().get_bytes(URI) == b"x"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(make: MakeCache, folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 12_345, 12_345)
    folder.mkdir()
    theirs.rename(root_of(folder))
    with pytest.raises(UnsafeCache):
        make()
    root_of(folder).rename(theirs)
    root_of(folder).symlink_to(theirs)
    with pytest.raises(UnsafeCache):
        make()


def test_backups_leave_it_out(cache: CacheManager, folder: Path) -> None:
    assert cache.dir == folder
    assert (root_of(folder) / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")


@pytest.mark.parametrize("missing", ["CACHEDIR.TAG", "version", "sessions", "objects"])
def test_what_was_removed_by_hand_comes_back(server: FaultyServer, make: MakeCache, folder: Path, missing: str) -> None:
    server.put(NAME, b"x")
    make().get(URI)
    gone = root_of(folder) / missing
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    assert make().get_bytes(URI) == b"x"


def test_a_folder_that_is_removed_under_a_running_program_is_filled_again(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    server.put(NAME, b"x")
    cache.get(URI)
    shutil.rmtree(folder)
    assert cache.get(URI).path.read_bytes() == b"x"
    server.put("box/other", b"y")
    assert cache.get_bytes("s3://box/other") == b"y"


def test_a_new_manager_of_a_folder_that_was_removed_works(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"x")
    make().get(URI)
    shutil.rmtree(folder)
    cache = make()
    with pytest.raises(NotCached):
        cache.get(URI, offline=True)
    assert cache.get(URI).path.read_bytes() == b"x"
    assert root_of(folder).stat().st_mode & 0o777 == 0o700


def _data(folder: Path) -> Path:
    return next(each for each in (root_of(folder) / "objects").rglob("data.bin"))


def _rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        data = change(path.read_bytes())
        path.chmod(0o600)
        path.write_bytes(data)
        os.utime(path, ns=(1, 1))

    return rewrite


def _with_entry(**fields: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        entry = path.parent.parent / "entry.json"
        entry.write_text(json.dumps({**json.loads(entry.read_text()), **fields}))

    return change


def _raw_entry(text: bytes) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        (path.parent.parent / "entry.json").write_bytes(text)

    return rewrite


def _by_link(path: Path) -> None:
    planted = path.parents[6] / "planted"
    planted.write_bytes(b"0123456789")
    path.unlink()
    path.symlink_to(planted)


def _by_folder_link(path: Path) -> None:
    planted = path.parents[6] / "planted-folder"
    shutil.copytree(path.parent, planted)
    shutil.rmtree(path.parent)
    path.parent.symlink_to(planted)


def _by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "other bytes of the same length": _rewritten(lambda data: data[::-1]),
    "cut": _rewritten(lambda data: data[:-1]),
    "longer": _rewritten(lambda data: data + b"x"),
    "empty": _rewritten(lambda data: b""),
    "gone": Path.unlink,
    "a link": _by_link,
    "a folder behind a link": _by_folder_link,
    "a directory": _by_directory,
    "no entry": lambda path: (path.parent.parent / "entry.json").unlink(),
    "an empty entry": _raw_entry(b""),
    "half an entry": _raw_entry(b'{"uri": "s3://box/data.b'),
    "an entry that is no entry": _raw_entry(b"[1]"),
    "an entry that is no text": _raw_entry(b"\xff\xfe\x00"),
    "an entry deeper than any": _raw_entry(b"[" * 100_000),
    "another's entry": _with_entry(identity=["s3", "aws", "anonymous", "box", "other", ""]),
    "a path upwards": _with_entry(file="../../../../../planted"),
    "an absolute path": _with_entry(file="/etc/hostname"),
    "a path with a NUL": _with_entry(file="a/\x00"),
    "the entry as data": _with_entry(file="entry.json"),
    "no path": _with_entry(file=""),
    "a wrong size": _with_entry(size=3),
    "a wrong checksum": _with_entry(sha256="0" * 64, mtime_ns=0),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_and_mended(server: FaultyServer, make: MakeCache, folder: Path, damage: str) -> None:
    server.put(NAME, b"0123456789")
    make().get(URI)
    DAMAGE[damage](_data(folder))
    with pytest.raises(NotCached):
        make().get(URI, offline=True)
    mended = make().get(URI)
    assert (mended.path.read_bytes(), mended.downloaded) == (b"0123456789", True)
    again = make().get(URI)
    assert (again.path.read_bytes(), again.downloaded) == (b"0123456789", False)
    planted = folder.parent / "planted"
    assert not planted.exists() or planted.read_bytes() == b"0123456789"


def test_a_file_that_was_only_touched_is_not_downloaded_again(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    """As by a copy of the folder without its times."""
    server.put(NAME, b"0123456789")
    cache.get(URI)
    os.utime(_data(folder), ns=(1, 1))
    assert not cache.get(URI).downloaded


def test_with_verify_damage_that_kept_size_and_time_is_noticed(
    server: FaultyServer, make: MakeCache, folder: Path
) -> None:
    server.put(NAME, b"0123456789")
    make().get(URI)
    path = _data(folder)
    times = path.stat().st_mtime_ns
    _rewritten(lambda data: data[::-1])(path)
    os.utime(path, ns=(times, times))
    assert [uri for uri, _ in make().verify()] == [URI]
    assert make(verify=True).get(URI).path.read_bytes() == b"0123456789"
    assert make().verify() == []


def test_a_copied_cache_folder_is_a_cache_folder(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"0123456789")
    make().get(URI)
    elsewhere = folder.parent / "elsewhere"
    shutil.copytree(folder, elsewhere)
    assert make(cache_dir=elsewhere).get_bytes(URI, offline=True) == b"0123456789"


def test_the_entry_of_one_object_put_in_the_place_of_another_is_noticed(
    server: FaultyServer, make: MakeCache, folder: Path
) -> None:
    server.put(NAME, b"0123456789")
    server.put("box/other", b"abcdefghij")
    one, other = (make().get(uri).path.parents[1] for uri in (URI, "s3://box/other"))
    shutil.rmtree(one)
    shutil.copytree(other, one)
    with pytest.raises(NotCached):
        make().get(URI, offline=True)
    assert make().get_bytes(URI) == b"0123456789"


def test_foreign_files_in_the_folder_do_no_harm(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"x")
    make().get(URI)
    for path in ("objects/zz", "objects/00/short", "objects/README", "sessions/foreign", "note.txt"):
        (root_of(folder) / path).parent.mkdir(exist_ok=True)
        (root_of(folder) / path).write_text("foreign")
    (root_of(folder) / "objects/notes").mkdir()
    (folder / "mine.txt").write_text("foreign")
    cache = make()
    assert cache.get_bytes(URI) == b"x"
    assert len(list(cache.entries())) == 1
    assert cache.stats().entries == 1
    assert cache.verify() == []
    _age(folder, 1_000)
    cache.evict(0)
    assert (folder / "mine.txt").read_text() == "foreign"


def test_the_least_recently_used_goes_first(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    names = [f"box/{number}" for number in range(10)]
    filling = make()
    for age, name in enumerate(names):
        server.put(name, bytes(1_000))
        path = filling.get(f"s3://{name}").path
        os.utime(path.parents[1], (time.time() - 10_000 + age, time.time() - 10_000 + age))
    filling.get("s3://box/0")  # the oldest is used again
    os.utime(filling.get("s3://box/0").path.parents[1], (time.time() - 5_000, time.time() - 5_000))
    freed = make().evict(4_500)
    assert freed >= 5_500
    left = {each.entry.uri for each in make().entries()}
    assert "s3://box/0" in left
    assert left <= {"s3://box/0", "s3://box/9", "s3://box/8", "s3://box/7"}
    assert make().stats().bytes <= 4_500


def test_a_bound_is_kept_while_objects_come(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    cache = make(max_bytes=10_000)
    for number in range(40):
        server.put(f"box/{number}", os.urandom(1_000))
        cache.get(f"s3://box/{number}").__exit__(None, None, None)
        _age(folder, 1_000)
    assert make(max_bytes=10_000).stats().bytes <= 11_000
    assert cache.get(f"s3://box/{39}").size == 1_000


def test_a_file_in_use_is_never_evicted(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    for number in range(6):
        server.put(f"box/{number}", os.urandom(1_000))
    using = make()
    with using.get("s3://box/0") as held:
        for number in range(1, 6):
            with using.get(f"s3://box/{number}"):
                pass
        _age(folder, 1_000)
        other = make()
        other.evict(0)
        other.clear()
        assert len(held.path.read_bytes()) == 1_000
        assert [each.entry.uri for each in other.entries()] == ["s3://box/0"]
        assert other.stats().in_use >= 1
    _age(folder, 1_000)
    make().clear()
    assert data_of(folder) == {}


def test_a_file_in_use_by_another_process_is_never_evicted(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"held elsewhere")
    program = (
        "import sys; from nearside.cache import CacheManager\n"
        "cache = CacheManager(sys.argv[1], endpoint_url=sys.argv[2], anonymous=True, region='eu-west-2')\n"
        "got = cache.get(sys.argv[3]); print('there', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(folder), server.url, URI]
    environment = {**os.environ, "PYTHONPATH": LAYER}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            assert child.stdout.readline() == b"there\n"
            _age(folder, 1_000)
            make().clear()
            assert list(data_of(folder).values()) == [sha256(b"held elsewhere")]
        finally:
            child.stdin.close()
    _age(folder, 1_000)
    make().clear()
    assert data_of(folder) == {}, "its process is gone"


def test_what_was_handed_out_just_now_is_not_evicted(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    """A path that was taken out of its resource is still read for a while."""
    server.put(NAME, b"x")
    path = make().get(URI).path
    make().evict(0)
    assert path.read_bytes() == b"x"


def test_clear_removes_what_was_not_used_for_long(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    for name in ("box/old", "box/new"):
        server.put(name, bytes(1_000))
        with make().get(f"s3://{name}") as got:
            seconds = 7_200 if name == "box/old" else 1_000
            os.utime(got.path.parents[1], (time.time() - seconds, time.time() - seconds))
    assert 1_000 <= make().clear(older_than=3_600) < 2_000
    assert [each.entry.uri for each in make().entries()] == ["s3://box/new"]
    assert 1_000 <= make().clear() < 2_000
    assert make().clear() == 0
    assert make().stats().entries == 0


def test_stats_count_what_is_there(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    for number in range(3):
        server.put(f"box/{number}", bytes(1_000))
        make().get(f"s3://box/{number}")
    stats = make(max_bytes=123_456).stats()
    assert (stats.entries, stats.max_bytes) == (3, 123_456)
    assert 3_000 <= stats.bytes < 6_000, "the data, and what is remembered of it"
    assert stats.root == str(root_of(folder))
    assert stats.free_bytes > 0
    assert stats.unfinished_bytes == 0


def test_an_object_larger_than_the_whole_cache_may_be_is_refused(
    server: FaultyServer, make: MakeCache, folder: Path
) -> None:
    server.put(NAME, bytes(5_001))
    with pytest.raises(ObjectTooLarge, match=r"5,?_?001.*5,?_?000"):
        make(max_bytes=5_000).get(URI)
    assert data_of(folder) == {}
    assert unfinished(folder) == []


def test_a_temporary_cache_is_gone_when_it_is_closed(server: FaultyServer) -> None:
    server.put(NAME, b"x")
    with CacheManager(persistent=False, endpoint_url=server.url, region="eu-west-2", anonymous=True) as cache:
        folder, path = cache.dir, cache.get(URI).path
        assert path.read_bytes() == b"x"
        assert path.is_relative_to(folder)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    cache.close()


def test_a_cache_in_a_folder_stays_when_it_is_closed(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"x")
    with make() as cache:
        cache.get(URI)
    assert make().get_bytes(URI, offline=True) == b"x"
    assert unfinished(folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="where the user's cache folder is differs")
def test_the_default_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NEARSIDE_CACHE_DIR", raising=False)
    with CacheManager(anonymous=True) as cache:
        assert cache.dir.is_relative_to(tmp_path / "home" / ".cache")
        assert cache.dir.stat().st_mode & 0o777 == 0o700


def test_the_default_folder_may_be_said_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEARSIDE_CACHE_DIR", str(tmp_path / "said"))
    with CacheManager(anonymous=True) as cache:
        assert cache.dir == tmp_path / "said"


def test_in_lambda_the_default_folder_is_under_tmp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else can be written there."""
    monkeypatch.delenv("NEARSIDE_CACHE_DIR", raising=False)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "explorer")
    monkeypatch.setenv("HOME", "/nowhere")
    was_there = Path("/tmp/nearside").exists()
    with CacheManager(anonymous=True) as cache:
        assert cache.dir.is_relative_to("/tmp")
    if not was_there:
        shutil.rmtree("/tmp/nearside", ignore_errors=True)


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with CacheManager("~/mine", anonymous=True) as cache:
        assert cache.dir == tmp_path / "home" / "mine"


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((NearsideError, OSError)):
        CacheManager(tmp_path / "file", anonymous=True)


def test_a_resource_that_the_garbage_collector_finds_during_a_get_does_not_hang_it(
    server: FaultyServer, cache: CacheManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a cycle of references ends its use whenever the collector runs: also while a use is being noted."""
    server.put("box/one", b"1")
    server.put("box/two", b"2")
    cycle: list[object] = [cache.get("s3://box/one")]
    cycle.append(cycle)
    write = os.write

    def collecting(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        gc.collect()
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", collecting)
    del cycle
    thread = threading.Thread(target=cache.get_bytes, args=("s3://box/two",), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for a lock that it has itself"
    assert cache.get_bytes("s3://box/two") == b"2"


TROUBLE = {
    "none": Fault(),
    "503": Fault(status=503),
    "dropped": Fault(drop=True),
    "cut": Fault(cut_after=5),
    "cut without a length": Fault(chunked=True, cut_after=5),
    "damaged": Fault(damage=3),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_file_is_let_go_at_once_after_a_download_with_trouble(
    server: FaultyServer, make: MakeCache, folder: Path, trouble: str
) -> None:
    """No error that was overcome keeps it, and the locals of whoever asked, until the garbage collector runs."""
    server.put(NAME, b"0123456789")
    server.fail(NAME, TROUBLE[trouble])
    cache = make()
    gc.collect()
    gc.disable()
    try:
        got = cache.get(URI)
        there = weakref.ref(got)
        del got
        assert there() is None
        _age(folder, 1_000)
        assert cache.clear() > 0
    finally:
        gc.enable()


def _open_files() -> int:
    """How many descriptors this process has; 0 where the system does not tell in this way."""
    told = Path("/proc/self/fd")
    return len(list(told.iterdir())) if told.exists() else 0


def test_of_many_files_in_use_each_is_kept_and_no_more(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    for number in range(300):
        server.put(f"box/{number}", b"%d" % number)
    cache = make()
    before = _open_files()
    held = cache.get_many([f"s3://box/{number}" for number in range(300)])
    assert _open_files() - before < 150, "a descriptor for each file"
    del held[100:]
    _age(folder, 1_000)
    make().clear()
    left = {each.entry.uri for each in make().entries()}
    assert left == {f"s3://box/{number}" for number in range(100)}
    assert [each.path.read_bytes() for each in held] == [b"%d" % number for number in range(100)]

"""With an `s3.lock` only what it pins is given: the version by its id, and the bytes by their SHA-256."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nearside import cli
from nearside.cache import CacheManager
from nearside.caching.errors import MissingObject, NotCached, NotPinned, PinBroken, UnreachableObject
from nearside.caching.options import Asked
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer

URI = "s3://box/data.bin"
NAME = "box/data.bin"


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    return tmp_path / "s3.lock"


@pytest.fixture
def lock(server: FaultyServer, folder: Path, lock_file: Path) -> Callable[..., int]:
    """Runs `nearside cache lock`."""

    def lock(*uris: str) -> int:
        options = ["--dir", str(folder), "--endpoint-url", server.url, "--region", "eu-west-2", "--anonymous"]
        return cli.main(["cache", "lock", *options, "-f", str(lock_file), *uris])

    return lock


@pytest.fixture
def pinned(make: MakeCache, lock_file: Path) -> Callable[..., CacheManager]:
    """Makes managers that give what is pinned."""
    return lambda **options: make(lock_file=lock_file, **options)


def test_what_is_pinned_and_there_needs_no_request(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager]
) -> None:
    server.put(NAME, b"one")
    assert lock(URI) == 0
    server.put(NAME, b"two")
    server.forget()
    assert pinned().get_bytes(URI) == b"one"
    assert server.asked == []


def test_a_pinned_version_is_downloaded_by_its_id(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager], tmp_path: Path
) -> None:
    server.put(NAME, b"one", version_id="v1")
    lock(URI)
    server.put(NAME, b"two", version_id="v2")
    elsewhere = tmp_path / "another machine"
    assert pinned(cache_dir=elsewhere).get_bytes(URI) == b"one"
    assert pinned(cache_dir=elsewhere).get(URI).uri == URI


def test_a_pinned_object_that_changed_is_an_error_and_does_not_enter_the_cache(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager], tmp_path: Path
) -> None:
    server.put(NAME, b"one")
    lock(URI)
    server.put(NAME, b"two")
    elsewhere = pinned(cache_dir=tmp_path / "another machine")
    with pytest.raises(PinBroken) as broken:
        elsewhere.get(URI)
    assert isinstance(broken.value, OSError)
    assert URI in str(broken.value)
    assert list(elsewhere.entries()) == []


@pytest.mark.parametrize(
    "terms",
    [{}, {"max_age": 3_600}, {"offline": True}, {"stale_if_error": True}, {"force": True}],
    ids=["by default", "max_age", "offline", "stale_if_error", "force"],
)
@pytest.mark.parametrize("down", [False, True], ids=["", "while nobody answers"])
def test_another_version_in_the_cache_is_not_given_for_the_pinned_one(
    server: FaultyServer,
    lock: Callable[..., int],
    make: MakeCache,
    pinned: Callable[..., CacheManager],
    terms: Asked,
    down: bool,
) -> None:
    """Somebody without the lock file refreshed the same cache."""
    server.put(NAME, b"one")
    lock(URI)
    server.put(NAME, b"two")
    assert make().get_bytes(URI) == b"two"
    server.is_down = down
    with pytest.raises((PinBroken, NotCached, UnreachableObject)):
        pinned().get(URI, **terms)
    server.is_down = False
    assert make().get_bytes(URI) == b"two"
    server.put(NAME, b"one")
    assert pinned().get_bytes(URI) == b"one"


def test_what_is_not_pinned_is_not_given(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager], make: MakeCache
) -> None:
    server.put(NAME, b"one")
    server.put("box/other", b"x")
    lock(URI)
    make().get("s3://box/other")
    with pytest.raises(NotPinned, match="s3://box/other"):
        pinned().get("s3://box/other")
    got = pinned().get_many([URI, "s3://box/other"], return_exceptions=True)
    assert isinstance(got[1], NotPinned)


def test_a_pinned_object_that_is_gone_is_missing_or_still_in_the_cache(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager], tmp_path: Path
) -> None:
    server.put(NAME, b"one")
    lock(URI)
    server.delete(NAME)
    assert pinned().get_bytes(URI) == b"one"
    with pytest.raises(MissingObject):
        pinned(cache_dir=tmp_path / "another machine").get(URI)


def test_damaged_bytes_are_not_taken_for_the_pinned_ones(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager], tmp_path: Path
) -> None:
    """Though nothing but the pin tells: the ETag is no checksum."""
    server.put(NAME, b"0123456789", etag='"x-2"')
    lock(URI)
    server.fail(NAME, Fault(damage=3), times=None)
    with pytest.raises(PinBroken):
        pinned(cache_dir=tmp_path / "another machine").get(URI)


def test_without_the_lock_file_nothing_is_given(make: MakeCache, tmp_path: Path) -> None:
    with pytest.raises(NotPinned):
        make(lock_file=tmp_path / "none.lock")


def test_locking_again_takes_the_new_version(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager]
) -> None:
    server.put(NAME, b"one")
    lock(URI)
    server.put(NAME, b"two")
    lock()
    assert pinned().get_bytes(URI) == b"two"


def test_hard_keys_are_pinned_as_they_are(
    server: FaultyServer, lock: Callable[..., int], pinned: Callable[..., CacheManager], lock_file: Path
) -> None:
    uris = [f"s3://box/{key}" for key in ('a"b\\c', "ü/日本 😀", "new\nline", "?q=1#x", "//x//y")]
    for uri in uris:
        server.put(uri.removeprefix("s3://"), uri.encode())
    assert lock(*uris) == 0
    server.is_down = True
    assert [each.path.read_bytes().decode() for each in pinned().get_many(uris)] == uris

"""Many objects at once."""

import threading
from pathlib import Path

import pytest

from nearside.cache import CacheManager, LocalizedResource
from nearside.caching.errors import MissingObject, NotCached, RefusedObject
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, unfinished


def test_many_come_in_the_order_in_which_they_were_named(server: FaultyServer, cache: CacheManager) -> None:
    names = [f"box/{number:02}" for number in range(40)]
    for name in names:
        server.put(name, name.encode())
    uris = [f"s3://{name}" for name in reversed(names)]
    got = cache.get_many(uris)
    assert [each.path.read_bytes().decode() for each in got] == list(reversed(names))
    assert [each.uri for each in got] == uris
    assert len(server.asked) == 40
    assert not any(each.downloaded for each in cache.get_many(uris))


def test_what_is_named_twice_is_downloaded_once(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/one", b"1")
    server.put("box/two", b"2")
    got = cache.get_many(["s3://box/one", "s3://box/two", "s3://box/one", "s3://box/one"])
    assert [each.path.read_bytes() for each in got] == [b"1", b"2", b"1", b"1"]
    assert sorted(each.target for each in server.asked) == ["/box/one", "/box/two"]


def test_none_is_none(cache: CacheManager) -> None:
    assert cache.get_many([]) == []


def test_they_may_come_from_everywhere(server: FaultyServer, cache: CacheManager, tmp_path: Path) -> None:
    server.put("box/one", b"1")
    server.put("page", b"2")
    (tmp_path / "x").write_bytes(b"3")
    uris: list[str | Path] = ["s3://box/one", f"{server.url}/page", tmp_path / "x"]
    assert [each.path.read_bytes() for each in cache.get_many(iter(uris))] == [b"1", b"2", b"3"]


def test_they_come_side_by_side(server: FaultyServer, cache: CacheManager) -> None:
    """None is answered before all four were asked for: one after the other would never end."""
    together = threading.Barrier(4, timeout=30)
    uris = []
    for number in range(4):
        server.put(f"box/{number}", b"x")
        server.fail(f"box/{number}", Fault(before=together.wait))
        uris.append(f"s3://box/{number}")
    assert len(cache.get_many(uris)) == 4


def test_the_first_error_is_raised(server: FaultyServer, cache: CacheManager, folder: Path) -> None:
    server.put("box/one", b"1")
    with pytest.raises(FileNotFoundError):
        cache.get_many(["s3://box/one", "s3://box/none"])
    assert unfinished(folder) == []


def test_errors_stand_in_their_place_when_that_is_asked_for(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/one", b"1")
    server.put("box/two", b"2")
    server.put("box/shut", b"")
    server.fail("box/shut", Fault(status=403), times=None)
    uris = ["s3://box/one", "s3://box/none", "s3://box/shut", "s3://box/two", "/no/such/file"]
    got = cache.get_many(uris, return_exceptions=True)
    kinds = [type(each) for each in got]
    assert kinds == [LocalizedResource, MissingObject, RefusedObject, LocalizedResource, MissingObject]
    assert "s3://box/none" in str(got[1])


def test_what_is_no_uri_stands_in_its_place_too(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/one", b"1")
    got = cache.get_many(["gopher://x/y", "s3://box/one"], return_exceptions=True)
    assert isinstance(got[0], ValueError | FileNotFoundError)
    assert got[1].path.read_bytes() == b"1"


def test_terms_are_for_each_of_them(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/one", b"1")
    cache.get("s3://box/one")
    server.forget()
    got = cache.get_many(["s3://box/one", "s3://box/two"], offline=True, return_exceptions=True)
    assert got[0].path.read_bytes() == b"1"
    assert isinstance(got[1], NotCached)
    assert server.asked == []


def test_objects_that_share_a_name_and_contents_do_not_disturb_each_other(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    uris = []
    for number in range(30):
        server.put(f"box/{number}/same.json", b"{}")
        uris.append(f"s3://box/{number}/same.json")
    assert {each.path.name for each in cache.get_many(uris)} == {"same.json"}
    assert len(data_of(folder)) == 30

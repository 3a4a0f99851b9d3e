"""When the cache asks, when it serves what it has, and what it says when it cannot."""

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from nearside.cache import CacheManager
from nearside.caching.asking import Patience
from nearside.caching.errors import MissingObject, NotCached, RefusedObject, UnreachableObject
from nearside.caching.folders import Folder
from nearside.errors import NearsideError
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, sha256, state_of, unfinished

URI = "s3://box/dir/data.json"
NAME = "box/dir/data.json"


def test_a_first_get_is_one_request(server: FaultyServer, cache: CacheManager, folder: Path) -> None:
    stored = server.put(NAME, b'{"a": 1}', version_id="v1")
    got = cache.get(URI)
    assert got.path.read_bytes() == b'{"a": 1}'
    assert got.path.name == "data.json"
    assert got.path.is_relative_to(folder)
    assert (got.from_cache, got.source, got.uri, got.downloaded, got.stale) == (True, "s3", URI, True, False)
    assert (got.size, got.sha256, got.version_id) == (8, stored.sha256, "v1")
    assert got.etag.strip('"') == stored.etag.strip('"')
    assert [(each.method, each.status) for each in server.asked] == [("GET", 200)]
    assert unfinished(folder) == []


def test_a_validated_hit_is_one_small_request_and_writes_nothing(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    stored = server.put(NAME, b"{}")
    first = cache.get(URI)
    before = state_of(folder)
    server.forget()
    again = cache.get(URI)
    assert [(each.method, each.status) for each in server.asked] == [("GET", 304)]
    assert server.asked[0].headers["if-none-match"] == stored.etag
    assert (again.path, again.downloaded, again.from_cache, again.stale) == (first.path, False, True, False)
    assert state_of(folder) == before


def test_another_process_finds_what_this_one_downloaded(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, b"{}")
    make().get(URI)
    assert not make().get(URI).downloaded
    assert server.statuses(NAME) == [200, 304]


def test_without_an_etag_the_date_validates(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"{}", etag="")
    cache.get(URI)
    assert not cache.get(URI).downloaded
    assert server.statuses(NAME) == [200, 304]
    assert server.asked[1].headers["if-modified-since"]


def test_without_etag_and_date_every_get_downloads(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"one", etag="")
    server.fail(NAME, Fault(headers={"Last-Modified": ""}), times=None)
    cache.get(URI)
    server.put(NAME, b"two", etag="")
    assert cache.get_bytes(URI) == b"two"


def test_a_weak_etag_validates(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"{}", etag='W/"abc"')
    cache.get(URI)
    assert not cache.get(URI).downloaded
    assert server.asked[1].headers["if-none-match"] == 'W/"abc"'
    assert server.statuses(NAME) == [200, 304]


def test_a_new_version_replaces_the_old_one_and_files_in_use_keep_their_contents(
    server: FaultyServer, cache: CacheManager
) -> None:
    server.put(NAME, b"old")
    with cache.get(URI) as old:
        server.put(NAME, b"new")
        with cache.get(URI) as new:
            assert (new.path.read_bytes(), new.downloaded) == (b"new", True)
            assert old.path.read_bytes() == b"old"
            assert new.path != old.path
    assert cache.get(URI).path.read_bytes() == b"new"


def test_a_file_that_was_handed_out_without_a_with_keeps_its_contents(
    server: FaultyServer, cache: CacheManager
) -> None:
    """As users of `aind-s3-cache` have it: they never end its use."""
    server.put(NAME, b"old")
    old = cache.get(URI).path
    server.put(NAME, b"new")
    cache.get(URI)
    assert old.read_bytes() == b"old"


def test_an_old_version_that_comes_back_is_served_again(server: FaultyServer, cache: CacheManager) -> None:
    for body in (b"one", b"two", b"one", b"two"):
        server.put(NAME, body)
        assert cache.get_bytes(URI) == body
    assert cache.get_bytes(URI, offline=True) == b"two"


def test_max_age_asks_nobody_while_it_lasts(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"{}")
    cache = make(max_age=3_600)
    cache.get(URI)
    server.forget()
    assert not cache.get(URI).downloaded
    assert server.asked == []
    _validated_long_ago(folder, 7_200)
    cache.get(URI)
    assert server.statuses(NAME) == [304]
    cache.get(URI)
    assert server.statuses(NAME) == [304], "the validation began a new time"
    make().get(URI)
    assert server.statuses(NAME) == [304, 304], "without max_age it is validated each time"


def test_max_age_of_one_get_goes_before_the_managers(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, b"{}")
    cache = make(max_age=3_600)
    cache.get(URI)
    cache.get(URI, max_age=0)
    assert server.statuses(NAME) == [200, 304]
    other = make()
    other.get(URI, max_age=3_600)
    assert server.statuses(NAME) == [200, 304]


def test_a_validation_from_the_future_does_not_count(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    """The clock was set back, or the file was touched."""
    server.put(NAME, b"{}")
    cache = make(max_age=3_600)
    cache.get(URI)
    _validated_long_ago(folder, -1_000_000)
    cache.get(URI)
    assert server.statuses(NAME) == [200, 304]


def test_force_downloads_whatever_is_there(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, b"{}")
    cache = make(max_age=3_600)
    cache.get(URI)
    assert cache.get(URI, force=True).downloaded
    assert server.statuses(NAME) == [200, 200]
    assert "if-none-match" not in server.asked[1].headers


def test_offline_serves_what_is_there_and_asks_nobody(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, b"{}")
    make().get(URI)
    server.put(NAME, b"newer")
    server.forget()
    offline = make(offline=True)
    assert offline.get(URI).path.read_bytes() == b"{}"
    with pytest.raises(NotCached) as not_cached:
        offline.get("s3://box/other.json")
    assert isinstance(not_cached.value, ConnectionError)
    assert not isinstance(not_cached.value, FileNotFoundError)
    assert "s3://box/other.json" in str(not_cached.value)
    assert server.asked == []


def test_offline_of_one_get_goes_before_the_managers(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, b"{}")
    cache = make(offline=True)
    assert cache.get(URI, offline=False).downloaded
    assert not cache.get(URI).downloaded
    with pytest.raises(NotCached):
        make().get("s3://box/other.json", offline=True)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=500), Fault(status=429), Fault(drop=True)])
def test_stale_if_error_serves_what_is_there_when_nobody_answers(
    server: FaultyServer, make: MakeCache, fault: Fault
) -> None:
    server.put(NAME, b"{}")
    make().get(URI)
    server.fail(NAME, fault, times=None)
    got = make(stale_if_error=True).get(URI)
    assert (got.path.read_bytes(), got.stale, got.downloaded) == (b"{}", True, False)
    with pytest.raises(UnreachableObject):
        make().get(URI)


@pytest.mark.parametrize(("status", "error"), [(404, MissingObject), (403, RefusedObject)])
def test_stale_if_error_serves_nothing_that_is_gone_or_refused(
    server: FaultyServer, make: MakeCache, status: int, error: type[Exception]
) -> None:
    server.put(NAME, b"{}")
    cache = make(stale_if_error=True)
    cache.get(URI)
    server.fail(NAME, Fault(status=status), times=None)
    with pytest.raises(error):
        cache.get(URI)


def test_stale_if_error_serves_the_old_version_when_the_new_one_cannot_be_read_whole(
    server: FaultyServer, make: MakeCache
) -> None:
    server.put(NAME, b"old")
    cache = make(stale_if_error=True)
    cache.get(URI)
    server.put(NAME, b"newer bytes")
    server.fail(NAME, Fault(cut_after=0), times=None)
    got = cache.get(URI)
    assert (got.path.read_bytes(), got.stale) == (b"old", True)
    server.mend(NAME)
    assert cache.get_bytes(URI) == b"newer bytes"


def test_stale_if_error_does_not_make_a_stale_entry_fresh(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    server.put(NAME, b"old")
    cache = make(stale_if_error=True, max_age=3_600)
    cache.get(URI)
    _validated_long_ago(folder, 7_200)
    server.put(NAME, b"new")
    server.is_down = True
    assert cache.get(URI).stale
    server.is_down = False
    assert cache.get_bytes(URI) == b"new"


def test_missing_is_pythons_file_not_found_and_one_of_ours(server: FaultyServer, cache: CacheManager) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        cache.get("s3://box/none.json")
    assert isinstance(missing.value, MissingObject)
    assert isinstance(missing.value, NearsideError)
    assert "s3://box/none.json" in str(missing.value)
    assert server.statuses("box/none.json") == [404], "what is missing is not asked for again"


def test_refused_is_pythons_permission_error_and_never_missing(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(status=403, code="InvalidAccessKeyId"), times=None)
    with pytest.raises(PermissionError) as refused:
        cache.get(URI)
    assert isinstance(refused.value, RefusedObject)
    assert not isinstance(refused.value, FileNotFoundError)
    assert URI in str(refused.value)
    assert "InvalidAccessKeyId" in str(refused.value)
    assert server.statuses(NAME) == [403], "what is refused is not asked for again"


@pytest.mark.parametrize("status", [400, 405, 409, 418, 429, 500, 502, 503, 504])
def test_other_statuses_are_never_missing(server: FaultyServer, cache: CacheManager, status: int) -> None:
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(status=status, code="Whatever"), times=None)
    with pytest.raises(NearsideError) as error:
        cache.get(URI)
    assert not isinstance(error.value, FileNotFoundError | PermissionError)


def test_a_server_error_is_tried_again(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(status=503), times=2)
    assert cache.get_bytes(URI) == b"{}"
    assert server.statuses(NAME) == [503, 503, 200]


def test_a_server_that_asks_for_patience_is_given_it(server: FaultyServer, make: MakeCache) -> None:
    waited: list[float] = []
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(status=429, headers={"Retry-After": "7"}))
    assert make(patience=Patience(pause=waited.append)).get_bytes(URI) == b"{}"
    assert server.statuses(NAME) == [429, 200]
    assert len(waited) == 1
    assert 7 <= waited[0] < 8


def test_a_server_that_asks_for_too_much_patience_is_not_given_it(server: FaultyServer, make: MakeCache) -> None:
    waited: list[float] = []
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(status=503, headers={"Retry-After": "999999999999"}))
    make(patience=Patience(pause=waited.append)).get(URI)
    assert sum(waited) <= 60


def test_pauses_between_attempts_become_longer(server: FaultyServer, make: MakeCache) -> None:
    waited: list[float] = []
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(status=503), times=None)
    with pytest.raises(UnreachableObject):
        make(patience=Patience(pause=waited.append)).get(URI)
    assert waited == sorted(waited)
    assert len(waited) == len(server.asked) - 1


def test_a_dropped_connection_is_tried_again(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"{}")
    server.fail(NAME, Fault(drop=True), times=2)
    assert cache.get_bytes(URI) == b"{}"


def test_nobody_listening_is_a_connection_error(make: MakeCache) -> None:
    with pytest.raises(ConnectionError) as unreachable:
        make(endpoint_url="http://127.0.0.1:9").get(URI)
    assert isinstance(unreachable.value, UnreachableObject)


def test_an_object_that_was_deleted_is_missing_though_it_is_in_the_cache(
    server: FaultyServer, cache: CacheManager
) -> None:
    server.put(NAME, b"{}")
    cache.get(URI)
    server.delete(NAME)
    with pytest.raises(FileNotFoundError):
        cache.get(URI)


def test_an_empty_object_is_an_empty_file(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"")
    got = cache.get(URI)
    assert (got.path.read_bytes(), got.size, got.sha256) == (b"", 0, sha256(b""))
    assert not cache.get(URI).downloaded


def test_a_version_id_pins_the_version(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"one", version_id="v1")
    server.put(NAME, b"two", version_id="v2")
    assert cache.get(URI, version_id="v1").path.read_bytes() == b"one"
    assert cache.get(URI).path.read_bytes() == b"two"
    assert cache.get(URI, version_id="v1").path.read_bytes() == b"one"
    assert "versionId=v1" in server.asked[0].target
    assert cache.get_bytes(URI, version_id="v1", offline=True) == b"one"
    assert cache.get_bytes(URI, offline=True) == b"two"


def test_an_object_over_the_callers_limit_is_not_downloaded(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    server.put(NAME, bytes(1_000))
    with pytest.raises(NearsideError, match=r"1[ ,_]?000.* 999"):
        cache.get(URI, max_object_bytes=999)
    assert data_of(folder) == {}
    assert unfinished(folder) == []
    assert cache.get(URI, max_object_bytes=1_000).size == 1_000


def test_an_object_over_the_callers_limit_is_not_served_from_the_cache_either(
    server: FaultyServer, cache: CacheManager
) -> None:
    server.put(NAME, bytes(1_000))
    cache.get(URI)
    with pytest.raises(NearsideError):
        cache.get(URI, max_object_bytes=999)


def test_a_limit_holds_for_an_object_of_unknown_length(server: FaultyServer, cache: CacheManager, folder: Path) -> None:
    server.put(NAME, bytes(100_000))
    server.fail(NAME, Fault(chunked=True), times=None)
    with pytest.raises(NearsideError):
        cache.get(URI, max_object_bytes=50_000)
    assert data_of(folder) == {}
    assert unfinished(folder) == []


@pytest.mark.parametrize("uri", ["", "s3://", "s3://b", "s3://box/", "s3:///k", "gopher://h/x", "ftp://h/x"])
def test_what_is_no_uri_of_an_object_is_a_value_error(cache: CacheManager, uri: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as wrong:
        cache.get(uri)
    assert isinstance(wrong.value, NearsideError)


def test_a_url_that_was_downloaded_with_credentials_never_shows_them(
    server: FaultyServer, make: MakeCache, folder: Path
) -> None:
    from tests.cache.conftest import KEYS

    server.put(NAME, b"{}")
    got = make(credentials=lambda: KEYS).get(URI)
    assert "AWS4-HMAC-SHA256" in server.asked[0].headers["authorization"]
    everything = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    for secret in (KEYS.secret_access_key, server.asked[0].headers["authorization"].rpartition("=")[2]):
        assert secret not in repr(got)
        assert secret.encode() not in everything


def _validated_long_ago(folder: Path, seconds: float) -> None:
    for each in folder.rglob("entry.json"):
        os.utime(each, (time.time() - seconds, time.time() - seconds))


def test_a_slow_call_does_not_put_its_older_version_over_a_newer_one(
    server: FaultyServer, make: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call was answered with version 2, and before it has the lock another downloads version 3."""
    server.put(NAME, b"one")
    cache = make()
    cache.get(URI)
    server.put(NAME, b"two")
    try_lock = Folder.try_lock

    def slowly(self: Folder) -> AbstractContextManager[bool]:
        monkeypatch.setattr(Folder, "try_lock", try_lock)
        server.put(NAME, b"three")
        assert make().get_bytes(URI) == b"three"
        return try_lock(self)

    monkeypatch.setattr(Folder, "try_lock", slowly)
    assert cache.get_bytes(URI) in (b"two", b"three")
    assert cache.get_bytes(URI, offline=True) == b"three"

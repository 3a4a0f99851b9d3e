"""Where a cache is easily wrong: versions that are written over, logins that ended, time that runs out."""

import pickle
import threading
from pathlib import Path

import pytest

from nearside.cache import CacheManager, Patience
from nearside.caching.errors import (
    BadUri,
    MissingObject,
    ObjectTooLarge,
    UnreachableObject,
)
from nearside.caching.many import each_of
from nearside.errors import BadRequest, BadSettings, NearsideError, NoCredentials
from nearside.places import Place
from nearside.signing import Credentials
from tests.cache.conftest import KEYS, MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of

URI, NAME = "s3://bucket/dir/data.json", "bucket/dir/data.json"


def _ended() -> Credentials:
    raise NoCredentials("the login has ended")


def test_the_version_null_may_be_written_over_and_is_validated(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"one", version_id="null")
    assert cache.get_bytes(URI, version_id="null") == b"one"
    server.put(NAME, b"two", version_id="null")
    assert cache.get_bytes(URI, version_id="null") == b"two"


@pytest.mark.parametrize("terms", [{"offline": True}, {"max_age": 600.0}, {"stale_if_error": True}], ids=str)
def test_after_a_login_has_ended_what_is_there_is_served(
    server: FaultyServer, make: MakeCache, terms: dict[str, object]
) -> None:
    server.put(NAME, b"x")
    make(credentials=lambda: KEYS).get(URI)
    assert make(credentials=_ended, **terms).get_bytes(URI) == b"x"
    with pytest.raises(NoCredentials):
        make(credentials=_ended).get(URI)


def test_after_a_login_has_ended_no_other_endpoints_copy_is_served(
    server: FaultyServer, other: FaultyServer, make: MakeCache
) -> None:
    server.put(NAME, b"of the one")
    make(credentials=lambda: KEYS).get(URI)
    with pytest.raises(NoCredentials):
        make(endpoint_url=other.url, credentials=_ended, offline=True).get(URI)


def test_after_a_login_has_ended_it_is_not_guessed_whose_copy_is_meant(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, b"x")
    make(credentials=lambda: KEYS).get(URI)
    make().get(URI)  # anonymous
    with pytest.raises(NoCredentials):
        make(credentials=_ended, offline=True).get(URI)


def test_what_is_handed_out_can_go_to_another_process(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"x")
    found = cache.get(URI)
    there = pickle.loads(pickle.dumps(found))
    assert there == found
    with there:
        assert there.path.read_bytes() == b"x"


def test_the_bound_holds_for_an_object_that_does_not_say_its_length(
    server: FaultyServer, make: MakeCache, folder: Path
) -> None:
    server.put(NAME, b"x" * 100_000)
    server.fail(NAME, Fault(chunked=True), times=None)
    with pytest.raises(ObjectTooLarge, match="1000 bytes"):
        make(max_bytes=1_000).get(URI)
    assert data_of(folder) == {}


def test_a_place_that_makes_nothing_of_a_request_does_not_hide_that_another_is_down(
    server: FaultyServer, other: FaultyServer, make: MakeCache
) -> None:
    places = [Place("eu-west-2", "near", server.url), Place("elsewhere", "far", other.url)]
    server.is_down = True
    other.put("far/k", b"x")
    other.fail("far/k", Fault(status=400, code="InvalidArgument"), times=None)
    with pytest.raises(UnreachableObject):
        make(places=places).get("s3://near/k", version_id="v1")
    server.is_down = False
    server.put("near/k", b"x", version_id="v1")
    assert make(places=places[::-1]).get_bytes("s3://near/k", version_id="v1") == b"x"


@pytest.mark.parametrize("of", ["web", "file"])
def test_a_version_of_what_has_none_is_refused(
    server: FaultyServer, cache: CacheManager, tmp_path: Path, of: str
) -> None:
    server.put("web/v", b"x")
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(BadRequest, match="OLD"):
        cache.get({"web": f"{server.url}/web/v", "file": str(tmp_path / "f")}[of], version_id="OLD")


def test_no_server_makes_a_pause_longer_than_was_agreed(server: FaultyServer, make: MakeCache) -> None:
    pauses: list[float] = []
    server.put(NAME, b"x")
    server.fail(NAME, Fault(status=503, headers={"Retry-After": "3600"}))
    assert make(patience=Patience(longest_pause_seconds=1.5, pause=pauses.append)).get_bytes(URI) == b"x"
    assert pauses == [1.5]


def test_a_get_ends_when_its_time_is_over_though_bytes_still_come(server: FaultyServer, make: MakeCache) -> None:
    """A place that gives a little and cuts would otherwise be gone on with a hundred times."""
    server.put(NAME, b"x" * 1_000_000)
    server.fail(NAME, Fault(trickle=10), times=None)
    with pytest.raises(UnreachableObject, match=r"within 0\.5 seconds"):
        make(patience=Patience(total_seconds=0.5)).get(URI)
    server.mend(NAME)
    assert make(patience=Patience(total_seconds=60)).get(URI).size == 1_000_000


def test_what_is_given_has_the_uri_of_who_asked(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"x")
    assert cache.get(URI.replace("s3", "S3")).uri == URI
    assert cache.clear(uris=[URI]) > 0
    assert cache.get(URI).downloaded


def test_a_question_mark_in_a_key_says_nothing_of_gzip(server: FaultyServer, cache: CacheManager) -> None:
    packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00"  # {}
    server.put("bucket/what?.json.gz", packed)
    server.put("bucket/data.gz?x", packed)
    assert cache.get_json("s3://bucket/what?.json.gz") == {}
    assert cache.get_bytes("s3://bucket/data.gz?x") == packed


@pytest.mark.parametrize("name", ["max_bytes", "max_workers", "max_concurrency"])
def test_numbers_under_one_are_refused_by_name(make: MakeCache, name: str) -> None:
    with pytest.raises(BadSettings, match=f"{name} is 0"):
        make(**{name: 0})


def test_errors_of_files_of_this_machine_are_ours(cache: CacheManager, tmp_path: Path) -> None:
    found = cache.get_many([str(tmp_path / "no"), "/" + "x" * 5_000], return_exceptions=True)
    assert [type(each) for each in found] == [MissingObject, BadUri]
    (tmp_path / "f").write_bytes(b"1234")
    with pytest.raises(ObjectTooLarge, match="4 bytes"):
        cache.get(tmp_path / "f", max_object_bytes=3)


def test_who_presses_ctrl_c_waits_for_no_download() -> None:
    let_go, gave_up = threading.Event(), threading.Event()

    def work(item: str) -> str:
        if item == "bad":
            raise KeyboardInterrupt
        let_go.wait(60)
        return item

    with pytest.raises(KeyboardInterrupt):
        each_of(["slow", "bad"], work, lambda: None, workers=2, keep_errors=False, give_up=gave_up)
    assert gave_up.is_set()
    assert not let_go.is_set()
    let_go.set()


def test_errors_stay_in_their_places_when_they_are_kept() -> None:
    def work(item: int) -> int:
        if item % 2:
            raise NearsideError(str(item))
        return item

    got = each_of([3, 2, 3], work, lambda: None, workers=2, keep_errors=True, give_up=threading.Event())
    assert [str(each) for each in got] == ["3", "2", "3"]

"""Several places with copies of one object: any of them validates, any goes on where another was cut, none misleads."""

import base64
import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from nearside.cache import CacheManager
from nearside.caching.errors import MissingObject, RefusedObject, UnreachableObject
from nearside.errors import NearsideError
from nearside.places import Place
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, sha256

URI = "s3://near/blob.bin"
NEAR, FAR = "near/blob.bin", "far/blob.bin"
BODY = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)


@pytest.fixture
def places(server: FaultyServer, other: FaultyServer) -> list[Place]:
    return [Place("eu-west-2", "near", server.url), Place("us-east-2", "far", other.url)]


@pytest.fixture
def cache(make: MakeCache, places: list[Place]) -> CacheManager:
    return make(places=places)


@pytest.fixture
def both(server: FaultyServer, other: FaultyServer) -> Callable[..., None]:
    """Stores the same version in both places."""

    def both(body: bytes, version_id: str = "") -> None:
        stored = server.put(NEAR, body, version_id=version_id)
        other.put(FAR, body, version_id=version_id, modified=stored.modified)

    return both


def test_the_first_place_is_asked_and_the_others_are_left_alone(
    other: FaultyServer, cache: CacheManager, both: Callable[..., None]
) -> None:
    both(BODY)
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    cache.get(URI)
    assert other.asked == []


def test_a_download_goes_on_in_the_next_place_in_the_middle_of_a_file(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, both: Callable[..., None]
) -> None:
    both(BODY)

    def fall() -> None:
        server.is_down = True

    server.fail(NEAR, Fault(cut_after=100_000, after=fall))
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    assert [(each.range.removesuffix("299999"), each.status) for each in other.about(FAR)] == [("bytes=100000-", 206)]
    assert other.asked[0].headers["if-match"] == other.newest(FAR).etag


def test_a_large_download_goes_on_in_the_next_place(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, both: Callable[..., None]
) -> None:
    body = random.Random(3).randbytes(20 * 1024**2)
    both(body)
    server.fail(NEAR, Fault(cut_after=1_000_000))
    server.fail(NEAR, Fault(drop=True), times=None)
    assert sha256(cache.get_bytes(URI)) == sha256(body)
    asked = sum(_length(each.range) for each in other.about(FAR) if each.status == 206)
    assert asked <= len(body) - 1_000_000, "what the first place gave was read again"


def test_a_place_with_another_version_does_not_go_on_with_a_download(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    """Both of the same length, so that nothing but the ETag tells."""
    server.put(NEAR, BODY)
    other.put(FAR, OTHER)
    server.fail(NEAR, Fault(cut_after=100_000))
    server.fail(NEAR, Fault(drop=True), times=None)
    got = sha256(cache.get_bytes(URI))
    assert got == sha256(OTHER)


def test_a_place_with_its_own_etag_of_the_same_bytes_goes_on_with_a_download(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    """Providers count parts of their own: the SHA-256 says that it is the same."""
    checksum = {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode()}
    server.put(NEAR, BODY, etag='"aaaa-2"', headers=checksum)
    other.put(FAR, BODY, etag='"bbbb-3"', headers=checksum)
    server.fail(NEAR, Fault(cut_after=100_000))
    server.fail(NEAR, Fault(drop=True), times=None)
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)


def test_any_places_copy_of_the_same_version_validates(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, both: Callable[..., None]
) -> None:
    both(BODY, version_id="v1")
    cache.get(URI)
    server.is_down = True
    again = cache.get(URI)
    assert (again.downloaded, again.stale) == (False, False)
    assert other.statuses(FAR) == [304]


def test_the_same_version_under_another_etag_validates(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    server.put(NEAR, BODY, etag='"aaaa-2"', version_id="v1")
    other.put(FAR, BODY, etag='"bbbb-3"', version_id="v1")
    cache.get(URI)
    server.is_down = True
    again = cache.get(URI)
    assert (again.downloaded, again.stale) == (False, False)


def test_a_lagging_place_does_not_replace_a_newer_entry(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, make: MakeCache, places: list[Place]
) -> None:
    other.put(FAR, OTHER, modified=1_600_000_000)
    server.put(NEAR, BODY, modified=1_700_000_000)
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    server.is_down = True
    with pytest.raises(UnreachableObject):
        cache.get(URI)
    stale = make(places=places, stale_if_error=True).get(URI)
    assert (sha256(stale.path.read_bytes()), stale.stale) == (sha256(BODY), True)
    server.is_down = False
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    assert sha256(cache.get_bytes(URI, offline=True)) == sha256(BODY)


def test_a_lagging_first_place_does_not_replace_what_another_gave(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    server.put(NEAR, OTHER, modified=1_600_000_000)
    other.put(FAR, BODY, modified=1_700_000_000)
    server.is_down = True
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    server.is_down = False
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)


def test_a_version_that_every_place_took_back_is_replaced(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    server.put(NEAR, BODY, modified=1_700_000_000)
    other.put(FAR, BODY, modified=1_700_000_000)
    cache.get(URI)
    server.put(NEAR, OTHER, modified=1_600_000_000)
    other.put(FAR, OTHER, modified=1_600_000_000)
    assert sha256(cache.get_bytes(URI)) == sha256(OTHER)


def test_a_place_that_does_not_have_it_yet_is_passed_over(other: FaultyServer, cache: CacheManager) -> None:
    other.put(FAR, BODY)
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)


def test_a_place_that_refuses_is_passed_over(
    server: FaultyServer, cache: CacheManager, both: Callable[..., None]
) -> None:
    both(BODY)
    server.fail(NEAR, Fault(status=403), times=None)
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)


def test_missing_in_every_place_is_missing(cache: CacheManager) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        cache.get(URI)
    assert isinstance(missing.value, MissingObject)


@pytest.mark.parametrize("first_is_missing", [True, False])
def test_missing_in_one_place_and_unreachable_in_the_other_is_not_reported_as_missing(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, first_is_missing: bool
) -> None:
    (other if first_is_missing else server).is_down = True
    with pytest.raises(UnreachableObject) as error:
        cache.get(URI)
    assert not isinstance(error.value, FileNotFoundError)


@pytest.mark.parametrize("first_is_missing", [True, False])
def test_missing_in_one_place_and_refused_in_the_other_is_not_reported_as_missing(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, first_is_missing: bool
) -> None:
    refusing, name = (other, FAR) if first_is_missing else (server, NEAR)
    refusing.put(name, BODY)
    refusing.fail(name, Fault(status=403), times=None)
    with pytest.raises(RefusedObject):
        cache.get(URI)


def test_an_object_that_changed_during_its_download_is_not_reported_as_missing_by_the_place_that_lags(
    server: FaultyServer, cache: CacheManager
) -> None:
    """The second place has no version yet. The first has a new one."""
    server.put(NEAR, BODY)
    server.fail(NEAR, Fault(cut_after=100_000, after=lambda: server.put(NEAR, OTHER)))
    assert sha256(cache.get_bytes(URI)) == sha256(OTHER)


def test_an_object_that_changed_during_its_download_is_not_reported_as_refused_by_another_place(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    server.put(NEAR, BODY)
    other.put(FAR, BODY)
    other.fail(FAR, Fault(status=403), times=None)
    server.fail(NEAR, Fault(cut_after=100_000, after=lambda: server.put(NEAR, OTHER)))
    assert sha256(cache.get_bytes(URI)) == sha256(OTHER)


def test_an_entry_stays_when_one_place_says_missing_and_the_other_nothing(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, both: Callable[..., None], folder: Path
) -> None:
    both(BODY)
    cache.get(URI)
    server.is_down = True
    other.delete(FAR)
    with pytest.raises(UnreachableObject):
        cache.get(URI)
    assert sha256(cache.get_bytes(URI, offline=True)) == sha256(BODY)
    assert len(data_of(folder)) == 1


def test_the_uri_may_name_the_bucket_of_any_place(cache: CacheManager, both: Callable[..., None]) -> None:
    both(BODY)
    cache.get(URI)
    assert not cache.get("s3://far/blob.bin").downloaded, "it is the same object"


def test_a_bucket_of_no_place_is_refused_by_name(cache: CacheManager) -> None:
    with pytest.raises(ValueError, match=r"near.*far") as wrong:
        cache.get("s3://stranger/blob.bin")
    assert isinstance(wrong.value, NearsideError)


def test_a_damaged_copy_in_one_place_never_enters_the_cache(
    server: FaultyServer, cache: CacheManager, both: Callable[..., None]
) -> None:
    both(BODY)
    server.fail(NEAR, Fault(damage=5))
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)


def test_a_copy_that_is_damaged_for_good_is_passed_over(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    checksum = {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode()}
    server.put(NEAR, BODY, etag='"x-2"', headers=checksum)
    other.put(FAR, BODY, etag='"x-2"', headers=checksum)
    server.fail(NEAR, Fault(damage=5), times=None)
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)


def test_a_place_whose_object_vanishes_during_a_download_does_not_make_it_missing(
    server: FaultyServer, other: FaultyServer, cache: CacheManager
) -> None:
    """The first place is cut and away; the second has it under another ETag, and then not any more."""
    checksum = {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode()}
    server.put(NEAR, BODY, etag='"aaaa-2"', headers=checksum)
    other.put(FAR, BODY, etag='"bbbb-3"', headers=checksum)
    server.fail(NEAR, Fault(cut_after=100_000))
    server.fail(NEAR, Fault(drop=True), times=None)
    other.fail(FAR, Fault(after=lambda: other.delete(FAR)))
    with pytest.raises(UnreachableObject):
        cache.get(URI)


def _length(wanted: str) -> int:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    return int(last) + 1 - int(first)

"""Downloads that go wrong: cut, changed, damaged, lied about. What comes out is a version as it was, or an error."""

import base64
import hashlib
import random
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Unpack

import pytest

from nearside.cache import CacheManager
from nearside.caching.asking import Patience
from nearside.caching.errors import CacheBusy, CorruptDownload, ObjectChanged, UnreachableObject
from nearside.caching.options import Asked
from nearside.errors import NearsideError
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, sha256, unfinished

URI = "s3://box/blob.bin"
NAME = "box/blob.bin"
BODY = random.Random(6).randbytes(300_000)
OTHER = random.Random(7).randbytes(300_000)


def digest_of(cache: CacheManager, **options: Unpack[Asked]) -> str:
    """The SHA-256 of what a get hands out."""
    return sha256(cache.get(URI, **options).path.read_bytes())


def ranges(server: FaultyServer) -> list[str]:
    return [each.range for each in server.about(NAME)]


def test_a_cut_download_goes_on_where_it_was_cut(server: FaultyServer, cache: CacheManager) -> None:
    stored = server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=100_000))
    assert digest_of(cache) == stored.sha256
    first, second = server.about(NAME)
    assert (first.range, first.status) == ("", 200)
    assert (second.range.removesuffix("299999"), second.status) == ("bytes=100000-", 206)
    assert second.headers["if-match"] == stored.etag


def test_a_download_that_stalls_goes_on_with_another_request(server: FaultyServer, make: MakeCache) -> None:
    stored = server.put(NAME, BODY)
    server.fail(NAME, Fault(stall_after=100_000))
    assert digest_of(make(patience=Patience(read_seconds=0.5))) == stored.sha256
    assert server.about(NAME)[1].range.startswith("bytes=100000-")


def test_a_server_that_takes_the_request_and_says_nothing_is_unreachable(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(before=server.closing.wait), times=None)
    with pytest.raises(UnreachableObject):
        make(patience=Patience(read_seconds=0.1, rounds=2)).get(URI)


def test_who_waits_too_long_for_anothers_download_is_told_so(server: FaultyServer, make: MakeCache) -> None:
    server.put(NAME, BODY)
    going = threading.Event()
    server.fail(NAME, Fault(stall_after=100_000, until=going))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(digest_of, make())
        _until(lambda: server.asked)
        with pytest.raises(CacheBusy) as busy:
            make(lock_seconds=0.05).get(URI)
        assert isinstance(busy.value, TimeoutError)
        going.set()
        assert slow.result() == sha256(BODY)


def test_every_cut_costs_only_what_did_not_come(server: FaultyServer, cache: CacheManager) -> None:
    stored = server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=40_000), times=7)
    assert digest_of(cache) == stored.sha256
    starts = [each.removeprefix("bytes=").partition("-")[0] for each in ranges(server)]
    assert starts == ["", "40000", "80000", "120000", "160000", "200000", "240000", "280000"]


def test_a_reset_connection_is_gone_on_with(server: FaultyServer, cache: CacheManager) -> None:
    stored = server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=200_000, reset=True), times=2)
    assert digest_of(cache) == stored.sha256
    assert all(each.headers.get("if-match") == stored.etag for each in server.about(NAME) if each.range)


def test_a_server_error_in_the_middle_does_not_lose_the_bytes_that_came(
    server: FaultyServer, cache: CacheManager
) -> None:
    stored = server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=100_000))
    server.fail(NAME, Fault(status=503), times=2)
    assert digest_of(cache) == stored.sha256
    assert server.statuses(NAME) == [200, 503, 503, 206]


def test_a_download_that_never_ends_well_leaves_nothing(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=0), times=None)
    with pytest.raises(NearsideError):
        cache.get(URI)
    assert data_of(folder) == {}
    assert unfinished(folder) == []
    server.mend(NAME)
    assert digest_of(cache) == sha256(BODY)


def test_an_object_that_changes_while_it_is_read_is_read_anew(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=100_000, after=lambda: server.put(NAME, OTHER)))
    assert digest_of(cache) == sha256(OTHER)
    assert 412 in server.statuses(NAME)
    assert digest_of(cache, offline=True) == sha256(OTHER)


def test_an_object_that_changes_at_every_attempt_is_an_error(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    bodies = [random.Random(each).randbytes(300_000) for each in range(40)]
    server.put(NAME, bodies.pop())
    server.fail(NAME, Fault(cut_after=100_000, after=lambda: server.put(NAME, bodies.pop())), times=None)
    with pytest.raises(ObjectChanged) as changed:
        cache.get(URI)
    assert isinstance(changed.value, OSError)
    assert data_of(folder) == {}


def test_a_server_that_ignores_if_match_does_not_mix_versions(server: FaultyServer, cache: CacheManager) -> None:
    """As some S3-compatible providers do: the 206's own ETag tells."""
    server.put(NAME, BODY, etag='"one-2"')
    server.fail(NAME, Fault(cut_after=100_000, after=lambda: server.put(NAME, OTHER, etag='"two-2"')))
    server.fail(NAME, Fault(no_conditions=True), times=None)
    assert digest_of(cache) == sha256(OTHER)


def test_a_server_without_ranges_is_read_from_the_beginning(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=100_000, no_ranges=True))
    server.fail(NAME, Fault(no_ranges=True), times=None)
    assert digest_of(cache) == sha256(BODY)


def test_a_server_without_ranges_whose_object_changed_does_not_mix_versions(
    server: FaultyServer, cache: CacheManager
) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=100_000, no_ranges=True, after=lambda: server.put(NAME, OTHER)))
    server.fail(NAME, Fault(no_ranges=True, no_conditions=True), times=None)
    assert digest_of(cache) == sha256(OTHER)


@pytest.mark.parametrize(
    "said", ["bytes 0-199999/300000", "bytes 100001-299999/300000", "bytes 100000-299999/300001", "nonsense"]
)
def test_a_part_other_than_the_one_that_was_asked_for_is_not_taken(
    server: FaultyServer, cache: CacheManager, said: str
) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(cut_after=100_000))
    server.fail(NAME, Fault(headers={"Content-Range": said}, damage=5))
    try:
        assert digest_of(cache) == sha256(BODY)
    except NearsideError:
        server.mend(NAME)
    assert digest_of(cache) == sha256(BODY)


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_a_cut_download_without_a_strong_etag_does_not_mix_versions(
    server: FaultyServer, cache: CacheManager, etag: str
) -> None:
    server.put(NAME, BODY, etag=etag)
    server.fail(
        NAME, Fault(cut_after=100_000, after=lambda: server.put(NAME, OTHER, etag=etag, modified=1_700_000_000))
    )
    assert digest_of(cache) == sha256(OTHER)


def test_the_same_etag_with_another_length_is_noticed(server: FaultyServer, cache: CacheManager) -> None:
    """A store whose ETags lie: the whole length that every part says tells."""
    server.put(NAME, BODY, etag='"same"')
    server.fail(NAME, Fault(cut_after=100_000, after=lambda: server.put(NAME, OTHER[:250_000], etag='"same"')))
    try:
        assert digest_of(cache) == sha256(OTHER[:250_000])
    except NearsideError:
        assert digest_of(cache) == sha256(OTHER[:250_000])


@pytest.mark.parametrize("status", [202, 204, 206, 226, 300, 304, 412, 416])
def test_an_answer_that_is_not_the_object_is_not_taken_for_it(
    server: FaultyServer, cache: CacheManager, folder: Path, status: int
) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(status=status), times=None)
    for force in (False, True):
        with pytest.raises(NearsideError) as error:
            cache.get(URI, force=force)
        assert not isinstance(error.value, FileNotFoundError | PermissionError)
    assert data_of(folder) == {}


def test_a_body_shorter_than_announced_is_not_taken_for_whole(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(declare_more=10), times=None)
    with pytest.raises(NearsideError):
        cache.get(URI)
    assert data_of(folder) == {}
    assert unfinished(folder) == []


def test_a_wrong_length_that_is_mended_is_downloaded(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(declare_more=10))
    try:
        assert digest_of(cache) == sha256(BODY)
    except NearsideError:
        assert digest_of(cache) == sha256(BODY)


def test_a_body_longer_than_announced_is_not_taken_for_whole(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    server.put(NAME, BODY, headers={"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode()})
    server.fail(NAME, Fault(declare_more=-10), times=None)
    with pytest.raises(CorruptDownload):
        cache.get(URI)
    assert data_of(folder) == {}


def _checksum(name: str) -> str:
    from awscrt import checksums

    match name:
        case "crc32":
            digest = zlib.crc32(BODY).to_bytes(4)
        case "crc32c":
            digest = checksums.crc32c(BODY).to_bytes(4)
        case "crc64nvme":
            digest = checksums.crc64nvme(BODY).to_bytes(8)
        case _:
            digest = hashlib.new(name, BODY).digest()
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("name", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_damaged_bytes_never_enter_the_cache(
    server: FaultyServer, cache: CacheManager, folder: Path, name: str
) -> None:
    headers = {f"x-amz-checksum-{name}": _checksum(name), "x-amz-checksum-type": "FULL_OBJECT"}
    server.put(NAME, BODY, etag='"0123-2"', headers=headers)
    server.fail(NAME, Fault(damage=150_000), times=None)
    with pytest.raises(CorruptDownload) as corrupt:
        cache.get(URI)
    assert isinstance(corrupt.value, OSError)
    assert data_of(folder) == {}
    assert unfinished(folder) == []
    server.mend(NAME)
    assert digest_of(cache) == sha256(BODY)


def test_bytes_that_were_damaged_once_are_downloaded_again(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY, headers={"x-amz-checksum-sha256": _checksum("sha256")})
    server.fail(NAME, Fault(damage=0))
    assert digest_of(cache) == sha256(BODY)


def test_bytes_damaged_behind_a_cut_are_noticed(server: FaultyServer, cache: CacheManager, folder: Path) -> None:
    server.put(NAME, BODY, headers={"x-amz-checksum-sha256": _checksum("sha256")})
    server.fail(NAME, Fault(cut_after=100_000))
    server.fail(NAME, Fault(damage=100_000))
    assert digest_of(cache) == sha256(BODY)
    assert list(data_of(folder).values()) == [sha256(BODY)]


def test_an_etag_that_is_an_md5_is_a_checksum_too(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(damage=299_999))
    assert digest_of(cache) == sha256(BODY)


@pytest.mark.parametrize(
    ("etag", "headers"),
    [
        ('"9bb58f26192e4ba00f01e2e7b136bbd8-3"', {}),  # of a multipart upload
        ('"9bb58f26192e4ba00f01e2e7b136bbd8"', {"x-amz-server-side-encryption": "aws:kms"}),
        ('"9bb58f26192e4ba00f01e2e7b136bbd8"', {}),  # a provider whose ETags are no MD5
        ('"x"', {"x-amz-checksum-sha256": "9bb58f26192e4ba00f01e2e7b136bbd8=-3", "x-amz-checksum-type": "COMPOSITE"}),
        ('"x"', {"x-amz-checksum-crc32": "AAAAAA==-3"}),
        ('"x"', {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"}),
        ('"x"', {"x-amz-checksum-future512": "AAAAAA=="}),
    ],
)
def test_what_is_no_checksum_of_the_whole_is_not_taken_for_one(
    server: FaultyServer, cache: CacheManager, etag: str, headers: Mapping[str, str]
) -> None:
    server.put(NAME, BODY, etag=etag, headers=headers)
    assert digest_of(cache) == sha256(BODY)
    assert not cache.get(URI).downloaded


def test_a_body_without_a_length_is_read_to_its_end(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    server.fail(NAME, Fault(chunked=True))
    got = cache.get(URI)
    assert (got.size, got.sha256) == (len(BODY), sha256(BODY))
    assert not cache.get(URI).downloaded


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_without_a_length_that_is_cut_is_not_taken_for_whole(
    server: FaultyServer, cache: CacheManager, reset: bool
) -> None:
    server.put(NAME, BODY, etag='"x"')
    server.fail(NAME, Fault(chunked=True, cut_after=100_000, reset=reset))
    try:
        assert digest_of(cache) == sha256(BODY)
    except NearsideError:
        assert digest_of(cache) == sha256(BODY)


def test_bytes_that_trickle_in_are_put_together(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY[:10_000])
    server.fail(NAME, Fault(trickle=997))
    assert digest_of(cache) == sha256(BODY[:10_000])


def test_two_threads_that_want_the_same_object_download_it_once(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    going = threading.Event()
    server.fail(NAME, Fault(stall_after=100_000, until=going))
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(digest_of, cache) for _ in range(8)]
        _until(lambda: server.asked)
        going.set()
        assert {future.result() for future in futures} == {sha256(BODY)}
    assert server.statuses(NAME).count(200) == 1


def test_while_a_new_version_comes_the_old_one_is_read_offline(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    cache.get(URI)
    server.put(NAME, OTHER)
    going = threading.Event()
    server.fail(NAME, Fault(stall_after=100_000, until=going))
    with ThreadPoolExecutor(1) as pool:
        new = pool.submit(digest_of, cache)
        _until(lambda: len(server.asked) == 2)
        assert digest_of(cache, offline=True) == sha256(BODY)
        going.set()
        assert new.result() == sha256(OTHER)


def test_what_stood_in_the_way_of_one_does_not_stop_another_object(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, BODY)
    server.put("box/small", b"small")
    going = threading.Event()
    server.fail(NAME, Fault(stall_after=10, until=going))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(digest_of, cache)
        _until(lambda: server.asked)
        assert cache.get_bytes("s3://box/small") == b"small"
        going.set()
        assert slow.result() == sha256(BODY)


LARGE = random.Random(8).randbytes(20 * 1024**2)


def test_a_large_object_comes_in_ranges_of_one_version(server: FaultyServer, make: MakeCache) -> None:
    stored = server.put(NAME, LARGE)
    cache = make()
    assert digest_of(cache) == stored.sha256
    with_range = [each for each in server.about(NAME) if each.range]
    assert with_range, "no range was asked for"
    assert all(each.headers["if-match"] == stored.etag for each in with_range)
    assert all(each.status == 206 for each in with_range)
    assert sum(not each.range for each in server.about(NAME)) <= 1
    assert not cache.get(URI).downloaded


def test_a_large_object_with_cut_ranges_is_put_together(server: FaultyServer, cache: CacheManager) -> None:
    stored = server.put(NAME, LARGE)
    server.fail(NAME, Fault(cut_after=3_000_000), times=4)
    server.fail(NAME, Fault(status=503), times=2)
    assert digest_of(cache) == stored.sha256


def test_a_large_object_that_changes_between_its_ranges_is_one_version(
    server: FaultyServer, cache: CacheManager
) -> None:
    changed = LARGE[::-1]
    server.put(NAME, LARGE)
    server.fail(NAME, Fault(before=lambda: server.put(NAME, changed)), skip=1)
    assert digest_of(cache) == sha256(changed)


def test_a_large_object_that_changes_and_is_cut_is_one_version(server: FaultyServer, cache: CacheManager) -> None:
    """The first answer is cut when the ranges beside it have already found that the object changed."""
    changed = LARGE[::-1]
    known = threading.Event()
    server.put(NAME, LARGE)

    def changes() -> None:
        server.put(NAME, changed)

    def is_told() -> None:
        if len(server.about(NAME)) >= 3:
            known.set()

    server.fail(NAME, Fault(stall_after=100_000, until=known, cut_after=0))
    server.fail(NAME, Fault(before=changes, after=is_told), times=2)
    assert digest_of(cache) == sha256(changed)
    assert server.statuses(NAME)[:3] == [200, 412, 412]


def test_a_large_object_from_a_server_without_ranges_is_one_version(
    server: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    server.put(NAME, LARGE)
    server.fail(NAME, Fault(no_ranges=True, no_conditions=True, headers={"Accept-Ranges": ""}), times=None)
    assert digest_of(cache) == sha256(LARGE)
    assert unfinished(folder) == []


def test_a_damaged_range_of_a_large_object_is_noticed(server: FaultyServer, cache: CacheManager, folder: Path) -> None:
    checksum = base64.b64encode(hashlib.sha256(LARGE).digest()).decode()
    server.put(NAME, LARGE, etag='"x-3"', headers={"x-amz-checksum-sha256": checksum})
    server.fail(NAME, Fault(damage=1_000), skip=1, times=None)
    with pytest.raises(CorruptDownload):
        cache.get(URI)
    assert data_of(folder) == {}
    assert unfinished(folder) == []


def _until(holds: object) -> None:
    """Waits until a call gives something true; a test's own time limit is the limit."""
    pause = threading.Event()
    for _ in range(3_000):
        if holds():  # type: ignore[operator]  # a call without arguments
            return
        pause.wait(0.01)
    raise AssertionError("it never came to that")

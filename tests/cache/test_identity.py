"""What tells one entry from another: kind, endpoint, account, bucket, key and version."""

from pathlib import Path

import pytest

from nearside.cache import CacheManager
from nearside.caching.errors import NotCached, RefusedObject
from nearside.signing import Credentials
from tests.cache.conftest import KEYS, MakeCache
from tests.cache.faulty_server import Fault, FaultyServer

URI = "s3://box/k"
OTHERS = Credentials("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")

HARD_KEYS = [
    "a b+c%20d?e#f",
    "//double//slash/",
    "/leading",
    "trailing/",
    "../../up/./and/../down",
    "..",
    ".",
    "ü/日本/😀.json",
    "e\u0301 is not \u00e9",
    "new\nline\ttab\x01\x7f",
    'a:b|c<d>e"f*g\\h',
    "CON.json",
    "con/aux.txt",
    "name. ",
    "~user/-rf",
    "a=1&b=2;c,d@e!f'g(h)",
    "%",
    "%2F%2e%2e%00",
    "entry.json",
    "lock",
    ".hidden",
    "A.JSON",
    "k" * 1_024,
    "ü" * 512,
    "d/" * 511 + "x",
    "😀" * 256,
]


@pytest.mark.parametrize("key", HARD_KEYS)
def test_a_hard_key_is_read_as_it_is(server: FaultyServer, cache: CacheManager, folder: Path, key: str) -> None:
    server.put(f"box/{key}", b"the right one")
    uri = f"s3://box/{key}"
    got = cache.get(uri)
    assert got.path.read_bytes() == b"the right one"
    assert got.uri == uri
    assert not cache.get(uri).downloaded
    assert got.path.resolve().is_relative_to(folder.resolve())
    assert len(got.path.name.encode()) <= 255
    assert not set(got.path.name) & set('<>:"/\\|?*\n\t\x01\x7f')


def test_hard_keys_are_different_objects(server: FaultyServer, cache: CacheManager) -> None:
    keys = [*HARD_KEYS, "a.json", "a.JSON", "a", "a/", "a//", "/a", "e\u0301", "\u00e9", "k" * 1_023]
    for key in keys:
        server.put(f"box/{key}", key.encode())
    got = cache.get_many([f"s3://box/{key}" for key in keys])
    assert [each.path.read_bytes().decode() for each in got] == keys
    assert len({each.path for each in got}) == len(keys)


def test_hard_keys_are_signed_rightly(server: FaultyServer, make: MakeCache) -> None:
    """botocore signs the same request in the same way."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as BotocoreCredentials

    cache = make(credentials=lambda: KEYS)
    for key in HARD_KEYS:
        server.put(f"box/{key}", b"")
        server.forget()
        cache.get(f"s3://box/{key}")
        asked = server.asked[0]
        signed = asked.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        request = AWSRequest("GET", server.url + asked.target, headers={name: asked.headers[name] for name in signed})
        request.context["timestamp"] = asked.headers["x-amz-date"]
        auth = S3SigV4Auth(BotocoreCredentials(KEYS.access_key_id, KEYS.secret_access_key), "s3", "eu-west-2")
        text = auth.string_to_sign(request, auth.canonical_request(request))
        assert asked.headers["authorization"].endswith(auth.signature(text, request)), key


def test_two_endpoints_with_the_same_bucket_and_key_never_mix(
    server: FaultyServer, other: FaultyServer, make: MakeCache
) -> None:
    server.put("box/k", b"here", etag='"same"')
    other.put("box/k", b"there", etag='"same"')
    here, there = make(), make(endpoint_url=other.url)
    for _ in range(2):
        assert here.get_bytes(URI) == b"here"
        assert there.get_bytes(URI) == b"there"
    server.is_down = other.is_down = True
    assert here.get_bytes(URI, offline=True) == b"here"
    assert there.get_bytes(URI, offline=True) == b"there"


def test_two_accounts_do_not_share_what_each_may_read(server: FaultyServer, make: MakeCache) -> None:
    server.put("box/k", b"secret")
    mine, theirs, nobodys = make(credentials=lambda: KEYS), make(credentials=lambda: OTHERS), make()
    assert mine.get_bytes(URI) == b"secret"
    server.fail("box/k", Fault(status=403), times=None)
    for stranger in (theirs, nobodys):
        with pytest.raises(RefusedObject):
            stranger.get(URI)
        with pytest.raises(NotCached):
            stranger.get(URI, offline=True)
        with pytest.raises(RefusedObject):
            stranger.get(URI, max_age=3_600)
        with pytest.raises(RefusedObject):
            stranger.get(URI, stale_if_error=True)
    assert mine.get_bytes(URI, offline=True) == b"secret"


def test_two_sessions_of_one_account_share(server: FaultyServer, make: MakeCache) -> None:
    server.put("box/k", b"x")
    make(credentials=lambda: Credentials("AKIAIOSFODNN7EXAMPLE", "a")).get(URI)
    again = make(credentials=lambda: Credentials("ASIAIOSFODNN7EXAMPLE", "b", "token")).get(URI)
    assert again.downloaded in (True, False)  # what an old id says of its account is nothing
    ids = ("ASIAQNZGKIQY56JQ7WML", "AKIAQNZGKIQY5EXAMPLE"[:20])
    server.put("box/n", b"x")
    for index, each in enumerate(ids):
        got = make(credentials=lambda each=each: Credentials(each, "s")).get("s3://box/n")
        assert got.downloaded == (index == 0)


def test_a_bucket_on_the_web_is_another_thing_than_the_bucket_in_s3(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/k", b"x")
    assert cache.get(URI).path != cache.get(f"{server.url}/box/k").path


def test_a_slash_is_not_moved_from_bucket_to_key(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/c/k", b"one")
    server.put("box/c//k", b"two")
    assert cache.get_bytes("s3://box/c/k") == b"one"
    assert cache.get_bytes("s3://box/c//k") == b"two"


def test_presigned_urls_of_one_object_are_one_entry(server: FaultyServer, cache: CacheManager) -> None:
    """Their signatures differ each time, and are not kept."""
    server.put("box/k", b"x")
    credential = "AKIAQNZGKIQY56JQ7WML%2F20261121%2Feu-west-2%2Fs3%2Faws4_request"
    signed = f"{server.url}/box/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Signature="
    first = cache.get(signed + "0123abcd")
    assert cache.get(signed + "4567efff").path == first.path
    assert server.statuses("box/k") == [200, 304]

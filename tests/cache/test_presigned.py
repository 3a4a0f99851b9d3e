"""Objects by the URLs of `POST /presign`: who has no credentials, and no list of places, reads them too."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.world import World
from nearside.cache import CacheManager
from nearside.caching.errors import MissingObject, RefusedObject, UnreachableObject
from tests.cache.conftest import MakeCache
from tests.cache.faulty_server import Fault, FaultyServer, serving
from tests.cache.looking import sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URI = "s3://any/blob.bin"
NEAR, FAR = "near/blob.bin", "far/blob.bin"
BODY = random.Random(4).randbytes(300_000)


class Api:
    """A small `POST /presign` and `GET /health`. `order` is where it sends people to."""

    def __init__(self, server: FaultyServer, places: dict[str, str]) -> None:
        self.url = f"{server.url}/presign"
        self.server = server
        self.places = places
        self.order = list(places)
        self.expires_in = 3_600.0
        self.status = 200
        self.asked: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        server.routes["POST", "presign"] = self._presign
        server.routes["GET", "health"] = lambda *_: (
            200,
            json.dumps({"status": "healthy", "places": dict.fromkeys(places, "up")}).encode(),
        )

    def _presign(self, target: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        asked = json.loads(body)
        self.asked.append(asked)
        self.tokens.append(headers.get("authorization", ""))
        if self.status != 200:
            return self.status, json.dumps({"error": "NoSuchKey", "message": "it is nowhere"}).encode()
        route = asked.get("place") or self.order[0]
        ends = datetime.now(UTC) + timedelta(seconds=self.expires_in)
        answer = {
            "key": asked["key"],
            "url": f"{self.places[route]}/{asked['key']}?X-Amz-Signature={len(self.asked):064x}",
            "method": "GET",
            "headers": {},
            "expires_at": ends.isoformat().replace("+00:00", "Z"),
            "route": route,
            "reason": "it has it",
        }
        return 200, json.dumps(answer).encode()


@pytest.fixture
def api(server: FaultyServer, other: FaultyServer) -> Iterator[Api]:
    with serving() as front:
        yield Api(front, {"eu-west-2": f"{server.url}/near", "us-east-2": f"{other.url}/far"})


@pytest.fixture
def cache(make: MakeCache, api: Api) -> CacheManager:
    return make(presign=api.url, presign_headers=lambda: {"Authorization": "Bearer let-me-in"})


@pytest.fixture(autouse=True)
def both(server: FaultyServer, other: FaultyServer) -> None:
    """The same version in both places."""
    stored = server.put(NEAR, BODY, version_id="v1")
    other.put(FAR, BODY, version_id="v1", modified=stored.modified)


def test_an_object_is_read_by_a_presigned_url(server: FaultyServer, cache: CacheManager, api: Api) -> None:
    got = cache.get(URI)
    assert (sha256(got.path.read_bytes()), got.source) == (sha256(BODY), "s3")
    assert api.asked == [{"key": "blob.bin", "method": "GET"}]
    assert "authorization" not in server.asked[0].headers, "what authorizes at the API is not shown to the place"


def test_one_url_is_used_again_while_it_lasts(server: FaultyServer, cache: CacheManager, api: Api) -> None:
    for _ in range(3):
        cache.get(URI)
    assert len(api.asked) == 1
    assert server.statuses(NEAR) == [200, 304, 304]


def test_a_url_that_is_about_to_end_is_not_used_again(cache: CacheManager, api: Api) -> None:
    api.expires_in = 30
    cache.get(URI)
    cache.get(URI)
    assert len(api.asked) == 2


def test_the_caller_is_authorized_at_the_api(make: MakeCache, api: Api) -> None:
    make(presign=api.url, presign_headers=lambda: {"Authorization": "Bearer x"}).get(URI)
    assert api.tokens == ["Bearer x"]


def test_a_version_is_asked_for_by_its_id(cache: CacheManager, api: Api) -> None:
    cache.get(URI, version_id="v1")
    assert api.asked[0]["version_id"] == "v1"


def test_a_url_that_the_place_refuses_is_asked_for_again(server: FaultyServer, cache: CacheManager, api: Api) -> None:
    """The session that signed it ended before its time."""
    cache.get(URI)
    server.fail(NEAR, Fault(status=403, code="ExpiredToken"))
    assert not cache.get(URI).downloaded
    assert len(api.asked) == 2


def test_a_refusal_of_every_url_is_a_refusal(server: FaultyServer, cache: CacheManager) -> None:
    server.fail(NEAR, Fault(status=403), times=None)
    with pytest.raises(RefusedObject):
        cache.get(URI)


def test_another_place_is_asked_for_when_one_fails(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, api: Api
) -> None:
    server.is_down = True
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    assert {"key": "blob.bin", "method": "GET", "place": "us-east-2"} in api.asked


def test_a_download_goes_on_in_another_place(server: FaultyServer, other: FaultyServer, cache: CacheManager) -> None:
    def fall() -> None:
        server.is_down = True

    server.fail(NEAR, Fault(cut_after=100_000, after=fall))
    assert sha256(cache.get_bytes(URI)) == sha256(BODY)
    assert [each.range.removesuffix("299999") for each in other.about(FAR)] == ["bytes=100000-"]


def test_the_api_says_what_is_missing(cache: CacheManager, api: Api) -> None:
    api.status = 404
    with pytest.raises(FileNotFoundError) as missing:
        cache.get(URI)
    assert isinstance(missing.value, MissingObject)


@pytest.mark.parametrize(("status", "error"), [(401, RefusedObject), (403, RefusedObject), (500, UnreachableObject)])
def test_the_api_may_refuse_or_fail(cache: CacheManager, api: Api, status: int, error: type[Exception]) -> None:
    api.status = status
    with pytest.raises(error):
        cache.get(URI)


def test_an_entry_is_served_when_the_api_cannot_be_reached(make: MakeCache, api: Api) -> None:
    make(presign=api.url).get(URI)
    api.server.is_down = True
    assert make(presign=api.url, stale_if_error=True).get(URI).stale
    with pytest.raises(UnreachableObject):
        make(presign=api.url).get(URI)


def test_hard_keys_go_to_the_api_as_they_are(cache: CacheManager, api: Api, server: FaultyServer) -> None:
    api.status = 404
    for key in ("a?b#c%20d", "//x//", "ü/\n"):
        with pytest.raises(FileNotFoundError):
            cache.get(f"s3://any/{key}")
        assert api.asked[-1]["key"] == key


@pytest.mark.usefixtures("unheard")
def test_the_real_api_leads_to_the_object(world: World, eu: "S3Client", make: MakeCache) -> None:
    """`POST /presign` of the local world, whose MRAP checks the signatures."""
    bucket = world.buckets["eu-west-2"]
    for key in ("cache/ü a+b.bin", "cache/a?b#c"):
        eu.put_object(Bucket=bucket, Key=key, Body=BODY)
        with make(presign=f"{world.api_url}/presign") as cache:
            got = cache.get(f"s3://{bucket}/{key}")
            assert sha256(got.path.read_bytes()) == sha256(BODY)
            assert not cache.get(f"s3://{bucket}/{key}").downloaded
            with pytest.raises(FileNotFoundError):
                cache.get(f"s3://{bucket}/{key}-none")


def test_places_of_the_world_are_read_directly(world: World, eu: "S3Client", make: MakeCache) -> None:
    """Signed requests to two emulated regions, one of which is then switched off."""
    from nearside.places import Place
    from nearside.signing import Credentials

    keys = Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)
    key = "cache/ü a+b?c#d//e.bin"
    eu.put_object(Bucket=world.buckets["eu-west-2"], Key=key, Body=BODY)
    world.settle()
    places = [Place(region, world.buckets[region], world.place_urls[region]) for region in ("eu-west-2", "us-east-2")]
    cache = make(places=places, credentials=lambda: keys)
    uri = f"s3://{world.buckets['eu-west-2']}/{key}"
    assert sha256(cache.get_bytes(uri)) == sha256(BODY)
    world.faults.switch("eu-west-2", on=False)
    assert not cache.get(uri).downloaded, "the other region's replica is the same version"


def test_the_worlds_mrap_is_read_by_its_arn(world: World, eu: "S3Client", make: MakeCache) -> None:
    from nearside.signing import Credentials

    keys = Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)
    key = "cache/ü a+b?c#d//e.mrap"
    eu.put_object(Bucket=world.buckets["eu-west-2"], Key=key, Body=BODY)
    world.settle()
    cache = make(mrap_endpoint=world.mrap_url, credentials=lambda: keys, endpoint_url=None)
    uri = f"s3://{world.mrap_arn}/{key}"
    assert sha256(cache.get_bytes(uri)) == sha256(BODY)
    assert not cache.get(uri).downloaded

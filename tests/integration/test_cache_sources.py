"""The cache's sources in the world: regions and an MRAP that verify signatures, and the API that presigns."""

from collections.abc import Sequence
from datetime import timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from local.identities import WORLD
from local.world import World
from nearside.adapters.cache_boto3 import ClientObjects
from nearside.adapters.cache_presign import PresignedPlaces
from nearside.adapters.cache_s3 import S3Places
from nearside.caching.errors import MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import Answer, FindsSources, Source, Wanted
from nearside.places import Place
from nearside.signing import Credentials
from nearside.uri import S3Object
from tests.unit.loopback import Asked, Told, serving

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")

EU, US = "eu-west-2", "us-east-2"
MRAP = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
HARD = [
    "a//b", "?x#y", "../x", "a/./b/../c", "/lead", "//x:y@[z", "ü/日本 語", "sp ace +plus", "100%", "%2F", "%zz",
    "tab\there", "~!*'()", "a&b=c;d", ".", "trailing/",
]  # fmt: skip


def known() -> Credentials:
    return Credentials(WORLD.access_key_id, WORLD.secret_access_key)


def s3(world: World, region: str = EU, **more: Any) -> S3Places:
    """Signed requests to the world's region and its MRAP."""
    given = {"region": region, "endpoint": world.place_urls[region], "mrap_endpoint": world.mrap_url, **more}
    return S3Places(given.pop("credentials", known), **given)


def both(world: World) -> S3Places:
    """Signed requests to both regions in turn."""
    places = [Place(region, world.buckets[region], world.place_urls[region]) for region in (EU, US)]
    return S3Places(known, region=EU, places=places)


def sources(finder: FindsSources, bucket: str, key: str, version: str = "") -> Sequence[Source]:
    return finder.sources(S3Object(bucket, key, version))


def body_of(answer: Answer) -> bytes:
    view = memoryview(bytearray(1000))
    found = bytearray()
    while size := answer.read_into(view):
        found += view[:size]
    answer.close()
    return bytes(found)


@pytest.fixture
def prefix() -> str:
    """Keys of this test's own begin with it."""
    return f"h{uuid4().hex}"


def test_every_way_reads_every_key(world: World, eu: "S3Client") -> None:
    mine = uuid4().hex
    for key in HARD:
        eu.put_object(Bucket=world.buckets[EU], Key=key, Body=(mine + key).encode())
    world.settle()
    ways: list[tuple[FindsSources, str]] = [
        (s3(world), world.buckets[EU]),
        (s3(world, US), world.buckets[US]),
        (s3(world), MRAP),
        (both(world), world.buckets[EU]),
        (ClientObjects(eu), world.buckets[EU]),
    ]
    for key in HARD:
        for finder, bucket in ways:
            for source in sources(finder, bucket, key):
                assert body_of(source.open(Wanted())).decode() == mine + key


def forwarded(asked: Asked) -> Told:
    """What a proxy answers: it asks for what stands behind the host, as it stands."""
    host = urlsplit(asked.target).netloc
    connection = HTTPConnection(host, timeout=30)
    connection.putrequest("GET", asked.target.removeprefix(f"http://{host}"), skip_host=True, skip_accept_encoding=True)
    for name, value in asked.headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    told = Told(answer.status, {"etag": answer.headers["etag"] or ""}, answer.read())
    connection.close()
    return told


def test_a_proxy_reads_every_key_too(world: World, eu: "S3Client", monkeypatch: pytest.MonkeyPatch) -> None:
    mine = uuid4().hex
    for key in HARD:
        eu.put_object(Bucket=world.buckets[EU], Key=key, Body=(mine + key).encode())
    with serving(forwarded) as proxy:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url)
        for key in HARD:
            [source] = sources(s3(world), world.buckets[EU], key)
            assert body_of(source.open(Wanted())).decode() == mine + key
    assert len(proxy.asked) == len(HARD)


@pytest.mark.parametrize("way", ["place", "mrap", "client"])
def test_conditions_and_ranges(world: World, eu: "S3Client", prefix: str, way: str) -> None:
    etag = eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"hello")["ETag"]
    finder: FindsSources = ClientObjects(eu) if way == "client" else s3(world)
    [source] = sources(finder, MRAP if way == "mrap" else world.buckets[EU], prefix)
    whole = source.open(Wanted())
    assert (whole.status, whole.headers["etag"], body_of(whole)) == (200, etag, b"hello")
    assert "x-amz-checksum-crc32" in whole.headers
    part = source.open(Wanted(1, 3, if_match=etag))
    assert (part.status, part.headers["content-range"], body_of(part)) == (206, "bytes 1-2/5", b"el")
    for wanted, status in ((Wanted(if_none_match=etag), 304), (Wanted(if_match='"x"'), 412), (Wanted(start=9), 416)):
        answer = source.open(wanted)
        assert answer.status == status
        answer.close()
    later = whole.headers["last-modified"]
    assert source.open(Wanted(if_modified_since=later)).status == 304


def test_versions(world: World, eu: "S3Client", prefix: str) -> None:
    first = eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"one")["VersionId"]
    eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"two")
    [source] = sources(s3(world), world.buckets[EU], prefix, first)
    assert body_of(source.open(Wanted())) == b"one"
    with pytest.raises(MissingObject, match="NoSuchVersion"):
        sources(s3(world), world.buckets[EU], prefix, str(uuid4()))[0].open(Wanted())


@pytest.mark.parametrize("bucket", ["the place's", MRAP, "there-is-no-such-bucket"])
def test_missing(world: World, prefix: str, bucket: str) -> None:
    bucket = world.buckets[EU] if bucket == "the place's" else bucket
    with pytest.raises(MissingObject, match=prefix):
        sources(s3(world), bucket, prefix)[0].open(Wanted())


@pytest.mark.parametrize("bucket", ["the place's", MRAP])
@pytest.mark.parametrize(
    "credentials",
    [
        None,
        lambda: Credentials(WORLD.access_key_id, "another-secret-of-ours"),
        lambda: Credentials("AKIAIOSFODNN7EXAMPLE", "another-secret-of-ours", "a-token-of-ours"),
    ],
    ids=["anonymous", "wrong secret", "unknown key"],
)
def test_refused(world: World, eu: "S3Client", prefix: str, bucket: str, credentials: Any) -> None:
    bucket = world.buckets[EU] if bucket == "the place's" else bucket
    eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"hello")
    with pytest.raises(RefusedObject, match=prefix) as caught:
        sources(s3(world, credentials=credentials), bucket, prefix)[0].open(Wanted())
    assert "of-ours" not in str(caught.value)


@pytest.mark.parametrize("bucket", ["the place's", MRAP])
def test_sessions(world: World, eu: "S3Client", prefix: str, bucket: str) -> None:
    bucket = world.buckets[EU] if bucket == "the place's" else bucket
    eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"hello")
    for lifetime, is_over in ((timedelta(hours=1), False), (timedelta(hours=-1), True)):
        session = world.identities.issue(lifetime)
        held = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
        [source] = sources(s3(world, credentials=lambda held=held: held), bucket, prefix)
        if is_over:
            with pytest.raises(RefusedObject) as caught:
                source.open(Wanted())
            assert session.session_token not in str(caught.value)
        else:
            assert body_of(source.open(Wanted())) == b"hello"


def test_a_bucket_of_another_region_is_found(world: World, eu: "S3Client", prefix: str) -> None:
    eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"hello")
    there = s3(world, US)
    wrong = s3(world, US, endpoint=world.place_urls[EU])
    for _ in range(2):
        assert body_of(sources(there, world.buckets[EU], prefix)[0].open(Wanted())) == b"hello"
        assert body_of(sources(wrong, world.buckets[EU], prefix)[0].open(Wanted())) == b"hello"


def test_a_place_that_is_away_says_nothing_of_the_object(world: World, eu: "S3Client", prefix: str) -> None:
    eu.put_object(Bucket=world.buckets[EU], Key=prefix, Body=b"hello")
    world.settle()
    world.switch(EU, on=False)
    first, second = sources(both(world), world.buckets[EU], prefix)
    with pytest.raises(UnreachableObject):
        first.open(Wanted())
    assert body_of(second.open(Wanted())) == b"hello"
    assert body_of(sources(s3(world), MRAP, prefix)[0].open(Wanted())) == b"hello"


def test_the_api_presigns(world: World, eu: "S3Client") -> None:
    mine = uuid4().hex
    keys = [f"{mine}/{key}" for key in HARD]
    for key in keys:
        eu.put_object(Bucket=world.buckets[EU], Key=key, Body=key.encode())
    world.settle()
    places = PresignedPlaces(f"{world.api_url}/presign")
    for key in keys:
        assert body_of(sources(places, "any", key)[0].open(Wanted())).decode() == key
    with pytest.raises(MissingObject, match="there-is-none"):
        sources(places, "any", f"{mine}/there-is-none")[0].open(Wanted())
    for place in (EU, US):
        world.switch(place, on=False)
        assert body_of(sources(places, "any", keys[0])[0].open(Wanted(if_match=""))).decode() == keys[0]
        world.heal()

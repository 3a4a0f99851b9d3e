"""One place's S3, against servers that are not the same program: the world's AWS, rclone, and a B2 as it was."""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import urllib3

from local.providers import PROVIDERS
from local.world import World
from nearside.adapters.place_requests import PlaceRequests, header_value
from nearside.adapters.place_store import PlaceStore
from nearside.errors import Missing, MissingBucket, NearsideError, Refused, Unreachable
from nearside.gateway.backends import Backend
from nearside.gateway.errors import BucketNotEmpty, InvalidBucketName
from nearside.gateway.records import Copy, Generation
from nearside.signing import Credentials
from tests.integration.catalog_table import dynamodb
from tests.unit.loopback import Asked, Told, closed_port, serving

BODY = bytes(range(256)) * 40
KEYS = ["a b/ü+#?%20(1)'*.txt", "deep/er/[x]{y}", "=&;$!~,@:", "emoji-\U0001f600", "a\\b|c<d>"]
ANY_KEYS = [*KEYS, "//leading", "a//b", "a/../b", "./c", "d/", "tab\tand"]

type MakeStore = Callable[..., PlaceStore]


def generation(body: bytes = BODY, name: str = "g1", headers: Mapping[str, str] | None = None) -> Generation:
    return Generation(
        id=name,
        made=1,
        size=len(body),
        etag=hashlib.md5(body).hexdigest(),
        sha256=hashlib.sha256(body).hexdigest(),
        headers=headers or {"content-type": "text/plain", "x-amz-meta-colour": "red"},
    )


def store_at(url: str, provider: Any = "other", pair: Credentials | None = None, **more: Any) -> PlaceStore:
    """A store at this address."""
    backend = Backend(name="place", provider=provider, zone_code="z", region="eu-west-2", endpoint_url=url)
    backend = msgspec.structs.replace(backend, **more)
    return PlaceStore(PlaceRequests(backend, lambda: pair or Credentials("AKID", "secret")))


@pytest.fixture(scope="module")
def stores(world: World) -> Iterator[dict[str, PlaceStore]]:
    """The world's places by provider, and moto's own server, of which nothing is known."""
    of_the_world = {
        each.kind: store_at(
            world.provider_urls[each.name],
            each.kind,
            Credentials(each.identity.access_key_id, each.identity.secret_access_key),
            name=each.name,
            region=each.region,
            bucket=each.bucket,
        )
        for each in PROVIDERS
    }
    with dynamodb() as moto:
        yield {**of_the_world, "other": store_at(moto, name="moto")}


@pytest.fixture(params=["aws", "rclone", "b2", "other"])
def store(request: pytest.FixtureRequest, stores: dict[str, PlaceStore]) -> PlaceStore:
    """Each of them."""
    return stores[request.param]


@pytest.fixture
def bucket(store: PlaceStore) -> Iterator[str]:
    """A bucket that the store has just made."""
    name = f"b-{secrets.token_hex(6)}"
    store.make_bucket(name)
    yield name
    for each in store.listing(name, "", "", 1000)[0] if store.has_bucket(name) else ():
        store.delete(name, each.key)
    store.remove_bucket(name)
    assert not store.has_bucket(name)


def has_versions(store: PlaceStore) -> bool:
    return store._ask.facts.versions is not False


def keys_of(store: PlaceStore) -> list[str]:
    return KEYS if store._ask.facts.any_key is False else ANY_KEYS


def test_what_was_put_is_there_with_its_headers_and_mark(store: PlaceStore, bucket: str) -> None:
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "cache-control": "max-age=60",
        "content-disposition": 'attachment; filename="a b.txt"',
        "content-encoding": "gzip",
        "content-language": "de",
        "x-amz-meta-colour": "red  and blue",
    }
    for key in keys_of(store):
        stored = store.put(bucket, key, BODY, generation(headers=headers))
        assert stored.etag == hashlib.md5(BODY).hexdigest()
        assert (stored.version is not None) == has_versions(store)
        seen = store.head(bucket, key, stored.version)
        assert seen is not None
        assert (seen.size, seen.etag, seen.version, seen.generation) == (len(BODY), stored.etag, stored.version, "g1")
        assert seen.modified > 1_600_000_000
        kept = {"content-type", "x-amz-meta-colour"} if store._ask.facts.any_key is False else set(headers)
        assert {name: seen.headers.get(name) for name in kept} == {name: headers[name] for name in kept}
        assert store.whole(bucket, key, stored.version) == (BODY, stored.etag), "as it is, gzip or not"
        assert store.get(bucket, key, stored.version, 10, 19) == (BODY[10:20], stored.etag)
        assert store.get(bucket, key, None, 0, len(BODY) - 1) == (BODY, stored.etag)
    found, more = store.listing(bucket, "", "", 1000)
    assert (sorted(each.key for each in found), more) == (sorted(keys_of(store)), False)


def test_an_empty_body_and_a_large_one(store: PlaceStore, bucket: str) -> None:
    store.put(bucket, "empty", b"", generation(b""))
    assert store.whole(bucket, "empty", None)[0] == b""
    large = secrets.token_bytes(3_000_000)
    store.put(bucket, "large", large, generation(large))
    assert store.whole(bucket, "large", None)[0] == large


def test_a_body_that_is_not_what_was_announced_is_refused(store: PlaceStore, bucket: str) -> None:
    if store._ask.name == "moto":
        pytest.skip("moto alone checks no bodies")
    with pytest.raises(NearsideError):
        store.put(bucket, "k", b"x" * len(BODY), generation())
    assert store.head(bucket, "k") is None


def test_of_a_generation_of_another_size_only_the_headers_are_taken(store: PlaceStore, bucket: str) -> None:
    store.put(bucket, ".nearside/parts/u/1", b"part", generation())
    assert store.whole(bucket, ".nearside/parts/u/1", None)[0] == b"part"


def test_nothing_is_missing_and_a_missing_bucket_says_so(store: PlaceStore, bucket: str) -> None:
    assert store.head(bucket, "nope") is None
    with pytest.raises(Missing) as missing:
        store.whole(bucket, "nope", None)
    assert missing.type is Missing
    with pytest.raises(Missing) as missing:
        store.get(bucket, "nope", None, 0, 1)
    assert missing.type is Missing
    store.delete(bucket, "nope")
    with pytest.raises(MissingBucket):
        store.whole(f"{bucket}-x", "nope", None)
    with pytest.raises(MissingBucket):
        store.put(f"{bucket}-x", "nope", BODY, generation())
    with pytest.raises(MissingBucket):
        store.listing(f"{bucket}-x", "", "", 10)
    assert not store.has_bucket(f"{bucket}-x")
    store.remove_bucket(f"{bucket}-x")


def test_a_deleted_object_is_not_there_and_its_old_version_is(store: PlaceStore, bucket: str) -> None:
    old = store.put(bucket, "k", b"old", generation(b"old", "g1"))
    new = store.put(bucket, "k", b"new", generation(b"new", "g2"))
    assert store.whole(bucket, "k", None)[0] == b"new"
    if has_versions(store):
        assert store.whole(bucket, "k", old.version) == (b"old", old.etag)
        store.delete(bucket, "k", new.version)
        assert store.whole(bucket, "k", None)[0] == b"old"
    store.delete(bucket, "k")
    assert store.head(bucket, "k") is None
    with pytest.raises(Missing):
        store.whole(bucket, "k", None)
    if has_versions(store):
        assert store.head(bucket, "k", old.version) is not None
        store.delete(bucket, "k", old.version)
        assert store.head(bucket, "k", old.version) is None
        with pytest.raises(Missing):
            store.whole(bucket, "k", old.version)


def test_a_copy_has_its_own_headers_and_only_of_what_was_meant(store: PlaceStore, bucket: str) -> None:
    key = keys_of(store)[0]
    source = store.put(bucket, key, BODY, generation())
    copy = Copy(state="COMPLETED", version=source.version, etag=source.etag)
    new = generation(BODY, "g2", {"content-type": "image/png"})
    stored = store.copy(bucket, "copy/ü", (bucket, key, copy), new)
    assert stored.etag == source.etag
    seen = store.head(bucket, "copy/ü", stored.version)
    assert seen is not None
    assert (seen.generation, seen.headers["content-type"]) == ("g2", "image/png")
    assert ("x-amz-meta-colour" in seen.headers) == ("metadata" in store._ask.facts.notes.get("copy", ""))
    with pytest.raises(Missing):
        store.copy(bucket, "other", (bucket, "nope", copy), new)


def test_a_source_that_was_written_over_is_not_copied(stores: dict[str, PlaceStore]) -> None:
    store, bucket = stores["rclone"], f"b-{secrets.token_hex(6)}"
    store.make_bucket(bucket)
    source = store.put(bucket, "k", BODY, generation())
    store.put(bucket, "k", b"other", generation(b"other"))
    with pytest.raises(Missing):
        store.copy(bucket, "k2", (bucket, "k", Copy(version=None, etag=source.etag)), generation())
    for key in ("k", "k2"):
        store.delete(bucket, key)
    store.remove_bucket(bucket)


def test_an_object_is_made_of_parts(store: PlaceStore, bucket: str) -> None:
    parts = [secrets.token_bytes(5 * 1024**2), b"end"]
    upload_id = store.begin(bucket, "big", generation(b"", "g7", {"x-amz-meta-a": "b"}))
    etags = [store.part(bucket, "big", upload_id, number, body) for number, body in enumerate(parts, 1)]
    expected = {1: (etags[0], 5 * 1024**2), 2: (etags[1], 3)}
    assert store.parts(bucket, "big", upload_id) == ({} if store._ask.facts.list_parts is False else expected)
    stored = store.complete(bucket, "big", upload_id, etags)
    seen = store.head(bucket, "big", stored.version)
    assert seen is not None
    assert (seen.size, seen.etag, seen.generation, seen.headers["x-amz-meta-a"]) == (
        5 * 1024**2 + 3,
        stored.etag,
        "g7",
        "b",
    )
    data, etag = store.get(bucket, "big", stored.version, 5 * 1024**2 - 2, 5 * 1024**2 + 2)
    assert (data, etag) == (parts[0][-2:] + b"end", stored.etag)
    if store._ask.facts.steady_etags is not False:
        assert store.complete(bucket, "big", upload_id, etags) == stored, "an answer that was lost is told again"
    store.abort(bucket, "big", upload_id)


def test_an_aborted_upload_is_not_there(store: PlaceStore, bucket: str) -> None:
    upload_id = store.begin(bucket, "k", generation())
    store.part(bucket, "k", upload_id, 1, b"x")
    store.abort(bucket, "k", upload_id)
    store.abort(bucket, "k", upload_id)
    if store._ask.facts.list_parts is not False:
        with pytest.raises(Missing):
            store.parts(bucket, "k", upload_id)
    with pytest.raises(NearsideError):
        store.part(bucket, "k", upload_id, 2, b"y")
    assert store.head(bucket, "k") is None


def test_a_listing_goes_on_where_it_stopped(store: PlaceStore, bucket: str) -> None:
    keys = sorted(f"{folder}/{number}" for folder in ("a", "b+ ü") for number in range(3))
    for key in keys:
        store.put(bucket, key, b"x", generation(b"x"))
    found: list[str] = []
    more = True
    while more:
        page, more = store.listing(bucket, "", found[-1] if found else "", 4)
        assert 0 < len(page) <= 4
        found += [each.key for each in page]
    assert found == keys
    [only], more = store.listing(bucket, "b", "b+ ü/1", 5)
    assert (only.key, only.size, only.etag, more) == ("b+ ü/2", 1, hashlib.md5(b"x").hexdigest(), False)
    assert only.modified > 1_600_000_000


def test_a_presigned_url_opens_the_object(store: PlaceStore, bucket: str) -> None:
    stored = store.put(bucket, "a ü", BODY, generation())
    url = store.presign(bucket, "a ü", stored.version, 60, {"response-content-type": "image/png"})
    answer = urllib3.request("GET", url, retries=False)
    assert (answer.status, answer.data) == (200, BODY)
    if store._ask.facts.any_key is not False:
        assert answer.headers["content-type"] == "image/png"
    if store._ask.name != "moto":  # which checks no signatures
        other = url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")
        assert urllib3.request("GET", other, retries=False).status == 403


def test_a_bucket_is_made_once_and_removed_when_it_is_empty(store: PlaceStore) -> None:
    bucket = f"b-{secrets.token_hex(6)}"
    store.make_bucket(bucket)
    store.make_bucket(bucket)
    assert store.has_bucket(bucket)
    for key in ("k", "k", "gone"):
        store.put(bucket, key, b"x", generation(b"x"))
    store.delete(bucket, "gone")
    store.put(bucket, ".nearside/parts/u/00001-x", b"x", generation(b"x"))
    with pytest.raises(BucketNotEmpty, match=f"{bucket} is not empty in "):
        store.remove_bucket(bucket)
    assert store.head(bucket, ".nearside/parts/u/00001-x") is not None, "nothing was touched"
    store.delete(bucket, "k")
    store.begin(bucket, "never finished", generation())
    store.remove_bucket(bucket)
    assert not store.has_bucket(bucket)


def test_metadata_that_is_not_ascii_is_kept(store: PlaceStore, bucket: str) -> None:
    store.put(bucket, "k", b"x", generation(b"x", headers={"x-amz-meta-name": "Zürich \U0001f600"}))
    seen = store.head(bucket, "k")
    assert seen is not None
    assert seen.headers["x-amz-meta-name"] == "=?utf-8?b?WsO8cmljaCDwn5iA?="


def test_a_wrong_secret_is_refused_and_says_nothing_of_it(world: World) -> None:
    for each in PROVIDERS:
        pair = Credentials(each.identity.access_key_id, "wrong-secret")
        store = store_at(world.provider_urls[each.name], each.kind, pair, region=each.region)
        with pytest.raises(Refused) as refused:
            store.put("any-bucket", "k", b"x", generation(b"x"))
        assert "wrong-secret" not in str(refused.value)
        assert "Signature=" not in str(refused.value)
        with pytest.raises(Refused):
            store.head("any-bucket", "k")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("plain, with ~ and =?", "plain, with ~ and =?"),
        ("ü", "=?utf-8?b?w7w=?="),
        ("\xc3\xbc", "=?utf-8?b?w7w=?="),
        ("\U0001f600" * 60, "=?utf-8?b?" + "8J+YgPCfmIDwn5iA" * 20 + "?="),
    ],
    ids=["ascii", "text", "UTF-8 as Latin-1", "long"],
)
def test_a_header_value_is_ascii(value: str, sent: str) -> None:
    assert header_value(value) == sent


# What no server of the world does.

OBJECT = {"etag": '"e1"', "x-amz-version-id": "v1", "last-modified": "Fri, 20 Nov 2026 12:00:00 GMT"}


def told(answer: Told | Callable[[Asked], Told], act: Callable[[PlaceStore], Any], provider: str = "other") -> Any:
    """What `act` gets of a place that answers so."""
    with serving(answer if callable(answer) else lambda _: answer) as server:
        return act(store_at(server.url, provider))


def error(code: str, status: int, **headers: str) -> Told:
    return Told(status, headers, f"<Error><Code>{code}</Code><Message>secret words</Message></Error>".encode())


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error("SlowDown", 503), Unreachable, "place answered SlowDown"),
        (error("TooManyRequests", 429), Unreachable, "place answered TooManyRequests"),
        (error("InternalError", 500), Unreachable, "place answered InternalError"),
        (Told(502, body=b"<html>"), Unreachable, "place answered 502"),
        (error("AccessDenied", 403), Refused, "place answered AccessDenied"),
        (error("NoSuchKey", 404), Missing, "place answered NoSuchKey"),
        (error("NoSuchBucket", 404), MissingBucket, "place answered NoSuchBucket"),
        (
            error("PermanentRedirect", 301, **{"x-amz-bucket-region": "us-west-1", "location": "http://127.0.0.1:9/"}),
            Unreachable,
            r"place answered PermanentRedirect \(the bucket is in us-west-1\)",
        ),
        (Told(drop=True), Unreachable, "place cannot be reached: the connection was cut"),
        (Told(body=BODY, headers=OBJECT), Unreachable, "gave 10 bytes of 20000"),
        (Told(206, {**OBJECT, "content-range": "bytes 0-3/9"}, b"1234"), Unreachable, "gave other bytes than 5 to"),
        (Told(405, {"x-amz-delete-marker": "true"}), Missing, "delete marker"),
    ],
    ids=lambda value: "",
)
def test_answers_that_are_none(answer: Told, kind: type[NearsideError], words: str) -> None:
    if answer.body == BODY:
        answer = Told(answer.status, answer.headers, BODY[:15])
    with pytest.raises(kind, match=words) as raised:
        told(answer, lambda store: store.get("bucket", "key", None, 5, 20_004))
    assert issubclass(raised.type, Missing) == issubclass(kind, Missing)
    assert "secret words" not in str(raised.value)


@pytest.mark.parametrize("modified", ["", "yesterday", "99999-01-01T00:00:00Z"])
def test_a_listing_with_a_time_that_is_none_is_no_answer(modified: str) -> None:
    entry = f"<Contents><Key>a</Key><Size>1</Size><LastModified>{modified}</LastModified></Contents>"
    answer = Told(200, {}, f"<ListBucketResult>{entry}</ListBucketResult>".encode())
    with pytest.raises(Unreachable, match="for the time of an object"):
        told(answer, lambda store: store.listing("bucket", "", "", 10))


def test_a_head_with_a_time_that_is_none_is_no_answer() -> None:
    with pytest.raises(Unreachable, match="'yesterday' for the time of an object"):
        told(Told(200, {"last-modified": "yesterday"}), lambda store: store.head("bucket", "key"))


def test_a_body_that_is_cut_half_way_is_no_answer() -> None:
    import socket
    import threading

    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                asked.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 206 x\r\ncontent-range: bytes 0-9/10\r\ncontent-length: 10\r\n\r\n01234")
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        store = store_at(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unreachable, match="place cannot be reached: the connection was cut"):
            store.get("bucket", "key", None, 0, 9)
    assert len(asked) == 1, "an answer that began is not asked for again"


def test_a_connection_that_was_closed_meanwhile_is_asked_once_more() -> None:
    answers = iter([Told(headers=OBJECT), Told(drop=True), Told(headers=OBJECT), Told(drop=True), Told(drop=True)])

    def act(store: PlaceStore) -> None:
        for _ in range(2):
            assert store.put("bucket", "key", b"x", generation(b"x")).version == "v1"
        with pytest.raises(Unreachable, match="the connection was cut"):
            store.put("bucket", "key", b"x", generation(b"x"))

    told(lambda _: next(answers), act)


def test_a_closed_port_and_a_name_that_does_not_resolve() -> None:
    with closed_port() as url, pytest.raises(Unreachable, match="place cannot be reached: the connection was refused"):
        store_at(url).head("bucket", "key")
    with pytest.raises(Unreachable, match="its name does not resolve"):
        store_at("http://nowhere.internal").head("bucket", "key")


@pytest.mark.parametrize("code", ["InternalError", "NoSuchUpload"])
def test_a_200_that_holds_an_error_is_the_error(code: str) -> None:
    body = f"   \n<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
    answers = {"POST": Told(200, body=body), "PUT": Told(200, body=body), "HEAD": Told(404)}
    kind = Missing if code == "NoSuchUpload" else Unreachable
    with pytest.raises(kind, match=code):
        told(lambda asked: answers[asked.method], lambda store: store.complete("bucket", "key", "u", ["e" * 32]))
    source = ("other", "a", Copy(version="v 1", etag="e1"))
    with pytest.raises(NearsideError, match=code):
        told(lambda asked: answers[asked.method], lambda store: store.copy("bucket", "k", source, generation()))


def test_what_an_aws_bucket_is_asked_for() -> None:
    """Path style where an endpoint is given, the checks of a body, no checksum header, and the region of a bucket."""
    asked: list[Asked] = []

    def answer(request: Asked) -> Told:
        asked.append(request)
        return Told(headers=OBJECT)

    def act(store: PlaceStore) -> None:
        store.put("bucket", "a b", BODY, generation())
        store.make_bucket("bucket")
        store.head("bucket", "a b", "v+/1")

    told(answer, act, "aws")
    put, make, versioning, head = asked
    assert put.target == "/bucket/a%20b"
    assert put.headers["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()
    assert "content-md5" in put.headers["authorization"]
    assert not [name for name in put.headers if "checksum" in name or "sdk" in name or name == "expect"]
    assert b"<LocationConstraint>eu-west-2</LocationConstraint>" in make.body
    assert (versioning.target, b"Enabled" in versioning.body) == ("/bucket?versioning=", True)
    assert head.target == "/bucket/a%20b?versionId=v%2B%2F1"


def test_a_place_in_aws_is_addressed_by_its_host() -> None:
    backend = Backend(name="eu", provider="aws", zone_code="z", region="eu-west-2", bucket="acme-{bucket}")
    store = PlaceStore(PlaceRequests(backend, lambda: Credentials("AKID", "secret")))
    url = urlsplit(store.presign("photos", "a", None, 60, {}))
    assert (url.netloc, url.path) == ("acme-photos.s3.eu-west-2.amazonaws.com", "/a")
    with pytest.raises(InvalidBucketName, match=r"would be .acme-x+. in eu, which is no bucket.s name"):
        store.head("x" * 60, "a")


def test_versions_that_a_provider_does_not_have_are_not_believed() -> None:
    with serving(lambda _: Told(headers=OBJECT)) as server:
        store = store_at(server.url, "r2")
        assert store.put("bucket", "key", b"x", generation(b"x")).version is None
        store.head("bucket", "key", "v1")
        store.make_bucket("bucket")
    assert [asked.target for asked in server.asked] == ["/bucket/key", "/bucket/key", "/bucket"]


def test_a_provider_that_refuses_versions_has_none() -> None:
    def answer(asked: Asked) -> Told:
        return error("NotImplemented", 501) if "versioning" in asked.target else Told()

    told(answer, lambda store: store.make_bucket("bucket"))
    refused = error("AccessDenied", 403)
    with pytest.raises(Refused):
        told(lambda asked: refused if "versioning" in asked.target else Told(), lambda store: store.make_bucket("b-1"))


def test_somebody_elses_bucket_is_refused_and_ones_own_is_not() -> None:
    taken = error("BucketAlreadyExists", 409)
    with pytest.raises(Refused, match="it is not ours"):
        told(lambda asked: taken if asked.method == "PUT" else Told(403), lambda store: store.make_bucket("bucket"))
    told(
        lambda asked: taken if asked.method == "PUT" and "?" not in asked.target else Told(),
        lambda store: store.make_bucket("bucket"),
    )


def test_listings_of_a_provider_without_the_second_version(monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a+b</Key><Size>1</Size><ETag>e</ETag>"
        b"<LastModified>2026-11-20T12:00:00Z</LastModified></Contents></ListBucketResult>"
    )
    with serving(lambda _: Told(body=body)) as server:
        store = store_at(server.url)
        store._ask.facts = msgspec.structs.replace(store._ask.facts, list_v2=False)
        [only], more = store.listing("bucket", "p", "a", 5)
    assert (only.key, more) == ("a+b", True), "not encoded where it is not told to be"
    assert server.asked[0].target == "/bucket?encoding-type=url&marker=a&max-keys=5&prefix=p"

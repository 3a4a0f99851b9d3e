"""The cache's source that asks an API for URLs: when it asks, what it keeps, and where it goes when a place fails."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from nearside.adapters.cache_presign import PresignedPlaces
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import Answer, Wanted
from nearside.uri import S3Object, WebAddress
from tests.unit.loopback import Asked, Loopback, Told, serving
from tests.unit.test_cache_sources_http import raw

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


class Api:
    """An API of two places whose answers a test sets; `asked` is the bodies of what was presigned."""

    def __init__(self, stack: ExitStack) -> None:
        self.now = NOW
        self.lives_seconds = 3600.0
        self.at: dict[str, Callable[[Asked], Told]] = dict.fromkeys(("eu", "us"), self.has)
        self.nearest = "eu"
        self.fails: Told | None = None
        self.asked: list[Any] = []
        self.tokens: list[str] = []
        self.servers = {name: stack.enter_context(serving(self._place(name))) for name in self.at}
        self.urls = {name: server.url for name, server in self.servers.items()}
        self.api: Loopback = stack.enter_context(serving(self._answer))
        self.places = PresignedPlaces(f"{self.api.url}/stage/presign", self._headers, clock=lambda: self.now)

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer token-number-{len(self.asked)}"}

    def _place(self, name: str) -> Callable[[Asked], Told]:
        return lambda asked: self.at[name](asked)

    @staticmethod
    def has(asked: Asked) -> Told:
        return Told(200, {"ETag": '"x"'}, asked.target.encode())

    def _answer(self, asked: Asked) -> Told:
        if asked.target == "/stage/health":
            places = {"eu": "up", "us": "did not answer", "gateway/eu": "up"}
            return Told(200, body=json.dumps({"status": "degraded", "places": places}).encode())
        assert asked.target == "/stage/presign"
        body = json.loads(asked.body)
        self.asked.append(body)
        self.tokens.append(asked.headers["authorization"])
        if self.fails is not None:
            return self.fails
        route = body.get("place", self.nearest)
        end = datetime.fromtimestamp(self.now + self.lives_seconds, UTC)
        answer = {
            "key": body["key"],
            "url": f"{self.urls[route]}/a?X-Amz-Signature=0123456789-{len(self.asked)}",
            "method": "GET",
            "headers": {"x-signed": "yes"},
            "expires_at": end.isoformat().replace("+00:00", "Z"),
            "route": route,
            "reason": "nearest",
        }
        return Told(200, body=json.dumps(answer).encode())

    def get(self, wanted: Wanted | None = None, key: str = "a", version: str = "") -> Answer:
        """What the one source answers."""
        [source] = self.places.sources(S3Object("pics", key, version))
        return source.open(wanted or Wanted())


@pytest.fixture
def api() -> Iterator[Api]:
    """An API where all is well."""
    with ExitStack() as stack:
        yield Api(stack)


def body_of(answer: Answer) -> str:
    view = memoryview(bytearray(1000))
    size = answer.read_into(view)
    assert answer.read_into(view) == 0
    answer.close()
    return bytes(view[:size]).decode()


def away(asked: Asked) -> Told:
    return Told(503, {"Retry-After": "3"})


def missing(asked: Asked) -> Told:
    return Told(404)


def refused(asked: Asked) -> Told:
    return Told(403, body=b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")


def test_a_url_is_used_until_a_minute_before_its_end(api: Api) -> None:
    for seconds in (0, 1000, 2539):
        api.now = NOW + seconds
        assert body_of(api.get(Wanted(if_match='"x"'))).endswith("-1")
    api.now = NOW + 3541
    assert body_of(api.get()).endswith("-2")
    assert api.asked == [{"key": "a", "method": "GET"}] * 2
    assert api.tokens == ["Bearer token-number-0", "Bearer token-number-1"]
    first = api.servers["eu"].asked[0]
    assert (first.headers["x-signed"], first.headers["if-match"]) == ("yes", '"x"')
    assert "authorization" not in first.headers


def test_each_key_and_version_has_its_own(api: Api) -> None:
    for key, version in (("a", ""), ("a", "v1"), ("b?#", "v1"), ("a", "v1")):
        api.get(key=key, version=version).close()
    assert [(each["key"], each.get("version_id")) for each in api.asked] == [("a", None), ("a", "v1"), ("b?#", "v1")]


@pytest.mark.parametrize("fault", [away, missing])
def test_another_place_is_asked_when_one_fails(api: Api, fault: Callable[[Asked], Told]) -> None:
    api.at["eu"] = fault
    assert body_of(api.get()).endswith("-3")
    assert [each.get("place") for each in api.asked] == [None, None, "us"]
    assert body_of(api.get()).endswith("-3")  # it stays where it went
    assert len(api.servers["us"].asked) == 2


def test_another_route_is_taken_when_the_api_names_one(api: Api) -> None:
    def answer(asked: Asked) -> Told:
        api.nearest = "us"
        return Told(500)

    api.at["eu"] = answer
    assert body_of(api.get()).endswith("-2")
    assert [each.get("place") for each in api.asked] == [None, None]


def test_a_url_that_ended_is_asked_for_anew(api: Api) -> None:
    api.get().close()
    api.at["eu"] = lambda asked: refused(asked) if asked.target.endswith("-1") else Api.has(asked)
    assert body_of(api.get()).endswith("-2")


def test_a_new_url_that_is_refused_is_final(api: Api) -> None:
    api.at["eu"] = refused
    with pytest.raises(RefusedObject, match="expired"):
        api.get()
    assert len(api.asked) == 1


def test_when_every_place_fails_the_last_one_says_why(api: Api) -> None:
    api.at |= {"eu": away, "us": away}
    with pytest.raises(UnreachableObject, match="us answered 503") as caught:
        api.get()
    assert caught.value.retry_after == 3
    assert "0123456789" not in str(caught.value)


def test_a_place_that_cuts_a_body_is_left_for_the_rest(api: Api) -> None:
    with raw(lambda line: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello") as cutting:
        api.urls["eu"] = cutting.url
        answer = api.get()
        view = memoryview(bytearray(100))
        assert answer.read_into(view) == 5
        with pytest.raises(UnreachableObject):
            answer.read_into(view)
        answer.close()
        assert body_of(api.get(Wanted(5, if_match='"x"'))).endswith("-3")
    assert [each.get("place") for each in api.asked] == [None, None, "us"]
    assert api.servers["us"].asked[0].headers["range"] == "bytes=5-"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, MissingObject), (401, RefusedObject), (403, RefusedObject), (400, BadUri), (500, UnreachableObject)],
)
def test_what_the_api_says(api: Api, status: int, kind: type[Exception]) -> None:
    api.fails = Told(status, body=b'{"error": "NoSuchKey", "message": "y"}')
    with pytest.raises(kind, match="s3://pics/a") as caught:
        api.get()
    assert type(caught.value) is kind


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion", "NoSuchBucket"])
def test_the_api_says_that_it_is_nowhere(api: Api, code: str) -> None:
    api.fails = Told(404, body=json.dumps({"error": code, "message": "y"}).encode())
    with pytest.raises(MissingObject):
        api.get()


@pytest.mark.parametrize(
    "body",
    [b"", b'{"message":"Not Found"}', b"<html>", b'{"error": "x"}', b'{"error": 1}', b'"\xff"', b'{"error":"\xff"}'],
)
@pytest.mark.parametrize("status", [404, 410])
def test_an_address_that_is_not_the_apis_says_nothing_of_the_object(api: Api, status: int, body: bytes) -> None:
    api.fails = Told(status, body=body)
    with pytest.raises(UnreachableObject, match=rf"/stage/presign answered {status} for s3://pics/a"):
        api.get()


def test_the_api_being_away_hides_nothing_of_the_place(api: Api) -> None:
    api.get().close()
    api.at["eu"] = missing
    api.fails = Told(500)
    with pytest.raises(MissingObject):
        api.get()


def test_an_answer_that_cannot_be_read(api: Api) -> None:
    for body in (b"", b"<html>", b'{"url": 1}'):
        api.fails = Told(200, body=body)
        with pytest.raises(UnreachableObject, match="cannot be read"):
            api.get()


def test_the_identity_is_of_the_api(api: Api) -> None:
    identity = api.places.identity(S3Object("pics", "a", "v"))
    assert identity == ("nearside", f"{api.api.url}/stage/presign", "", "", "a", "v")
    assert api.places.identity(S3Object("pics", "a", "v"), "123") == identity
    assert api.places.shown(S3Object("pics", "a?b", "v", "S3")) == "s3://pics/a?b"
    for wrong in (WebAddress("http://h/a"), S3Object("pics", "")):
        with pytest.raises(BadUri):
            api.places.identity(wrong)
        with pytest.raises(BadUri):
            api.places.sources(wrong)

"""Listings by boto3 against a server on loopback: what S3 answers, and how it refuses."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from nearside.adapters import s3
from nearside.adapters.s3 import Listings
from nearside.errors import MissingBucket, NearsideError, Refused, Unreachable
from nearside.listing import Level, Object
from nearside.places import Place
from nearside.signing import Credentials
from tests.unit.loopback import Asked, Told, closed_port, serving

OWN = Credentials("AKID", "secret", "token")

PAGE = b"""<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>pics</Name><IsTruncated>true</IsTruncated>
<EncodingType>url</EncodingType><NextContinuationToken>t+2</NextContinuationToken>
<CommonPrefixes><Prefix>a%20b/c%2B/</Prefix></CommonPrefixes>
<Contents><Key>a%20b/%C3%A9.png</Key><Size>5</Size><ETag>"e1"</ETag><LastModified>2026-11-21T12:00:00.000Z</LastModified>
<StorageClass>GLACIER</StorageClass></Contents>
<Contents><Key>a%20b/x</Key><Size>0</Size><ETag>"e2"</ETag><LastModified>2026-11-21T12:00:00.000Z</LastModified></Contents>
</ListBucketResult>"""
EMPTY = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated></ListBucketResult>'


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> Listings:
    monkeypatch.setattr(s3, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(s3, "READ_SECONDS", 1)
    return Listings(lambda: OWN)


def error(status: int, code: str, more: str = "", headers: dict[str, str] | None = None) -> Told:
    body = f"<Error><Code>{code}</Code><Message>words of S3</Message>{more}</Error>"
    return Told(status, headers or {}, body.encode())


def listed(listings: Listings, answer: Callable[[Asked], Told]) -> tuple[Level, Asked]:
    with serving(answer) as server:
        level = listings(Place("eu-west-2", "pics", server.url), "a b/", 7, "t+1")
    return level, server.asked[-1]


def test_a_page_is_read(listings: Listings) -> None:
    level, asked = listed(listings, lambda _: Told(200, body=PAGE))
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert list(level.folders) == ["a b/c+/"]
    assert list(level.objects) == [
        Object("a b/é.png", 5, "e1", noon, "GLACIER"),
        Object("a b/x", 0, "e2", noon, "STANDARD"),
    ]
    assert level.token == "t+2"
    assert urlsplit(asked.target).path == "/pics"
    query = parse_qs(urlsplit(asked.target).query)
    wanted = {"prefix": ["a b/"], "delimiter": ["/"], "max-keys": ["7"], "continuation-token": ["t+1"]}
    assert wanted.items() <= query.items()
    assert asked.headers["x-amz-security-token"] == "token"
    assert "/eu-west-2/s3/aws4_request" in asked.headers["authorization"]
    assert not [name for name in asked.headers if "checksum" in name]  # other providers refuse them


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (error(403, "AccessDenied"), Refused),
        (error(403, "InvalidAccessKeyId"), Refused),
        (error(403, "SignatureDoesNotMatch"), Refused),
        (error(400, "ExpiredToken"), Refused),
        (error(404, "NoSuchBucket"), MissingBucket),
        (error(500, "InternalError"), Unreachable),
        (error(503, "SlowDown"), Unreachable),
        (Told(200, body=b"<html>a proxy's page"), Unreachable),
        (Told(drop=True), Unreachable),
        (Told(hang_seconds=5), Unreachable),
    ],
    ids=["denied", "key", "signature", "expired", "bucket", "500", "503", "not XML", "dropped", "hanging"],
)
def test_what_is_no_listing_is_never_an_empty_one(listings: Listings, told: Told, kind: type[NearsideError]) -> None:
    with pytest.raises(kind) as caught:
        listed(listings, lambda _: told)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("eu-west-2 ")


def test_a_closed_port_is_unreachable(listings: Listings) -> None:
    with closed_port() as url, pytest.raises(Unreachable, match="eu-west-2 cannot be reached"):
        listings(Place("eu-west-2", "pics", url), "", 1, None)


def test_a_moved_bucket_is_followed_and_where_it_is_remembered(listings: Listings) -> None:
    with serving(lambda _: Told(200, body=EMPTY)) as there:
        endpoint = f"<Endpoint>{there.url.removeprefix('http://')}</Endpoint>"
        moved = error(301, "PermanentRedirect", endpoint, {"x-amz-bucket-region": "us-east-2"})
        with serving(lambda _: moved) as here:
            place = Place("eu-west-2", "pics", here.url)
            for _ in range(3):
                assert listings(place, "", 1, None) == Level([], [], None)
            assert len(there.asked) == 3
            after_the_first = len(here.asked)
            listings(place, "", 1, None)
            assert len(here.asked) == after_the_first
    assert "/us-east-2/s3/" in there.asked[-1].headers["authorization"]


def test_a_bucket_that_sends_in_circles_is_unreachable(listings: Listings) -> None:
    def moved(asked: Asked) -> Told:
        endpoint = f"<Endpoint>{asked.headers['host']}</Endpoint>"
        return error(301, "PermanentRedirect", endpoint, {"x-amz-bucket-region": "us-east-2"})

    with pytest.raises(Unreachable, match="PermanentRedirect"):
        listed(listings, moved)


def test_a_move_that_does_not_say_where_is_unreachable(listings: Listings) -> None:
    with pytest.raises(Unreachable, match="PermanentRedirect"):
        listed(listings, lambda _: error(301, "PermanentRedirect"))


@pytest.mark.parametrize(("first", "there"), [(b"a b", True), (b"a b/c", False), (None, False)])
def test_holds_is_only_of_exactly_this_key(listings: Listings, first: bytes | None, there: bool) -> None:
    contents = (
        b"<Contents><Key>%s</Key><Size>1</Size><ETag>e</ETag>"
        b"<LastModified>2026-11-21T12:00:00Z</LastModified></Contents>"
    )
    body = EMPTY.replace(b"</ListBucketResult>", (contents % first if first else b"") + b"</ListBucketResult>")
    with serving(lambda _: Told(200, body=body)) as server:
        found = listings.holds(Place("eu-west-2", "pics", server.url), "a b")
    assert (found is not None) is there
    assert parse_qs(urlsplit(server.asked[0].target).query)["prefix"] == ["a b"]


def test_holds_is_refused_and_unreachable_as_a_listing_is(listings: Listings) -> None:
    with serving(lambda _: error(403, "AccessDenied")) as server, pytest.raises(Refused):
        listings.holds(Place("eu-west-2", "pics", server.url), "a")


def test_new_credentials_make_a_new_client(listings: Listings) -> None:
    sessions = [Credentials("FIRST", "s"), Credentials("FIRST", "s"), Credentials("SECOND", "s")]
    renewing = Listings(lambda: sessions.pop(0))
    with serving(lambda _: Told(200, body=EMPTY)) as server:
        for _ in range(3):
            renewing(Place("eu-west-2", "pics", server.url), "", 1, None)
    signed_by = [asked.headers["authorization"].partition("Credential=")[2][:5] for asked in server.asked]
    assert signed_by == ["FIRST", "FIRST", "SECON"]

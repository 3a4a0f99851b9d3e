"""What `nearside places check` says of each thing that can be wrong with a place."""

import hashlib
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from nearside.adapters.place_requests import PlaceRequests
from nearside.adapters.place_store import PlaceStore
from nearside.check import Step
from nearside.gateway.backends import Backend
from nearside.gateway.place_check import PlaceCheck
from nearside.place_commands import _Remembering
from nearside.signing import Credentials
from tests.unit.loopback import Asked, Told, closed_port, serving

LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def checked(answer: Callable[[Asked], Told], **more: Any) -> tuple[list[Step], list[Asked]]:
    """The steps in a place that answers so."""
    with serving(answer) as server:
        return list(steps_at(server.url, **more)), server.asked


def steps_at(url: str, **more: Any) -> PlaceCheck:
    backend = Backend(name="wasabi", provider="wasabi", zone_code="z", region="us-east-1", endpoint_url=url, **more)
    ask = _Remembering(backend, lambda: Credentials("AKID", "secret"))
    assert isinstance(ask, PlaceRequests)
    return PlaceCheck(backend, "photos", ask, PlaceStore(ask), time.time)


def error(code: str, status: int, extra: str = "", **headers: str) -> Told:
    body = f"<Error><Code>{code}</Code><Message>its words.</Message>{extra}</Error>"
    return Told(status, headers, body.encode())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error("SignatureDoesNotMatch", 403), "the secret access key is not that of the access key id"),
        (error("InvalidAccessKeyId", 403), "the place does not know the access key id"),
        (error("RequestTimeTooSkewed", 403), "this machine's clock is more than 15 minutes off: set it"),
        (error("ExpiredToken", 400), "the session is over"),
        (error("AccessDenied", 403), "the key pair may not do this: give it s3:ListBucket on the bucket in photos"),
        (error("NoSuchBucket", 404), "there is no bucket 'photos': create 'photos' through the gateway"),
        (
            error("AuthorizationHeaderMalformed", 400, "<Region>eu-central-1</Region>"),
            "region is 'us-east-1', and the place is in 'eu-central-1': correct region",
        ),
        (
            error("PermanentRedirect", 301, **{"x-amz-bucket-region": "eu-central-1"}),
            "region is 'us-east-1', and the place is in 'eu-central-1': correct region",
        ),
        (error("SlowDown", 503), "the place is in trouble, or throttles: try again"),
        (error("NotImplemented", 501), "Wasabi does not do this"),
        (error("InvalidRequest", 400), "the place does not take the request as it is"),
    ],
    ids=lambda value: "",
)
def test_what_is_wrong_with_the_bucket_is_said_and_nothing_else_is_tried(answer: Told, words: str) -> None:
    steps, asked = checked(lambda _: answer)
    [only] = steps
    assert (only.name, only.ok, len(asked)) == ("bucket", False, 1)
    assert words in only.words
    assert "(its words)" in only.words
    assert "secret" not in only.words.replace("secret access key", "")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://nowhere.internal", "its name does not resolve. Correct endpoint_url (http://nowhere.internal)"),
        ("closed", "the connection was refused. Nothing answers at http://127.0.0.1"),
        ("no tls", "TLS failed. The certificate at https://127.0.0.1"),
    ],
)
def test_a_place_that_does_not_answer(url: str, words: str) -> None:
    with closed_port() as closed, serving(lambda _: Told()) as server:
        at = {"closed": closed, "no tls": server.url.replace("http:", "https:")}.get(url, url)
        [only] = steps_at(at)
    assert not only.ok
    assert words in only.words


class Fake:
    """An S3 of one bucket without versions, in which `wrong` answers instead where it has something to say."""

    def __init__(self, wrong: Callable[[Asked], Told | None] = lambda _: None, skew: float = 0.0) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self._wrong = wrong
        self._date = formatdate(time.time() - skew, usegmt=True)

    def __call__(self, asked: Asked) -> Told:
        told = self._wrong(asked) or self._told(asked)
        return Told(told.status, {"date": self._date, **told.headers}, told.body)

    def _told(self, asked: Asked) -> Told:
        path, _, query = asked.target.partition("?")
        key = path.removeprefix("/photos").lstrip("/")
        if not key:
            made = "<Size>1</Size><ETag>e</ETag><LastModified>2026-01-01T00:00:00Z</LastModified>"
            entry = f"<Contents><Key>{{}}</Key>{made}</Contents>"
            return Told(body=LISTING.replace(b"<Is", "".join(map(entry.format, self.objects)).encode() + b"<Is"))
        if asked.method == "DELETE":
            self.objects.pop(key, None)
            return Told(204)
        if asked.method == "POST":
            if "uploads" in query:
                return Told(body=b"<R><UploadId>u</UploadId></R>")
            self.objects[key] = b"parts", "g"
            return Told(body=b'<R><ETag>"done"</ETag></R>')
        if asked.method == "PUT" and "partNumber" not in query:
            self.objects[key] = asked.body, asked.headers.get("x-amz-meta-nearside-generation", "")
        if "uploadId" in query:
            return Told(
                headers={"etag": '"p"'},
                body=b"<R><Part><PartNumber>1</PartNumber><ETag>p</ETag><Size>1</Size></Part></R>",
            )
        if key not in self.objects:
            return error("NoSuchKey", 404)
        body, mark = self.objects[key]
        etag = hashlib.md5(body).hexdigest()
        headers = {"etag": f'"{etag}"', "x-amz-meta-nearside-generation": mark}
        if "x-amz-copy-source" in asked.headers:
            source = self.objects[asked.headers["x-amz-copy-source"].removeprefix("/photos/")]
            return Told(body=f"<R><ETag>{hashlib.md5(source[0]).hexdigest()}</ETag></R>".encode())
        if "range" in asked.headers:
            return Told(206, {**headers, "content-range": "bytes 100-199/4096"}, body[100:200])
        return Told(200, headers, body if asked.method == "GET" or asked.method == "HEAD" else b"")


def test_a_good_place_is_good_and_is_left_as_it_was() -> None:
    fake = Fake()
    steps, _ = checked(fake)
    assert [(step.name, step.words) for step in steps if not step.ok] == []
    names = ["bucket", "clock", "write", "look", "read", "list", "copy", "multipart", "checksums", "delete"]
    assert [step.name for step in steps] == names
    assert "the bucket has no versions, though the provider does: enable them" in steps[2].words
    assert fake.objects == {}


def told_where(method: str, told: Told, part: str = "") -> Callable[[Asked], Told | None]:
    return lambda asked: told if asked.method == method and part in asked.target + str(asked.headers) else None


@pytest.mark.parametrize(
    ("wrong", "step", "words"),
    [
        (told_where("PUT", error("AccessDenied", 403)), "write", "give it s3:PutObject in photos"),
        (told_where("PUT", error("QuotaExceeded", 403)), "write", "the place is full"),
        (told_where("HEAD", Told(403), "/check/"), "look", "403: the key pair may not do this: give it s3:GetObject"),
        (told_where("HEAD", Told(404), "/check/"), "look", "what was just written is not there"),
        (told_where("HEAD", Told(200, {}, b"x"), "/check/"), "look", "it has 1 bytes of 4096, and the mark ''"),
        (told_where("GET", error("AccessDenied", 403), "/check/"), "read", "give it s3:GetObject and s3:GetObjectV"),
        (told_where("GET", Told(200, {}, b"x" * 4096), "/check/"), "read", "the bytes are not those that were written"),
        (told_where("GET", Told(body=LISTING), "max-keys=1000"), "list", "what was written is not in the listing"),
        (told_where("PUT", error("NotImplemented", 501), "copy-source"), "copy", "Wasabi does not do this"),
        (told_where("POST", error("AccessDenied", 403), "uploads"), "multipart", "give it s3:PutObject and s3:AbortM"),
        (told_where("POST", Told(200, {}, error("InternalError", 500).body), "uploadId"), "multipart", "InternalError"),
        (told_where("DELETE", error("AccessDenied", 403)), "delete", "403: give it s3:DeleteObject"),
        (told_where("DELETE", Told(204)), "delete", "what was deleted is still there"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_step_says_what_it_needs(wrong: Callable[[Asked], Told | None], step: str, words: str) -> None:
    fake = Fake(wrong)
    steps, _ = checked(fake)
    [failed] = [each for each in steps if not each.ok and each.name == step]
    assert words.removeprefix("403: ") in failed.words
    if step != "delete":
        assert fake.objects == {}, "nothing is left behind"


def test_a_clock_that_is_off_is_told() -> None:
    steps, _ = checked(Fake(skew=-300))
    [failed] = [step for step in steps if not step.ok]
    assert failed.name == "clock"
    assert re.match(r"this machine's clock is -(299|300) s off the place's, which refuses 900", failed.words)


def test_a_refusal_of_checksums_is_told_and_no_failure() -> None:
    refusal = error("InvalidArgument", 400)
    steps, _ = checked(Fake(told_where("PUT", refusal, "x-amz-checksum")))
    [step] = [step for step in steps if step.name == "checksums"]
    assert step.ok
    assert step.words.startswith("refused (InvalidArgument): the gateway sends none")

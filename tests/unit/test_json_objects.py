"""What `GET /json` decides: who may, what is JSON, what is too large, and how the cache's errors are told."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from nearside.access import Caller, Policy, Rule
from nearside.caching import errors as cache_errors
from nearside.errors import (
    AnswerTooLarge,
    BadRequest,
    Missing,
    MissingVersion,
    NearsideError,
    Refused,
    Unreachable,
)
from nearside.json_objects import JsonAsked, JsonObjects

ALICE = Caller("alice", trusted=False, claims={"sub": "alice"})
OPERATOR = Caller("operator", trusted=True)
POLICY = Policy([Rule("sub", ["users/${sub}/"], ["read"]), Rule("sub", ["inbox/"], ["write"])])
MAX_BYTES = 1_000
KEY = "users/alice/a"


class FakeFile:
    """A file with bytes of its own; remembers that it was given back."""

    def __init__(self, path: Path, etag: str = '"e1"', version_id: str = "v1", downloaded: bool = True) -> None:
        self.path, self.etag, self.version_id, self.downloaded = path, etag, version_id, downloaded
        self.given_back = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.given_back = True


class FakeFiles:
    """Gives one file for whatever is asked, or raises; implements `nearside.json_objects.KeepsFiles`."""

    def __init__(self, file: FakeFile | Exception) -> None:
        self.file = file
        self.asked: list[tuple[str, str, int | None]] = []

    def get(self, uri: str, *, version_id: str = "", max_object_bytes: int | None = None) -> FakeFile:
        self.asked.append((uri, version_id, max_object_bytes))
        if isinstance(self.file, Exception):
            raise self.file
        return self.file


type Store = Callable[..., tuple[JsonObjects, FakeFiles]]


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    """Makes the route's domain over a file of these bytes."""

    def make(body: bytes, **of_the_file: Any) -> tuple[JsonObjects, FakeFiles]:
        (tmp_path / "a").write_bytes(body)
        files = FakeFiles(FakeFile(tmp_path / "a", **of_the_file))
        return JsonObjects("pics-eu", files, POLICY, MAX_BYTES), files

    return make


def failing(error: Exception) -> JsonObjects:
    return JsonObjects("pics-eu", FakeFiles(error), POLICY, MAX_BYTES)


def read(objects: JsonObjects, key: str = KEY, tag: str = "", caller: Caller = ALICE, **query: str) -> Any:
    return objects.read(key, JsonAsked(**query), tag, caller)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": [1, 2.5e3, "é𝄞"]}', "[]", '"a"', "1e400", "null", " {}\r\n", "123456789012345678901"),
        *(r'"\ud800"', r'{"\uDC00 x": "\ud83d\u0041"}', r'"\ud834\udd1e"', r'"\\ud800"', r'"\\\uDFFF"'),
    ],
)
def test_any_json_is_answered_as_it_is_stored(stored: Store, text: str) -> None:
    objects, files = stored(text.encode())
    got = read(objects)
    assert (got.text, got.status) == (text.encode(), 200)
    assert got.headers == {
        "cache-control": "private, no-cache",
        "x-cache": "miss",
        "etag": '"e1"',
        "x-amz-version-id": "v1",
    }
    assert files.asked == [("s3://pics-eu/users/alice/a", "", MAX_BYTES)]
    assert isinstance(files.file, FakeFile)
    assert files.file.given_back


def test_what_the_cache_had_is_a_hit_and_unknown_headers_are_not_there(stored: Store) -> None:
    objects, _ = stored(b"{}", downloaded=False, etag="", version_id="")
    assert read(objects).headers == {"cache-control": "private, no-cache", "x-cache": "hit"}


def test_keys_are_opaque_and_a_version_is_passed_on(stored: Store) -> None:
    objects, files = stored(b"{}")
    read(objects, "a?b#c//../%41 +é", caller=OPERATOR, version_id="v9")
    assert files.asked == [("s3://pics-eu/a?b#c//../%41 +é", "v9", MAX_BYTES)]


@pytest.mark.parametrize("key", ["users/bob/a", "users/alic", "users/alice", "inbox/a", "", "missing"])
def test_nothing_is_read_before_the_policy_allowed_it(stored: Store, key: str) -> None:
    objects, files = stored(b"{}")
    with pytest.raises(Refused, match="alice may not read"):
        read(objects, key)
    assert files.asked == []


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513, "\ud800"])
def test_what_is_no_key_is_400_and_not_asked_for(stored: Store, key: str) -> None:
    objects, files = stored(b"{}")
    with pytest.raises(BadRequest, match="UTF-8"):
        read(objects, key, caller=OPERATOR)
    assert files.asked == []
    assert read(objects, "é" * 512, caller=OPERATOR).status == 200


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"e1"', 304), ('W/"e1"', 304), ('"x", "e1"', 304), ('"x","e1"', 304), ("*", 304), (" * ", 304),
        ('"e2"', 200), ("", 200), ("e1", 200), ('"e"', 200), ('"', 200),
    ],
)  # fmt: skip
def test_who_has_the_version_gets_its_tag_alone(stored: Store, tag: str, status: int) -> None:
    got = read(stored(b"{}", downloaded=False)[0], tag=tag)
    assert (got.status, got.headers["etag"]) == (status, '"e1"')
    assert got.text == (None if status == 304 else b"{}")


def test_no_tag_is_nobodys_version(stored: Store) -> None:
    assert read(stored(b"{}", etag="")[0], tag='""').status == 200
    assert read(stored(b"{}", etag='W/"e1"')[0], tag='"e1"').status == 304


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"hello", b"{", b"{}{}", b'{"a": NaN}', b"[1,]", b"{'a': 1}", b"\x89PNG\r\n", b"[" * 100_000),
        *(
            b'"\xff"',
            b'{"\xe9": 1}',
            *(rb"\ud800", rb'"\ud8zz"', rb'"\ud80', rb'"\ud800', rb'"\\\\ud800""', b'"\xed\xa0\x80"'),
            "{}".encode("utf-16"),
            b"\x1f\x8bno",
            gzip.compress(b"{}", mtime=0)[:-9],
        ),
        gzip.compress(b"hello", mtime=0),
    ],
)
def test_what_is_no_json_is_400_and_names_the_key(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(body)
    objects = JsonObjects("pics-eu", FakeFiles(FakeFile(tmp_path / "a")), POLICY, 1_000_000)
    with pytest.raises(cache_errors.BadJson, match=f"'{KEY}' is not JSON") as caught:
        read(objects)
    assert (caught.value.status, caught.value.code) == (400, "InvalidJSON")


def test_a_byte_order_mark_is_left_out(stored: Store) -> None:
    assert read(stored(b"\xef\xbb\xbf{}")[0]).text == b"{}"


def test_gzip_is_unpacked_in_one_member_or_several_up_to_the_limit(stored: Store) -> None:
    text = json.dumps({"a": "x" * 900}).encode()
    assert read(stored(gzip.compress(text))[0]).text == text
    assert read(stored(gzip.compress(text[:100]) + gzip.compress(text[100:]))[0]).text == text
    with pytest.raises(AnswerTooLarge, match=r"1000.*POST /presign"):
        read(stored(gzip.compress(b'"' + b"x" * 10_000_000 + b'"'))[0])


@pytest.mark.parametrize(
    ("raised", "told", "status", "words"),
    [
        (cache_errors.MissingObject("s3://pics-eu/x: NoSuchKey"), Missing, 404, f"'{KEY}' does not exist"),
        (cache_errors.RefusedObject("arn:aws:iam::1:role/x is not"), Refused, 403, f"S3 refused to read '{KEY}'"),
        (cache_errors.UnreachableObject("http://10.0.0.1"), Unreachable, 500, "did not answer"),
        (
            cache_errors.ObjectTooLarge("it has 2000 bytes: at most 1000"),
            AnswerTooLarge,
            413,
            "2000 bytes: at most 1000",
        ),
        (cache_errors.BadUri("s3://pics-eu/x"), BadRequest, 400, f"no content for '{KEY}'$"),
        (cache_errors.CorruptDownload("x"), cache_errors.CorruptDownload, 502, "x"),
        (cache_errors.ObjectChanged("x"), cache_errors.ObjectChanged, 409, "x"),
        (cache_errors.CacheBusy("x"), cache_errors.CacheBusy, 503, "x"),
        (cache_errors.CacheFull("x"), cache_errors.CacheFull, 507, "x"),
    ],
)
def test_the_caches_errors_are_told_as_those_of_the_other_routes(
    raised: NearsideError, told: type[NearsideError], status: int, words: str
) -> None:
    with pytest.raises(told, match=words) as caught:
        read(failing(raised))
    assert type(caught.value) is told
    assert caught.value.status == status
    assert not any(secret in str(caught.value) for secret in ("pics-eu", "arn:", "10.0.0.1"))


def test_a_version_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingVersion, match="has no version 'v9'") as caught:
        read(failing(cache_errors.MissingObject("gone")), version_id="v9")
    assert caught.value.code == "NoSuchVersion"


def test_what_aws_said_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused):
        read(failing(cache_errors.RefusedObject("AccessDenied: arn:aws:iam::1:role/x is not authorized")))
    assert "arn:aws:iam::1:role/x" in caplog.text

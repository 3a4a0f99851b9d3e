"""URIs: nothing of a key is lost, what `aind_s3_cache.uri_utils` answers is answered too, and a bad one says why."""

import os
import pickle
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nearside.caching.errors import BadUri
from nearside.uri import (
    KeyPath,
    LocalFile,
    S3Object,
    WebAddress,
    _path_of_file_uri,
    as_pathlike,
    as_string,
    is_file_path,
    is_s3_uri,
    is_url,
    join_any,
    parse,
    parse_s3_uri,
)

AP = "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-ap"
MRAP = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/example"

fits = st.text(min_size=1).filter(lambda key: len(key.encode()) <= 1024)
pieces = [
    "?",
    "#",
    "/",
    "//",
    "..",
    ".",
    " ",
    "%",
    "%2F",
    "+",
    "&",
    "=",
    ":",
    "\\",
    "\t",
    "\n",
    "\0",
    "é",
    "e\u0301",
    "日本",
    "😀",
]
hard = st.lists(st.sampled_from([*pieces, "a", "b.json"]), min_size=1).map("".join)
keys = hard | fits
buckets = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,40}[a-z0-9]", fullmatch=True) | st.sampled_from(
    [AP, MRAP, OUTPOST, "my_old_Bucket", "mfzwi23gnjvgw.mrap", AP.replace("/", ":"), AP.replace("aws", "aws-cn")]
)


@given(st.sampled_from(["s3", "S3"]), buckets, keys)
@example("s3", "b", "?")
@example("s3", "b", "/")
@example("s3", "b", "/leading")
@example("s3", "b", "a//b/../c/")
@example("s3", "b", " ")
@example("s3", "b", "a?versionId=1#x;y")
def test_an_s3_uri_is_what_was_given_and_its_key_is_whole(scheme: str, bucket: str, key: str) -> None:
    given_uri = f"{scheme}://{bucket}/{key}"
    parsed = parse(given_uri)
    assert str(parsed) == given_uri
    assert isinstance(parsed, S3Object)
    assert (parsed.bucket, parsed.key) == (bucket, key) == parse_s3_uri(given_uri)
    assert is_url(given_uri)
    assert is_s3_uri(given_uri)
    assert not is_file_path(given_uri)


@given(
    st.text() | hard | st.builds("{}://{}".format, st.sampled_from(["http", "HTTPS", "s3", "gs", "file"]), st.text())
)
@example("http://[")
@example("http://h:x/")
@example("file://localhost")
@example("a:b:c")
@example("~/a")
def test_whatever_is_accepted_is_kept_and_whatever_is_not_says_so(text: str) -> None:
    try:
        parsed = parse(text)
    except BadUri:
        return
    assert str(parsed) == text
    assert is_file_path(text) is isinstance(parsed, LocalFile)
    assert is_url(text) is isinstance(parsed, S3Object | WebAddress)
    assert is_s3_uri(text) is isinstance(parsed, S3Object)


paths = st.lists(hard, min_size=1, max_size=3).map("/".join).filter(lambda path: "\0" not in path)


@given(st.sampled_from(["https://h.example", "http://127.0.0.1:9000", "HTTP://user:p@h"]), hard)
def test_a_web_address_is_what_was_given(start: str, path: str) -> None:
    url = f"{start}/{path}"
    if {"\t", "\n", "\0"} & set(url):
        with pytest.raises(BadUri, match="control character"):
            parse(url)
    else:
        assert parse(url) == WebAddress(url)
        assert str(parse(url)) == url


@given(st.sampled_from(["/", "./", "../", "C:\\", "C:/", "\\\\server\\share\\", "//server/share/"]), paths)
def test_a_path_is_what_was_given(start: str, path: str) -> None:
    assert parse(start + path) == LocalFile(start + path, Path(start + path))
    assert str(parse(Path(start + path))) == str(Path(start + path))


@given(paths)
def test_a_file_uri_of_pathlib_leads_back_to_its_path(path: str) -> None:
    uri = (Path("/") / path.lstrip("/")).as_uri()
    parsed = parse(uri)
    assert isinstance(parsed, LocalFile)
    assert (str(parsed), parsed.path) == (uri, Path("/") / path.lstrip("/"))


@given(buckets, keys | st.just(""))
def test_a_key_goes_through_the_form_of_a_path_whole(bucket: str, key: str) -> None:
    kind, name, path = as_pathlike(f"s3://{bucket}/{key}")
    assert (kind, name) == ("s3", bucket)
    assert isinstance(path, PurePosixPath)
    assert as_string(kind, name, path) == f"s3://{bucket}/{key}"


# What aind_s3_cache 0.1.0 answered: is_url, is_file_path, parse_s3_uri (None: ValueError), as_pathlike and as_string.
ORDINARY: list[tuple[str, bool, bool, tuple[str, str] | None, tuple[str, str | None, PurePath] | None, str]] = [
    ("s3://b/k", True, False, ("b", "k"), ("s3", "b", PurePosixPath("k")), "s3://b/k"),
    ("s3://my-b/d/f.txt", True, False, ("my-b", "d/f.txt"), ("s3", "my-b", PurePosixPath("d/f.txt")), "s3://my-b/d/f.txt"),
    ("s3://b", True, False, ("b", ""), ("s3", "b", PurePosixPath()), "s3://b/"),
    ("s3://b/", True, False, ("b", ""), ("s3", "b", PurePosixPath()), "s3://b/"),
    ("S3://b/k", True, False, ("b", "k"), ("s3", "b", PurePosixPath("k")), "s3://b/k"),
    ("https://h/p.json", True, False, None, None, ""),
    ("http://h:80/a/b?x=1", True, False, None, None, ""),
    ("HTTPS://h/a", True, False, None, None, ""),
    ("https://h", True, False, None, None, ""),
    ("/data/user/a.json", False, True, None, ("file", None, Path("/data/user/a.json")), "/data/user/a.json"),
    ("a/b.json", False, True, None, ("file", None, Path("a/b.json")), "a/b.json"),
    ("./a.json", False, True, None, ("file", None, Path("a.json")), "a.json"),
    ("../a", False, True, None, ("file", None, Path("../a")), "../a"),
    ("~/a.json", False, True, None, ("file", None, Path("~/a.json")), "~/a.json"),
    ("a b.json", False, True, None, ("file", None, Path("a b.json")), "a b.json"),
    ("C:\\x\\y.json", False, True, None, ("file", None, PureWindowsPath("C:/x/y.json")), "C:\\x\\y.json"),
    ("C:/x/y.json", False, True, None, ("file", None, PureWindowsPath("C:/x/y.json")), "C:\\x\\y.json"),
    ("c:f.txt", False, True, None, ("file", None, PureWindowsPath("c:f.txt")), "c:f.txt"),
    ("\\\\srv\\sh\\x", False, True, None, ("file", None, PureWindowsPath("//srv/sh/x")), "\\\\srv\\sh\\x"),
    ("//srv/sh/x", False, True, None, ("file", None, PureWindowsPath("//srv/sh/x")), "\\\\srv\\sh\\x"),
    ("file:///tmp/a.json", False, True, None, ("file", None, Path("/tmp/a.json")), "/tmp/a.json"),
    ("file:///tmp/a%20b.json", False, True, None, ("file", None, Path("/tmp/a b.json")), "/tmp/a b.json"),
    ("file:/tmp/a", False, True, None, ("file", None, Path("/tmp/a")), "/tmp/a"),
    ("FILE:///tmp/a", False, True, None, ("file", None, Path("/tmp/a")), "/tmp/a"),
    ("file://server/share/p", False, True, None, ("file", None, Path("//server/share/p")), "//server/share/p"),
    ("gs://b/k", False, False, None, None, ""),
    ("ftp://h/f", False, False, None, None, ""),
    ("http:a", False, False, None, None, ""),
    ("s3:k", False, False, None, None, ""),
    ("s3:///k", False, False, None, None, ""),
    ("https:///x", False, False, None, None, ""),
]  # fmt: skip
posix = pytest.mark.skipif(os.name != "posix", reason="the paths in the table are as POSIX writes them")


@posix
@pytest.mark.parametrize("row", ORDINARY, ids=lambda row: row[0])
def test_ordinary_values_mean_what_they_meant_to_the_package(
    row: tuple[str, bool, bool, tuple[str, str] | None, tuple[str, str | None, PurePath] | None, str],
) -> None:
    text, url, path, bucket_and_key, pathlike, string = row
    assert is_url(text) is url
    assert is_file_path(text) is path
    if bucket_and_key is None:
        with pytest.raises(ValueError, match=r"expected|no URL"):
            parse_s3_uri(text)
    else:
        assert parse_s3_uri(text) == bucket_and_key
    if pathlike is None:  # the package made a path of them, with one slash: `https:/h/p.json`
        with pytest.raises(BadUri):
            as_pathlike(text)
    else:
        assert as_pathlike(text) == pathlike
        assert type(as_pathlike(text)[2]) in (type(pathlike[2]), KeyPath)
        assert as_string(*as_pathlike(text)) == string


JOINED = [
    (("s3://b", "a", "b.txt"), "s3://b/a/b.txt"),
    (("s3://b/", "a"), "s3://b/a"),
    (("s3://b/d", "a/b", "c"), "s3://b/d/a/b/c"),
    (("s3://b/d/", "a"), "s3://b/d/a"),
    (("s3://b/d", "a\\b"), "s3://b/d/a/b"),
    (("s3://b/d", ""), "s3://b/d"),
    (("s3://b/d", "..", "c"), "s3://b/d/../c"),
    (("/data/user", "a", "b.txt"), "/data/user/a/b.txt"),
    (("/data/user/", "a"), "/data/user/a"),
    (("/data/user", "/etc/x"), "/etc/x"),
    (("/data/u", ""), "/data/u"),
    (("/data/u", "a\\b"), "/data/u/a/b"),
    (("rel", "a", "b"), "rel/a/b"),
    (("C:\\x", "a", "b"), "C:\\x\\a\\b"),
    (("C:\\x", "a/b"), "C:\\x\\a\\b"),
    (("C:/x", "a", "b"), "C:/x/a/b"),
    (("C:/x", "a\\b"), "C:/x/a/b"),
    (("\\\\server\\share", "a"), "\\\\server\\share\\a"),
    (("//server/share", "a"), "//server/share/a"),
    (("file:///tmp", "a b"), "/tmp/a b"),
]
BETTER_JOINED = [
    (("s3://b",), "s3://b/"),  # the package: s3://b/.
    (("s3://b/d", "/r"), "s3://b/r"),  # the package: s3://b//r, which it reads as the key `r`
    (("s3://b/d", "//r"), "s3://b//r"),
    (("s3://b/d", "c/"), "s3://b/d/c/"),
    (("s3://b/d/",), "s3://b/d/"),
    (("s3://b//d//e", "./f"), "s3://b//d//e/./f"),
    (("s3://b/a?b", "c#d"), "s3://b/a?b/c#d"),
    ((f"s3://{MRAP}", "a", "b"), f"s3://{MRAP}/a/b"),
    ((f"s3://{AP}/a", "b"), f"s3://{AP}/a/b"),
    (("https://h/a", "b"), "https://h/a/b"),
    (("https://h", "b"), "https://h/b"),
    (("HTTP://u@h:80/a//b/?x#y", "c", "d/"), "HTTP://u@h:80/a//b/c/d/"),
    (("https://h/a", "/b"), "https://h/b"),
    (("/data/a\\b", "c"), "/data/a\\b/c"),
]  # fmt: skip


@posix
@pytest.mark.parametrize(("given_parts", "joined"), JOINED + BETTER_JOINED, ids=lambda value: str(value))
def test_parts_are_joined(given_parts: tuple[str, ...], joined: str) -> None:
    assert join_any(*given_parts) == joined


@given(buckets, keys, st.lists(hard.filter(lambda part: not part.startswith("/") and "\\" not in part), min_size=1))
def test_joining_keeps_every_character(bucket: str, key: str, parts: list[str]) -> None:
    def slashed(start: str) -> str:
        return start if start.endswith("/") else start + "/"

    expected = key
    for part in parts:
        expected = slashed(expected) + part
    assert join_any(f"s3://{bucket}/{key}", *parts) == f"s3://{bucket}/{expected}"


BAD = [
    ("", "is empty"),
    (" s3://b/k", "starts with white space"),
    ("s3://", "names no bucket"),
    ("s3:///k", "names no bucket"),
    ("s3://b", "names no object"),
    ("s3://b/", "names no object"),
    (f"s3://{MRAP}", "names no object"),
    ("s3://b?x/k", "'b?x' in 's3://b?x/k' is no bucket: expected A-Z"),
    ("s3://user@b/k", "'user@b'"),
    ("s3://../k", "'..'"),
    ("s3://b b/k", "is no bucket"),
    (f"s3://{'b' * 256}/k", "is no bucket"),
    ("s3://b/" + "k" * 1025, "1025 bytes of UTF-8: S3 takes 1024"),
    ("s3://b/" + "é" * 513, "1026 bytes"),
    ("s3://b/\udc80", "no Unicode text"),
    ("s3:/b/k", "lacks the `//`"),
    ("https:/h/k", "lacks the `//`"),
    ("gs://b/k", "the scheme 'gs'"),
    ("ftp://h/f", "the scheme 'ftp'"),
    ("s3a://b/k", "the scheme 's3a'"),
    ("s3://arn:aws:s3:eu-west-1:123456789012:bucket/b/k", "no access point's"),
    ("s3://arn:aws:s3:eu-west-1:12345:accesspoint/ap/k", "12 digits"),
    ("s3://arn:aws:s3::123456789012:accesspoint/my-ap/k", "only the ARN of a Multi-Region Access Point"),
    (f"s3://{MRAP.replace('s3::', 's3:eu-west-1:')}/k", "has no region"),
    ("http://", "names no host"),
    ("https:///x", "names no host"),
    ("http://:80/x", "names no host"),
    ("http://h:x/", "no URL"),
    ("http://[::1/", "no URL"),
    ("http://a b/", "names no host"),
    ("http://good\\@bad/", "names no host"),
    ("http://h/a\r\nHost: x", "control character"),
    ("file:", "names no file"),
    ("file://", "names no file"),
    ("file://localhost", "names no file"),
    ("file:///a%00", "NUL"),
    ("a\0b", "NUL"),
]


@pytest.mark.parametrize(("uri", "said"), BAD, ids=range(len(BAD)))
def test_a_bad_uri_is_named_with_what_was_expected(uri: str, said: str) -> None:
    with pytest.raises(BadUri) as raised:
        parse(uri)
    assert said in str(raised.value)
    assert repr(uri)[1:5] in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert len(str(raised.value)) < 700


def test_a_message_holds_no_secret() -> None:
    with pytest.raises(BadUri) as raised:
        parse("https://me:hunter2@h:x/a?X-Amz-Signature=c0ffee&token=t0ken")
    assert "h:x/a" in str(raised.value)
    assert not [word for word in ("hunter2", "c0ffee", "t0ken") if word in str(raised.value)]


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        (AP, "key"),
        (AP, "a//b?c#d/"),
        (MRAP, "key"),
        (MRAP, "/key"),
        (OUTPOST, "a/b"),
        (AP.replace("accesspoint/", "accesspoint:"), "a/b"),
        (AP.replace("aws", "aws-us-gov").replace("eu-west-1", "us-gov-west-1"), "k"),
        (AP.replace("aws", "aws-cn").replace("eu-west-1", "cn-north-1"), "k"),
        (AP.replace("s3:", "s3-object-lambda:"), "k"),
    ],
)
def test_an_arn_stands_where_a_bucket_does(bucket: str, key: str) -> None:
    assert parse(f"s3://{bucket}/{key}") == S3Object(bucket, key)
    assert parse_s3_uri(f"s3://{bucket}/{key}") == (bucket, key)
    assert parse_s3_uri(f"s3://{bucket}") == parse_s3_uri(f"s3://{bucket}/") == (bucket, "")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///tmp/a%20b", "/tmp/a b"),
        ("file://localhost/tmp/%C3%A9", "/tmp/é"),
        ("file://LOCALHOST/a", "/a"),
        ("file:///a?b#c", "/a?b#c"),
        ("file:/tmp/a", "/tmp/a"),
        ("file:///tmp/%FF", "/tmp/\udcff"),
        ("file://server/share/p", "//server/share/p"),
    ],
)
@posix
def test_a_file_uri_names_a_path(uri: str, path: str) -> None:
    assert parse(uri) == LocalFile(uri, Path(path))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///C:/a%20b", "C:/a b"),
        ("file:///c|/a", "c:/a"),
        ("file:/C:/a", "C:/a"),
        ("file://srv/sh/a", "//srv/sh/a"),
    ],
)
def test_on_windows_a_file_uri_names_a_drive(monkeypatch: pytest.MonkeyPatch, uri: str, path: str) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        found = _path_of_file_uri(uri, uri.removeprefix("file:"))
    assert found == path


class PathOfAnotherLibrary:
    """As cloudpathlib's: `os.fspath` of it downloads, `str` of it is the URI."""

    def __str__(self) -> str:
        return "s3://b/k"

    def __fspath__(self) -> str:
        raise AssertionError("was asked to download")


def test_an_object_with_a_path_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert parse(PathOfAnotherLibrary()) == S3Object("b", "k")
    with os.scandir(tmp_path) as entries:
        assert [parse(entry) for entry in entries] == [LocalFile(str(tmp_path / "a"), tmp_path / "a")]
    with pytest.raises(BadUri, match="pathlib drops a slash"):
        parse(Path("s3://b/k"))
    assert is_url(PathOfAnotherLibrary())
    assert not is_url(Path("s3://b/k"))


def test_a_file_may_have_a_colon_in_its_name() -> None:
    for name in ("2026-11-21T10:44:00.json", "run:12.json", "a:b"):
        assert parse(name) == LocalFile(name, Path(name))
        assert is_file_path(name)


def test_a_key_as_a_path_is_a_path_and_still_the_key() -> None:
    key = KeyPath("a//b.nii.gz/")
    assert (str(key), key.as_posix(), os.fspath(key)) == ("a//b.nii.gz/",) * 3
    assert (key.name, key.suffixes, key.parts) == ("b.nii.gz", [".nii", ".gz"], ("a", "b.nii.gz"))
    assert KeyPath("a/b") == PurePosixPath("a/b")
    assert hash(KeyPath("a/b")) == hash(PurePosixPath("a/b"))
    assert KeyPath("a/b") != KeyPath("a//b")
    assert str(KeyPath("a//b") / "c/") == "a//b/c/"
    assert str(KeyPath("a//b").joinpath(KeyPath("./c"), "d")) == "a//b/./c/d"
    assert str(KeyPath("a/b/c").parent) == "a/b"
    assert str(KeyPath("a").parent) == str(KeyPath()) == "."
    assert pickle.loads(pickle.dumps(key)) == key
    assert pickle.loads(pickle.dumps(key)).key == key.key
    assert as_string("s3", "b", KeyPath(".")) == "s3://b/."


def test_a_plain_path_makes_a_string_as_in_the_package() -> None:
    assert as_string("s3", "b", PurePosixPath("/k")) == "s3://b/k"
    assert as_string("s3", "b", PurePosixPath()) == as_string("s3", "b", PureWindowsPath()) == "s3://b/"
    assert as_string("s3", "b", PureWindowsPath("a\\b")) == "s3://b/a/b"
    assert as_string("file", None, PureWindowsPath("C:/a")) == "C:\\a"
    for kind, bucket in (("gs", "b"), ("s3", None), ("s3", "")):
        with pytest.raises(ValueError, match="expected 's3' with a bucket"):
            as_string(kind, bucket, PurePosixPath("k"))

"""URIs of what can be read: S3 objects whose keys are opaque, web addresses, and files of this machine.

S3 keeps every character of a key, so they are all kept here: `?`, `#`, `%`, `//`, `..`, slashes at both ends. Hence no
`urllib.parse` for `s3://`: it cuts keys at `?` and `#`. Names and meanings are those of `aind_s3_cache.uri_utils`;
docs/moving-from-aind-s3-cache.md has the differences that are on purpose.
"""

import os
import re
from functools import reduce
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from nearside.caching.errors import BadUri

# One letter before the colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_EXPECTED = "expected s3://bucket/key, http:// or https:// with a host, a path, or file:///path"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_THIS_MACHINE = ("", "localhost")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# What botocore takes (botocore.handlers.VALID_BUCKET): wider than today's rules, which old buckets and other providers
# do not keep. Names of dots only would leave the bucket's path on the wire.
_BUCKET = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]{1,255}")
# botocore.handlers.VALID_S3_ARN and VALID_S3_OUTPOST_ARN, with the key behind the name.
_ARN = re.compile(
    r"(?P<arn>arn:aws[a-z-]*:"
    r"(?:s3(?:-object-lambda)?:(?P<region>[a-z0-9-]*):[0-9]{12}:accesspoint[/:](?P<name>[A-Za-z0-9.-]{1,63})"
    r"|s3-outposts:[a-z0-9-]+:[0-9]{12}:outpost[/:][A-Za-z0-9-]{1,63}[/:]accesspoint[/:][A-Za-z0-9-]{1,63}))"
    r"(?:/(?P<key>.*))?",
    re.DOTALL,
)


class S3Object(msgspec.Struct, frozen=True):
    """An object of S3: `bucket` is a bucket's name or alias, or the ARN of an access point or a Multi-Region Access
    Point; `key` is exactly what stands after the first `/` behind it. `version_id` is not part of the URI. `scheme` is
    `s3`, in the letters in which it was given."""

    bucket: str
    key: str
    version_id: str = ""
    scheme: str = "s3"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


class WebAddress(msgspec.Struct, frozen=True):
    """An `http://` or `https://` URL, as it was given."""

    url: str

    def __str__(self) -> str:
        return self.url


class LocalFile(msgspec.Struct, frozen=True):
    """A file of this machine, as it was given: a path, or a `file://` URI."""

    text: str
    path: Path

    def __str__(self) -> str:
        return self.text


type Remote = S3Object | WebAddress


class KeyPath(PurePosixPath):
    """An S3 key as a `PurePosixPath` that is still the exact key: `str()`, `as_posix()`, `==` and `/` keep what pathlib
    drops (`a//b`, `a/`, `./a`). `parts`, `name`, `suffix` and `parent` are pathlib's."""

    key: str

    def __init__(self, *segments: str | os.PathLike[str]) -> None:
        first, *others = [part.key if isinstance(part, KeyPath) else os.fspath(part) for part in segments or ("",)]
        self.key = reduce(_joined, others, first)
        super().__init__(self.key)

    def __str__(self) -> str:
        return self.key or "."


def parse(uri: str | os.PathLike[str]) -> Remote | LocalFile:
    """What a URI or a path names; `str()` of it is what was given, to the character. `~` is not expanded. Raises BadUri
    (also a ValueError), which names the value and what is expected: another scheme, no bucket or key, a name that no
    bucket can have, a key over 1024 bytes of UTF-8, no host."""
    text = _text(uri)
    scheme, rest = _split(text)
    if scheme == "s3":
        bucket, key = parse_s3_uri(text)
        if not key:
            raise BadUri(f"{_shown(text)} names no object: expected s3://bucket/key")
        return S3Object(bucket, key, scheme=text[:2])
    if scheme in ("http", "https"):
        return WebAddress(_checked_url(text, rest))
    path = _path_of_file_uri(text, rest) if scheme == "file" else text
    if "\0" in path:
        raise BadUri(f"{_shown(text)} has a NUL character, which no path can have")
    return LocalFile(text, Path(path))


def parse_s3_uri(uri: str | os.PathLike[str]) -> tuple[str, str]:
    """Bucket and key of an `s3://` URI. The bucket may be an ARN; the key may be empty, and is exactly what stands
    behind the first slash. Raises BadUri (also a ValueError) for anything else."""
    text = _text(uri)
    scheme, rest = _split(text)
    if scheme != "s3":
        raise BadUri(f"{_shown(text)} is not an S3 URI: expected s3://bucket/key")
    if _SURROGATE.search(text):
        raise BadUri(f"{_shown(text)} is no Unicode text, and S3's keys are UTF-8")
    bucket, key = _arn_and_key(text, rest) if rest.startswith("arn:") else _bucket_and_key(text, rest)
    if (size := len(key.encode())) > 1024:
        raise BadUri(f"{_shown(text)} has a key of {size} bytes of UTF-8: S3 takes 1024")
    return bucket, key


def is_url(path_or_url: str | os.PathLike[str]) -> bool:
    """Whether this is an `http://`, `https://` or `s3://` URL with a host or a bucket. A bad one is False."""
    scheme, rest = _split_or_none(path_or_url)
    return scheme in ("http", "https", "s3") and bool(_authority(rest)[0])


def is_s3_uri(uri: str | os.PathLike[str]) -> bool:
    """Whether this is `s3://`, in any letters, with a bucket and a slash behind it. A bad one is False."""
    scheme, rest = _split_or_none(uri)
    host, path = _authority(rest)
    return scheme == "s3" and bool(host) and path.startswith("/")


def is_file_path(path_or_url: str | os.PathLike[str]) -> bool:
    """Whether this is a path (POSIX, a Windows drive's or UNC) or a `file:` URI. A bad URI is False."""
    return _split_or_none(path_or_url)[0] in ("", "file")


def as_pathlike(base: str | os.PathLike[str]) -> tuple[str, str | None, PurePath]:
    """`("s3", bucket, KeyPath)`, or `("file", None, path)` with a `PureWindowsPath` for a drive's or a UNC path on any
    system, else a `Path`. Raises BadUri, also for a web address, which is no path."""
    text = _text(base)
    scheme, rest = _split(text)
    if scheme == "s3":
        bucket, key = parse_s3_uri(text)
        return "s3", bucket, KeyPath(key)
    if scheme == "file":
        return "file", None, Path(_path_of_file_uri(text, rest))
    if scheme:
        raise BadUri(f"{_shown(text)} is a web address and no path: expected s3://bucket/key or a path")
    of_windows = text.startswith("//") or PureWindowsPath(text).drive
    return "file", None, PureWindowsPath(text) if of_windows else Path(text)


def as_string(kind: str, bucket: str | None, path: PurePath) -> str:
    """The string for what `as_pathlike` gave. The key of a `KeyPath` is exact, that of any other path has no leading
    slashes. Raises BadUri (also a ValueError) for another kind than "s3" and "file", or no bucket."""
    if kind == "file":
        return str(path)
    if kind != "s3" or not bucket:
        raise BadUri(f"{kind!r} with the bucket {bucket!r}: expected 's3' with a bucket, or 'file'")
    if isinstance(path, KeyPath):
        return f"s3://{bucket}/{path.key}"
    return f"s3://{bucket}/{'' if path.as_posix() == '.' else path.as_posix().lstrip('/')}"


def join_any(base: str | os.PathLike[str], *parts: str | os.PathLike[str]) -> str:
    """The base with the parts behind it: an S3 URI, a web address, or a path with the base's kind of slashes.

    Keys are joined as text, with one slash between two parts. Backslashes in parts are slashes. A part with a leading
    slash starts at the bucket's root; an empty one adds nothing. A web address loses its query. Raises BadUri.
    """
    text, names = _text(base), [os.fspath(part) for part in parts]
    scheme, rest = _split(text)
    if scheme in ("http", "https"):
        _checked_url(text, rest)
        host, path = _authority(rest)
        stem = re.split(r"[?#]", path, maxsplit=1)[0].removeprefix("/")
        return f"{text.removesuffix(rest)}{host}/{reduce(_joined, names, stem)}"
    if scheme == "s3":
        bucket, key = parse_s3_uri(text)
        return f"s3://{bucket}/{reduce(_joined, [name.replace('\\', '/') for name in names], key)}"
    path_of_base = as_pathlike(text)[2]
    if isinstance(path_of_base, PureWindowsPath):
        joined = str(path_of_base.joinpath(*names))
        return joined if "\\" in text else joined.replace("\\", "/")
    return str(path_of_base.joinpath(*(name.replace("\\", "/") for name in names)))


def _text(uri: str | os.PathLike[str]) -> str:
    """A cloudpathlib path or a UPath is a PathLike whose `str` is the URI: asking for its path would download it."""
    return str(uri) if isinstance(uri, str | PurePath) or _SCHEME.match(str(uri)) else os.fsdecode(uri)


def _split(text: str) -> tuple[str, str]:
    """The scheme in lower case and what is behind its `://` (`file:` only has the colon); `""` for a path."""
    match = _SCHEME.match(text)
    if not text or (not match and "://" in text and _SCHEME.match(text.lstrip())):
        raise BadUri(f"{_shown(text)} is empty or starts with white space: {_EXPECTED}")
    if not match:
        return "", text
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme == "file":
        return scheme, rest
    known, double = scheme in ("s3", "http", "https"), rest.startswith("//")
    if double and not known:
        raise BadUri(f"{_shown(text)} has the scheme {scheme!r}, which is not read: {_EXPECTED}")
    if known and not double:
        raise BadUri(f"{_shown(text)} lacks the `//` of a URI (pathlib drops a slash): {_EXPECTED}")
    return (scheme, rest[2:]) if known else ("", text)  # a file's name may have a colon in it


def _split_or_none(uri: str | os.PathLike[str]) -> tuple[str | None, str]:
    try:
        return _split(_text(uri))
    except BadUri:
        return None, ""


def _authority(rest: str) -> tuple[str, str]:
    """What is before the first of `/?#`, and the rest with it."""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return host, rest[len(host) :]


def _bucket_and_key(text: str, rest: str) -> tuple[str, str]:
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise BadUri(f"{_shown(text)} names no bucket: expected s3://bucket/key")
    if not _BUCKET.fullmatch(bucket):
        raise BadUri(f"{_shown(bucket)} in {_shown(text)} is no bucket: expected A-Z a-z 0-9 . _ - (to 255), or an ARN")
    return bucket, key


def _arn_and_key(text: str, rest: str) -> tuple[str, str]:
    match = _ARN.fullmatch(rest)
    if not match:
        form = "s3://arn:<partition>:s3:<region>:<12 digits>:accesspoint/<name>/<key>"
        raise BadUri(f"{_shown(text)} has an ARN that is no access point's: expected {form}")
    if match["name"] and (match["region"] == "") != match["name"].endswith(".mrap"):
        raise BadUri(f"{_shown(text)}: only the ARN of a Multi-Region Access Point (<alias>.mrap) has no region")
    return match["arn"], match["key"] or ""


def _checked_url(text: str, rest: str) -> str:
    if _CONTROL.search(text):
        raise BadUri(f"{_shown(text)} has a control character: it must be percent-encoded")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port  # raises for one that is no number
        text.encode()
    except ValueError as error:
        raise BadUri(f"{_shown(text)} is no URL: {error}") from None
    if not host or re.search(r"[\s\\]", _authority(rest)[0]):
        raise BadUri(f"{_shown(text)} names no host: {_EXPECTED}")
    return text


def _path_of_file_uri(text: str, rest: str) -> str:
    """By RFC 8089, with `?` and `#` as part of the name; a host that is not this machine makes a UNC path."""
    path = rest
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        path = slash + path if host.lower() in _THIS_MACHINE else f"//{host}{slash}{path}"
    path = os.fsdecode(unquote_to_bytes(path.encode("utf-8", "surrogateescape")))
    if os.name == "nt" and re.match(r"/[A-Za-z][:|]", path):
        path = f"{path[1]}:{path[3:]}"
    if not path:
        raise BadUri(f"{_shown(text)} names no file: expected file:///path")
    return path


def _joined(base: str, part: str) -> str:
    if not part:
        return base
    if part.startswith("/"):
        return part[1:]
    return base + part if not base or base.endswith("/") else f"{base}/{part}"


def _shown(text: str) -> str:
    """The value for a message: without what may be a secret (a URL's query, user and password), and not too long."""
    if re.match(r"(?i)\s*https?:", text):
        text = re.sub(r"//[^/]*@", "//", re.split(r"[?#]", text, maxsplit=1)[0])
    return repr(text if len(text) <= 200 else text[:199] + "…")

"""What a place's S3 answers, read: its XML, its headers and its errors."""

import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus

import msgspec

from nearside import errors
from nearside.gateway.records import Listed, Seen, Stored

log = logging.getLogger("nearside")

MARK = "x-amz-meta-nearside-generation"
_KEPT = frozenset({
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
})  # fmt: skip


class Answer(msgspec.Struct, frozen=True):
    """Status, headers (lower-case names) and the whole body of one answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> Mapping[str, str]:
        """The texts of an `<Error>` body by element (`Code`, `Message`, `Region`…); empty when there is none, as after
        a HEAD."""
        root = self.xml()
        if root is None or _tag(root) != "Error":
            return {}
        return {_tag(each): each.text or "" for each in root}

    def xml(self) -> ET.Element | None:
        """The body's root; None when it is no XML. S3 sends spaces while a CopyObject or a CompleteMultipartUpload is
        under way, so they may stand before it. expat resolves no external entities and bounds internal ones."""
        try:
            return ET.fromstring(self.body.strip())
        except ET.ParseError:
            return None


_LATER = (408, 409, 429)  # a timeout, another request under way, too many requests: it may be done after all, or later


def error_of(name: str, answer: Answer) -> errors.NearsideError:
    """What an answer that is no success means; `name` is the place. S3's own words name keys, roles and buckets: they
    are for the log."""
    said = answer.error
    code = said.get("Code", "")
    region = answer.headers.get("x-amz-bucket-region", "")
    words = f"{name} answered {code or answer.status}" + (f" (the bucket is in {region})" if region else "")
    if answer.status != 404:
        log.warning("%s: %s", words, said.get("Message", ""))
    error = errors.from_s3(code, answer.status, words)
    if isinstance(error, errors.Unreachable) and 400 <= answer.status < 500 and answer.status not in _LATER:
        return errors.BadRequest(words)  # it read the request, and did not do it
    return error


def result(name: str, answer: Answer) -> ET.Element:
    """The root of a success's XML. A 200 may hold an error, where S3 answered before it was done
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html): that is raised."""
    root = answer.xml()
    if root is None:
        raise errors.Unreachable(f"{name} answered {answer.status} without XML that can be read")
    if _tag(root) == "Error":
        status = 404 if answer.error.get("Code", "").startswith("NoSuch") else 500
        raise error_of(name, Answer(status, answer.headers, answer.body))
    return root


def text(element: ET.Element, name: str) -> str:
    """The text of a child, in whatever namespace (some providers have none); empty when there is none."""
    return element.findtext(f"{{*}}{name}") or ""


def number(element: ET.Element, name: str) -> int:
    """The same as a whole number. Raises Unreachable when it is none."""
    return _whole(text(element, name), name)


def stored(answer: Answer, versions: bool | None, etag: str = "") -> Stored:
    """What an answer to a write tells; `versions` is whether the provider has them: R2 gives ids that lead nowhere."""
    return Stored(version_of(answer, versions), bare(etag or answer.headers.get("etag", "")))


def version_of(answer: Answer, versions: bool | None) -> str | None:
    """The version id. `null` is the id of whatever was written while versioning was off, so it tells nothing."""
    version = answer.headers.get("x-amz-version-id", "")
    return version if versions is not False and version not in ("", "null") else None


def seen(answer: Answer, versions: bool | None) -> Seen:
    """What the headers of a HEAD or a GET tell of an object."""
    headers = answer.headers
    kept = {name: value for name, value in headers.items() if name in _KEPT or name.startswith("x-amz-meta-")}
    modified = headers.get("last-modified")
    return Seen(
        size=_whole(headers.get("content-length", "0"), "content-length"),
        etag=bare(headers.get("etag", "")),
        version=version_of(answer, versions),
        generation=kept.pop(MARK, ""),
        modified=_seconds(parsedate_to_datetime, modified) if modified else 0.0,
        headers=kept,
    )


def listed(root: ET.Element) -> Iterator[Listed]:
    """The objects of a ListObjects or ListObjectsV2 answer."""
    for each in root.iterfind("{*}Contents"):
        modified = _seconds(datetime.fromisoformat, text(each, "LastModified"))
        yield Listed(key_of(root, each), number(each, "Size"), bare(text(each, "ETag")), modified)


def key_of(root: ET.Element, entry: ET.Element) -> str:
    """An entry's key. `encoding-type=url` was asked for, since XML cannot hold every key, and holds if it is told."""
    key = text(entry, "Key")
    return unquote_plus(key) if text(root, "EncodingType") == "url" else key


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.removeprefix("W/").strip('"')


def _whole(found: str, name: str) -> int:
    if not found.isdecimal() or len(found) > 20:
        raise errors.Unreachable(f"an answer of S3 has {found[:80]!r} for {name}")
    return int(found)


def _seconds(parse: Callable[[str], datetime], found: str) -> float:
    """Since the epoch; a time without a zone is UTC. Raises Unreachable when it is none."""
    try:
        parsed = parse(found)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise errors.Unreachable(f"an answer of S3 has {found[:80]!r} for the time of an object") from None


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]

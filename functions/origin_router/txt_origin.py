"""The grammar of an origin in a TXT record, the allow-list of buckets and the record's signature; no I/O.

    text   = origin *( "," origin ) [ " sig=" signature ]
    origin = bucket ".s3" [ ".dualstack" ] "." region ".amazonaws.com" [ ".cn" ] [ "." ] [ path ] [ " weight=" 0..1000 ]

The strings of one record are joined without a separator first, as RFC 7208 3.3 joins them. The signature is the
HMAC-SHA256 of `<name of the record>\n<text before " sig=">` in base64url without padding.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MAX_ORIGINS = 100  # of one name: each costs a request a hash when the choice is sticky
MAX_WEIGHT = 1000
_MAX_HOST_LENGTH = 128  # of an S3 origin (the event's page, below)

_SIGNED = re.compile(r"(.*) sig=([A-Za-z0-9_-]{43})", re.DOTALL)
# Greedy: a bucket may have ".s3." in its own name, so the last one counts.
_HOST = re.compile(
    r"(?P<bucket>.+)\.s3(?:\.dualstack)?\.(?P<region>[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2})"
    r"\.amazonaws\.com(?P<china>\.cn)?"
)
_LEGACY = re.compile(r"(?:.+\.)?s3(?:-[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")
_PATH_STYLE = re.compile(r"s3(?:\.dualstack)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"(?!.*\.\.)(?![0-9]+\.[0-9]+\.[0-9]+\.[0-9]+\Z)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Of CloudFront's event: begins with a slash, does not end with one, URL-encoded, at most 255 characters
# (https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html).
_PATH = re.compile(r"(?=.{2,255}\Z)(?:/(?:[A-Za-z0-9._~!$&'()*+;=:@-]|%[0-9A-Fa-f]{2})+)+")
_WEIGHT = re.compile(r"weight=([0-9]{1,4})")


class BadRecord(ValueError):
    """A record, or one origin in it, that is not used; the text says why."""


class Origin(NamedTuple):
    """One bucket that a record names."""

    bucket: str
    region: str
    host: str
    """In lower case, without the root's dot; dual-stack stays dual-stack."""
    path: str = ""
    weight: int = 1


def usable(
    name: str, texts: Iterable[str], allow: Sequence[str], keys: Sequence[str]
) -> tuple[list[Origin], list[str]]:
    """The origins of all records of `name` that may be used, weights of the same origin added up; and why each of the
    others may not."""
    origins: dict[tuple[str, str], Origin] = {}
    refusals: list[str] = []
    for text in texts:
        try:
            for origin in parse(authentic(name, text, keys)):
                if not allowed(origin.bucket, allow):
                    refusals.append(f"bucket {origin.bucket} is not on the allow-list")
                    continue
                before = origins.get((origin.host, origin.path))
                if before:
                    origin = origin._replace(weight=before.weight + origin.weight)
                elif len(origins) >= MAX_ORIGINS:
                    raise BadRecord(f"more than {MAX_ORIGINS} origins")
                origins[origin.host, origin.path] = origin
        except BadRecord as error:
            refusals.append(str(error))
    return list(origins.values()), refusals


def parse(text: str) -> list[Origin]:
    """The origins of one record's text (without signature). Raises BadRecord: a record is used whole or not at all."""
    return [_origin(part.strip(" ")) for part in text.split(",")]


def authentic(name: str, text: str, keys: Sequence[str]) -> str:
    """The text without its signature. Raises BadRecord when keys are given and none of them made the signature."""
    found = _SIGNED.fullmatch(text)
    unsigned = found[1] if found else text
    if not keys:
        return unsigned
    if not found:
        raise BadRecord("the record is not signed")
    from hmac import compare_digest  # 3 ms of a cold start, with hashlib

    good = [compare_digest(signature(name, unsigned, key), found[2]) for key in keys]
    if not any(good):
        raise BadRecord("the record's signature is not by a known key")
    return unsigned


def signature(name: str, text: str, key: str) -> str:
    """What `sig=` must say after `text` in a record of `name` for this key."""
    from base64 import urlsafe_b64encode
    from hmac import digest

    signed = f"{name.lower().removesuffix('.')}\n{text}".encode()
    return urlsafe_b64encode(digest(key.encode(), signed, "sha256")).rstrip(b"=").decode()


def allowed(bucket: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns is the bucket's name; `*` stands for anything but a dot. No patterns: nothing is."""
    return bool(patterns) and _matcher(tuple(patterns)).fullmatch(bucket) is not None


@functools.lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join("[^.]*".join(map(re.escape, pattern.split("*"))) for pattern in patterns))


def _origin(text: str) -> Origin:
    words = text.split()
    if not words:
        raise BadRecord("an origin is empty")
    address, *options = words
    host, slash, path = address.partition("/")
    bucket, region, host = _bucket(host.lower().removesuffix("."))
    if slash:
        path = _checked_path("/" + path)
    return Origin(bucket, region, host, path, _weight(options))


def _bucket(host: str) -> tuple[str, str, str]:
    """Bucket, region and host. Raises BadRecord with what is wrong."""
    shown = repr(host[:120])
    found = _HOST.fullmatch(host) if len(host) <= _MAX_HOST_LENGTH else None
    if not found:
        if _LEGACY.fullmatch(host[:_MAX_HOST_LENGTH]):
            raise BadRecord(f"{shown} is a legacy name: write <bucket>.s3.<region>.amazonaws.com, with the region")
        if _PATH_STYLE.fullmatch(host[:_MAX_HOST_LENGTH]):
            raise BadRecord(f"{shown} names no bucket: write <bucket>.s3.<region>.amazonaws.com")
        raise BadRecord(f"{shown} is not <bucket>.s3.<region>.amazonaws.com")
    if not _BUCKET.fullmatch(found["bucket"]):
        raise BadRecord(f"{found['bucket'][:120]!r} is no name of a bucket")
    if bool(found["china"]) != found["region"].startswith("cn-"):
        raise BadRecord(f"{shown}: .com.cn goes with regions in China, and only with them")
    return found["bucket"], found["region"], host


def _checked_path(path: str) -> str:
    """Raises BadRecord for a path that CloudFront would refuse, or that S3 and a client might read differently."""
    if not _PATH.fullmatch(path) or {".", ".."} & set(re.sub("%2[eE]", ".", path).split("/")):
        raise BadRecord(
            f"{path[:120]!r} is no path: /, then URL-encoded names, no / at the end, 255 characters at most"
        )
    return path


def _weight(options: Sequence[str]) -> int:
    if not options:
        return 1
    found = _WEIGHT.fullmatch(options[0])
    if len(options) > 1 or not found or int(found[1]) > MAX_WEIGHT:
        raise BadRecord(f"{' '.join(options)[:120]!r} is not weight=0…{MAX_WEIGHT}")
    return int(found[1])

"""What the custom headers of a CloudFront origin tell origin_router to do.

| header | value | default |
|---|---|---|
| `X-DNS-ORIGIN` | the DNS name whose TXT record names the origin | none: the request goes on as it came |
| `X-ORIGIN-ALLOW` | bucket patterns, comma-separated; `*` is anything but a dot | nothing is allowed |
| `X-ORIGIN-AUTH` | `oai`, `sigv4` or `none` | `oai` for an S3 origin that has one, else `none` |
| `X-ORIGIN-KEY` | HMAC keys of 16 characters or more, comma-separated | records need no signature |
| `X-ORIGIN-STICKY` | `ip`, `cookie:<name>` or `header:<name>` | an origin at random, by weight |
| `X-ORIGIN-TTL` | `floor-ceiling`, seconds | `5-300` |
| `X-ORIGIN-STALE` | seconds that an expired record may serve while DNS fails | 86400 |
| `X-ORIGIN-DEADLINE` | milliseconds for one lookup over all resolvers, at most 4000 | 1000 |
| `X-ORIGIN-RESOLVERS` | `address[:port]`, comma-separated, IPv6 in brackets | those of /etc/resolv.conf |
| `X-ORIGIN-DEBUG` | `true`: the response says origin and reason | `false` |
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

NAME, ALLOW, AUTH, KEY, STICKY = "x-dns-origin", "x-origin-allow", "x-origin-auth", "x-origin-key", "x-origin-sticky"
TTL, STALE, DEADLINE = "x-origin-ttl", "x-origin-stale", "x-origin-deadline"
RESOLVERS, DEBUG = "x-origin-resolvers", "x-origin-debug"
HEADERS = frozenset((NAME, ALLOW, AUTH, KEY, STICKY, TTL, STALE, DEADLINE, RESOLVERS, DEBUG))

MIN_KEY_LENGTH = 16
MAX_DEADLINE_MILLISECONDS = 4000  # with the grace in records.py it must end before the function's 5 seconds do
_DNS_PORT = 53
_DAY_SECONDS = 86_400

# RFC 1035 2.3.4: 63 octets a label, 255 a name: 253 characters. Names of TXT records often have an underscore.
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_PATTERN = re.compile(r"[a-z0-9.*-]{1,63}")
_STICKY = re.compile(r"ip|cookie:[!#-'*+.^_`|~0-9A-Za-z-]+|header:[!#-'*+.^_`|~0-9A-Za-z-]+")
_RESOLVER = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?")


class BadDirection(ValueError):
    """A header of ours that cannot be read; the text names it, and never says a key."""


class Question(NamedTuple):
    """What is to be looked up and what may come of it: the key of the record cache."""

    name: str
    """In lower case, without the root's dot."""
    allow: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    resolvers: tuple[tuple[str, int], ...] = ()
    """Address and port of each; empty: the system's."""
    floor_seconds: int = 5
    ceiling_seconds: int = 300
    stale_seconds: int = _DAY_SECONDS
    deadline_seconds: float = 1.0


class Directions(NamedTuple):
    """Everything that the headers of one origin say."""

    question: Question
    auth: str = ""
    """`oai`, `sigv4`, `none`, or empty: whatever suits the origin."""
    sticky: str = ""
    debug: bool = False


def read(headers: Mapping[str, str]) -> Directions | None:
    """What these headers (lower-case names) say; None without X-DNS-ORIGIN. Raises BadDirection."""
    if NAME not in headers:
        return None
    name = headers[NAME].strip().lower().removesuffix(".")
    if not _DNS_NAME.fullmatch(name):
        raise _bad(NAME, headers[NAME], "a DNS name")
    floor, ceiling = _ttl(headers.get(TTL, "5-300"))
    question = Question(
        name,
        tuple(_each(headers, ALLOW, _PATTERN, "bucket patterns of a-z, 0-9, dots, hyphens and *")),
        _keys(headers),
        tuple(map(_resolver, _listed(headers, RESOLVERS))),
        floor,
        ceiling,
        _number(headers, STALE, _DAY_SECONDS, 0, 30 * _DAY_SECONDS),
        _number(headers, DEADLINE, 1000, 10, MAX_DEADLINE_MILLISECONDS) / 1000,
    )
    return Directions(
        question,
        _one_of(headers, AUTH, ("oai", "sigv4", "none")),
        _sticky(headers.get(STICKY, "")),
        _one_of(headers, DEBUG, ("true", "false")) == "true",
    )


def is_debug(headers: Mapping[str, str]) -> bool:
    """Whether X-ORIGIN-DEBUG is `true`, whatever the other headers are worth."""
    return headers.get(DEBUG, "").strip().lower() == "true"


def _bad(header: str, value: str, expected: str) -> BadDirection:
    return BadDirection(f"{header} is {value[:100]!r}: expected {expected}")


def _listed(headers: Mapping[str, str], header: str) -> list[str]:
    """The entries of a comma-separated header that is there; an empty entry is an error, an absent header is not."""
    if header not in headers:
        return []
    return [entry.strip() for entry in headers[header].split(",")]


def _each(headers: Mapping[str, str], header: str, shape: re.Pattern[str], expected: str) -> list[str]:
    entries = _listed(headers, header)
    for entry in entries:
        if not shape.fullmatch(entry):
            raise _bad(header, entry, expected)
    return entries


def _keys(headers: Mapping[str, str]) -> tuple[str, ...]:
    keys = _listed(headers, KEY)
    if any(len(key) < MIN_KEY_LENGTH for key in keys):
        raise BadDirection(f"{KEY} has a key of less than {MIN_KEY_LENGTH} characters")
    return tuple(keys)


def _one_of(headers: Mapping[str, str], header: str, choices: tuple[str, ...]) -> str:
    if header not in headers:
        return ""
    value = headers[header].strip().lower()
    if value not in choices:
        raise _bad(header, headers[header], ", ".join(choices))
    return value


def _sticky(value: str) -> str:
    kind, colon, name = value.strip().partition(":")
    sticky = kind.lower() + colon + (name.lower() if kind.lower() == "header" else name)
    if sticky and not _STICKY.fullmatch(sticky):
        raise _bad(STICKY, value, "ip, cookie:<name> or header:<name>")
    return sticky


def _number(headers: Mapping[str, str], header: str, default: int, least: int, most: int) -> int:
    if header not in headers:
        return default
    text = headers[header].strip()
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise _bad(header, headers[header], f"a whole number from {least} to {most}")
    return int(text)


def _ttl(value: str) -> tuple[int, int]:
    found = re.fullmatch("([0-9]{1,6})-([0-9]{1,6})", value.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= _DAY_SECONDS:
        raise _bad(TTL, value, f"floor-ceiling in seconds, 1 to {_DAY_SECONDS}")
    return int(found[1]), int(found[2])


def _resolver(text: str) -> tuple[str, int]:
    import socket  # 3 ms of a cold start, for the few who name resolvers; the lookup that follows needs it anyway

    expected = "address[:port] of an IP address, IPv6 in brackets"
    found = _RESOLVER.fullmatch(text)
    if not found:
        raise _bad(RESOLVERS, text, expected)
    port = int(found["port"] or _DNS_PORT)
    try:
        socket.inet_pton(socket.AF_INET6 if found["six"] else socket.AF_INET, found["six"] or found["four"])
    except OSError as error:
        raise _bad(RESOLVERS, text, expected) from error
    if not 1 <= port <= 65_535:
        raise _bad(RESOLVERS, text, expected)
    return found["six"] or found["four"], port

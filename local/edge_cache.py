"""What the edge keeps of its origins' answers, for how long, and how it answers a viewer from that.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
"""

import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from local.distribution import CachePolicy
from local.server import Request, Response

MAX_ENTRIES = 2000

_ALWAYS_KEPT_ERRORS = (404, 414, 500, 501, 502, 503, 504)
_KEPT_WHEN_TOLD = (400, 403, 405, 412, 415)
_KEPT_REDIRECTS_WHEN_TOLD = (307, 308)

type Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer of an origin, and on the monotonic clock when it was stored and until when it is fresh."""

    response: Response
    stored: float
    fresh_until: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.fresh_until

    @property
    def age_seconds(self) -> int:
        return int(time.monotonic() - self.stored)


class EdgeCache:
    """Answers by key; those not asked for in a long time are dropped first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Key) -> Entry | None:
        """What is kept under the key, fresh or not."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def keep(self, key: Key, response: Response, seconds: float) -> None:
        """Keep the answer, fresh for so long; an expired one is still good for asking whether it has changed."""
        now = time.monotonic()
        with self._lock:
            self._entries[key] = Entry(response, now, now + seconds)
            self._entries.move_to_end(key)
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing: an invalidation of `/*`."""
        with self._lock:
            self._entries.clear()


def lifetime_seconds(response: Response, policy: CachePolicy) -> float | None:
    """For how long an answer that is no error is fresh: as it says itself, within the policy's limits. 0: it is kept to
    ask the origin whether it has changed; None: it is not kept."""
    if response.status in _KEPT_REDIRECTS_WHEN_TOLD and not response.header("Cache-Control"):
        return None
    directives = _directives(response)
    if directives.keys() & {"no-store", "no-cache", "private"}:
        return policy.min_seconds or (0.0 if "no-cache" in directives else None)
    told = _told_seconds(response)
    if told is None:
        return max(policy.min_seconds, policy.default_seconds)
    return min(max(told, policy.min_seconds), policy.max_seconds)


def error_lifetime_seconds(response: Response, at_least: float) -> float | None:
    """For how long an error is kept, `at_least` the error caching minimum TTL; None: not at all."""
    told = _told_seconds(response)
    if response.status in _ALWAYS_KEPT_ERRORS or (response.status in _KEPT_WHEN_TOLD and told is not None):
        return max(at_least, told or 0.0)
    return None


def revalidation(entry: Entry) -> tuple[tuple[str, str], ...]:
    """The headers that ask the origin whether the expired answer is still right."""
    pairs = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
    return tuple((name, entry.response.header(source)) for name, source in pairs if entry.response.header(source))


def refreshed(entry: Entry, response: Response) -> Response:
    """The kept answer with the headers that came with 304 Not Modified (RFC 9111, 3.2)."""
    added = [header for header in response.headers if header[0].lower() not in ("content-length", "content-type")]
    return entry.response.adding(added)


def for_viewer(request: Request, response: Response) -> Response:
    """The answer as this viewer asked for it: 304 when it has it already, a part when it wants one."""
    if response.status != 200 or request.method not in ("GET", "HEAD"):
        return response
    response = response.adding([("Accept-Ranges", "bytes")])
    if _is_unchanged(request, response):
        return Response(304, response.headers)
    if request.method == "HEAD":
        return response if response.header("Content-Length") else _with_length(response)
    etag = request.header("If-Range")
    if request.has_header("Range") and (not etag or etag == response.header("ETag")):
        return _part(request.header("Range"), response)
    return response


def _with_length(response: Response) -> Response:
    return response.adding([("Content-Length", str(len(response.body)))])


def _is_unchanged(request: Request, response: Response) -> bool:
    if request.has_header("If-None-Match"):
        tags = [tag.strip().removeprefix("W/") for tag in request.header("If-None-Match").split(",")]
        return "*" in tags or response.header("ETag") in tags
    try:
        since = parsedate_to_datetime(request.header("If-Modified-Since"))
        return parsedate_to_datetime(response.header("Last-Modified")) <= since
    except (ValueError, TypeError):  # not there, or no date, or one without a zone
        return False


def _part(asked: str, response: Response) -> Response:
    """206, or 416 for a range outside; the whole answer for what is no single range."""
    size = len(response.body)
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.strip())
    if not match or not any(match.groups()):
        return response
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or (first and last and int(last) < start):
        return Response(416, (("Content-Range", f"bytes */{size}"),))
    body = response.body[start : end + 1]
    return Response(206, response.headers, body).adding([("Content-Range", f"bytes {start}-{end}/{size}")])


def _directives(response: Response) -> dict[str, str]:
    pairs = (part.strip().lower().partition("=") for part in response.header("Cache-Control").split(","))
    return {name: value.strip('"') for name, _, value in pairs if name}


def _told_seconds(response: Response) -> float | None:
    """What s-maxage says, else max-age, else Expires; None when nothing is said."""
    directives = _directives(response)
    for name in ("s-maxage", "max-age"):
        if directives.get(name, "").isdecimal():
            return float(directives[name])
    try:
        return max(0.0, parsedate_to_datetime(response.header("Expires")).timestamp() - time.time())
    except (ValueError, TypeError):
        return None

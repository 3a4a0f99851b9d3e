"""Reading the bytes of one version, from whichever source still gives them: a cut is gone on with where it was."""

import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from nearside.caching.asking import Patience, Reply, is_strong, light, sha256_of
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import Answer, Source, Wanted
from nearside.errors import NearsideError

# A server that cuts again and again gets on by a few bytes each time; here it is given up.
_MAX_CUTS = 100


class Changed(Exception):
    """The object was replaced while it was downloaded."""


class Restart(Exception):
    """The download was cut, and nothing tells two versions apart by which it could go on. The cause is its reason."""


class Span(msgspec.Struct, frozen=True):
    """Bytes from `start` up to `stop`, which is not among them; None: to an end that nobody announced."""

    start: int
    stop: int | None


class Reader:
    """Reads spans of the version that `reply` began with. Thread-safe: spans are read side by side."""

    def __init__(
        self, reply: Reply, sources: Sequence[Source], headers: Mapping[str, str], size: int | None, patience: Patience
    ) -> None:
        self.size = size
        self.can_resume = size is not None and is_strong(headers.get("etag", ""))
        self.has_ranges = self.can_resume and headers.get("accept-ranges", "").lower() == "bytes"
        self._patience = patience
        self._etag = headers.get("etag", "")
        self._sha256 = sha256_of(reply.answer)
        first = next(index for index, source in enumerate(sources) if source is reply.source)
        self._sources = [*sources[first:], *sources[:first]]
        self._etags = {id(reply.source): self._etag}
        self._has_other = False  # a source turned out to have another version
        self._last: NearsideError | None = None
        self._lock = threading.Lock()

    def pieces(self, span: Span, view: memoryview, answer: Answer | None = None) -> Iterator[int]:
        """How many of the span's bytes came into `view`, piece by piece; `answer` is one whose body begins with them.

        Raises Changed, Restart, or what the last source said when none gives them.
        """
        at, failures, cuts = span.start, 0, 0
        try:
            while True:
                source = self._current()
                try:
                    answer = answer or self._opened(source, at, span.stop, view)
                    if answer is None:
                        continue
                    for count in _body(answer, at, span.stop, view):
                        at, failures = at + count, 0
                        yield count
                        self._patience.check(source.name)
                    return
                except UnreachableObject as error:
                    failures, cuts = failures + 1, cuts + 1
                    _close(answer)
                    answer = None
                    self._move_on(source, failures, cuts, error)
        finally:
            _close(answer)

    def _current(self) -> Source:
        with self._lock:
            if self._sources:
                return self._sources[0]
        raise Changed if self._has_other or self._last is None else self._last

    def _move_on(self, failed: Source, failures: int, cuts: int, error: UnreachableObject) -> None:
        """To the next source; after each has failed, with a pause. Raises what is to be said when it has no sense to go
        on: Restart, Changed, or the error."""
        self._patience.check(failed.name)
        if not self.can_resume:
            raise Restart from error
        with self._lock:
            count = len(self._sources)
            if count and self._sources[0] is failed:  # else another thread has moved on already
                self._sources.append(self._sources.pop(0))
        if failures > self._patience.rounds * count or cuts > _MAX_CUTS:
            if self._has_other:
                raise Changed from error
            raise error
        turns, rest = divmod(failures, count)
        if rest == 0:
            self._patience.wait(turns - 1, error.retry_after)

    def _opened(self, source: Source, start: int, stop: int | None, view: memoryview) -> Answer | None:
        """The source's answer, whose body begins at `start`. One that turns out not to have this version is left out
        from now on; then, and when its own name of the version had to be learnt first, None."""
        etag = self._etags.get(id(source), self._etag)
        try:
            answer = source.open(Wanted(start, stop, if_match=etag))
        except (MissingObject, RefusedObject, BadUri) as error:
            self._last = light(error)
        else:
            if self._begins(answer, etag, start, stop, view):
                return answer
            answer.close()
            if self._knows(source):
                return None
            self._has_other = True
        with self._lock:
            if source in self._sources:
                self._sources.remove(source)
        return None

    def _begins(self, answer: Answer, etag: str, start: int, stop: int | None, view: memoryview) -> bool:
        """Whether the answer's body is this version's from `start` on; where a server ignored the range, after what is
        before it was read and left."""
        if answer.headers.get("etag") != etag:  # some servers do not know If-Match
            return False
        if answer.status == 206:
            end = self.size if stop is None else stop
            return answer.headers.get("content-range", "") == f"bytes {start}-{(end or 0) - 1}/{self.size}"
        if answer.status != 200:
            return False
        while start > 0:
            count = answer.read_into(view[: min(start, len(view))])
            if count == 0:
                raise UnreachableObject(f"the body ended {start} bytes before what was asked for")
            start -= count
        return True

    def _knows(self, source: Source) -> bool:
        """Whether the source has the same bytes under an ETag of its own, by their SHA-256; it is remembered then."""
        if not self._sha256 or id(source) in self._etags:
            return False
        try:
            answer = source.open(Wanted())
        except (MissingObject, RefusedObject, BadUri):
            return False
        try:
            etag = answer.headers.get("etag", "")
            if answer.status != 200 or not is_strong(etag) or sha256_of(answer) != self._sha256:
                return False
            self._etags[id(source)] = etag
            return True
        finally:
            answer.close()


def _body(answer: Answer, at: int, stop: int | None, view: memoryview) -> Iterator[int]:
    """What comes into `view`, up to `stop` or the end."""
    while stop is None or at < stop:
        count = answer.read_into(view if stop is None else view[: stop - at])
        if count == 0:
            if stop is None:
                return
            raise UnreachableObject(f"the body ended {stop - at} bytes early")
        at += count
        yield count


def _close(answer: Answer | None) -> None:
    if answer is not None:
        answer.close()

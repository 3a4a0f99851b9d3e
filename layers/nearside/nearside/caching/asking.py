"""Asking the sources of one object in turn until one decides: what is retried, what is skipped, what is said then."""

import random
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime

import msgspec

from nearside.caching.checksums import expected
from nearside.caching.entries import Entry
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import Answer, Source, Wanted

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 8.0


class Patience(msgspec.Struct, frozen=True):
    """How long a source is waited for: to connect, and for each piece of an answer, in seconds (a client of the
    caller's has its own); in how many rounds in all those are asked that cannot be reached; how long the pause between
    two rounds is at most, though the server asks for a longer one; and how long all of one get may take (None: as long
    as it does)."""

    rounds: int = 4
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    longest_pause_seconds: float = 30.0
    total_seconds: float | None = None
    pause: Callable[[float], None] = time.sleep
    ends_at: float | None = None
    """By `time.monotonic`, when a get is under way."""

    def begun(self) -> "Patience":
        """For one get, which begins now."""
        if self.total_seconds is None:
            return self
        return msgspec.structs.replace(self, ends_at=time.monotonic() + self.total_seconds)

    def left(self) -> float | None:
        """The seconds that are left; None: there is no end."""
        return None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())

    def check(self, name: str) -> None:
        """Raises UnreachableObject when the time is over; `name` is who was asked."""
        if self.ends_at is not None and time.monotonic() >= self.ends_at:
            raise UnreachableObject(f"{name} did not give all of it within {self.total_seconds:g} seconds")

    def wait(self, turn: int, retry_after: float = 0.0) -> None:
        """Pauses after failure number `turn` (from 0): twice as long each time, at random between the half of it and
        the whole, so that many who failed together do not come back together; what the server asked for at least."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**turn)
        seconds = max(random.uniform(longest / 2, longest), retry_after)
        left = self.left()
        seconds = min(seconds, self.longest_pause_seconds, seconds if left is None else left)
        self.pause(seconds)


class Reply(msgspec.Struct, frozen=True):
    """A source and what it answered; the body is still to be read."""

    source: Source
    answer: Answer


def light[E: Exception](error: E) -> E:
    """The error without tracebacks, its own and those of the errors that led to it: their frames would keep it, and all
    that the caller has, until the garbage collector comes."""
    at: BaseException | None = error
    while at is not None and at.__traceback__ is not None:
        at.__traceback__ = None
        at = at.__cause__ or at.__context__
    return error


def first(sources: Sequence[Source], known: Entry | None, patience: Patience) -> Reply:
    """The first source's answer that decides: 304, when it has the version that is `known`, else 200 with a body.

    A place without the object (404), or that refuses, or that still has an older version than the known one, does not
    decide while another may. Places that cannot be reached are asked again, as `patience` says.

    Raises UnreachableObject when one could not be reached and no other decided, else RefusedObject when one refused,
    else MissingObject: that is when every one answered 404.
    """
    asked = _Asked(known, alone=len(sources) == 1)
    left = sources
    for turn in range(patience.rounds):
        asked.away = []
        for source in left:
            patience.check(source.name)
            if (reply := asked.ask(source)) is not None:
                return reply
        left = [source for source, _ in asked.away]
        if not left:
            break
        if turn < patience.rounds - 1:
            patience.wait(turn, max(error.retry_after for _, error in asked.away))
    return asked.ended()


class _Asked:
    """What the sources said that did not decide."""

    def __init__(self, known: Entry | None, *, alone: bool) -> None:
        self._known = known
        self._alone = alone
        self._behind: list[Source] = []
        self._refused: list[RefusedObject] = []
        self._odd: list[BadUri] = []
        self._missing: list[MissingObject] = []
        self.away: list[tuple[Source, UnreachableObject]] = []

    def ask(self, source: Source) -> Reply | None:
        """The source's answer, if it decides."""
        try:
            answer = _opened(source, _conditional(self._known))
        except RefusedObject as error:
            self._refused.append(light(error))
        except MissingObject as error:
            self._missing.append(light(error))
        except BadUri as error:  # this place can make nothing of it, perhaps of another's version id
            if self._alone:
                raise
            self._odd.append(light(error))
        except UnreachableObject as error:
            self.away.append((source, light(error)))
        else:
            if self._known is None or self._alone or not is_behind(source.name, answer, self._known):
                return Reply(source, answer)
            answer.close()
            self._behind.append(source)
        return None

    def ended(self) -> Reply:
        """What is to be said when no source decided."""
        if self.away:
            raise self.away[-1][1]
        if self._behind:  # all of them: the newer version was taken back
            return Reply(self._behind[0], _opened(self._behind[0], Wanted()))
        if self._refused:
            raise self._refused[0]
        raise (self._odd or self._missing)[0]


def _opened(source: Source, wanted: Wanted) -> Answer:
    answer = source.open(wanted)
    conditional = wanted.if_none_match or wanted.if_modified_since
    if answer.status == 200 or (answer.status == 304 and conditional):
        return answer
    answer.close()
    raise UnreachableObject(f"{source.name} answers {answer.status} to a GET of the whole")


def _conditional(known: Entry | None) -> Wanted:
    if known is None:
        return Wanted()
    return Wanted(if_none_match=known.etag, if_modified_since="" if known.etag else known.last_modified)


def is_behind(name: str, answer: Answer, known: Entry) -> bool:
    """Whether the source of this name answers with a version older than the known one. Replicas keep their original's
    time (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html), and their
    version ids; a copy in a place that keeps versions otherwise has a time of its own, which says nothing."""
    if answer.status != 200 or is_same(answer, known):
        return False
    versions = (known.version_id, answer.headers.get("x-amz-version-id", ""))
    if name != known.fetched_from and len({version in ("", "null") for version in versions}) == 2:
        return False
    try:
        theirs = parsedate_to_datetime(answer.headers.get("last-modified", ""))
        return theirs < parsedate_to_datetime(known.last_modified)
    except (TypeError, ValueError):  # one of them is absent, or no date
        return False


def is_same(answer: Answer, known: Entry) -> bool:
    """Whether the answer is of the known version: it says so itself (304), or has its version id, its ETag, or its
    SHA-256. Copies at other providers have ETags of their own."""
    if answer.status == 304:
        return True
    headers = answer.headers
    version_id = headers.get("x-amz-version-id", "")
    return (
        (version_id not in ("", "null") and version_id == known.version_id)
        or (is_strong(known.etag) and headers.get("etag") == known.etag)
        or sha256_of(answer) == known.sha256
    )


def is_strong(etag: str) -> bool:
    """Whether equal tags mean equal bytes (RFC 9110, 8.8.1)."""
    return etag.startswith('"')


def sha256_of(answer: Answer) -> str:
    """The SHA-256 of the whole object in hex, as the answer says it; empty when it does not."""
    found = expected(answer.headers, from_s3=True)
    return found.digest.hex() if found and found.make is None else ""

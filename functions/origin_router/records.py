"""The records that this container knows: fresh for their TTL, refreshed ahead of its end, stale while DNS fails.

Every lookup runs in a thread of its own, one at a time for each question, and whoever needs its outcome waits for it as
long as it is worth: the whole deadline for a record that is not there or has expired; nothing when a fresh record is
refreshed ahead; and when the last lookup failed, a moment for whoever asks again and nothing for the others, so that a
dead DNS costs one request its deadline and no other. Lambda freezes a container between requests, threads included: a
lookup that was frozen past its deadline is given up and another one takes its place. The clock is the wall's, since a
monotonic one may stand still meanwhile.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import saying
import txt_origin
from directions import Question
from txt_origin import Origin

AHEAD = 0.05  # of the TTL is left when a record is refreshed ahead
RECHECK_SECONDS = 5.0  # at most, after a lookup that failed; the TTL's floor if that is less
MOMENT_SECONDS = 0.05  # that a request waits for DNS to be well again
GRACE_SECONDS = 0.5  # for a thread beyond its lookup's deadline: to start, and to import dnspython the first time
MAX_RECORDS = 256


class LookupFailed(Exception):
    """No resolver answered in time with something to use; the text says what each one did."""


class Answered(Protocol):
    """What a lookup gives."""

    @property
    def texts(self) -> Iterable[str]: ...

    @property
    def ttl(self) -> int: ...


type Resolve = Callable[[str, Sequence[tuple[str, int]], float], Answered]
"""Looks up a name at these resolvers within so many seconds. Raises LookupFailed."""


class Found(NamedTuple):
    """The origins to choose from, and why: `fresh`, `cached`, `stale: …`, or, when there are none, `configured: …`."""

    origins: Sequence[Origin]
    reason: str


class _Lookup:
    """One lookup under way."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.done = threading.Event()


class _Record:
    """What is known of one question. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self.origins: Sequence[Origin] | None = None
        self.since = 0.0
        self.refresh_at = 0.0
        self.expires_at = 0.0
        self.failure = ""
        self.recheck_at = 0.0
        self.under_way: _Lookup | None = None

    def is_fresh(self, now: float) -> bool:
        """Within its TTL. A clock that was set back makes it expired rather than eternal."""
        return self.since <= now < self.expires_at


class Records:
    """The cache of one container. `resolve` looks up; `clock` tells the seconds since the epoch."""

    def __init__(self, resolve: Resolve, clock: Callable[[], float]) -> None:
        self._resolve = resolve
        self._clock = clock
        self._records: dict[Question, _Record] = {}
        self._lock = threading.Lock()

    def find(self, question: Question) -> Found:
        """The usable origins of the question's name."""
        now = self._clock()
        record = self._records.get(question) or self._new(question)
        origins = record.origins
        if origins is not None and record.is_fresh(now):
            if now >= record.refresh_at and now >= record.recheck_at:
                self._look(question, record, now)
            return Found(origins, "cached") if origins else _DRAINED
        if not record.failure:
            self._look(question, record, now)[0].done.wait(question.deadline_seconds + GRACE_SECONDS)
        elif not record.recheck_at - RECHECK_SECONDS <= now < record.recheck_at:
            lookup, is_new = self._look(question, record, now)
            if is_new:
                lookup.done.wait(MOMENT_SECONDS)
        return self._after(question, record)

    def _after(self, question: Question, record: _Record) -> Found:
        """What there is once the wait is over."""
        now = self._clock()
        origins, failure = record.origins, record.failure or "DNS did not answer in time"
        if origins is not None and record.is_fresh(now):
            return Found(origins, "fresh") if origins else _DRAINED
        if origins is not None and record.since <= now < record.expires_at + question.stale_seconds:
            return Found(origins, f"stale: {failure}") if origins else _DRAINED
        return Found((), f"configured: {failure}")

    def _new(self, question: Question) -> _Record:
        with self._lock:
            if len(self._records) >= MAX_RECORDS:
                oldest = min(self._records, key=lambda each: self._records[each].expires_at)
                del self._records[oldest]
            return self._records.setdefault(question, _Record())

    def _look(self, question: Question, record: _Record, now: float) -> tuple[_Lookup, bool]:
        """The lookup under way, or a new one; and whether it is new."""
        with self._lock:
            before = record.under_way
            patience = question.deadline_seconds + GRACE_SECONDS
            if before and not before.done.is_set() and 0 <= now - before.began <= patience:
                return before, False
            lookup = record.under_way = _Lookup(now)
            record.recheck_at = now + _recheck_seconds(question)  # should it never come back
        work = threading.Thread(target=self._run, args=(question, record, lookup), daemon=True)
        try:
            work.start()
        except RuntimeError:  # no further thread is to be had: then the request itself looks
            self._run(question, record, lookup)
        return lookup, True

    def _run(self, question: Question, record: _Record, lookup: _Lookup) -> None:
        origins: list[Origin] = []
        ttl, failure = 0, ""
        try:
            answer = self._resolve(question.name, question.resolvers, question.deadline_seconds)
            origins, refusals = txt_origin.usable(question.name, answer.texts, question.allow, question.keys)
            ttl = min(max(answer.ttl, question.floor_seconds), question.ceiling_seconds)
            for why in refusals:
                saying.warning(f"{question.name}: a record is not used: {why}")
            if not origins:
                failure = f"{question.name} has no usable record: {'; '.join(refusals)}"
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whatever it was, there is no record
            failure = str(error) or repr(error)
            saying.failed(f"{question.name}: {failure}", error, expected=isinstance(error, LookupFailed))
        with self._lock:
            now = self._clock()
            if record.under_way is not lookup:
                pass  # given up as frozen, and its successor knows better
            elif failure:
                record.failure = failure
                record.recheck_at = now + _recheck_seconds(question)
            else:
                drained = not any(origin.weight for origin in origins)
                record.origins = () if drained else tuple(origins)
                record.since, record.expires_at, record.refresh_at = now, now + ttl, now + ttl * (1 - AHEAD)
                record.failure, record.recheck_at = "", 0.0
            if record.under_way is lookup:
                record.under_way = None
        lookup.done.set()


def _recheck_seconds(question: Question) -> float:
    return min(RECHECK_SECONDS, question.floor_seconds)


_DRAINED = Found((), "configured: every origin of the record is drained (weight=0)")

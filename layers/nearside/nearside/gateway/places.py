"""The gateway's places, in the order in which they are asked, and which of them to leave alone for a while."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from nearside.errors import Contended, NearsideError, Unreachable
from nearside.gateway.records import Store

FAILURES_TO_OPEN = 3
OPEN_SECONDS = 10.0
LONGEST_OPEN_SECONDS = 120.0


class Promise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The replication section of the configuration: how many places a write goes to before it is answered, whether the
    other places are written afterwards (else they are written at once too), and whether a write is read back."""

    required_replicas: int = 2
    async_upload: bool = True
    verify_uploads: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A configured place that is enabled."""

    name: str
    provider: str
    zone: str
    primary: bool
    store: Store


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    open_until: float = 0.0
    open_seconds: float = OPEN_SECONDS


class Places:
    """Every enabled place, the primary first, each behind a circuit breaker: after three failures in a row a place is
    left alone for 10 s, and for twice as long each time that it fails at once again, up to 2 minutes. Thread-safe.

    It is kept in memory, so each Lambda environment finds out for itself, and forgets when it ends.
    """

    def __init__(self, places: Sequence[Place], clock: Callable[[], float] = time.monotonic) -> None:
        self._places = {place.name: place for place in sorted(places, key=lambda each: not each.primary)}
        self._breakers = {name: _Breaker() for name in self._places}
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """All of them, the primary first."""
        return list(self._places)

    def __getitem__(self, name: str) -> Place:
        return self._places[name]

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def is_open(self, name: str) -> bool:
        """Whether the place is left alone for now."""
        return self._clock() < self._breakers[name].open_until

    def in_order(self, names: Iterable[str], turn: int = 0) -> list[str]:
        """Those of `names` that are places: first those that answer, in the configured order, then those left alone.
        With another `turn`, another one of those that answer is the first."""
        wanted = set(names)
        known = [name for name in self._places if name in wanted]
        alone = [name for name in known if self.is_open(name)]
        answering = [name for name in known if name not in alone]
        first = turn % len(answering) if answering else 0
        return [*answering[first:], *answering[:first], *alone]

    def ask[T](self, name: str, act: Callable[[Store], T]) -> T:
        """What `act` makes of the place's store; the breaker hears of it. Raises what it raises."""
        try:
            answer = act(self._places[name].store)
        except Unreachable:
            self._failed(name)
            raise
        except Contended:  # our own lease was over, so it was not asked
            raise
        except NearsideError:
            self._answered(name)
            raise
        self._answered(name)
        return answer

    def _answered(self, name: str) -> None:
        with self._lock:
            self._breakers[name] = _Breaker()

    def _failed(self, name: str) -> None:
        with self._lock:
            breaker = self._breakers[name]
            if self._clock() < breaker.open_until:  # this call was begun before, or in spite of it
                return
            breaker.failures += 1
            if breaker.failures >= FAILURES_TO_OPEN:
                breaker.open_until = self._clock() + breaker.open_seconds
                breaker.open_seconds = min(2 * breaker.open_seconds, LONGEST_OPEN_SECONDS)


def zones(places: Places, names: Iterable[str]) -> Mapping[str, str]:
    """Zone codes by place, of those that are places."""
    return {name: places[name].zone for name in names if name in places}

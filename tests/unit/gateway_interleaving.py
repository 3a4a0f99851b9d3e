"""Several processes of the gateway that run at once, one step at a time, in an order that a seed decides.

Each operation is a thread, of which one runs at a time. It stops before and after every call of a place or the catalog,
and whenever it sleeps; then the hand decides who goes on, whose call fails, takes long, or whose process ends.
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nearside.errors import NearsideError, Unreachable


class Killed(BaseException):
    """The process ends here: nothing after this point is done, not even in a handler of errors."""


@dataclass
class Weather:
    """What goes wrong, and how often (0 to 1). `longest` is how many seconds a call may take."""

    flaky: float = 0.0
    catalog: float = 0.0
    deadly: float = 0.0
    slow: float = 0.0
    longest: float = 11.0
    down: frozenset[str] = frozenset()


class Task:
    """One operation under way."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.wakes = 0.0
        self.killed = self.ended = False
        self.failure: BaseException | None = None
        self._act = act
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.go.acquire()
        _own.task = self
        try:
            if not self.killed:
                self._act()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - told by the hand
            self.failure = error
        self.ended = True
        self.back.release()

    def step(self) -> None:
        """Lets it go on to its next stop."""
        self.go.release()
        self.back.acquire()

    def stop(self) -> None:
        """Its stop, in its own thread."""
        self.back.release()
        self.go.acquire()
        if self.killed:
            raise Killed


_own = threading.local()


@dataclass
class Hand:
    """Decides what comes next. It is the clock of all processes too, which goes on when all of them sleep."""

    seed: int
    now: float = 1_760_000_000.0
    weather: Weather = field(default_factory=Weather)
    tasks: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        task: Task | None = getattr(_own, "task", None)
        if task is None:
            self.now += seconds
            return
        task.wakes = self.now + seconds
        task.stop()

    def fault(self, name: str) -> Callable[[str, str], None]:
        """What a place's or the catalog's (`""`) calls ask."""

        def fault(method: str, when: str) -> None:
            if getattr(_own, "task", None) is None:
                if name in self.weather.down and when == "before":
                    raise Unreachable(f"{name} does not answer")
                return
            weather = self.weather
            seconds = 0.0
            if name and when == "before" and self.random.random() < weather.slow:
                seconds = self.random.uniform(0, weather.longest)
            self.sleep(seconds)
            share = weather.flaky if name else weather.catalog
            if (name in weather.down and when == "before") or self.random.random() < share:
                raise Unreachable(f"{name or 'the catalog'} does not answer")

        return fault

    def begin(self, act: Callable[[], object]) -> Task:
        """The operation, not yet begun."""
        task = Task(act)
        self.tasks.append(task)
        return task

    def step(self) -> None:
        """One task goes on to its next stop, or its process ends there."""
        awake = [task for task in self.tasks if task.wakes <= self.now]
        if not awake:
            first = min(self.tasks, key=lambda task: task.wakes)
            self.now = first.wakes
            awake = [first]
        task = self.random.choice(awake)
        if self.random.random() < self.weather.deadly:
            task.killed = True
        task.step()
        if task.ended:
            self.tasks.remove(task)
            task.thread.join()
            if task.failure is not None:
                raise task.failure

    def end(self) -> None:
        """Lets everything end."""
        while self.tasks:
            self.step()

    def clear(self) -> None:
        """Ends what is still there after a failure."""
        for task in self.tasks:
            task.killed = True
        while self.tasks:
            try:
                self.step()
            except BaseException:  # noqa: BLE001 - the first failure is the one to tell
                continue


@dataclass
class Write:
    """A write of a key (None: a deletion), when it began and ended, and whether it was answered with success."""

    value: bytes | None
    began: int
    ended: int = 1 << 60
    success: bool = False


class Register:
    """What was written under one key, and what may be read there at a time.

    A write that failed may or may not count, until one that began after its end was answered with success.
    """

    def __init__(self, tick: Callable[[], int]) -> None:
        self.writes = [Write(None, 0, 0, success=True)]
        self._tick = tick

    def write(self, value: bytes | None, act: Callable[[], object]) -> None:
        """Does the write."""
        write = Write(value, self._tick())
        self.writes.append(write)
        try:
            act()
            write.success = True
        except NearsideError:
            return
        finally:
            write.ended = self._tick()

    def may_be(self, value: bytes | None, began: int, ended: int) -> bool:
        """Whether a read between these times may have given it."""
        return any(
            write.value == value
            and write.began <= ended
            and not any(each.success and each.began > write.ended and each.ended < began for each in self.writes)
            for write in self.writes
        )

    def told(self) -> Sequence[str]:
        """For people."""
        return [f"{w.value!r} {w.began}-{w.ended if w.ended < 1 << 60 else '…'} {w.success}" for w in self.writes]

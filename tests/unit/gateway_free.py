"""Processes of the gateway that really run at once, in threads, over places that take a moment to answer."""

import random
import threading
import time
from collections.abc import Callable, Sequence

from nearside.errors import Unreachable
from nearside.gateway.places import Promise
from nearside.gateway.spreading import Spreader
from tests.unit.gateway_interleaving import Hand
from tests.unit.gateway_processes import KEYS, World

LONGEST_SECONDS = 0.001
FLAKY = 0.03


class FreeHand(Hand):
    """Leaves everything to the threads. Its clock can be put forward."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ahead = 0.0
        self.well = False

    @property
    def now(self) -> float:
        return time.time() + self.ahead

    @now.setter
    def now(self, value: float) -> None:
        self.ahead += value - self.now

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def fault(self, name: str) -> Callable[[str, str], None]:
        def fault(method: str, when: str) -> None:
            if self.well:
                return
            time.sleep(self.random.random() * LONGEST_SECONDS)
            if name and self.random.random() < FLAKY:
                raise Unreachable(f"{name} does not answer")

        return fault


class FreeWorld(World):
    """Each thread is a process of its own."""

    def __init__(self, seed: int, kinds: Sequence[bool], promise: Promise, spreader: type[Spreader]) -> None:
        super().__init__(seed, kinds, promise, spreader, hand=FreeHand(seed))
        self._ends = threading.Event()
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def play(self, operations: int, at_once: int) -> None:
        """So many operations in all, by `at_once` threads."""

        def run(number: int) -> None:
            chance = random.Random(number)
            process = self.process()
            try:
                for _ in range(operations // at_once):
                    if self._ends.is_set():
                        return
                    chance.choice(self.acts)(process, chance.choice(KEYS))
            except BaseException as error:  # noqa: BLE001 - told below
                self._failures.append(error)

        self._threads = [threading.Thread(target=run, args=(number,)) for number in range(at_once)]
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(60)
        if self._failures:
            raise self._failures[0]
        assert not any(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        """Leaves nothing running."""
        self._ends.set()
        for thread in self._threads:
            thread.join(60)
        assert isinstance(self.hand, FreeHand)
        self.hand.well = True

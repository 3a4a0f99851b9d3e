"""Doing one thing in several places at once, until enough of them have done it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from nearside.errors import NearsideError
from nearside.gateway.places import Places
from nearside.gateway.records import Store

PARALLEL = 32


class Spreader:
    """Keeps the threads for it. Thread-safe."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="place")

    def __call__[T](
        self, names: Sequence[str], wanted: int, act: Callable[[str, Store], T]
    ) -> Mapping[str, T | NearsideError]:
        """Does `act` in the first `wanted` of `names` at once, and for each that fails in the next one, until `wanted`
        have done it or none is left. Every place that was asked, with what `act` returned or raised there; it waits for
        all of them, whatever is raised, so that nothing is under way any more."""
        waiting = list(names)
        under_way: dict[Future[T], str] = {}
        answers: dict[str, T | NearsideError] = {}
        done = 0
        try:
            while True:
                while waiting and done + len(under_way) < wanted:
                    name = waiting.pop(0)
                    under_way[self._threads.submit(self._asked, name, act)] = name
                if not under_way:
                    return answers
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    name = under_way.pop(future)
                    try:
                        answers[name] = future.result()
                        done += 1
                    except NearsideError as error:
                        answers[name] = error
        finally:
            wait(under_way)

    def _asked[T](self, name: str, act: Callable[[str, Store], T]) -> T:
        return self.places.ask(name, lambda store: act(name, store))

"""Many at once: the same work for each of many, side by side, answered in the order in which they were named."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from nearside.errors import NearsideError


class GivenUp(Exception):
    """The others need not be gone on with."""


def each_of[A, B](
    asked: Sequence[A],
    work: Callable[[A], B],
    done: Callable[[], None],
    *,
    workers: int,
    keep_errors: bool,
    give_up: threading.Event,
) -> list[B | NearsideError]:
    """What `work` gave for each of `asked`, `workers` at a time; the same one is only worked on once. `done` is called
    after each. With `keep_errors` an error of this package stands in its place; else the first is raised (as a
    KeyboardInterrupt is), what was not begun is not begun, and `give_up` tells the others to end with GivenUp."""
    different = list(dict.fromkeys(asked))

    def one(item: A) -> B | NearsideError:
        try:
            return work(item)
        except NearsideError as error:
            if not keep_errors:
                raise
            return error
        finally:
            done()

    pool = ThreadPoolExecutor(max(1, min(workers, len(different))), "nearside-get")
    try:
        futures = {item: pool.submit(one, item) for item in different}
        for future in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
            future.result()
    except BaseException as error:
        give_up.set()
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)  # who presses Ctrl-C does not wait
        raise
    pool.shutdown()
    return [futures[item].result() for item in asked]

"""How long a message of the replicator waits until it comes again."""

from collections.abc import Callable

FIRST_SECONDS, LONGEST_SECONDS = 5.0, 900.0


def pause_seconds(receives: int, chance: Callable[[float, float], float]) -> int:
    """Whole seconds, 1 to 900, after the message was received for the `receives`th time: back-off with full jitter
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). `chance` gives a number between two,
    as `random.uniform` does."""
    longest = FIRST_SECONDS * 2.0 ** min(max(receives - 1, 0), 16)
    return max(1, round(chance(0.0, min(longest, LONGEST_SECONDS))))

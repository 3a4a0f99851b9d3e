"""The log of origin_router: one JSON line each, and the same words at most once a minute.

At the edge a bad header or a dead DNS would otherwise be logged with every request.
"""

import contextlib
import json
import sys
import time

AGAIN_SECONDS = 60.0
_MAX_REMEMBERED = 512

_said: dict[str, tuple[float, int]] = {}


def warning(message: str) -> None:
    """Something that an operator should mend."""
    _say("WARNING", message)


def failed(message: str, error: BaseException, *, expected: bool = False) -> None:
    """Something that went wrong; with its traceback unless it was `expected`."""
    if expected:
        _say("WARNING", message)
        return
    import traceback

    _say("ERROR", message, "".join(traceback.format_exception(error)))


def forget() -> None:
    """Everything may be said again."""
    _said.clear()


def _say(level: str, message: str, trace: str = "") -> None:
    """Writes the line; that it cannot be written must cost no request."""
    with contextlib.suppress(Exception):
        now = time.monotonic()
        at, unsaid = _said.get(message, (-AGAIN_SECONDS, 0))
        if now - at < AGAIN_SECONDS:
            _said[message] = at, unsaid + 1
            return
        if len(_said) >= _MAX_REMEMBERED:
            _said.clear()
        _said[message] = now, 0
        line = {"level": level, "message": message}
        if unsaid:
            line["unsaid"] = str(unsaid)
        if trace:
            line["traceback"] = trace
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

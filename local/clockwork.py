"""What happens by itself in a world that is left running: scheduled functions, and S3's metrics."""

import logging
import re
import threading
from collections.abc import Callable

_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}

_log = logging.getLogger(__name__)


class Clockwork:
    """Calls each of `tasks` again and again on a thread of its own: (its name, every how many seconds, what)."""

    def __init__(self, tasks: list[tuple[str, float, Callable[[], object]]]) -> None:
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=task, name=f"every {task[1]:g} s: {task[0]}", daemon=True)
            for task in tasks
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop after what is being done now."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, every_seconds: float, task: Callable[[], object]) -> None:
        while not self._closing.wait(every_seconds):
            try:
                task()
            except Exception:  # noqa: BLE001 - the next time may go well
                _log.exception("%s failed", name)


def rate_seconds(expression: str, otherwise: float) -> float:
    """The seconds of `rate(5 minutes)`; `otherwise` for a cron expression, which is not kept to here.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    """
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression.strip())
    return int(match[1]) * _UNITS[match[2]] if match else otherwise

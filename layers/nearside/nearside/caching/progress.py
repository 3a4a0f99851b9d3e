"""How far downloads have come: told to whoever shows it, and a bar on a terminal."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from nearside.caching.quantities import told

_REDRAW_SECONDS = 0.1


class ShowsProgress(Protocol):
    """Is told what was done, from any thread, once for each file and often for its bytes."""

    def bytes_done(self, count: int) -> None:
        """`count` more bytes have been downloaded (less than 0: so many have to be downloaded again)."""
        ...

    def file_done(self) -> None:
        """One more file is there, downloaded or found in the cache, or has failed for good."""
        ...


class Silent:
    """Shows nothing."""

    def bytes_done(self, count: int) -> None:
        """Takes note of nothing."""

    def file_done(self) -> None:
        """Takes note of nothing."""


@contextmanager
def bar(total_files: int, *, shown: bool | None = None) -> Iterator[ShowsProgress]:
    """What shows the progress of so many files while it is entered, by `rich`, and nothing where that is not installed.
    By default a line on standard error when that is a terminal, which goes away at the end; with `shown` also in a
    notebook, and in a file or a pipe what there is at the end; not at all when that is False."""
    terminal = sys.stderr is not None and sys.stderr.isatty()  # None: a process that Windows gave no console
    if not (terminal if shown is None else shown and sys.stderr is not None):
        yield Silent()
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield Silent()
        return
    columns = (
        TextColumn("{task.completed:.0f}/{task.total:.0f} files"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=terminal) as progress:
        yield _Bar(progress, total_files)


class _Bar:
    """A line of rich's."""

    def __init__(self, progress: Any, total_files: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total_files, said="")
        self._lock = threading.Lock()
        self._bytes = 0
        self._began = self._drawn = time.monotonic()

    def bytes_done(self, count: int) -> None:
        with self._lock:
            self._bytes += count
            now = time.monotonic()
            if now - self._drawn < _REDRAW_SECONDS:
                return  # telling rich costs more than reading the bytes
            self._drawn = now
            said = self._said(now)
        self._progress.update(self._task, said=said)

    def file_done(self) -> None:
        with self._lock:
            said = self._said(time.monotonic())
        self._progress.update(self._task, advance=1, said=said)

    def _said(self, now: float) -> str:
        rate = int(self._bytes / max(now - self._began, 0.001))
        return f"{told(self._bytes)}  {told(rate)}/s" if self._bytes else ""

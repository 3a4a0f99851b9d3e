"""The progress bar: on a terminal it counts files and bytes, elsewhere and without rich it is silent."""

import io
import sys
import threading
from contextlib import redirect_stderr

import pytest

from nearside.caching import progress


class Terminal(io.StringIO):
    """A standard error that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "FORCE_COLOR", "JUPYTER_COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_a_terminal_sees_files_and_bytes(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_REDRAW_SECONDS", 0)
    with redirect_stderr(terminal), progress.bar(3) as shown:
        assert not isinstance(shown, progress.Silent)
        for _ in range(3):
            shown.bytes_done(1500)
            shown.file_done()
    assert "3/3 files" in terminal.getvalue()
    assert "4.5 kB" in terminal.getvalue()


def test_it_takes_many_threads_and_no_bytes_are_lost(terminal: Terminal) -> None:
    def work(shown: progress.ShowsProgress) -> None:
        for _ in range(1000):
            shown.bytes_done(1000)
        shown.file_done()

    with redirect_stderr(terminal), progress.bar(8) as shown:
        threads = [threading.Thread(target=work, args=(shown,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "8/8 files" in terminal.getvalue()
    assert "8.0 MB" in terminal.getvalue()


def test_an_error_ends_the_bar_and_goes_on(terminal: Terminal) -> None:
    with pytest.raises(ZeroDivisionError), redirect_stderr(terminal), progress.bar(1):
        raise ZeroDivisionError
    for thread in threading.enumerate():
        if "Refresh" in type(thread).__name__:
            thread.join(30)
            assert not thread.is_alive()


def test_asked_not_to_it_shows_nothing(terminal: Terminal) -> None:
    with redirect_stderr(terminal), progress.bar(3, shown=False) as shown:
        shown.file_done()
    assert isinstance(shown, progress.Silent)
    assert terminal.getvalue() == ""


def test_asked_to_it_says_in_a_file_what_there_is_at_the_end() -> None:
    with redirect_stderr(io.StringIO()) as file, progress.bar(2, shown=True) as shown:
        shown.bytes_done(2500)
        shown.file_done()
        shown.file_done()
    assert file.getvalue().count("files") == 1
    assert "2/2 files" in file.getvalue()
    assert "2.5 kB" in file.getvalue()


def test_without_a_terminal_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.bar(3) as shown:
        shown.bytes_done(10)
        shown.file_done()
    assert isinstance(shown, progress.Silent)
    assert capfd.readouterr() == ("", "")


def test_without_a_standard_error_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    for asked in (None, True, False):
        with progress.bar(3, shown=asked) as shown:
            assert isinstance(shown, progress.Silent)


def test_without_rich_nothing_is_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with redirect_stderr(terminal), progress.bar(3) as shown:
        shown.bytes_done(10)
        shown.file_done()
    assert isinstance(shown, progress.Silent)
    assert terminal.getvalue() == ""

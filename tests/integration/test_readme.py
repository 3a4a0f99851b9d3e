"""The README's console lines, typed one after another into a shell, print what the README says."""

import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_MARK = "\x01"
_WORDS = re.compile(r"```console\n(.*?)```", re.DOTALL)


def _lines() -> list[tuple[str, str]]:
    """Each command of the README's console blocks, and what it is said to print."""
    found: list[tuple[str, str]] = []
    for block in _WORDS.findall((ROOT / "README.md").read_text()):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), ""))
            else:
                command, printed = found[-1]
                found[-1] = (command, f"{printed}{line}\n")
    return found


def free_base() -> int:
    """The first of six neighbouring free ports."""
    for base in range(23000, 60000, 10):
        try:
            for port in range(base, base + 6):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no six free ports in a row")


@pytest.fixture
def base() -> Iterator[int]:
    """A world as `make run` starts it, in a process of its own."""
    port = free_base()
    with subprocess.Popen(
        [sys.executable, "-m", "local", "run", "--port", str(port), "--quiet"], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as world:
        try:
            _wait_until_healthy(port, world)
            yield port
        finally:
            world.terminate()
            assert world.wait(timeout=20) == 0, "the world did not stop cleanly"


def _wait_until_healthy(port: int, world: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert world.poll() is None, "the world ended at once"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("GET /health did not answer 200 within 60 s")


def _here(text: str, base: int) -> str:
    """The README's line for a world on other ports, with this interpreter for the README's."""
    text = re.sub(r"\b300([0-5])\b", lambda match: str(base + int(match[1])), text)
    text = re.sub(r"\.venv/bin/python -m local ([\w-]+)", rf"{sys.executable} -m local \1 --port {base}", text)
    return text.replace(".venv/bin/nearside", f"{sys.executable} -m nearside.cli")


def test_the_readmes_lines_do_what_it_says(base: int, tmp_path: Path) -> None:
    # Installing is for tests/integration/test_install.py; here the library is on the path already.
    lines = [(command, printed) for command, printed in _lines() if "pip install" not in command]
    assert len(lines) > 20
    script = "".join(f"{_here(command, base)}\nprintf '{_MARK}'\n" for command, _ in lines)
    (tmp_path / "README.md").write_bytes((ROOT / "README.md").read_bytes())
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}/layers/nearside:{ROOT}",
        "HOME": str(tmp_path),
    }
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    printed = ran.stdout.split(_MARK)
    assert len(printed) == len(lines) + 1, ran.stderr
    for (command, expected), got in zip(lines, printed, strict=False):
        pattern = re.escape(_here(expected, base).strip()).replace("…", ".*")
        assert re.fullmatch(pattern, got.replace("\r", "").strip()), f"$ {command}\n{got}\n{ran.stderr}"

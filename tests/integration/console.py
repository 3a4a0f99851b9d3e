"""A document's console lines, typed one after another into a shell beside a world of its own."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
PORTS = 12
_MARK = "\x01"


def lines(text: str) -> list[tuple[str, str]]:
    """Each command of the text's console blocks, and what it is said to print."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), ""))
            else:
                command, printed = found[-1]
                found[-1] = (command, f"{printed}{line}\n")
    return found


def free_base() -> int:
    """The first of the neighbouring free ports that a world needs."""
    # Not where another test process looks, and below the ports that Linux gives to clients (from 32768).
    for base in range(10_000 + os.getpid() % 200 * 100, 32_700, 10):
        try:
            for port in range(base, base + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError(f"no {PORTS} free ports in a row")


@contextmanager
def running_world() -> Iterator[int]:
    """The first port of a world as `make run` starts it, in a process of its own."""
    port = free_base()
    command = [sys.executable, "-m", "local", "run", "--port", str(port), "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as world:
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


def assert_true(
    typed: list[tuple[str, str]],
    base: int,
    folder: Path,
    timeout_seconds: float,
    more: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Types the lines in the folder, for a world on these ports; each prints what it is said to (`…` is anything).
    `more` are variables of the shell."""
    script = "".join(f"{_here(command, base)}\nprintf '{_MARK}'\n" for command, _ in typed)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}/layers/nearside:{ROOT}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        **more,
    }
    command = ["bash", "-c", script]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_seconds, check=False
    )
    printed = ran.stdout.split(_MARK)
    assert len(printed) == len(typed) + 1, ran.stderr
    for (line, expected), got in zip(typed, printed, strict=False):
        pattern = re.escape(_here(expected, base).strip()).replace("…", ".*")
        assert re.fullmatch(pattern, got.replace("\r", "").strip()), f"$ {line}\n{got}\n{ran.stderr}"


def _here(text: str, base: int) -> str:
    """The document's line for a world on other ports, with this interpreter for the document's."""
    text = re.sub(r"\b30(0\d|1[01])\b", lambda match: str(base + int(match[1])), text)
    command = r"\.venv/bin/python -m local (dns \w+|provider [\w-]+ [\w-]+|[\w-]+)"
    text = re.sub(command, rf"{sys.executable} -m local \1 --port {base}", text)
    return text.replace(".venv/bin/nearside", f"{sys.executable} -m nearside.cli")

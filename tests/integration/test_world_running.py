"""A world in a process of its own, as `make run` starts it: how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.console import free_base

ROOT = Path(__file__).parents[2]


def test_a_world_ends_however_often_it_is_told() -> None:
    command = [sys.executable, "-m", "local", "run", "--port", str(free_base()), "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as world:
        assert world.stdout is not None
        for line in world.stdout:
            if "Ctrl-C stops it" in line:
                break
        for number in (signal.SIGTERM, signal.SIGINT) * 50:  # somebody leans on Ctrl-C
            if world.poll() is None:
                os.kill(world.pid, number)
        try:
            assert world.wait(timeout=20) == 0
        finally:
            world.kill()

"""The emulator of AWS that each test gets fresh."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.rehearsal_server import Emulator, emulator
from tests.rehearse.deployment import Command, checkout


@pytest.fixture
def aws() -> Iterator[Emulator]:
    """An account with nothing in it."""
    with emulator() as found:
        yield found


@pytest.fixture
def command(aws: Emulator, tmp_path: Path) -> Command:
    """The deploy command in a checkout of its own."""
    return Command(checkout(tmp_path), aws)

"""The command that is run, and values as SAM reads them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samcli.cli.types import CfnParameterOverridesType

from deploy import DeployFailed
from deploy.sam import Sam, quoted
from deploy.steps import steps
from tests.contract.source_tree import ROOT
from tests.deploy.fakes import settings


def test_the_command_names_stack_region_and_environment_and_no_parameter() -> None:
    command = Sam(Path(), "acme", "sam").command(steps(settings())[0], Path("p.yaml"), {"nearside:source": "1"})
    assert command[:8] == [
        "sam",
        "deploy",
        "--config-env",
        "bucket",
        "--stack-name",
        "acme-bucket",
        "--region",
        "eu-west-2",
    ]
    assert command[-6:] == [
        "--profile",
        "acme",
        "--parameter-overrides",
        "file://p.yaml",
        "--tags",
        "nearside:source=1",
    ]


@given(value=st.text(st.sampled_from("ab \\\"'{}[],=$:/é")))
def test_sam_reads_a_value_as_it_is(value: str, tmp_path_factory: object) -> None:
    file = Path(str(tmp_path_factory.getbasetemp())) / "parameters.yaml"  # type: ignore[attr-defined]
    file.write_text(json.dumps({"Name": quoted(value)}, ensure_ascii=False))
    assert CfnParameterOverridesType().convert((f"file://{file}",), None, None) == {"Name": value}


STARTING = """
import signal, sys
from pathlib import Path
from deploy.commands import _stoppable
from deploy.sam import Sam
from deploy.steps import steps
from tests.deploy.fakes import settings
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process ignores it
with _stoppable():
    Sam(Path(), "", sys.argv[1]).deploy(steps(settings())[0], {}, {})
"""


def program(folder: Path, lines: str) -> str:
    """A `sam` that does that."""
    path = folder / "sam"
    path.write_text(f"#!{sys.executable}\n{lines}")
    path.chmod(0o755)
    return str(path)


def test_a_sam_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeployFailed, match="sam deploy ended with 3"):
        Sam(tmp_path, "", program(tmp_path, "raise SystemExit(3)")).deploy(steps(settings())[0], {}, {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_stops_the_command_stops_its_sam(number: signal.Signals, tmp_path: Path) -> None:
    """The fifo is open for writing as long as that `sam` lives; reading it ends with it."""
    os.mkfifo(tmp_path / "alive")
    waits = (
        f"import signal\nheld = open({str(tmp_path / 'alive')!r}, 'w')\nheld.write('1')\nheld.flush()\nsignal.pause()"
    )
    started = subprocess.Popen([sys.executable, "-c", STARTING, program(tmp_path, waits)], env=_with_path())
    with started, (tmp_path / "alive").open() as alive:
        assert alive.read(1) == "1"
        started.send_signal(number)
        assert alive.read() == ""
        assert started.wait() != 0


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}

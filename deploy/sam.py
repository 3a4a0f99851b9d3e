"""`sam deploy`, one stack at a time: samconfig.toml's environment, and what the step gives over it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy import DeployFailed
from deploy.steps import Step

_PATIENCE_SECONDS = 10


class Sam:
    """Deploys as SAM's own command does. Parameters go in a file that only this user can read: a command line shows."""

    def __init__(self, root: Path, profile: str = "", program: str = "") -> None:
        self._root = root
        self._profile = profile
        self._program = program or str(Path(sys.executable).parent / "sam")

    def deploy(self, step: Step, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Returns when the stack is done; SAM's own progress goes to this process's output."""
        with tempfile.TemporaryDirectory(prefix="nearside-") as folder:
            file = Path(folder) / "parameters.yaml"
            file.write_text(json.dumps({name: quoted(value) for name, value in parameters.items()}, ensure_ascii=False))
            command = self.command(step, file, tags)
            code = _ended(command, self._root)
        if code:
            raise DeployFailed(f"sam deploy ended with {code}")

    def command(self, step: Step, parameters: Path, tags: Mapping[str, str]) -> list[str]:
        """The arguments; none ever passes a shell."""
        name, region = step.stack
        given = ["--parameter-overrides", f"file://{parameters}"] if step.template else []
        tagged = [f"{key}={value}" for key, value in tags.items()]
        return [
            *(self._program, "deploy", "--config-env", step.environment, "--stack-name", name, "--region", region),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset"),
            *(["--profile", self._profile] if self._profile else []),
            *given,
            *("--tags", *tagged),
        ]


def _ended(command: list[str], folder: Path) -> int:
    """What the command ended with. Whatever ends this process before it (but kill -9) ends the command as well."""
    with subprocess.Popen(command, cwd=folder, env={**os.environ, "SAM_CLI_TELEMETRY": "0"}) as child:
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            try:
                child.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
            raise


def quoted(value: str) -> str:
    """So that SAM reads the value as it is. Twice, once for the file and once for the option, it takes off a pair of
    quotes, and the backslash before a quote or a space."""
    return _quoted_once(_quoted_once(value))


def _quoted_once(value: str) -> str:
    for mark in "'\" ":  # SAM's own order backwards
        value = value.replace(f"\\{mark}", f"\\\\{mark}")
    return f'"{value}"'

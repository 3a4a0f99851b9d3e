"""The deploy command as a process of its own, in a copy of the checkout, against an emulator of AWS."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local import rehearsal_moto as moto
from local.rehearsal_server import Emulator
from tests.contract.source_tree import ROOT

_PATIENCE_SECONDS = 180
_UNWANTED = shutil.ignore_patterns("*.egg-info", "build", "*.pyc")
_BUILDS = {"template.yaml": "build", "stacks/edge.yaml": "edge"}


def client(emulator: Emulator, kind: str, region: str) -> Any:
    """A client of boto3's for the emulator; it asks once."""
    return boto3.client(  # type: ignore[call-overload]  # the kind is no literal
        kind, region, endpoint_url=emulator.url, aws_access_key_id="a", aws_secret_access_key="a",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def checkout(folder: Path) -> Path:
    """What the deploy command reads of the checkout, built as it is: `sam build` takes minutes."""
    root = folder / "checkout"
    for name in ("functions", "layers/nearside", "stacks"):
        shutil.copytree(ROOT / name, root / name, ignore=_UNWANTED)
    for name in ("deploy", "local", "web"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy2(ROOT / name, root / name)
    for name, build in _BUILDS.items():
        built = root / ".aws-sam" / build / "template.yaml"
        built.parent.mkdir(parents=True)
        text = (root / name).read_text()
        built.write_text(re.sub(r"((?:Code|Content)Uri: )(?:\.\./)?(functions|layers)/", r"\1../../\2/", text))
    # SAM asks PyPI for a newer version of itself once a week.
    asked = folder / ".aws-sam" / "metadata.json"
    asked.parent.mkdir()
    asked.write_text(json.dumps({"lastVersionCheck": time.time(), "telemetryEnabled": False}))
    return root


@dataclass
class Command:
    """`python -m deploy` in a folder that has settings."""

    root: Path
    emulator: Emulator
    running: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def said(self) -> Path:
        """What the command that runs, or ran last, says."""
        return self.root.parent / "said"

    def write(self, settings: str) -> None:
        """The settings. They may have a gateway without places."""
        (self.root / "nearside.toml").write_text(settings)
        (self.root / "backends.json").write_text("{}")

    def run(self, *arguments: str, typed: str = "") -> tuple[int, str]:
        """What it ended with, and all that it and its `sam` said."""
        paths = os.pathsep.join([str(self.root), str(ROOT / "layers" / "nearside"), str(ROOT)])
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **self.emulator.environment(),
            "PYTHONPATH": paths,
            # SAM's zip of the layer would have whatever bytecode there happens to be, and so its hash.
            "PYTHONDONTWRITEBYTECODE": "1",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.1",
            "HOME": str(self.root.parent),
        }
        command = [sys.executable, "-m", "deploy", *arguments]
        with self.said.open("w") as out:
            self.running = subprocess.Popen(
                command, cwd=self.root, env=environment, text=True, start_new_session=True,
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                self.running.communicate(typed, timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired as error:
                self.kill()
                raise AssertionError(f"no end after {_PATIENCE_SECONDS} s: {self.said.read_text()}") from error
        return self.running.returncode, self.said.read_text()

    def kill(self) -> None:
        """The command and its `sam`, at once."""
        assert self.running is not None
        os.killpg(self.running.pid, signal.SIGKILL)

    def done(self, *arguments: str, typed: str = "") -> str:
        """What it said; it must have gone well."""
        code, said = self.run(*arguments, typed=typed)
        assert code == 0, said
        return said


def state(emulator: Emulator) -> dict[str, Any]:
    """Every stack that there is, and the buckets, tables and access points. Random identifiers become their places."""
    account = emulator.cloudformation.account
    there = [each for each in account.stacks if each.status != "DELETE_COMPLETE"]
    stacks = sorted(there, key=lambda one: (one.name, one.region))
    names = {each.id: f"<{each.name} {each.region}>" for each in stacks}
    for each in stacks:
        for name, resource in sorted(each.resources.items()):
            names[resource.owner] = f"<{each.name} {each.region} {name}>"
            for attribute, value in sorted(resource.values.items()):
                names[value] = f"<{each.name} {each.region} {name} {attribute}>"
    found = {
        f"{each.name} {each.region}": {
            "status": each.status,
            "parameters": dict(each.wanted.written.parameters) if each.wanted else {},
            "tags": dict(each.wanted.tags) if each.wanted else {},
            "outputs": each.outputs,
            "exports": each.exports,
            "imports": sorted(each.imports),
            "resources": {name: [r.kind, r.properties, r.kept] for name, r in sorted(each.resources.items())},
            "change sets": sorted(each.change_sets),
        }
        for each in stacks
    }
    return _named({"stacks": found, "others": moto.inventory()}, names)


def _named(value: Any, names: Mapping[str, str]) -> dict[str, Any]:
    text = json.dumps(value, sort_keys=True, default=str)
    for name in sorted((each for each in names if len(each) > 5), key=len, reverse=True):
        text = text.replace(json.dumps(name)[1:-1], names[name])
    found: dict[str, Any] = json.loads(text)
    return found


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ, in words."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [each for key in keys for each in differences(one.get(key), other.get(key), f"{path}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [each for index, (a, b) in pairs for each in differences(a, b, f"{path}/{index}")]
    return [] if one == other else [f"{path}: {one!r} is not {other!r}"]

"""`sam local` on the build of `make build ENV=local`: one event in a container, or the whole API."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from local import ROOT
from local.identities import WORLD

BUILD = ROOT / ".aws-sam" / "local"
EDGE_BUILD = ROOT / ".aws-sam" / "edge"
# The base image without a registry's answer: SAM would ask one for a newer image even when this one is here.
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
READY_SECONDS = 120
STOP_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What a function answered: its value, and of an HTTP answer the parts."""

    value: Any

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.value["statusCode"])

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP headers, by lower-case names."""
        headers: Mapping[str, str] = self.value["headers"]
        return headers

    @property
    def body(self) -> str:
        """The HTTP body."""
        return str(self.value["body"])

    @property
    def json(self) -> Any:
        """The HTTP body, decoded; raises ValueError when it is not JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Sam:
    """`sam local` whose functions find their world by the variables in `env_vars` (a JSON file of SAM's form).

    `aws_url` answers instead of AWS, which SAM asks for the account's number; `config_env` is of samconfig.toml.
    """

    env_vars: Path
    aws_url: str
    config_env: str = "local"

    def invoke(self, function: str, event: Path) -> Answer:
        """What the function (a logical id) answers to the event. Raises CalledProcessError when it crashes."""
        done = subprocess.run(
            self._command("invoke", function, "--event", str(event)),
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not done.stdout.strip():
            raise AssertionError(f"sam local invoke {function} -e {event} ended with {done.returncode}:\n{done.stderr}")
        return Answer(json.loads(done.stdout))

    @contextlib.contextmanager
    def start_api(self, log: Path) -> Iterator[str]:
        """The API's address while the block runs. Its containers are gone afterwards."""
        port = _free_port()
        with log.open("w") as output:
            process = subprocess.Popen(
                self._command("start-api", "--port", str(port)),
                cwd=ROOT,
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)
            _remove(re.findall(r"SAM_CONTAINER_ID: (\w+)", log.read_text()))

    def _environment(self) -> dict[str, str]:
        """This process's, with what `sam local` hands on to containers: --env-vars cannot set credentials."""
        ours = {
            "AWS_ACCESS_KEY_ID": WORLD.access_key_id,
            "AWS_SECRET_ACCESS_KEY": WORLD.secret_access_key,
            "AWS_ENDPOINT_URL": self.aws_url,
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
        }
        return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | ours

    def _command(self, verb: str, *rest: str) -> list[str]:
        there = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0
        skip = ["--skip-pull-image"] if there else []
        return ["sam", "local", verb, *rest, "--config-env", self.config_env, "--env-vars", str(self.env_vars), *skip]


def containers(ids: list[str]) -> list[str]:
    """Those of the ids that still are containers, running or not."""
    all_ids = subprocess.run(["docker", "ps", "-aq", "--no-trunc"], capture_output=True, text=True, check=True).stdout
    return [id_ for id_ in all_ids.split() if id_ in ids]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """SAM serves once its containers run; it says so only in words."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            urllib3.request("OPTIONS", f"{url}/presign", timeout=1, retries=False)
            return
        time.sleep(0.2)
    raise AssertionError(f"sam local start-api does not serve {url}:\n{log.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(ids: list[str]) -> None:
    """Removes the containers that start-api leaves: SAM CLI 1.170 forgets one now and then when it ends."""
    for id_ in containers(ids):
        subprocess.run(["docker", "rm", "--force", id_], capture_output=True, check=False)

"""Milliseconds from a Python process's start to its first answer as a Lambda function: presign between two peers.

The peers are an empty function, and the usual Powertools and boto3 function that presigns for the same MRAP
(parts/plain/handler.py). All start under AWS's emulator of the runtime API, which SAM CLI ships
(https://github.com/aws/aws-lambda-runtime-interface-emulator), with AWS's runtime client awslambdaric, without Docker.
The emulator starts the process when the first event arrives (seen: no child process before), so the time from sending
the event to having its answer is the process's start, its imports, its first call, and a millisecond of the emulator.

`--imports` prints what presign's and the plain peer's imports cost instead.
"""

import argparse
import http.client
import json
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import samcli

from bench.parts import artefacts, catalog, s3
from bench.parts.promises import ROOT, at_least, at_most, ratio, report, rounds, table

ROUNDS = 15
TOP_IMPORTS = 25
MRAP_ALIAS = "mfzwi23gnjvgw.mrap"
ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
RIE = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{ARCHITECTURE}"
# What a deployed function is told (template.yaml), without a signing role: its sessions come over the network.
ENVIRONMENT = {
    "BUCKET": "nearside-eu-west-2",
    "BUCKET_REGION": "eu-west-2",
    "REPLICAS": '[{"region":"us-east-2","bucket":"nearside-us-east-2"}]',
    "USE_MRAP": "true",
    "MRAP_ALIAS": MRAP_ALIAS,
    "MRAP_ARN": f"arn:aws:s3::123456789012:accesspoint/{MRAP_ALIAS}",  # the plain peer's
    "AUTH_MODE": "jwt",
    "ACCESS_POLICY": '[{"claim":"sub","prefixes":["users/${sub}/"],"actions":["read","write","delete"]}]',
    "CURSOR_KEY": "0123456789abcdef",
    "AWS_REGION": "eu-west-2",
    "AWS_DEFAULT_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjE/A+" * 50,
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "20",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Function:
    """One function's mounted folders, and its first event with what the answer must hold."""

    task: Path
    event: Mapping[str, Any]
    proof: str
    layer: Path | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    def path(self, runtime: Path) -> str:
        """PYTHONPATH in Lambda's order: the function, its layer, the runtime."""
        return os.pathsep.join([str(self.task), *([str(self.layer / "python")] if self.layer else []), str(runtime)])


def main() -> None:
    """Measures, prints and writes bench/results/cold_start.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--imports", action="store_true", help="print what the imports cost instead")
    imports = parser.parse_args().imports
    with (
        s3.serving() as endpoint,
        catalog.serving() as table_endpoint,
        tempfile.TemporaryDirectory(prefix="nearside-cold-start-") as name,
    ):
        folder = Path(name)
        python = artefacts.interpreter(folder / "python")
        runtime = artefacts.assembled(folder / "runtime", packages=artefacts.RUNTIME)
        functions = prepared(folder, endpoint, table_endpoint)
        artefacts.read_only(folder)
        try:
            if imports:
                for function in ("presign", "plain Powertools and boto3"):
                    print_imports(function, functions[function], python, runtime)
            else:
                measure(functions, python, runtime)
        finally:
            artefacts.writable(folder)


def prepared(folder: Path, endpoint: str, table_endpoint: str) -> dict[str, Function]:
    """The functions that are compared, each from its own artefact. `endpoint` is an S3 that finds every object,
    `table_endpoint` a catalog that knows every one."""
    parts = ROOT / "bench" / "parts"
    layer = artefacts.built("NearsideLayer", folder / "layer")
    presign = artefacts.built("PresignFunction", folder / "presign")
    asked = _event("presign/get.json", {"key": "users/alice/photo.jpg", "check": False})
    signed = "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256"
    return {
        "empty": Function(artefacts.assembled(folder / "empty", handler=parts / "empty" / "handler.py"), {}, "200"),
        "presign": Function(presign, asked, signed, layer),
        "presign, reading the catalog": Function(
            presign,
            _event("presign/get.json", {"key": "users/alice/photo.jpg"}),
            "every place has the newest version",
            layer,
            {"TABLE": catalog.NAME, "DYNAMODB_ENDPOINT": table_endpoint},
        ),
        "presign, built without bytecode": Function(
            artefacts.without_bytecode(presign, folder / "presign-bare"),
            asked,
            signed,
            artefacts.without_bytecode(layer, folder / "layer-bare"),
        ),
        "presign, looking in two places": Function(
            presign,
            _event("presign/get.json", {"key": "users/alice/photo.jpg"}),
            "every place has the newest version",
            layer,
            {
                "S3_ENDPOINT": endpoint,
                "REPLICAS": json.dumps([{"region": "us-east-2", "bucket": "nearside-us-east-2", "endpoint": endpoint}]),
            },
        ),
        "plain Powertools and boto3": Function(
            artefacts.assembled(folder / "plain", handler=parts / "plain" / "handler.py", packages=artefacts.PLAIN),
            asked,
            signed,
        ),
        "explorer, GET /": Function(
            artefacts.built("ExplorerFunction", folder / "explorer"), _event("explorer/root.json"), "/presign", layer
        ),
    }


def _event(name: str, body: object = None) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / name).read_text())
    return event if body is None else {**event, "body": json.dumps(body)}


def measure(functions: Mapping[str, Function], python: Path, runtime: Path) -> None:
    """Starts every function in turn, round by round; the first start of each, which fills the disk's cache, is not
    counted."""
    starts = {name: _starter(function, python, runtime) for name, function in functions.items()}
    for start in starts.values():
        start()
    measured = rounds(starts, ROUNDS)
    table("From process start to first answer", "milliseconds", measured, "empty")
    presign, plain = measured["presign"], measured["plain Powertools and boto3"]
    checked = measured["presign, reading the catalog"]
    report(
        "cold_start",
        [
            at_most("presign's cold start, in empty ones", ratio(presign, measured["empty"]), 2),
            at_most("presign's cold start with the catalog, in empty ones", ratio(checked, measured["empty"]), 2),
            at_least(
                "times faster to first answer than a plain Powertools and boto3 handler", ratio(plain, presign), 3
            ),
        ],
    )


def _starter(function: Function, python: Path, runtime: Path) -> Callable[[], float]:
    return lambda: start_to_answer(function, python, runtime)


def start_to_answer(function: Function, python: Path, runtime: Path) -> float:
    """Milliseconds from the event that makes the emulator start the process to the answer. Ends the program when the
    answer is not what it should be."""
    emulator, api = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
    command = [str(RIE), "--runtime-interface-emulator-address", emulator, "--runtime-api-address", api]
    process = subprocess.Popen(
        [*command, str(python), "-m", "awslambdaric", "handler.handler"],
        cwd=function.task,
        env={"PATH": os.environ["PATH"], **ENVIRONMENT, **function.more, "PYTHONPATH": function.path(runtime)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        connection = _connected(emulator)
        began = time.perf_counter()
        connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(function.event))
        answer = connection.getresponse().read().decode()
        took = (time.perf_counter() - began) * 1_000
    finally:
        process.terminate()
        process.wait()
    if function.proof not in answer:
        raise SystemExit(f"{function.task.name} did not answer with {function.proof!r}: {answer[:500]}")
    return took


def _connected(address: str) -> http.client.HTTPConnection:
    deadline = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection(address, timeout=30)
        try:
            connection.connect()
            return connection
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def print_imports(name: str, function: Function, python: Path, runtime: Path) -> None:
    """Prints the imports that cost most by themselves, as `python -X importtime` tells (which slows each down)."""
    environment = {**ENVIRONMENT, **function.more, "PYTHONPATH": function.path(runtime)}
    command = [str(python), "-X", "importtime", "-c", "import awslambdaric.bootstrap, handler"]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr.splitlines()
    rows = [line.removeprefix("import time:").split("|") for line in lines if line.startswith("import time:")][1:]
    dearest = sorted(rows, key=lambda row: -int(row[0]))[:TOP_IMPORTS]
    total = sum(int(row[0]) for row in rows) / 1_000
    print(f"\n{name}: {len(rows)} modules, {total:.1f} ms\n{'alone':>8}  {'with its own':>12}  module (milliseconds)")
    for alone, within, module in dearest:
        print(f"{int(alone) / 1_000:>8.1f}  {int(within) / 1_000:>12.1f}  {module.strip()}")


if __name__ == "__main__":
    main()

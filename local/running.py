"""A world in the foreground: its banner, its log, its end; and what other tools need to find it."""

import contextlib
import io
import ipaddress
import json
import logging
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO, override

from local import CommandFailed
from local.deployment import PRIMARY, REGIONS, environment
from local.functions import FunctionFailed
from local.gateway_key import key_pair, make_bucket
from local.intrinsics import TemplateError
from local.ports import Ports
from local.providers import NAMES, without_credentials
from local.server import PortInUse, Request
from local.world import World

_STOPS = (signal.SIGINT, signal.SIGTERM)
_LOOK_SECONDS = 0.1


def run(port: int, host: str, lag_seconds: float, *, quiet: bool, docker: bool, env_vars: Path | None) -> None:
    """Run a world until Ctrl-C or SIGTERM. Raises CommandFailed when it cannot be started."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if docker:
        host = docker_gateway()
    stops = _stop_signals()
    try:
        world = World(
            Ports.from_base(port),
            lag_seconds=lag_seconds,
            host=host,
            log=None if quiet else _log_request,
            clockwork=True,
        )
    except (PortInUse, TemplateError, FunctionFailed, OSError) as error:
        raise CommandFailed(str(error)) from error
    with world:
        if env_vars is not None:
            write_env_vars(world, env_vars)
        if world.gateway_url:
            make_bucket(world.gateway_url)
        sys.stdout.write(banner(world))
        sys.stdout.flush()
        with contextlib.redirect_stdout(_WithoutMetrics(sys.stdout)):
            while not stops:
                time.sleep(_LOOK_SECONDS)
        for number in _STOPS:  # impatience does not end the ending half-way
            signal.signal(number, signal.SIG_IGN)
        sys.stdout.write("\nstopping\n")


def banner(world: World) -> str:
    """What to do first."""
    rows = [("API", world.api_url), ("page", f"{world.api_url}/app/")]
    rows += [(f"S3 {region}", f"{url}/{world.buckets[region]}") for region, url in world.place_urls.items()]
    rows += [
        ("access point", world.mrap_url),
        ("controls", f"{world.controls_url}/"),
        ("other services", world.aws_url),
        ("edge", world.edge_url),
        ("name server", world.edge.dns.address),
    ]
    rows += [(f"place {name}", url) for name, url in world.provider_urls.items()]
    rows += [("gateway", world.gateway_url)] if world.gateway_url else []
    lines = [f"  {name:<15} {url}" for name, url in rows]
    lag = f"{world.replication.lag_seconds:g}"
    return "\n".join(
        [
            "Nearside's local world is up.",
            "",
            *lines,
            "",
            f"  Replication takes {lag} s. Try: curl {world.api_url}/list-bucket-content",
            f"  The edge follows a TXT record. Try: curl -I {world.edge_url}/images/sunrise.png",
            *(_trying(world.gateway_url) if world.gateway_url else ()),
            "  Ctrl-C stops it.",
            "",
        ]
    )


def _trying(gateway_url: str) -> list[str]:
    pair = key_pair()
    return [
        "  The gateway keeps each object in three places. Try:",
        f"    export AWS_ACCESS_KEY_ID={pair.access_key_id} AWS_SECRET_ACCESS_KEY={pair.secret_access_key}",
        f"    aws --endpoint-url {gateway_url} s3 ls",
    ]


def write_env_vars(world: World, path: Path) -> None:
    """The file for `sam local --env-vars`: "Parameters" holds for every function.

    sam passes on only what the template declares, and takes AWS_ACCESS_KEY_ID and its kind from its own environment:
    `exports` prints those.
    """
    path.write_text(json.dumps({"Parameters": without_credentials(world.environment())}, indent=2) + "\n")


def exports(port: int, host: str, *, docker: bool = False) -> str:
    """Shell lines that point the `nearside` command, the AWS CLI, SDKs and `sam local` at a world on these ports."""
    host = docker_gateway() if docker else host
    ports = Ports.from_base(port)
    place_urls = {region: f"http://{host}:{number}" for region, number in zip(REGIONS, ports.places, strict=True)}
    aws_url = f"http://{host}:{ports.aws}"
    provider_urls = {name: f"http://{host}:{number}" for name, number in zip(NAMES, ports.providers, strict=True)}
    variables = environment(place_urls, f"http://{host}:{ports.mrap}", aws_url, provider_urls)
    del variables["AWS_SESSION_TOKEN"]
    variables |= {
        "AWS_DEFAULT_REGION": PRIMARY,
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_S3": place_urls[PRIMARY],
    }
    pair = key_pair()
    variables |= {
        "GATEWAY_URL": f"http://{host}:{ports.gateway}",
        "GATEWAY_ACCESS_KEY_ID": pair.access_key_id,
        "GATEWAY_SECRET_ACCESS_KEY": pair.secret_access_key,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, "unset AWS_SESSION_TOKEN AWS_PROFILE", ""])


def docker_gateway() -> str:
    """The host's address on Docker's bridge: containers cannot reach the host's loopback. Raises CommandFailed."""
    command = ["docker", "network", "inspect", "bridge"]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    except FileNotFoundError as error:
        raise CommandFailed("--docker: there is no docker command") from error
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise CommandFailed(f"--docker: docker cannot tell its bridge's address: {said}") from error
    for each in json.loads(found.stdout)[0]["IPAM"]["Config"]:
        network = ipaddress.ip_network(each["Subnet"])
        if network.version == 4:
            # A daemon names no gateway before its first restart; it is the first address then.
            return str(each.get("Gateway") or next(network.hosts()))
    raise CommandFailed("--docker: docker's bridge has no IPv4 network")


class _WithoutMetrics(io.TextIOBase):
    """What functions print, but for metrics in CloudWatch's embedded format: nobody reads them at a terminal.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._dropped = False

    @override
    def write(self, text: str) -> int:
        """Everything else goes on; `print` writes the end of a line by itself, which goes with its line."""
        metrics = text.startswith('{"_aws"')
        if not metrics and not (self._dropped and text == "\n"):
            self._out.write(text)
        self._dropped = metrics and not text.endswith("\n")
        return len(text)

    @override
    def flush(self) -> None:
        self._out.flush()


def _stop_signals() -> list[int]:
    """Where Ctrl-C and SIGTERM turn up from now on.

    It is to be looked at, not waited for: a handler that sets an Event may wait for a lock that its own thread holds,
    and on Python 3.13.0 a SimpleQueue's `get` may sleep on when it is interrupted by its `put`.
    """
    stops: list[int] = []
    for number in _STOPS:
        signal.signal(number, lambda which, _: stops.append(which))
    return stops


def _log_request(server: str, request: Request, status: int, seconds: float) -> None:
    what = str(status) if status else "dropped"
    sys.stderr.write(f"{server:<10} {request.method:<6} {what:<7} {seconds * 1000:6.1f} ms  {request.target}\n")

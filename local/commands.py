"""The command line: `run` starts a world, every other command speaks to the controls of a running one."""

import argparse
import ipaddress
import json
import sys
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urlencode

from local import CommandFailed
from local.describing import describe, describe_dns, describe_gateway
from local.dns_zone import DEFAULT_TTL_SECONDS, FAILURES, ORIGIN_NAME, SLOW_SECONDS
from local.ports import DEFAULT_GATEWAY_PORT, DEFAULT_PORT, LAST_BASE, LOOPBACK, Ports
from local.replication_faults import MAX_LAG_SECONDS

_VALUES = (
    "seconds", "state", "ratio", "to", "timeout", "prefix", "reason", "lose", "duplicate", "delay", "key",
    "name", "text", "ttl", "weights", "mode",
)  # fmt: skip
_ANSWER_SECONDS = 660.0  # longer than the longest `settle`


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code: 0, 1 when it failed, 2 (by argparse) when it was typed wrongly."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "run":
            from local.running import run  # moto takes a second to import, which the other commands need not wait

            run(
                options.port,
                options.host,
                options.lag,
                quiet=options.quiet,
                docker=options.docker,
                env_vars=options.env_vars,
            )
        elif options.command == "env":
            from local.running import exports

            sys.stdout.write(exports(options.port, options.host, docker=options.docker))
        elif options.command == "gateway":
            from local.gateway_process import run as serve

            serve(options.port, options.host, limited=not options.no_limits)
        else:
            sys.stdout.write(_tell(options))
    except CommandFailed as failure:
        sys.stderr.write(f"local: {failure}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="Two emulated AWS regions and the API.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str) -> argparse.ArgumentParser:  # noqa: A002 - argparse's own word
        added = commands.add_parser(name, help=help, description=help)
        added.add_argument(
            "--port", type=_port, default=DEFAULT_PORT, help="the API's port; the others follow it (%(default)s)"
        )
        return added

    run = command("run", "start the world and stay until Ctrl-C")
    run.add_argument("--lag", type=_lag, default=5.0, help="seconds that replication takes (%(default)s)")
    run.add_argument("--quiet", action="store_true", help="no line per request")
    run.add_argument(
        "--env-vars", type=Path, metavar="FILE", help="write the functions' variables for `sam local --env-vars`"
    )
    for each in (run, command("env", "print the variables that point the AWS CLI and `sam local` here, for eval")):
        each.add_argument("--docker", action="store_true", help="listen where containers of `sam local` can reach it")
        each.add_argument("--host", type=_loopback, default=LOOPBACK, help="a loopback address (%(default)s)")
    command("status", "how the world is")
    command("lag", "how long replication takes").add_argument("seconds")
    _regional(command("region", "turn a region on or off")).add_argument("state", choices=("on", "off"))
    _regional(command("slow", "make a region's answers late")).add_argument("seconds")
    _regional(command("failing", "make a part of a region's requests fail")).add_argument("ratio", help="0 to 1")
    command("threshold", "after how long a version is late, which S3 tells").add_argument("seconds")
    for name, what in (("fail", "fail"), ("stall", "wait")):
        trouble = _regional(command(f"{name}-replication", f"let versions {what} on their way to a region"))
        trouble.add_argument("--prefix", help="only keys that begin so")
        if name == "fail":
            trouble.add_argument("--reason", help="one of S3's failure reasons (DstPutObjectNotPermitted)")
    command("mend-replication", "versions go their way again; those that failed stay failed")
    delivery = command("events", "lose, double or delay events on their way to the functions")
    for name, what in (("lose", "are lost"), ("duplicate", "come twice"), ("delay", "come late")):
        delivery.add_argument(f"--{name}", metavar="RATIO", help=f"which part of them {what}, 0 to 1 (0)")
    delivery.add_argument("--seconds", help="how late (0.5)")
    command("redrive", "try events again that were given up")
    command("old-object", "put an object that is older than the replication rules").add_argument("key")
    command("metrics", "put S3's replication metrics into CloudWatch")
    _functions(command)
    command("location", "where a client is that does not say").add_argument("to", help="eu, us, a region, or a country")
    _dns(command("dns", "change the TXT records that the edge follows, or let their name server fail"))
    command("heal", "everything on, quick and well again")
    command("settle", "wait until nothing waits to be replicated").add_argument("--timeout", help="seconds")
    return parser


def _dns(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, help: str) -> argparse.ArgumentParser:  # noqa: A002 - argparse's own word
        added = actions.add_parser(name, help=help, description=help)
        added.add_argument("--port", type=_port, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return added

    setting = action("set", "let a name have these TXT records and no others")
    setting.add_argument("name", help=f"such as {ORIGIN_NAME}")
    setting.add_argument("text", nargs="+", help="such as nearside-us-east-2.s3.us-east-2.amazonaws.com")
    setting.add_argument("--ttl", metavar="SECONDS", help=f"time to live ({DEFAULT_TTL_SECONDS})")
    setting.add_argument("--weights", metavar="W,W", help="Route 53's: each answer has one of the records, by weight")
    action("remove", "let a name have no records").add_argument("name")
    failing = action("fail", "let the name server fail")
    failing.add_argument("mode", choices=FAILURES)
    failing.add_argument("--seconds", help=f"how late `slow` is ({SLOW_SECONDS:g})")
    action("mend", "answer quickly and well again")


def _functions(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    _provider(command("provider", "let one of the gateway's places have a fault, or heal it"))
    limits = command("lambda-limits", "whether the gateway's URL has Lambda's limits of 6 MB")
    limits.add_argument("state", choices=("on", "off"))
    command("monitor", "run the scheduled monitor now")
    command("schedule", "run a scheduled function now").add_argument("function", help="such as reconcile")
    own = command("gateway", "serve the gateway at a port of its own, with the variables that `env` prints")
    own.set_defaults(port=DEFAULT_GATEWAY_PORT)
    own.add_argument("--host", type=_loopback, default=LOOPBACK, help="a loopback address (%(default)s)")
    own.add_argument("--no-limits", action="store_true", help="without Lambda's limits of 6 MB")


def _provider(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", help="such as harbor")
    faults = parser.add_subparsers(dest="fault", required=True, metavar="FAULT")
    for name, what in {
        "down": "no answers",
        "slow": "late answers",
        "failing": "500 InternalError, all requests or a part of them",
        "throttled": "503 SlowDown, all requests or a part of them",
        "cut": "connections that end half-way: of a GET in the body, else when the request was carried out",
        "wrong-bytes": "GETs give a flipped byte",
        "full": "PUTs are refused with 507",
        "heal": "well again",
    }.items():
        fault = faults.add_parser(name, help=what, description=what)
        fault.add_argument("--port", type=_port, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if name == "slow":
            fault.add_argument("seconds")
        elif name in ("failing", "throttled", "cut", "wrong-bytes"):
            fault.add_argument("ratio", nargs="?", help="0 to 1 (all)")


def _regional(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("region", help="such as us-east-2")
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= LAST_BASE:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port from 1 to {LAST_BASE}")


def _lag(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= MAX_LAG_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to {MAX_LAG_SECONDS:g}")


def _loopback(host: str) -> str:
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{host!r} is no loopback address: anyone could use this world (see --docker)")


def _path(options: argparse.Namespace) -> str:
    """The control's."""
    match options.command:
        case "monitor":
            return "/schedule/monitor"
        case "schedule":
            return f"/schedule/{quote(options.function, safe='')}"
        case "dns":
            return f"/dns/{options.action}"
        case "provider":
            return f"/provider/{quote(options.provider, safe='')}/{options.fault}"
    return f"/{options.command}" + (f"/{quote(options.region, safe='')}" if "region" in options else "")


def _tell(options: argparse.Namespace) -> str:
    """Ask the controls, and describe how the world is then."""
    values = {name: getattr(options, name) for name in _VALUES if getattr(options, name, None) is not None}
    method, path = ("GET", "/state") if options.command == "status" else ("POST", _path(options))
    port = Ports.from_base(options.port).controls
    connection = HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request(method, f"{path}?{urlencode(values, doseq=True)}")
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise CommandFailed(f"no world answers on port {port} ({error}); start one with: make run") from error
    finally:
        connection.close()
    if response.status != 200:
        raise CommandFailed(answer.get("message", f"status {response.status}"))
    if "regions" not in answer:
        return json.dumps(answer["answer"], indent=2) + "\n"
    more = describe_dns(answer["dns"]) if options.command in ("status", "dns") else ""
    if options.command in ("status", "provider", "lambda-limits"):
        more += describe_gateway(answer["gateway"])
    return describe(answer) + more

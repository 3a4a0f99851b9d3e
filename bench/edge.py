"""What origin_router costs a request at the edge: warm, cold, in DNS queries, while DNS is dead, and as a package.

The peer of a warm request is a handler that only copies the event, by a round trip through JSON, which takes little
more than half of copy.deepcopy's time and is what Lambda itself does to an event on its way in and out. The peer of a
cold start is the empty function, as in cold_start.py; the router's first answer has its DNS lookup in it, against a
name server on loopback.
"""

import copy
import functools
import json
import os
import socket
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import cold_start
from bench.cold_start import Function, start_to_answer
from bench.parts import artefacts, name_server
from bench.parts.promises import ROOT, Promise, at_least, at_most, microseconds, ratio, report, rounds, table

SOURCE = ROOT / "functions" / "origin_router"
ROUNDS = 41
CALLS = 300
COLD_ROUNDS = 15
REQUESTS = 10_000
PACE_SECONDS = 0.001
TTL_SECONDS = 1
OUTAGE_SECONDS = 60
OUTAGE_REQUESTS = 6_000
# A session's token has about a thousand characters.
CREDENTIALS = {name: cold_start.ENVIRONMENT[name] for name in cold_start.ENVIRONMENT if name.startswith("AWS_S")} | {
    "AWS_ACCESS_KEY_ID": cold_start.ENVIRONMENT["AWS_ACCESS_KEY_ID"]
}


def main() -> None:
    """Measures, prints and writes bench/results/edge.json."""
    os.environ.update(CREDENTIALS)
    sys.path.insert(0, str(SOURCE))
    import handler as router

    promises = [*warm(router), *queries(router), *outage(router), *cold(), *package()]
    report("edge", promises)


def event(name: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A recorded event with further custom headers."""
    recorded: dict[str, Any] = json.loads((ROOT / "events" / "origin_router" / f"{name}.json").read_text())
    [origin] = recorded["Records"][0]["cf"]["request"]["origin"].values()
    for header, value in {"X-ORIGIN-DEBUG": "false", **(headers or {})}.items():
        origin["customHeaders"][header.lower()] = [{"key": header, "value": value}]
    return recorded


def warm(router: ModuleType) -> list[Promise]:
    """A request whose record is cached."""
    with name_server.serving(ttl=300) as (address, port):
        at = {"X-ORIGIN-RESOLVERS": f"{address}:{port}"}
        sticky = {**at, "X-ORIGIN-STICKY": "ip"}
        cases = {
            "copy by JSON": _each(lambda sent: json.loads(json.dumps(sent)), event("s3-sigv4", at)),
            "copy.deepcopy": _each(copy.deepcopy, event("s3-sigv4", at)),
            "router, OAI": _routed(router, event("s3-oai", at)),
            "router, signed": _routed(router, event("s3-sigv4", at)),
            "router, signed, sticky": _routed(router, event("s3-sigv4", sticky)),
            "router, query string signed": _routed(router, event("query", at)),
        }
        measured = rounds(cases, ROUNDS)
    table("A warm request, its record cached", "microseconds", measured, "copy by JSON")
    signed = measured["router, signed"]
    return [
        at_most("microseconds of a warm, signed request", statistics.median(signed), 40),
        at_most("warm signed request, in copies of the event", ratio(signed, measured["copy by JSON"]), 1.5),
        at_most(
            "warm OAI request, in copies of the event", ratio(measured["router, OAI"], measured["copy by JSON"]), 1.5
        ),
    ]


def _each(call: Callable[[Any], object], sent: Any) -> Callable[[], float]:
    return lambda: microseconds(functools.partial(call, sent), CALLS)


def _routed(router: ModuleType, sent: dict[str, Any]) -> Callable[[], float]:
    """The handler's own time for an event; ends the program when the answer is not from the cached record."""
    first, second = router.handler(sent, None), router.handler(sent, None)
    for answer in (first, second):
        if answer["origin"]["s3"]["domainName"] != name_server.RECORD:
            raise SystemExit(f"the router did not follow the record: {answer['origin']}")
    return _each(lambda each: router.handler(each, None), sent)


def queries(router: ModuleType) -> list[Promise]:
    """DNS queries of 10,000 requests, a thousand a second, in real time."""
    import lookup

    with name_server.serving(ttl=TTL_SECONDS) as (address, port):
        sent = event("s3-oai", {"X-ORIGIN-RESOLVERS": f"{address}:{port}", "X-ORIGIN-TTL": "1-300"})
        began = time.monotonic()
        for number in range(REQUESTS):
            router.handler(sent, None)
            time.sleep(max(0.0, began + (number + 1) * PACE_SECONDS - time.monotonic()))
        ttls = (time.monotonic() - began) / TTL_SECONDS
        asked = int(lookup.resolve(name_server.COUNT, [(address, port)], 1.0).texts[0])
    print(f"\n{REQUESTS:,} requests in {ttls:.1f} TTLs of {TTL_SECONDS} s made {asked} DNS queries")
    return [at_most("DNS queries after the first, per TTL, with refresh ahead", (asked - 1) / ttls, 1.1)]


def outage(router: ModuleType) -> list[Promise]:
    """Requests while the name server is dead for a minute, which is the bench's: 10 ms pass from one to the next."""
    import lookup
    from records import Records

    passed = [0.0]
    router._records = Records(lookup.resolve, lambda: time.time() + passed[0])  # type: ignore[attr-defined]  # a module's own name
    with name_server.serving(ttl=30) as (address, port):
        sent = event("s3-oai", {"X-ORIGIN-RESOLVERS": f"{address}:{port}", "X-ORIGIN-DEBUG": "true"})
        router.handler(sent, None)
    passed[0] += 31  # the record has expired
    served, took = 0, []
    with socket.socket(type=socket.SOCK_DGRAM) as dead:
        dead.bind((address, port))  # takes the queries, and answers none
        for _ in range(OUTAGE_REQUESTS):
            began = time.perf_counter()
            answer = router.handler(sent, None)
            took.append(time.perf_counter() - began)
            [reason] = answer["headers"]["x-nearside-reason"]
            is_stale = reason["value"].startswith("stale: ")
            served += is_stale and answer["origin"]["s3"]["domainName"] == name_server.RECORD
            passed[0] += OUTAGE_SECONDS / OUTAGE_REQUESTS
    waited = sum(each > 0.005 for each in took)
    print(
        f"\n{served:,} of {OUTAGE_REQUESTS:,} requests of a {OUTAGE_SECONDS}-second outage served from stale; "
        f"{waited} waited for DNS, the slowest {max(took) * 1000:,.0f} ms"
    )
    return [at_least("share of requests served from stale while DNS is dead", served / OUTAGE_REQUESTS, 1)]


def cold() -> list[Promise]:
    """From a process's start to its first answer, through AWS's emulator."""
    with (
        name_server.serving(ttl=300) as (address, port),
        tempfile.TemporaryDirectory(prefix="nearside-edge-") as name,
    ):
        folder = Path(name)
        python = artefacts.interpreter(folder / "python")
        runtime = artefacts.assembled(folder / "runtime", packages=artefacts.RUNTIME)
        task = artefacts.built("OriginRouterFunction", folder / "router", "edge")
        empty = artefacts.assembled(folder / "empty", handler=ROOT / "bench" / "parts" / "empty" / "handler.py")
        at = {"X-ORIGIN-RESOLVERS": f"{address}:{port}"}
        functions = {
            "empty": Function(empty, {}, "200"),
            "router, no X-DNS-ORIGIN": Function(task, event("no-dns-origin"), "sunrise.png"),
            "router, OAI, with its lookup": Function(task, event("s3-oai", at), name_server.RECORD),
            "router, signed, with its lookup": Function(task, event("s3-sigv4", at), "Signature="),
        }
        artefacts.read_only(folder)
        try:
            measured = rounds(
                {each: functools.partial(start_to_answer, functions[each], python, runtime) for each in functions},
                COLD_ROUNDS,
            )
        finally:
            artefacts.writable(folder)
    table("A cold start, to the first answer", "milliseconds", measured, "empty")
    promise = "cold start with its lookup and signature, in empty functions"
    return [at_most(promise, ratio(measured["router, signed, with its lookup"], measured["empty"]), 2)]


def package() -> list[Promise]:
    """The function as `make build ENV=edge` leaves it, zipped as SAM does."""
    with tempfile.TemporaryDirectory(prefix="nearside-edge-") as name:
        task = artefacts.built("OriginRouterFunction", Path(name) / "router", "edge")
        archive = Path(name) / "router.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in sorted(task.rglob("*")):
                zipped.write(path, path.relative_to(task))
        size = archive.stat().st_size
    print(f"\nthe package is {size:,} bytes zipped, bytecode included")
    return [at_most("megabytes of the zipped package", size / 1_000_000, 1)]


if __name__ == "__main__":
    main()

"""The cache against the libraries that do the same: hits, first gets, 1,000 small files, one of 1 GB.

Peers, all in the same rounds on one server whose every answer begins 20 ms late (parts/objects.py): aind-s3-cache,
cached_path, cloudpathlib and fsspec's filecache over s3fs; for many files at once s3fs's own `get` of a list, for a
large one boto3's `download_file`. Each runs in a process of its own (parts/cache_peers.py) and is asked by turns.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.parts import objects
from bench.parts.promises import ROOT, Promise, at_least, at_most, ratio, report, rounds, table

OURS = "ours"
PEERS = ("aind-s3-cache", "cached_path", "cloudpathlib", "filecache")
AT_ONCE = ("s3fs", "s3fs, 128 connections")
IN_OUR_VENV = (OURS, "boto3", "bare")
PEERS_PYTHON = ROOT / ".peers" / "bin" / "python"
DELAY = 0.02
HITS, FRESH_HITS, FIRST_GETS = 40, 400, 10
LOOPED = 100  # of the thousand: a loop's time is the number's times one file's
MILLISECONDS = 1_000
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Bench:
    """The libraries' processes, and the requests that each case took of each."""

    def __init__(self, processes: dict[str, "subprocess.Popen[str]"]) -> None:
        self.processes = processes
        self.requests: dict[tuple[str, str], dict[str, int]] = {}

    def seconds(self, library: str, case: str, count: int) -> float:
        """What the case took this library, by its own clock."""
        process = self.processes[library]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"case": case, "count": count}) + "\n")
        process.stdin.flush()
        if not (line := process.stdout.readline()):
            raise SystemExit(f"{library} failed at {case!r}: its error is above")
        answer = json.loads(line)
        self.requests[library, case] = answer["requests"]
        return float(answer["seconds"])

    def measured(
        self, case: str, libraries: Sequence[str], count: int, times: int, scale: float = MILLISECONDS
    ) -> dict[str, list[float]]:
        """Seconds times `scale`, round by round."""

        def asked(library: str) -> Callable[[], float]:
            return lambda: self.seconds(library, case, count) * scale

        return rounds({library: asked(library) for library in libraries}, times)

    def show(self, case: str, libraries: Sequence[str], count: int) -> None:
        """Prints the requests of one get each, as the server counted them in the last round."""
        for library in libraries:
            counted = dict(self.requests[library, case])
            opened = counted.pop("connections", 0)
            each = ", ".join(f"{number / count:g} {kind}" for kind, number in sorted(counted.items())) or "none"
            print(f"  requests of {library}: {each}" + (f"; {opened} connections opened" if opened else ""))
        sys.stdout.flush()


def main() -> None:
    """Measures, prints and writes bench/results/cache.json."""
    if not PEERS_PYTHON.exists():
        raise SystemExit(f"no {PEERS_PYTHON}: `make bench` makes it from bench/peers.txt")
    with ExitStack() as stack:
        endpoint = stack.enter_context(objects.serving(DELAY))
        names = (*IN_OUR_VENV, *PEERS, *AT_ONCE)
        bench = Bench({name: stack.enter_context(running(name, endpoint)) for name in names})
        report("cache", [*hits(bench), *small_files(bench), large_file(bench)])


def hits(bench: Bench) -> list[Promise]:
    """One small object that is in the cache, validated and not; one that is not in it."""
    validating = (OURS, *PEERS, "bare")
    validated = bench.measured("validated hit", validating, HITS, 7)
    fastest = _fastest(validated, PEERS)
    table("Validated hit, 4 KB", "milliseconds", validated, fastest)
    bench.show("validated hit", validating, HITS)
    fresh = bench.measured("fresh hit", (OURS, "filecache"), FRESH_HITS, 7, 1_000_000)
    table("Fresh hit, 4 KB: no request", "microseconds", fresh, "filecache")
    bench.show("fresh hit", (OURS, "filecache"), FRESH_HITS)
    first = bench.measured("first get", (OURS, *PEERS), FIRST_GETS, 7)
    table("First get, 4 KB", "milliseconds", first, _fastest(first, PEERS))
    bench.show("first get", (OURS, *PEERS), FIRST_GETS)
    asked = sum(number for kind, number in bench.requests[OURS, "validated hit"].items() if kind != "connections")
    return [
        at_most(f"validated hit, of {fastest}'s", ratio(validated[OURS], validated[fastest]), 1.0),
        at_most("requests of a validated hit", asked / HITS, 1.0),
    ]


def small_files(bench: Bench) -> list[Promise]:
    """A thousand objects of 4 KB, in a loop and at once."""
    once = bench.measured("at once", (OURS, *AT_ONCE), objects.SMALL, 5)
    looped = bench.measured("loop", (OURS, *PEERS), LOOPED, 5, MILLISECONDS * objects.SMALL / LOOPED)
    fastest, parallel = _fastest(looped, PEERS), AT_ONCE[0]  # the other is what somebody could make of it; shown
    table(f"1,000 files of 4 KB in a loop ({LOOPED} measured)", "milliseconds", looped, fastest)
    bench.show("loop", (OURS, *PEERS), LOOPED)
    table("1,000 files of 4 KB at once", "milliseconds", once, parallel)
    bench.show("at once", (OURS, *AT_ONCE), objects.SMALL)
    return [
        at_least(f"1,000 files, {fastest}'s loop of get_many's time", ratio(looped[fastest], once[OURS]), 5.0),
        at_most(f"1,000 files, get_many of {parallel}'s own parallel way", ratio(once[OURS], once[parallel]), 1.0),
    ]


def large_file(bench: Bench) -> Promise:
    """One object of 1 GB."""
    libraries = (OURS, "boto3", *PEERS)
    measured = bench.measured("large", libraries, 1, 7)
    table("One file of 1 GB", "milliseconds", measured, "boto3")
    bench.show("large", libraries, 1)
    return at_most("1 GB, of boto3's download_file", ratio(measured[OURS], measured["boto3"]), 1.0)


@contextmanager
def running(library: str, endpoint: str) -> Iterator["subprocess.Popen[str]"]:
    """The library's process, when it has imported everything."""
    python = sys.executable if library in IN_OUR_VENV else str(PEERS_PYTHON)
    path = os.pathsep.join([str(ROOT), *([str(ROOT / "layers" / "nearside")] if library in IN_OUR_VENV else [])])
    command = [python, "-m", "bench.parts.cache_peers", library, endpoint]
    env: dict[str, Any] = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.stdin.close()
        process.wait()


def _fastest(measured: dict[str, list[float]], of: Sequence[str]) -> str:
    return min(of, key=lambda name: statistics.median(measured[name]))


if __name__ == "__main__":
    main()

"""What every bench shares: interleaved rounds, ratios within a round, the printed table and the results file."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True)
class Promise:
    """One measured promise: what was measured, the limit it is held to, and whether it was kept."""

    promise: str
    value: float
    limit: float
    kept: bool


def at_most(promise: str, value: float, limit: float) -> Promise:
    """The promise that `value` stays at or under `limit`."""
    return Promise(promise, round(value, 3), limit, value <= limit)


def at_least(promise: str, value: float, limit: float) -> Promise:
    """The promise that `value` reaches `limit`."""
    return Promise(promise, round(value, 3), limit, value >= limit)


def rounds(cases: Mapping[str, Callable[[], float]], times: int) -> dict[str, list[float]]:
    """What each case measured, round by round.

    The cases take turns within each round, and every second round goes backwards, so that a machine that slows down
    or speeds up meanwhile, or a case that leaves a warm or a cold cache to the next, favours none of them.
    """
    measured: dict[str, list[float]] = {name: [] for name in cases}
    for index in range(times):
        for name in list(cases) if index % 2 == 0 else reversed(list(cases)):
            measured[name].append(cases[name]())
    return measured


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """How many times `to` is in `of`: the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def microseconds(call: Callable[[], object], calls: int) -> float:
    """The mean time of one call, over `calls` in a row, in microseconds."""
    began = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - began) / calls / 1_000


def table(title: str, unit: str, measured: Mapping[str, Sequence[float]], peer: str) -> None:
    """Prints each case's median with the spread of its middle half, and how many times the peer's it is."""
    width = max(map(len, measured))
    print(f"\n{title}\n{'':{width}}  {'median':>10}  {'middle half':>19}  {'x peer':>7}")
    for name, values in measured.items():
        low, median, high = statistics.quantiles(values, n=4)
        spread = f"{low:,.1f}-{high:,.1f}"
        times = ratio(values, measured[peer])
        print(f"{name:{width}}  {median:>10,.1f}  {spread:>19}  {times:>7.2f}{'  (peer)' if name == peer else ''}")
    print(f"in {unit}, {len(measured[peer])} rounds")


def report(name: str, promises: Sequence[Promise]) -> None:
    """Prints each promise as kept or MISSED, and writes bench/results/<name>.json."""
    print()
    for each in promises:
        print(f"{'kept  ' if each.kept else 'MISSED'}  {each.promise}: {each.value:.2f} (limit {each.limit:g})")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(each) for each in promises], indent=2) + "\n")

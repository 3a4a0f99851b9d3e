"""The scheduled look at replication: runs the monitor, publishes its numbers, logs what it found and mended."""

import logging
import time
from collections import Counter
from typing import Any

import msgspec

from nearside import settings
from nearside.access import Caller
from nearside.adapters import emf
from nearside.adapters.canaries import CanaryWriter
from nearside.assembly import RepairParts
from nearside.canary import Canaries
from nearside.errors import Unreachable
from nearside.monitor import Monitor, Report
from nearside.repair import MAX_LIMIT, RepairAsked, Repairs
from nearside.resolving import Resolver

RESOLVE_SECONDS, REPAIR_SECONDS = 30.0, 40.0  # of the function's 120; canaries take 20
# A job that cannot mend what failed is not paid for anew every five minutes; an operator's request waits for nothing.
JOB_PAUSE_SECONDS = 6 * 3600
_SELF = Caller("monitor", trusted=True)

log = logging.getLogger("nearside")

_settings = settings.load(needs=("TABLE",))
_parts = RepairParts(_settings)
_places = _settings.places


def _monitor() -> Monitor:
    end = time.monotonic() + RESOLVE_SECONDS
    repairs_end = end + REPAIR_SECONDS
    resolver = Resolver(
        places=_places,
        work=_parts.work,
        records=_parts.records,
        versions=_parts.looks.versions,
        apply=_parts.catalog.apply,
        settle=_parts.catalog.settle,
        notes=_parts.notes,
        target_seconds=_settings.lag_target_seconds,
        clock=time.time,
        out_of_time=lambda: time.monotonic() > end,
    )

    def repair() -> Repairs:
        seconds = min(REPAIR_SECONDS, repairs_end - time.monotonic())
        return _parts.repairer("monitor", seconds, JOB_PAUSE_SECONDS).repair(RepairAsked(limit=MAX_LIMIT), _SELF)

    canaries = Canaries(
        _places,
        CanaryWriter(_parts.clients),
        _parts.looks,
        _parts.notes,
        _settings.lag_target_seconds,
        time.time,
        time.sleep,
    )
    return Monitor(
        places=_places,
        fly=canaries.fly,
        resolve=resolver.resolve,
        repair=repair,
        health=_parts.replication.health,
        notes=_parts.notes,
        log=_parts.log,
        target_seconds=_settings.lag_target_seconds,
        clock=time.time,
    )


def handler(event: dict[str, Any], context: object) -> Any:
    """Answers the report, for whoever runs it by hand. Raises Unreachable when nothing was learnt of any place, so that
    the run counts among the function's errors."""
    report: Report = _monitor().run()
    emf.publish(report)
    level = logging.WARNING if report.verdict == "broken" or report.lost else logging.INFO
    said = [*(reason.what for reason in report.reasons), *_repairs(report.repaired), *report.lost]
    log.log(level, "replication is %s%s", report.verdict, "".join(f"; {each}" for each in said))
    if report.blind:
        raise Unreachable(f"nothing was learnt of any place: {'; '.join(said)}")
    return msgspec.to_builtins(report)


def _repairs(repaired: Repairs | None) -> list[str]:
    """What was mended, and what was not, in words for the log."""
    if repaired is None:
        return []
    counts = Counter(each.outcome for each in repaired.replicas)
    jobs = [f"{job.source}: {job.detail}" for job in repaired.jobs]
    return [f"repairs: {outcome} {count}" for outcome, count in counts.most_common()] + jobs

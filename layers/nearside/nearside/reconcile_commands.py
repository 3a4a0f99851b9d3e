"""`nearside places reconcile`: the places' listings against the catalog, now and to the end."""

import argparse
import logging
from typing import Any

from nearside import settings
from nearside.errors import MissingBucket
from nearside.gateway.differences import Report
from nearside.gateway.reconciling import Asked
from nearside.gateway_assembly import GatewayParts
from nearside.reconcile_assembly import rounds


def add_to(commands: Any) -> None:
    """Adds `reconcile` to the parsers of the subcommands of `nearside places`."""
    words = "Compare what the places have with what the gateway knows, and have mended what differs."
    made = commands.add_parser("reconcile", help=words, description=words)
    made.add_argument("--bucket", help="only this bucket of the gateway; default: all")
    made.add_argument("--adopt", action="store_true", help="take over objects of the primary place that nobody knows")
    made.add_argument("--dry-run", action="store_true", help="only say what differs")
    made.set_defaults(run=_reconcile)


def _reconcile(asked: argparse.Namespace) -> int:
    """0 when every place was compared and nothing differs that is not mended now."""
    logging.getLogger("nearside").addHandler(logging.NullHandler())  # the reports say it
    parts = GatewayParts(settings.load(needs=("TABLE", "BACKENDS", "GATEWAY_QUEUE_URL")))
    names = [bucket.name for bucket in parts.records.buckets() if asked.bucket in (None, bucket.name)]
    if asked.bucket and not names:
        raise MissingBucket(f"the gateway has no bucket {asked.bucket!r}")
    reports = rounds(parts, Asked(adopt=asked.adopt, dry_run=asked.dry_run), None).look(names)
    for report in reports:
        _print(report)
    return 0 if all(not report.unknown and not _is_left(report) for report in reports) else 1


def _is_left(report: Report) -> bool:
    return report.total("unmanaged", "changing") > 0 or (report.dry_run and report.total() > 0)


def _print(report: Report) -> None:
    done = "nothing was changed" if report.dry_run else f"{report.queued} given to the replicator"
    print(f"{report.bucket}: {report.keys} keys, {report.words()}; {done}")
    for each in report.examples:
        print(f"  {each.kind} in {each.place}: {each.key}")
    for name, why in report.unknown.items():
        print(f"  {name} was not compared to the end: {why}")

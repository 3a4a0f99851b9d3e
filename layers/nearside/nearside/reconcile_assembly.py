"""Reconcile, put together for the function and for the command."""

import time

from nearside.adapters.reconcile_cursors import ReconcileCursors
from nearside.gateway.leftovers import Leftovers
from nearside.gateway.reconcile_rounds import Rounds
from nearside.gateway.reconciling import Asked, Reconciler
from nearside.gateway.settling import Settler
from nearside.gateway_assembly import GatewayParts


def rounds(parts: GatewayParts, asked: Asked, seconds: float | None) -> Rounds:
    """Reconcile that has this long from now; None: as long as it takes."""
    end = None if seconds is None else time.monotonic() + seconds

    def is_over() -> bool:
        return end is not None and time.monotonic() > end

    reconciler = Reconciler(
        parts.records,
        parts.places,
        Settler(parts.leases, parts.places, parts.queue),
        Leftovers(parts.stored_uploads, parts.places, time.time),
        asked,
        time.time,
        is_over,
    )
    cursors = ReconcileCursors(parts.wire)
    return Rounds(parts.records, cursors, reconciler, parts.queue, parts.log, time.time, is_over)

"""The scheduled look at the gateway: what is due to the replicator, and the places' listings against the catalog.

By hand, `{"reconcile": {"bucket": "photos", "adopt": false, "dry_run": true}}` looks at one bucket, or at all without
`bucket`, from the beginning.
"""

import logging
from typing import Any

import msgspec

from nearside import settings
from nearside.errors import BadRequest, MissingBucket
from nearside.gateway.reconcile_rounds import Ran
from nearside.gateway.reconciling import Asked
from nearside.gateway_assembly import GatewayParts
from nearside.reconcile_assembly import rounds

LEAST_MS = 30_000  # for what is under way when time is up: a page of each place, or one object

log = logging.getLogger("nearside")

_settings = settings.load(needs=("TABLE", "BACKENDS", "GATEWAY_QUEUE_URL"))
_parts = GatewayParts(_settings)


class ByHand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for by hand."""

    bucket: str | None = None
    adopt: bool = False
    dry_run: bool = False


def handler(event: dict[str, Any], context: Any) -> Any:
    """Answers what was done, for whoever runs it by hand. Raises Unreachable or Refused when the catalog does not
    answer, so that the run counts among the function's errors; BadRequest, MissingBucket for what was asked by hand."""
    seconds = (context.get_remaining_time_in_millis() - LEAST_MS) / 1000
    if "reconcile" not in event:
        ran = rounds(_parts, Asked(), seconds).run()
        log.info("%d objects that are due told to the replicator, %d buckets looked at", ran.swept, len(ran.reports))
        return msgspec.to_builtins(ran)
    try:
        asked = msgspec.convert(event["reconcile"], ByHand)
    except msgspec.ValidationError as error:
        raise BadRequest(f"reconcile: {error}") from error
    names = [bucket.name for bucket in _parts.records.buckets() if asked.bucket in (None, bucket.name)]
    if asked.bucket and not names:
        raise MissingBucket(f"the gateway has no bucket {asked.bucket!r}")
    wanted = Asked(adopt=asked.adopt, dry_run=asked.dry_run)
    reports = rounds(_parts, wanted, seconds).look(names)
    return msgspec.to_builtins(Ran(0, reports))

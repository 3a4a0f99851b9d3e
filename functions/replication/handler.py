"""The operators' routes: how replication is, where one object is and why, what waits, what was done, and repair."""

import time

from nearside import health, lag_series, mrap, replication, settings, web, whereabouts, work_lists
from nearside.adapters.heads import Heads
from nearside.adapters.many_records import ManyRecords
from nearside.assembly import RepairParts
from nearside.explain import Explainer, ObjectReplication
from nearside.gateway_overview import GatewayOverview
from nearside.listing import Cursors, asked_as
from nearside.repair import RepairAsked, Repairs

REPAIR_SECONDS = 20.0  # of a request's 28: one copy more must still fit

_settings = settings.load(needs=("CURSOR_KEY", "TABLE"))
_parts = RepairParts(_settings)
_places = _settings.places
_heads = Heads(_parts.credentials)

_explainer = Explainer(
    _places, _parts.records, _heads, _parts.catalog.remember, _parts.buckets, _parts.looks, _settings.lag_target_seconds
)
_whereabouts = whereabouts.Whereabouts(_places, ManyRecords(_parts.tables), _heads, _settings.policy)
_gateway = GatewayOverview(_settings) if _settings.backends else None
_lists = work_lists.WorkLists(
    _places,
    _parts.work,
    _parts.log.page,
    _settings.policy,
    Cursors(b"lists\0" + _settings.cursor_key.encode()),
    _gateway.copies if _gateway else None,
)


def _check_whole(request: web.Request) -> None:
    """What is told of whole places is for callers who may read the whole bucket."""
    _settings.policy.check(request.caller, "read", "")


def _health(request: web.Request) -> replication.ReplicationHealth:
    _check_whole(request)
    return _parts.replication.health(time.time())


def _object(request: web.Request) -> ObjectReplication:
    key = request.path["key"]
    _settings.policy.check(request.caller, "read", key)
    return _explainer.explain(key, time.time())


def _objects(request: web.Request) -> whereabouts.ManyDots:
    return _whereabouts.of(web.decode(request.body, whereabouts.ObjectsAsked), request.caller)


def _lag(request: web.Request) -> lag_series.LagSeries:
    _check_whole(request)
    asked = asked_as(request.query, lag_series.LagAsked)
    return lag_series.series(_places, _parts.lag_records.minutes, asked.hours, time.time())


def _repair(request: web.Request) -> Repairs:
    asked = web.decode(request.body or b"{}", RepairAsked)
    return _parts.repairer("repair", REPAIR_SECONDS).repair(asked, request.caller)


def _mrap(request: web.Request) -> mrap.MrapState:
    _check_whole(request)
    return _parts.mrap()


def _backends(request: web.Request) -> health.Backends:
    _check_whole(request)
    return health.backends(_places, _heads, _gateway.backends() if _gateway else ())


def _status(request: web.Request) -> work_lists.ReplicaStatuses:
    return _lists.status(asked_as(request.query, work_lists.StatusAsked), request.caller)


def _operations(request: web.Request) -> work_lists.Operations:
    return _lists.operations(asked_as(request.query, work_lists.LogAsked), request.caller, time.time())


handler = web.boundary(
    {
        "GET /replication/health": _health,
        "GET /replication/objects/{key+}": _object,
        "POST /replication/objects": _objects,
        "GET /replication/lag": _lag,
        "POST /replication/repair": _repair,
        "GET /mrap": _mrap,
        "GET /backends": _backends,
        "GET /api/replicas/status": _status,
        "GET /api/operations/log": _operations,
    },
    _settings.auth_mode,
)

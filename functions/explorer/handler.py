"""The explorer's routes: what the bucket holds, how the places are, and the API's own description."""

from functools import cache
from typing import TYPE_CHECKING

from nearside import settings, web
from nearside.adapters import credentials
from nearside.health import Health, health
from nearside.listing import Cursors, Explorer, asked, asked_as
from nearside.replicas import FindsReplicas

if TYPE_CHECKING:
    from nearside.json_objects import JsonObjects

CACHE_BYTES = 256 * 1024**2  # half of Lambda's /tmp, which is where the cache is there

_settings = settings.load(needs=("CURSOR_KEY",))
_credentials = credentials.of(_settings)
_gateway = None
if _settings.backends:
    from nearside.gateway_overview import GatewayOverview  # where there is no gateway nothing of it is loaded

    _gateway = GatewayOverview(_settings)


@cache
def _explorer() -> Explorer:
    from nearside.adapters.s3 import Listings  # boto3: 200 ms that `/`, `/health` and `/docs` need not pay

    return Explorer(
        places=_settings.places,
        home=_settings.home,
        levels=Listings(_credentials),
        policy=_settings.policy,
        cursors=Cursors(_settings.cursor_key.encode()),
    )


@cache
def _heads() -> FindsReplicas:
    from nearside.adapters.heads import Heads

    return Heads(_credentials)


@cache
def _json_objects() -> "JsonObjects":
    from nearside.cache import CacheManager, Patience  # only this route pays for it
    from nearside.json_objects import JsonObjects

    home = _settings.home
    places = (home, *(place for place in _settings.places if place != home))
    # Of the function's 28 s: a place that stalls is left for the next one, and whoever asks gets an answer.
    waits = Patience(rounds=2, connect_seconds=2.0, read_seconds=5.0, longest_pause_seconds=1.0, total_seconds=18.0)
    files = CacheManager(max_bytes=CACHE_BYTES, places=places, credentials=_credentials, patience=waits)
    return JsonObjects(home.bucket, files, _settings.policy, web.MAX_ANSWER_BYTES)


def _list(request: web.Request) -> web.Page:
    found = _explorer().list(request.path.get("path", ""), asked(request.query), request.caller)
    return web.keepable(request, found, _settings.listing_max_age)


def _json(request: web.Request) -> web.Page:
    from nearside.json_objects import JsonAsked

    known = request.headers.get("if-none-match", "")
    found = _json_objects().read(request.path["path"], asked_as(request.query, JsonAsked), known, request.caller)
    return web.Page(found.text or b"", "application/json", found.headers, found.status)


def _health(request: web.Request) -> Health:
    return health(_settings.places, _heads(), _gateway.states() if _gateway else None)


def _endpoints(request: web.Request) -> object:
    from nearside import openapi

    return openapi.Endpoints([route.key.replace("+}", "}") for route in openapi.ROUTES])


def _openapi(request: web.Request) -> object:
    from nearside import openapi

    return openapi.document(_settings.auth_mode)


def _docs(request: web.Request) -> web.Page:
    from nearside import docs, openapi

    page = docs.page(openapi.document(_settings.auth_mode))
    headers = {"content-security-policy": docs.CONTENT_SECURITY_POLICY}
    return web.Page(page.encode(), "text/html; charset=utf-8", headers)


handler = web.boundary(
    {
        "GET /": _endpoints,
        "GET /health": _health,
        "GET /list-bucket-content": _list,
        "GET /list-bucket-content/{path+}": _list,
        "GET /json/{path+}": _json,
        "GET /openapi.json": _openapi,
        "GET /docs": _docs,
    },
    _settings.auth_mode,
)

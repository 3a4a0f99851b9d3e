"""Uploads that are too large for Lambda: straight to one of the gateway's places, and from there to all."""

from nearside import settings, web
from nearside.gateway.direct_uploads import (
    CompleteAsked,
    DirectUploads,
    PartsAsked,
    PartUrls,
    UploadAborted,
    UploadAsked,
    UploadBegun,
    UploadDone,
)
from nearside.gateway_assembly import GatewayParts
from nearside.sealing import Seal

_settings = settings.load(needs=("CURSOR_KEY", "TABLE", "BACKENDS"))
_parts = GatewayParts(_settings)
_uploads = DirectUploads(
    _parts.leases,
    _parts.places,
    _parts.writer,
    _parts.stored_uploads,
    _settings.policy,
    Seal(_settings.cursor_key.encode(), "nearside upload"),
)


def _begin(request: web.Request) -> UploadBegun:
    return _uploads.begin(web.decode(request.body, UploadAsked), request.caller)


def _parts_of(request: web.Request) -> PartUrls:
    return _uploads.parts(request.path["id"], web.decode(request.body, PartsAsked), request.caller)


def _complete(request: web.Request) -> UploadDone:
    return _uploads.complete(request.path["id"], web.decode(request.body, CompleteAsked), request.caller)


def _abort(request: web.Request) -> UploadAborted:
    return _uploads.abort(request.path["id"], request.caller)


handler = web.boundary(
    {
        "POST /uploads": _begin,
        "POST /uploads/{id}/parts": _parts_of,
        "POST /uploads/{id}/complete": _complete,
        "DELETE /uploads/{id}": _abort,
    },
    _settings.auth_mode,
)

"""Uploads straight to a region or to one of the gateway's places, past Lambda; and the end of forgotten ones."""

import logging
import time
from typing import Any

import msgspec

from nearside import places, settings, uploads_items, uploads_uppy, web
from nearside.errors import BadRequest
from nearside.gateway.direct_uploads import DirectUploads
from nearside.sealing import Seal
from nearside.uploads import RegionUploads
from nearside.uploads_assembly import UploadParts

SWEEP_SECONDS = 20.0  # of the function's 28

log = logging.getLogger("nearside")

_settings = settings.load(needs=("CURSOR_KEY", "TABLE"))
_parts = UploadParts(_settings)
_regions = _parts.uploads
_uppy = uploads_uppy.Uppy(_regions)


def _direct() -> DirectUploads | None:
    """The gateway's, where there is one; made at once, since its places' credentials are in the environment."""
    if not _settings.backends:
        return None
    from nearside.gateway_assembly import GatewayParts  # for whoever has one

    parts = GatewayParts(_settings)
    seal = Seal(_settings.cursor_key.encode(), "nearside upload")
    return DirectUploads(parts.leases, parts.places, parts.writer, parts.stored_uploads, _settings.policy, seal)


_gateway = _direct()


def _of(request: web.Request) -> RegionUploads | DirectUploads:
    """Whose the id in the path is: the regions', or the gateway's."""
    return _regions if _gateway is None or _regions.tickets.knows(request.path["id"]) else _gateway


def _viewer(request: web.Request) -> places.Viewer | None:
    return places.viewer_of(
        request.headers.get("cloudfront-viewer-country"),
        request.headers.get("cloudfront-viewer-latitude"),
        request.headers.get("cloudfront-viewer-longitude"),
    )


def _begin(request: web.Request) -> uploads_items.UploadBegun:
    asked = web.decode(request.body, uploads_items.UploadAsked)
    if asked.bucket is None:
        return _regions.begin(asked, request.caller, _viewer(request))
    if _gateway is None:
        raise BadRequest("bucket is for a gateway's buckets, and there is no gateway here: leave it out")
    return _gateway.begin(asked, request.caller)


def _list(request: web.Request) -> uploads_items.Uploads:
    return _regions.unfinished(request.caller)


def _show(request: web.Request) -> uploads_items.UploadShown:
    return _regions.show(request.path["id"], request.caller)


def _sign_parts(request: web.Request) -> uploads_items.PartUrls:
    asked = web.decode(request.body, uploads_items.PartsAsked)
    return _of(request).parts(request.path["id"], asked, request.caller)


def _complete(request: web.Request) -> uploads_items.UploadDone:
    asked = web.decode(request.body, uploads_items.CompleteAsked)
    return _of(request).complete(request.path["id"], asked, request.caller)


def _abort(request: web.Request) -> uploads_items.UploadAborted:
    return _of(request).abort(request.path["id"], request.caller)


def _uppy_params(request: web.Request) -> uploads_uppy.Form:
    return _uppy.form(request.query, request.caller, _viewer(request), time.time())


def _uppy_create(request: web.Request) -> uploads_uppy.MultipartCreated:
    return _uppy.create(web.decode(request.body, uploads_uppy.MultipartAsked), request.caller, _viewer(request))


def _uppy_part(request: web.Request) -> uploads_uppy.MultipartUrl:
    return _uppy.part(request.path["id"], request.path["number"], request.caller)


def _uppy_parts(request: web.Request) -> list[uploads_uppy.MultipartPart]:
    return _uppy.parts(request.path["id"], request.caller)


def _uppy_complete(request: web.Request) -> uploads_uppy.MultipartDone:
    asked = web.decode(request.body, uploads_uppy.MultipartEnded)
    return _uppy.complete(request.path["id"], asked, request.caller)


def _uppy_abort(request: web.Request) -> uploads_uppy.MultipartGone:
    return _uppy.abort(request.path["id"], request.caller)


def _uppy_sign(request: web.Request) -> uploads_uppy.Signed:
    asked = web.decode(request.body, uploads_uppy.SignAsked)
    return _uppy.sign(asked, request.caller, _viewer(request), time.time())


_api = web.boundary(
    {
        "POST /uploads": _begin,
        "GET /uploads": _list,
        "GET /uploads/{id}": _show,
        "POST /uploads/{id}/parts": _sign_parts,
        "POST /uploads/{id}/complete": _complete,
        "DELETE /uploads/{id}": _abort,
        "GET /s3/params": _uppy_params,
        "POST /s3/sign": _uppy_sign,
        "POST /s3/multipart": _uppy_create,
        "GET /s3/multipart/{id}": _uppy_parts,
        "GET /s3/multipart/{id}/{number}": _uppy_part,
        "POST /s3/multipart/{id}/complete": _uppy_complete,
        "DELETE /s3/multipart/{id}": _uppy_abort,
    },
    _settings.auth_mode,
)


def handler(event: dict[str, Any], context: object) -> Any:
    """A request of the API's; or the schedule's, which answers what was ended."""
    if "routeKey" in event:
        return _api(event, context)
    end = time.monotonic() + SWEEP_SECONDS
    swept = _parts.orphans(lambda: time.monotonic() > end).sweep()
    log.log(logging.WARNING if swept.lost else logging.INFO, "uploads ended: %s; not: %s", swept.ended, swept.lost)
    return msgspec.to_builtins(swept)

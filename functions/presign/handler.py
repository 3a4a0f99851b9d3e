"""`POST /presign`: reads one item or a batch, has each presigned, answers."""

import time
from collections.abc import Sequence
from functools import cache

import msgspec

from nearside import items, places, presign, settings, web
from nearside.adapters import credentials
from nearside.errors import BadRequest
from nearside.replicas import Findings, FindsReplicas, Known, Question, ReadsCatalog

_settings = settings.load()
_credentials = credentials.of(_settings)


@cache
def _heads() -> FindsReplicas:
    from nearside.adapters.heads import Heads  # its HTTP client costs a cold start more than signing does

    return Heads(_credentials)


@cache
def _currents() -> ReadsCatalog:
    from nearside.adapters.currents import Currents  # its sockets and TLS are only for URLs that are checked

    return Currents(
        _settings.table,
        _settings.primary.bucket,
        _settings.region,
        credentials.own(_settings),
        _settings.dynamodb_endpoint,
    )


def _known(keys: Sequence[str], places: Sequence[str]) -> Known:
    return _currents()(keys, places)


def _find(questions: Sequence[Question]) -> Sequence[Findings]:
    return _heads()(questions)


_presigner = presign.Presigner(
    places=_settings.places,
    mrap=_settings.mrap if _settings.use_mrap else None,
    credentials=_credentials,
    find=_find,
    policy=_settings.policy,
    catalog=_known if _settings.table else None,
)


def _presign(request: web.Request) -> items.Presigned | items.Presigns:
    viewer = places.viewer_of(
        request.headers.get("cloudfront-viewer-country"),
        request.headers.get("cloudfront-viewer-latitude"),
        request.headers.get("cloudfront-viewer-longitude"),
    )
    if web.decode(request.body, items.Asked).items is msgspec.UNSET:
        item = web.decode(request.body, items.Item)
        return _presigner.one(item, request.caller, viewer, time.time())
    raws = web.decode(request.body, items.RawBatch).items
    asked = [_item(raw, index) for index, raw in enumerate(raws)]
    return _presigner.many(asked, request.caller, viewer, time.time())


def _item(raw: msgspec.Raw, index: int) -> items.Item | BadRequest:
    try:
        return web.decode(bytes(raw), items.Item, at=f"items[{index}]")
    except BadRequest as error:
        return error


handler = web.boundary({"POST /presign": _presign}, _settings.auth_mode)

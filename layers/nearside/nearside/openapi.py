"""The API's contract: every route once, and the OpenAPI 3.1 document made from that and from the types."""

import re
from typing import Any

import msgspec

from nearside import __version__
from nearside.explain import ObjectReplication
from nearside.health import Backends, Health
from nearside.items import Batch, Failed, Item, Presigned, Presigns
from nearside.json_objects import JsonAsked
from nearside.lag_series import LagAsked, LagSeries
from nearside.listing import Asked, Listing
from nearside.mrap import MrapState
from nearside.repair import RepairAsked, Repairs
from nearside.replication import ReplicationHealth
from nearside.routes import Endpoints as Endpoints
from nearside.routes import Error, Route
from nearside.settings import AuthMode
from nearside.uploads_routes import UPLOADS
from nearside.whereabouts import ManyDots, ObjectDots, ObjectFailed, ObjectsAsked
from nearside.work_lists import LogAsked, Operations, ReplicaStatuses, StatusAsked

_LISTING_ERRORS = (400, 403, 404, 413)

ROUTES = (
    Route(key="GET /", function="explorer", summary="The routes of this API.", answer=(Endpoints,)),
    Route(
        key="GET /health",
        function="explorer",
        summary="Whether each place can be reached; 200 even when degraded, the body tells.",
        answer=(Health,),
    ),
    Route(
        key="GET /list-bucket-content",
        function="explorer",
        summary="Names at the top of the bucket; folders end with a slash.",
        query=Asked,
        answer=(Listing,),
        unchanged=True,
        errors=_LISTING_ERRORS,
    ),
    Route(
        key="GET /list-bucket-content/{path+}",
        function="explorer",
        summary="Names in a folder, or the name of one object.",
        query=Asked,
        answer=(Listing,),
        unchanged=True,
        errors=_LISTING_ERRORS,
    ),
    Route(
        key="POST /presign",
        function="presign",
        summary="One URL, or up to 1,000, each leading to the nearest place that has the object.",
        body=(Item, Batch),
        answer=(Presigned, Presigns),
        errors=(400, 403, 404, 413),
    ),
    Route(
        key="GET /replication/health",
        function="replication",
        summary="Whether replication is healthy, behind or broken: every rule and place, with reasons and what to do.",
        answer=(ReplicationHealth,),
    ),
    Route(
        key="GET /replication/objects/{key+}",
        function="replication",
        summary="One object in every place: each version's state, and where it is not as it should be, why.",
        answer=(ObjectReplication,),
        errors=(400, 403, 404),
    ),
    Route(
        key="POST /replication/objects",
        function="replication",
        summary="The newest version of each of up to 100 objects in every place.",
        body=(ObjectsAsked,),
        answer=(ManyDots,),
        errors=(400, 413),
    ),
    Route(
        key="GET /replication/lag",
        function="replication",
        summary="How long copies took to arrive in each place over the last hours, in steps of five minutes.",
        query=LagAsked,
        answer=(LagSeries,),
        errors=(400, 403),
    ),
    Route(
        key="POST /replication/repair",
        function="replication",
        summary="Mends replicas that failed or are overdue, with a proof; a dry run says what would be done.",
        body=(RepairAsked,),
        answer=(Repairs,),
        errors=(400, 403, 404, 413),
    ),
    Route(
        key="GET /mrap",
        function="replication",
        summary="The Multi-Region Access Point in use: status, alias, regions, routes.",
        answer=(MrapState,),
        errors=(403, 404),
    ),
    Route(
        key="GET /backends",
        function="replication",
        summary="Every place, and its state.",
        answer=(Backends,),
    ),
    Route(
        key="GET /api/replicas/status",
        function="replication",
        summary="Replicas that failed or are pending, page by page.",
        query=StatusAsked,
        answer=(ReplicaStatuses,),
        errors=(400, 403, 413),
    ),
    Route(
        key="GET /api/operations/log",
        function="replication",
        summary="What was done, newest first, page by page.",
        query=LogAsked,
        answer=(Operations,),
        errors=(400, 403, 413),
    ),
    *UPLOADS,
    Route(
        key="GET /json/{path+}",
        function="explorer",
        summary="The JSON stored at a key, of any type.",
        query=JsonAsked,
        answer=(Any,),
        unchanged=True,
        errors=(400, 403, 404, 409, 413, 502, 503, 507),
    ),
    Route(
        key="GET /openapi.json",
        function="explorer",
        summary="This document.",
        answer=(dict[str, Any],),
    ),
    Route(
        key="GET /docs",
        function="explorer",
        summary="This document as a page.",
        answer=(str,),
        media_type="text/html",
    ),
)

_SECURITY: dict[AuthMode, dict[str, Any]] = {
    "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "iam": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "AWS SigV4, service execute-api"},
}


def document(auth_mode: AuthMode) -> dict[str, Any]:
    """The OpenAPI document, as JSON-ready values, with the security of the API's authorizer."""
    types = [each for route in ROUTES for each in (*route.answer, *route.body)] + [
        Failed,
        ObjectDots,
        ObjectFailed,
        Error,
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in ROUTES:
        method, _, path = route.key.partition(" ")
        paths.setdefault(path.replace("+}", "}"), {})[method.lower()] = _operation(route, by_type, auth_mode)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Nearside",
            "version": __version__,
            "description": "One URL per S3 object, served from the nearest place that really has it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }
    if auth_mode in _SECURITY:
        described["components"]["securitySchemes"] = {auth_mode: _SECURITY[auth_mode]}
        described["security"] = [{auth_mode: []}]
    return described


def _operation(route: Route, schemas: dict[Any, Any], auth_mode: AuthMode) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": re.sub("[^a-z]+", "_", route.key.lower()).strip("_"),
        "tags": [route.function],
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {"200": _response("The answer.", route.media_type, _any_of(route.answer, schemas))},
    }
    if route.unchanged:
        operation["parameters"].append(_IF_NONE_MATCH)
        operation["responses"]["304"] = {"description": "The client has it already: the ETag is in If-None-Match."}
    if route.body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _any_of(route.body, schemas)}},
        }
    refusals = {*route.errors, 500} | (set() if auth_mode == "none" else {401, 403})
    for status in sorted(refusals):
        error = _response(_WORDS[status], "application/json", {"$ref": "#/components/schemas/Error"})
        operation["responses"][str(status)] = error
    return operation


_WORDS = {
    400: "The request is wrong; the message names the field, its value and the limit.",
    401: "The API's authorizer did not vouch for the caller.",
    403: "The caller may not do this with this key, or S3 refused.",
    404: "It does not exist, and S3 said so.",
    409: "It changed again and again while it was read: try again.",
    412: "What the client demanded of the object is not so: there is one already.",
    413: "The request, or what would be its answer, is over the limit.",
    500: "A place cannot be reached, or an unexpected error; the message says which.",
    502: "What came from S3 was damaged: try again.",
    503: "Too few places answer, or another request holds what is needed: try again.",
    507: "The function's disk has no room for it now: try again.",
}


def _any_of(types: tuple[Any, ...], schemas: dict[Any, Any]) -> Any:
    return schemas[types[0]] if len(types) == 1 else {"anyOf": [schemas[each] for each in types]}


def _response(words: str, media_type: str, schema: Any) -> dict[str, Any]:
    return {"description": words, "content": {media_type: {"schema": schema}}}


_TAG_WORDS = "The ETag of the answer that the client has."
_IF_NONE_MATCH = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}, "description": _TAG_WORDS}

_PATHS = {
    "path": "The folder's or object's path, slashes and all.",
    "key": "The object's key, slashes and all.",
    "id": "The upload's id, as it was given when it began.",
    "number": "The part's number, 1 to 10,000.",
}


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name in re.findall(r"\{(\w+)\+?\}", route.key):
        path = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        parameters.append({**path, "description": _PATHS[name]})
    if route.query is not None:
        _, components = msgspec.json.schema_components([route.query])
        for name, schema in components[route.query.__name__]["properties"].items():
            # A query cannot say null: absent is how a parameter is left out.
            options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
            parameters.append({"name": name, "in": "query", "required": False, "schema": options[0]})
    return parameters

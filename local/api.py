"""The HTTP API: API Gateway's routing, CORS, limits and events (payload format 2.0) around the functions.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from local.events_v2 import event_of
from local.function_answers import answer_of, cors_headers, preflight_headers
from local.functions import LoadedFunction, TimedOut
from local.locations import Location, UnknownLocation, locate
from local.mrap import LOCATION_HEADER
from local.routes import Router
from local.server import Request, Response
from local.template import Template

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html and
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_REQUEST_BYTES = 10 * 1024 * 1024
MAX_HEADER_BYTES = 10_240
MAX_INVOCATION_BYTES = 6 * 1024 * 1024
INTEGRATION_SECONDS = 30.0

_log = logging.getLogger(__name__)


class HttpApi:
    """The app of the API's endpoint."""

    def __init__(
        self, template: Template, overrides: Mapping[str, str], default_location: Callable[[], Location]
    ) -> None:
        self._template = template
        self._default_location = default_location
        self._router = Router(template.routes)
        self._functions: dict[str, LoadedFunction] = {}
        self.load(overrides)

    def load(self, overrides: Mapping[str, str]) -> None:
        """Import every function anew, with these variables over its own. Raises FunctionFailed."""
        names = {route.function for route in self._template.routes}
        self._functions = {
            name: LoadedFunction(function, overrides)
            for name, function in self._template.functions.items()
            if name in names
        }

    def __call__(self, request: Request) -> Response:
        cors = self._template.cors
        if cors and request.method == "OPTIONS" and request.has_header("Access-Control-Request-Method"):
            return Response(204, preflight_headers(cors, request))
        response = self._serve(request)
        return response.adding(cors_headers(cors, request)) if cors else response

    def _serve(self, request: Request) -> Response:
        if len(request.body) > MAX_REQUEST_BYTES:
            return _message(413, "Request Too Long")
        if sum(len(name) + len(value) for name, value in request.headers) + len(request.target) > MAX_HEADER_BYTES:
            return _message(431, "Request Header Fields Too Large")
        match = self._router.match(request)
        if match is None:
            return _message(404, "Not Found")
        try:
            viewer = self._viewer_headers(request)
        except UnknownLocation as error:
            return _message(400, str(error))
        event = event_of(request, match, viewer)
        if len(json.dumps(event)) > MAX_INVOCATION_BYTES:
            return _message(413, "Request Too Long")
        return self._invoke(self._functions[match.route.function], event)

    def _invoke(self, function: LoadedFunction, event: Mapping[str, Any]) -> Response:
        limit = min(float(function.function.timeout_seconds), INTEGRATION_SECONDS)
        try:
            result = json.dumps(function.invoke(event, limit))
            if len(result) > MAX_INVOCATION_BYTES:
                raise ValueError(f"the answer has {len(result)} bytes: Lambda takes {MAX_INVOCATION_BYTES}")
            return answer_of(json.loads(result))
        except TimedOut:
            _log.warning("%s timed out after %g s", function.function.name, limit)
            late = limit >= INTEGRATION_SECONDS
            return _message(503, "Service Unavailable") if late else _message(500, "Internal Server Error")
        except Exception:  # noqa: BLE001 - whatever a handler raises is logged, and answered as API Gateway does
            _log.exception("%s failed", function.function.name)
            return _message(500, "Internal Server Error")

    def _viewer_headers(self, request: Request) -> dict[str, str]:
        """CloudFront's headers about the viewer, where the client has not sent them itself."""
        named = request.header(LOCATION_HEADER)
        where = locate(named) if named else self._default_location()
        headers = {
            "cloudfront-viewer-country": where.country,
            "cloudfront-viewer-latitude": f"{where.latitude:.5f}",
            "cloudfront-viewer-longitude": f"{where.longitude:.5f}",
        }
        if any(request.has_header(name) for name in headers):
            return {}
        return {name: value for name, value in headers.items() if value}


def _message(status: int, message: str) -> Response:
    return Response(status, (("Content-Type", "application/json"),), json.dumps({"message": message}).encode())

"""A Lambda Function URL: the path as it was sent, Lambda's limits on both payloads, and CORS of the template.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from local.events_v2 import event_of
from local.function_answers import answer_of, cors_headers, preflight_headers
from local.functions import LoadedFunction, TimedOut
from local.routes import Match
from local.server import Request, Response
from local.template import Function, Route

# 6 MB, https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, by what Lambda itself says when more is
# sent: an answer may have 100 bytes more. Bodies are counted as base64, and the JSON around them too.
MAX_REQUEST_BYTES = 6_291_456
MAX_ANSWER_BYTES = 6_291_556
# What the function is told to answer with at most when there are no limits.
_UNLIMITED = {"GATEWAY_MAX_BODY_BYTES": str(2**30)}

_log = logging.getLogger(__name__)


class FunctionUrl:
    """The app of a function's URL, which serves as many requests at once as come, within Lambda's limits or not."""

    def __init__(self, function: Function, overrides: Mapping[str, str], *, limited: bool = True) -> None:
        self._function = function
        self._route = Route("$default", function.name)
        self._cors = function.url.cors if function.url else None
        self._limited = limited
        self.load(overrides)

    @property
    def limited(self) -> bool:
        """Whether it keeps to Lambda's limits."""
        return self._limited

    def load(self, overrides: Mapping[str, str]) -> None:
        """Import the function anew, with these variables over its own. Raises FunctionFailed."""
        self._overrides = dict(overrides)
        self._loaded = LoadedFunction(self._function, overrides if self._limited else {**overrides, **_UNLIMITED})

    def limit(self, *, on: bool) -> None:
        """Keep to Lambda's limits or not, and tell the function so."""
        if on != self._limited:
            self._limited = on
            self.load(self._overrides)

    def __call__(self, request: Request) -> Response:
        cors = self._cors
        if cors and request.method == "OPTIONS" and request.has_header("Access-Control-Request-Method"):
            return Response(200, preflight_headers(cors, request))
        response = self._serve(request)
        return response.adding(cors_headers(cors, request)) if cors else response

    def _serve(self, request: Request) -> Response:
        event = event_of(request, Match(self._route, request.path, {}), {})
        event["requestContext"]["accountId"] = "anonymous"  # as without IAM
        if self._limited and len(json.dumps(event)) > MAX_REQUEST_BYTES:
            message = f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the InvokeFunction operation"
            return _refusal(413, "RequestTooLargeException", message)
        try:
            return answer_of(self._invoke(event))
        except TimedOut as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 - whatever a handler raises is logged, and answered as Lambda does
            _log.exception("%s failed", self._function.name)
        return _refusal(502, "InternalServerErrorException", "Internal Server Error")

    def _invoke(self, event: Mapping[str, Any]) -> Any:
        result = self._loaded.invoke(event, float(self._function.timeout_seconds))
        if self._limited and (length := len(json.dumps(result))) > MAX_ANSWER_BYTES:
            raise ValueError(f"the answer has {length} bytes: Lambda takes {MAX_ANSWER_BYTES}")
        return result


def _refusal(status: int, kind: str, message: str) -> Response:
    headers = (("Content-Type", "application/json"), ("x-amzn-ErrorType", kind))
    return Response(status, headers, json.dumps({"Message": message}).encode())

"""Lambda@Edge: a distribution's functions, called for its events, and what becomes of a function that fails.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-testing-debugging.html
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from local.distribution import Behaviour, Distribution
from local.edge_events import Json, event, made_response, response_json
from local.edge_rules import Violation, check_request, check_response
from local.functions import LoadedFunction
from local.server import Response

MAX_SECONDS = 30  # of an origin's events
MAX_RESULT_BYTES = 1_048_576

_log = logging.getLogger(__name__)


class FunctionError(Exception):
    """A function that failed, or whose result is refused: CloudFront's status, its X-Cache word, and the reason."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind


class Triggers:
    """The functions of one distribution, imported once: one warm container. Raises FunctionFailed."""

    def __init__(self, distribution: Distribution, environment: Mapping[str, str]) -> None:
        self._distribution = distribution
        self._environment = environment
        self._loaded: dict[str, LoadedFunction] = {}
        self.load()

    def load(self) -> None:
        """Import every function anew: a cold start. Raises FunctionFailed."""
        self._loaded = {
            name: LoadedFunction(function, self._environment) for name, function in self._distribution.functions.items()
        }

    def on_request(self, behaviour: Behaviour, request_id: str, request: Json) -> Json | Response:
        """The request as it goes on to its origin, or the answer that the function made. Raises FunctionError."""
        name = behaviour.triggers.get("origin-request")
        if name is None:
            return request
        result = self._run(name, event(self._distribution, "origin-request", request_id, request))
        with _refusing(name):
            if isinstance(result, dict) and "status" in result and "uri" not in result:
                check_response({}, result)
                return made_response(result)
            check_request(request, result)
        changed: Json = result
        return changed

    def on_response(self, behaviour: Behaviour, request_id: str, request: Json, response: Response) -> Response:
        """The origin's answer as it goes on to the viewer and into the cache. Raises FunctionError."""
        name = behaviour.triggers.get("origin-response")
        if name is None:
            return response
        shown = response_json(response)
        result = self._run(name, event(self._distribution, "origin-response", request_id, request, shown))
        with _refusing(name):
            check_response(shown, result)
            return made_response(result, response.body)

    def _run(self, name: str, given: Json) -> Any:
        function = self._loaded[name]
        try:
            # By JSON both ways: what is no JSON fails in Lambda, and nothing is shared with the function.
            answer = json.dumps(
                function.invoke(json.loads(json.dumps(given)), min(function.function.timeout_seconds, MAX_SECONDS))
            )
        except Exception as error:
            _log.exception("%s failed", name)
            raise FunctionError(503, "LambdaExecutionError", f"{name} failed: {error!r}") from error
        if len(answer) > MAX_RESULT_BYTES:
            raise FunctionError(502, "LambdaValidationError", f"{name} returned {len(answer)} bytes")
        return json.loads(answer)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """A Violation, or a body that is no base64, becomes a FunctionError of this function."""
    try:
        yield
    except (Violation, ValueError) as error:
        reason = f"The Lambda function result failed validation: {error}"
        _log.warning("%s: %s", name, reason)
        raise FunctionError(502, "LambdaValidationError", reason) from error

"""API Gateway's choice of a route: an exact path before a parameter, a parameter before a greedy one, then $default.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from local.server import Request, decode_path
from local.template import Route

_EXACT, _PARAMETER, _GREEDY = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Match:
    """The chosen route, the decoded path, and the values of the route's parameters."""

    route: Route
    path: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Pattern:
    route: Route
    method: str
    segments: tuple[str, ...] = field(default=())

    @property
    def order(self) -> tuple[object, ...]:
        """Smaller is more specific. A route for ANY method comes after one for the method."""
        return (self.method == "$default", tuple(map(_kind, self.segments)), self.method == "ANY")

    def match(self, method: str, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The parameters' values, or None when this is not the route."""
        if self.method == "$default":
            return {}
        if self.method not in (method, "ANY"):
            return None
        values: dict[str, str] = {}
        for index, pattern in enumerate(self.segments):
            rest = "/".join(segments[index:])
            if _kind(pattern) == _GREEDY:
                return values | {pattern[1:-2]: rest} if rest else None
            if index >= len(segments):
                return None
            if _kind(pattern) == _PARAMETER and segments[index]:
                values[pattern[1:-1]] = segments[index]
            elif pattern != segments[index]:
                return None
        return values if len(segments) == len(self.segments) else None


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._patterns = sorted(map(_parse, routes), key=lambda pattern: pattern.order)

    def match(self, request: Request) -> Match | None:
        """The most specific route that fits, or None."""
        path = decode_path(request.path)
        segments = tuple(path[1:].split("/"))
        for pattern in self._patterns:
            parameters = pattern.match(request.method, segments)
            if parameters is not None:
                return Match(pattern.route, path, parameters)
        return None


def _parse(route: Route) -> _Pattern:
    method, _, path = route.key.partition(" ")
    return _Pattern(route, method, tuple(path[1:].split("/")) if path else ())


def _kind(segment: str) -> int:
    if not (segment.startswith("{") and segment.endswith("}")):
        return _EXACT
    return _GREEDY if segment.endswith("+}") else _PARAMETER

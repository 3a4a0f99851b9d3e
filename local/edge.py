"""The edge: what CloudFront does with a viewer's request, for the behaviours of one distribution.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehavior.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from local.distribution import Behaviour, Distribution
from local.edge_cache import (
    EdgeCache,
    Entry,
    Key,
    error_lifetime_seconds,
    for_viewer,
    lifetime_seconds,
    refreshed,
    revalidation,
)
from local.edge_events import new_request_id, origin_request, via
from local.edge_origins import Origins, Unreachable
from local.edge_rules import is_disallowed
from local.edge_triggers import FunctionError, Triggers
from local.locations import Location, UnknownLocation, locate
from local.mrap import LOCATION_HEADER
from local.server import HeaderList, Request, Response

MAX_URL = 8192


@dataclass(frozen=True, slots=True)
class _Viewing:
    """One request of a viewer, and what CloudFront knows of it."""

    request: Request
    behaviour: Behaviour
    request_id: str
    location: Location

    @property
    def key(self) -> Key:
        """What tells two requests apart."""
        request, policy = self.request, self.behaviour.cache
        query = request.query if policy.query else ""
        named = (request.header(name) for name in policy.headers)
        return (request.method, self.location.name, self.behaviour.pattern, request.path, query, *named)


class Edge:
    """The app of PORT+6. `location` is where a viewer is that does not say (`X-World-Location`); every location has a
    cache of its own, as CloudFront's points of presence have."""

    def __init__(
        self,
        distribution: Distribution,
        triggers: Triggers,
        origins: Origins,
        location: Callable[[], Location],
    ) -> None:
        self.distribution = distribution
        self.triggers = triggers
        self._origins = origins
        self._location = location
        self.cache = EdgeCache()

    def __call__(self, request: Request) -> Response:
        named = request.header(LOCATION_HEADER)
        try:
            location = locate(named) if named else self._location()
        except UnknownLocation as error:
            return _page(400, "Error", str(error))
        viewing = _Viewing(request, self.distribution.behaviour(request.path), new_request_id(), location)
        try:
            response = self._serve(viewing)
        except FunctionError as error:
            response = _page(error.status, error.kind, str(error))
        except Unreachable as error:
            response = _page(502, "Error", str(error))
        response = _with_policy(for_viewer(request, response), viewing.behaviour)
        pop = f"{location.name.upper()}-P1"
        return response.adding(
            (("Via", via(self.distribution)), ("X-Amz-Cf-Pop", pop), ("X-Amz-Cf-Id", viewing.request_id))
        )

    def _serve(self, viewing: _Viewing) -> Response:
        request, behaviour = viewing.request, viewing.behaviour
        if request.method not in behaviour.methods:
            allowed = "This distribution is not configured to allow the HTTP request method that was used."
            return _page(403, "Error", allowed)
        if request.body and request.method in ("GET", "HEAD"):
            return _page(403, "Error", "A GET request has no body.")
        if len(request.target) > MAX_URL:
            return _page(414, "Error", "The URL is too long.")
        if request.method not in ("GET", "HEAD"):
            return _told(self._ask(viewing, ()), "Miss")
        key = viewing.key
        entry = self.cache.find(key) or (self.cache.find(("GET", *key[1:])) if request.method == "HEAD" else None)
        if entry is not None and entry.is_fresh:
            return _told(entry.response, "Hit", entry.age_seconds)
        return self._renewed(viewing, entry)

    def _renewed(self, viewing: _Viewing, expired: Entry | None) -> Response:
        """The origin's answer, kept for the next viewer; an expired one when the origin has none."""
        # An error has nothing to ask about, and HEAD alone does not bring a body.
        good = expired if expired and expired.response.status < 400 else None
        try:
            response = self._ask(viewing, revalidation(good) if good else ())
        except Unreachable:
            if good is None:
                raise
            return _told(good.response, "Hit", good.age_seconds)
        if response.status == 304 and good is not None:
            response = refreshed(good, response)
            self._keep(viewing, response)
            return _told(response, "RefreshHit")
        if response.status >= 500 and good is not None:
            return _told(good.response, "Hit", good.age_seconds)
        self._keep(viewing, response)
        return _told(response, "Miss")

    def _keep(self, viewing: _Viewing, response: Response) -> None:
        if response.status >= 400:
            at_least = self.distribution.keeps_error_seconds(response.status)
            seconds = error_lifetime_seconds(response, at_least)
        else:
            seconds = lifetime_seconds(response, viewing.behaviour.cache)
        if seconds is not None:
            self.cache.keep(viewing.key, response, seconds)

    def _ask(self, viewing: _Viewing, asking: HeaderList) -> Response:
        """The answer of the origin that the functions choose. Raises FunctionError, Unreachable."""
        behaviour, request_id, location = viewing.behaviour, viewing.request_id, viewing.location
        self._origins.check(behaviour.origin.domain_name)
        sent = origin_request(self.distribution, behaviour, viewing.request, asking, location)
        chosen = self.triggers.on_request(behaviour, request_id, sent)
        if isinstance(chosen, Response):
            return chosen
        response = self._origins.fetch(chosen, request_id, behaviour.origin, location.name)
        response = self.triggers.on_response(behaviour, request_id, chosen, response)
        kept = tuple(header for header in response.headers if not is_disallowed(header[0].lower()))
        return Response(response.status, kept, b"" if viewing.request.method == "HEAD" else response.body)


def _told(response: Response, result: str, age_seconds: int | None = None) -> Response:
    """With X-Cache, and Age when it was kept. An origin's error is an error, wherever it comes from now."""
    word = "Error" if response.status >= 400 else result
    added = [("X-Cache", f"{word} from cloudfront")]
    return response.adding([*added, ("Age", str(age_seconds))] if age_seconds is not None else added)


def _with_policy(response: Response, behaviour: Behaviour) -> Response:
    present = {name.lower() for name, _ in response.headers}
    added = [(name, value) for name, value, over in behaviour.added if over or name.lower() not in present]
    return response.adding(added)


def _page(status: int, kind: str, reason: str) -> Response:
    body = (
        f"<!DOCTYPE html><html><head><title>ERROR: The request could not be satisfied</title></head><body>"
        f"<h1>{status} ERROR</h1><h2>The request could not be satisfied.</h2><p>{escape(reason)}</p>"
        f"<address>Generated by cloudfront (CloudFront)</address></body></html>\n"
    )
    headers = (("Content-Type", "text/html"), ("Server", "CloudFront"), ("X-Cache", f"{kind} from cloudfront"))
    return Response(status, headers, body.encode())

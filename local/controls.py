"""The controls: what the world does next, as a page for a person and as JSON for a program."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from local.control_page import page
from local.events import Record
from local.faults import MAX_SLOW_SECONDS, Condition
from local.locations import UnknownLocation
from local.server import Request, Response

MAX_LAG_SECONDS = 3600.0
MAX_SETTLE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RegionState:
    """One region; `pending_from` counts the versions that wait to leave it."""

    name: str
    bucket: str
    endpoint: str
    condition: Condition
    pending_from: int


@dataclass(frozen=True, slots=True)
class State:
    """The whole world as `GET /state` answers it."""

    lag_seconds: float
    location: str
    regions: Sequence[RegionState]
    mrap: Mapping[str, str]
    api: str
    pending: int
    events: int


class Controllable(Protocol):
    """What the controls need of a world."""

    def set_lag(self, seconds: float) -> None: ...
    def switch(self, region: str, *, on: bool) -> None: ...
    def slow(self, region: str, seconds: float) -> None: ...
    def fail(self, region: str, ratio: float) -> None: ...
    def set_location(self, name: str) -> None: ...
    def heal(self) -> None: ...
    def settle(self, timeout_seconds: float | None = None) -> None: ...
    def records(self) -> list[Record]: ...
    def state(self) -> State: ...


class BadControl(ValueError):
    """A value that a control does not take; the message names it and what is allowed."""


class Controls:
    """The app of the controls' endpoint."""

    def __init__(self, world: Controllable) -> None:
        self._world = world
        self._regional: Mapping[str, Callable[[str, Request], None]] = {
            "region": self._switch,
            "slow": self._slow,
            "failing": self._fail,
        }

    def __call__(self, request: Request) -> Response:
        refusal = _refusal(request)
        if refusal:
            return _json(403, {"error": "Forbidden", "message": refusal})
        try:
            if request.method in ("GET", "HEAD"):
                return self._show(request)
            if request.method == "POST":
                return self._do(request)
        except (BadControl, UnknownLocation) as error:
            return _json(400, {"error": "BadRequest", "message": str(error)})
        return _json(405, {"error": "MethodNotAllowed", "message": f"{request.method} is none of GET, POST"})

    def _show(self, request: Request) -> Response:
        match request.path:
            case "/":
                if request.has_parameter("location"):
                    self._world.set_location(request.parameter("location"))
                text = page(self._world.state(), self._world.records())
                return Response(200, (("Content-Type", "text/html; charset=utf-8"),), text.encode())
            case "/state":
                return _json(200, asdict(self._world.state()))
            case "/events":
                return _json(200, {"events": self._world.records()})
        return _not_found(request)

    def _do(self, request: Request) -> Response:
        name, _, region = request.path[1:].partition("/")
        match name, region:
            case "lag", "":
                self._world.set_lag(_number(request, "seconds", MAX_LAG_SECONDS))
            case "location", "":
                self._world.set_location(_value(request, "to"))
            case "heal", "":
                self._world.heal()
            case "settle", "":
                self._settle(request)
            case (("region" | "slow" | "failing"), region) if region:
                known = [each.name for each in self._world.state().regions]
                if region not in known:
                    raise BadControl(f"region is {region!r}: expected one of {', '.join(known)}")
                self._regional[name](region, request)
            case _:
                return _not_found(request)
        if "text/html" in request.header("Accept"):  # a form of the page: show the page again
            return Response(303, (("Location", "/"),))
        return _json(200, asdict(self._world.state()))

    def _switch(self, region: str, request: Request) -> None:
        state = _value(request, "state")
        if state not in ("on", "off"):
            raise BadControl(f"state is {state!r}: expected on or off")
        self._world.switch(region, on=state == "on")

    def _slow(self, region: str, request: Request) -> None:
        self._world.slow(region, _number(request, "seconds", MAX_SLOW_SECONDS))

    def _fail(self, region: str, request: Request) -> None:
        self._world.fail(region, _number(request, "ratio", 1.0))

    def _settle(self, request: Request) -> None:
        timeout = _number(request, "timeout", MAX_SETTLE_SECONDS) if _given(request, "timeout") else None
        try:
            self._world.settle(timeout)
        except TimeoutError as error:
            raise BadControl(str(error)) from None


def _refusal(request: Request) -> str:
    """Why the request may not have been meant: a page elsewhere can send a browser here, even by a name of its own."""
    host = urlsplit(f"//{request.header('Host')}").hostname or ""
    if not (host == "localhost" or host.replace(".", "").isdigit() or ":" in host):
        return f"Host is {host!r}: the controls are reached by localhost or an address"
    origin = request.header("Origin")
    if origin and urlsplit(origin).netloc != request.header("Host"):
        return f"Origin is {origin!r}: only the controls' own page may use them"
    if request.header("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return "the request comes from a page elsewhere"
    return ""


def _fields(request: Request) -> dict[str, str]:
    """The query's parameters, and a form's."""
    fields = dict(request.parameters)
    if request.header("Content-Type").startswith("application/x-www-form-urlencoded"):
        fields |= dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    return fields


def _given(request: Request, name: str) -> bool:
    return name in _fields(request)


def _value(request: Request, name: str) -> str:
    if not _given(request, name):
        raise BadControl(f"{name} is missing")
    return _fields(request)[name]


def _number(request: Request, name: str, most: float) -> float:
    text = _value(request, name)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise BadControl(f"{name} is {text!r}: expected a number from 0 to {most:g}")
    return number


def _not_found(request: Request) -> Response:
    return _json(404, {"error": "NotFound", "message": f"{request.path} is no control"})


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status, (("Content-Type", "application/json"),), json.dumps(body, indent=2).encode() + b"\n")

"""The controls: what the world does next, as a page for a person and as JSON for a program."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from local.background import NotScheduled
from local.control_page import page
from local.delivery import MAX_DELAY_SECONDS
from local.dns_server import MAX_SLOW_SECONDS as MAX_DNS_SLOW_SECONDS
from local.dns_zone import DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, MAX_WEIGHT, BadRecord
from local.events import Record
from local.faults import MAX_SLOW_SECONDS
from local.locations import UnknownLocation
from local.provider_faults import BadFault
from local.replication_faults import DEFAULT_REASON, MAX_LAG_SECONDS, UnknownReason
from local.server import Request, Response
from local.states import State

MAX_SETTLE_SECONDS = 600.0

_log = logging.getLogger(__name__)

_PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Content-Type"),
    ("Access-Control-Max-Age", "600"),
)


class Controllable(Protocol):
    """What the controls need of a world."""

    def set_lag(self, seconds: float) -> None: ...
    def switch(self, region: str, *, on: bool) -> None: ...
    def slow(self, region: str, seconds: float) -> None: ...
    def fail(self, region: str, ratio: float) -> None: ...
    def set_location(self, name: str) -> None: ...
    def fail_replication(self, region: str, prefix: str, reason: str) -> None: ...
    def stall_replication(self, region: str, prefix: str) -> None: ...
    def mend_replication(self) -> None: ...
    def set_threshold(self, seconds: float) -> None: ...
    def disturb_events(self, lose: float, duplicate: float, delay: float, delay_seconds: float) -> None: ...
    def redrive(self) -> int: ...
    def set_dns(self, name: str, texts: Sequence[str], ttl_seconds: int, weights: Sequence[int]) -> None: ...
    def remove_dns(self, name: str) -> None: ...
    def fail_dns(self, mode: str, seconds: float | None) -> None: ...
    def mend_dns(self) -> None: ...
    def add_old_object(self, key: str) -> str: ...
    def publish_metrics(self) -> None: ...
    def run_schedule(self, name: str) -> Any: ...
    def trouble_provider(self, name: str, fault: str, value: float | None = None) -> None: ...
    def limit_lambda(self, *, on: bool) -> None: ...
    def heal(self) -> None: ...
    def settle(self, timeout_seconds: float | None = None) -> None: ...
    def records(self) -> list[Record]: ...
    def state(self) -> State: ...


class BadControl(ValueError):
    """A value that a control does not take; the message names it and what is allowed."""


class Controls:
    """The app of the controls' endpoint."""

    def __init__(self, world: Controllable, page_origins: Callable[[], Sequence[str]] = tuple) -> None:
        """`page_origins` gives the origins of the world's explorer page, which may use the controls too."""
        self._world = world
        self._page_origins = page_origins
        self._regional: Mapping[str, Callable[[str, Request], None]] = {
            "region": self._switch,
            "slow": self._slow,
            "failing": self._fail,
            "fail-replication": self._fail_replication,
            "stall-replication": self._stall_replication,
        }
        self._plain: Mapping[str, Callable[[Request], object]] = {
            "lag": lambda request: world.set_lag(_number(request, "seconds", MAX_LAG_SECONDS)),
            "threshold": lambda request: world.set_threshold(_number(request, "seconds", MAX_LAG_SECONDS)),
            "location": lambda request: world.set_location(_value(request, "to")),
            "events": self._disturb,
            "mend-replication": lambda _: world.mend_replication(),
            "redrive": lambda _: world.redrive(),
            "old-object": lambda request: world.add_old_object(_value(request, "key")),
            "metrics": lambda _: world.publish_metrics(),
            "dns/set": self._set_dns,
            "dns/remove": lambda request: world.remove_dns(_value(request, "name")),
            "dns/fail": self._fail_dns,
            "dns/mend": lambda _: world.mend_dns(),
            "lambda-limits": lambda request: world.limit_lambda(on=_is_on(request)),
            "heal": lambda _: world.heal(),
            "settle": self._settle,
        }

    def __call__(self, request: Request) -> Response:
        refusal = _refused_host(request)
        if not refusal and (origin := request.header("Origin")) in self._page_origins():
            answer = Response(204, _PREFLIGHT) if request.method == "OPTIONS" else self._answer(request)
            return answer.adding((("Access-Control-Allow-Origin", origin), ("Vary", "Origin")))
        refusal = refusal or _refused_page(request)
        if refusal:
            return _json(403, {"error": "Forbidden", "message": refusal})
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        try:
            if request.method in ("GET", "HEAD"):
                return self._show(request)
            if request.method == "POST":
                return self._do(request)
        except (BadControl, BadFault, BadRecord, UnknownLocation, UnknownReason, NotScheduled) as error:
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
        whole = request.path[1:]
        name, _, rest = whole.partition("/")
        answer: Any = None
        if whole in self._plain:
            self._plain[whole](request)
        elif name in self._regional and rest:
            self._check_region(rest)
            self._regional[name](rest, request)
        elif name == "provider" and "/" in rest:
            self._trouble(rest, request)
        elif name == "schedule" and rest:
            answer = {"answer": self._run(rest)}
        else:
            return _not_found(request)
        if "text/html" in request.header("Accept"):  # a form of the page: show the page again
            return Response(303, (("Location", "/"),))
        return _json(200, answer if answer is not None else asdict(self._world.state()))

    def _check_region(self, region: str) -> None:
        known = [each.name for each in self._world.state().regions]
        if region not in known:
            raise BadControl(f"region is {region!r}: expected one of {', '.join(known)}")

    def _run(self, name: str) -> Any:
        try:
            return self._world.run_schedule(name)
        except NotScheduled:
            raise
        except Exception as error:
            _log.exception("%s failed", name)
            raise BadControl(f"{name} failed: {error!r}") from error

    def _trouble(self, rest: str, request: Request) -> None:
        provider, _, fault = rest.partition("/")
        name, most = ("seconds", MAX_SLOW_SECONDS) if fault == "slow" else ("ratio", 1.0)
        value = _number(request, name, most) if fault == "slow" or _given(request, name) else None
        self._world.trouble_provider(provider, fault, value)

    def _switch(self, region: str, request: Request) -> None:
        self._world.switch(region, on=_is_on(request))

    def _slow(self, region: str, request: Request) -> None:
        self._world.slow(region, _number(request, "seconds", MAX_SLOW_SECONDS))

    def _fail(self, region: str, request: Request) -> None:
        self._world.fail(region, _number(request, "ratio", 1.0))

    def _fail_replication(self, region: str, request: Request) -> None:
        fields = _fields(request)
        self._world.fail_replication(region, fields.get("prefix", ""), fields.get("reason") or DEFAULT_REASON)

    def _stall_replication(self, region: str, request: Request) -> None:
        self._world.stall_replication(region, _fields(request).get("prefix", ""))

    def _disturb(self, request: Request) -> None:
        def given(name: str, most: float, otherwise: float) -> float:
            return _number(request, name, most) if _given(request, name) else otherwise

        lose, duplicate, delay = (given(name, 1.0, 0.0) for name in ("lose", "duplicate", "delay"))
        self._world.disturb_events(lose, duplicate, delay, given("seconds", MAX_DELAY_SECONDS, 0.5))

    def _set_dns(self, request: Request) -> None:
        pairs = _pairs(request)
        texts = [value for name, value in pairs if name == "text"]
        ttl = _number(request, "ttl", MAX_TTL_SECONDS) if _given(request, "ttl") else DEFAULT_TTL_SECONDS
        weights = _whole_numbers(_fields(request).get("weights", ""), "weights", MAX_WEIGHT)
        self._world.set_dns(_value(request, "name"), texts, int(ttl), weights)

    def _fail_dns(self, request: Request) -> None:
        seconds = _number(request, "seconds", MAX_DNS_SLOW_SECONDS) if _given(request, "seconds") else None
        self._world.fail_dns(_value(request, "mode"), seconds)

    def _settle(self, request: Request) -> None:
        timeout = _number(request, "timeout", MAX_SETTLE_SECONDS) if _given(request, "timeout") else None
        try:
            self._world.settle(timeout)
        except TimeoutError as error:
            raise BadControl(str(error)) from None


def _refused_host(request: Request) -> str:
    """Why the request may not have been meant: a page elsewhere can send a browser here by a name of its own."""
    host = urlsplit(f"//{request.header('Host')}").hostname or ""
    if not (host == "localhost" or host.replace(".", "").isdigit() or ":" in host):
        return f"Host is {host!r}: the controls are reached by localhost or an address"
    return ""


def _refused_page(request: Request) -> str:
    """Why the request may not have been meant: it comes from a page elsewhere."""
    origin = request.header("Origin")
    if origin and urlsplit(origin).netloc != request.header("Host"):
        return f"Origin is {origin!r}: only the controls' own page and the explorer page may use them"
    if request.header("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return "the request comes from a page elsewhere"
    return ""


def _pairs(request: Request) -> list[tuple[str, str]]:
    """The query's parameters, and a form's."""
    pairs = request.parameters
    if request.header("Content-Type").startswith("application/x-www-form-urlencoded"):
        pairs += parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    return pairs


def _fields(request: Request) -> dict[str, str]:
    return dict(_pairs(request))


def _given(request: Request, name: str) -> bool:
    return name in _fields(request)


def _value(request: Request, name: str) -> str:
    if not _given(request, name):
        raise BadControl(f"{name} is missing")
    return _fields(request)[name]


def _is_on(request: Request) -> bool:
    state = _value(request, "state")
    if state not in ("on", "off"):
        raise BadControl(f"state is {state!r}: expected on or off")
    return state == "on"


def _number(request: Request, name: str, most: float) -> float:
    text = _value(request, name)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise BadControl(f"{name} is {text!r}: expected a number from 0 to {most:g}")
    return number


def _whole_numbers(text: str, name: str, most: int) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) <= most for part in parts):
        raise BadControl(f"{name} is {text!r}: expected numbers from 0 to {most} with commas between")
    return list(map(int, parts))


def _not_found(request: Request) -> Response:
    return _json(404, {"error": "NotFound", "message": f"{request.path} is no control"})


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status, (("Content-Type", "application/json"),), json.dumps(body, indent=2).encode() + b"\n")

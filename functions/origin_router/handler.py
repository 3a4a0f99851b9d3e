"""Lambda@Edge: points a request at the bucket that a TXT record names (origin-request), and says so (origin-response).

It never raises, and never half-changes a request: a new one is built, and on any trouble the event's own goes back as
it came, to the configured origin, with one line in the log.
"""

import time
from typing import Any

import directions
import rerouting
import saying
import signing
from choosing import choose, viewer_of
from directions import BadDirection, Directions
from records import Records
from rerouting import REASON, NotRerouted

ORIGIN_HEADER, REASON_HEADER = "X-Nearside-Origin", "X-Nearside-Reason"
# What this function says as a reason; whatever else a request carries under that name is a viewer's.
_REASONS = ("fresh", "cached", "stale: ", "configured: ")
_MAX_REASON_LENGTH = 200
_MAX_REMEMBERED = 128
# For an event that holds neither request nor response there is nothing to give back, and an answer that CloudFront
# cannot validate is a 502 to the viewer and counts as the function's error. This is an answer that it can: a generated
# one, not cached (https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-generating-http-responses.html).
_UNAVAILABLE = ("503", "Service Unavailable", [{"key": "Cache-Control", "value": "no-store"}])

_read: dict[object, Directions | BadDirection | None] = {}


def _resolve(name: str, resolvers: Any, deadline_seconds: float) -> Any:
    import lookup  # with dnspython's names half of a cold start; a request that needs no lookup needs none of it

    return lookup.resolve(name, resolvers, deadline_seconds)


_records = Records(_resolve, time.time)


def handler(event: Any, context: object) -> Any:
    """The request or response that CloudFront is to go on with."""
    try:
        cf = event["Records"][0]["cf"]
        return _response(cf) if "response" in cf else _request(cf)
    except Exception as error:  # noqa: BLE001 - the boundary: a raise here would be a 502 or 503 to the viewer
        saying.failed(f"the event goes on as it came: {error!r:.300}", error)
        return _as_it_came(event)


def _request(cf: dict[str, Any]) -> Any:
    request = cf["request"]
    origin = request.get("origin")
    if not origin:
        raise ValueError(f"the event has no origin: this is no trigger for {cf['config']['eventType']}")
    [(kind, configured)] = origin.items()
    if kind not in ("s3", "custom"):
        raise ValueError(f"the event's origin is neither s3 nor custom but {kind!r:.100}")
    asked = _directions(configured["customHeaders"])
    if asked is None:
        return request
    if isinstance(asked, BadDirection):
        saying.warning(f"the request goes on as it came: {asked}")
        debug = directions.is_debug(_plain(configured["customHeaders"]))
        return _configured(request, debug, f"configured: {asked}")
    try:
        auth = rerouting.auth_of(kind, configured, asked.auth)
        found = _records.find(asked.question)
        chosen = choose(found.origins, viewer_of(request, asked.sticky) if len(found.origins) > 1 else "")
        if chosen is None and auth == "sigv4":
            chosen = rerouting.configured_bucket(configured)  # a private bucket lets nobody in unsigned
        if chosen is None:
            return _configured(request, asked.debug, found.reason)
        request_id = cf["config"].get("requestId", "")
        changed = rerouting.rerouted(request, kind, chosen, auth, request_id, time.time())
    except (NotRerouted, signing.NoCredentials) as error:
        saying.warning(f"the request goes on as it came: {error}")
        return _configured(request, asked.debug, f"configured: {error}")
    if asked.debug:
        changed["headers"][REASON] = [{"key": REASON_HEADER, "value": _header_text(found.reason)}]
    return changed


def _response(cf: dict[str, Any]) -> Any:
    """The response, with where it came from and why if X-ORIGIN-DEBUG asks for it."""
    response, request = cf["response"], cf["request"]
    [configured] = request["origin"].values()
    if not directions.is_debug(_plain(configured["customHeaders"])):
        return response
    headers = {**response["headers"]}
    headers[ORIGIN_HEADER.lower()] = [{"key": ORIGIN_HEADER, "value": _header_text(configured["domainName"])}]
    reason = _header_text("".join([entry["value"] for entry in request["headers"].get(REASON, ())]))
    if reason.startswith(_REASONS):
        headers[REASON_HEADER.lower()] = [{"key": REASON_HEADER, "value": reason}]
    return {**response, "headers": headers}


def _directions(headers: dict[str, Any]) -> Directions | BadDirection | None:
    """What the custom headers say; they are the same for every request of one origin, so they are read once."""
    said = tuple([(name, entry["value"]) for name, entries in headers.items() for entry in entries])
    try:
        return _read[said]
    except KeyError:
        pass
    result: Directions | BadDirection | None
    try:
        repeated = [
            name for name, entries in headers.items() if name.lower() in directions.HEADERS and len(entries) != 1
        ]
        if repeated:
            raise BadDirection(f"{repeated[0]} is there {len(headers[repeated[0]])} times: expected once")
        result = directions.read(_plain(headers))
    except BadDirection as error:
        result = error.with_traceback(None)
    if len(_read) >= _MAX_REMEMBERED:
        _read.clear()
    _read[said] = result
    return result


def _plain(headers: dict[str, Any]) -> dict[str, str]:
    """CloudFront's lists of key and value as one value for each name in lower case; of a repeated header the last."""
    return {name.lower(): str(entry["value"]) for name, entries in headers.items() for entry in entries}


def _configured(request: dict[str, Any], debug: bool, reason: str) -> dict[str, Any]:
    """The request as it came, with the reason if it is asked for."""
    if not debug:
        return request
    headers = rerouting.kept(request["headers"])
    headers[REASON] = [{"key": REASON_HEADER, "value": _header_text(reason)}]
    return {**request, "headers": headers}


def _header_text(text: str) -> str:
    """Printable ASCII of a bounded length: a record's text, which a reason may show, must not break a header."""
    shown = text[:_MAX_REASON_LENGTH]
    return shown if shown.isascii() and shown.isprintable() else "".join(c if " " <= c <= "~" else "?" for c in shown)


def _as_it_came(event: Any) -> Any:
    try:
        cf = event["Records"][0]["cf"]
        return cf["response"] if "response" in cf else cf["request"]
    except Exception:  # noqa: BLE001 - whatever it is, it is no event of CloudFront
        status, description, no_store = _UNAVAILABLE
        return {"status": status, "statusDescription": description, "headers": {"cache-control": no_store}}

"""What CloudFront tells an edge function of a request and of its origin's answer, and back.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
"""

import base64
import secrets
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from local.distribution import Behaviour, Distribution, Origin
from local.edge_rules import is_disallowed
from local.locations import Location
from local.server import HeaderList, Request, Response

VIEWER_COUNTRY = "cloudfront-viewer-country"

type Json = dict[str, Any]


def new_request_id() -> str:
    """What is X-Amz-Cf-Id for the viewer and `requestId` for functions."""
    return base64.urlsafe_b64encode(secrets.token_bytes(40)).decode()


def via(distribution: Distribution) -> str:
    """The Via header that CloudFront adds in both directions."""
    return f"1.1 {distribution.domain_name} (CloudFront)"


def origin_request(
    distribution: Distribution, behaviour: Behaviour, viewer: Request, asking: HeaderList, location: Location
) -> Json:
    """The request that goes to the behaviour's origin, as a function sees it. `asking` are the headers that ask whether
    an expired answer is still right."""
    forwarded = viewer.header("X-Forwarded-For")
    headers: list[tuple[str, str]] = [
        ("X-Forwarded-For", f"{forwarded}, {viewer.client}" if forwarded else viewer.client),
        ("User-Agent", "Amazon CloudFront"),
        ("Via", via(distribution)),
        ("Host", behaviour.origin.domain_name),
        *asking,
        *((name, value) for name, value in viewer.headers if name.lower() in behaviour.headers),
        *_cookies(behaviour, viewer),
    ]
    if VIEWER_COUNTRY in behaviour.headers:
        headers = [header for header in headers if header[0].lower() != VIEWER_COUNTRY]
        headers.append(("CloudFront-Viewer-Country", location.country))
    return {
        "clientIp": viewer.client,
        "headers": header_lists(headers),
        "method": viewer.method,
        "origin": _origin(behaviour.origin),
        "querystring": viewer.query if behaviour.query else "",
        "uri": viewer.path,
    }


def event(
    distribution: Distribution, trigger: str, request_id: str, request: Json, response: Json | None = None
) -> Json:
    """The event of a trigger, `origin-request` or, with a response, `origin-response`."""
    config = {
        "distributionDomainName": distribution.domain_name,
        "distributionId": distribution.id,
        "eventType": trigger,
        "requestId": request_id,
    }
    cf = {"config": config, "request": request}
    return {"Records": [{"cf": cf if response is None else {**cf, "response": response}}]}


def response_json(response: Response) -> Json:
    """The origin's answer as a function sees it: without its body, and without the headers that are hidden from it."""
    shown = [header for header in response.headers if not is_disallowed(header[0].lower())]
    try:
        description = HTTPStatus(response.status).phrase
    except ValueError:
        description = ""
    return {"status": str(response.status), "statusDescription": description, "headers": header_lists(shown)}


def made_response(result: Json, otherwise: bytes = b"") -> Response:
    """The answer that a function returned, with this body unless it gave another one."""
    body = otherwise
    if "body" in result:
        text = result["body"].encode()
        body = base64.b64decode(text, validate=True) if result.get("bodyEncoding") == "base64" else text
    return Response(int(result["status"]), plain_headers(result.get("headers") or {}), body)


def header_lists(headers: Iterable[tuple[str, str]]) -> Json:
    """`{"host": [{"key": "Host", "value": …}]}`: names in lower case, a list of one entry for each time."""
    lists: Json = {}
    for name, value in headers:
        lists.setdefault(name.lower(), []).append({"key": name, "value": value})
    return lists


def plain_headers(lists: Mapping[str, Any]) -> HeaderList:
    """The headers that the lists stand for."""
    return tuple((entry.get("key") or name, entry["value"]) for name, entries in lists.items() for entry in entries)


def _cookies(behaviour: Behaviour, viewer: Request) -> HeaderList:
    pairs = [pair.strip() for pair in viewer.header("Cookie").replace(",", ";").split(";")]
    kept = [pair for pair in pairs if pair.partition("=")[0] in behaviour.cookies]
    return (("Cookie", "; ".join(kept)),) if kept else ()


def _origin(origin: Origin) -> Json:
    common = {
        "customHeaders": header_lists(origin.custom_headers.items()),
        "domainName": origin.domain_name,
        "path": origin.path,
    }
    if origin.kind == "custom":
        timeouts = {"keepaliveTimeout": 5, "readTimeout": 30}
        return {"custom": {**common, **timeouts, "port": 443, "protocol": "https", "sslProtocols": ["TLSv1.2"]}}
    # Origin access control is none to a function: there is no other word for it.
    identity = origin.access == "origin-access-identity"
    method = "origin-access-identity" if identity else "none"
    return {"s3": {**common, "authMethod": method, "region": _region(origin.domain_name) if identity else ""}}


def _region(domain_name: str) -> str:
    return domain_name.partition(".s3.")[2].removeprefix("dualstack.").partition(".")[0]

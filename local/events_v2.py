"""The event that API Gateway's HTTP API gives a function: payload format 2.0, with the path decoded as it does.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.routes import Match
from local.server import Request

# Bodies of other types are given as base64, a form's too (measured on AWS by others: form posts arrive encoded).
_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


def event_of(request: Request, match: Match, viewer: Mapping[str, str]) -> dict[str, Any]:
    """The event of a request; `viewer` are CloudFront's headers to add."""
    now = datetime.now(UTC)
    headers = _joined(request.headers) | dict(viewer)
    cookies = [cookie.strip() for cookie in headers.pop("cookie", "").split(";") if cookie.strip()]
    host = headers.get("host", "")
    headers |= {"x-forwarded-for": request.client, "x-forwarded-proto": "http"}
    headers["x-forwarded-port"] = host.rpartition(":")[2] if ":" in host else "80"
    headers["x-amzn-trace-id"] = f"Root=1-{int(now.timestamp()):08x}-{secrets.token_hex(12)}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": match.path,
        "rawQueryString": request.query,
    }
    if cookies:
        event["cookies"] = cookies
    event["headers"] = headers
    if request.query:
        event["queryStringParameters"] = _joined(request.parameters, fold=False)
    event["requestContext"] = {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": match.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": uuid.uuid4().hex[:15] + "=",
        "routeKey": match.route.key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if match.parameters:
        event["pathParameters"] = dict(match.parameters)
    return event | _body(request)


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {"isBase64Encoded": False}
    if _is_text(request.header("Content-Type")):
        try:
            return {"body": request.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


def _joined(pairs: Iterable[tuple[str, str]], *, fold: bool = True) -> dict[str, str]:
    """One value per name, several joined by a comma; `fold` makes names lower-case."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower() if fold else name
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined

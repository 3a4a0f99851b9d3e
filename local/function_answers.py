"""What API Gateway and a Function URL make of a function's answer (payload format 2.0), and of its CORS.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import base64
import binascii
import json
from typing import Any

from local.server import HeaderList, Request, Response
from local.template import Cors


def answer_of(result: Any) -> Response:
    """The answer that a handler returned. Raises ValueError for what AWS would not accept."""
    if not isinstance(result, dict) or "statusCode" not in result:
        return Response(200, (("Content-Type", "application/json"),), json.dumps(result).encode())
    body = result.get("body") or ""
    if not isinstance(body, str):
        raise ValueError(f"the handler's body is no string but {type(body).__name__}")
    try:
        content = base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode()
    except binascii.Error as error:
        raise ValueError("the handler's body is no base64, though it says so") from error
    headers = [(str(name).lower(), _text(value)) for name, value in (result.get("headers") or {}).items()]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    headers += [("set-cookie", str(cookie)) for cookie in result.get("cookies") or ()]
    return Response(int(result["statusCode"]), tuple(headers), content)


def cors_headers(cors: Cors, request: Request) -> HeaderList:
    """What is said to a page of another origin, in place of whatever the function says about it."""
    origin = request.header("Origin")
    if not origin or not ({"*", origin} & set(cors.origins)):
        return ()
    headers = [("Access-Control-Allow-Origin", "*" if "*" in cors.origins else origin)]
    if cors.credentials:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if cors.exposed:
        headers.append(("Access-Control-Expose-Headers", ",".join(cors.exposed)))
    return tuple(headers)


def preflight_headers(cors: Cors, request: Request) -> HeaderList:
    """The answer to a page's question whether it may."""
    allowed = cors_headers(cors, request)
    if not allowed:
        return ()
    headers = [*allowed]
    if cors.methods:
        headers.append(("Access-Control-Allow-Methods", ",".join(cors.methods)))
    if cors.headers:
        headers.append(("Access-Control-Allow-Headers", ",".join(cors.headers)))
    if cors.max_age_seconds is not None:
        headers.append(("Access-Control-Max-Age", str(cors.max_age_seconds)))
    return tuple(headers)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

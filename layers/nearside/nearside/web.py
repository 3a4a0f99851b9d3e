"""The one boundary between API Gateway's events (HTTP API, payload 2.0) and functions of a `Request`.

Event format: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nearside.access import Caller
from nearside.entity_tags import entity_tag, names
from nearside.errors import AnswerTooLarge, BadRequest, NearsideError, TooLarge, Unauthenticated
from nearside.settings import AuthMode

log = logging.getLogger("nearside")

MAX_BODY_BYTES = 4 * 1024**2
# Lambda refuses an answer over 6 MB, counted with the envelope and the body escaped as a JSON string
# (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html); the rest is for the envelope.
MAX_ANSWER_BYTES = 6 * 1024**2 - 16 * 1024


class Request(msgspec.Struct, frozen=True):
    """One request: `route` is API Gateway's route key, header names are lower case, `body` is as sent."""

    route: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    caller: Caller
    id: str


class Page(msgspec.Struct, frozen=True):
    """An answer that is not JSON of a struct: a body of its own type with headers and a status of its own."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}
    status: int = 200


type Answers = Callable[[Request], Any]
"""What a route does: returns a Page, or something that msgspec can encode as JSON; raises a NearsideError."""


def boundary(routes: Mapping[str, Answers], auth_mode: AuthMode) -> Callable[[dict[str, Any], object], dict[str, Any]]:
    """The Lambda handler for `routes` (route key → function).

    Every error of the tree is answered with its status and `{"error", "message"}`; any other exception is logged with
    its traceback and answered as 500 with the request's id and nothing else.
    """

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        request_id = str(event.get("requestContext", {}).get("requestId", ""))
        try:
            request = _request(event, auth_mode, request_id)
            answer = routes[request.route](request)
            return _answer(200, answer)
        except NearsideError as error:
            if error.status >= 500 or error.status in (401, 403):
                log.warning("%s: %s", error.code, error, extra={"request_id": request_id, "status": error.status})
            return _answer(error.status, error.answer())
        except Exception:
            log.exception("unexpected", extra={"request_id": request_id})
            return _answer(500, {"error": "InternalError", "message": f"see the log for request {request_id}"})

    return handler


def decode[T](body: bytes, shape: type[T], *, at: str = "") -> T:
    """The body as `shape`; `at` is where in the request it stands (`items[3]`).

    Raises BadRequest that names the field, its value and what is expected of it, TooLarge for a body over 4 MiB.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body has {len(body)} bytes: expected at most {MAX_BODY_BYTES}")
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(_explained(str(error), body, at, shape)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{at or 'the body'} is not JSON: {error}") from error


def keepable(request: Request, answer: Any, max_age: int) -> Page:
    """The answer as JSON with its ETag, for the client to keep `max_age` seconds (0: not at all); 304 without a body
    when If-None-Match says that the client has it.

    It is the caller's alone, whose token decided that there is one: `private`, and Vary says so to a browser that
    two people use. Origin is there for API Gateway, which names the asking page in the answer.
    """
    body = msgspec.json.encode(answer)
    headers = {"etag": entity_tag(body)}
    if max_age:
        headers |= {"cache-control": f"private, max-age={max_age}", "vary": "Authorization, Origin"}
    if names(request.headers.get("if-none-match", ""), headers["etag"]):
        return Page(b"", "application/json", headers, 304)
    return Page(body, "application/json", headers)


_AT = r"(?s:(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?)"


def _explained(message: str, body: bytes, at: str, shape: Any) -> str:
    """msgspec's "Expected `int` <= 604800 - at `$.expires_in`" as "expires_in is 700000: expected `int` <= 604800"."""
    match = re.fullmatch(_AT, message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    what = what[:1].lower() + what[1:]
    field = (at + path).lstrip(".")
    if not field:
        return what
    if what.startswith("invalid enum value"):
        what = f"expected one of {_choices(shape, path)}"
    try:
        value = _value_at(msgspec.json.decode(body), path)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the rest of the body is wrong too
        return f"{field}: {what}"
    if isinstance(value, dict | list):
        return f"{field}: {what}"
    shown = json.dumps(value)
    return f"{field} is {shown if len(shown) <= 80 else shown[:77] + '...'}: {what}"


def _choices(shape: Any, path: str) -> str:
    """The values that a field of `shape` may have."""
    info = msgspec.inspect.type_info(shape)
    fields = info.fields if isinstance(info, msgspec.inspect.StructType) else ()
    for field in fields:
        options = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        for option in options:
            if field.encode_name == path.lstrip(".") and isinstance(option, msgspec.inspect.LiteralType):
                return ", ".join(str(value) for value in option.values)
    return "the values in the documentation"


def _value_at(value: Any, path: str) -> Any:
    """What stands at msgspec's path, or the nearest thing around it."""
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and index:
            value = value[int(index)]
        else:
            break
    return value


def _request(event: dict[str, Any], auth_mode: AuthMode, request_id: str) -> Request:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:  # no base64, or a lone surrogate
        raise BadRequest(f"the body cannot be read: {error}") from error
    return Request(
        route=event["routeKey"],
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=raw,
        caller=_caller(event.get("requestContext", {}).get("authorizer") or {}, auth_mode),
        id=request_id,
    )


def _caller(authorizer: Mapping[str, Any], auth_mode: AuthMode) -> Caller:
    """Whom API Gateway's authorizer vouches for. Without its word nobody gets in, except in mode `none`, which the
    template cannot choose."""
    if auth_mode == "jwt":
        claims = (authorizer.get("jwt") or {}).get("claims")
        if not claims:
            raise Unauthenticated("no JWT authorizer vouched for this request")
        texts = {name: str(value) for name, value in claims.items()}
        return Caller(name=texts.get("sub", "a caller without sub"), trusted=False, claims=texts)
    if auth_mode == "iam":
        user = (authorizer.get("iam") or {}).get("userArn")
        if not user:
            raise Unauthenticated("no IAM authorizer vouched for this request")
        return Caller(name=str(user), trusted=True)
    return Caller(name="anyone", trusted=True)


def _answer(status: int, answer: Any) -> dict[str, Any]:
    page = answer if isinstance(answer, Page) else Page(msgspec.json.encode(answer), "application/json", {}, status)
    text = page.body.decode()
    # awslambdaric leaves other letters than ASCII's as they are, 4 bytes at most.
    if len(text) > MAX_ANSWER_BYTES // 6 and (size := _sent_bytes(text)) > MAX_ANSWER_BYTES:
        too_large = AnswerTooLarge(
            f"the answer has {size} bytes: Lambda gives at most {MAX_ANSWER_BYTES}; ask for less"
        )
        return _answer(too_large.status, too_large.answer())
    headers = {
        "content-type": page.content_type,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **page.headers,
    }
    return {"statusCode": page.status, "headers": headers, "body": text}


def _sent_bytes(text: str) -> int:
    return len(msgspec.json.encode(text))

"""Recorded events of the gateway's Function URL, whose signatures are over: as they were, and signed anew."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlencode, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# The key that the recorded events are signed with: made of this secret, by `nearside.gateway.access_keys.derived`.
KEY_ID = "NEARSIDERECORDED2345"
GATEWAY_SECRET = "local-world-gateway-secret-that-opens-nothing"
RECORDED = 1795132801.0  # seconds since the epoch
REGION = "eu-west-2"
_SIGNED = {"authorization", "x-amz-date", "x-amz-content-sha256"}
_EXPIRES_SECONDS = 3600


def is_signed(event: Mapping[str, Any]) -> bool:
    """Whether somebody signed it, by header or by query."""
    return "authorization" in event["headers"] or "X-Amz-Signature=" in event["rawQueryString"]


def signed(event: Mapping[str, Any], secret: str, at: float, key_id: str = KEY_ID) -> dict[str, Any]:
    """The event with a signature of this moment (seconds since the epoch), in the way it had one: with exactly the
    same headers and query otherwise."""
    headers = {name: value for name, value in event["headers"].items() if name not in _SIGNED}
    query = [(name, value) for name, value in parse_qsl(event["rawQueryString"]) if not name.startswith("X-Amz-")]
    url = f"https://{headers['host']}{event['rawPath']}" + (f"?{urlencode(query)}" if query else "")
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    presigned = "X-Amz-Signature=" in event["rawQueryString"]
    told = {name: value for name, value in headers.items() if name == "host" or (_says(name) and not presigned)}
    request = AWSRequest(event["requestContext"]["http"]["method"], url, told, raw)
    if not presigned:
        request.headers["x-amz-content-sha256"] = hashlib.sha256(raw).hexdigest()
    credentials = Credentials(key_id, secret)
    signer = (
        S3SigV4QueryAuth(credentials, "s3", REGION, expires=_EXPIRES_SECONDS)
        if presigned
        else S3SigV4Auth(credentials, "s3", REGION)
    )
    with mock.patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(at, UTC)):
        signer.add_auth(request)
    new_query = urlsplit(str(request.url)).query
    added = {name.lower(): str(value) for name, value in request.headers.items() if name.lower() in _SIGNED}
    return {
        **event,
        "rawQueryString": new_query,
        **({"queryStringParameters": dict(parse_qsl(new_query))} if new_query else {}),
        "headers": headers | ({} if presigned else added),
    }


def _says(name: str) -> bool:
    """Whether a client signs the header: what it says of the request, and not what was added on the way."""
    return name.startswith("x-amz-") or name in ("content-type", "range")

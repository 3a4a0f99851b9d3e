"""One S3 request, made of a Lambda Function URL's event: what was sent, and which bucket and key it means.

Events: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads (payload 2.0; unlike API
Gateway's, `rawPath` is percent-encoded as the client sent it, which is what its signature covers).
"""

import base64
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from nearside.errors import BadRequest
from nearside.gateway.errors import InvalidArgument, InvalidBucketName, KeyTooLong

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES = 1024
OWN_PREFIX = ".nearside/"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(
    r"(?!xn--|sthree-|amzn-s3-demo-|\d+\.\d+\.\d+\.\d+\Z)(?!.*\.\.)"
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z(?<!-s3alias)(?<!--ol-s3)(?<!\.mrap)(?<!--x-s3)(?<!--table-s3)"
)


class S3Request(msgspec.Struct, frozen=True):
    """What a client asks for. `path` and `query` are as they were sent; `headers` have lower-case names, several values
    of one are joined by commas; `hosts` are the host names that the client may have signed, all of which mean the same
    bucket and key. `bucket`, `key` (empty: none) and `parameters` are decoded; `id` is Lambda's id of the request."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    hosts: Sequence[str]
    id: str
    bucket: str
    key: str
    parameters: Mapping[str, str]


def request_of(event: Mapping[str, Any], domains: Sequence[str] = ()) -> S3Request:
    """The event's request, path-style or virtual-hosted under one of `domains`.

    Raises InvalidArgument for what cannot be decoded and for a key that no client may use, InvalidBucketName,
    KeyTooLong.
    """
    context = event.get("requestContext") or {}
    headers = _headers(event)
    path = event.get("rawPath") or "/"
    bucket, hosts = _addressed(_hosts(headers, context), domains)
    name, key = (bucket, path[1:]) if bucket else (path[1:].partition("/")[0], path[1:].partition("/")[2])
    if key and not name:
        raise InvalidBucketName(f"The specified bucket is not valid: {path!r} has a key and no bucket before it")
    return S3Request(
        method=(context.get("http") or {}).get("method", "").upper(),
        path=path,
        query=event.get("rawQueryString") or "",
        headers=headers,
        body=_body(event),
        hosts=hosts,
        id=str(context.get("requestId", "")),
        bucket=bucket_name(_decoded(name)) if name else "",
        key=object_key(_decoded(key)) if key else "",
        parameters=_parameters(event.get("rawQueryString") or ""),
    )


def bucket_name(name: str) -> str:
    """The name. Raises InvalidBucketName when S3 would not have such a bucket."""
    if not _BUCKET.match(name):
        raise InvalidBucketName(f"The specified bucket is not valid: {name!r}")
    return name


def object_key(key: str) -> str:
    """The key. Raises KeyTooLong over 1024 bytes, InvalidArgument for the gateway's own keys and for one with NUL."""
    if len(key) * 4 > MAX_KEY_BYTES and (size := len(key.encode())) > MAX_KEY_BYTES:
        raise KeyTooLong(f"Your key is too long: it has {size} bytes, and the limit is {MAX_KEY_BYTES}")
    if "\0" in key:
        raise InvalidArgument(f"{key!r} has a NUL, which not every place takes in a key")
    # Some places put dot segments together, as for files.
    if ".nearside" in key and (posixpath.normpath(key.lstrip("/")) + "/").startswith(OWN_PREFIX):
        raise InvalidArgument(f"{key!r} is under {OWN_PREFIX}, where the gateway keeps what is its own")
    return key


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    if cookies := event.get("cookies"):  # payload 2.0 takes them out of the headers
        headers["cookie"] = "; ".join(cookies)
    return headers


def _hosts(headers: Mapping[str, str], context: Mapping[str, Any]) -> list[str]:
    """Before a Function URL stands whatever the client really named: its own name is not known to the client then."""
    candidates = (headers.get("x-forwarded-host", "").partition(",")[0], headers.get("host", context.get("domainName")))
    return list(dict.fromkeys(host.strip() for host in candidates if host))


def _addressed(hosts: Sequence[str], domains: Sequence[str]) -> tuple[str, list[str]]:
    """The bucket that the first host names (empty: path-style), and the hosts that name the same: a signature for one
    bucket's host must never do for another's."""
    buckets = [_bucket_of(host, domains) for host in hosts]
    bucket = buckets[0] if buckets else ""
    return bucket, [host for host, named in zip(hosts, buckets, strict=True) if named == bucket]


def _bucket_of(host: str, domains: Sequence[str]) -> str:
    name = re.sub(r":\d+\Z", "", host).lower().rstrip(".")
    if name in domains:
        return ""
    for domain in sorted(domains, key=len, reverse=True):
        if name.endswith("." + domain):
            return name.removesuffix("." + domain)
    return ""


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:  # no base64, or a lone surrogate
        raise BadRequest(f"The body cannot be read: {error}") from error


def _parameters(query: str) -> dict[str, str]:
    """The first of each name."""
    parameters: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.replace("+", " ").partition("=")
        parameters.setdefault(_decoded(name), _decoded(value))
    parameters.pop("", None)
    return parameters


def _decoded(text: str) -> str:
    try:
        return (unquote_to_bytes(text) if "%" in text else text.encode()).decode()
    except ValueError as error:  # no UTF-8, or a lone surrogate
        raise InvalidArgument(f"Couldn't parse the specified URI: {text!r} is not percent-encoded UTF-8") from error

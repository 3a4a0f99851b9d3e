"""What CloudFront checks of an edge function's result; whatever breaks a rule is a 502 there, and so here.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
"""

import ipaddress
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

READ_ONLY_IN_REQUESTS = (
    "accept-encoding", "content-length", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    "transfer-encoding", "via",
)  # fmt: skip
READ_ONLY_IN_RESPONSES = ("transfer-encoding", "via")
DISALLOWED = (
    "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "trailer",
    "upgrade", "x-accel-buffering", "x-accel-charset", "x-accel-limit-rate", "x-accel-redirect", "x-amz-cf-*",
    "x-amzn-auth", "x-amzn-cf-billing", "x-amzn-cf-id", "x-amzn-cf-xff", "x-amzn-errortype", "x-amzn-fle-profile",
    "x-amzn-header-count", "x-amzn-header-order", "x-amzn-lambda-integration-tag", "x-amzn-requestid", "x-cache",
    "x-edge-*", "x-forwarded-proto", "x-real-ip",
)  # fmt: skip
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html
NO_CUSTOM_HEADERS = (
    "cache-control", "connection", "content-length", "cookie", "host", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "max-forwards", "pragma", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "range", "request-range", "te", "trailer", "transfer-encoding",
    "upgrade", "via", "x-amz-*", "x-edge-*", "x-real-ip",
)  # fmt: skip

_MAX_URI = 8192
_S3_KEYS = {"authMethod", "customHeaders", "domainName", "path", "region"}
_CUSTOM_KEYS = {
    "customHeaders", "domainName", "keepaliveTimeout", "path", "port", "protocol", "readTimeout", "sslProtocols",
}  # fmt: skip
_SSL = {"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class Violation(Exception):
    """A result that CloudFront does not take; the message says what is wrong with it."""


def is_disallowed(name: str) -> bool:
    """Whether functions neither see nor may set the header; its name is in lower case."""
    return any(fnmatchcase(name, pattern) for pattern in DISALLOWED)


def check_request(before: Mapping[str, Any], after: object) -> None:
    """Raises Violation unless `after` is what an origin-request function may make of `before`."""
    if not isinstance(after, dict):
        raise Violation(f"The function returned {type(after).__name__}, not a request object")
    for name in ("clientIp", "method"):
        if after.get(name) != before[name]:
            raise Violation(f"The function changed {name}, which is read-only")
    uri, query = after.get("uri"), after.get("querystring")
    if not isinstance(uri, str) or not uri.startswith("/"):
        raise Violation("The uri must be a string that begins with /")
    if not isinstance(query, str) or re.search(r"[\x00-\x20\x7f#]", query):
        raise Violation("The querystring must be a string without spaces, control characters and #")
    if len(uri) + len(query) >= _MAX_URI:
        raise Violation(f"The uri and the querystring have {_MAX_URI} characters or more")
    headers = _checked_headers("headers", after.get("headers"))
    _check_read_only(before["headers"], headers, READ_ONLY_IN_REQUESTS)
    _check_origin(before["origin"], after.get("origin"), headers)


def check_response(before: Mapping[str, Any], after: object) -> None:
    """Raises Violation unless `after` is what an origin-response function may make of `before`."""
    if not isinstance(after, dict):
        raise Violation(f"The function returned {type(after).__name__}, not a response object")
    _check_status(after.get("status"))
    headers = _checked_headers("headers", after.get("headers") or {})
    _check_read_only(before.get("headers", {}), headers, READ_ONLY_IN_RESPONSES)
    if not isinstance(after.get("body", ""), str) or after.get("bodyEncoding", "text") not in ("text", "base64"):
        raise Violation("The body is not a string, or its bodyEncoding is neither text nor base64")


def _check_status(status: object) -> None:
    text = str(status) if isinstance(status, str | int) and not isinstance(status, bool) else ""
    if not re.fullmatch(r"[2-5]\d\d", text):
        raise Violation(f"The status is {status!r}: expected a number from 200 to 599")


def _checked_headers(what: str, headers: object) -> dict[str, list[str]]:
    """Each header's values. Raises Violation."""
    if not isinstance(headers, dict):
        raise Violation(f"The {what} object is missing")
    values: dict[str, list[str]] = {}
    for name, entries in headers.items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise Violation(f"{what}[{name!r}]: each header entry must be an array of objects with key and value")
        if not _TOKEN.fullmatch(name) or name != name.lower():
            raise Violation(f"{what}[{name!r}]: the name is not in lower case or has characters that no header has")
        if is_disallowed(name):
            raise Violation(f"The function tried to add the disallowed header {name}")
        for entry in entries:
            if str(entry.get("key", name)).lower() != name:
                raise Violation(f"{what}[{name!r}]: the key {entry.get('key')!r} is another header's")
            value = entry.get("value")
            if not isinstance(value, str) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise Violation(f"{what}[{name!r}]: the value is no string, or has control characters")
        values[name] = [entry["value"] for entry in entries]
    return values


def _check_read_only(before: Mapping[str, Any], after: Mapping[str, list[str]], names: tuple[str, ...]) -> None:
    for name in names:
        if after.get(name, []) != [entry["value"] for entry in before.get(name, [])]:
            raise Violation(f"The function tried to add, delete, or change the read-only header {name}")


def _check_origin(before: Mapping[str, Any], after: object, headers: Mapping[str, list[str]]) -> None:
    if not isinstance(after, dict) or len(after) != 1 or not after.keys() <= {"s3", "custom"}:
        raise Violation("The origin must have exactly one of s3 and custom")
    ((kind, origin),) = after.items()
    if not isinstance(origin, dict):
        raise Violation(f"The origin {kind} is no object")
    required = _S3_KEYS - {"region"} if kind == "s3" else _CUSTOM_KEYS
    if not required <= origin.keys() or not origin.keys() <= required | ({"region"} if kind == "s3" else set()):
        raise Violation(f"The {kind} origin has the fields {', '.join(sorted(origin))}: expected {sorted(required)}")
    _check_domain(kind, origin["domainName"])
    path = origin["path"]
    if not isinstance(path, str) or (path and not path.startswith("/")) or path.endswith("/") or len(path) > 255:
        raise Violation(f"The origin's path is {path!r}: it begins with a slash and does not end with one")
    custom = _checked_headers("customHeaders", origin["customHeaders"])
    for name in custom:
        if any(fnmatchcase(name, pattern) for pattern in NO_CUSTOM_HEADERS):
            raise Violation(f"CloudFront cannot add {name} as a custom header of an origin")
        if name in headers:
            raise Violation(f"The header {name} is both in headers and in customHeaders")
    if kind == "s3":
        _check_s3(before, origin)
    else:
        _check_custom(origin)
    if headers.get("host") != [origin["domainName"]]:
        # The certificate that the origin shows is its own: https://repost.aws/knowledge-center/cloudfront-502-errors
        raise Violation(f"The host header is {headers.get('host')}: it must be the origin's, {origin['domainName']}")


def _check_domain(kind: str, name: object) -> None:
    longest = 128 if kind == "s3" else 253
    labels = name.split(".") if isinstance(name, str) else []
    if not isinstance(name, str) or len(name) > longest or not all(map(_LABEL.fullmatch, labels)):
        raise Violation(f"The domainName is {name!r}: expected a name of at most {longest} lower-case characters")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return
    raise Violation(f"The domainName is the address {name}")


def _check_s3(before: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    method, region = origin["authMethod"], origin.get("region", "")
    if method not in ("none", "origin-access-identity"):
        raise Violation(f"The authMethod is {method!r}: expected none or origin-access-identity")
    if not isinstance(region, str):
        raise Violation(f"The region is {region!r}")
    if method == "none":
        return
    if not region:
        raise Violation("With an origin access identity the origin needs a region")
    if before.get("s3", {}).get("authMethod") != method:
        raise Violation("The configured origin has no origin access identity that could be used for another")


def _check_custom(origin: Mapping[str, Any]) -> None:
    port, protocols = origin["port"], origin["sslProtocols"]
    if not isinstance(port, int) or not (port in (80, 443) or 1024 <= port <= 65_535):
        raise Violation(f"The port is {port!r}: expected 80, 443 or 1024 to 65535")
    if origin["protocol"] not in ("http", "https"):
        raise Violation(f"The protocol is {origin['protocol']!r}: expected http or https")
    for name, least in (("keepaliveTimeout", 1), ("readTimeout", 1)):
        seconds = origin[name]
        if not isinstance(seconds, int) or not least <= seconds <= 120:
            raise Violation(f"The {name} is {seconds!r}: expected {least} to 120")
    if not isinstance(protocols, list) or not protocols or not set(map(str, protocols)) <= _SSL:
        raise Violation(f"The sslProtocols are {protocols!r}: expected some of {', '.join(sorted(_SSL))}")

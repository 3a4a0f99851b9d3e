"""One request of an origin-request event, pointed at another bucket: a new one is built, the event's is not touched.

The shapes are those of https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html.
No header that CloudFront forbids or holds read-only is added, changed or taken away
(https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html): all that is
added is host, authorization, x-amz-date, x-amz-content-sha256, x-amz-security-token and x-nearside-reason.
"""

from typing import Any

import directions
import signing
import txt_origin
from txt_origin import Origin

REASON = "x-nearside-reason"
OURS = "x-nearside-"  # a viewer's own headers of this name are believed by nobody
OAI = "origin-access-identity"
_SIGNED_AWAY = ("authorization", "x-amz-")  # a viewer's, where the function signs
_CLOUDFRONTS = "x-amz-cf-"  # forbidden to touch
_TLS = "TLSv1.2"  # the least that S3 speaks

type Request = dict[str, Any]


class NotRerouted(Exception):
    """Why the request goes to the origin that it came with."""


def auth_of(kind: str, origin: Request, asked: str) -> str:
    """`oai`, `sigv4` or `none` for an event's origin (of kind `s3` or `custom`). Raises NotRerouted.

    An OAI cannot be had by asking: CloudFront keeps the one that the distribution's origin has, and a custom origin has
    none (the event's page, `authMethod`).
    """
    has_oai = kind == "s3" and origin.get("authMethod") == OAI
    if asked == "oai" and not has_oai:
        raise NotRerouted(f"{directions.AUTH} is oai, and the configured origin has no origin access identity")
    return asked or ("oai" if has_oai else "none")


def configured_bucket(origin: Request) -> Origin | None:
    """The bucket that an event's origin names itself; None: it is no bucket of S3's."""
    try:
        [found] = txt_origin.parse(origin["domainName"])
    except txt_origin.BadRecord:
        return None
    return found


def rerouted(request: Request, kind: str, to: Origin, auth: str, request_id: str, now: float) -> Request:
    """The request as it goes to the bucket, signed if `auth` is `sigv4`. Raises NotRerouted, signing.NoCredentials."""
    configured = request["origin"][kind]
    changed = _s3(configured, to, auth) if kind == "s3" else _custom(configured, to)
    signs = auth == "sigv4"
    query = request.get("querystring", "")
    if signs and "+" in query:
        # In a query string S3 reads a plus as a space; so written, nobody can read it otherwise.
        query = query.replace("+", "%20")
    headers = kept(request["headers"], signs=signs)
    headers["host"] = [{"key": "Host", "value": to.host}]
    if signs:
        if request["method"] not in signing.METHODS:
            raise NotRerouted(f"{request['method']} is not signed: only {' and '.join(signing.METHODS)} are")
        path = changed["path"] + request["uri"]
        cf_id = request_id if kind == "custom" else ""
        target = signing.Target(request["method"], to.host, to.region, path, query, cf_id)
        for name, value in signing.headers(target, now).items():
            headers[name] = [{"key": name, "value": value}]
    return {**request, "querystring": query, "headers": headers, "origin": {kind: changed}}


def kept(headers: dict[str, Any], *, signs: bool = False) -> dict[str, Any]:
    """The request's headers but what a viewer must not bring; in a new dict."""
    dropped = (OURS, *_SIGNED_AWAY) if signs else (OURS,)
    return {
        name: values
        for name, values in headers.items()
        if not (low := name.lower()).startswith(dropped) or low.startswith(_CLOUDFRONTS)
    }


def _s3(configured: Request, to: Origin, auth: str) -> Request:
    """`region` is for OAI only, so empty without."""
    return {
        **_common(configured, to),
        "authMethod": OAI if auth == "oai" else "none",
        "region": to.region if auth == "oai" else "",
    }


def _custom(configured: Request, to: Origin) -> Request:
    if "." in to.bucket:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html: the wildcard covers no dots.
        raise NotRerouted(f"S3's certificate does not fit {to.host}: a bucket with dots needs an S3 origin")
    protocols = configured.get("sslProtocols") or []
    return {
        **_common(configured, to),
        "port": 443,
        "protocol": "https",
        "sslProtocols": protocols if _TLS in protocols else [*protocols, _TLS],
    }


def _common(configured: Request, to: Origin) -> Request:
    """The path stays as configured unless the record has one. The records' key is secret: no bucket gets to see it."""
    headers = {name: value for name, value in configured["customHeaders"].items() if name.lower() != directions.KEY}
    return {
        **configured,
        "customHeaders": headers,
        "domainName": to.host,
        "path": to.path or configured.get("path", ""),
    }

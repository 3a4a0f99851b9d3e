"""SigV4 in the headers of a GET or HEAD to S3, with the credentials that Lambda gives the function.

Follows https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. S3 wants every x-amz-* header
that reaches it among the signed ones. CloudFront adds X-Amz-Cf-Id, which is the event's requestId, to requests to a
custom origin and not to those to an S3 origin
(https://aws.amazon.com/blogs/networking-and-content-delivery/serving-sse-kms-encrypted-content-from-s3-using-cloudfront/).
tests/unit/test_origin_router_signing.py proves it against botocore.
"""

import functools
import os
import re
import time
from typing import NamedTuple

METHODS = ("GET", "HEAD")
ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_ENCODED = tuple(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256))
_ENCODED_PATH = tuple("/" if byte == ord("/") else text for byte, text in enumerate(_ENCODED))
_CANONICAL_PATH = re.compile("[A-Za-z0-9_.~/-]*")
_PLAIN = re.compile("[A-Za-z0-9_.~-]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class NoCredentials(Exception):
    """The function's environment has no credentials."""


class Target(NamedTuple):
    """What is asked of which bucket."""

    method: str
    host: str
    region: str
    path: str
    """As it will be sent: the origin's path and the event's uri."""
    query: str
    """As it will be sent, without a `+` (which S3 and a signer may read differently)."""
    request_id: str = ""
    """What CloudFront will send as X-Amz-Cf-Id; empty: it sends none."""


def headers(target: Target, now: float) -> dict[str, str]:
    """The headers to add, in lower case; `now` in seconds since the epoch. Raises NoCredentials."""
    # Read at each signing: Lambda is free to rotate them under a running container.
    access_key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not access_key_id or not secret:
        raise NoCredentials("there are no credentials to sign with: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    added = {"x-amz-content-sha256": UNSIGNED_PAYLOAD, "x-amz-date": timestamp}
    token = os.environ.get("AWS_SESSION_TOKEN", "")
    if token:
        added["x-amz-security-token"] = token
    scope = f"{timestamp[:8]}/{target.region}/s3/aws4_request"
    # In alphabetical order: host, x-amz-cf-id, x-amz-content-sha256, x-amz-date, x-amz-security-token.
    signed = {"host": target.host, **({"x-amz-cf-id": target.request_id} if target.request_id else {}), **added}
    names = ";".join(signed)
    lines = "".join([f"{name}:{value}\n" for name, value in signed.items()])
    canonical = (
        f"{target.method}\n{canonical_path(target.path)}\n{canonical_query(target.query)}\n{lines}\n{names}\n"
        f"{UNSIGNED_PAYLOAD}"
    )
    signature = _signature(secret, timestamp, scope, canonical)
    added["authorization"] = (
        f"{ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return added


def canonical_path(path: str) -> str:
    """The path as S3 signs it: decoded once, encoded once, never normalised."""
    return path if _CANONICAL_PATH.fullmatch(path) else _encoded(_decoded(path), _ENCODED_PATH)


def canonical_query(query: str) -> str:
    """The query string as S3 signs it: each name and value decoded and encoded, sorted; `a` is `a=`."""
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_canonical(name), _canonical(value)))
    return "&".join([f"{name}={value}" for name, value in sorted(pairs)])


def _canonical(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _encoded(_decoded(text))


def _decoded(text: str) -> bytes:
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text.encode())


def _encoded(data: bytes, table: tuple[str, ...] = _ENCODED) -> str:
    """Percent-encoded but for the unreserved bytes. (urllib.parse has both, and would cost a cold start 2 ms.)"""
    return "".join([table[byte] for byte in data])


def _signature(secret: str, timestamp: str, scope: str, canonical: str) -> str:
    from hashlib import sha256  # with hmac 3 ms of a cold start, for whoever signs
    from hmac import digest

    text = f"{ALGORITHM}\n{timestamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    return digest(_key(secret, scope), text.encode(), "sha256").hex()


@functools.lru_cache(maxsize=16)
def _key(secret: str, scope: str) -> bytes:
    """The signing key of one secret, day and region."""
    from hmac import digest

    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = digest(key, part.encode(), "sha256")
    return key

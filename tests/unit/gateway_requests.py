"""Requests to the gateway as its clients sign them: by botocore, by awscrt, and as a Function URL hands them on."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import awscrt.auth
import awscrt.http
import msgspec
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from nearside.gateway.access_keys import AccessKey, KeyRule, Secret
from nearside.gateway.s3_requests import S3Request, request_of
from nearside.gateway.signatures import Verifier

HOST = "gateway.example.com"
NOW = 1_700_000_000.0
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EVERYTHING = KeyRule(buckets=["*"], actions=["read", "write", "delete", "list", "admin"])
KEY = AccessKey(id="NEARSIDEABCDEFGH2345", secrets=[Secret(SECRET)], rules=[EVERYTHING])


def verifier(*keys: AccessKey, region: str | None = None, now: float = NOW) -> Verifier:
    """A verifier that knows these keys (or `KEY`)."""
    found = {key.id: key for key in keys or (KEY,)}
    return Verifier(found.get, region, lambda: now)


def received(
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    hosts: Sequence[str] = (HOST,),
) -> S3Request:
    """The request as the gateway sees it, without bucket and key; several headers of one name are joined, as a Function
    URL joins them."""
    joined: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lower = name.lower()
        joined[lower] = f"{joined[lower]},{value}" if lower in joined else value
    joined.setdefault("host", hosts[0])
    event: dict[str, Any] = {
        "rawQueryString": query,
        "headers": joined,
        "requestContext": {"http": {"method": method}, "requestId": "one"},
    }
    made = request_of(event)
    return msgspec.structs.replace(made, path=path, body=body, hosts=hosts)


def signed_by_header(
    method: str,
    path: str,
    query: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    key_id: str = KEY.id,
    secret: str = SECRET,
    region: str = "us-east-1",
    payload: str | None = None,
    now: float = NOW,
    host: str = HOST,
) -> S3Request:
    """Signed by botocore, over the path and the query as they are. Without `payload` the body's hash is signed."""
    request = AWSRequest(method=method, url=f"https://{host}{path}{'?' + query if query else ''}", data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    request.headers["x-amz-content-sha256"] = payload or hashlib.sha256(body).hexdigest()
    auth = _Fixed(Credentials(key_id, secret), "s3", region)
    auth.wanted = request.headers["x-amz-content-sha256"]
    with _at(now):
        auth.add_auth(request)
    return received(method, path, query, [*request.headers.items(), ("host", host)], body, [host])


class _Fixed(S3SigV4Auth):
    """Signs what the test says of the body."""

    wanted = ""

    def payload(self, request: AWSRequest) -> str:
        return self.wanted


def signed_by_query(
    method: str,
    path: str,
    query: str = "",
    headers: Sequence[tuple[str, str]] = (),
    *,
    expires: int = 300,
    secret: str = SECRET,
    region: str = "us-east-1",
    now: float = NOW,
) -> S3Request:
    """Presigned by botocore, which decodes the query and encodes it again."""
    request = AWSRequest(method=method, url=f"https://{HOST}{path}{'?' + query if query else ''}")
    for name, value in headers:
        request.headers.add_header(name, value)
    with _at(now):
        S3SigV4QueryAuth(Credentials(KEY.id, secret), "s3", region, expires=expires).add_auth(request)
    url = str(request.url).removeprefix(f"https://{HOST}")
    return received(method, url.partition("?")[0], url.partition("?")[2], headers)


def signed_by_v4a(
    method: str,
    path: str,
    query: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    in_query: bool = False,
    expires: int = 300,
    secret: str = SECRET,
    regions: str = "*",
    payload: str = "UNSIGNED-PAYLOAD",
    now: float = NOW,
) -> S3Request:
    """Signed by awscrt with SigV4A, which takes a `:` in a path for an address's: it is encoded."""
    path = path.replace(":", "%3A")
    target = f"{path}?{query}" if query else path
    sent = awscrt.http.HttpRequest(method, target, awscrt.http.HttpHeaders([("host", HOST), *headers]))
    kind = awscrt.auth.AwsSignatureType
    body_header = awscrt.auth.AwsSignedBodyHeaderType
    config = awscrt.auth.AwsSigningConfig(
        algorithm=awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=kind.HTTP_REQUEST_QUERY_PARAMS if in_query else kind.HTTP_REQUEST_HEADERS,
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(KEY.id, secret),
        region=regions,
        service="s3",
        date=datetime.fromtimestamp(now, UTC),
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=payload,
        signed_body_header_type=body_header.NONE if in_query else body_header.X_AMZ_CONTENT_SHA_256,
        expiration_in_seconds=expires if in_query else None,
    )
    awscrt.auth.aws_sign_request(sent, config).result(10)
    path, _, query = sent.path.partition("?")
    return received(method, path, query, list(sent.headers), body)


def _at(now: float) -> Any:
    return mock.patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(now, UTC))

"""SigV4A requests made with awscrt, AWS's own implementation, for tests of what verifies them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import awscrt.auth
import awscrt.http

from local.identities import WORLD, Identity

type SignedRequest = tuple[str, dict[str, str]]
"""A URL and the headers to send with it."""


def sign(
    url: str,
    *,
    method: str = "GET",
    identity: Identity = WORLD,
    regions: str = "*",
    expires_seconds: int = 300,
    at: datetime | None = None,
    headers: Mapping[str, str] | None = None,
    in_query: bool = True,
) -> SignedRequest:
    """The request signed with SigV4A, in the query (a presigned URL) or in the Authorization header."""
    parts = urlsplit(url)
    target = url.split(parts.netloc, 1)[1]
    fields = [("host", parts.netloc), *(headers or {}).items()]
    request = awscrt.http.HttpRequest(method, target, awscrt.http.HttpHeaders(fields))
    kind = awscrt.auth.AwsSignatureType
    config = awscrt.auth.AwsSigningConfig(
        algorithm=awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=kind.HTTP_REQUEST_QUERY_PARAMS if in_query else kind.HTTP_REQUEST_HEADERS,
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(
            identity.access_key_id, identity.secret_access_key, identity.session_token or None
        ),
        region=regions,
        service="s3",
        date=at or datetime.now(UTC),
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value="UNSIGNED-PAYLOAD",
        signed_body_header_type=awscrt.auth.AwsSignedBodyHeaderType.NONE
        if in_query
        else awscrt.auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        expiration_in_seconds=expires_seconds if in_query else None,
    )
    awscrt.auth.aws_sign_request(request, config).result(10)
    sent = {name: value for name, value in request.headers if name.lower() != "host"}
    return f"{parts.scheme}://{parts.netloc}{request.path}", sent

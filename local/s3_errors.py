"""S3's errors: one exception that carries the code, the status and the details of S3's XML answer."""

import secrets
from collections.abc import Mapping
from xml.sax.saxutils import escape

from local.server import Response


class S3Error(Exception):
    """A refusal as S3 words it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, str] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.headers = headers

    def response(self, request_id: str) -> Response:
        """The XML answer. The server leaves the body away for a HEAD, as S3 does."""
        fields = {"Code": self.code, "Message": self.message, **self.details, "RequestId": request_id}
        fields["HostId"] = secrets.token_urlsafe(16)
        inner = "".join(f"<{name}>{_text(value)}</{name}>" for name, value in fields.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
        return Response(self.status, (("Content-Type", "application/xml"), *self.headers), body)


def access_denied(message: str = "Access Denied", **details: str) -> S3Error:
    """S3's 403, for whoever is not allowed or has not signed."""
    return S3Error(403, "AccessDenied", message, details)


def invalid_argument(message: str, name: str, value: str) -> S3Error:
    """S3's 400 for a parameter or header whose value it does not take."""
    return S3Error(400, "InvalidArgument", message, {"ArgumentName": name, "ArgumentValue": value})


def bad_query_signature(message: str) -> S3Error:
    """A presigned URL whose parameters are wrong, before its signature is looked at."""
    return S3Error(400, "AuthorizationQueryParametersError", message)


def bad_authorization_header(message: str, **details: str) -> S3Error:
    """A signed request whose Authorization header is wrong, before its signature is looked at."""
    return S3Error(400, "AuthorizationHeaderMalformed", message, details)


def _text(value: str) -> str:
    # XML 1.0 has no way to write most control characters, and a surrogate is no character at all.
    shown = "".join(
        char if char in "\t\n\r" or (char >= " " and not "\ud800" <= char <= "\udfff") else "�" for char in value
    )
    return escape(shown)

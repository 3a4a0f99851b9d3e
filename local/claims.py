"""What a request says about its own signature, read from its query or its Authorization header as S3 reads it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from local.s3_errors import S3Error, access_denied, bad_authorization_header, bad_query_signature
from local.server import Request

HMAC = "AWS4-HMAC-SHA256"
ECDSA = "AWS4-ECDSA-P256-SHA256"
TIMESTAMP = "%Y%m%dT%H%M%SZ"
MAX_EXPIRES_SECONDS = 604_800

_QUERY_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature and everything it was made with. `region` is empty for SigV4A, `region_set` for SigV4."""

    source: Literal["query", "header"]
    algorithm: str
    access_key_id: str
    date: str
    region: str
    region_set: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    expires_seconds: int | None
    token: str

    @property
    def time(self) -> datetime:
        return datetime.strptime(self.timestamp, TIMESTAMP).replace(tzinfo=UTC)

    @property
    def scope(self) -> str:
        """The credential scope: SigV4A's has no region."""
        return "/".join(part for part in (self.date, self.region, "s3", "aws4_request") if part)


def read_claim(request: Request) -> Claim:
    """The request's claim. Raises S3Error: AccessDenied when it has none, and S3's own codes for malformed ones."""
    query = dict(request.parameters)
    in_query = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
    in_header = request.has_header("Authorization")
    if in_query and in_header:
        message = (
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified"
        )
        name, value = "Authorization", request.header("Authorization")
        raise S3Error(400, "InvalidArgument", message, {"ArgumentName": name, "ArgumentValue": value})
    if in_query:
        return _from_query(query)
    if in_header:
        return _from_header(request)
    if "AWSAccessKeyId" in query and "Signature" in query:
        raise _old_signature(HMAC)
    raise access_denied()


def _from_query(query: Mapping[str, str]) -> Claim:
    algorithm = query.get("X-Amz-Algorithm", "")
    wanted = _QUERY_PARAMETERS + (("X-Amz-Region-Set",) if algorithm == ECDSA else ())
    if any(not query.get(name) for name in wanted):
        needed = f"{', '.join(wanted[:-1])}, and {wanted[-1]} parameters."
        raise bad_query_signature(f"Query-string authentication version 4 requires the {needed}")
    if algorithm not in (HMAC, ECDSA):
        raise bad_query_signature(f'X-Amz-Algorithm only supports "{HMAC} and {ECDSA}"')
    try:
        access_key_id, date, region = _split_credential(query["X-Amz-Credential"], algorithm)
    except ValueError as error:
        raise bad_query_signature(f"Error parsing the X-Amz-Credential parameter; {error}") from None
    timestamp = query["X-Amz-Date"]
    if not _is_timestamp(timestamp):
        raise bad_query_signature("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    if not timestamp.startswith(date):
        message = f'Invalid credential date "{date}". This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        raise bad_query_signature(message)
    return Claim(
        source="query",
        algorithm=algorithm,
        access_key_id=access_key_id,
        date=date,
        region=region,
        region_set=query.get("X-Amz-Region-Set", ""),
        signed_headers=tuple(query["X-Amz-SignedHeaders"].split(";")),
        signature=query["X-Amz-Signature"],
        timestamp=timestamp,
        expires_seconds=_expires(query["X-Amz-Expires"]),
        token=query.get("X-Amz-Security-Token", ""),
    )


def _expires(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        raise bad_query_signature("X-Amz-Expires should be a number")
    if int(text) < 0:
        raise bad_query_signature("X-Amz-Expires must be non-negative")
    if int(text) > MAX_EXPIRES_SECONDS:
        week = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than"
        raise bad_query_signature(f"{week} {MAX_EXPIRES_SECONDS} seconds")
    return int(text)


def _from_header(request: Request) -> Claim:
    algorithm, _, rest = request.header("Authorization").strip().partition(" ")
    if algorithm not in (HMAC, ECDSA):
        if algorithm == "AWS":
            raise _old_signature(HMAC)
        raise S3Error(400, "InvalidArgument", "Unsupported Authorization Type", {"ArgumentName": "Authorization"})
    fields = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest.split(","))}
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise bad_authorization_header(f"The authorization header is malformed; {name} is missing.")
    try:
        access_key_id, date, region = _split_credential(fields["Credential"], algorithm)
    except ValueError as error:
        raise bad_authorization_header(f"The authorization header is malformed; {error}") from None
    timestamp = _header_timestamp(request)
    if not timestamp.startswith(date):
        message = f'The authorization header is malformed; Invalid credential date "{date}". This date is not the same'
        raise bad_authorization_header(f'{message} as X-Amz-Date: "{timestamp[:8]}".')
    return Claim(
        source="header",
        algorithm=algorithm,
        access_key_id=access_key_id,
        date=date,
        region=region,
        region_set=request.header("X-Amz-Region-Set"),
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        timestamp=timestamp,
        expires_seconds=None,
        token=request.header("X-Amz-Security-Token"),
    )


def _header_timestamp(request: Request) -> str:
    timestamp = request.header("X-Amz-Date")
    if _is_timestamp(timestamp):
        return timestamp
    try:
        return parsedate_to_datetime(request.header("Date")).astimezone(UTC).strftime(TIMESTAMP)
    except ValueError:
        raise access_denied("AWS authentication requires a valid Date or x-amz-date header") from None


def _is_timestamp(text: str) -> bool:
    try:
        return datetime.strptime(text, TIMESTAMP).replace(tzinfo=UTC).strftime(TIMESTAMP) == text
    except ValueError:
        return False


def _split_credential(credential: str, algorithm: str) -> tuple[str, str, str]:
    parts = credential.split("/")
    expected = 5 if algorithm == HMAC else 4
    if len(parts) != expected:
        form = "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"
        if algorithm == ECDSA:
            form = "<YOUR-AKID>/YYYYMMDD/SERVICE/aws4_request"
        raise ValueError(f'the Credential is mal-formed; expecting "{form}".')
    if parts[-2] != "s3":
        raise ValueError(f'incorrect service "{parts[-2]}". This endpoint belongs to "s3".')
    if parts[-1] != "aws4_request":
        raise ValueError(f'incorrect terminal "{parts[-1]}". This endpoint uses "aws4_request".')
    return parts[0], parts[1], parts[2] if algorithm == HMAC else ""


def _old_signature(instead: str) -> S3Error:
    message = f"The authorization mechanism you have provided is not supported. Please use {instead}."
    return S3Error(400, "InvalidRequest", message)

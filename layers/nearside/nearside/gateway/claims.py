"""What a request says of its own signature, in its Authorization header or in its query.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from nearside.errors import BadRequest, NearsideError, Refused
from nearside.gateway.errors import BadAuthorization, BadQueryAuthorization, InvalidArgument
from nearside.gateway.s3_requests import S3Request
from nearside.signing import MAX_EXPIRES_SECONDS

type Algorithm = Literal["AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"]

HMAC: Algorithm = "AWS4-HMAC-SHA256"
ECDSA: Algorithm = "AWS4-ECDSA-P256-SHA256"
# The page of the query says "between 1 and 604800"; 7 digits are enough to say that it is more.
_EXPIRES = re.compile(r"\d{1,7}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_QUERY_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_ONE_ONLY = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A signature and what it was made with. `region` is empty for SigV4A, `region_set` for SigV4; `at` is the
    timestamp in seconds since the epoch; `expires_seconds` is None unless the signature is in the query."""

    algorithm: Algorithm
    key_id: str
    day: str
    region: str
    region_set: str
    names: Sequence[str]
    signature: str
    timestamp: str
    at: float
    expires_seconds: int | None = None

    @property
    def scope(self) -> str:
        """The credential scope: SigV4A's has no region."""
        return f"{self.day}/{self.region}/s3/aws4_request" if self.region else f"{self.day}/s3/aws4_request"

    def malformed(self, parameter: str, why: str) -> NearsideError:
        """The error that S3 answers with when a value of the claim is not what it should be."""
        return _malformed(self.expires_seconds is not None, parameter, why)


def claim_of(request: S3Request) -> Claim:
    """The request's claim. Raises Refused when it has none or is for a session, InvalidArgument when it has two,
    BadAuthorization and BadQueryAuthorization for malformed ones, BadRequest for one of another kind."""
    parameters, headers = request.parameters, request.headers
    in_query = "X-Amz-Signature" in parameters or "X-Amz-Algorithm" in parameters
    authorization = headers.get("authorization")
    if in_query and authorization is not None:
        raise InvalidArgument(_ONE_ONLY)
    if "x-amz-security-token" in headers or "X-Amz-Security-Token" in parameters:
        raise Refused("A session token came with the request: the gateway's access keys have none")
    if in_query:
        return _from_query(request)
    if authorization is not None:
        return _from_header(request, authorization)
    if "AWSAccessKeyId" in parameters and "Signature" in parameters:
        raise _old()
    raise Refused("Access Denied: the request is not signed")


def _from_query(request: S3Request) -> Claim:
    parameters = request.parameters
    algorithm = parameters.get("X-Amz-Algorithm", "")
    wanted = (*_QUERY_PARAMETERS, "X-Amz-Region-Set") if algorithm == ECDSA else _QUERY_PARAMETERS
    if not all(parameters.get(name) for name in wanted):
        needed = f"{', '.join(wanted[:-1])}, and {wanted[-1]} parameters."
        raise BadQueryAuthorization(f"Query-string authentication version 4 requires the {needed}")
    expires = parameters["X-Amz-Expires"]
    if not _EXPIRES.fullmatch(expires) or not 1 <= int(expires) <= MAX_EXPIRES_SECONDS:
        raise BadQueryAuthorization(f"X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES_SECONDS}")
    return _claim(
        _algorithm(algorithm, in_query=True),
        parameters["X-Amz-Credential"],
        parameters["X-Amz-Date"],
        parameters["X-Amz-SignedHeaders"],
        parameters["X-Amz-Signature"],
        parameters.get("X-Amz-Region-Set", ""),
        int(expires),
    )


def _from_header(request: S3Request, authorization: str) -> Claim:
    name, _, rest = authorization.strip().partition(" ")
    algorithm = _algorithm(name, in_query=False)
    fields: dict[str, str] = {}
    for part in rest.split(","):
        field, _, value = part.strip().partition("=")
        fields.setdefault(field, value)
    for field in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(field):
            raise BadAuthorization(f"The authorization header is malformed; {field} is missing.")
    return _claim(
        algorithm,
        fields["Credential"],
        request.headers.get("x-amz-date") or _date(request.headers.get("date", "")),
        fields["SignedHeaders"],
        fields["Signature"],
        request.headers.get("x-amz-region-set", ""),
    )


def _claim(
    algorithm: Algorithm,
    credential: str,
    timestamp: str,
    names: str,
    signature: str,
    region_set: str,
    expires_seconds: int | None = None,
) -> Claim:
    in_query = expires_seconds is not None
    parts = credential.split("/")
    if len(parts) != (5 if algorithm == HMAC else 4):
        form = f"<YOUR-AKID>/YYYYMMDD/{'REGION/' if algorithm == HMAC else ''}SERVICE/aws4_request"
        raise _malformed(in_query, "X-Amz-Credential", f'the Credential is mal-formed; expecting "{form}".')
    if parts[-2] != "s3":
        words = f'incorrect service "{parts[-2]}". This endpoint belongs to "s3".'
        raise _malformed(in_query, "X-Amz-Credential", words)
    if parts[-1] != "aws4_request":
        words = f'incorrect terminal "{parts[-1]}". This endpoint uses "aws4_request".'
        raise _malformed(in_query, "X-Amz-Credential", words)
    region = parts[2] if algorithm == HMAC else ""
    if algorithm == HMAC and not _REGION.fullmatch(region):
        raise _malformed(
            in_query, "X-Amz-Credential", f"the region '{region}' is wrong; expecting one such as 'us-east-1'"
        )
    at = _instant(timestamp)
    if at is None and in_query:
        raise BadQueryAuthorization("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    if at is None:
        raise Refused("AWS authentication requires a valid Date or x-amz-date header")
    if timestamp[:8] != parts[1]:
        words = f'Invalid credential date "{parts[1]}". This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        raise _malformed(in_query, "X-Amz-Credential", words)
    return Claim(
        algorithm=algorithm,
        key_id=parts[0],
        day=parts[1],
        region=region,
        region_set=region_set,
        names=names.split(";"),
        signature=signature,
        timestamp=timestamp,
        at=at,
        expires_seconds=expires_seconds,
    )


def _algorithm(name: str, *, in_query: bool) -> Algorithm:
    if name == HMAC:
        return HMAC
    if name == ECDSA:
        return ECDSA
    if in_query:
        raise BadQueryAuthorization(f'X-Amz-Algorithm only supports "{HMAC}" and "{ECDSA}"')
    raise _old() if name == "AWS" else InvalidArgument("Unsupported Authorization Type")


def _instant(timestamp: str) -> float | None:
    """Seconds since the epoch of `20130524T000000Z`."""
    try:
        return datetime.fromisoformat(timestamp).timestamp() if _TIMESTAMP.fullmatch(timestamp) else None
    except ValueError:
        return None


def _date(text: str) -> str:
    """The timestamp that a client without X-Amz-Date means by its Date header; empty when that is none."""
    from email.utils import parsedate_to_datetime  # 8 ms of a cold start, and hardly any client needs it

    if _TIMESTAMP.fullmatch(text):
        return text
    try:
        return parsedate_to_datetime(text).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError):
        return ""


def _malformed(in_query: bool, parameter: str, why: str) -> NearsideError:
    if in_query:
        return BadQueryAuthorization(f"Error parsing the {parameter} parameter; {why}")
    return BadAuthorization(f"The authorization header is malformed; {why}")


def _old() -> NearsideError:
    """SigV2, which S3 itself takes in its oldest regions only."""
    return BadRequest(f"The authorization mechanism you have provided is not supported. Please use {HMAC}.")

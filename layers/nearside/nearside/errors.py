"""The one tree of errors: each class carries the HTTP status and the S3 error code it is answered with.

    NearsideError                 500 InternalError
    ├── BadSettings               500 BadSettings            the function refuses to start; names the variable
    ├── BadRequest                400 InvalidRequest         names the field, the value and the limit
    │   ├── BadCursor             400 InvalidCursor
    │   ├── TooLarge              413 EntityTooLarge         the request is larger than the limit
    │   ├── AnswerTooLarge        413 AnswerTooLarge         the answer would be larger than Lambda can give
    │   └── PreconditionFailed    412 PreconditionFailed     what the client demanded of the object is not so
    ├── Unauthenticated           401 Unauthenticated        nobody vouched for the caller
    ├── Refused                   403 AccessDenied           by our policy, or by S3
    ├── Missing                   404 NoSuchKey              only ever raised for a 404 code of S3
    │   ├── MissingBucket         404 NoSuchBucket
    │   ├── MissingVersion        404 NoSuchVersion
    │   ├── MissingUpload         404 NoSuchUpload           there is no such upload, or not any more
    │   └── MissingPath           404 {"error": "Path 'demo' does not exist in the bucket"}
    ├── Unreachable               500 EndpointUnreachable    no answer, or a 5xx: nothing is known of the object
    ├── NoCredentials             500 NoCredentials          the credential chain is empty or its session is over
    ├── Contended                 500 Contended              too many wrote the same record at once: try again
    ├── BadEvent                  500 BadEvent               a message that is no event of a bucket of ours
    └── Unavailable               503 ServiceUnavailable     too few places answer: try again

The gateway's own, which only it needs, are the rest of this tree in `nearside.gateway.errors`.

Refused and unreachable are never reported as missing. `from_s3` is the one table that turns an S3 error code
or a bare status into a class of this tree, `from_dynamodb` the one for DynamoDB's.
"""

from typing import ClassVar


class NearsideError(Exception):
    """Base of everything this package raises on purpose; `str(error)` is fit for the caller to read."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "InternalError"

    def answer(self) -> dict[str, str]:
        """What the API answers: `{"error": <S3 code or name>, "message": <what is wrong>}`."""
        return {"error": self.code, "message": str(self)}


class BadSettings(NearsideError):
    code = "BadSettings"


class BadRequest(NearsideError):
    status = 400
    code = "InvalidRequest"


class BadCursor(BadRequest):
    code = "InvalidCursor"


class TooLarge(BadRequest):
    status = 413
    code = "EntityTooLarge"


class AnswerTooLarge(BadRequest):
    status = 413
    code = "AnswerTooLarge"


class PreconditionFailed(BadRequest):
    status = 412
    code = "PreconditionFailed"


class Unauthenticated(NearsideError):
    status = 401
    code = "Unauthenticated"


class Refused(NearsideError):
    status = 403
    code = "AccessDenied"


class Missing(NearsideError):
    status = 404
    code = "NoSuchKey"


class MissingBucket(Missing):
    code = "NoSuchBucket"


class MissingVersion(Missing):
    code = "NoSuchVersion"


class MissingUpload(Missing):
    code = "NoSuchUpload"


class MissingPath(Missing):
    code = "NoSuchPath"

    def answer(self) -> dict[str, str]:
        """The explorer's own shape: the sentence itself is the error."""
        return {"error": str(self)}


class Unreachable(NearsideError):
    code = "EndpointUnreachable"


class NoCredentials(NearsideError):
    code = "NoCredentials"


class Contended(NearsideError):
    code = "Contended"


class BadEvent(NearsideError):
    code = "BadEvent"


class Unavailable(NearsideError):
    status = 503
    code = "ServiceUnavailable"


# S3's codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. A HEAD has no body, so its code
# is the bare status, which botocore reports as "403" or "404".
_BY_S3_CODE: dict[str, type[NearsideError]] = {
    "NoSuchKey": Missing,
    "NotFound": Missing,
    "404": Missing,
    "NoSuchBucket": MissingBucket,
    "NoSuchVersion": MissingVersion,
    "NoSuchUpload": MissingUpload,
    "AccessDenied": Refused,
    "AllAccessDisabled": Refused,
    "AccountProblem": Refused,
    "ExpiredToken": Refused,
    "InvalidAccessKeyId": Refused,
    "InvalidToken": Refused,
    "SignatureDoesNotMatch": Refused,
    "401": Refused,
    "403": Refused,
    "InvalidArgument": BadRequest,
    "KeyTooLongError": BadRequest,
}


def from_s3(code: str, status: int, message: str) -> NearsideError:
    """The error for S3's `code` and HTTP `status`.

    A code the table does not name is judged by its status, and only 404 means missing: 401 and 403 are `Refused`,
    everything else (5xx, throttling, a code of a provider we do not know) is `Unreachable`, since it says nothing
    about the object.
    """
    error = _BY_S3_CODE.get(code) or _BY_S3_CODE.get(str(status)) or Unreachable
    return error(message)


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and, for the last four,
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
_REFUSED_BY_DYNAMODB = frozenset({
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
})  # fmt: skip


def from_dynamodb(code: str, message: str) -> NearsideError:
    """The error for DynamoDB's `code`. Throttling, a 5xx and whatever the table does not name are `Unreachable`: they
    say nothing about the record, and may be over when asked again; a table that is not there is `BadSettings`."""
    if code in _REFUSED_BY_DYNAMODB:
        return Refused(message)
    return BadSettings(message) if code == "ResourceNotFoundException" else Unreachable(message)

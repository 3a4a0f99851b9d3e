"""The gateway's part of the tree of errors (`nearside.errors`), answered in S3's XML with S3's codes.

    BadRequest
    ├── BadDigest             400 BadDigest                         a checksum that came with the body is not the body's
    ├── InvalidDigest         400 InvalidDigest                     a checksum that cannot be one
    ├── HashMismatch          400 XAmzContentSHA256Mismatch         the hash that was signed is not the body's
    ├── PartTooSmall          400 EntityTooSmall
    ├── IncompleteBody        400 IncompleteBody                    the body ends before its announced length
    ├── InvalidArgument       400 InvalidArgument
    ├── InvalidBucketName     400 InvalidBucketName
    ├── InvalidPart           400 InvalidPart
    ├── InvalidPartOrder      400 InvalidPartOrder
    ├── InvalidTag            400 InvalidTag
    ├── KeyTooLong            400 KeyTooLongError
    ├── MalformedXml          400 MalformedXML
    ├── MetadataTooLarge      400 MetadataTooLarge
    ├── BadAuthorization      400 AuthorizationHeaderMalformed
    ├── BadQueryAuthorization 400 AuthorizationQueryParametersError
    ├── LengthMissing         411 MissingContentLength
    └── InvalidRange          416 InvalidRange
    Refused
    ├── UnknownAccessKey      403 InvalidAccessKeyId
    ├── WrongSignature        403 SignatureDoesNotMatch
    └── Skewed                403 RequestTimeTooSkewed              the client's clock is over 15 minutes off
    Contended
    ├── Busy                  503 SlowDown                          somebody else holds the object's lease
    └── LeaseLost             409 OperationAborted                  the lease ended before the record was written
    Unreachable
    └── WrongBytes            502 WrongBytes                        a place gives other bytes than were written
    NearsideError
    ├── MethodNotAllowed      405 MethodNotAllowed                  S3 has no such method on this resource
    ├── BucketExists          409 BucketAlreadyOwnedByYou
    ├── BucketNotEmpty        409 BucketNotEmpty
    ├── WriteConflict         409 ConditionalRequestConflict        another write of the key was under way
    ├── NotSupported          501 NotImplemented                    what S3 can, and the gateway cannot do truly
    └── OutOfTime             500 OutOfTime                         the function is about to end: the next goes on
    Unavailable
    └── Replaced              503 Replaced                          the object was replaced while it was read

Those without words mean what S3 means by them: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from nearside.errors import BadRequest, Contended, NearsideError, Refused, Unreachable
from nearside.errors import MissingUpload as MissingUpload
from nearside.errors import PreconditionFailed as PreconditionFailed
from nearside.errors import Unavailable as Unavailable


class BadDigest(BadRequest):
    code = "BadDigest"


class InvalidDigest(BadRequest):
    code = "InvalidDigest"


class HashMismatch(BadRequest):
    code = "XAmzContentSHA256Mismatch"


class PartTooSmall(BadRequest):
    code = "EntityTooSmall"


class IncompleteBody(BadRequest):
    code = "IncompleteBody"


class InvalidArgument(BadRequest):
    code = "InvalidArgument"


class InvalidBucketName(BadRequest):
    code = "InvalidBucketName"


class InvalidPart(BadRequest):
    code = "InvalidPart"


class InvalidPartOrder(BadRequest):
    code = "InvalidPartOrder"


class InvalidTag(BadRequest):
    code = "InvalidTag"


class KeyTooLong(BadRequest):
    code = "KeyTooLongError"


class MalformedXml(BadRequest):
    code = "MalformedXML"


class MetadataTooLarge(BadRequest):
    code = "MetadataTooLarge"


class BadAuthorization(BadRequest):
    code = "AuthorizationHeaderMalformed"


class BadQueryAuthorization(BadRequest):
    code = "AuthorizationQueryParametersError"


class LengthMissing(BadRequest):
    status = 411
    code = "MissingContentLength"


class InvalidRange(BadRequest):
    status = 416
    code = "InvalidRange"


class UnknownAccessKey(Refused):
    code = "InvalidAccessKeyId"


class WrongSignature(Refused):
    code = "SignatureDoesNotMatch"


class Skewed(Refused):
    code = "RequestTimeTooSkewed"


class MethodNotAllowed(NearsideError):
    status = 405
    code = "MethodNotAllowed"


class BucketExists(NearsideError):
    status = 409
    code = "BucketAlreadyOwnedByYou"


class BucketNotEmpty(NearsideError):
    status = 409
    code = "BucketNotEmpty"


class WriteConflict(NearsideError):
    status = 409
    code = "ConditionalRequestConflict"


class NotSupported(NearsideError):
    status = 501
    code = "NotImplemented"


class Replaced(Unavailable):
    code = "Replaced"


class OutOfTime(NearsideError):
    code = "OutOfTime"


class Busy(Contended):
    status = 503
    code = "SlowDown"


class LeaseLost(Contended):
    status = 409
    code = "OperationAborted"


class WrongBytes(Unreachable):
    status = 502
    code = "WrongBytes"

"""The cache's part of the tree of errors (`nearside.errors`): each is also the error of Python's own that fits.

    BadRequest
    ├── BadUri             400 InvalidURI         also ValueError: no URI, or one of a kind that is not read
    ├── BadJson            400 InvalidJSON        also ValueError: the content is not JSON
    ├── BadContent         400 InvalidContent     also ValueError: no text of its encoding, or a broken gzip stream
    ├── NotAnObject        400 NotAnObject        also TypeError: JSON, but not an object at the top
    └── NotPinned          400 NotPinned          the lock file does not name this URI
    TooLarge
    └── ObjectTooLarge     413 ObjectTooLarge     larger than the caller takes, or than the cache may hold
    Missing
    └── MissingObject      404 NoSuchObject       also FileNotFoundError: every place answered 404, or no such file
    Refused
    └── RefusedObject      403 ObjectRefused      also PermissionError
    Unreachable
    ├── UnreachableObject  500 ObjectUnreachable  also ConnectionError: no answer, or 5xx, after all retries
    └── NotCached          504 NotCached          also ConnectionError: asked for offline, and not in the cache
    NearsideError
    ├── CorruptDownload    502 CorruptDownload    also OSError: the length or the checksum is not what was announced
    ├── ObjectChanged      409 ObjectChanged      also OSError: another version at every attempt to read it whole
    ├── PinBroken          409 PinBroken          also OSError: what is there is not what the lock file pins
    ├── UnsafeCache        500 UnsafeCache        also PermissionError: the folder is others' to write, or not ours
    ├── CacheBusy          503 CacheBusy          also TimeoutError: another process holds the entry for too long
    └── CacheFull          507 CacheFull          also OSError (ENOSPC): the disk has no room for the object

Who knows nothing of this package catches those of Python's own.
"""

import errno

from nearside.errors import BadRequest, Missing, NearsideError, Refused, TooLarge, Unreachable


class BadUri(BadRequest, ValueError):
    code = "InvalidURI"


class BadJson(BadRequest, ValueError):
    code = "InvalidJSON"


class BadContent(BadRequest, ValueError):
    code = "InvalidContent"


class NotAnObject(BadRequest, TypeError):
    code = "NotAnObject"


class NotPinned(BadRequest):
    code = "NotPinned"


class ObjectTooLarge(TooLarge):
    code = "ObjectTooLarge"


class MissingObject(Missing, FileNotFoundError):
    code = "NoSuchObject"


class RefusedObject(Refused, PermissionError):
    code = "ObjectRefused"


class UnreachableObject(Unreachable, ConnectionError):
    code = "ObjectUnreachable"

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        """`retry_after` is the seconds that the server asked to be left alone for, 0 where it did not say."""
        super().__init__(message)
        self.retry_after = retry_after


class NotCached(Unreachable, ConnectionError):
    status = 504
    code = "NotCached"


class CorruptDownload(NearsideError, OSError):
    status = 502
    code = "CorruptDownload"


class ObjectChanged(NearsideError, OSError):
    status = 409
    code = "ObjectChanged"


class PinBroken(NearsideError, OSError):
    status = 409
    code = "PinBroken"


class UnsafeCache(NearsideError, PermissionError):
    code = "UnsafeCache"


class CacheBusy(NearsideError, TimeoutError):
    status = 503
    code = "CacheBusy"


class CacheFull(NearsideError, OSError):
    status = 507
    code = "CacheFull"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC

"""What callers of the cache may say: of how S3 is read, and of one call."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from nearside.caching.asking import Patience
from nearside.places import Place
from nearside.signing import Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Access(TypedDict, total=False):
    """How S3 is read. One of: `s3_client`, a boto3 client; `places`, whose copies are the same object, in the order in
    which they are asked; `presign`, the URL of a `POST /presign` that chooses the place, with `presign_headers` giving
    what authorizes the caller; or none of these: the bucket of the URI, at `endpoint_url` or in AWS.

    Requests are signed with what `credentials` gives, else with botocore's chain (of `profile`), or not at all when
    `anonymous`. `mrap_endpoint` is an emulation of Multi-Region Access Points. `patience` says how long is waited.
    """

    s3_client: "S3Client | None"
    anonymous: bool
    profile: str | None
    region: str | None
    endpoint_url: str | None
    credentials: Callable[[], Credentials] | None
    places: Sequence[Place]
    mrap_endpoint: str
    presign: str | None
    presign_headers: Callable[[], Mapping[str, str]] | None
    patience: Patience


class Asked(TypedDict, total=False):
    """What one call may ask for, else the manager decides. `version_id`: that version; `force`: downloaded again;
    `max_age`: no request within so many seconds after the last validation; `offline`: no request at all;
    `stale_if_error`: what is cached, when no source can be reached (True, or for so many seconds after its last
    validation); `max_object_bytes`: larger objects are refused (ObjectTooLarge)."""

    version_id: str
    force: bool
    max_age: float | None
    offline: bool
    stale_if_error: bool | float
    max_object_bytes: int | None

"""What can be asked of `POST /presign`, and what is answered."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from nearside import signing

MAX_ITEMS = 1_000
MAX_KEY_BYTES = 1_024  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_PUT_BYTES = 5 * 1024**3  # one PUT or one part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
DEFAULT_EXPIRES_SECONDS = 3_600

# Python's `$` fits before a last line feed too, which would end the header that the text becomes.
type Method = Literal["GET", "HEAD", "PUT", "DELETE"]
type Header = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[\x20-\x7e]+$(?!\n)")]

_OVERRIDES = {
    "response_cache_control": "response-cache-control",
    "response_content_disposition": "response-content-disposition",
    "response_content_type": "response-content-type",
}
_UPLOAD_HEADERS = {
    "cache_control": "cache-control",
    "checksum_sha256": "x-amz-checksum-sha256",
    "content_disposition": "content-disposition",
    "content_length": "content-length",
    "content_type": "content-type",
    "if_none_match": "if-none-match",
}
_OF_A_PART = {"checksum_sha256", "content_length"}


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One URL that is asked for.

    GET and HEAD take `version_id` and the `response_*` overrides; PUT takes the upload's headers, which are signed and
    so must be sent as given, and `upload_id` with `part_number` for one part of a multipart upload; DELETE takes
    `version_id`. `place` pins the URL to that place. `check=false` saves looking whether the object is there.
    """

    key: Annotated[str, msgspec.Meta(min_length=1)]
    method: Method = "GET"
    expires_in: Annotated[int, msgspec.Meta(ge=1, le=signing.MAX_EXPIRES_SECONDS)] = DEFAULT_EXPIRES_SECONDS
    place: str | None = None
    check: bool = True
    version_id: Header | None = None
    response_cache_control: Header | None = None
    response_content_disposition: Header | None = None
    response_content_type: Header | None = None
    cache_control: Header | None = None
    checksum_sha256: Header | None = None
    content_disposition: Header | None = None
    content_length: Annotated[int, msgspec.Meta(ge=0, le=MAX_PUT_BYTES)] | None = None
    content_type: Header | None = None
    if_none_match: Literal["*"] | None = None
    upload_id: Header | None = None
    part_number: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None

    def __post_init__(self) -> None:
        size = len(self.key) if self.key.isascii() else len(self.key.encode())
        if size > MAX_KEY_BYTES:
            raise ValueError(f"key has {size} bytes in UTF-8: expected at most {MAX_KEY_BYTES}")
        if self.method != "PUT":
            self._without(_UPLOAD_HEADERS, "goes with PUT only")
            self._without(("upload_id", "part_number"), "goes with PUT only")
        elif (self.upload_id is None) != (self.part_number is None):
            raise ValueError("upload_id and part_number go together: one is missing")
        elif self.upload_id is not None:
            self._without(_UPLOAD_HEADERS.keys() - _OF_A_PART, "does not go with a part")
        if self.method not in ("GET", "HEAD"):
            self._without(_OVERRIDES, "goes with GET and HEAD only")
        if self.method == "PUT":
            self._without(("version_id",), "does not go with PUT")
        if self.checksum_sha256 is not None:
            _check_sha256(self.checksum_sha256)

    def headers(self) -> dict[str, str]:
        """The headers that are signed with a PUT, and that the client must send (lower-case names)."""
        return self._given(_UPLOAD_HEADERS) if self.method == "PUT" else {}

    def query(self) -> dict[str, str]:
        """What the URL's query says beside the signature: overrides, version, part."""
        query = self._given(_OVERRIDES) if self.method in ("GET", "HEAD") else {}
        if self.version_id is not None:
            query["versionId"] = self.version_id
        if self.upload_id is not None:
            query["partNumber"] = str(self.part_number)
            query["uploadId"] = self.upload_id
        return query

    def _given(self, names: Mapping[str, str]) -> dict[str, str]:
        return {name: str(value) for field, name in names.items() if (value := getattr(self, field)) is not None}

    def _without(self, fields: Sequence[str] | Mapping[str, str] | set[str], why: str) -> None:
        for field in fields:
            if getattr(self, field) is not None:
                raise ValueError(f"{field} {why}, and method is {self.method}")


class Asked(msgspec.Struct, frozen=True):
    """A body before it is known which of the two it is: a batch has `items`."""

    items: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RawBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch whose items are yet to be read, each by itself, so that a bad one does not spoil the others."""

    items: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 items, answered in order."""

    items: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]


class Presigned(msgspec.Struct, frozen=True, omit_defaults=True):
    """A URL, what must be sent with it, until when it works, where it leads and why.

    `headers` are signed: the client sends each as given. `expires_at` is the true end: the least of what was asked,
    7 days, and the end of the session that signed. `route` is `mrap` or the name of the place. `ready_at` is when a URL
    that is pinned until a copy arrives should give way to the MRAP's, by the lag that was measured.
    """

    key: str
    url: str
    method: str
    headers: dict[str, str]
    expires_at: datetime
    route: str
    reason: str
    ready_at: datetime | None = None


class Failed(msgspec.Struct, frozen=True):
    """One item of a batch that got no URL: the error it would have got alone, and the status it would have had."""

    error: str
    message: str
    status: int


class Presigns(msgspec.Struct, frozen=True):
    """A batch's answers, each a Presigned or a Failed, in the order of its items."""

    # msgspec encodes a union of structs but describes none without a tag, so its schema is said here.
    items: Annotated[
        list[Any],
        msgspec.Meta(
            extra_json_schema={
                "items": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Presigned", "Failed")]}
            }
        ),
    ]


def _check_sha256(text: str) -> None:
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ValueError(f"checksum_sha256 is {text!r}: expected base64 of 32 bytes") from error
    if size != 32:
        raise ValueError(f"checksum_sha256 has {size} bytes: expected base64 of 32 bytes")

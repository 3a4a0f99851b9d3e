"""What can be asked of `POST /uploads` and the routes below it, and what is answered."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from nearside.items import MAX_KEY_BYTES, Header
from nearside.uploads_sizes import MAX_BYTES, MAX_PARTS

type PartNumber = Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
type Bytes = Annotated[int, msgspec.Meta(ge=0, le=MAX_BYTES)]
type Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]


class UploadAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that is to be uploaded: its size in bytes, its headers, and if it is known the SHA-256 of its bytes in
    hex. It goes to the regions, or to a `bucket` of the gateway.

    `place` pins it to that region. `if_none_match` refuses to overwrite. With `checksums` (the default for the regions)
    each part's URL takes exactly the bytes whose SHA-256 is given for it; `false`: parts are not checked.
    """

    key: Annotated[str, msgspec.Meta(min_length=1)]
    size: Bytes
    bucket: Annotated[str, msgspec.Meta(min_length=3, max_length=63)] | None = None
    content_type: Header | None = None
    cache_control: Header | None = None
    content_disposition: Header | None = None
    sha256: Hex | None = None
    if_none_match: Literal["*"] | None = None
    place: str | None = None
    checksums: bool | None = None

    def __post_init__(self) -> None:
        if (size := len(self.key.encode())) > MAX_KEY_BYTES:
            raise ValueError(f"key has {size} bytes in UTF-8: expected at most {MAX_KEY_BYTES}")

    def headers(self) -> dict[str, str]:
        """As a GET answers them."""
        pairs = {
            "content-type": self.content_type or "application/octet-stream",
            "cache-control": self.cache_control,
            "content-disposition": self.content_disposition,
        }
        return {name: value for name, value in pairs.items() if value is not None}


class UploadBegun(msgspec.Struct, frozen=True, kw_only=True):
    """An upload: parts 1 to `parts`, each of `part_bytes` bytes but the last. `id` goes with every further request;
    `place` is where the parts go.

    A `single` one is one PUT of all `size` bytes to `url` with exactly these `headers`, until `expires_at`: then the
    object is there, and nothing else is to be asked; its `id` is empty.
    """

    id: str
    kind: Literal["single", "multipart"]
    place: str
    part_bytes: int
    parts: int
    url: str | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    expires_at: datetime | msgspec.UnsetType = msgspec.UNSET


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that is not complete. `size` is null where whoever began it did not say; then `parts` is 0."""

    id: str
    key: str
    size: int | None
    place: str
    part_bytes: int
    parts: int
    begun_at: datetime
    content_type: str
    checksums: bool


class Uploads(msgspec.Struct, frozen=True):
    """The caller's uploads that are not complete, newest first."""

    uploads: list[Upload]


class PartStored(msgspec.Struct, frozen=True):
    """A part that is there; `sha256` is in base64, as S3 keeps it."""

    number: int
    size: int
    etag: str
    sha256: str | None


class UploadShown(Upload, frozen=True, kw_only=True):
    """An upload that is not complete, and the parts that are there."""

    done: list[PartStored]


class PartsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parts whose URLs are wanted, and by number the SHA-256 of each in base64."""

    numbers: Annotated[list[PartNumber], msgspec.Meta(min_length=1, max_length=1_000)]
    sha256: dict[str, str] = {}

    def __post_init__(self) -> None:
        for number, text in self.sha256.items():
            if not number.isdecimal() or int(number) not in self.numbers:
                raise ValueError(f"sha256 has {number!r}, which is none of the numbers")
            check_sha256(f"sha256.{number}", text)


class PartUrl(msgspec.Struct, frozen=True):
    """Where to PUT a part: exactly `size` bytes with exactly these `headers`, until `expires_at`. Its answer's ETag is
    wanted at the end."""

    number: int
    url: str
    size: int
    expires_at: datetime
    headers: dict[str, str] = {}


class PartUrls(msgspec.Struct, frozen=True):
    """In the order in which they were asked for."""

    parts: list[PartUrl]


class PartDone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part that the place took, the ETag that it answered with, and the SHA-256 in base64 that went with it."""

    number: PartNumber
    etag: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            check_sha256("sha256", self.sha256)


class CompleteAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every part, in order."""

    parts: Annotated[list[PartDone], msgspec.Meta(min_length=1, max_length=MAX_PARTS)]


class UploadDone(msgspec.Struct, frozen=True, kw_only=True):
    """The object as it can be read from now on. `replication` says how each place stands to it."""

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None = None
    replication: dict[str, str]


class UploadAborted(msgspec.Struct, frozen=True):
    """What is not uploaded after all."""

    bucket: str
    key: str


def check_sha256(field: str, text: str) -> None:
    """Raises ValueError naming the field unless the text is the base64 of 32 bytes."""
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{field} is {text!r}: expected base64 of 32 bytes") from error
    if size != 32:
        raise ValueError(f"{field} has {size} bytes: expected base64 of 32 bytes")

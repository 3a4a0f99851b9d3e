"""What is remembered of an upload to the regions, and what uploads need of S3 and of their ledger."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from nearside.places import Place
from nearside.uploads_items import PartDone, PartStored, UploadDone

OPEN_SECONDS = 6 * 24 * 3600  # a day before the buckets' lifecycle rule would abort it


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that is to begin. `size` is None where nobody said it; `overwrites`: whether it may replace an
    object; `checksums`: whether S3 is to check each part's SHA-256."""

    key: str
    headers: Mapping[str, str]
    size: int | None = None
    sha256: str | None = None
    place: str | None = None
    overwrites: bool = True
    checksums: bool = False


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that has begun: everything that goes on with it needs, which is what its id says. `name` is ours, and
    kept with the object; `upload` is S3's; `begun` in milliseconds since the epoch."""

    name: str
    caller: str
    key: str
    place: str
    upload: str
    begun: int
    size: int | None
    part_bytes: int
    content_type: str
    overwrites: bool
    checksums: bool


class Completed(msgspec.Struct, frozen=True):
    """An object that was put together; `name` is the upload's that is kept with it, empty for none."""

    etag: str
    version_id: str | None
    size: int = 0
    name: str = ""


class Unfinished(msgspec.Struct, frozen=True):
    """An upload as S3 lists it; `begun` in milliseconds since the epoch."""

    key: str
    upload: str
    begun: int


class UploadsInPlaces(Protocol):
    """Multipart uploads in the regions' buckets. Every method raises Refused, Unreachable, and MissingUpload where S3
    has no such upload."""

    def begin(self, place: Place, wanted: Wanted, name: str) -> str:
        """S3's id of a new upload, whose object will have the headers, and with it the name and the SHA-256."""
        ...

    def parts(self, place: Place, key: str, upload: str) -> Sequence[PartStored]:
        """Every part that is there."""
        ...

    def complete(
        self, place: Place, key: str, upload: str, parts: Sequence[PartDone], *, overwrites: bool
    ) -> Completed:
        """The object. Raises PreconditionFailed when there is one already that it may not replace, BadRequest for
        parts that S3 does not take."""
        ...

    def abort(self, place: Place, key: str, upload: str) -> None:
        """Ends it; nothing happens to one that is over."""
        ...

    def find(self, place: Place, key: str) -> Completed | None:
        """The object as it is now; None when there is none."""
        ...

    def unfinished(self, place: Place) -> Iterator[Unfinished]:
        """Every upload of the bucket that is not over."""
        ...


class KeepsUploads(Protocol):
    """The ledger: each upload's record lives with its place. Every method raises Unreachable or Refused."""

    def begin(self, ticket: Ticket) -> None:
        """Remembers an upload that has begun."""
        ...

    def finish(self, ticket: Ticket, done: UploadDone) -> None:
        """Remembers what came of it, for as long as somebody may ask again."""
        ...

    def drop(self, ticket: Ticket) -> bool:
        """Forgets it, unless it is complete; whether it was not."""
        ...

    def done(self, ticket: Ticket) -> UploadDone | None:
        """What came of it, if it is complete."""
        ...

    def unfinished(self, caller: str) -> Sequence[Ticket]:
        """The caller's that are not complete, in any place."""
        ...

    def begun_before(self, place: str, moment: int, limit: int) -> Sequence[Ticket]:
        """The place's that are not complete and were begun before, the oldest first."""
        ...

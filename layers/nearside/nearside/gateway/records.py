"""What the gateway remembers of objects, uploads and buckets, and what it needs of a store of that.

An object has one record, which is changed only by whoever holds its lease: so two writers of one key never mix, and a
copy that comes late finds out that it does. A write first puts down what it intends, so that what a dead process left
half-way is known, and commits by replacing the record in one conditional write (docs/gateway.md).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

type State = Literal["PENDING", "COMPLETED", "FAILED", "ABSENT"]


class Generation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One write of an object, as its client described it.

    `id` is unique and never used again; `made` is in milliseconds since the epoch; `etag` (without quotes) is what S3
    would give: the MD5 of the bytes, or of the parts' MD5s with `-<number of parts>`. `sha256` is in hex, and empty
    when the object is made of parts, each of which has its own. `headers` are the ones that a GET answers with
    (lower-case names: content-type, cache-control, …, x-amz-meta-…), `checksums` the base64 values by algorithm
    (`crc32`, `sha256`, …) with `checksum_type` `FULL_OBJECT` or `COMPOSITE`. `upload` is the id of the multipart upload
    whose parts make the object, empty for one that came whole.
    """

    id: str
    made: int
    size: int
    etag: str
    sha256: str = ""
    headers: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    checksums: Mapping[str, str] = {}
    checksum_type: str = "FULL_OBJECT"
    upload: str = ""


class Copy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a place stands to the record's current generation; ABSENT is what a copy of a deleted object is to become.

    `version` and `etag` are the place's own for what it holds (None: the bucket there has no versions), by which its
    bytes are known again. `doubt`: somebody may have written over it, so it is to be looked at. `attempts` counts the
    tries of the replicator that failed, `why` is what the last one said; `multipart` is the place's upload that a copy
    is under way by.
    """

    state: State = "PENDING"
    version: str | None = None
    etag: str = ""
    doubt: bool = False
    attempts: int = 0
    why: str = ""
    multipart: str = ""


class Lease(msgspec.Struct, frozen=True):
    """Who may change a record, and until when (milliseconds since the epoch)."""

    owner: str
    until: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An object: its `current` generation (None: deleted at `deleted`, or never made), and how each place stands to it.

    `intents` are generations that were begun and not committed: the lease's own, and those of processes that died.
    `staged` says that the parts of the current generation's upload still lie aside, `litter` names uploads whose parts
    are nobody's any more. `due` is when the replicator is to look at it (milliseconds since the epoch; None: there is
    nothing to do).
    """

    bucket: str
    key: str
    current: Generation | None = None
    deleted: int | None = None
    copies: Mapping[str, Copy] = {}
    intents: tuple[Generation, ...] = ()
    staged: bool = False
    litter: tuple[str, ...] = ()
    lease: Lease | None = None
    due: int | None = None

    def holders(self) -> list[str]:
        """The names of the places that have the current generation."""
        return [name for name, copy in self.copies.items() if copy.state == "COMPLETED"]


class Bucket(msgspec.Struct, frozen=True):
    """A bucket of the gateway, and when it was made (milliseconds since the epoch)."""

    name: str
    made: int


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A multipart upload that is under way, or whose parts make an object. `generation` has everything but size, ETag
    and checksums."""

    bucket: str
    key: str
    id: str
    generation: Generation


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of an upload: an object of its own under `staged`, in the places of `copies`. `made` is in milliseconds
    since the epoch, `sha256` in hex (empty when it came straight to a place, and nobody told it), `etag` the MD5 in
    hex."""

    number: int
    size: int
    etag: str
    sha256: str
    made: int
    staged: str
    copies: Mapping[str, Copy]
    checksums: Mapping[str, str] = {}


class StoresRecords(Protocol):
    """Strongly consistent reads and conditional writes of records. Every method raises Unreachable when the store does
    not answer, Refused when it does not let us."""

    def load(self, bucket: str, key: str, *, eventual: bool = False) -> Record | None:
        """The record; `eventual` may give one of a second ago, and costs half."""

    def lease(self, bucket: str, key: str, lease: Lease, now: int, intent: Generation | None = None) -> Record:
        """The record as it was before (an empty one when there was none), which `lease.owner` holds from now on, with
        `intent` put down. The record that is returned has the new lease, and the intents of the dead only. Raises Busy
        when another's lease is not over at `now` (milliseconds since the epoch)."""

    def save(self, record: Record, owner: str) -> None:
        """Replaces the record. With `record.lease` None the lease is given back, else it goes on. A record without
        current, deleted, copies, intents and litter is removed; one of a deleted object that nobody has any more
        expires by itself. Raises LeaseLost unless `owner` holds the lease."""

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Record], bool]:
        """Up to `limit` records of keys that begin with `prefix` and come after `after`, in the order of the keys'
        UTF-8 bytes, deleted ones included; and whether there are more."""

    def due(self, now: int, limit: int) -> Sequence[tuple[str, str]]:
        """Bucket and key of up to `limit` records that are due at `now`, and leases that ended before `now` with their
        work undone."""

    def buckets(self) -> Sequence[Bucket]:
        """All buckets, by name."""

    def bucket(self, name: str) -> Bucket | None:
        """The bucket."""

    def put_bucket(self, bucket: Bucket) -> bool:
        """Adds it; False when there is one of that name."""

    def remove_bucket(self, name: str) -> None:
        """Takes it away, if it is there."""


class StoresUploads(Protocol):
    """Uploads and their parts; errors as of StoresRecords."""

    def begin(self, upload: Upload) -> None:
        """Puts it down."""

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        """The upload, if it is under way."""

    def uploads(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Upload], bool]:
        """Up to `limit` uploads under way of keys that begin with `prefix` and come after `after` (`key` or
        `key` + NUL + `upload id`), by key and id; and whether there are more."""

    def end(self, upload: Upload) -> bool:
        """It is no longer under way; False when it was not any more. Its parts stay."""

    def put_part(self, upload_id: str, part: Part) -> Part | None:
        """Puts the part down; the one of that number before, if any, whose bytes are now nobody's."""

    def parts(self, upload_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Part]:
        """Up to `limit` parts with numbers over `after`, by number."""

    def remove_parts(self, upload_id: str, numbers: Sequence[int]) -> None:
        """Forgets these parts."""


class Stored(msgspec.Struct, frozen=True):
    """What a place says of something it took: its own version id (None: no versions there) and ETag, without quotes."""

    version: str | None
    etag: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a HEAD tells of an object in a place. `generation` is the gateway's own mark in its metadata, if any;
    `headers` are lower-case and have no `x-amz-meta-nearside-generation`."""

    size: int
    etag: str
    version: str | None = None
    generation: str = ""
    modified: float = 0.0
    headers: Mapping[str, str] = {}


class Listed(msgspec.Struct, frozen=True):
    """One object of a place's listing; `modified` is in seconds since the epoch."""

    key: str
    size: int
    etag: str
    modified: float


class Store(Protocol):
    """One place's S3: buckets by the gateway's names, keys as they are.

    Every method raises Unreachable (no answer, 5xx, throttled: `status` 429 or 503 too), Refused, MissingBucket, and
    where an object is named Missing; nothing else says that something is not there.
    """

    def put(self, bucket: str, key: str, body: bytes, generation: Generation) -> Stored:
        """Writes the object with the generation's headers and its id as a mark."""

    def copy(self, bucket: str, key: str, source: tuple[str, str, Copy], generation: Generation) -> Stored:
        """Writes the object from another of the place (bucket, key, and its copy: that version, if its ETag is still
        that one) with the generation's headers and mark. Raises Missing when the source is not that one any more."""

    def get(self, bucket: str, key: str, version: str | None, first: int, last: int) -> tuple[bytes, str]:
        """Bytes `first` to `last` (inclusive, both within the object), and the object's ETag."""

    def whole(self, bucket: str, key: str, version: str | None) -> tuple[bytes, str]:
        """All bytes, and the ETag."""

    def head(self, bucket: str, key: str, version: str | None = None) -> Seen | None:
        """What is there; None when nothing is (404, or a delete marker)."""

    def delete(self, bucket: str, key: str, version: str | None = None) -> None:
        """Removes the object (of a bucket with versions: hides it by a delete marker), or exactly that version. No
        error when it is not there."""

    def presign(
        self, bucket: str, key: str, version: str | None, seconds: int, query: Mapping[str, str], method: str = "GET"
    ) -> str:
        """A URL to GET it from; with another method and a query for it, to PUT a part to."""

    def begin(self, bucket: str, key: str, generation: Generation) -> str:
        """The id of a new multipart upload with the generation's headers and mark."""

    def part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Uploads a part; its ETag."""

    def parts(self, bucket: str, key: str, upload_id: str) -> Mapping[int, tuple[str, int]]:
        """ETag and size of each part that the place has. Raises Missing when there is no such upload."""

    def complete(self, bucket: str, key: str, upload_id: str, etags: Sequence[str]) -> Stored:
        """Makes the object of parts 1 to n."""

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Ends the upload; no error when there is none."""

    def listing(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Listed], bool]:
        """Up to `limit` objects after `after` in the place's order; and whether there are more."""

    def make_bucket(self, bucket: str) -> None:
        """Makes the bucket, with versions where the provider has them; no error when it is ours already."""

    def has_bucket(self, bucket: str) -> bool: ...

    def remove_bucket(self, bucket: str) -> None:
        """Removes it if it is there and holds nothing but old versions and what the gateway put aside. Raises
        BucketNotEmpty."""

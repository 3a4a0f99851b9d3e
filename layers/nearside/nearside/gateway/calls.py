"""What an operation is given: the call, and the parts of the gateway that it may use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nearside.errors import Missing, Refused
from nearside.gateway.access_keys import AccessKey, Action
from nearside.gateway.describing import Conditions, Consistency, Described
from nearside.gateway.places import Places, Promise
from nearside.gateway.reading import Body, told
from nearside.gateway.records import Bucket, Part, Record, Upload
from nearside.gateway.s3_requests import S3Request


class Writes(Protocol):
    """`nearside.gateway.writing.Writer`."""

    def put(
        self, bucket: str, key: str, body: bytes, described: Described, conditions: Conditions, quorum: int | None
    ) -> Record: ...

    def copy(
        self, source: Record, bucket: str, key: str, described: Described, conditions: Conditions, quorum: int | None
    ) -> Record: ...

    def delete(self, bucket: str, key: str, conditions: Conditions) -> Record | None: ...

    def retag(self, bucket: str, key: str, tags: Mapping[str, str]) -> Record: ...


class Reads(Protocol):
    """`nearside.gateway.reading.Reader`."""

    def find(self, bucket: str, key: str, consistency: Consistency = "latest") -> Record: ...

    def read(self, record: Record, first: int, last: int, consistency: Consistency = "latest") -> Body: ...

    def redirect(self, record: Record, query: Mapping[str, str]) -> tuple[str, str]: ...


class TakesUploads(Protocol):
    """`nearside.gateway.uploading.Uploads`."""

    def create(self, bucket: str, key: str, described: Described) -> Upload: ...

    def part(self, upload: Upload, number: int, body: bytes, checksums: Mapping[str, str]) -> Part: ...

    def part_copy(self, upload: Upload, number: int, source: Record, first: int, last: int) -> Part: ...

    def find(self, bucket: str, key: str, upload_id: str) -> Upload: ...

    def parts(self, upload: Upload, after: int, limit: int) -> tuple[Sequence[Part], bool]: ...

    def complete(
        self,
        upload: Upload,
        wanted: Sequence[tuple[int, str]],
        conditions: Conditions,
        quorum: int | None,
        checksums: Mapping[str, str] | None = None,
    ) -> Record: ...

    def abort(self, upload: Upload) -> None: ...

    def list(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Upload], bool]: ...


class KeepsBuckets(Protocol):
    """`nearside.gateway.buckets.Buckets`."""

    def list(self) -> Sequence[Bucket]: ...

    def create(self, name: str) -> None: ...

    def check(self, name: str) -> Bucket: ...

    def delete(self, name: str) -> None: ...


class Page(Protocol):
    """`nearside.gateway.listings.Page`."""

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def prefixes(self) -> Sequence[str]: ...

    @property
    def following(self) -> str | None: ...


class Lists(Protocol):
    """`nearside.gateway.listings.Listings`."""

    def page(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The gateway behind its protocol. `max_body_bytes` is the most that an answer may carry; `region` is what buckets
    say they are in (empty: us-east-1, which S3 does not name)."""

    writer: Writes
    reader: Reads
    uploads: TakesUploads
    buckets: KeepsBuckets
    listings: Lists
    places: Places
    promise: Promise
    max_body_bytes: int
    region: str = ""

    def told(self, record: Record, used: str | None = None) -> dict[str, str]:
        """The gateway's own headers about an object."""
        return told(record, self.places, self.promise, used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose signature was verified; `headers` include those of a presigned URL's query. `body` gives the
    decoded body and the checksums announced for it, verified, and raises what is wrong with it."""

    request: S3Request
    headers: Mapping[str, str]
    access: AccessKey
    body: Callable[[], tuple[bytes, Mapping[str, str]]]

    @property
    def bucket(self) -> str:
        return self.request.bucket

    @property
    def key(self) -> str:
        return self.request.key

    @property
    def parameters(self) -> Mapping[str, str]:
        return self.request.parameters

    def check(self, action: Action) -> None:
        """Raises Refused unless the caller may do it with the key, or the bucket where there is none."""
        self.access.check(action, self.bucket, self.key)

    def check_sees(self) -> None:
        """Raises Refused unless the caller may do anything in the bucket."""
        if not self.access.sees(self.bucket):
            raise Refused(f"{self.access.id} may do nothing in {self.bucket!r}")


def found(core: Core, call: Call, bucket: str, key: str, consistency: Consistency = "latest") -> Record:
    """The object's record, for somebody who may read it. Raises as `missing`."""
    try:
        return core.reader.find(bucket, key, consistency)
    except Missing as error:
        raise missing(core, call, bucket, key, error) from error


def missing(core: Core, call: Call, bucket: str, key: str, error: Missing) -> Missing | Refused:
    """What to say of an object that is not there: Refused to who may not list, as S3 does, so that nobody learns which
    keys exist by trying (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, Permissions). Raises
    MissingBucket when there is no such bucket."""
    if type(error) is not Missing:  # a bucket, or an upload
        return error
    core.buckets.check(bucket)
    if call.access.allows("list", bucket, key):
        return error
    return Refused(
        f"Access Denied: {call.access.id} may not list {bucket!r}, and so is not told whether it has {key!r}"
    )

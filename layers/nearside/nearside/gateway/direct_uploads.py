"""Uploads that do not pass through Lambda: parts go straight to one place, and from there to the others."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from nearside.access import Caller, Policy
from nearside.errors import BadRequest, Missing, MissingBucket, NearsideError
from nearside.gateway.describing import Conditions, new_id
from nearside.gateway.errors import MissingUpload, Unavailable
from nearside.gateway.leases import Leases
from nearside.gateway.places import Places
from nearside.gateway.records import Copy, Generation, Part, Record, Store, Stored, StoresUploads
from nearside.gateway.s3_requests import object_key
from nearside.gateway.writing import Writer
from nearside.sealing import NotOurs, Seal

MAX_BYTES = 5 * 1024**4  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 10_000
PART_BYTES = 16 * 1024**2
URL_SECONDS = 3_600
# Reconcile takes parts that are 7 days old, and of no object, for left over; S3 dates an object by its upload's begin.
OPEN_SECONDS = 6 * 24 * 3600

type Header = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[\x20-\x7e]+$")]
type PartNumber = Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]


class UploadAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that is to be uploaded into a bucket of the gateway: its size in bytes, its headers, and if it is known
    the SHA-256 of its bytes in hex, which is compared when the object is copied to the other places."""

    bucket: Annotated[str, msgspec.Meta(min_length=3, max_length=63)]
    key: Annotated[str, msgspec.Meta(min_length=1)]
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BYTES)]
    content_type: Header | None = None
    cache_control: Header | None = None
    content_disposition: Header | None = None
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")] | None = None

    def __post_init__(self) -> None:
        try:
            object_key(self.key)  # what S3's clients may not write, nobody may
        except BadRequest as error:
            raise ValueError(f"key: {error}") from error

    def headers(self) -> dict[str, str]:
        """As a GET answers them."""
        pairs = {
            "content-type": self.content_type or "application/octet-stream",
            "cache-control": self.cache_control,
            "content-disposition": self.content_disposition,
        }
        return {name: value for name, value in pairs.items() if value is not None}


class UploadBegun(msgspec.Struct, frozen=True):
    """An upload: parts 1 to `parts`, each of `part_bytes` bytes but the last. `id` goes with every further request;
    `place` is where the parts go."""

    id: str
    place: str
    part_bytes: int
    parts: int


class PartsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parts whose URLs are wanted."""

    numbers: Annotated[list[PartNumber], msgspec.Meta(min_length=1, max_length=1_000)]


class PartUrl(msgspec.Struct, frozen=True):
    """Where to PUT a part: `size` bytes, until `expires_at`. Its answer's ETag is wanted at the end."""

    number: int
    url: str
    size: int
    expires_at: datetime


class PartUrls(msgspec.Struct, frozen=True):
    """In the order in which they were asked for."""

    parts: list[PartUrl]


class PartDone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part that the place took, and the ETag that it answered with."""

    number: PartNumber
    etag: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CompleteAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every part, in order."""

    parts: Annotated[list[PartDone], msgspec.Meta(min_length=1, max_length=MAX_PARTS)]


class UploadDone(msgspec.Struct, frozen=True):
    """The object as it can be read from now on. `replication` says how each place stands to it."""

    bucket: str
    key: str
    size: int
    etag: str
    replication: dict[str, str]


class UploadAborted(msgspec.Struct, frozen=True):
    """What is not uploaded after all."""

    bucket: str
    key: str


class _Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload's id says. `upload` is the gateway's own id of it, `multipart` the place's."""

    bucket: str
    key: str
    upload: str
    place: str
    multipart: str
    size: int
    part_bytes: int
    headers: dict[str, str]
    sha256: str

    @property
    def staged(self) -> str:
        return f".nearside/parts/{self.upload}/00001-direct"

    @property
    def begun(self) -> float:
        """In seconds since the epoch: an id begins with the time (`nearside.gateway.describing.new_id`)."""
        return int(self.upload[:12], 16) / 1000


class DirectUploads:
    """Begins, signs, completes and aborts them. Nothing is kept of an upload but its id, which is sealed."""

    def __init__(
        self,
        leases: Leases,
        places: Places,
        writer: Writer,
        uploads: StoresUploads,
        policy: Policy,
        seal: Seal,
    ) -> None:
        self._leases = leases
        self._places = places
        self._writer = writer
        self._uploads = uploads
        self._policy = policy
        self._seal = seal

    def begin(self, asked: UploadAsked, caller: Caller) -> UploadBegun:
        """A new upload, in the first place that answers. Raises Refused, MissingBucket, Unavailable."""
        self._check(caller, asked.bucket, asked.key)
        if self._leases.records.bucket(asked.bucket) is None:
            raise MissingBucket(f"there is no bucket {asked.bucket!r}")
        now = self._leases.clock()
        generation = Generation(id=new_id(now), made=int(now * 1000), size=asked.size, etag="", headers=asked.headers())
        part_bytes = max(PART_BYTES, -(-asked.size // MAX_PARTS))
        said = []
        for name in self._places.in_order(self._places.names):
            staged = f".nearside/parts/{generation.id}/00001-direct"
            try:
                multipart = self._places.ask(name, lambda store: _begun(store, asked.bucket, staged, generation))  # noqa: B023 - called at once
            except NearsideError as error:
                said.append(f"{name}: {error}")
                continue
            ticket = _Ticket(
                bucket=asked.bucket,
                key=asked.key,
                upload=generation.id,
                place=name,
                multipart=multipart,
                size=asked.size,
                part_bytes=part_bytes,
                headers=asked.headers(),
                sha256=asked.sha256 or "",
            )
            sealed = self._seal.sealed(msgspec.json.encode(ticket))
            return UploadBegun(sealed, name, part_bytes, -(-asked.size // part_bytes))
        raise Unavailable(f"no place takes an upload now ({'; '.join(said)})")

    def parts(self, upload_id: str, asked: PartsAsked, caller: Caller) -> PartUrls:
        """A URL for each part. Raises BadRequest for a number beyond the last, Refused, MissingUpload."""
        ticket = self._opened(upload_id, caller)
        count = -(-ticket.size // ticket.part_bytes)
        until = datetime.fromtimestamp(self._leases.clock() + URL_SECONDS, UTC)
        store = self._places[ticket.place].store
        found = []
        for number in asked.numbers:
            if number > count:
                raise BadRequest(f"numbers has {number}: this upload has {count} parts")
            size = min(ticket.part_bytes, ticket.size - (number - 1) * ticket.part_bytes)
            query = {"partNumber": str(number), "uploadId": ticket.multipart}
            url = store.presign(ticket.bucket, ticket.staged, None, URL_SECONDS, query, "PUT")
            found.append(PartUrl(number, url, size, until))
        return PartUrls(found)

    def complete(self, upload_id: str, asked: CompleteAsked, caller: Caller) -> UploadDone:
        """The object, which can be read at once; the replicator takes it to every place. The same again when it is
        asked twice. Raises BadRequest, Refused, MissingUpload, Unavailable."""
        ticket = self._opened(upload_id, caller)
        if [part.number for part in asked.parts] != list(range(1, len(asked.parts) + 1)):
            raise BadRequest("parts must be 1, 2, 3 … in order, each once")
        record = self._leases.records.load(ticket.bucket, ticket.key)
        if record is None or record.current is None or record.current.upload != ticket.upload:
            if record is not None and ticket.upload in record.litter:
                raise MissingUpload("it was completed, and the object has been replaced since")
            if self._leases.clock() > ticket.begun + OPEN_SECONDS:
                raise MissingUpload(f"it was begun over {OPEN_SECONDS // 86_400} days ago: begin again")
            record = self._committed(ticket, self._completed(ticket, [part.etag.strip('"') for part in asked.parts]))
        assert record.current is not None  # for mypy: it was just committed
        states = {name: copy.state for name, copy in record.copies.items()}
        return UploadDone(record.bucket, record.key, record.current.size, record.current.etag, dict(states))

    def abort(self, upload_id: str, caller: Caller) -> UploadAborted:
        """Ends the upload; nothing happens to one that is complete. Raises Refused, MissingUpload, Unreachable."""
        ticket = self._opened(upload_id, caller)
        self._places.ask(ticket.place, lambda store: store.abort(ticket.bucket, ticket.staged, ticket.multipart))
        return UploadAborted(ticket.bucket, ticket.key)

    def _completed(self, ticket: _Ticket, etags: Sequence[str]) -> Stored:
        bucket, staged = ticket.bucket, ticket.staged
        try:
            stored = self._places.ask(ticket.place, lambda s: s.complete(bucket, staged, ticket.multipart, etags))
        except Missing as error:
            seen = self._places.ask(ticket.place, lambda store: store.head(bucket, staged))
            if seen is None:
                raise MissingUpload("there is no such upload any more") from error
            stored = Stored(seen.version, seen.etag)  # completed by an earlier try whose answer was lost
        seen = self._places.ask(ticket.place, lambda store: store.head(bucket, staged, stored.version))
        if seen is None or seen.size != ticket.size:
            self._places.ask(ticket.place, lambda store: store.delete(bucket, staged, stored.version))
            raise BadRequest(f"{seen.size if seen else 0} bytes were uploaded: {ticket.size} were announced")
        return stored

    def _committed(self, ticket: _Ticket, stored: Stored) -> Record:
        now = self._leases.clock()
        part = Part(
            number=1,
            size=ticket.size,
            etag=stored.etag,
            sha256=ticket.sha256,
            made=int(now * 1000),
            staged=ticket.staged,
            copies={ticket.place: Copy(state="COMPLETED", version=stored.version, etag=stored.etag)},
        )
        self._uploads.put_part(ticket.upload, part)
        generation = Generation(
            id=new_id(now),
            made=int(now * 1000),
            size=ticket.size,
            etag=stored.etag,
            headers=ticket.headers,
            upload=ticket.upload,
        )
        return self._writer.commit(ticket.bucket, ticket.key, generation, Conditions())

    def _opened(self, upload_id: str, caller: Caller) -> _Ticket:
        try:
            ticket = msgspec.json.decode(self._seal.opened(upload_id), type=_Ticket)
        except NotOurs as error:
            raise MissingUpload("there is no such upload") from error
        self._check(caller, ticket.bucket, ticket.key)
        if ticket.place not in self._places:
            raise MissingUpload(f"the upload goes to {ticket.place}, which is no place any more: begin again")
        return ticket

    def _check(self, caller: Caller, bucket: str, key: str) -> None:
        """A rule's prefixes begin with the bucket here: `photos/users/a/`."""
        self._policy.check(caller, "write", f"{bucket}/{key}")


def _begun(store: Store, bucket: str, staged: str, generation: Generation) -> str:
    try:
        return store.begin(bucket, staged, generation)
    except MissingBucket:
        store.make_bucket(bucket)
        return store.begin(bucket, staged, generation)

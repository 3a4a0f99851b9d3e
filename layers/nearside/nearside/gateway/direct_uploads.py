"""Uploads that do not pass through Lambda: parts go straight to one place, and from there to the others."""

from collections.abc import Sequence
from datetime import UTC, datetime

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
from nearside.uploads_items import (
    CompleteAsked,
    PartsAsked,
    PartUrl,
    PartUrls,
    UploadAborted,
    UploadAsked,
    UploadBegun,
    UploadDone,
)
from nearside.uploads_sizes import part_bytes_of, part_count, part_size

URL_SECONDS = 3_600
# Reconcile takes parts that are 7 days old, and of no object, for left over; S3 dates an object by its upload's begin.
OPEN_SECONDS = 6 * 24 * 3600


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
        """A new upload, in the first place that answers. Raises BadRequest, Refused, TooLarge, MissingBucket,
        Unavailable."""
        bucket = _bucket_of(asked)
        named = ("size", "content_type")
        self._policy.check_write(caller, f"{bucket}/{asked.key}", asked.size, asked.content_type, named)
        if self._leases.records.bucket(bucket) is None:
            raise MissingBucket(f"there is no bucket {bucket!r}")
        now = self._leases.clock()
        generation = Generation(id=new_id(now), made=int(now * 1000), size=asked.size, etag="", headers=asked.headers())
        part_bytes = part_bytes_of(asked.size)
        said = []
        for name in self._places.in_order(self._places.names):
            staged = f".nearside/parts/{generation.id}/00001-direct"
            try:
                multipart = self._places.ask(name, lambda store: _begun(store, bucket, staged, generation))  # noqa: B023 - called at once
            except NearsideError as error:
                said.append(f"{name}: {error}")
                continue
            ticket = _Ticket(
                bucket=bucket,
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
            count = part_count(asked.size, part_bytes)
            return UploadBegun(id=sealed, kind="multipart", place=name, part_bytes=part_bytes, parts=count)
        raise Unavailable(f"no place takes an upload now ({'; '.join(said)})")

    def parts(self, upload_id: str, asked: PartsAsked, caller: Caller) -> PartUrls:
        """A URL for each part. Raises BadRequest for a number beyond the last, Refused, MissingUpload."""
        ticket = self._opened(upload_id, caller)
        if asked.sha256:
            raise BadRequest("sha256: places that are not AWS may not check it; give the whole's to POST /uploads")
        count = part_count(ticket.size, ticket.part_bytes)
        until = datetime.fromtimestamp(self._leases.clock() + URL_SECONDS, UTC)
        store = self._places[ticket.place].store
        found = []
        for number in asked.numbers:
            if number > count:
                raise BadRequest(f"numbers has {number}: this upload has {count} parts")
            size = part_size(ticket.size, ticket.part_bytes, number)
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
        current = record.current
        return UploadDone(
            bucket=record.bucket, key=record.key, size=current.size, etag=current.etag, replication=dict(states)
        )

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


def _bucket_of(asked: UploadAsked) -> str:
    """The gateway's bucket. Raises BadRequest for what its places cannot do, or what no client of S3's may write."""
    object_key(asked.key)
    for field in ("if_none_match", "place"):
        if getattr(asked, field) is not None:
            raise BadRequest(f"{field} does not go with bucket: it is for uploads to the regions")
    if asked.checksums:
        raise BadRequest("checksums does not go with bucket: give the whole's sha256")
    if asked.size < 1:
        raise BadRequest(f"size is {asked.size}: expected at least 1 with bucket")
    assert asked.bucket is not None  # the handler brings no other
    return asked.bucket


def _begun(store: Store, bucket: str, staged: str, generation: Generation) -> str:
    try:
        return store.begin(bucket, staged, generation)
    except MissingBucket:
        store.make_bucket(bucket)
        return store.begin(bucket, staged, generation)

"""Uploads to the regions: one PUT, or parts that go straight to one region's bucket and are signed on demand."""

import base64
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from nearside import signing
from nearside.access import Caller, Policy
from nearside.errors import (
    BadRequest,
    MissingUpload,
    NearsideError,
    PreconditionFailed,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from nearside.items import Item
from nearside.places import Place, Viewer, nearest_first
from nearside.presign import Presigner
from nearside.uploads_items import (
    CompleteAsked,
    PartDone,
    PartsAsked,
    PartStored,
    PartUrl,
    PartUrls,
    UploadAborted,
    UploadAsked,
    UploadBegun,
    UploadDone,
    Uploads,
    UploadShown,
)
from nearside.uploads_records import OPEN_SECONDS, Completed, KeepsUploads, Ticket, UploadsInPlaces, Wanted
from nearside.uploads_sizes import SINGLE_BYTES, part_bytes_of, part_count
from nearside.uploads_tickets import Tickets, checked, size_of

log = logging.getLogger("nearside")

URL_SECONDS = 3_600
MOST_LISTED = 300  # with the longest of keys and types they fit an answer of Lambda's
NAMED = ("size", "content_type")
# S3 says the key back, and no SDK could read the answer: https://www.w3.org/TR/xml/#charsets.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class RegionUploads:
    """Begins, signs, completes and aborts them. `presigner` signs single PUTs, and knows places, policy and whether
    there is an access point; `prefixes` are the keys that are replicated."""

    def __init__(
        self,
        presigner: Presigner,
        s3: UploadsInPlaces,
        ledger: KeepsUploads,
        tickets: Tickets,
        clock: Callable[[], float],
        prefixes: Sequence[str] = ("",),
    ) -> None:
        self.presigner = presigner
        self._s3 = s3
        self._ledger = ledger
        self.tickets = tickets
        self._clock = clock
        self._prefixes = tuple(prefixes)

    @property
    def policy(self) -> Policy:
        """What callers may write."""
        return self.presigner.policy

    def begin(self, asked: UploadAsked, caller: Caller, viewer: Viewer | None) -> UploadBegun:
        """One PUT for what fits in a part, else a multipart upload in the nearest region that answers. Raises
        BadRequest, PreconditionFailed, Refused, TooLarge, Unavailable."""
        self.policy.check_write(caller, asked.key, asked.size, asked.content_type, NAMED)
        if asked.size <= SINGLE_BYTES:
            return self._single(asked, caller, viewer)
        ticket = self.begin_multipart(
            Wanted(
                key=asked.key,
                headers=asked.headers(),
                size=asked.size,
                sha256=asked.sha256,
                place=asked.place,
                overwrites=asked.if_none_match is None,
                checksums=asked.checksums is not False,
            ),
            caller,
            viewer,
        )
        count = part_count(asked.size, ticket.part_bytes)
        return UploadBegun(
            id=self.tickets.id_of(ticket),
            kind="multipart",
            place=ticket.place,
            part_bytes=ticket.part_bytes,
            parts=count,
        )

    def begin_multipart(self, wanted: Wanted, caller: Caller, viewer: Viewer | None) -> Ticket:
        """An upload in the first place that takes it, and its record there. Whether the caller may is already known.
        Raises BadRequest, Refused, Unavailable."""
        if not caller.trusted and not caller.claims.get("sub"):
            raise Refused("a token without the claim sub says nobody to whom an upload could belong")
        if (unsayable := _NOT_IN_XML.search(wanted.key)) is not None:
            raise BadRequest(
                f"key has {unsayable[0]!r}, with which nothing can be uploaded in parts: S3 answers in XML"
            )
        said = []
        for place in self.in_order(wanted.place, viewer):
            try:
                if not wanted.overwrites and self._s3.find(place, wanted.key) is not None:
                    raise PreconditionFailed(f"there is an object {wanted.key!r} already")  # before all the bytes came
                return self._begun(place, wanted, caller)
            except Unreachable as error:
                said.append(str(error))
        raise Unavailable(f"no region takes an upload now ({'; '.join(said)})")

    def in_order(self, name: str | None, viewer: Viewer | None) -> Sequence[Place]:
        """Where an upload may go, the best first: as a PUT's URL would, but that an access point takes no parts.
        Raises BadRequest for a place that is none."""
        if name is not None:
            return [self.presigner.named(name)]
        places = self.presigner.places
        return nearest_first(places, viewer) if self.presigner.mrap else places[:1]

    def unfinished(self, caller: Caller) -> Uploads:
        """The caller's own, from whatever device. Raises Unreachable, Refused."""
        since = (self._clock() - OPEN_SECONDS) * 1000
        known = {place.name for place in self.presigner.places}
        found = [
            ticket
            for ticket in self._ledger.unfinished(caller.name)
            if ticket.place in known and ticket.begun > since and self.policy.allows(caller, "write", ticket.key)
        ]
        found.sort(key=lambda ticket: ticket.begun, reverse=True)
        return Uploads([self.tickets.described(ticket) for ticket in found[:MOST_LISTED]])

    def show(self, upload_id: str, caller: Caller) -> UploadShown:
        """One, and the parts that are there. Raises MissingUpload, Refused, Unreachable."""
        ticket, place = self.tickets.opened(upload_id, caller)
        done = self._s3.parts(place, ticket.key, ticket.upload)
        return UploadShown(**msgspec.structs.asdict(self.tickets.described(ticket)), done=list(done))

    def parts(self, upload_id: str, asked: PartsAsked, caller: Caller) -> PartUrls:
        """A URL for each part. Raises BadRequest for a number beyond the last or a missing checksum, MissingUpload,
        Refused."""
        ticket, place = self.tickets.opened(upload_id, caller)
        now, credentials = self._clock(), self.presigner.credentials()
        seconds = signing.lifetime_seconds(URL_SECONDS, credentials, now)
        until = datetime.fromtimestamp(int(now) + seconds, UTC)
        signer = signing.V4(credentials, now, place.region)
        urls = []
        for number in asked.numbers:
            size, headers = size_of(ticket, number), checked(ticket, number, asked.sha256)
            # The length is signed and not among the headers: it is the body's, and no page can set it.
            signed = headers if size is None else {**headers, "content-length": str(size)}
            query = {"partNumber": str(number), "uploadId": ticket.upload}
            url = signer.presign("PUT", place.base, ticket.key, seconds, query=query, headers=signed)
            urls.append(PartUrl(number, url, size or 0, until, headers))
        return PartUrls(urls)

    def complete(self, upload_id: str, asked: CompleteAsked, caller: Caller) -> UploadDone:
        """The object, which can be read at once. The same again when it is asked twice. Raises BadRequest,
        PreconditionFailed, TooLarge, MissingUpload, Refused, Unreachable."""
        ticket, place = self.tickets.opened(upload_id, caller)
        if [part.number for part in asked.parts] != list(range(1, len(asked.parts) + 1)):
            raise BadRequest("parts must be 1, 2, 3 … in order, each once")
        try:
            stored = {part.number: part for part in self._s3.parts(place, ticket.key, ticket.upload)}
            size = self._checked_whole(ticket, place, asked, stored, caller)
            parts = [_with_checksum(part, stored[part.number]) for part in asked.parts]
            completed = self._s3.complete(place, ticket.key, ticket.upload, parts, overwrites=ticket.overwrites)
        except (MissingUpload, PreconditionFailed) as error:
            return self._done_before(ticket, place, error)
        return self._finished(ticket, place, completed, size)

    def abort(self, upload_id: str, caller: Caller) -> UploadAborted:
        """Ends the upload. Raises MissingUpload for one that is complete too, Refused, Unreachable."""
        ticket, place = self.tickets.opened(upload_id, caller)
        if not self._end(ticket, place):
            raise MissingUpload("it is complete, so there is nothing to end: delete the object")
        return UploadAborted(place.bucket, ticket.key)

    def _single(self, asked: UploadAsked, caller: Caller, viewer: Viewer | None) -> UploadBegun:
        item = Item(
            key=asked.key,
            method="PUT",
            place=asked.place,
            content_length=asked.size,
            content_type=asked.content_type,
            cache_control=asked.cache_control,
            content_disposition=asked.content_disposition,
            checksum_sha256=base64.b64encode(bytes.fromhex(asked.sha256)).decode() if asked.sha256 else None,
            if_none_match=asked.if_none_match,
        )
        signed = self.presigner.one(item, caller, viewer, self._clock())
        return UploadBegun(
            id="",
            kind="single",
            place=signed.route,
            part_bytes=SINGLE_BYTES,
            parts=1,
            url=signed.url,
            headers={name: value for name, value in signed.headers.items() if name != "content-length"},
            expires_at=signed.expires_at,
        )

    def _begun(self, place: Place, wanted: Wanted, caller: Caller) -> Ticket:
        begun = int(self._clock() * 1000)
        name = f"{begun:012x}{secrets.token_hex(8)}"
        ticket = Ticket(
            name=name,
            caller=caller.name,
            key=wanted.key,
            place=place.name,
            upload=self._s3.begin(place, wanted, name),
            begun=begun,
            size=wanted.size,
            part_bytes=part_bytes_of(wanted.size or 0),
            content_type=wanted.headers.get("content-type", ""),
            overwrites=wanted.overwrites,
            checksums=wanted.checksums,
        )
        try:
            self._ledger.begin(ticket)
        except NearsideError:
            with suppress(NearsideError):  # nobody could find it again; the record may be there all the same
                self._end(ticket, place)
            raise
        return ticket

    def _end(self, ticket: Ticket, place: Place) -> bool:
        """Whether it was not complete."""
        self._s3.abort(place, ticket.key, ticket.upload)
        return self._ledger.drop(ticket)

    def _checked_whole(
        self, ticket: Ticket, place: Place, asked: CompleteAsked, stored: Mapping[int, PartStored], caller: Caller
    ) -> int:
        """The size of what the parts are together. One that is over the policy's limit is ended."""
        for part in asked.parts:
            there = stored.get(part.number)
            if there is None:
                raise BadRequest(f"part {part.number} was not uploaded")
            if there.etag != part.etag.strip('"'):
                raise BadRequest(f"part {part.number} has the ETag {there.etag}, and not {part.etag}")
        size = sum(stored[part.number].size for part in asked.parts)
        if ticket.size is not None and size != ticket.size:
            raise BadRequest(f"{size} bytes were uploaded: {ticket.size} were announced")
        try:
            self.policy.check_write(caller, ticket.key, size, ticket.content_type, NAMED)
        except TooLarge:
            self._end(ticket, place)
            raise
        return size

    def _done_before(self, ticket: Ticket, place: Place, error: NearsideError) -> UploadDone:
        """What an earlier try answered, or would have: the ledger knows, or the object has the upload's name (boto3
        tries again by itself, and is told of the object that it made). Raises the error when there was none."""
        known = self._ledger.done(ticket)
        if known is not None:
            return known
        there = self._s3.find(place, ticket.key)
        if there is None or there.name != ticket.name:
            if isinstance(error, PreconditionFailed):
                raise error
            raise MissingUpload("there is no such upload any more: it was ended, or the object has been replaced since")
        return self._finished(ticket, place, there, there.size)

    def _finished(self, ticket: Ticket, place: Place, completed: Completed, size: int) -> UploadDone:
        elsewhere = "PENDING" if ticket.key.startswith(self._prefixes) else "ABSENT"
        states = {each.name: "COMPLETED" if each == place else elsewhere for each in self.presigner.places}
        done = UploadDone(
            bucket=place.bucket,
            key=ticket.key,
            size=size,
            etag=completed.etag,
            version_id=completed.version_id,
            replication=states,
        )
        try:
            self._ledger.finish(ticket, done)
        except NearsideError as error:  # the object is there, and who asks again is answered from it
            log.warning("an upload to %s is complete, and the ledger does not know: %s", ticket.place, error)
        return done


def _with_checksum(part: PartDone, stored: PartStored) -> PartDone:
    """S3 wants each part's checksum again where it has one."""
    return msgspec.structs.replace(part, etag=stored.etag, sha256=part.sha256 or stored.sha256)

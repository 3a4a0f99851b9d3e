"""An upload's id: everything that is known of it, sealed, so that to go on with it nothing has to be looked up."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from nearside.access import Caller, Policy
from nearside.errors import BadRequest, MissingUpload
from nearside.places import Place
from nearside.sealing import NotOurs, Seal
from nearside.uploads_items import Upload
from nearside.uploads_records import Ticket
from nearside.uploads_sizes import MAX_PARTS, part_count, part_size


class Tickets:
    """Makes ids and reads them."""

    def __init__(self, seal: Seal, places: Sequence[Place], policy: Policy) -> None:
        self._seal = seal
        self._places = {place.name: place for place in places}
        self._policy = policy

    def id_of(self, ticket: Ticket) -> str:
        """What whoever goes on with the upload shows."""
        return self._seal.sealed(msgspec.json.encode(ticket))

    def knows(self, upload_id: str) -> bool:
        """Whether the id is of an upload to the regions."""
        try:
            self._seal.opened(upload_id)
        except NotOurs:
            return False
        return True

    def opened(self, upload_id: str, caller: Caller) -> tuple[Ticket, Place]:
        """What the id says, and its place. Somebody else's upload is none. Raises MissingUpload, Refused."""
        try:
            ticket = msgspec.json.decode(self._seal.opened(upload_id), type=Ticket)
        except NotOurs as error:
            raise MissingUpload("there is no such upload") from error
        if ticket.caller != caller.name:
            raise MissingUpload("there is no such upload")
        self._policy.check(caller, "write", ticket.key)
        place = self._places.get(ticket.place)
        if place is None:
            raise MissingUpload(f"the upload goes to {ticket.place}, which is no place any more: begin again")
        return ticket, place

    def described(self, ticket: Ticket) -> Upload:
        """The upload as it is answered."""
        return Upload(
            id=self.id_of(ticket),
            key=ticket.key,
            size=ticket.size,
            place=ticket.place,
            part_bytes=ticket.part_bytes,
            parts=0 if ticket.size is None else part_count(ticket.size, ticket.part_bytes),
            begun_at=datetime.fromtimestamp(ticket.begun / 1000, UTC),
            content_type=ticket.content_type,
            checksums=ticket.checksums,
        )


def size_of(ticket: Ticket, number: int) -> int | None:
    """The part's bytes; None where nobody said the whole's. Raises BadRequest for a number beyond the last."""
    count = MAX_PARTS if ticket.size is None else part_count(ticket.size, ticket.part_bytes)
    if number > count:
        raise BadRequest(f"numbers has {number}: this upload has {count} parts")
    return None if ticket.size is None else part_size(ticket.size, ticket.part_bytes, number)


def checked(ticket: Ticket, number: int, sums: Mapping[str, str]) -> dict[str, str]:
    """The headers that the part's PUT must have: S3 takes an upload's parts all with a checksum, or all without.
    Raises BadRequest for what does not fit."""
    sha256 = sums.get(str(number))
    if not ticket.checksums:
        if sha256 is not None:
            raise BadRequest("sha256: this upload was begun with checksums=false")
        return {}
    if sha256 is None:
        raise BadRequest(f"sha256 has none for part {number}: give it, or begin the upload with checksums=false")
    return {"x-amz-checksum-sha256": sha256}

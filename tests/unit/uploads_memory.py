"""Regions' buckets and a ledger of uploads in memory, obeying the Protocols, with failures to order."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nearside.access import Caller, Policy
from nearside.errors import BadRequest, MissingUpload, NearsideError, PreconditionFailed
from nearside.places import Mrap, Place
from nearside.presign import Presigner
from nearside.sealing import Seal
from nearside.signing import Credentials
from nearside.uploads import RegionUploads
from nearside.uploads_items import PartDone, PartStored, UploadDone
from nearside.uploads_orphans import Orphans
from nearside.uploads_records import Completed, Ticket, Unfinished, Wanted
from nearside.uploads_tickets import Tickets

EU, US = Place("eu-west-2", "bucket-eu"), Place("us-east-2", "bucket-us")
NOW = 1_795_000_000.0
ANYONE = Caller("anyone", trusted=True)


def caller(sub: str) -> Caller:
    return Caller(sub, trusted=False, claims={"sub": sub})


@dataclass
class Multipart:
    """An upload under way in one bucket."""

    wanted: Wanted
    name: str
    begun: float
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class MemoryS3:
    """Implements `UploadsInPlaces`."""

    now: float = NOW
    down: dict[str, NearsideError] = field(default_factory=dict)
    uploads: dict[str, dict[str, Multipart]] = field(default_factory=lambda: {EU.name: {}, US.name: {}})
    objects: dict[tuple[str, str], Completed] = field(default_factory=dict)
    completions: list[list[PartDone]] = field(default_factory=list)
    lose_answer: NearsideError | None = None
    stuck: dict[str, NearsideError] = field(default_factory=dict)

    def _meet(self, place: Place) -> dict[str, Multipart]:
        if place.name in self.down:
            raise self.down[place.name]
        return self.uploads[place.name]

    def _found(self, place: Place, key: str, upload: str) -> Multipart:
        found = self._meet(place).get(upload)
        if found is None or found.wanted.key != key:
            raise MissingUpload(f"{place.name} answered NoSuchUpload")
        return found

    def begin(self, place: Place, wanted: Wanted, name: str) -> str:
        uploads = self._meet(place)
        upload = f"s3-{place.name}-{len(uploads)}"
        uploads[upload] = Multipart(wanted, name, self.now)
        return upload

    def put(self, place: Place, upload: str, number: int, body: bytes) -> str:
        """A part, as by its URL; its ETag."""
        self.uploads[place.name][upload].parts[number] = body
        return f'"{etag(body)}"'

    def parts(self, place: Place, key: str, upload: str) -> Sequence[PartStored]:
        found = self._found(place, key, upload)
        checksum = sha256 if found.wanted.checksums else lambda body: None
        return [PartStored(n, len(body), etag(body), checksum(body)) for n, body in sorted(found.parts.items())]

    def complete(
        self, place: Place, key: str, upload: str, parts: Sequence[PartDone], *, overwrites: bool
    ) -> Completed:
        found = self._found(place, key, upload)
        if not overwrites and (place.name, key) in self.objects:
            raise PreconditionFailed("there is an object of this key already")
        self.completions.append(list(parts))
        if [part.etag for part in parts] != [etag(found.parts[part.number]) for part in parts]:
            raise BadRequest(f"{place.name} answered InvalidPart")
        body = b"".join(found.parts[part.number] for part in parts)
        done = Completed(f"{etag(body)}-{len(parts)}", "v1", len(body), found.name)
        self.objects[place.name, key] = done
        del self.uploads[place.name][upload]
        if self.lose_answer is not None:
            lost, self.lose_answer = self.lose_answer, None
            raise lost
        return done

    def abort(self, place: Place, key: str, upload: str) -> None:
        if key in self.stuck:
            raise self.stuck[key]
        self._meet(place).pop(upload, None)

    def find(self, place: Place, key: str) -> Completed | None:
        self._meet(place)
        return self.objects.get((place.name, key))

    def unfinished(self, place: Place) -> Iterator[Unfinished]:
        for upload, found in list(self._meet(place).items()):
            yield Unfinished(found.wanted.key, upload, int(found.begun * 1000))


@dataclass
class MemoryLedger:
    """Implements `KeepsUploads`."""

    fails: NearsideError | None = None
    fails_in: str = ""
    kept: dict[str, tuple[Ticket, UploadDone | None]] = field(default_factory=dict)

    def _meet(self, place: str = "") -> None:
        if self.fails is not None and self.fails_in in ("", place):
            raise self.fails

    def begin(self, ticket: Ticket) -> None:
        self._meet(ticket.place)
        self.kept[ticket.name] = (ticket, None)

    def finish(self, ticket: Ticket, done: UploadDone) -> None:
        self._meet(ticket.place)
        self.kept[ticket.name] = (ticket, done)

    def drop(self, ticket: Ticket) -> bool:
        self._meet(ticket.place)
        if self.kept.get(ticket.name, (ticket, None))[1] is not None:
            return False
        self.kept.pop(ticket.name, None)
        return True

    def done(self, ticket: Ticket) -> UploadDone | None:
        self._meet(ticket.place)
        return self.kept.get(ticket.name, (ticket, None))[1]

    def unfinished(self, caller: str) -> Sequence[Ticket]:
        self._meet()
        return [ticket for ticket, done in self.kept.values() if done is None and ticket.caller == caller]

    def begun_before(self, place: str, moment: int, limit: int) -> Sequence[Ticket]:
        self._meet(place)
        open_ = [ticket for ticket, done in self.kept.values() if done is None and ticket.place == place]
        return sorted((t for t in open_ if t.begun < moment), key=lambda t: t.begun)[:limit]


@dataclass
class Uploading:
    """Two regions, their ledger, and the uploads to them."""

    policy: Policy = field(default_factory=Policy)
    mrap: bool = True
    prefixes: tuple[str, ...] = ("",)
    now: float = NOW

    def __post_init__(self) -> None:
        self.s3, self.ledger = MemoryS3(), MemoryLedger()
        presigner = Presigner(
            places=(EU, US),
            mrap=Mrap("abc.mrap") if self.mrap else None,
            credentials=lambda: Credentials("AKIDEXAMPLE", "secret", "token", self.now + 900),
            find=lambda questions: [],
            policy=self.policy,
        )
        tickets = Tickets(Seal(b"k" * 16, "uploads"), (EU, US), self.policy)
        self.uploads = RegionUploads(presigner, self.s3, self.ledger, tickets, lambda: self.now, self.prefixes)

    def orphans(self, looks: int = 10**6) -> Orphans:
        """What ends forgotten ones, with time for so many looks."""
        left = iter([False] * looks)
        return Orphans((EU, US), self.s3, self.ledger, lambda: self.now, lambda: next(left, True))

    def open_in_s3(self) -> list[str]:
        return [upload for place in (EU, US) for upload in self.s3.uploads[place.name]]


def etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def sha256(body: bytes) -> str | None:
    """As S3 keeps it."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()

"""What Uppy's `@uppy/aws-s3` asks: Companion's protocol, and the signatures that its `signRequest` wants.

Companion is its option `companionEndpoint`, which was `endpoint` before 6.0. The names of fields are Uppy's own.
Companion: https://github.com/transloadit/uppy/blob/main/packages/@uppy/companion/src/server/controllers/s3.ts
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from nearside import signing
from nearside.access import Caller
from nearside.errors import BadRequest, Refused
from nearside.items import MAX_KEY_BYTES, MAX_PUT_BYTES, Header, Item
from nearside.listing import asked_as
from nearside.places import Place, Viewer
from nearside.uploads import NAMED, URL_SECONDS, RegionUploads
from nearside.uploads_forms import signed_fields
from nearside.uploads_items import CompleteAsked, PartDone, PartNumber, PartsAsked
from nearside.uploads_records import Wanted
from nearside.uploads_sizes import MAX_PARTS

type ContentType = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^[\x20-\x7e]*$(?!\n)")]

# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
_FILLED_IN = "${filename}"
_TYPE = "application/octet-stream"  # browsers call a type that they do not know ""


class ParamsAsked(msgspec.Struct, frozen=True):
    """A file that fits one request. `metadata[key]` is where it is to go, else its `filename`."""

    filename: str
    type: ContentType = _TYPE


class Form(msgspec.Struct, frozen=True):
    """A form to post to `url`, the file after its fields."""

    method: Literal["POST"]
    url: str
    fields: dict[str, str]
    headers: dict[str, str]
    expires: int


class MultipartAsked(msgspec.Struct, frozen=True):
    """A file in parts. `metadata.key` is where it is to go, else its `filename`."""

    filename: str
    type: ContentType = _TYPE
    metadata: dict[str, Any] = {}

    def named(self, field: str) -> str:
        """What the metadata says of that; empty for nothing. Raises BadRequest for what is no text."""
        text = self.metadata.get(field) or ""
        if not isinstance(text, str):
            raise BadRequest(f"metadata.{field} is {json.dumps(text)[:80]}: expected a text")
        return text


class MultipartCreated(msgspec.Struct, frozen=True):
    """Where it goes, and the upload's id."""

    key: str
    uploadId: str
    bucket: str


class MultipartUrl(msgspec.Struct, frozen=True):
    """Where to PUT a part, for so many seconds."""

    url: str
    expires: int


class MultipartPart(msgspec.Struct, frozen=True):
    """A part that is there."""

    PartNumber: int
    Size: int
    ETag: str


class PartEnded(msgspec.Struct, frozen=True):
    """A part, and the ETag that S3 answered with."""

    PartNumber: PartNumber
    ETag: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class MultipartEnded(msgspec.Struct, frozen=True):
    """Every part, in order."""

    parts: Annotated[list[PartEnded], msgspec.Meta(min_length=1, max_length=10_000)]


class MultipartDone(msgspec.Struct, frozen=True):
    """The object, at its address without a signature."""

    location: str
    bucket: str
    key: str


class MultipartGone(msgspec.Struct, frozen=True):
    """Nothing is left of it."""


class SignAsked(msgspec.Struct, frozen=True):
    """What `signRequest` is given, as it is; with `place` another region than the primary, the same for all requests of
    an upload."""

    method: Literal["GET", "PUT", "POST", "DELETE"]
    key: Annotated[str, msgspec.Meta(min_length=1)]
    uploadId: Header | None = None
    partNumber: PartNumber | None = None
    contentType: Header | None = None
    expiresIn: Annotated[int, msgspec.Meta(ge=1, le=signing.MAX_EXPIRES_SECONDS)] = URL_SECONDS
    place: str | None = None


class Signed(msgspec.Struct, frozen=True):
    """What `signRequest` is to answer."""

    url: str
    headers: dict[str, str]


class Uppy:
    """Each of its requests, by the uploads to the regions."""

    def __init__(self, uploads: RegionUploads) -> None:
        self._uploads = uploads

    def form(self, query: Mapping[str, str], caller: Caller, viewer: Viewer | None, now: float) -> Form:
        """One request for a small file. Raises BadRequest, Refused."""
        # Its metadata comes as one parameter each, by names that nobody knows.
        asked = asked_as(
            {name: value for name, value in query.items() if not name.startswith("metadata[")}, ParamsAsked
        )
        content_type = asked.type or _TYPE
        key = _key_of(query.get("metadata[key]") or asked.filename)
        if _FILLED_IN in key:
            raise BadRequest(
                f"the key has {_FILLED_IN}, for which S3 puts in the file's name: upload it by POST /uploads"
            )
        presigner = self._uploads.presigner
        presigner.policy.check_write(caller, key, 0, content_type, NAMED)
        most = presigner.policy.max_bytes(caller, key, content_type)
        credentials = presigner.credentials()
        place = self._uploads.in_order(query.get("metadata[place]"), viewer)[0]
        seconds = signing.lifetime_seconds(URL_SECONDS, credentials, now)
        most = MAX_PUT_BYTES if most is None else min(most, MAX_PUT_BYTES)
        fields = signed_fields(place, key, content_type, most, credentials, now, seconds)
        scheme, host, path = place.base
        return Form("POST", f"{scheme}://{host}{path}/", fields, {}, seconds)

    def create(self, asked: MultipartAsked, caller: Caller, viewer: Viewer | None) -> MultipartCreated:
        """An upload whose size is not said: the policy's limit is held against what has come, at its end. Raises
        BadRequest, Refused, Unavailable."""
        key = _key_of(asked.named("key") or asked.filename)
        content_type = asked.type or _TYPE
        self._uploads.policy.check_write(caller, key, 0, content_type, NAMED)
        wanted = Wanted(key=key, headers={"content-type": content_type}, place=asked.named("place") or None)
        ticket = self._uploads.begin_multipart(wanted, caller, viewer)
        bucket = self._uploads.presigner.named(ticket.place).bucket
        return MultipartCreated(key, self._uploads.tickets.id_of(ticket), bucket)

    def part(self, upload_id: str, number: str, caller: Caller) -> MultipartUrl:
        """Raises BadRequest, MissingUpload, Refused."""
        if not re.fullmatch("[1-9][0-9]{0,4}", number) or int(number) > MAX_PARTS:
            raise BadRequest(f"the part's number is {number[:20]!r}: expected 1 to {MAX_PARTS}")
        [part] = self._uploads.parts(upload_id, PartsAsked([int(number)]), caller).parts
        return MultipartUrl(part.url, URL_SECONDS)

    def parts(self, upload_id: str, caller: Caller) -> list[MultipartPart]:
        """Raises MissingUpload, Refused, Unreachable."""
        return [MultipartPart(part.number, part.size, part.etag) for part in self._uploads.show(upload_id, caller).done]

    def complete(self, upload_id: str, asked: MultipartEnded, caller: Caller) -> MultipartDone:
        """Raises what `RegionUploads.complete` does."""
        done = CompleteAsked([PartDone(part.PartNumber, part.ETag) for part in asked.parts])
        made = self._uploads.complete(upload_id, done, caller)
        _, place = self._uploads.tickets.opened(upload_id, caller)
        return MultipartDone(_address(place, made.key), made.bucket, made.key)

    def abort(self, upload_id: str, caller: Caller) -> MultipartGone:
        """Raises MissingUpload, Refused, Unreachable."""
        self._uploads.abort(upload_id, caller)
        return MultipartGone()

    def sign(self, asked: SignAsked, caller: Caller, viewer: Viewer | None, now: float) -> Signed:
        """A request straight to S3, which the ledger does not know of. Raises BadRequest, Refused."""
        _key_of(asked.key)
        presigner = self._uploads.presigner
        if asked.method == "PUT" and asked.uploadId is None:
            item = Item(
                key=asked.key,
                method="PUT",
                content_type=asked.contentType,
                expires_in=asked.expiresIn,
                place=asked.place,
            )
            made = presigner.one(item, caller, viewer, now)
            return Signed(made.url, made.headers)
        presigner.policy.check(caller, "write", asked.key)
        if presigner.policy.limits_writes(caller, asked.key):
            raise Refused(f"the policy limits what {caller.name} may write to {asked.key!r}: use companionEndpoint")
        place = presigner.named(asked.place) if asked.place else presigner.places[0]
        credentials = presigner.credentials()
        signer = signing.V4(credentials, now, place.region)
        seconds = signing.lifetime_seconds(asked.expiresIn, credentials, now)
        return Signed(signer.presign(asked.method, place.base, asked.key, seconds, query=_query(asked)), {})


def _query(asked: SignAsked) -> dict[str, str]:
    """What makes the request the operation on a multipart upload that Uppy means."""
    if asked.uploadId is None:
        if asked.method != "POST":
            raise BadRequest(f"uploadId is missing, and method is {asked.method}")
        return {"uploads": ""}
    if (asked.method == "PUT") != (asked.partNumber is not None):
        raise BadRequest(f"partNumber goes with PUT only, and method is {asked.method}")
    query = {"uploadId": asked.uploadId}
    return query if asked.partNumber is None else {**query, "partNumber": str(asked.partNumber)}


def _key_of(key: str) -> str:
    if not 1 <= (size := len(key.encode())) <= MAX_KEY_BYTES:
        raise BadRequest(f"the key has {size} bytes in UTF-8: expected 1 to {MAX_KEY_BYTES}")
    return key


def _address(place: Place, key: str) -> str:
    scheme, host, path = place.base
    return f"{scheme}://{host}{path}/{signing.encoded_path(key)}"

"""Multipart uploads: each part is an object of its own in enough places until the object is put together.

What is written when, so that a process may die anywhere and an object is whole or is not there (docs/gateway.md):

- A part's bytes come before its item. Without an item they are nobody's.
- The parts of an object are listed once more, apart from the upload's (its manifest), and that list never changes: a
  part that comes late replaces its item in the upload, and not in the object. So the manifest comes before the commit.
- An upload is ended at most once, by whoever takes its item away: a completion, under the object's lease and with the
  generation put down as intended, or an abort. So no completed object's bytes are ever removed by an abort, and no
  upload is committed twice. Who dies between the end and the commit has lost the upload; nobody was answered for it.
- An ended upload's items go before its bytes: bytes without items are found to be left over by their age.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from nearside.errors import BadRequest, NearsideError, Unreachable
from nearside.gateway.checksums import computed
from nearside.gateway.completing import check_announced, check_quorum, chosen, etag_of, put_together
from nearside.gateway.describing import Conditions, Described, new_id
from nearside.gateway.errors import InvalidArgument, InvalidPart, MissingUpload
from nearside.gateway.places import Places
from nearside.gateway.reading import Body
from nearside.gateway.records import Generation, Part, Record, StoresRecords, StoresUploads, Upload
from nearside.gateway.staging import Staging

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 10_000
MAX_PART_COPY_BYTES = 64 * 1024**2  # they pass through memory


class Commits(Protocol):
    """`nearside.gateway.writing.Writer`."""

    def commit(self, bucket: str, key: str, generation: Generation, conditions: Conditions) -> Record: ...


class ReadsBytes(Protocol):
    """`nearside.gateway.reading.Reader`."""

    def read(self, record: Record, first: int, last: int) -> Body: ...


class Uploads:
    """Every method raises Unreachable or Refused of the catalog too. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        records: StoresRecords,
        uploads: StoresUploads,
        staging: Staging,
        writer: Commits,
        reader: ReadsBytes,
        places: Places,
        clock: Callable[[], float],
    ) -> None:
        self._records = records
        self._uploads = uploads
        self._staging = staging
        self._writer = writer
        self._reader = reader
        self._places = places
        self._clock = clock

    def create(self, bucket: str, key: str, described: Described) -> Upload:
        """A new upload. The algorithms of the checksums that the object is to have are those of
        `described.checksums`, whose values are empty."""
        now = self._clock()
        upload_id = new_id(now)
        generation = Generation(
            id=upload_id,  # the same, so that an object tells which upload it was
            made=int(now * 1000),
            size=0,
            etag="",
            headers=described.headers,
            tags=described.tags,
            checksums=described.checksums,
            checksum_type=described.checksum_type,
        )
        upload = Upload(bucket=bucket, key=key, id=upload_id, generation=generation)
        self._uploads.begin(upload)
        return upload

    def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        """The upload that is under way, or was completed and still is the object: its generation has an ETag then, and
        it can only be completed again. Raises MissingUpload."""
        upload = self._uploads.upload(bucket, key, upload_id)
        if upload is not None:
            return upload
        record = self._records.load(bucket, key)
        if record is None or record.current is None or record.current.id != upload_id:
            raise _missing(upload_id)
        return Upload(bucket=bucket, key=key, id=upload_id, generation=record.current)

    def part(self, upload: Upload, number: int, body: bytes, checksums: Mapping[str, str]) -> Part:
        """The part that `body` now is, with these checksums (base64 by algorithm, which were compared with it) and
        those that the object is to have.

        Raises InvalidArgument for a number outside 1 to 10,000, Unavailable when no place takes it, MissingUpload when
        the upload was completed or aborted meanwhile.
        """
        if not 1 <= number <= MAX_PARTS:
            raise InvalidArgument(f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive: {number}")
        if _is_completed(upload):
            raise _missing(upload.id)
        wished = {each: computed(each, body) for each in upload.generation.checksums if each not in checksums}
        part = self._staging.put(upload, number, body, {**checksums, **wished})
        # The bytes of one that this replaces stay until they are found to be left over: somebody may be completing the
        # upload with them at this moment, since a client that tries again has the same ETag of both.
        self._uploads.put_part(upload.id, part)
        if self._uploads.upload(upload.bucket, upload.key, upload.id) is None:
            self._check_late(upload, part)
        return part

    def part_copy(self, upload: Upload, number: int, source: Record, first: int, last: int) -> Part:
        """The part that bytes `first` to `last` (inclusive) of the source now are. Raises as `part`; BadRequest for
        more than 64 MiB, InvalidArgument for bytes that the source does not have, Unavailable as Reader.read."""
        size = source.current.size if source.current else 0
        if size and not 0 <= first <= last < size:
            raise InvalidArgument(f"Range specified is not valid for source object of size: {size}")
        if last - first + 1 > MAX_PART_COPY_BYTES:
            raise BadRequest(
                f"a part cannot be copied of {last - first + 1} bytes at once: at most {MAX_PART_COPY_BYTES} (64 MiB); "
                "copy smaller ranges with x-amz-copy-source-range"
            )
        body = self._reader.read(source, first, last).data if size else b""
        return self.part(upload, number, body, {})

    def parts(self, upload: Upload, after: int, limit: int) -> tuple[Sequence[Part], bool]:
        """Up to `limit` parts with numbers over `after`, by number, and whether there are more; of a completed upload
        those that make the object."""
        listed_as = upload.generation.upload if _is_completed(upload) else upload.id
        parts = self._uploads.parts(listed_as, after, limit + 1)
        return parts[:limit], len(parts) > limit

    def list(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Upload], bool]:
        """Up to `limit` uploads under way of keys that begin with `prefix` and come after `after` (`key` or `key` + NUL
        + `upload id`), by key and id; and whether there are more."""
        return self._uploads.uploads(bucket, prefix, after, limit)

    def complete(
        self,
        upload: Upload,
        wanted: Sequence[tuple[int, str]],
        conditions: Conditions,
        quorum: int | None,
        checksums: Mapping[str, str] | None = None,
    ) -> Record:
        """The record of the object that the parts with these numbers and ETags now are; other parts are removed. The
        same answer again for an upload that was completed so and still is the object.

        `checksums` are those of the whole object that the client says, base64 by algorithm. Raises what
        `nearside.gateway.completing` does of the parts, PreconditionFailed or Missing by the conditions, Unavailable
        when fewer than `quorum` places have a part, Busy, MissingUpload.
        """
        if _is_completed(upload):
            return self._again(upload, wanted)
        try:
            parts = chosen(self._uploads.parts(upload.id), wanted)
        except InvalidPart:
            found = self.find(upload.bucket, upload.key, upload.id)  # it may have ended meanwhile
            if _is_completed(found):
                return self._again(found, wanted)
            raise
        check_quorum(parts, self._places, quorum)
        # A list for each try: two that complete the upload at once may want different parts.
        generation = put_together(upload, parts, f"{upload.id}/{secrets.token_hex(4)}", self._clock())
        check_announced(generation, checksums or {})
        self._list(generation.upload, parts)
        try:
            ending = _Ending(under=lambda current: self._end(upload, conditions, current))
            record = self._writer.commit(upload.bucket, upload.key, generation, ending)
        except NearsideError as error:
            record = self._outcome(upload, generation, parts, error)
        self._tidy(upload, record)
        return record

    def abort(self, upload: Upload) -> None:
        """Ends the upload and removes its parts; what cannot be removed now is found to be left over later, as is a
        part that is on its way. Raises MissingUpload when it is not under way."""
        if _is_completed(upload) or not self._uploads.end(upload):
            raise _missing(upload.id)
        parts = self._uploads.parts(upload.id)
        self._uploads.remove_parts(upload.id, [part.number for part in parts])
        self._staging.remove(upload.bucket, parts)

    def _list(self, manifest: str, parts: Sequence[Part]) -> None:
        """Puts the manifest down, all of it or nothing, unless the process dies."""

        def put(part: Part) -> NearsideError | None:
            try:
                self._uploads.put_part(manifest, part)
            except NearsideError as error:
                return error
            return None

        errors = [error for error in self._staging.threads.map(put, parts) if error is not None]
        if errors:
            with suppress(NearsideError):
                self._uploads.remove_parts(manifest, [part.number for part in parts])
            raise errors[0]

    def _end(self, upload: Upload, conditions: Conditions, current: Generation | None) -> None:
        """Done under the object's lease, right before the generation is committed."""
        conditions.check_write(current)
        if not self._uploads.end(upload):
            raise _missing(upload.id)

    def _outcome(self, upload: Upload, generation: Generation, parts: Sequence[Part], error: NearsideError) -> Record:
        """The record when the object is this upload's all the same: somebody else completed it at the same time, or the
        catalog did it and its answer was lost. Raises the error if not."""
        try:
            record = self._records.load(upload.bucket, upload.key)
        except NearsideError:
            raise error from None
        committed = record.current if record else None
        if committed is None or committed.upload != generation.upload:
            if not isinstance(error, Unreachable):  # else it may have been committed, and have been replaced since
                self._uploads.remove_parts(generation.upload, [part.number for part in parts])
            if record is None or committed is None or committed.id != upload.id or committed.etag != generation.etag:
                raise error
        assert record is not None  # for mypy: it has a current generation
        return record

    def _again(self, upload: Upload, wanted: Sequence[tuple[int, str]]) -> Record:
        record = self._records.load(upload.bucket, upload.key)
        etag = _etag_wanted(wanted)
        if record is None or record.current is None or record.current.id != upload.id or record.current.etag != etag:
            raise _missing(upload.id)
        self._tidy(upload, record)  # who answered it first may have died before that
        return record

    def _tidy(self, upload: Upload, record: Record) -> None:
        """Removes the upload's own list of its parts, and the bytes of those that the object is not made of."""
        with suppress(NearsideError):
            listed = self._uploads.parts(upload.id)
            if not listed or record.current is None:
                return
            needed = {part.staged for part in self._uploads.parts(record.current.upload)}
            self._uploads.remove_parts(upload.id, [part.number for part in listed])
            self._staging.remove(upload.bucket, [part for part in listed if part.staged not in needed])

    def _check_late(self, upload: Upload, part: Part) -> None:
        """Removes a part that came after the upload's end, and raises MissingUpload, unless its object has it. Whoever
        ended the upload to complete it had put that down before."""
        record = self._records.load(upload.bucket, upload.key)
        generations = (record.current, *record.intents) if record else ()
        manifests = [each.upload for each in generations if each is not None and each.id == upload.id]
        if any(each.staged == part.staged for manifest in manifests for each in self._uploads.parts(manifest)):
            return
        self._uploads.remove_parts(upload.id, [part.number])
        self._staging.remove(upload.bucket, [part])
        raise _missing(upload.id)


class _Ending(Conditions, frozen=True, kw_only=True):
    """Conditions that are judged under the object's lease by ending its upload."""

    under: Callable[[Generation | None], None]

    def check_write(self, current: Generation | None) -> None:
        self.under(current)


def _is_completed(upload: Upload) -> bool:
    return bool(upload.generation.etag)


def _etag_wanted(wanted: Sequence[tuple[int, str]]) -> str:
    """The ETag of an object of these parts, empty when one of theirs cannot be one."""
    try:
        return etag_of([etag.strip('"') for _, etag in wanted])
    except ValueError:
        return ""


def _missing(upload_id: str) -> MissingUpload:
    return MissingUpload(f"the upload {upload_id!r} does not exist: it may have been aborted or completed")

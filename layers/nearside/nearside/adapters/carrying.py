"""Copying a version from one place to another: by S3 itself, in parts from 512 MB on, or streamed through here."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors
from nearside.adapters.copies import Clients, content_md5, versioned
from nearside.adapters.s3 import error_of
from nearside.adapters.uploads import Uploads, divided
from nearside.copies import Close, Copied, Entry, Unfinished
from nearside.notes import KeepsNotes
from nearside.places import Place

# S3 copies some 50 MB a second within one request, and a Lambda behind API Gateway has 28 s: up to here one request
# does it, above it 8 parts at once, each of which is soon over.
MAX_COPY_BYTES = 512 * 1024**2
PART_BYTES = 128 * 1024**2
PARALLEL = 8
STREAM_PART_BYTES = 32 * 1024**2  # fits in memory
_BY_S3, _STREAMED = "copied by S3", "streamed"
# What S3 answers when the destination is another system, which does not know the source's bucket or cannot copy.
_ELSEWHERE = frozenset(
    {"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotImplemented", "AccessDenied", "InvalidRequest"}
)
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")


class Changed(errors.BadRequest):
    """The destination is no longer as it was looked at."""


class Carrier:
    """Implements `nearside.copies.Carries`. What copies in parts have come to is kept in notes, so that one goes on
    where it stopped; `out_of_time` says when to stop."""

    def __init__(self, clients: Clients, notes: KeepsNotes, out_of_time: Callable[[], bool]) -> None:
        self._clients = clients
        self._uploads = Uploads(clients, notes, out_of_time)

    def copy(
        self, source: Place, destination: Place, key: str, version: Close, over: Entry | None
    ) -> Copied | Unfinished:
        with _translated(destination):
            if self._uploads.how(destination, key, version.version) != _STREAMED:
                try:
                    return self._by_s3(source, destination, key, version, over)
                except ClientError as error:
                    if error.response.get("Error", {}).get("Code") not in _ELSEWHERE:
                        raise
            return self._streamed(source, destination, key, version, over)

    def mark(self, place: Place, key: str, over: Entry | None) -> str:
        condition: dict[str, Any] = {"IfMatch": f'"{over.etag}"'} if over else {}
        with _translated(place):
            answer = self._clients(place).delete_object(Bucket=place.bucket, Key=key, **condition)
        return answer.get("VersionId", "null")

    def undo(self, place: Place, key: str, version: str) -> None:
        self._clients.ask(place, lambda s3: s3.delete_object(**versioned(place, key, version)))

    def abandon(self, place: Place, key: str, version: str) -> None:
        with _translated(place):
            self._uploads.abandon(place, key, version)

    def _by_s3(
        self, source: Place, destination: Place, key: str, version: Close, over: Entry | None
    ) -> Copied | Unfinished:
        """CopyObject, or UploadPartCopy."""
        s3: Any = self._clients(destination)
        named = {"CopySource": _source(source, key, version), "CopySourceIfMatch": f'"{version.etag}"'}
        if version.size <= MAX_COPY_BYTES:
            answer = s3.copy_object(Bucket=destination.bucket, Key=key, **named, **_condition(over))
            return Copied(answer.get("VersionId", "null"), _BY_S3)
        division = divided(_BY_S3, version.size, PART_BYTES, PARALLEL)

        def part(upload: Mapping[str, Any], number: int) -> str:
            answer = s3.upload_part_copy(**upload, PartNumber=number, **named, CopySourceRange=division.span(number))
            return str(answer["CopyPartResult"]["ETag"])

        def kept() -> dict[str, Any]:
            return self._kept(source, key, version)

        return self._uploads.run(destination, key, version.version, division, kept, part, _condition(over))

    def _streamed(
        self, source: Place, destination: Place, key: str, version: Close, over: Entry | None
    ) -> Copied | Unfinished:
        """Read from one place and written to the other, a part at a time."""
        s3: Any = self._clients(destination)
        named = versioned(source, key, version.version)
        if version.size <= STREAM_PART_BYTES:
            body: Any = self._clients.ask(source, lambda there: there.get_object(**named))
            fields = _fields(body, version) | _condition(over) | {"Bucket": destination.bucket, "Key": key}
            data = body["Body"].read()
            answer = s3.put_object(Body=data, ContentMD5=content_md5(data), **fields)
            return Copied(answer.get("VersionId", "null"), _STREAMED)
        division = divided(_STREAMED, version.size, STREAM_PART_BYTES, 1)

        def part(upload: Mapping[str, Any], number: int) -> str:
            span = division.span(number)
            answer: Any = self._clients.ask(source, lambda there: there.get_object(**named, Range=span))
            data = answer["Body"].read()
            return str(s3.upload_part(**upload, PartNumber=number, Body=data, ContentMD5=content_md5(data))["ETag"])

        def kept() -> dict[str, Any]:
            return self._kept(source, key, version)

        return self._uploads.run(destination, key, version.version, division, kept, part, _condition(over))

    def _kept(self, source: Place, key: str, version: Close) -> dict[str, Any]:
        named = versioned(source, key, version.version)
        return _fields(self._clients.ask(source, lambda s3: s3.head_object(**named)), version)


@contextlib.contextmanager
def _translated(place: Place) -> Iterator[None]:
    """Errors of boto3 as this house has them."""
    try:
        yield
    except ClientError as error:
        raise _error(place, error) from error
    except BotoCoreError as error:
        raise errors.Unreachable(f"{place.name} cannot be reached: {error}") from error


def _fields(head: Any, version: Close) -> dict[str, Any]:
    """What belongs to the version beside its bytes: its headers, its metadata and its tags."""
    tagging = {"Tagging": urlencode(version.tags)} if version.tags else {}
    return {name: head[name] for name in _HEADERS if head.get(name)} | tagging


def _source(source: Place, key: str, version: Close) -> dict[str, str]:
    return {"Bucket": source.bucket, "Key": key, "VersionId": version.version}


def _condition(over: Entry | None) -> dict[str, Any]:
    """Only if the destination still is as it was looked at
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html)."""
    return {"IfMatch": f'"{over.etag}"'} if over else {"IfNoneMatch": "*"}


def _error(place: Place, error: ClientError) -> errors.NearsideError:
    code = error.response.get("Error", {}).get("Code", "")
    if code in _CHANGED:
        return Changed(f"{place.name} changed while it was looked at ({code}): ask again")
    return error_of(place.name, error)

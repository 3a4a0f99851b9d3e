"""Multipart uploads that go on where an earlier run stopped: what they have come to is in S3, their ids in notes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from nearside.adapters.copies import Clients
from nearside.copies import Copied, Unfinished
from nearside.notes import KeepsNotes, Note
from nearside.places import Place

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MAX_PARTS = 10_000
_GONE = "NoSuchUpload"


class Division(msgspec.Struct, frozen=True):
    """How a version is divided: parts of `part_bytes`, `parallel` of them at once; `how` is what they are made by."""

    how: str
    size: int
    part_bytes: int
    parallel: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.part_bytes)

    def span(self, number: int) -> str:
        """The part's bytes, as S3 names a range of them."""
        start = (number - 1) * self.part_bytes
        return f"bytes={start}-{min(start + self.part_bytes, self.size) - 1}"


def divided(how: str, size: int, part_bytes: int, parallel: int) -> Division:
    """Parts of that size, or of a larger one where 10,000 of them would not do."""
    return Division(how, size, max(part_bytes, -(-size // _MAX_PARTS)), parallel)


class Uploads:
    """The unfinished uploads of versions. Everything here raises what boto3 raises, and what the notes do."""

    def __init__(self, clients: Clients, notes: KeepsNotes, out_of_time: Callable[[], bool]) -> None:
        self._clients = clients
        self._notes = notes
        self._out_of_time = out_of_time

    def how(self, place: Place, key: str, version: str) -> str:
        """What the parts of the version's unfinished upload are made by; empty: there is none."""
        note = self._notes.read(place.name, _name(key, version))
        return str(note["how"]) if note else ""

    def run(
        self,
        place: Place,
        key: str,
        version: str,
        division: Division,
        kept: Callable[[], Mapping[str, Any]],
        part: Callable[[Mapping[str, Any], int], str],
        condition: Mapping[str, Any],
    ) -> Copied | Unfinished:
        """Goes on with the version's upload, or begins one with what is `kept` of the source: as many parts as there is
        time for; when all are there, the object on that condition. An upload that it cannot be is thrown away."""
        s3: Any = self._clients(place)
        upload = self._upload(place, key, version, division, kept)
        try:
            done = self._sent(s3, upload, division, part)
            if len(done) < division.count:
                return Unfinished(len(done), division.count)
            parts = [{"PartNumber": number, "ETag": done[number]} for number in sorted(done)]
            answer = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
        except ClientError as error:
            # Time-outs, throttling and 5xx say nothing of it: then the next run goes on with it.
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500:
                self.abandon(place, key, version)
            raise
        self._notes.drop(place.name, _name(key, version))
        return Copied(answer.get("VersionId", "null"), f"{division.how} in {division.count} parts")

    def abandon(self, place: Place, key: str, version: str) -> None:
        """Aborts the version's unfinished upload, whose parts cost as long as they lie there, and forgets it."""
        name = _name(key, version)
        note = self._notes.read(place.name, name)
        if note is None:
            return
        try:
            self._clients(place).abort_multipart_upload(Bucket=place.bucket, Key=key, UploadId=str(note["upload"]))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _GONE:
                raise
        self._notes.drop(place.name, name)

    def _upload(
        self, place: Place, key: str, version: str, division: Division, kept: Callable[[], Mapping[str, Any]]
    ) -> dict[str, Any]:
        where: dict[str, Any] = {"Bucket": place.bucket, "Key": key}
        name = _name(key, version)
        note = self._notes.read(place.name, name)
        if note and (note["how"], note["part_bytes"]) == (division.how, division.part_bytes):
            return where | {"UploadId": str(note["upload"])}
        self.abandon(place, key, version)  # its parts are others
        begun = self._clients(place).create_multipart_upload(**where, **kept())
        fields: Note = {"upload": begun["UploadId"], "how": division.how, "part_bytes": division.part_bytes}
        self._notes.write(place.name, name, fields)
        return where | {"UploadId": begun["UploadId"]}

    def _sent(
        self, s3: Any, upload: Mapping[str, Any], division: Division, part: Callable[[Mapping[str, Any], int], str]
    ) -> dict[int, str]:
        """The parts that are there, after as many more as there is time for."""
        done: dict[int, str] = {
            each["PartNumber"]: each["ETag"]
            for page in s3.get_paginator("list_parts").paginate(**upload)
            for each in page.get("Parts", ())
        }
        missing: Sequence[int] = [number for number in range(1, division.count + 1) if number not in done]

        def send(number: int) -> str:
            return "" if self._out_of_time() else part(upload, number)

        with ThreadPoolExecutor(division.parallel, thread_name_prefix="parts") as threads:
            sent = zip(missing, threads.map(send, missing), strict=True)
            return done | {number: etag for number, etag in sent if etag}


def _name(key: str, version: str) -> str:
    """The note's; a key alone may be as long as DynamoDB's sort key can be."""
    return f"upload#{hashlib.sha256(f'{key}\0{version}'.encode()).hexdigest()}"

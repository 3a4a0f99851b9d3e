"""Multipart uploads in one place."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from nearside import signing
from nearside.adapters.place_answers import bare, error_of, number, result, seen, stored, text
from nearside.adapters.place_requests import LONG_SECONDS, Asking, object_headers, xml_text
from nearside.errors import Missing, MissingBucket, Unreachable
from nearside.gateway.records import Generation, Stored

_XML = {"content-type": "application/xml"}


class PlaceUploads(Asking):
    """The uploads of `nearside.gateway.records.Store`."""

    def begin(self, bucket: str, key: str, generation: Generation) -> str:
        """What `Store` says."""
        answer = self._ask.ask("POST", bucket, key, query={"uploads": ""}, headers=object_headers(generation))
        upload_id = text(result(self._ask.name, answer), "UploadId")
        if not upload_id:
            raise Unreachable(f"{self._ask.name} began an upload and gave no id")
        return upload_id

    def part(self, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        """What `Store` says."""
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = self._ask.ask(
            "PUT",
            bucket,
            key,
            query={"partNumber": str(number), "uploadId": upload_id},
            headers={"content-md5": md5},
            body=body,
            payload_hash=signing.UNSIGNED_PAYLOAD,
        )
        return bare(answer.headers.get("etag", ""))

    def parts(self, bucket: str, key: str, upload_id: str) -> Mapping[int, tuple[str, int]]:
        """What `Store` says; none where the provider cannot list them, so that they are uploaded again."""
        found: dict[int, tuple[str, int]] = {}
        if self._ask.facts.list_parts is False:
            return found
        query = {"uploadId": upload_id}
        while True:
            root = result(self._ask.name, self._ask.ask("GET", bucket, key, query=query))
            for each in root.iterfind("{*}Part"):
                found[number(each, "PartNumber")] = bare(text(each, "ETag")), number(each, "Size")
            following = text(root, "NextPartNumberMarker")
            if text(root, "IsTruncated") != "true" or following == query.get("part-number-marker", ""):
                return found
            query["part-number-marker"] = following

    def complete(self, bucket: str, key: str, upload_id: str, etags: Sequence[str]) -> Stored:
        """What `Store` says. An upload that was completed by somebody whose answer was lost is no longer there, and the
        object is: then it is what was to come of these parts."""
        parts = "".join(
            f"<Part><PartNumber>{index}</PartNumber><ETag>{xml_text(f'"{etag}"')}</ETag></Part>"
            for index, etag in enumerate(etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query = {"uploadId": upload_id}
        try:
            answer = self._ask.ask("POST", bucket, key, query=query, headers=_XML, body=body, seconds=LONG_SECONDS)
            root = result(self._ask.name, answer)
        except MissingBucket:
            raise
        except Missing:
            done = self._completed(bucket, key, etags)
            if done is None:
                raise
            return done
        told = stored(answer, self._ask.facts.versions, text(root, "ETag"))
        return told if self._ask.facts.steady_etags else self._settled(bucket, key, told)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """What `Store` says."""
        with suppress(Missing):
            self._ask.ask("DELETE", bucket, key, query={"uploadId": upload_id})

    def _settled(self, bucket: str, key: str, told: Stored) -> Stored:
        """What was told, with the ETag that readers will see: some give the object another when it is done."""
        query = {"versionId": told.version} if told.version else {}
        answer = self._ask("HEAD", bucket, key, query=query)
        if answer.status != 200:
            raise error_of(self._ask.name, answer)
        return Stored(told.version, seen(answer, self._ask.facts.versions).etag)

    def _completed(self, bucket: str, key: str, etags: Sequence[str]) -> Stored | None:
        """The object, if its ETag is the one that S3 makes of these parts': the MD5 of their MD5s."""
        if not all(re.fullmatch(r"[0-9a-f]{32}", etag) for etag in etags):
            return None
        joined = b"".join(bytes.fromhex(etag) for etag in etags)
        answer = self._ask("HEAD", bucket, key)
        if answer.status != 200:
            return None
        there = seen(answer, self._ask.facts.versions)
        expected = f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"
        return Stored(there.version, there.etag) if there.etag == expected else None

"""One place's S3 as the gateway uses it: objects, and with them uploads and buckets."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from nearside import signing
from nearside.adapters.place_answers import Answer, bare, error_of, listed, result, seen, stored, text
from nearside.adapters.place_buckets import PlaceBuckets
from nearside.adapters.place_requests import LONG_SECONDS, object_headers
from nearside.adapters.place_uploads import PlaceUploads
from nearside.errors import Missing, MissingBucket, MissingVersion, Unreachable
from nearside.gateway.records import Copy, Generation, Listed, Seen, Stored

_MD5 = re.compile(r"[0-9a-f]{32}")
_MOST_LISTED = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html


class PlaceStore(PlaceUploads, PlaceBuckets):
    """Implements `nearside.gateway.records.Store`. Thread-safe."""

    def put(self, bucket: str, key: str, body: bytes, generation: Generation) -> Stored:
        """What `Store` says. The place proves that it got the body by Content-MD5 and the SHA-256 of the signature,
        both taken from the generation where they describe this body."""
        own = generation.size == len(body)
        md5 = bytes.fromhex(generation.etag) if own and _MD5.fullmatch(generation.etag) else md5_of(body)
        headers = {**object_headers(generation), "content-md5": base64.b64encode(md5).decode()}
        payload_hash = (generation.sha256 if own else "") or signing.UNSIGNED_PAYLOAD
        answer = self._ask.ask("PUT", bucket, key, headers=headers, body=body, payload_hash=payload_hash)
        return stored(answer, self._ask.facts.versions)

    def copy(self, bucket: str, key: str, source: tuple[str, str, Copy], generation: Generation) -> Stored:
        """What `Store` says (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html)."""
        of, its_key, copy = source
        address = f"/{self._ask.bucket(of)}/{quote(its_key)}"
        if copy.version is not None:
            address += f"?versionId={quote(copy.version, safe='')}"
        headers = {
            **object_headers(generation),
            "x-amz-copy-source": address,
            "x-amz-copy-source-if-match": f'"{copy.etag}"',
            "x-amz-metadata-directive": "REPLACE",
        }
        answer = self._ask("PUT", bucket, key, headers=headers, seconds=LONG_SECONDS)
        if answer.status not in (200, 412):
            raise error_of(self._ask.name, answer)
        etag = bare(text(result(self._ask.name, answer), "ETag")) if answer.status == 200 else ""
        # Where nobody knows whether the condition counts, equal ETags prove that equal bytes were copied.
        unproved = not self._ask.facts.conditional_copies and copy.version is None and _MD5.fullmatch(copy.etag)
        if answer.status == 412 or (unproved and etag != copy.etag):
            raise Missing(f"{its_key!r} is not what it was in {self._ask.name}")
        return stored(answer, self._ask.facts.versions, etag)

    def get(self, bucket: str, key: str, version: str | None, first: int, last: int) -> tuple[bytes, str]:
        """What `Store` says."""
        asked = {"range": f"bytes={first}-{last}"}
        answer = self._got(bucket, key, version, asked)
        data, told = answer.body, answer.headers.get("content-range")
        if told is None:  # some know no ranges
            data = data[first : last + 1]
        elif not told.startswith(f"bytes {first}-{last}/"):  # rclone's status is 200 with it
            raise Unreachable(f"{self._ask.name} gave other bytes than {first} to {last}")
        if len(data) != last - first + 1:
            raise Unreachable(f"{self._ask.name} gave {len(data)} bytes of {last - first + 1}")
        return data, bare(answer.headers.get("etag", ""))

    def whole(self, bucket: str, key: str, version: str | None) -> tuple[bytes, str]:
        """What `Store` says."""
        answer = self._got(bucket, key, version, {})
        return answer.body, bare(answer.headers.get("etag", ""))

    def head(self, bucket: str, key: str, version: str | None = None) -> Seen | None:
        """What `Store` says. A HEAD has no body, so a bucket that is not there looks like an object that is not."""
        answer = self._ask("HEAD", bucket, key, query=self._version(version))
        if answer.status == 404 or _is_marker(answer):
            return None
        if answer.status != 200:
            raise error_of(self._ask.name, answer)
        return seen(answer, self._ask.facts.versions)

    def delete(self, bucket: str, key: str, version: str | None = None) -> None:
        """What `Store` says."""
        try:
            self._ask.ask("DELETE", bucket, key, query=self._version(version))
        except MissingBucket:
            raise
        except Missing:
            pass

    def presign(
        self, bucket: str, key: str, version: str | None, seconds: int, query: Mapping[str, str], method: str = "GET"
    ) -> str:
        """What `Store` says."""
        return self._ask.presign(method, bucket, key, seconds, {**query, **self._version(version)})

    def listing(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Listed], bool]:
        """What `Store` says; at most S3's thousand."""
        query = {"prefix": prefix, "max-keys": str(min(limit, _MOST_LISTED)), "encoding-type": "url"}
        if self._ask.facts.list_v2 is False:
            query |= {"marker": after} if after else {}
        else:
            query |= {"list-type": "2"} | ({"start-after": after} if after else {})
        root = result(self._ask.name, self._ask.ask("GET", bucket, query=query))
        return list(listed(root)), text(root, "IsTruncated") == "true"

    def _got(self, bucket: str, key: str, version: str | None, headers: Mapping[str, str]) -> Answer:
        answer = self._ask("GET", bucket, key, query=self._version(version), headers=headers)
        if _is_marker(answer):
            raise MissingVersion(f"{self._ask.name} has a delete marker for it")
        if answer.status not in (200, 206):
            raise error_of(self._ask.name, answer)
        return answer

    def _version(self, version: str | None) -> dict[str, str]:
        return {"versionId": version} if version is not None and self._ask.facts.versions is not False else {}


def md5_of(body: bytes) -> bytes:
    """The body's MD5, which S3 takes as Content-MD5 to prove that it came whole."""
    return hashlib.md5(body, usedforsecurity=False).digest()


def _is_marker(answer: Answer) -> bool:
    """Whether a delete marker answered: 404, or 405 where its version was asked for
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html)."""
    return answer.status in (404, 405) and answer.headers.get("x-amz-delete-marker") == "true"

"""The buckets of one place."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from nearside.adapters.place_answers import Answer, error_of, key_of, result, text
from nearside.adapters.place_requests import Asking, xml_text
from nearside.errors import Missing, MissingBucket, NearsideError, Refused
from nearside.gateway.errors import BucketNotEmpty

OWN_PREFIX = ".nearside/"
_PAST_OWN = ".nearside/\U0010ffff"
_PAGE = "1000"
_VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_HAS_NO_VERSIONS = (400, 404, 405, 501)

type Entry = tuple[str, str]
"""A key, and one of its versions (empty: the bucket has none)."""


class PlaceBuckets(Asking):
    """The buckets of `nearside.gateway.records.Store`."""

    def has_bucket(self, bucket: str) -> bool:
        """Whether it is there, and ours."""
        answer = self._ask("HEAD", bucket)
        if answer.status not in (200, 404):
            raise error_of(self._ask.name, answer)
        return answer.status == 200

    def make_bucket(self, bucket: str) -> None:
        """What `Store` says. Raises Refused when the name is somebody else's."""
        constrained = self._ask.facts.constrained and self._ask.region != "us-east-1"
        answer = self._made(bucket, constrained=constrained)
        if "LocationConstraint" in answer.error.get("Code", ""):
            answer = self._made(bucket, constrained=not constrained)
        if answer.status != 200:
            code = answer.error.get("Code")
            if answer.status != 409 or code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise error_of(self._ask.name, answer)
            if code == "BucketAlreadyExists":
                self._check_ours(bucket)
        if self._ask.facts.versions is not False and not self._ask.facts.versions_always:
            self._enable_versions(bucket)

    def remove_bucket(self, bucket: str) -> None:
        """What `Store` says."""
        try:
            self._check_empty(bucket)
            self._abort_uploads(bucket)
            self._empty(bucket)
        except MissingBucket:
            return
        answer = self._ask("DELETE", bucket)
        if answer.status == 409:
            raise BucketNotEmpty(f"{bucket} is not empty in {self._ask.name}")
        if answer.status not in (200, 204, 404):
            raise error_of(self._ask.name, answer)

    def _made(self, bucket: str, *, constrained: bool) -> Answer:
        """The answer to CreateBucket: one provider wants to be told the region, and another refuses it."""
        region = f"<LocationConstraint>{xml_text(self._ask.region)}</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{region}</CreateBucketConfiguration>".encode() if constrained else b""
        return self._ask("PUT", bucket, body=body)

    def _check_ours(self, bucket: str) -> None:
        """Some say BucketAlreadyExists of one's own bucket too."""
        if self._ask("HEAD", bucket).status != 200:
            raise Refused(f"{self._ask.name} has a bucket {self._ask.bucket(bucket)!r} already, and it is not ours")

    def _enable_versions(self, bucket: str) -> None:
        headers = {"content-type": "application/xml", "content-md5": _md5(_VERSIONING)}
        answer = self._ask("PUT", bucket, query={"versioning": ""}, headers=headers, body=_VERSIONING)
        if answer.status != 200 and answer.status not in _HAS_NO_VERSIONS:
            raise error_of(self._ask.name, answer)

    def _check_empty(self, bucket: str) -> None:
        """Raises BucketNotEmpty when there is an object that the gateway did not put aside."""
        for after in ("", _PAST_OWN):
            query = {"max-keys": "1", "encoding-type": "url"}
            if self._ask.facts.list_v2 is False:
                query |= {"marker": after} if after else {}
            else:
                query |= {"list-type": "2"} | ({"start-after": after} if after else {})
            root = result(self._ask.name, self._ask.ask("GET", bucket, query=query))
            keys = [key_of(root, each) for each in root.iterfind("{*}Contents")]
            self._check_own(bucket, keys)

    def _check_own(self, bucket: str, keys: Sequence[str]) -> None:
        other = next((key for key in keys if not key.startswith(OWN_PREFIX)), None)
        if other is not None:
            raise BucketNotEmpty(f"{bucket} is not empty in {self._ask.name}: it has {other!r}")

    def _abort_uploads(self, bucket: str) -> None:
        """As far as the provider can list them: what is left over, its own rules clear away."""
        answer = self._ask("GET", bucket, query={"uploads": ""})
        if answer.status != 200:
            return
        for each in result(self._ask.name, answer).iterfind("{*}Upload"):
            self._ask("DELETE", bucket, text(each, "Key"), query={"uploadId": text(each, "UploadId")})

    def _empty(self, bucket: str) -> None:
        """Removes what the gateway put aside, old versions and delete markers."""
        for entries in self._old(bucket) if self._ask.facts.versions is not False else self._put_aside(bucket):
            self._delete(bucket, entries)

    def _old(self, bucket: str) -> Iterator[list[Entry]]:
        """Old versions, page by page: what was yielded is gone by then."""
        query = {"versions": "", "max-keys": _PAGE, "encoding-type": "url"}
        before: list[Entry] = []
        while True:
            answer = self._ask("GET", bucket, query=query)
            if answer.status in (400, 501):
                yield from self._put_aside(bucket)
                return
            root = self._page(answer)
            found = [*root.iterfind("{*}Version"), *root.iterfind("{*}DeleteMarker")]
            latest = [each for each in root.iterfind("{*}Version") if text(each, "IsLatest") == "true"]
            self._check_own(bucket, [key_of(root, each) for each in latest])
            entries = [(key_of(root, each), text(each, "VersionId")) for each in found]
            if not entries or entries == before:
                return
            yield entries
            before = entries

    def _put_aside(self, bucket: str) -> Iterator[list[Entry]]:
        """The gateway's own objects of a bucket without versions, page by page: what was yielded is gone by then."""
        before: list[Entry] = []
        while True:
            query = {"prefix": OWN_PREFIX, "max-keys": _PAGE, "encoding-type": "url"}
            query |= {} if self._ask.facts.list_v2 is False else {"list-type": "2"}
            root = self._page(self._ask("GET", bucket, query=query))
            entries = [(key_of(root, each), "") for each in root.iterfind("{*}Contents")]
            if not entries or entries == before:
                return
            yield entries
            before = entries

    def _page(self, answer: Answer) -> Element:
        if answer.status != 200:
            raise error_of(self._ask.name, answer)
        return result(self._ask.name, answer)

    def _delete(self, bucket: str, entries: Sequence[Entry]) -> None:
        together = [entry for entry in entries if self._ask.facts.delete_objects and entry[0].isprintable()]
        if together:
            objects = "".join(
                f"<Object><Key>{xml_text(key)}</Key>{f'<VersionId>{xml_text(version)}</VersionId>' if version else ''}"
                "</Object>"
                for key, version in together
            )
            body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
            headers = {"content-type": "application/xml", "content-md5": _md5(body)}
            root = result(
                self._ask.name, self._ask.ask("POST", bucket, query={"delete": ""}, headers=headers, body=body)
            )
            for each in root.iterfind("{*}Error"):
                raise NearsideError(f"{self._ask.name} does not delete {text(each, 'Key')!r}: {text(each, 'Code')}")
        for key, version in set(entries) - set(together):
            self._delete_one(bucket, key, version)

    def _delete_one(self, bucket: str, key: str, version: str) -> None:
        try:
            self._ask.ask("DELETE", bucket, key, query={"versionId": version} if version else {})
        except MissingBucket:
            raise
        except Missing:
            pass


def _md5(body: bytes) -> str:
    """Some want it for a body that is XML: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

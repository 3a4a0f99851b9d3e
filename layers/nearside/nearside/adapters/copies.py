"""A close look at single versions, copying them between places, and reading them back, by boto3."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors, signing
from nearside.adapters.s3 import client_of, error_of
from nearside.copies import Close, Encryption, Entry, Sight
from nearside.places import Place
from nearside.replicas import Absent, Denied, Silent
from nearside.s3_events import NULL_VERSION

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READ_SECONDS = 25  # S3 answers a CopyObject when all is copied
_CHECKSUMS = ("SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32")
_CHUNK_BYTES = 1024**2
_MAX_ENTRIES = 5_000


class Clients:
    """A client per place, made anew when the credentials change."""

    def __init__(self, credentials: Callable[[], signing.Credentials]) -> None:
        self._credentials = credentials
        self._clients: dict[Place, tuple[signing.Credentials, S3Client]] = {}

    def __call__(self, place: Place) -> "S3Client":
        """The place's client."""
        credentials = self._credentials()
        known = self._clients.get(place)
        if known is None or known[0] != credentials:
            known = (credentials, client_of(place.region, place.endpoint, credentials, read_seconds=READ_SECONDS))
            self._clients[place] = known
        return known[1]

    def ask[T](self, place: Place, ask: Callable[["S3Client"], T]) -> T:
        """What the place answers. Raises an error of our own tree."""
        try:
            return ask(self(place))
        except ClientError as error:
            raise error_of(place.name, error) from error
        except BotoCoreError as error:
            raise errors.Unreachable(f"{place.name} cannot be reached: {error}") from error


class Looks:
    """Implements `nearside.copies.LooksClosely`, and lists versions as `nearside.copies.ListsVersions`."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def __call__(self, place: Place, key: str, version: str) -> Sight:
        named = versioned(place, key, version)
        try:
            head: Any = self._clients.ask(place, lambda s3: s3.head_object(**named, ChecksumMode="ENABLED"))
        except errors.Missing:
            return Absent()
        except errors.Refused as error:
            return Denied(str(error))
        except errors.NearsideError as error:
            # A HEAD of an object with a customer's key, without that key, is a bare 400; and so are other mistakes,
            # but this one has none (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
            if "answered 400" in str(error):
                return Close(version=version, size=0, etag="", modified=0, encryption="customer")
            return Silent(str(error))
        return Close(
            version=head.get("VersionId", NULL_VERSION),
            size=head["ContentLength"],
            etag=head["ETag"].strip('"'),
            modified=int(head["LastModified"].timestamp() * 1000),
            status=head.get("ReplicationStatus"),
            encryption=_encryption(head),
            checksums=_checksums(head),
            tags=self._tags(place, named) if head.get("TagCount") else {},
        )

    def versions(self, place: Place, key: str) -> Sequence[Entry]:
        """Implements `nearside.copies.ListsVersions`."""
        entries: list[Entry] = []
        more: dict[str, Any] = {}
        while len(entries) < _MAX_ENTRIES:
            page = self._page(place, key, more)
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            entries += [_entry(each) for each in found if each["Key"] == key]
            # Keys come in order, so a longer key with this prefix comes after all of this one's versions.
            if not page.get("IsTruncated") or any(each["Key"] != key for each in found):
                break
            more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        else:  # what is not in a list that was cut is not known to be gone
            raise errors.Unreachable(f"{place.name} has more than {_MAX_ENTRIES} versions of {key!r}")
        return sorted(entries, key=lambda entry: (entry.latest, entry.modified), reverse=True)

    def _page(self, place: Place, key: str, more: Mapping[str, Any]) -> Any:
        return self._clients.ask(place, lambda s3: s3.list_object_versions(Bucket=place.bucket, Prefix=key, **more))

    def _tags(self, place: Place, named: Mapping[str, Any]) -> Mapping[str, str] | None:
        try:
            answer: Any = self._clients.ask(place, lambda s3: s3.get_object_tagging(**named))
        except errors.NearsideError:
            return None
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


class ReadsBack:
    """The SHA-256 of a version as it is read, in hexadecimal; implements `nearside.proof.Digests`."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def __call__(self, place: Place, key: str, version: str) -> str:
        """Raises Missing, Refused or Unreachable."""
        answer: Any = self._clients.ask(place, lambda s3: s3.get_object(**versioned(place, key, version)))
        digest = hashlib.sha256()
        try:
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                digest.update(chunk)
        except BotoCoreError as error:
            raise errors.Unreachable(f"{place.name} broke off: {error}") from error
        return digest.hexdigest()


def versioned(place: Place, key: str, version: str) -> dict[str, Any]:
    """Bucket, key and version as parameters of boto3; `null` is a version's id too, where there are versions."""
    return {"Bucket": place.bucket, "Key": key, "VersionId": version}


def _encryption(head: Any) -> Encryption:
    if head.get("SSECustomerAlgorithm"):
        return "customer"
    named = head.get("ServerSideEncryption", "")
    return "kms" if named.startswith("aws:kms") else "s3" if named else "none"


def _checksums(head: Any) -> dict[str, str]:
    """S3's checksums over the whole object: one over the parts' checksums says nothing of another division."""
    if head.get("ChecksumType") == "COMPOSITE":
        return {}
    found = {name: head.get(f"Checksum{name}") for name in _CHECKSUMS}
    return {name: value for name, value in found.items() if value and "-" not in value}


def _entry(each: Any) -> Entry:
    return Entry(
        version=each["VersionId"],
        modified=int(each["LastModified"].timestamp() * 1000),
        marker="ETag" not in each,
        latest=each["IsLatest"],
        etag=each.get("ETag", "").strip('"'),
        size=each.get("Size", 0),
    )


def content_md5(body: bytes) -> str:
    """The body's Content-MD5, without which S3 takes nothing into a bucket with object lock
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html)."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()

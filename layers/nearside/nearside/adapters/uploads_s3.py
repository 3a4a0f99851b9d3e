"""Multipart uploads to the regions' buckets, by boto3."""

import logging
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from nearside.adapters.copies import Clients
from nearside.adapters.s3 import error_of
from nearside.errors import BadRequest, Missing, MissingBucket, MissingUpload, PreconditionFailed, Unreachable
from nearside.places import Place
from nearside.uploads_items import PartDone, PartStored
from nearside.uploads_records import Completed, Unfinished, Wanted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger("nearside")

# The object's metadata: whose upload it was, and the SHA-256 of its bytes, which S3 has only of the parts.
NAME = "nearside-upload"
SHA256 = "nearside-sha256"

_ARGUMENTS = {
    "content-type": "ContentType",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
}


class UploadsS3:
    """Implements `nearside.uploads_records.UploadsInPlaces`."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def begin(self, place: Place, wanted: Wanted, name: str) -> str:
        """What the Protocol says."""
        more: dict[str, Any] = {_ARGUMENTS[header]: value for header, value in wanted.headers.items()}
        if wanted.checksums:
            # Of the parts' checksums: SHA-256 has no full-object form
            # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
            more["ChecksumAlgorithm"] = "SHA256"
        metadata = {NAME: name} | ({SHA256: wanted.sha256} if wanted.sha256 else {})
        answer = self._ask(
            place,
            lambda s3: s3.create_multipart_upload(Bucket=place.bucket, Key=wanted.key, Metadata=metadata, **more),
        )
        return str(answer["UploadId"])

    def parts(self, place: Place, key: str, upload: str) -> Sequence[PartStored]:
        """What the Protocol says."""
        found: list[PartStored] = []
        more: dict[str, Any] = {}
        while True:
            page = self._ask(
                place,
                lambda s3: s3.list_parts(Bucket=place.bucket, Key=key, UploadId=upload, **more),  # noqa: B023 - called at once
            )
            found += [
                PartStored(each["PartNumber"], each["Size"], each["ETag"].strip('"'), each.get("ChecksumSHA256"))
                for each in page.get("Parts", ())
            ]
            if not page.get("IsTruncated"):
                return found
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def complete(
        self, place: Place, key: str, upload: str, parts: Sequence[PartDone], *, overwrites: bool
    ) -> Completed:
        """What the Protocol says."""
        listed: list[Any] = [
            {"PartNumber": part.number, "ETag": part.etag} | ({"ChecksumSHA256": part.sha256} if part.sha256 else {})
            for part in parts
        ]
        more: dict[str, Any] = {} if overwrites else {"IfNoneMatch": "*"}
        answer = self._ask(
            place,
            lambda s3: s3.complete_multipart_upload(
                Bucket=place.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}, **more
            ),
        )
        return Completed(answer["ETag"].strip('"'), answer.get("VersionId"))

    def abort(self, place: Place, key: str, upload: str) -> None:
        """What the Protocol says."""
        try:
            self._ask(place, lambda s3: s3.abort_multipart_upload(Bucket=place.bucket, Key=key, UploadId=upload))
        except MissingUpload:
            return

    def find(self, place: Place, key: str) -> Completed | None:
        """What the Protocol says."""
        try:
            head = self._ask(place, lambda s3: s3.head_object(Bucket=place.bucket, Key=key))
        except MissingBucket:
            raise
        except Missing:
            return None
        name = head.get("Metadata", {}).get(NAME, "")
        return Completed(head["ETag"].strip('"'), head.get("VersionId"), head["ContentLength"], name)

    def unfinished(self, place: Place) -> Iterator[Unfinished]:
        """What the Protocol says."""
        more: dict[str, Any] = {}
        while True:
            page = self._ask(
                place,
                lambda s3: s3.list_multipart_uploads(Bucket=place.bucket, EncodingType="url", **more),  # noqa: B023 - called at once
            )
            for each in page.get("Uploads", ()):
                begun = int(each["Initiated"].timestamp() * 1000)
                yield Unfinished(urllib.parse.unquote_plus(each["Key"]), each["UploadId"], begun)
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _ask(self, place: Place, ask: Callable[["S3Client"], Any]) -> Any:
        try:
            return ask(self._clients(place))
        except ClientError as error:
            details = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code, said = details.get("Code", ""), details.get("Message", "")
            if status == 412 or code == "ConditionalRequestConflict":
                raise PreconditionFailed("there is an object of this key already") from error
            # InvalidPart, EntityTooSmall, BadDigest …: the client's doing, in words that name nobody.
            if status == 400 and code not in ("ExpiredToken", "InvalidToken", "RequestTimeout"):
                raise BadRequest(f"{place.name} answered {code}: {said}") from error
            raise error_of(place.name, error) from error
        except BotoCoreError as error:
            # With the address in it, which has S3's own id of the upload.
            log.warning("%s cannot be reached: %s", place.name, error)
            raise Unreachable(f"{place.name} cannot be reached") from error

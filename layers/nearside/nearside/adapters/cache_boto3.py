"""Objects in S3 through a boto3 client of the caller's own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import urllib3

from nearside.adapters import cache_addresses
from nearside.adapters.cache_addresses import account_of, endpoint_name, of_s3
from nearside.adapters.cache_answers import SERVED, judged
from nearside.adapters.cache_wire import retry_after
from nearside.caching.errors import BadUri, CorruptDownload, RefusedObject, UnreachableObject
from nearside.caching.sources import Wanted
from nearside.errors import NearsideError, NoCredentials
from nearside.uri import Remote, S3Object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The fields of a parsed answer that are headers, for clients that give no headers, as a stubbed one does.
_FIELDS = {
    "ETag": "etag",
    "ContentLength": "content-length",
    "ContentRange": "content-range",
    "ContentType": "content-type",
    "ContentEncoding": "content-encoding",
    "VersionId": "x-amz-version-id",
    "LastModified": "last-modified",
    "ChecksumCRC32": "x-amz-checksum-crc32",
    "ChecksumCRC32C": "x-amz-checksum-crc32c",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumSHA1": "x-amz-checksum-sha1",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ChecksumType": "x-amz-checksum-type",
}
_NO_CREDENTIALS = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
    "UnauthorizedSSOTokenError", "SSOTokenLoadError", "NoAuthTokenError", "LoginTokenLoadError",
)  # fmt: skip
_BAD_REQUEST = (
    "ParamValidationError", "UnsupportedS3ArnError", "UnsupportedS3AccesspointConfigurationError",
    "InvalidS3AddressingStyleError", "MissingDependencyException",
)  # fmt: skip


class ClientObjects:
    """Reads S3Object through `client`; implements `nearside.caching.sources.FindsSources`. The client's own settings
    hold: endpoint, credentials, retries, proxies. Thread-safe, as boto3's clients are."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client
        self._endpoint = endpoint_name(client.meta.endpoint_url)

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        """As of `S3Places`, so that both share what is cached. Raises NoCredentials when the client's credentials
        cannot be had, which are only asked for without an `account`; BadUri."""
        wanted = _checked(remote)
        account = self._account() if account is None else account
        return ("s3", self._endpoint, account, wanted.bucket, wanted.key, wanted.version_id)

    def shown(self, remote: Remote) -> str:
        """`s3://bucket/key`. Raises BadUri for what is no object of S3."""
        return cache_addresses.shown(remote)

    def sources(self, remote: Remote) -> Sequence["_ClientSource"]:
        """The one source. Raises BadUri for what is no object of S3."""
        return (_ClientSource(self._client, _checked(remote), self._endpoint),)

    def _account(self) -> str:
        import botocore
        import botocore.exceptions

        if self._client.meta.config.signature_version is botocore.UNSIGNED:  # type: ignore[attr-defined]  # set by args
            return "anonymous"
        signer = getattr(self._client, "_request_signer", None)  # boto3 has no public way to a client's credentials
        known = getattr(signer, "_credentials", None)
        if known is None:
            return "anonymous"
        try:
            return account_of(known.get_frozen_credentials().access_key)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:  # the latter of STS
            raise NoCredentials(f"the client's credentials cannot be had ({type(error).__name__})") from None


class _ClientSource:
    """One object through a client; implements `nearside.caching.sources.Source`."""

    def __init__(self, client: "S3Client", remote: S3Object, name: str) -> None:
        self.name = name
        self._client = client
        self._remote = remote

    def open(self, wanted: Wanted) -> "_Body":
        """One get_object, which the client itself may try several times."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            return _Body(self.name, self._client.get_object(**self._parameters(wanted)))
        except ClientError as error:
            return self._answer(error)
        except (BotoCoreError, HTTPClientError) as error:
            raise _error_of(self.name, str(self._remote), error) from None

    def _parameters(self, wanted: Wanted) -> Any:
        given = {
            "Range": wanted.range,
            "IfMatch": wanted.if_match,
            "IfNoneMatch": wanted.if_none_match,
            "VersionId": self._remote.version_id,
        }
        parameters: dict[str, Any] = {name: value for name, value in given.items() if value}
        if wanted.if_modified_since:
            parameters["IfModifiedSince"] = parsedate_to_datetime(wanted.if_modified_since)
        return {"Bucket": self._remote.bucket, "Key": self._remote.key, **parameters}

    def _answer(self, error: Any) -> "_Body":
        """The answer that botocore raises for 304, 412 and 416; raises what all others mean."""
        details, about = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code = str(details.get("Code", ""))
        status = _STATUS.get(code) or about.get("HTTPStatusCode") or (int(code) if code.isdecimal() else 0)
        headers = _lower(about.get("HTTPHeaders", {}))
        if status in SERVED and status >= 300:
            return _Body(self.name, {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}})
        message = str(details.get("Message", ""))
        raise judged(self.name, str(self._remote), status, code, message, retry_after(headers))


_STATUS = {"304": 304, "NotModified": 304, "412": 412, "PreconditionFailed": 412, "416": 416, "InvalidRange": 416,
           "NoSuchKey": 404, "NoSuchBucket": 404, "NoSuchVersion": 404}  # fmt: skip


class _Body:
    """What a client got; implements `nearside.caching.sources.Answer`."""

    def __init__(self, name: str, answer: Any) -> None:
        about = answer.get("ResponseMetadata", {})
        self.headers: Mapping[str, str] = _lower(about.get("HTTPHeaders") or {}) or _from_fields(answer)
        partial = "content-range" in self.headers
        self.status: int = about.get("HTTPStatusCode") or (206 if partial else 200)
        self._name = name
        self._body = answer.get("Body")
        self._ended = self._body is None

    def read_into(self, view: memoryview) -> int:
        """Reads what there is. Raises UnreachableObject when the body is cut, CorruptDownload when the client finds
        that its checksum differs."""
        from botocore.exceptions import BotoCoreError, FlexibleChecksumError, HTTPClientError

        if self._ended:
            return 0
        try:
            size: int = self._body.readinto(view)
        except FlexibleChecksumError:
            raise CorruptDownload(f"{self._name} sent what has another checksum than it said") from None
        except (BotoCoreError, HTTPClientError, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
            raise UnreachableObject(f"{self._name} cut the connection in the middle of the body") from None
        self._ended = size == 0
        return size

    def close(self) -> None:
        """Gives the connection back; a body that was not read to its end costs it."""
        if self._body is not None:
            self._body.close()


def _checked(remote: Remote) -> S3Object:
    wanted = of_s3(remote)
    if not wanted.key:
        raise BadUri(f"{wanted} names no object: the key is empty")
    return wanted


def _lower(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}


def _from_fields(answer: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(answer[field]) for field, name in _FIELDS.items() if field in answer}


def _text(value: Any) -> str:
    return format_datetime(value, usegmt=True) if isinstance(value, datetime) else str(value)


def _error_of(name: str, uri: str, error: Exception) -> NearsideError:
    """What an error of botocore's own means, in words without the URL that botocore's have."""
    kind = {each.__name__ for each in type(error).__mro__}
    if kind & set(_NO_CREDENTIALS):
        return RefusedObject(f"{uri}: the client has no credentials that can be used ({type(error).__name__})")
    if kind & set(_BAD_REQUEST):
        return BadUri(f"{uri} cannot be asked for: {error}")
    return UnreachableObject(f"{name} cannot be reached for {uri} ({type(error).__name__})")

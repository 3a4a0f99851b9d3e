"""Listings by boto3, one client per place, following a bucket to the region it turns out to be in."""

import logging
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors, signing
from nearside.listing import Level, Object
from nearside.places import Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger("nearside")

CONNECT_SECONDS = 2
READ_SECONDS = 8
_MOVED = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "301"})


class Listings:
    """Asks places for pages of a listing; implements `nearside.listing.ListsLevels`."""

    def __init__(self, credentials: Callable[[], signing.Credentials]) -> None:
        self._credentials = credentials
        self._clients: dict[Place, tuple[signing.Credentials, S3Client]] = {}
        self._moved: dict[Place, tuple[str, str]] = {}

    def __call__(self, place: Place, prefix: str, limit: int, token: str | None) -> Level:
        more: dict[str, Any] = {"ContinuationToken": token} if token else {}
        answer = self._asked(
            place,
            lambda s3: s3.list_objects_v2(Bucket=place.bucket, Prefix=prefix, Delimiter="/", MaxKeys=limit, **more),
        )
        return Level(
            folders=[each["Prefix"] for each in answer.get("CommonPrefixes", ())],
            objects=[_object(each) for each in answer.get("Contents", ())],
            token=answer.get("NextContinuationToken"),
        )

    def holds(self, place: Place, key: str) -> Object | None:
        """The object of exactly this key, or None when the place has none; asked as a listing, so that the right to
        list is enough. Raises as a listing does."""
        answer = self._asked(place, lambda s3: s3.list_objects_v2(Bucket=place.bucket, Prefix=key, MaxKeys=1))
        first = next(iter(answer.get("Contents", ())), None)
        return _object(first) if first and first["Key"] == key else None

    def _asked(self, place: Place, ask: Callable[["S3Client"], Any]) -> Any:
        while True:
            try:
                return ask(self._client(place))
            except ClientError as error:
                if not self._follow(place, error):
                    raise error_of(place.name, error) from error
            except BotoCoreError as error:
                raise errors.Unreachable(f"{place.name} cannot be reached: {error}") from error
            except RecursionError as error:
                # botocore asks a bucket that moved for its region, and follows that answer's redirect in turn.
                raise errors.Unreachable(f"{place.name} answered PermanentRedirect and not where to") from error

    def _follow(self, place: Place, error: ClientError) -> bool:
        """Remembers where a bucket is that answered from elsewhere; False when the answer does not tell, or was
        followed already."""
        details: Any = error.response.get("Error", {})
        if details.get("Code") not in _MOVED or place in self._moved:
            return False
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region") or details.get("Region")
        endpoint = ""
        if place.endpoint and (host := details.get("Endpoint")):
            endpoint = f"{place.endpoint.partition('://')[0]}://{host}"
        if not region or (place.endpoint and not endpoint):
            return False
        self._moved[place] = (region, endpoint)
        self._clients.pop(place, None)
        return True

    def _client(self, place: Place) -> "S3Client":
        credentials = self._credentials()
        known = self._clients.get(place)
        if known and known[0] == credentials:
            return known[1]
        region, endpoint = self._moved.get(place, (place.region, place.endpoint))
        client = client_of(region, endpoint, credentials)
        self._clients[place] = (credentials, client)
        return client


def client_of(
    region: str, endpoint: str, credentials: signing.Credentials, *, read_seconds: float | None = None
) -> "S3Client":
    """A client of one place. `endpoint` is empty for AWS."""
    client: S3Client = _session().client(
        "s3",
        region_name=region,
        endpoint_url=endpoint or None,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token or None,
        config=Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds or READ_SECONDS,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path" if endpoint else "auto"},
            # Other providers refuse the checksum headers that boto3 sends since 1.36
            # (https://github.com/boto/boto3/issues/4392).
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return client


@cache
def _session() -> boto3.Session:
    """boto3, reading S3's timestamps by the standard library: dateutil takes more than half of the time of a page of a
    thousand keys."""
    session = botocore.session.Session()
    factory = session.get_component("response_parser_factory")
    factory.set_parser_defaults(timestamp_parser=_moment)
    return boto3.Session(botocore_session=session)


def _moment(text: str) -> datetime:
    """ISO 8601 in a body, RFC 9110's date in a header."""
    return datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)


def error_of(asked: str, error: ClientError) -> errors.NearsideError:
    """What an SDK's error means; `asked` names who answered with it. AWS's own words name roles, buckets and accounts:
    they are for the log, not for whoever asked."""
    details = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = details.get("Code", "")
    said = f"{asked} answered {code or status}"
    if status != 404:
        log.warning("%s to %s: %s", said, error.operation_name, details.get("Message", ""))
    return errors.from_s3(code, status, said)


def _object(each: Any) -> Object:
    return Object(
        key=each["Key"],
        size=each["Size"],
        etag=each["ETag"].strip('"'),
        last_modified=each["LastModified"],
        storage_class=each.get("StorageClass", "STANDARD"),
    )

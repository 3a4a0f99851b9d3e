"""`nearside.Presigner`: the presigning of `POST /presign` for people's own Python code."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from nearside import presign, settings, web
from nearside.access import Caller, Policy
from nearside.adapters import credentials as sources
from nearside.adapters.heads import Heads
from nearside.errors import BadRequest, NearsideError
from nearside.items import DEFAULT_EXPIRES_SECONDS, Failed, Item, Method, Presigned
from nearside.places import Mrap, Place, Viewer
from nearside.signing import Credentials

_CALLER = Caller(name="this process", trusted=True)

_METHODS: Mapping[str, Method] = {
    "get_object": "GET",
    "head_object": "HEAD",
    "put_object": "PUT",
    "upload_part": "PUT",
    "delete_object": "DELETE",
}
_PARAMS = {
    "CacheControl": "cache_control",
    "ChecksumSHA256": "checksum_sha256",
    "ContentDisposition": "content_disposition",
    "ContentLength": "content_length",
    "ContentType": "content_type",
    "IfNoneMatch": "if_none_match",
    "Key": "key",
    "PartNumber": "part_number",
    "ResponseCacheControl": "response_cache_control",
    "ResponseContentDisposition": "response_content_disposition",
    "ResponseContentType": "response_content_type",
    "UploadId": "upload_id",
    "VersionId": "version_id",
}


class Presigner:
    """Gives URLs that lead to the MRAP when every place has the object, else to the nearest place that has it.

        presigner = Presigner(bucket="pics-eu", region="eu-west-2", replicas={"us-east-2": "pics-us"},
                              mrap_alias="mfzwi23gnjvgw.mrap")
        presigner.download_url("images/cat.png")

    `bucket` and `region` are the primary, `replicas` the other regions' buckets. Without `mrap_alias` every URL leads
    to the primary. `credentials` is a function that gives the credentials of the moment; without it botocore's chain
    is used (of `profile`, if given). `endpoint` and `mrap_endpoint` are for S3-compatible services and emulations.

    Thread-safe. Raises BadSettings for a name that cannot be one, NoCredentials when the chain is empty.
    """

    def __init__(
        self,
        *,
        bucket: str,
        region: str,
        replicas: Mapping[str, str] | Sequence[Place] = (),
        mrap_alias: str = "",
        endpoint: str = "",
        mrap_endpoint: str = "",
        credentials: Callable[[], Credentials] | None = None,
        profile: str | None = None,
    ) -> None:
        others = [Place(r, b) for r, b in replicas.items()] if isinstance(replicas, Mapping) else list(replicas)
        checked = settings.load(
            environ={
                "BUCKET": bucket,
                "BUCKET_REGION": region,
                "S3_ENDPOINT": endpoint,
                "REPLICAS": msgspec.json.encode(others).decode(),
                "USE_MRAP": "true" if mrap_alias else "false",
                "MRAP_ALIAS": mrap_alias,
                "MRAP_ENDPOINT": mrap_endpoint,
            }
        )
        self._build(checked, credentials or sources.chain(profile=profile, region=region))

    @classmethod
    def from_settings(cls, wanted: settings.Settings, credentials: Callable[[], Credentials]) -> "Presigner":
        """A presigner for settings that were read already."""
        made = cls.__new__(cls)
        made._build(wanted, credentials)
        return made

    def _build(self, wanted: settings.Settings, credentials: Callable[[], Credentials]) -> None:
        self.places: tuple[Place, ...] = wanted.places
        self.mrap: Mrap | None = wanted.mrap if wanted.use_mrap else None
        self.find = Heads(credentials)
        self._presigner = presign.Presigner(self.places, self.mrap, credentials, self.find, Policy())

    def presign(self, key: str, method: Method = "GET", *, viewer: Viewer | None = None, **options: Any) -> Presigned:
        """One URL with its headers, true expiry, route and reason; `options` are the fields of `nearside.items.Item`.

        Raises BadRequest, Missing, Refused or NoCredentials. With `check=False` no place is asked.
        """
        return self._presigner.one(_item({"key": key, "method": method, **options}), _CALLER, viewer, time.time())

    def batch(
        self, items: Sequence[str | Mapping[str, Any]], *, viewer: Viewer | None = None
    ) -> list[Presigned | Failed]:
        """A URL or a failure for each item (a key, or the fields of `nearside.items.Item`), in order, however
        many."""
        asked = [_item_or_error({"key": item} if isinstance(item, str) else item) for item in items]
        return self._presigner.many(asked, _CALLER, viewer, time.time()).items

    def download_url(self, key: str, **options: Any) -> str:
        """The URL to GET `key` from; as `presign`."""
        return self.presign(key, "GET", **options).url

    def upload_url(self, key: str, **options: Any) -> str:
        """The URL to PUT `key` to; what is given of content_type and the like must be sent as headers with it."""
        return self.presign(key, "PUT", **options).url

    def generate_presigned_url(
        self,
        ClientMethod: str,  # noqa: N803 - boto3's own names: this stands in for its method
        Params: Mapping[str, Any] | None = None,  # noqa: N803 - boto3's
        ExpiresIn: int = DEFAULT_EXPIRES_SECONDS,  # noqa: N803 - boto3's
        HttpMethod: Method | None = None,  # noqa: N803 - boto3's
    ) -> str:
        """boto3's `generate_presigned_url` for get_object, head_object, put_object, upload_part and delete_object, with
        the MRAP's URL instead of the bucket's. Asks no place, as boto3 does not.

        `Params["Bucket"]` must be one of the places' buckets, or the MRAP's alias or ARN, or absent. Raises BadRequest
        for anything that cannot be signed here, so that nothing is dropped silently.
        """
        method = _METHODS.get(ClientMethod)
        if method is None:
            raise BadRequest(f"ClientMethod is {ClientMethod!r}: expected one of {', '.join(_METHODS)}")
        if HttpMethod not in (None, method):
            raise BadRequest(f"HttpMethod is {HttpMethod!r}: {ClientMethod} is a {method}")
        params = dict(Params or {})
        self._check_bucket(params.pop("Bucket", None))
        unknown = [name for name in params if name not in _PARAMS]
        if unknown:
            raise BadRequest(f"Params has {', '.join(unknown)}: expected only Bucket, {', '.join(_PARAMS)}")
        fields = {_PARAMS[name]: value for name, value in params.items()}
        return self.presign(fields.pop("key", ""), method, expires_in=ExpiresIn, check=False, **fields).url

    def _check_bucket(self, bucket: str | None) -> None:
        known = {place.bucket for place in self.places}
        if bucket is None or bucket in known:
            return
        alias = bucket.rpartition("/")[2]
        if self.mrap is None or alias != self.mrap.alias:
            raise BadRequest(f"Bucket is {bucket!r}: expected one of {', '.join(sorted(known))}, or the MRAP")


def _item(fields: Mapping[str, Any]) -> Item:
    return web.decode(msgspec.json.encode(fields), Item)  # as the API reads it, so that its errors are the same


def _item_or_error(fields: Mapping[str, Any]) -> Item | NearsideError:
    try:
        return _item(fields)
    except BadRequest as error:
        return error

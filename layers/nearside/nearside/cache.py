"""S3 objects, web addresses and files as local files and JSON: downloaded once, valid as long as their ETag.

    from nearside.cache import get_json, get_local_path_for_resource

    get_json("s3://bucket/settings.json")
    get_local_path_for_resource("s3://bucket/brain.nii.gz").path

The names and their meanings are those of the package aind-s3-cache 0.1.0 (docs/moving-from-aind-s3-cache.md);
docs/cache.md has the rest. Everything that is raised is an error of `nearside.caching.errors`.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Unpack
from warnings import warn

from nearside import settings
from nearside.caches import CacheManager
from nearside.caching.asking import Patience
from nearside.caching.fetching import Transfer
from nearside.caching.options import Asked
from nearside.caching.resources import LocalizedResource
from nearside.uri import (
    S3Object,
    as_pathlike,
    as_string,
    is_file_path,
    is_s3_uri,
    is_url,
    join_any,
    parse_s3_uri,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = [
    "CacheManager",
    "LocalizedResource",
    "Patience",
    "as_pathlike",
    "as_string",
    "get_bytes",
    "get_json",
    "get_json_s3",
    "get_json_s3_uri",
    "get_json_url",
    "get_local_path_for_resource",
    "get_many",
    "get_text",
    "is_file_path",
    "is_s3_uri",
    "is_url",
    "join_any",
    "parse_s3_uri",
]


def get_local_path_for_resource(
    uri_or_path: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    s3_client: "S3Client | None" = None,
    anonymous: bool = False,
    max_concurrency: int = 8,
    multipart_threshold_bytes: int = 16 * 1024**2,
    **asked: Unpack[Asked],
) -> LocalizedResource:
    """The S3 object or web address as a file in the cache, a local file as it is. A file in the cache is never changed:
    a new version has another path.

    Objects of `multipart_threshold_bytes` are downloaded in parts, `max_concurrency` at a time. Raises what
    `CacheManager.get` raises.
    """
    manager = _manager(cache_dir, s3_client, anonymous, max_concurrency, multipart_threshold_bytes)
    return manager.get(uri_or_path, **asked)


def get_many(
    uris: Iterable[str | os.PathLike[str]],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    s3_client: "S3Client | None" = None,
    anonymous: bool = False,
    progress: bool | None = None,
    return_exceptions: bool = False,
    **asked: Unpack[Asked],
) -> list[Any]:
    """A LocalizedResource for each URI, in their order, many at a time; see `CacheManager.get_many`."""
    manager = _manager(cache_dir, s3_client, anonymous)
    return manager.get_many(uris, progress=progress, return_exceptions=return_exceptions, **asked)


def get_bytes(
    uri_or_path: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    s3_client: "S3Client | None" = None,
    anonymous: bool = False,
    **asked: Unpack[Asked],
) -> bytes:
    """The bytes of an object, web address or file; see `CacheManager.get_bytes`."""
    return _manager(cache_dir, s3_client, anonymous).get_bytes(uri_or_path, **asked)


def get_text(
    uri_or_path: str | os.PathLike[str],
    encoding: str = "utf-8",
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    s3_client: "S3Client | None" = None,
    anonymous: bool = False,
    **asked: Unpack[Asked],
) -> str:
    """The text of an object, web address or file; see `CacheManager.get_text`."""
    return _manager(cache_dir, s3_client, anonymous).get_text(uri_or_path, encoding, **asked)


def get_json(
    uri_or_path: str | os.PathLike[str],
    key: str | None = None,
    s3_client: "S3Client | None" = None,
    anonymous: bool = False,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    any_type: bool = False,
    **asked: Unpack[Asked],
) -> Any:
    """The JSON object (a dict) in an object, web address or file; with `any_type` any JSON value. With `key` the first
    argument is a bucket's name. Raises what `CacheManager.get_json` raises."""
    uri = uri_or_path if key is None else S3Object(os.fspath(uri_or_path), key)
    return _manager(cache_dir, s3_client, anonymous).get_json(str(uri), any_type=any_type, **asked)


def get_json_s3(
    bucket: str,
    key: str,
    s3_client: "S3Client | None" = None,
    anonymous: bool = False,
    anon: bool | None = None,
    **asked: Unpack[Asked],
) -> Any:
    """The JSON object in an object of S3. `anon` is the former name of `anonymous`. Raises what `get_json` raises."""
    if anon is not None:
        warn("anon is the former name of anonymous", DeprecationWarning, stacklevel=2)
        anonymous = anon
    return get_json(bucket, key, s3_client, anonymous, **asked)


def get_json_s3_uri(
    uri: str, s3_client: "S3Client | None" = None, anonymous: bool = False, **asked: Unpack[Asked]
) -> Any:
    """The JSON object at an `s3://` URI. Raises what `get_json` raises, and BadUri for another kind of URI."""
    return get_json_s3(*parse_s3_uri(uri), s3_client=s3_client, anonymous=anonymous, **asked)


def get_json_url(url: str, **asked: Unpack[Asked]) -> Any:
    """The JSON object at a URL. Raises what `get_json` raises."""
    return get_json(url, **asked)


def _manager(
    cache_dir: str | os.PathLike[str] | None,
    s3_client: "S3Client | None",
    anonymous: bool,
    max_concurrency: int = Transfer().workers,
    parallel_over: int = Transfer().parallel_over,
) -> CacheManager:
    """One manager for all calls that ask for the same while the environment says the same, so that connections stay
    open."""
    folder = None if cache_dir is None else os.fspath(cache_dir)
    return _shared(folder, s3_client, anonymous, max_concurrency, parallel_over, settings.cache())


@lru_cache(maxsize=32)
def _shared(
    cache_dir: str | None,
    s3_client: "S3Client | None",
    anonymous: bool,
    max_concurrency: int,
    parallel_over: int,
    _environment: settings.CacheSettings,
) -> CacheManager:
    return CacheManager(
        cache_dir,
        max_concurrency=max_concurrency,
        parallel_over=parallel_over,
        s3_client=s3_client,
        anonymous=anonymous,
    )

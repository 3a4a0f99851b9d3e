"""moto's S3 behind a narrow door: buckets and versions, read and changed without HTTP.

moto's backends are global to the process, and so is this module's state: `reset()` empties both.
"""

import copy
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree

from moto.core.base_backend import BackendDict
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3control.models import MultiRegionAccessPoint, S3ControlBackend, s3control_backends
from moto.sts.models import AssumedRole, sts_backends

from local.operations import Address

ACCOUNT = "123456789012"  # moto's own

type Version = FakeKey | FakeDeleteMarker

# Guards moto's read-modify-write of one bucket's versions against requests and replicas that arrive at once.
_locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
# The keys of each bucket in order as of its last listing, and those that were written since.
_names: dict[str, list[str]] = {}
_stale: defaultdict[str, set[str]] = defaultdict(set)


@dataclass(frozen=True, slots=True)
class Change:
    """One version that a request added to a key or took away from it."""

    key: str
    version: Version
    added: bool


def reset() -> None:
    """Forget every bucket, object, table, queue and session in this process."""
    BackendDict.reset()
    s3_backends.bucket_accounts.clear()
    _locks.clear()
    _names.clear()
    _stale.clear()


def backend() -> S3Backend:
    """moto's S3, which knows nothing of regions: every bucket is in it."""
    return s3_backends[ACCOUNT]["aws"]


def find_bucket(name: str) -> FakeBucket | None:
    """The bucket, or None."""
    return backend().buckets.get(name)


def create_bucket(name: str, region: str) -> FakeBucket:
    """A new bucket with versioning enabled."""
    bucket = backend().create_bucket(name, region)
    bucket.versioning_status = "Enabled"
    return bucket


def write(bucket: str, key: str, body: bytes, content_type: str, age: timedelta = timedelta()) -> FakeKey:
    """Store an object as if it had been there for `age`: no event, no replication."""
    with changing(bucket, [key]):
        version = backend().put_object(bucket, key, body)
        version.set_metadata({"content-type": content_type})
        version.last_modified -= age
    return version


def create_mrap(name: str, alias: str, buckets: dict[str, str]) -> MultiRegionAccessPoint:
    """A Multi-Region Access Point over the buckets (by region), READY at once.

    moto makes aliases with a hyphen and gives every bucket the client's region: both are put right here.
    """
    regions = [{"Bucket": bucket} for bucket in buckets.values()]
    control: S3ControlBackend = s3control_backends[ACCOUNT]["aws"]
    control.create_multi_region_access_point(ACCOUNT, name, {}, regions, "us-west-2")
    mrap = control.get_multi_region_access_point(ACCOUNT, name)
    mrap.alias = alias
    mrap.regions = [
        {"Bucket": bucket, "Region": region, "BucketAccountId": ACCOUNT} for region, bucket in buckets.items()
    ]
    return mrap


def assumed_role(access_key_id: str) -> AssumedRole | None:
    """The role session with this key, when the world's STS issued it."""
    return sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(access_key_id)


@contextmanager
def changing(bucket: str, keys: Iterable[str]) -> Iterator[list[Change]]:
    """Hold the bucket for a change of these keys; the list is filled with what changed when the block ends."""
    changes: list[Change] = []
    with _locks[bucket]:
        before = {key: list(_versions(bucket, key)) for key in keys}
        yield changes
        _stale[bucket].update(before)
        for key, old in before.items():
            new = _versions(bucket, key)
            changes += [Change(key, version, added=True) for version in new if version not in old]
            changes += [Change(key, version, added=False) for version in old if version not in new]


def has_version(bucket: str, version: Version) -> bool:
    """Whether the bucket still holds this version."""
    return version in _versions(bucket, version.name)


def insert_replica(version: Version, bucket: str) -> bool:
    """Put a copy with the same version id, time, ETag and metadata in another bucket; False when it is there already.

    A key's versions are kept in the order of their times, so that both sides agree on the current one.
    """
    target = find_bucket(bucket)
    if target is None:
        return False
    with _locks[bucket]:
        present = _versions(bucket, version.name)
        if any(other.version_id == version.version_id for other in present):
            return False
        replica = _copy(version, bucket)
        target.keys.setlist(version.name, sorted([*present, replica], key=_modified))
        _stale[bucket].add(version.name)
    return True


def add_delete_marker(bucket: str, key: str) -> FakeDeleteMarker | None:
    """The marker that S3 writes for a key that does not exist, where moto writes none; None when it is not needed."""
    target = find_bucket(bucket)
    if target is None or not target.is_versioned or key in target.keys:
        return None
    nothing = FakeKey(key, b"", ACCOUNT, target.region_name, bucket_name=bucket)
    marker = FakeDeleteMarker(nothing)
    target.keys[key] = marker
    return marker


def current_marker(where: Address, version_id: str) -> FakeDeleteMarker | None:
    """The delete marker that hides the key, or that the version id names; None when there is none."""
    found = _versions(where.bucket, where.key)
    if version_id:
        found = [version for version in found if version.version_id == version_id]
    return found[-1] if found and isinstance(found[-1], FakeDeleteMarker) else None


def current_object(bucket: str, key: str) -> FakeKey | None:
    """The current version of the key, or None when there is none or a delete marker hides it."""
    versions = _versions(bucket, key)
    return versions[-1] if versions and isinstance(versions[-1], FakeKey) else None


def find_object(bucket: str, key: str, version_id: str = "") -> FakeKey | None:
    """The version of the key with this id, or the current one; None when there is none or it is a delete marker."""
    if not version_id:
        return current_object(bucket, key)
    found = (version for version in _versions(bucket, key) if version.version_id == version_id)
    return next((version for version in found if isinstance(version, FakeKey)), None)


def sorted_names(bucket: str) -> list[str]:
    """The keys that have a current object, in order. The list is not to be changed: others may be reading it."""
    with _locks[bucket]:
        names = _names.get(bucket)
        stale = _stale.pop(bucket, set())
        if names is None or len(stale) > len(names) // 8:
            found = find_bucket(bucket)
            names = sorted(key for key in (found.keys if found else ()) if current_object(bucket, key))
        elif stale:
            names = names.copy()
            for key in stale:
                _place(names, key, present=current_object(bucket, key) is not None)
        _names[bucket] = names
        return names


def all_versions(bucket: str) -> Iterator[Version]:
    """Every version and delete marker of the bucket as it is now, by key, each key's oldest first."""
    found = find_bucket(bucket)
    with _locks[bucket]:
        versions = [version for key in (found.keys if found else ()) for version in _versions(bucket, key)]
    return iter(versions)


def versions(bucket: str, key: str) -> list[Version]:
    """The key's versions and delete markers in the bucket, oldest first."""
    return list(_versions(bucket, key))


def keys_to_delete(body: bytes) -> list[str]:
    """The keys that a DeleteObjects request names. Raises ValueError when it is not such a request."""
    try:
        keys = [element.text or "" for element in ElementTree.fromstring(body).iterfind("{*}Object/{*}Key")]
    except ElementTree.ParseError as error:
        raise ValueError("not XML") from error
    if not keys:
        raise ValueError("no keys")
    return keys


def version_time(version: Version) -> datetime:
    """When the version was written, in UTC without a zone, as moto keeps it."""
    modified: datetime = version.last_modified
    return modified


def _versions(bucket: str, key: str) -> list[Version]:
    found = find_bucket(bucket)
    versions: list[Version] = found.keys.getlist(key, []) if found else []
    return versions


def _place(names: list[str], key: str, *, present: bool) -> None:
    position = bisect_left(names, key)
    found = position < len(names) and names[position] == key
    if present and not found:
        names.insert(position, key)
    elif found and not present:
        del names[position]


def _modified(version: Version) -> tuple[datetime, str]:
    return version_time(version), version.version_id


def _copy(version: Version, bucket: str) -> Version:
    replica = copy.copy(version)  # FakeKey's pickling hooks give the copy a buffer and a lock of its own
    if isinstance(replica, FakeKey) and isinstance(version, FakeKey):
        replica.bucket_name = bucket
        replica._metadata = copy.deepcopy(version._metadata)
        backend().tagger.copy_tags(version.arn, replica.arn)
    return replica

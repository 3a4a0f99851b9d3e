"""Why a repair would not leave all places alike: a new version must be kept, and carried to every other place."""

from collections.abc import Mapping, Sequence

from nearside.mended import Target
from nearside.places import Place
from nearside.replication_rules import Bucket, Buckets, Unknown


def to_a_copy(buckets: Buckets, places: Sequence[Place], target: Target, tags: Mapping[str, str]) -> str:
    """What stands in the way of a copy with these tags, in words; empty: nothing does."""
    there = buckets[target.place.name]
    if not isinstance(there, Bucket) or there.versioning != "enabled":
        return _unfit(there, target.place)
    for other in places:
        if other != target.place and there.matching(other, target.key, tags) is None:
            return (
                f"a copy is a new version, and no enabled rule carries it from {target.place.name} to {other.name}: "
                "put such a rule, or use S3 Batch Replication, which keeps the version's id"
            )
    return ""


def to_a_deletion(buckets: Buckets, showing: Sequence[Place], target: Target) -> str:
    """What stands in the way of a delete marker, in words; empty: nothing does. `showing` are the places that still
    show the object: where it is deleted already, nothing has to be carried. A rule with tags carries no markers
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/delete-marker-replication.html)."""
    there = buckets[target.place.name]
    if not isinstance(there, Bucket) or there.versioning != "enabled":
        return _unfit(there, target.place)
    for other in showing:
        rule = there.matching(other, target.key, {})
        if other != target.place and (rule is None or not rule.delete_markers):
            return f"no enabled rule carries a delete marker from {target.place.name} to {other.name}: put such a rule"
    return ""


def _unfit(there: Bucket | Unknown, place: Place) -> str:
    if isinstance(there, Bucket):
        return f"versioning of {place.bucket} is {there.versioning}: a repair would overwrite for good; enable it first"
    return f"the settings of {place.name} are not known: {there.why}"

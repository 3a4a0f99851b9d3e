"""What a bucket's own settings say about replication: versioning, and which rule carries which key where.

The configuration is S3's version 2: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from nearside.places import Place

type Versioning = Literal["enabled", "suspended", "never enabled", "no such bucket"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a bucket's replication configuration. `destination` is a bucket's name; `tags` must all be on the
    object; `kms` says that objects encrypted with KMS keys are replicated too."""

    id: str
    destination: str
    enabled: bool = True
    priority: int = 0
    prefix: str = ""
    tags: Mapping[str, str] = {}
    delete_markers: bool = False
    replica_modifications: bool = False
    time_control: bool = False
    metrics: bool = False
    kms: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is about every object of the bucket."""
        return not self.prefix and not self.tags

    def covers(self, other: "Rule") -> bool:
        """Whether its filter lets everything through that the other's does."""
        return other.prefix.startswith(self.prefix) and self.tags.items() <= other.tags.items()

    def fits(self, key: str, tags: Mapping[str, str] | None) -> bool:
        """Whether its filter lets the object through. `tags` None: not known, and then taken to fit."""
        return key.startswith(self.prefix) and (
            tags is None or all(tags.get(name) == value for name, value in self.tags.items())
        )


class Bucket(msgspec.Struct, frozen=True):
    """A place's bucket as its own settings describe it."""

    versioning: Versioning
    rules: Sequence[Rule] = ()

    def to(self, destination: Place) -> list[Rule]:
        """The rules that lead to the place's bucket, highest priority first."""
        leading = [rule for rule in self.rules if rule.destination == destination.bucket]
        return sorted(leading, key=lambda rule: -rule.priority)

    def matching(self, destination: Place, key: str, tags: Mapping[str, str] | None = None) -> Rule | None:
        """The rule that carries the key to the place: of the enabled ones whose filter fits, the one with the highest
        priority; None when there is none."""
        return next((rule for rule in self.to(destination) if rule.enabled and rule.fits(key, tags)), None)


class Unknown(msgspec.Struct, frozen=True):
    """A place that cannot be asked, or does not say; `why` in words."""

    why: str


type Buckets = Mapping[str, Bucket | Unknown]
"""What is known of each place's bucket, by the place's name."""


class ReadsBuckets(Protocol):
    """Asks places for their buckets' versioning and replication configuration, in parallel. Every place is in the
    answer."""

    def __call__(self, places: Sequence[Place]) -> Buckets: ...


def pairs(places: Sequence[Place]) -> Iterable[tuple[Place, Place]]:
    """Every way that a version may have to go, from one place to another."""
    return ((source, destination) for source in places for destination in places if source != destination)

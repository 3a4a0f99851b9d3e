"""What the rules between two buckets make of the verdict on replication: what they leave behind, and what is off."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from nearside.places import Place
from nearside.replication_rules import Bucket, Rule


class Reason(msgspec.Struct, frozen=True):
    """Why the verdict is what it is, in words, and what to do. A `note` does not change the verdict."""

    verdict: Literal["behind", "broken", "note"]
    what: str
    fix: str


class Meant(msgspec.Struct, frozen=True):
    """What the settings say of replication, and so what the catalog counts on: whether delete markers travel, which
    keys do, and how late a version may be."""

    markers_travel: bool
    prefixes: Sequence[str]
    target_seconds: int


def of_way(source: Place, destination: Place, bucket: Bucket, meant: Meant) -> Iterator[Reason]:
    """What the rules from one place to another mean."""
    way = f"from {source.name} to {destination.name}"
    rules = bucket.to(destination)
    on = [rule for rule in rules if rule.enabled]
    off = [rule for rule in rules if not rule.enabled and not any(other.covers(rule) for other in on)]
    if not rules:
        yield _stays(
            source,
            f"there is no replication rule {way}: what",
            f"put a rule with the destination {destination.bucket} on {source.bucket}",
        )
    for rule in off:
        what = "what" if rule.whole else f"what is {_part(rule)} and"
        yield _stays(source, f"the rule {rule.id} {way} is disabled: {what}", "enable it")
    for rule in on:
        yield from _of_rule(way, rule, meant.markers_travel)
    if on:
        yield from _of_reach(source, way, on, off, meant.prefixes)


def _stays(source: Place, what: str, fix: str) -> Reason:
    return Reason(
        "broken",
        f"{what} is written in {source.name} stays there",
        f"{fix} (PutBucketReplication), then repair what was written meanwhile: it has no replication status, "
        "and only a repair or Batch Replication carries it",
    )


def _of_reach(
    source: Place, way: str, on: Sequence[Rule], off: Sequence[Rule], prefixes: Sequence[str]
) -> Iterator[Reason]:
    """Where the enabled rules carry less than the settings say, or more. What a disabled rule keeps back is said."""
    setting = "the template's ReplicatedPrefixes (REPLICATED_PREFIXES)"
    parts = ", ".join(sorted(_part(rule) for rule in on))
    for prefix in prefixes:
        if not any(rule.covers(Rule(id="", destination="", prefix=prefix)) for rule in (*on, *off)):
            what = f"not everything under {prefix!r}" if prefix else "only a part of the bucket"
            yield Reason(
                "broken",
                f"{what} is replicated {way}, but {parts}: the rest stays in {source.name}, and is awaited elsewhere",
                f"widen the rules, or set {setting} to what they are about",
            )
    for rule in on:
        if not rule.prefix.startswith(tuple(prefixes)):
            yield Reason(
                "behind",
                f"the rule {rule.id} {way} carries {_part(rule) or 'the whole bucket'}, and the catalog awaits only "
                f"{', '.join(map(repr, prefixes))}: whether the rest arrives is not known",
                f"add its prefix to {setting}, or narrow the rule",
            )


def _part(rule: Rule) -> str:
    tags = " ".join(f"{name}={value}" for name, value in rule.tags.items())
    return " and ".join(part for part in (rule.prefix and f"under {rule.prefix!r}", tags and f"tagged {tags}") if part)


def _of_rule(way: str, rule: Rule, markers_travel: bool) -> Iterator[Reason]:
    named = f"the rule {rule.id} {way}"
    if markers_travel and not rule.delete_markers and not rule.tags:
        yield Reason(
            "broken",
            f"{named} does not replicate delete markers: what is deleted on one side stays on the other",
            "enable DeleteMarkerReplication, or set REPLICATES_DELETE_MARKERS to false if that is meant",
        )
    if not rule.replica_modifications:
        yield Reason(
            "note",
            f"{named} does not replicate changes to replicas: tags and ACLs set on a replica stay there",
            "enable SourceSelectionCriteria.ReplicaModifications on both buckets",
        )
    if not rule.metrics:
        yield Reason(
            "note",
            f"{named} has no replication metrics: S3 sends no event when an object fails, so failures show only when "
            "they are overdue",
            "enable Metrics in the rule's destination",
        )
    if not rule.time_control:
        yield Reason(
            "note",
            f"{named} has no Replication Time Control: S3 promises no time, and sends no event for a late object",
            "enable ReplicationTime (15 minutes) if the price is worth it",
        )

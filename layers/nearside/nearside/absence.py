"""Why a version is not in a place where it should be, in words, and what to do about it."""

from collections.abc import Mapping

import msgspec

from nearside.catalog import Replica
from nearside.copies import Close, Sight
from nearside.failure_reasons import Cause, cause
from nearside.places import Place
from nearside.replicas import Absent, Denied, Silent
from nearside.replication_rules import Bucket, Rule, Unknown


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One version that is not (known to be) in `destination`. `record` is the catalog's, `source_sight` what the source
    says of its own copy now, `sight` what the destination says; `source` is None when no place has it."""

    key: str
    marker: bool
    source: Place | None
    destination: Place
    record: Replica | None
    source_bucket: Bucket | Unknown
    bucket: Bucket | Unknown
    source_sight: Sight | None = None
    sight: Sight | None = None
    age_seconds: float = 0.0
    target_seconds: int = 900

    @property
    def tags(self) -> Mapping[str, str] | None:
        """The object's tags, if they could be read."""
        return self.source_sight.tags if isinstance(self.source_sight, Close) else None

    @property
    def rule(self) -> Rule | None:
        """The rule that carries it."""
        if isinstance(self.source_bucket, Unknown):
            return None
        return self.source_bucket.matching(self.destination, self.key, self.tags)


_COPY = "POST /replication/repair with this key copies it now"
_BATCH = "S3 Batch Replication carries it with its version id; POST /replication/repair with this key copies it now"


def why(case: Case) -> Cause:
    """The cause, the likeliest first: what is certain (it is there, it was removed, S3 said why it failed), then what
    stands in the way, then how far it is."""
    if isinstance(case.sight, Close):
        return Cause(
            f"it is in {case.destination.name}; the catalog has not heard of it (yet)",
            "nothing: the event is late or was lost, and the monitor looks for it when it is overdue",
        )
    if case.record is not None and case.record.state == "ABSENT":
        return _absent(case, case.record)
    if case.source is None:
        return Cause("no place has it any more", "nothing can be copied; the monitor takes it off the list")
    return _in_the_way(case) or _told(case) or _on_its_way(case)


def _absent(case: Case, record: Replica) -> Cause:
    """Whether it was there and was deleted, or never came."""
    if record.withdrawn and case.source is not None:
        return Cause(
            "nothing of this key is awaited here: REPLICATED_PREFIXES does not have its prefix",
            "nothing, if that is meant; else add it, and put a rule that carries it",
        )
    if record.withdrawn:
        return Cause("it was on its way when the last place that had it deleted it", "nothing is missing")
    if not record.sequencer.strip("0"):  # a repair's, before every event of S3's
        return Cause(
            f"it never came to {case.destination.name}: a repair put an equal copy there as a newer version, or a "
            "newer version or a deletion stood",
            "GET /api/operations/log with this key says which",
        )
    return Cause(
        f"it was deleted in {case.destination.name} for good; S3 does not replicate the deletion of a version",
        "nothing, if that was meant; else write the object again",
    )


def _told(case: Case) -> Cause | None:
    """What S3 said when it failed."""
    if case.record is not None and case.record.state == "FAILED":
        return cause(case.record.reason or "")
    return None


def _in_the_way(case: Case) -> Cause | None:
    """What keeps S3 from replicating it, by the settings of both buckets. A failure that S3 explained wins over a rule
    that has been changed since, but not over one that is missing."""
    assert case.source is not None
    source, destination = case.source, case.destination
    failed = _told(case)
    for place, bucket in ((source, case.source_bucket), (destination, case.bucket)):
        if isinstance(bucket, Bucket) and bucket.versioning != "enabled":
            state = "suspended" if bucket.versioning == "suspended" else "not enabled"
            return Cause(
                f"versioning of {place.bucket} in {place.name} is {state}: S3 does not replicate",
                f"enable it with PutBucketVersioning; then {_COPY}",
            )
    if isinstance(case.source_bucket, Unknown):
        return failed or Cause(
            f"the rules of {source.name} cannot be read: {case.source_bucket.why}",
            "grant s3:GetReplicationConfiguration, or wait until the place answers",
        )
    rules = case.source_bucket.to(destination)
    if not rules:
        return Cause(
            f"no rule leads from {source.name} to {destination.name}",
            f"put one on {source.bucket}; then {_BATCH}",
        )
    rule = case.rule
    if rule is None:
        return failed or _uncovered(case, rules)
    if case.marker and not rule.delete_markers:
        return Cause(
            f"the rule {rule.id} does not replicate delete markers",
            f"enable DeleteMarkerReplication in it; delete the object in {destination.name} too",
        )
    return failed or _unselected(case, rule)


def _uncovered(case: Case, rules: list[Rule]) -> Cause:
    fitting = [rule for rule in rules if rule.fits(case.key, case.tags)]
    if fitting:
        return Cause(f"the rule {fitting[0].id} is disabled", f"enable it; then {_BATCH}")
    by_tags = [rule for rule in rules if rule.fits(case.key, None)]
    if by_tags:
        wanted = ", ".join(f"{name}={value}" for name, value in by_tags[0].tags.items())
        return Cause(
            f"no rule covers this object: {by_tags[0].id} wants the tags {wanted}",
            f"tag the object when it is written (later does not count), or widen the rule; then {_BATCH}",
        )
    prefixes = ", ".join(sorted({repr(rule.prefix) for rule in rules}))
    return Cause(f"no rule covers this key: the rules are for {prefixes}", f"widen a rule; then {_BATCH}")


def _unselected(case: Case, rule: Rule) -> Cause | None:
    """Encryption that the rule does not select
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html)."""
    if not isinstance(case.source_sight, Close):
        return None
    if case.source_sight.encryption == "kms" and not rule.kms:
        return Cause(
            f"it is encrypted with a KMS key, and the rule {rule.id} does not select such objects",
            f"enable SourceSelectionCriteria.SseKmsEncryptedObjects and name a key for the destination; then {_BATCH}",
        )
    if case.source_sight.encryption == "customer":
        return Cause(
            "it is encrypted with a customer's own key (SSE-C), which nobody but its owner can read",
            f"write it to {case.destination.name} with the same key",
        )
    return None


def _on_its_way(case: Case) -> Cause:
    """What the source's own status says
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html)."""
    assert case.source is not None
    source, sight = case.source, case.source_sight
    if isinstance(sight, Denied | Silent):
        return Cause(f"{source.name} does not say how far it is: {sight.why}", "ask again when the place answers")
    if isinstance(sight, Absent):
        return Cause(f"it is gone from {source.name}, so nothing can be carried", "the monitor takes it off the list")
    status = sight.status if isinstance(sight, Close) else "PENDING"
    match status:
        case "FAILED":
            return Cause("S3 could not replicate it, and no event said why", f"enable the rule's metrics; {_COPY}")
        case "REPLICA":
            return Cause(
                f"the copy in {source.name} is itself a replica, and S3 does not replicate a replica of a replica",
                f"every bucket needs a rule to every other; {_COPY}",
            )
        case "COMPLETED" | "COMPLETE":
            return Cause(
                f"S3 says that it replicated it, and {case.destination.name} does not have it: it was deleted there, "
                "or the catalog has not heard of it (yet)",
                "the monitor looks for it when it is overdue",
            )
        case None if not case.marker:
            return Cause("it is older than the rule: S3 replicates what is written after the rule was put", _BATCH)
    if (case.record is not None and case.record.overdue) or case.age_seconds > case.target_seconds:
        return Cause(
            f"it has been on its way for {case.age_seconds:.0f} s, longer than {case.target_seconds} s",
            f"wait if others are late too (GET /replication/health); else {_COPY}",
        )
    return Cause("it is on its way", "wait")

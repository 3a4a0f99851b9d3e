"""Why a version is not where it should be: every cause, in words, with what to do."""

from typing import Any

import msgspec
import pytest

from nearside.absence import Case, why
from nearside.copies import Close
from nearside.failure_reasons import CAUSES, cause
from nearside.records import Replica
from nearside.replicas import Absent, Denied
from nearside.replication_rules import Bucket, Rule, Unknown
from tests.unit.fakes import LONDON, OHIO

KEY = "images/cat.png"
RULE = Rule(id="to-ohio", destination="pics-us", delete_markers=True)
HERE = Close(version="v1", size=4, etag="e", modified=0, status="PENDING")
PENDING = Replica(key=KEY, version="v1", place="us-east-2", state="PENDING", made=0)


def record(**changed: Any) -> Replica:
    return msgspec.structs.replace(PENDING, **changed)


def case(**changed: Any) -> Case:
    fields: dict[str, Any] = {
        "key": KEY,
        "marker": False,
        "source": LONDON,
        "destination": OHIO,
        "record": PENDING,
        "source_bucket": Bucket("enabled", [RULE]),
        "bucket": Bucket("enabled"),
        "source_sight": HERE,
        "sight": Absent(),
        "age_seconds": 10.0,
    }
    return Case(**fields | changed)


def rule(**changed: Any) -> Bucket:
    return Bucket("enabled", [msgspec.structs.replace(RULE, **changed)])


def sight(**changed: Any) -> Close:
    return msgspec.structs.replace(HERE, **changed)


CASES = [
    (case(), "it is on its way", "wait"),
    (case(sight=HERE), "it is in us-east-2; the catalog has not heard", "nothing"),
    (case(record=record(state="ABSENT", removed=5, sequencer="0" * 32)), "a repair put an equal copy", "log"),
    (case(record=record(state="ABSENT", withdrawn=True), source=None), "the last place that had it deleted", "nothing"),
    (case(record=record(state="ABSENT", withdrawn=True)), "REPLICATED_PREFIXES does not have its prefix", "nothing"),
    (
        case(record=record(state="ABSENT", removed=5, sequencer="0055AE")),
        "it was deleted in us-east-2 for good",
        "write the object again",
    ),
    (case(source=None), "no place has it any more", "nothing can be copied"),
    (case(record=record(state="FAILED", reason="DstBucketNotFound")), "does not exist", "create the bucket"),
    (case(record=record(state="FAILED")), "S3 gave no reason", "/replication/health"),
    (case(record=record(state="FAILED", reason="NewReason")), "S3 says 'NewReason'", "/replication/health"),
    (case(source_bucket=Bucket("suspended", [RULE])), "versioning of pics-eu in eu-west-2 is suspended", "repair"),
    (case(bucket=Bucket("never enabled")), "versioning of pics-us in us-east-2 is not enabled", "PutBucketVersioning"),
    (
        case(source_bucket=Unknown("403")),
        "the rules of eu-west-2 cannot be read: 403",
        "s3:GetReplicationConfiguration",
    ),
    (case(source_bucket=Bucket("enabled")), "no rule leads from eu-west-2 to us-east-2", "put one on pics-eu"),
    (case(source_bucket=rule(enabled=False)), "the rule to-ohio is disabled", "enable it"),
    (case(source_bucket=rule(prefix="docs/")), "no rule covers this key: the rules are for 'docs/'", "widen"),
    (case(source_bucket=rule(tags={"a": "b"}), source_sight=sight(tags={})), "to-ohio wants the tags a=b", "widen"),
    (case(marker=True, source_bucket=rule(delete_markers=False)), "does not replicate delete markers", "Marker"),
    (case(source_sight=sight(encryption="kms")), "encrypted with a KMS key, and the rule to-ohio", "SseKms"),
    (case(source_sight=sight(encryption="customer")), "SSE-C", "same key"),
    (case(source_sight=sight(status=None)), "it is older than the rule", "Batch Replication"),
    (case(source_sight=sight(status="REPLICA")), "does not replicate a replica of a replica", "every bucket"),
    (case(source_sight=sight(status="FAILED")), "S3 could not replicate it, and no event said why", "metrics"),
    (case(source_sight=sight(status="COMPLETED")), "S3 says that it replicated it", "monitor"),
    (case(source_sight=Denied("refused (403)")), "eu-west-2 does not say how far it is: refused (403)", "ask again"),
    (case(source_sight=Absent()), "it is gone from eu-west-2", "monitor"),
    (case(age_seconds=901), "it has been on its way for 901 s, longer than 900 s", "POST /replication/repair"),
    (case(record=record(overdue=True)), "it has been on its way for 10 s", "POST /replication/repair"),
]


@pytest.mark.parametrize(("case", "what", "fix"), CASES, ids=[what[:50] for _, what, _ in CASES])
def test_every_cause(case: Case, what: str, fix: str) -> None:
    found = why(case)
    assert what in found.what
    assert fix in found.fix


def test_a_kms_object_that_the_rule_selects_is_on_its_way() -> None:
    assert why(case(source_bucket=rule(kms=True), source_sight=sight(encryption="kms"))).what == "it is on its way"


def test_a_missing_rule_weighs_more_than_what_s3_said_and_that_more_than_a_changed_one() -> None:
    failed = record(state="FAILED", reason="AssumeRoleNotPermitted")
    assert "no rule leads" in why(case(record=failed, source_bucket=Bucket("enabled"))).what
    assert "may not assume" in why(case(record=failed, source_bucket=rule(prefix="docs/"))).what
    assert "may not assume" in why(case(record=failed, source_sight=sight(encryption="kms"))).what


def test_the_rule_that_matches_is_enabled_fits_and_has_the_highest_priority() -> None:
    low, high = (msgspec.structs.replace(RULE, id=name, priority=n) for name, n in (("low", 1), ("high", 2)))
    other = msgspec.structs.replace(RULE, id="other", priority=9, destination="elsewhere")
    off = msgspec.structs.replace(RULE, id="off", priority=9, enabled=False)
    tagged = msgspec.structs.replace(RULE, id="tagged", priority=9, tags={"a": "b"})
    bucket = Bucket("enabled", [low, high, other, off, tagged])
    for tags, expected in (({"a": "b", "c": "d"}, "tagged"), ({"a": "c"}, "high"), ({}, "high")):
        found = bucket.matching(OHIO, KEY, tags)
        assert found is not None
        assert found.id == expected
    assert Bucket("enabled", [other, off]).matching(OHIO, KEY) is None


def test_every_code_has_its_own_words_and_a_fix() -> None:
    assert len(CAUSES) >= 34
    assert all(each.what and each.fix for each in CAUSES.values())
    assert cause("DstVersionNotFound ") == CAUSES["DstVersionNotFound"]  # S3's own list has it with a space

"""What was changed in an adopted bucket, kept in the bucket itself, so that it can be undone from anywhere.

The record is an object of the bucket, `.nearside/adopted/<bucket>.json`, written before the first change: whoever was
killed leaves it, on whichever machine, and two people see one record. The bucket is in its name because the rules copy
it to the other buckets, where theirs must not be written over; those copies are a backup of it.
"""

import json
import secrets
from collections.abc import Container
from dataclasses import dataclass, field

from deploy.adoption_sameness import same
from deploy.bucket_state import PARTS, Calls, Part, State, without_ours


@dataclass(frozen=True, slots=True)
class Record:
    """The parts that we changed, as they were and as we made them: a part comes in with its first change. The Batch
    Replication jobs that were started, by their tokens. `nonce` is another for each adoption."""

    former: State
    applied: State
    jobs: dict[str, str] = field(default_factory=dict)
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))

    def dumped(self) -> bytes:
        """As JSON."""
        told = {
            "nearside": 1,
            "former": self.former,
            "applied": self.applied,
            "jobs": self.jobs,
            "nonce": self.nonce,
        }
        return json.dumps(told, indent=2, sort_keys=True, default=str).encode()


def record_key(bucket: str) -> str:
    """Where the record is."""
    return f".nearside/adopted/{bucket}.json"


def read_record(calls: Calls, bucket: str, region: str) -> Record | None:
    """The bucket's record; None when it was not adopted."""
    content = calls.read_record(bucket, region, record_key(bucket))
    if content is None:
        return None
    told = json.loads(content)
    return Record(told["former"], told["applied"], told["jobs"], told["nonce"])


def write_record(calls: Calls, bucket: str, region: str, record: Record) -> None:
    """In place of the one that is there."""
    calls.write_record(bucket, region, record_key(bucket), record.dumped())


def renewed(before: Record | None, now: State, after: State, changed: Container[str]) -> Record:
    """The record of a bucket that is `now` and will be `after`."""
    parts = [part for part in PARTS if part in changed or (before and part in before.former)]
    former, applied = {part: _former(part, now, before) for part in parts}, {part: after[part] for part in parts}
    return Record(former, applied, before.jobs, before.nonce) if before else Record(former, applied)


def _former(part: str, now: State, before: Record | None) -> Part:
    """What undoing goes back to. What somebody else changed since, without our entries, is former from now on."""
    if before is None or part not in before.former:
        return now[part]
    return before.former[part] if is_known(part, now, before) else without_ours(part, now[part])


def is_changed(part: str, now: State, after: State, record: Record | None) -> bool:
    """Whether the part has to be written. What S3 made of our words counts as our words."""
    ours = record.applied.get(part) if record else None
    known = ours if ours is not None and same(part, now[part], ours) else now[part]
    return not same(part, known, after[part])


def is_alike(one: Record, other: Record | None) -> bool:
    """Whether both say the same, in S3's words or in ours."""
    return (
        other is not None
        and (one.jobs, one.nonce, one.former.keys()) == (other.jobs, other.nonce, other.former.keys())
        and all(same(part, one.former[part], other.former[part]) for part in one.former)
        and all(same(part, one.applied[part], other.applied[part]) for part in one.applied)
    )


def is_known(part: str, now: State, record: Record) -> bool:
    """Whether a part that we changed is as it was, or as we made it."""
    return same(part, now[part], record.applied[part]) or is_former(part, now, record)


def is_former(part: str, now: State, record: Record) -> bool:
    """Whether the part is as it was. Versioning that was never on can only be suspended again."""
    former = record.former[part]
    return same(part, now[part], former) or (part == "versioning" and former is None and now[part] == "Suspended")

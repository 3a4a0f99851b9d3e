"""What adopting would change, in words."""

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.adoption_record import Record, is_known
from deploy.adoption_sameness import same
from deploy.bucket_merging import Wanted
from deploy.bucket_state import ENTRIES, BatchJob, Facts, Part, State


@dataclass(frozen=True, slots=True)
class Change:
    """One part of one bucket."""

    bucket: str
    region: str
    part: str
    before: Part
    after: Part

    def __str__(self) -> str:
        return f"{self.bucket}: {self.part}: {'; '.join(_differences(self.part, self.before, self.after))}"


@dataclass(slots=True)
class Plan:
    """What adopting would do. Where anything is refused, nothing is done. What waits does so for `make deploy`."""

    changes: list[Change] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    jobs: list[tuple[Wanted, BatchJob]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waiting: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people."""
        jobs = [f"{wanted.bucket}: a Batch Replication job for what is older than the rules" for wanted, _ in self.jobs]
        waiting = [f"waits for make deploy: {bucket}: {', '.join(parts)}" for bucket, parts in self.waiting.items()]
        told = [*map(str, self.changes), *jobs, *(f"note: {each}" for each in self.notes), *waiting]
        return told + [f"refused: {each}" for each in self.refusals]


def surprises(wanted: Wanted, facts: Facts) -> Iterable[str]:
    """Why the bucket cannot be adopted at all."""
    if facts.region != wanted.region:
        yield f"it is in {facts.region}, and the settings say {wanted.region}"
    if facts.requester_pays:
        yield "its requesters pay: no URL of Nearside says that they agree to, so none would work. Turn it off first"


def notes(wanted: Wanted, now: State, before: Record | None, changed: Container[str]) -> Iterable[str]:
    """What whoever adopts the bucket should know."""
    if "lifecycle" in changed and wanted.lifecycle and wanted.old_versions_days:
        yield (
            f"{wanted.bucket}: versions are deleted {wanted.old_versions_days} days after they were overwritten or "
            "deleted, the older ones at once"
        )
    if now["versioning"] == "Suspended":
        yield (
            f"{wanted.bucket}: versioning is suspended. What was written meanwhile has the version `null`; it stays as "
            "it is, the next write makes a version beside it, and only a Batch Replication job copies it"
        )
    if now["versioning"] is None:
        yield f"{wanted.bucket}: versioning is on for good: undoing can suspend it, and never take it away"
    for part in before.former if before else ():
        if before and not is_known(part, now, before):
            yield f"{wanted.bucket}: {part} was changed meanwhile; without our entries it is the former one now"


def _differences(part: str, before: Part, after: Part) -> list[str]:
    if part not in ENTRIES:
        return [f"{before or 'never on'} → {after or 'suspended'}"]
    found = []
    for key, name in ENTRIES[part].items():
        old, new = ([*((value or {}).get(key) or [])] for value in (before, after))
        gone = [each for each in old if not any(same(part, {key: [each]}, {key: [one]}) for one in new)]
        come = [each for each in new if not any(same(part, {key: [each]}, {key: [one]}) for one in old)]
        found += [f"- {_name(each, name)}" for each in gone]
        found += [f"+ {_name(each, name)}" for each in come]
    rest = [{k: v for k, v in (value or {}).items() if k not in ENTRIES[part]} for value in (before, after)]
    if before is not None and after is not None and rest[0] != rest[1]:
        found.append(f"{json.dumps(rest[0])} → {json.dumps(rest[1])}")
    return found or ["in another order"]


def _name(entry: Mapping[str, Any], name: str) -> str:
    return str(entry.get(name) or json.dumps(entry, default=str))

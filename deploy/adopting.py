"""Existing buckets made Nearside's: what would change, changing it, and going back.

Nothing is changed before every bucket was looked at and nothing was refused. Every step may be done again, so whoever
was killed runs it again; so does whoever was told to wait for `make deploy`, which makes the role and the queues.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from deploy.adoption_plan import Change, Plan, notes, surprises
from deploy.adoption_record import (
    Record,
    is_alike,
    is_changed,
    is_former,
    is_known,
    read_record,
    record_key,
    renewed,
    write_record,
)
from deploy.bucket_merging import Wanted, merged
from deploy.bucket_state import PARTS, BatchJob, CallFailed, Calls, Facts, Part, State, without_ours
from deploy.replication_merging import Refused

_JOB = "the Batch Replication job"


class Differs(Exception):
    """Somebody changed what we made; nothing was undone. The message says what differs."""


class Stopped(Exception):
    """AWS refused a change in the middle. The message says which and why; `done` was changed before it."""

    def __init__(self, why: object, done: Sequence[object]) -> None:
        super().__init__(str(why))
        self.done = [*map(str, done)]


class Adopter:
    """Adopts these buckets, which replicate to each other. `batch_roles`: for each region whose bucket is to get a
    Batch Replication job, the role that runs it; an empty one is not there yet."""

    def __init__(self, calls: Calls, wanted: Sequence[Wanted], batch_roles: Mapping[str, str] | None = None) -> None:
        self._calls = calls
        self._wanted = wanted
        self._batch_roles = batch_roles or {}

    def plan(self) -> Plan:
        """What would change. Reads only."""
        plan = Plan()
        facts: dict[str, Facts] = {}
        for wanted in self._wanted:
            try:
                facts[wanted.bucket] = self._calls.facts(wanted.bucket, wanted.region)
            except CallFailed as error:
                plan.refusals.append(str(error))
        for wanted in self._wanted:
            if wanted.bucket in facts:
                try:
                    self._plan_bucket(plan, _with_locks(wanted, facts), facts[wanted.bucket])
                except CallFailed as error:
                    plan.refusals.append(str(error))
        return plan

    def _plan_bucket(self, plan: Plan, wanted: Wanted, facts: Facts) -> None:
        if why := [f"{wanted.bucket}: {each}" for each in surprises(wanted, facts)]:
            plan.refusals += why
            return
        now, before = self._state(wanted), read_record(self._calls, wanted.bucket, wanted.region)
        after: State = {}
        for part in PARTS:
            try:
                after[part] = merged(part, now[part], wanted, facts)
            except Refused as error:
                plan.refusals.append(f"{wanted.bucket}: {error}")
                after[part] = now[part]
        changed = [part for part in PARTS if is_changed(part, now, after, before)]
        plan.changes += [Change(wanted.bucket, wanted.region, part, now[part], after[part]) for part in changed]
        plan.notes += notes(wanted, now, before, changed)
        record = renewed(before, now, after, changed)
        jobs, waits = self._jobs(wanted, record, now["replication"])
        plan.jobs += [(wanted, job) for job in jobs]
        if waiting := wanted.waits() + waits:
            plan.waiting[wanted.bucket] = waiting
        if (changed or jobs or before) and not is_alike(record, before):
            plan.records[wanted.bucket] = record

    def _jobs(self, wanted: Wanted, record: Record, rules: Part) -> tuple[list[BatchJob], list[str]]:
        """The job that is to be started, if any, and whether one has to wait."""
        if wanted.region not in self._batch_roles or not wanted.destinations:
            return [], []
        role = self._batch_roles[wanted.region]
        # COMPLETED says that a copy is everywhere the rules said then, which may have been somewhere else.
        elsewhere = len(wanted.destinations) > 1 or record.former.get("replication", rules) is not None
        statuses = ("NONE", "FAILED", "COMPLETED") if elsewhere else ("NONE", "FAILED")
        job = BatchJob(role, _token(wanted, record.nonce, statuses), statuses)
        if job.token in record.jobs:
            return [], []
        return ([job], []) if role and wanted.role else ([], [_JOB])

    def _state(self, wanted: Wanted) -> State:
        return {part: self._calls.read(part, wanted.bucket, wanted.region) for part in PARTS}

    def apply(self) -> Plan:
        """Does the plan, and answers what it was. Raises Refused before anything is changed, and Stopped after."""
        plan = self.plan()
        if plan.refusals:
            raise Refused("\n".join(plan.refusals))
        done: list[object] = []
        try:
            for wanted in self._wanted:
                if wanted.bucket in plan.records:
                    write_record(self._calls, wanted.bucket, wanted.region, plan.records[wanted.bucket])
            for part, change in product(PARTS, plan.changes):
                if change.part == part:
                    self._calls.write(part, change.bucket, change.region, change.after)
                    done.append(change)
            for wanted, job in plan.jobs:
                done.append(f"{wanted.bucket}: {_JOB} {self._start(wanted, job)}")
        except CallFailed as error:
            raise Stopped(error, done) from error
        return plan

    def _start(self, wanted: Wanted, job: BatchJob) -> str:
        started = self._calls.start_batch(wanted.bucket, wanted.region, job)
        record = read_record(self._calls, wanted.bucket, wanted.region)
        assert record is not None  # it has the token's nonce, so it was written first
        jobs = record.jobs | {job.token: started}
        write_record(self._calls, wanted.bucket, wanted.region, replace(record, jobs=jobs))
        return started

    def undo(self, *, keep_others: bool = False) -> list[str]:
        """Goes back to the former state of each adopted bucket, and answers in words. `keep_others`: of a part that
        somebody changed since, only our entries are taken away. Raises Differs otherwise, before anything is changed,
        and Stopped after."""
        done: list[str] = []
        try:
            found = [(wanted, read_record(self._calls, wanted.bucket, wanted.region)) for wanted in self._wanted]
            adopted = [(wanted, record, self._state(wanted)) for wanted, record in found if record is not None]
            _refuse_changed(adopted, keep_others=keep_others)
            for part, (wanted, record, now) in product(reversed(PARTS), adopted):
                if part in record.former and not is_former(part, now, record):
                    done.append(self._undo(part, wanted, record, now))
            for wanted, _, _ in adopted:
                self._calls.delete_record(wanted.bucket, wanted.region, record_key(wanted.bucket))
        except CallFailed as error:
            raise Stopped(error, done) from error
        return done

    def _undo(self, part: str, wanted: Wanted, record: Record, now: State) -> str:
        after = record.former[part] if is_known(part, now, record) else without_ours(part, now[part])
        if part == "versioning" and self._calls.read("replication", wanted.bucket, wanted.region) is not None:
            return f"{wanted.bucket}: versioning stays on: somebody else's replication rules need it"
        self._calls.write(part, wanted.bucket, wanted.region, after)
        return str(Change(wanted.bucket, wanted.region, part, now[part], after))


def _refuse_changed(adopted: Sequence[tuple[Wanted, Record, State]], *, keep_others: bool) -> None:
    changed = [
        str(Change(wanted.bucket, wanted.region, part, record.applied[part], now[part]))
        for wanted, record, now in adopted
        for part in record.former
        if not is_known(part, now, record)
    ]
    if changed and not keep_others:
        raise Differs("\n".join(changed))


def _with_locks(wanted: Wanted, facts: Mapping[str, Facts]) -> Wanted:
    known = [
        replace(each, object_lock=facts[each.bucket].object_lock) if each.bucket in facts else each
        for each in wanted.destinations
    ]
    return replace(wanted, destinations=tuple(known))


def _token(wanted: Wanted, nonce: str, statuses: Sequence[str]) -> str:
    """The same for the same rules of one adoption: S3 makes one job for it, however often it is asked."""
    told = [nonce, wanted.bucket, sorted(each.bucket for each in wanted.destinations), sorted(wanted.rules.prefixes)]
    return hashlib.sha256(json.dumps([told, *statuses]).encode()).hexdigest()[:48]

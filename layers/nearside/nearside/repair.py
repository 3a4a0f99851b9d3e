"""Repair on request and by schedule: what is to be mended, one by one within the time there is, or all by one job."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Protocol

import msgspec

from nearside.access import Caller, Policy
from nearside.errors import BadRequest, Missing, NearsideError
from nearside.explain import ReadsObjects
from nearside.items import MAX_KEY_BYTES
from nearside.mended import Mended, Target
from nearside.mending import Mender
from nearside.notes import KeepsNotes
from nearside.operations_log import AppendsOperations, Entry
from nearside.places import Place
from nearside.replication_rules import Bucket, Buckets
from nearside.rounds import Round, is_late
from nearside.work import ListsWork, WorkState

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100
_STATES: tuple[WorkState, ...] = ("FAILED", "PENDING")


class RepairAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be repaired: one key, one place, or everything; at most `limit` replicas now."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_BYTES)] | None = None
    place: str | None = None
    dry_run: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT


class Job(msgspec.Struct, frozen=True):
    """An S3 Batch Replication job: everything that failed from one place. `id` is empty in a dry run."""

    source: str
    id: str
    detail: str


class Repairs(msgspec.Struct, frozen=True):
    """What was done, or in a dry run would be. `more` says that something has not been tried yet, or was not finished:
    ask again."""

    dry_run: bool
    replicas: list[Mended]
    jobs: list[Job]
    more: bool


class StartsJobs(Protocol):
    """S3 Batch Replication: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html.
    Every method raises Refused or Unreachable."""

    def start(self, source: Place, token: str) -> str:
        """Starts a job for everything in the source bucket that failed or was never replicated; its id. The same token
        starts it once."""
        ...

    def is_over(self, source: Place, job: str) -> bool:
        """Whether the job has come to its end, whichever."""
        ...


class Repairer(msgspec.Struct, frozen=True):
    """Finds what is to be mended, and has it mended, for `seconds`. `name` is whose round of the lists it is. `jobs` is
    None where no role for Batch Replication is set, `job_over` the number of failed replicas above which a job does it,
    and `job_pause_seconds` how long after one's start no other is started."""

    name: str
    seconds: float
    places: Sequence[Place]
    records: ReadsObjects
    work: ListsWork
    buckets: Callable[[], Buckets]
    mender: Callable[[Buckets], Mender]
    policy: Policy
    jobs: StartsJobs | None
    job_over: int
    job_pause_seconds: int
    notes: KeepsNotes
    log: AppendsOperations
    target_seconds: int
    clock: Callable[[], float]

    def repair(self, asked: RepairAsked, caller: Caller) -> Repairs:
        """Repairs within the time there is. Raises Refused, BadRequest, Missing for a key that the catalog does not
        know, Unreachable when a work list cannot be read."""
        self.policy.check(caller, "write", asked.key or "")
        places = [place for place in self.places if asked.place in (None, place.name)]
        if not places:
            expected = ", ".join(place.name for place in self.places)
            raise BadRequest(f"place is {asked.place!r}: expected one of {expected}")
        buckets = self.buckets()
        if asked.key is None and self.jobs is not None:
            failed = sum(self.work.counts(place.name).failed for place in places)
            if failed > self.job_over:
                return Repairs(asked.dry_run, [], self._by_jobs(places, buckets, failed, asked.dry_run), True)
        call = _Call(self, asked, caller, self.mender(buckets))
        if asked.key:
            call.mend_all(self._of_key(asked.key, places))
        else:
            call.go_round(places)
        more = call.more or any(each.outcome == "copying" for each in call.done)
        return Repairs(asked.dry_run, call.done, [], more)

    def _of_key(self, key: str, places: Sequence[Place]) -> list[Target]:
        """The key's replicas that failed or are overdue, the newest version first."""
        found = [(place, each) for place in places for each in self.records.object(key, place.name)[0]]
        if not found and not any(self.records.object(key, place.name)[0] for place in self.places):
            raise Missing(f"the catalog does not know {key!r}; GET /replication/objects/{{key}} asks the places")
        found.sort(key=lambda each: each[1].rank, reverse=True)
        late = partial(is_late, now_ms=int(self.clock() * 1000), target_seconds=self.target_seconds)
        return [
            Target(key, record.version, place)
            for place, record in found
            if record.state == "FAILED" or (record.state == "PENDING" and (record.overdue or late(record.due)))
        ]

    def _by_jobs(self, places: Sequence[Place], buckets: Buckets, failed: int, dry_run: bool) -> list[Job]:
        """One job per source bucket whose rules lead to one of the places; none while its last one runs."""
        assert self.jobs is not None
        jobs = []
        for source in self.places:
            bucket = buckets[source.name]
            leads = isinstance(bucket, Bucket) and any(
                rule.enabled for place in places if place != source for rule in bucket.to(place)
            )
            if leads:
                jobs.append(self._job(self.jobs, source, failed, dry_run))
        return jobs

    def _job(self, jobs: StartsJobs, source: Place, failed: int, dry_run: bool) -> Job:
        note = self.notes.read(source.name, "job")
        running = str(note["id"]) if note else ""
        if running and not jobs.is_over(source, running):
            return Job(source.name, running, "this job is under way: nothing new is started before it is over")
        now_ms = int(self.clock() * 1000)
        if note and now_ms - int(note["at"]) < self.job_pause_seconds * 1000:
            return Job(source.name, running, f"this job is over; the next begins {self.job_pause_seconds} s after it")
        why = f"{failed} replicas failed, more than the {self.job_over} that are mended one by one"
        if dry_run:
            return Job(source.name, "", f"a Batch Replication job would be started: {why}")
        # The same for a run that dies before it notes the id, and is repeated within the hour.
        job = jobs.start(source, f"nearside-{source.name}-{running[:8]}-{now_ms // 3_600_000}")
        self.notes.write(source.name, "job", {"id": job, "at": now_ms})
        self.log(Entry(at=now_ms, id=job, action="repair: job started", place=source.name, detail=f"{job}: {why}"))
        return Job(source.name, job, f"a Batch Replication job was started: {why}")


class _Call:
    """One call: what it has mended, and whether anything is left that it has not tried."""

    def __init__(self, by: Repairer, asked: RepairAsked, caller: Caller, mender: Mender) -> None:
        self._by = by
        self._asked = asked
        self._caller = caller
        self._mender = mender
        self._end = by.clock() + by.seconds
        self.done: list[Mended] = []
        self.more = False

    def mend_all(self, targets: Sequence[Target]) -> None:
        """One after the other, as far as it gets."""
        for target in targets:
            if self._spent():
                return
            self._mend(target)

    def go_round(self, places: Sequence[Place]) -> None:
        """What failed in any place, then what is overdue, from behind where the last call stopped: what can never be
        mended costs the others one round, not all of them. Each is noted before it is tried, so that not even one that
        takes the process down is tried first by every call. A dry run notes nothing."""
        by = self._by
        known = {place.name: place for place in places}
        lists = [(name, state) for state in _STATES for name in known]
        note = f"{by.name}#{self._asked.place or ''}"
        round_ = Round(by.work, by.notes, note, lists, int(by.clock() * 1000), by.target_seconds)
        unread: NearsideError | None = None
        while True:
            try:
                work = round_.upcoming()
            except NearsideError as error:  # the other lists can be read all the same
                unread = error
                round_.skip()
                continue
            if work is None or self._spent():
                break
            round_.take()
            self._keep(round_)
            self._mend(Target(work.key, work.version, known[work.place]))
        self._keep(round_)
        if unread and not self.done:
            raise unread
        self.more = self.more or unread is not None

    def _spent(self) -> bool:
        self.more = len(self.done) >= self._asked.limit or self._by.clock() > self._end
        return self.more

    def _keep(self, round_: Round) -> None:
        if not self._asked.dry_run:
            round_.keep()

    def _mend(self, target: Target) -> None:
        may_delete = self._by.policy.allows(self._caller, "delete", target.key)
        self.done.append(self._mender.mend(target, dry_run=self._asked.dry_run, may_delete=may_delete))

"""The repair request: what is taken on, in which order, how much at once, and when a job does it instead."""

from collections.abc import Sequence
from typing import Any

import pytest

from nearside import work
from nearside.access import Caller, Policy
from nearside.access import Rule as Grant
from nearside.errors import BadCursor, BadRequest, Missing, Refused, Unreachable
from nearside.mended import Mended, Target
from nearside.operations_log import Entry
from nearside.places import Place
from nearside.records import Replica
from nearside.repair import RepairAsked, Repairer, Repairs
from nearside.replication_rules import Bucket, Rule
from nearside.work import Counts, Work, WorkState
from tests.unit.fakes import LONDON, OHIO
from tests.unit.test_monitor import Notes

OPERATOR = Caller("op", trusted=True)
SECONDS = 20.0
RULES = {
    "eu-west-2": Bucket("enabled", [Rule(id="r", destination="pics-us")]),
    "us-east-2": Bucket("enabled", [Rule(id="r", destination="pics-eu", enabled=False)]),
}


class Shop:
    """A repairer with everything at hand. Mending takes `seconds` each."""

    def __init__(self) -> None:
        self.now = 10_000.0
        self.seconds = 0.0
        self.works: list[Work] = []
        self.replicas: list[Replica] = []
        self.mended: list[tuple[str, str, str]] = []
        self.outcome: Any = "copied"
        self.jobs: list[tuple[str, str]] | None = None
        self.over = False
        self.notes = Notes()
        self.logged: list[str] = []
        self.down: str | None = None
        self.pages = 0
        self.may_delete: list[bool] = []
        self.pause = 0
        self.name = "repair"

    def counts(self, place: str) -> Counts:
        return Counts(0, sum((each.place, each.state) == (place, "FAILED") for each in self.works))

    def page(
        self, place: str, state: WorkState, limit: int, cursor: str | None = None, before: int | None = None
    ) -> work.Page:
        """By position, as the index has it: behind a cursor comes what is due later, whatever has left the list."""
        if place == self.down:
            raise Unreachable("its table is down")
        if cursor == "of an older release":
            raise BadCursor("not one that it gave")
        due, key = cursor.split("|") if cursor else ("0", "")
        listed = sorted((each.due, each.key) for each in self.works if (each.place, each.state) == (place, state))
        left = [each for each in listed if each > (int(due), key) and (before is None or each[0] <= before)]
        self.pages += 1
        found = [waiting(each, place, state, at) for at, each in left[:limit]]
        return work.Page(found, f"{found[-1].due}|{found[-1].key}" if found else None)

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], None]:
        return [each for each in self.replicas if (each.key, each.place) == (key, place)], None

    def mend(self, target: Target, *, dry_run: bool, may_delete: bool) -> Mended:
        self.now += self.seconds
        self.may_delete.append(may_delete)
        if self.outcome == "copied" and not dry_run:
            self.works = [each for each in self.works if (each.key, each.place) != (target.key, target.place.name)]
        if self.outcome == "the process dies":
            raise KeyboardInterrupt
        self.mended.append((target.key, target.version, target.place.name))
        return Mended(
            key=target.key, version=target.version, place=target.place.name, outcome=self.outcome, detail=str(dry_run)
        )

    def start(self, source: Place, token: str) -> str:
        assert self.jobs is not None
        self.jobs.append((source.name, token))
        return f"job-{len(self.jobs)}"

    def is_over(self, source: Place, job: str) -> bool:
        return self.over

    def log(self, entry: Entry) -> None:
        self.logged.append(f"{entry.action} {entry.place}")

    def repair(self, caller: Caller = OPERATOR, policy: Policy | None = None, **asked: Any) -> Repairs:
        return Repairer(
            name=self.name,
            seconds=SECONDS,
            places=(LONDON, OHIO),
            records=self,
            work=self,
            buckets=lambda: RULES,
            mender=lambda buckets: self,  # type: ignore[arg-type, return-value]
            policy=policy or Policy(),
            jobs=None if self.jobs is None else self,
            job_over=3,
            job_pause_seconds=self.pause,
            notes=self.notes,
            log=self.log,
            target_seconds=900,
            clock=lambda: self.now,
        ).repair(RepairAsked(**asked), caller)


def waiting(key: str, place: str = "us-east-2", state: WorkState = "FAILED", due: int = 1_000) -> Work:
    return Work(key=key, version="v", place=place, state=state, due=due)


def test_failed_ones_first_and_of_the_pending_only_those_that_are_overdue() -> None:
    shop = Shop()
    shop.works = [
        waiting("late", state="PENDING"),
        waiting("on its way", state="PENDING", due=9_900_000),
        waiting("failed"),
        waiting("failed there", "eu-west-2"),
    ]
    answer = shop.repair()
    assert [key for key, _, _ in shop.mended] == ["failed there", "failed", "late"]
    assert (answer.more, answer.dry_run, len(answer.replicas)) == (False, False, 3)


def test_one_place_only() -> None:
    shop = Shop()
    shop.works = [waiting("a"), waiting("b", "eu-west-2")]
    shop.repair(place="eu-west-2")
    assert shop.mended == [("b", "v", "eu-west-2")]
    with pytest.raises(BadRequest, match="place is 'mars'"):
        shop.repair(place="mars")


def test_one_key_its_newest_version_first() -> None:
    shop = Shop()
    shop.replicas = [
        Replica(key="a", version="old", place="us-east-2", state="FAILED", made=1_000),
        Replica(key="a", version="new", place="us-east-2", state="FAILED", made=2_000),
        Replica(key="a", version="late", place="us-east-2", state="PENDING", made=1_500),
        Replica(key="a", version="told", place="us-east-2", state="PENDING", made=9_999_000, overdue=True),
        Replica(key="a", version="young", place="us-east-2", state="PENDING", made=9_999_000),
        Replica(key="a", version="fine", place="us-east-2", state="COMPLETED", made=3_000),
        Replica(key="a", version="gone", place="us-east-2", state="ABSENT", made=3_000),
    ]
    shop.repair(key="a")
    assert [version for _, version, _ in shop.mended] == ["told", "new", "late", "old"]


def test_a_key_that_the_catalog_does_not_know_is_missing() -> None:
    with pytest.raises(Missing, match="asks the places"):
        Shop().repair(key="a")


def keys(answer: Repairs) -> list[str]:
    return [each.key for each in answer.replicas]


def test_a_limit_and_the_time_there_is() -> None:
    shop = Shop()
    shop.works = [waiting(str(number)) for number in range(9)]
    assert (len(shop.repair(limit=4).replicas), shop.repair(limit=4).more) == (4, True)
    assert shop.repair(limit=9).more is False
    shop.works = [waiting(str(number)) for number in range(9)]
    shop.seconds = SECONDS / 2.5
    answer = shop.repair()
    assert (len(answer.replicas), answer.more) == (3, True)


def test_what_can_never_be_mended_does_not_keep_the_others_from_their_turn() -> None:
    shop = Shop()
    shop.outcome, shop.seconds = "refused", SECONDS / 1.5  # two per call
    shop.works = [
        *(waiting(f"stuck {number}", due=number) for number in range(4)),
        waiting("late", state="PENDING"),
    ]
    calls = [shop.repair() for _ in range(4)]
    assert [keys(call) for call in calls] == [["stuck 0", "stuck 1"], ["stuck 2", "stuck 3"], ["late"], keys(calls[0])]
    assert [call.more for call in calls] == [True, True, False, True]


def test_more_is_only_what_has_not_been_tried() -> None:
    shop = Shop()
    shop.outcome = "refused"
    shop.works = [waiting("a"), waiting("b")]
    assert shop.repair(limit=2).more is False
    assert shop.notes.kept == {}


def test_rounds_of_others_and_of_one_place_are_their_own() -> None:
    shop = Shop()
    shop.outcome = "refused"
    shop.works = [waiting("a"), waiting("b")]
    assert keys(shop.repair(limit=1)) == ["a"]
    assert keys(shop.repair(limit=1, place="us-east-2")) == ["a"]
    shop.name = "monitor"
    assert keys(shop.repair(limit=1)) == ["a"]


def test_a_dry_run_moves_nothing() -> None:
    shop = Shop()
    shop.works = [waiting("a"), waiting("b")]
    assert keys(shop.repair(limit=1, dry_run=True)) == keys(shop.repair(limit=1, dry_run=True)) == ["a"]
    assert shop.notes.kept == {}


def test_what_takes_the_process_down_is_not_tried_first_again() -> None:
    shop = Shop()
    shop.works = [waiting("deadly"), waiting("fine")]
    shop.outcome = "the process dies"
    with pytest.raises(KeyboardInterrupt):
        shop.repair()
    shop.outcome = "copied"
    assert keys(shop.repair()) == ["fine"]


def test_an_overdue_one_behind_many_that_are_not_is_found_without_reading_them() -> None:
    shop = Shop()
    fresh = [waiting(f"fresh {number}", state="PENDING", due=9_900_000) for number in range(20_000)]
    shop.works = [*fresh, waiting("late", state="PENDING")]
    assert keys(shop.repair()) == ["late"]
    assert shop.pages < 20


def test_notes_that_do_not_answer_and_cursors_of_old_only_start_at_the_head() -> None:
    shop = Shop()
    shop.works, shop.outcome = [waiting("a"), waiting("b")], "refused"
    shop.repair(limit=1)
    [(where, note)] = shop.notes.kept.items()
    shop.notes.kept[where] = dict(note) | {"cursor": "of an older release"}
    assert keys(shop.repair()) == ["a", "b"]
    shop.repair(limit=1)
    shop.notes.down = Unreachable("down")
    assert keys(shop.repair()) == ["a", "b"]


def test_a_list_that_cannot_be_read_leaves_the_others() -> None:
    shop = Shop()
    shop.works, shop.down = [waiting("a")], "eu-west-2"
    answer = shop.repair()
    assert (keys(answer), answer.more) == (["a"], True)
    with pytest.raises(Unreachable, match="table is down"):
        shop.repair()


def test_a_copy_in_parts_is_more_to_do() -> None:
    shop = Shop()
    shop.works, shop.outcome = [waiting("a")], "copying"
    assert shop.repair().more is True


def test_who_may_not_write_may_not_repair() -> None:
    alice = Caller("alice", trusted=False, claims={"sub": "alice"})
    shop = Shop()
    with pytest.raises(Refused):
        shop.repair(alice)
    policy = Policy([Grant(claim="sub", prefixes=["users/${sub}/"], actions=["write"])])
    shop.replicas = [Replica(key="users/alice/a", version="v", place="us-east-2", state="FAILED")]
    assert len(shop.repair(alice, policy, key="users/alice/a").replicas) == 1
    with pytest.raises(Refused):
        shop.repair(alice, policy)


def test_who_may_not_delete_repairs_without_deleting() -> None:
    alice = Caller("alice", trusted=False, claims={"sub": "alice"})
    everything = Grant(claim="sub", prefixes=[""], actions=["write"])
    own = Grant(claim="sub", prefixes=["users/${sub}/"], actions=["delete"])
    shop = Shop()
    shop.works = [waiting("a"), waiting("users/alice/a")]
    shop.repair(alice, Policy([everything, own]))
    assert shop.may_delete == [False, True]
    shop.works = [waiting("a")]
    shop.repair()
    assert shop.may_delete[-1] is True


def test_many_are_mended_by_one_job_per_source_whose_rules_lead_there() -> None:
    shop = Shop()
    shop.works, shop.jobs = [waiting(str(number)) for number in range(4)], []
    dry = shop.repair(dry_run=True)
    assert ([job.id for job in dry.jobs], shop.jobs, shop.logged) == ([""], [], [])
    answer = shop.repair()
    assert [(job.source, job.id) for job in answer.jobs] == [("eu-west-2", "job-1")]
    assert "4 replicas failed, more than the 3" in answer.jobs[0].detail
    assert (shop.mended, shop.logged) == ([], ["repair: job started eu-west-2"])


def test_no_second_job_while_one_runs_and_another_after_it() -> None:
    shop = Shop()
    shop.works, shop.jobs = [waiting(str(number)) for number in range(4)], []
    shop.repair()
    assert "under way" in shop.repair().jobs[0].detail
    assert len(shop.jobs) == 1
    shop.over = True
    shop.repair()
    assert len({token for _, token in shop.jobs}) == 2


def test_no_job_follows_another_at_once_where_a_pause_is_set() -> None:
    shop = Shop()
    shop.works, shop.jobs, shop.over, shop.pause = [waiting(str(number)) for number in range(4)], [], True, 3_600
    assert [job.id for _ in range(2) for job in shop.repair().jobs] == ["job-1", "job-1"]
    shop.now += 3_600
    assert [job.id for job in shop.repair().jobs] == ["job-2"]


def test_a_run_that_dies_before_it_notes_its_job_starts_the_same_one() -> None:
    shop = Shop()
    shop.works, shop.jobs = [waiting(str(number)) for number in range(4)], []
    shop.repair()
    shop.notes.kept.clear()
    shop.repair()
    assert len({token for _, token in shop.jobs}) == 1


@pytest.mark.parametrize(("count", "jobs"), [(3, []), (4, None)])
def test_few_or_without_a_role_they_are_mended_one_by_one(count: int, jobs: list[tuple[str, str]] | None) -> None:
    shop = Shop()
    shop.works, shop.jobs = [waiting(str(number)) for number in range(count)], jobs
    assert shop.repair().jobs == []
    assert len(shop.mended) == count

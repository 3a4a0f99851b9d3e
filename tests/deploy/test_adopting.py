"""Adopting buckets that are there: nothing of anybody is lost, twice is once, and undoing goes all the way back."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.adopting import Adopter, Differs
from deploy.adopting_policy import Readers
from deploy.adoption_record import record_key
from deploy.bucket_state import State, without_ours
from tests.deploy.bucket_strategies import choices, states
from tests.deploy.buckets import BUCKETS, NOTHING, RICH, MemoryCalls, account, alike, as_undone, states_of, wanted
from tests.deploy.moto_buckets import moto_account

two = st.tuples(states("eu-west-2"), states("us-east-2")).map(list)
some = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
BATCH = dict.fromkeys(BUCKETS, "arn:aws:iam::123456789012:role/batch")
EVERYTHING: dict[str, Any] = {
    "tls_only": True,
    "lifecycle": True,
    "cors_origins": ("https://example.com",),
    "readers": Readers("arn:aws:cloudfront::123456789012:distribution/E1", "0123456789abcdef"),
}


@some
@given(two, choices)
def test_twice_is_once(before: list[State], chosen: dict[str, Any]) -> None:
    with account(before) as calls:
        assert Adopter(calls, wanted(2, **chosen), BATCH).apply().changes
        once, writes = states_of(calls, 2), calls.writes
        again = Adopter(calls, wanted(2, **chosen), BATCH).apply()
        assert again.lines() == []
        assert (states_of(calls, 2), calls.writes, len(calls.jobs)) == (once, writes, 2)


@some
@given(two, choices)
def test_undoing_goes_back_to_what_was(before: list[State], chosen: dict[str, Any]) -> None:
    with account(before) as calls:
        start = states_of(calls, 2)
        adopter = Adopter(calls, wanted(2, **chosen))
        adopter.apply()
        adopter.undo()
        assert alike(states_of(calls, 2), as_undone(start)) == []
        for region, bucket in list(BUCKETS.items())[:2]:
            assert calls.read_record(bucket, region, record_key(bucket)) is None
        assert adopter.undo() == []


@settings(some, max_examples=2)
@given(two, choices)
def test_there_and_back_by_the_real_calls(before: list[State], chosen: dict[str, Any]) -> None:
    with moto_account(before) as calls:
        start = states_of(calls, 2)
        adopter = Adopter(calls, wanted(2, **chosen), BATCH)
        assert adopter.apply().changes
        assert adopter.plan().lines() == []
        adopter.undo()
        assert alike(states_of(calls, 2), as_undone(start)) == []
        for region, bucket in list(BUCKETS.items())[:2]:
            assert calls.read_record(bucket, region, record_key(bucket)) is None


@some
@given(two, choices)
def test_what_others_have_survives(before: list[State], chosen: dict[str, Any]) -> None:
    with account(before) as calls:
        start = states_of(calls, 2)
        Adopter(calls, wanted(2, **chosen)).apply()
        without = [{part: without_ours(part, value) for part, value in state.items()} for state in states_of(calls, 2)]
        assert alike(without, [state | {"versioning": "Enabled"} for state in start]) == []


class Killed(BaseException):
    """As a kill would; tests/deploy/test_adopting_killed.py has real ones."""


def _kill_at(calls: MemoryCalls, number: int) -> None:
    """Before the change of this number; that is after the one before it."""
    left = number

    def strike() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    calls.before = strike


def _adopt(calls: MemoryCalls) -> None:
    Adopter(calls, wanted(2, **EVERYTHING), BATCH).apply()


def _undo(calls: MemoryCalls) -> None:
    Adopter(calls, wanted(2, **EVERYTHING), BATCH).undo()


@pytest.mark.parametrize("undoing", [False, True])
def test_killed_at_every_call_and_run_again(undoing: bool) -> None:
    run: Callable[[MemoryCalls], None] = _undo if undoing else _adopt
    number, ended = 0, False
    while not ended:
        with account([RICH, NOTHING]) as calls:
            start = states_of(calls, 2)
            if undoing:
                _adopt(calls)
            _kill_at(calls, number)
            try:
                run(calls)
                ended = True
            except Killed:
                calls.before = lambda: None
                run(calls)
            calls.before = lambda: None
            if not undoing:
                assert len(calls.jobs) == 2, number
                assert Adopter(calls, wanted(2, **EVERYTHING), BATCH).plan().lines() == [], number
                _undo(calls)
            assert alike(states_of(calls, 2), as_undone(start)) == [], number
        number += 1
    # Two records and eleven parts (one was versioned before); to adopt also two jobs, each written down; and no kill.
    assert number == (13 if undoing else 17) + 1


@settings(some, max_examples=10)
@given(two, choices)
def test_killed_after_every_change_of_every_run(before: list[State], chosen: dict[str, Any]) -> None:
    with account(before) as calls:
        start = states_of(calls, 2)
        for run in (Adopter.apply, Adopter.undo):
            runs = 0
            while True:
                runs += 1
                assert runs < 40, "no run gets further than the one before"
                _kill_at(calls, 2)  # a job and its record
                try:
                    run(Adopter(calls, wanted(2, **chosen), BATCH))
                    break
                except Killed:
                    continue
            assert runs > 3
        assert len(calls.jobs) == 2
        assert alike(states_of(calls, 2), as_undone(start)) == []


def test_a_third_bucket_is_one_more_of_the_list() -> None:
    with account([NOTHING] * 3) as calls:
        Adopter(calls, wanted(2), BATCH).apply()
        assert {job.statuses for job in calls.jobs} == {("NONE", "FAILED")}
        Adopter(calls, wanted(3), BATCH).apply()
        for state, own in zip(states_of(calls, 3), BUCKETS.values(), strict=True):
            to = {rule["Destination"]["Bucket"].rsplit(":", 1)[1] for rule in state["replication"]["Rules"]}
            assert to == {*BUCKETS.values()} - {own}
        # What was copied to the second bucket has a status already, and is not in the third.
        assert [job.statuses for job in calls.jobs][2:] == [("NONE", "FAILED", "COMPLETED")] * 3
        Adopter(calls, wanted(3)).undo()
        assert alike(states_of(calls, 3), as_undone([NOTHING] * 3)) == []


def test_what_other_rules_copied_elsewhere_is_in_the_job() -> None:
    with account([RICH, NOTHING]) as calls:
        _adopt(calls)
        assert sorted(job.statuses for job in calls.jobs) == [("NONE", "FAILED"), ("NONE", "FAILED", "COMPLETED")]


def test_adopted_again_after_an_undo_there_is_another_job() -> None:
    with account([NOTHING] * 2) as calls:
        _adopt(calls)
        _undo(calls)
        _adopt(calls)
        assert len({job.token for job in calls.jobs}) == 4


def test_a_job_whose_record_was_not_written_is_not_started_twice() -> None:
    with account([NOTHING] * 2) as calls:
        Adopter(calls, wanted(2)).apply()
        _kill_at(calls, 1)
        with pytest.raises(Killed):
            Adopter(calls, wanted(2), BATCH).apply()
        assert len(calls.jobs) == 1
        calls.before = lambda: None
        Adopter(calls, wanted(2), BATCH).apply()
        assert len(calls.jobs) == 2


def _change_cors(calls: MemoryCalls) -> dict[str, Any]:
    theirs = {"ID": "new", "AllowedOrigins": ["*"], "AllowedMethods": ["DELETE"]}
    rules = (calls.read("cors", "acme-eu", "eu-west-2") or {"CORSRules": []})["CORSRules"]
    calls.write("cors", "acme-eu", "eu-west-2", {"CORSRules": [theirs, *rules]})
    return theirs


def test_what_somebody_changed_meanwhile_is_not_undone_but_told() -> None:
    with account([NOTHING] * 2) as calls:
        adopter = Adopter(calls, wanted(2, cors_origins=("*",)))
        adopter.apply()
        theirs = _change_cors(calls)
        here = states_of(calls, 2)
        with pytest.raises(Differs, match=r"acme-eu: cors: \+ new"):
            adopter.undo()
        assert states_of(calls, 2) == here
        adopter.undo(keep_others=True)
        left = states_of(calls, 2)
        assert left[0]["cors"] == {"CORSRules": [theirs]}
        assert left[0]["replication"] is None


def test_what_somebody_changed_meanwhile_is_the_former_state_after_the_next_apply() -> None:
    with account([NOTHING] * 2) as calls:
        adopter = Adopter(calls, wanted(2, cors_origins=("*",)))
        adopter.apply()
        theirs = _change_cors(calls)
        assert any("cors was changed" in note for note in adopter.apply().notes)
        adopter.undo()
        assert states_of(calls, 2)[0]["cors"] == {"CORSRules": [theirs]}


def test_a_part_that_was_never_ours_is_not_undone_whatever_becomes_of_it() -> None:
    with account([NOTHING] * 2) as calls:
        adopter = Adopter(calls, wanted(2))
        adopter.apply()
        theirs = _change_cors(calls)
        assert adopter.plan().lines() == []
        adopter.undo()
        assert states_of(calls, 2)[0]["cors"] == {"CORSRules": [theirs]}


def test_versioning_that_somebody_elses_rules_need_stays_on() -> None:
    with account([NOTHING] * 2) as calls:
        adopter = Adopter(calls, wanted(2))
        adopter.apply()
        calls.write("replication", "acme-eu", "eu-west-2", RICH["replication"])
        told = adopter.undo(keep_others=True)
        assert "acme-eu: versioning stays on: somebody else's replication rules need it" in told
        assert [state["versioning"] for state in states_of(calls, 2)] == ["Enabled", "Suspended"]

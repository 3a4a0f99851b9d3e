"""The order of the gateway's places, and the circuit breaker of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import Missing, NearsideError, Refused, Unreachable
from nearside.gateway.errors import LeaseLost
from nearside.gateway.places import (
    FAILURES_TO_OPEN,
    LONGEST_OPEN_SECONDS,
    OPEN_SECONDS,
    Place,
    Places,
    zones,
)
from nearside.gateway.records import Store
from tests.unit.gateway_memory import Clock, MemoryStore, places_of


def three(clock: Clock) -> Places:
    return places_of([MemoryStore(name) for name in ("eu", "us", "wasabi")], clock)


def fails(places: Places, name: str, error: NearsideError, times: int = 1) -> None:
    def act(_: Store) -> None:
        raise error

    for _ in range(times):
        with pytest.raises(type(error)):
            places.ask(name, act)


def test_the_primary_comes_first_and_the_others_as_configured() -> None:
    stores = [MemoryStore(name) for name in ("a", "b", "c")]
    places = Places([Place(each.name, "other", "z", each.name == "b", each) for each in stores])
    assert places.names == ["b", "a", "c"]
    assert places.in_order({"c", "a", "nobody", "b"}) == ["b", "a", "c"]


def test_what_is_no_place_is_left_out() -> None:
    places = three(Clock())
    assert "eu" in places
    assert "nobody" not in places
    assert zones(places, ["us", "nobody"]) == {"us": "zone-us"}


def test_three_failures_in_a_row_open_the_breaker_for_ten_seconds() -> None:
    clock = Clock()
    places = three(clock)
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN - 1)
    assert not places.is_open("eu")
    fails(places, "eu", Unreachable("down"))
    assert places.is_open("eu")
    assert places.in_order(places.names) == ["us", "wasabi", "eu"]
    clock.sleep(OPEN_SECONDS - 0.1)
    assert places.is_open("eu")
    clock.sleep(0.1)
    assert not places.is_open("eu")


def test_it_opens_for_twice_as_long_each_time_up_to_two_minutes() -> None:
    clock = Clock()
    places = three(clock)
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN)
    seconds = OPEN_SECONDS
    for _ in range(6):
        clock.sleep(seconds)
        assert not places.is_open("eu")
        fails(places, "eu", Unreachable("down"))  # the first that asks again finds it down
        seconds = min(2 * seconds, LONGEST_OPEN_SECONDS)
        clock.sleep(seconds - 0.1)
        assert places.is_open("eu")
        clock.sleep(0.1 - seconds)
    assert seconds == LONGEST_OPEN_SECONDS


def test_an_answer_closes_it_and_forgets_everything() -> None:
    clock = Clock()
    places = three(clock)
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN)
    assert places.ask("eu", lambda store: 7) == 7
    assert not places.is_open("eu")
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN - 1)
    assert not places.is_open("eu")


@pytest.mark.parametrize("error", [Missing("no"), Refused("no")])
def test_a_place_that_says_no_answers(error: NearsideError) -> None:
    places = three(Clock())
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN - 1)
    fails(places, "eu", error)
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN - 1)
    assert not places.is_open("eu")


def test_calls_that_fail_together_count_as_one_time() -> None:
    """Twenty that were under way when it went down do not keep it out for two minutes."""
    clock = Clock()
    places = three(clock)
    fails(places, "eu", Unreachable("down"), 20)
    clock.sleep(OPEN_SECONDS)
    assert not places.is_open("eu")


def test_a_call_that_was_not_made_says_nothing_of_the_place() -> None:
    places = three(Clock())
    fails(places, "eu", Unreachable("down"), FAILURES_TO_OPEN)
    fails(places, "eu", LeaseLost("our own lease is over"))
    assert places.is_open("eu")


@given(st.integers(0, 9), st.sets(st.sampled_from(["eu", "us", "wasabi"])))
def test_each_turn_begins_with_another_of_those_that_answer(turn: int, down: set[str]) -> None:
    places = three(Clock())
    for name in down:
        fails(places, name, Unreachable("down"), FAILURES_TO_OPEN)
    order = places.in_order(places.names, turn)
    answering = [name for name in places.names if name not in down]
    assert sorted(order) == sorted(places.names)
    assert set(order[: len(answering)]) == set(answering)
    assert order[len(answering) :] == [name for name in places.names if name in down]
    if answering:
        assert order[0] == answering[turn % len(answering)]

"""Doing something in several places at once."""

import threading

import pytest

from nearside.errors import NearsideError, Unreachable
from nearside.gateway.places import Places
from nearside.gateway.records import Store
from nearside.gateway.spreading import Spreader
from tests.unit.gateway_memory import Clock, MemoryStore, places_of


def places() -> Places:
    return places_of([MemoryStore(f"p{n}") for n in range(4)], Clock())


def test_it_asks_as_many_as_are_wanted_at_once() -> None:
    everybody = threading.Barrier(3)

    def act(name: str, _: Store) -> str:
        everybody.wait(10)  # one after the other this would never come to an end
        return name.upper()

    answers = Spreader(places())(["p0", "p1", "p2", "p3"], 3, act)
    assert answers == {"p0": "P0", "p1": "P1", "p2": "P2"}


def test_for_each_that_fails_the_next_is_asked() -> None:
    asked: list[str] = []

    def act(name: str, _: Store) -> None:
        asked.append(name)
        if name in ("p0", "p2"):
            raise Unreachable(name)

    answers = Spreader(places())(["p0", "p1", "p2", "p3"], 2, act)
    assert sorted(asked) == ["p0", "p1", "p2", "p3"]
    assert {name for name, answer in answers.items() if answer is None} == {"p1", "p3"}
    assert isinstance(answers["p0"], Unreachable)


def test_no_more_are_asked_than_there_are() -> None:
    def act(name: str, _: Store) -> None:
        raise Unreachable(name)

    answers = Spreader(places())(["p0", "p1"], 2, act)
    assert all(isinstance(answer, NearsideError) for answer in answers.values())
    assert len(answers) == 2
    assert Spreader(places())([], 2, act) == {}


def test_the_breakers_hear_of_it() -> None:
    known = places()

    def act(name: str, _: Store) -> None:
        raise Unreachable(name)

    spread = Spreader(known)
    for _ in range(3):
        spread(["p1"], 1, act)
    assert known.is_open("p1")
    assert not known.is_open("p0")


def test_nothing_is_under_way_any_more_when_something_unexpected_is_raised() -> None:
    failed, done = threading.Event(), threading.Event()

    def act(name: str, _: Store) -> None:
        if name == "p0":
            failed.set()
            raise ZeroDivisionError
        failed.wait(10)
        threading.Event().wait(0.05)
        done.set()

    with pytest.raises(ZeroDivisionError):
        Spreader(places())(["p0", "p1"], 2, act)
    assert done.is_set()

"""An object's lease: who gets it, how long one waits for it, and how it is given back."""

import msgspec
import pytest

from nearside.errors import Refused
from nearside.gateway.describing import Described, new_generation
from nearside.gateway.errors import Busy, LeaseLost
from nearside.gateway.leases import (
    CALL_SECONDS,
    LATE_SECONDS,
    LEASE_SECONDS,
    LONGEST_EXTRA_SECONDS,
    SWEEP_SECONDS,
    WAIT_SECONDS,
    Leases,
    owner_of,
)
from nearside.gateway.records import Generation, Record
from tests.unit.gateway_memory import Clock, MemoryRecords, leases_of


class World:
    def __init__(self) -> None:
        self.records, self.clock = MemoryRecords(), Clock()
        self.leases: Leases = leases_of(self.records, self.clock)

    def generation(self, size: int = 3) -> Generation:
        return new_generation(size, "etag", "", Described(), self.clock())

    def stored(self) -> Record:
        return self.records.items["b", "k"]


def test_it_is_taken_with_the_intent_put_down() -> None:
    world = World()
    intent = world.generation()
    held = world.leases.take("b", "k", intent)
    assert held.intents == ()
    assert world.stored().intents == (intent,)
    assert held.lease == world.stored().lease
    assert held.lease is not None
    assert held.lease.until == int((world.clock() + LEASE_SECONDS) * 1000)


def test_somebody_else_waits_and_gets_it_when_it_is_given_back() -> None:
    world = World()
    held = world.leases.take("b", "k")
    sleep, began = world.clock.sleep, world.clock()

    def slept(seconds: float) -> None:
        sleep(seconds)
        if world.clock() > began + 1 and world.stored().lease == held.lease:
            world.leases.end(msgspec.structs.replace(held, deleted=7), held)

    other = Leases(world.records, world.clock, slept)
    taken = other.take("b", "k")
    assert taken.deleted == 7
    assert owner_of(taken) not in ("", owner_of(held))
    assert 1 < world.clock() - began < 2


def test_nobody_waits_for_longer_than_ten_seconds() -> None:
    world = World()
    world.leases.take("b", "k", extra_seconds=60)
    began = world.clock()
    with pytest.raises(Busy):
        world.leases.take("b", "k")
    assert WAIT_SECONDS - 0.5 < world.clock() - began <= WAIT_SECONDS


def test_one_that_does_not_want_to_wait_does_not() -> None:
    world = World()
    world.leases.take("b", "k")
    began = world.clock()
    with pytest.raises(Busy):
        world.leases.take("b", "k", wait_seconds=0.0)
    assert world.clock() == began


def test_a_lease_that_is_over_is_anybodys_and_its_intents_are_of_the_dead() -> None:
    world = World()
    intent = world.generation()
    dead = world.leases.take("b", "k", intent)
    world.clock.sleep(LEASE_SECONDS)
    held = world.leases.take("b", "k", world.generation())
    assert held.intents == (intent,)
    with pytest.raises(LeaseLost):
        world.leases.end(dead, dead)
    with pytest.raises(LeaseLost):
        world.leases.keep(dead, dead)
    assert world.stored().lease == held.lease


def test_no_lease_is_longer_than_a_function_lives() -> None:
    world = World()
    held = world.leases.take("b", "k", extra_seconds=1e9)
    assert held.lease is not None
    assert held.lease.until == int((world.clock() + LEASE_SECONDS + LONGEST_EXTRA_SECONDS) * 1000)


def test_given_back_a_record_of_nothing_is_gone_and_one_with_intents_is_due() -> None:
    world = World()
    held = world.leases.take("b", "k", world.generation())
    world.leases.end(held, held)
    assert world.records.items == {}
    held = world.leases.take("b", "k", world.generation())
    ended = world.leases.end(msgspec.structs.replace(held, intents=(world.generation(),)), held)
    assert ended.lease is None
    assert ended.due == int((world.clock() + SWEEP_SECONDS) * 1000)
    assert world.stored() == ended


def test_a_call_is_begun_only_while_the_lease_outlasts_it() -> None:
    world = World()
    held = world.leases.take("b", "k")
    world.clock.sleep(LEASE_SECONDS - CALL_SECONDS)
    world.leases.check(held)
    with pytest.raises(LeaseLost):
        world.leases.check(held, CALL_SECONDS + 1)
    world.clock.sleep(0.1)
    with pytest.raises(LeaseLost):
        world.leases.check(held)
    with pytest.raises(LeaseLost):
        world.leases.check(msgspec.structs.replace(held, lease=None), 0)


def test_what_nobody_expected_gives_the_lease_back_and_has_the_record_looked_at() -> None:
    world = World()
    intent = world.generation()
    held = world.leases.take("b", "k", intent)
    with pytest.raises(ZeroDivisionError), world.leases.given_back(msgspec.structs.replace(held, intents=(intent,))):
        raise ZeroDivisionError
    assert world.stored().lease is None
    assert world.stored().intents == (intent,)
    assert world.stored().due == world.leases.now()


def test_what_was_expected_is_whoever_called_its_own_to_do() -> None:
    world = World()
    held = world.leases.take("b", "k")
    with pytest.raises(Refused), world.leases.given_back(held):
        raise Refused("no")
    assert world.stored().lease == held.lease


def test_an_intent_counts_for_as_long_as_its_process_may_be_slow() -> None:
    world = World()
    small, large = world.generation(), world.generation(600_000_000)
    assert world.leases.at_it([small, large]) == (small, large)
    world.clock.sleep(LATE_SECONDS)
    assert world.leases.at_it([small, large]) == (large,)
    world.clock.sleep(600)
    assert world.leases.at_it([small, large]) == ()
    errand = world.leases.errand()
    assert errand.id != world.leases.errand().id
    assert world.leases.at_it([errand]) == (errand,)

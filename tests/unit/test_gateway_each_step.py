"""Each call that an operation makes fails once, in each way: the lease is given back, and everything comes together."""

from collections.abc import Callable

import pytest

from nearside.errors import Missing, NearsideError, Refused, Unreachable
from nearside.gateway.describing import Conditions, Described
from tests.unit.gateway_core import BUCKET, KEY, PLAIN, VERSIONED, Gateway
from tests.unit.gateway_memory import MemoryRecords, MemoryStore

OLD, NEW = b"the old one, which is large", b"new"

type Act = Callable[[Gateway], object]


def nothing(gateway: Gateway) -> None:
    """There was no object."""


def whole(gateway: Gateway) -> None:
    gateway.put(OLD)
    gateway.settle()


def partly(gateway: Gateway) -> None:
    gateway.put(OLD)


def parts(gateway: Gateway) -> None:
    gateway.upload(OLD[:9], OLD[9:18], OLD[18:])


def doubtful(gateway: Gateway) -> None:
    whole(gateway)
    gateway.stores[0].buckets[BUCKET].clear()
    gateway.get()


def deleted(gateway: Gateway) -> None:
    whole(gateway)
    gateway.down = {"p1"}
    gateway.delete()
    gateway.down = set()


def put(gateway: Gateway) -> None:
    gateway.put(NEW)


def put_everywhere(gateway: Gateway) -> None:
    gateway.put(NEW, quorum=3)


def delete(gateway: Gateway) -> None:
    gateway.delete()


def upload(gateway: Gateway) -> None:
    gateway.upload(NEW[:2], NEW[2:])


def copy_itself(gateway: Gateway) -> None:
    source = gateway.reader.find(BUCKET, KEY)
    gateway.writer.copy(source, BUCKET, KEY, Described(headers={"a": "b"}), Conditions(), None)


def retag(gateway: Gateway) -> None:
    gateway.writer.retag(BUCKET, KEY, {"a": "b"})


def read(gateway: Gateway) -> None:
    gateway.get("verified")


ACTS: list[tuple[Act, Act, set[bytes | None]]] = [
    (nothing, put, {None, NEW}),
    (nothing, put_everywhere, {None, NEW}),
    (nothing, upload, {None, NEW}),
    (nothing, delete, {None}),
    (whole, put, {OLD, NEW}),
    (whole, put_everywhere, {OLD, NEW}),
    (whole, upload, {OLD, NEW}),
    (whole, delete, {OLD, None}),
    (whole, copy_itself, {OLD}),
    (whole, retag, {OLD}),
    (partly, put, {OLD, NEW}),
    (partly, lambda gateway: gateway.mend(), {OLD}),
    (parts, lambda gateway: gateway.mend(), {OLD}),
    (parts, put, {OLD, NEW}),
    (doubtful, lambda gateway: gateway.mend(), {OLD}),
    (doubtful, read, {OLD}),
    (deleted, lambda gateway: gateway.mend(), {None}),
    (deleted, put, {None, NEW}),
]


class Boom(Exception):
    """Nobody expected it."""


@pytest.mark.parametrize("kinds", [(VERSIONED, VERSIONED, PLAIN), (PLAIN, PLAIN, PLAIN)])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Unreachable("x"), Refused("x"), Missing("x"), Boom()])
@pytest.mark.parametrize("number", range(len(ACTS)))
def test_a_call_of_a_place_that_fails(number: int, error: Exception, when: str, kinds: tuple[bool, ...]) -> None:
    if when == "after" and isinstance(error, Refused | Missing):
        return  # who says so did not do it
    before, act, allowed = ACTS[number]
    at = 0
    while True:
        gateway = Gateway(*kinds)
        before(gateway)
        if not _failed_at(gateway, act, at, when, error, catalog=False):
            break
        assert gateway.is_free(), at
        _comes_together(gateway, allowed, at)
        at += 1
    assert at > 0 or act == retag or (before, act) == (nothing, delete), "it asks no place"


@pytest.mark.parametrize("kinds", [(VERSIONED, VERSIONED, PLAIN), (PLAIN, PLAIN, PLAIN)])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(len(ACTS)))
def test_a_call_of_the_catalog_that_fails(number: int, when: str, kinds: tuple[bool, ...]) -> None:
    before, act, allowed = ACTS[number]
    at = 0
    while True:
        gateway = Gateway(*kinds)
        before(gateway)
        if not _failed_at(gateway, act, at, when, Unreachable("x"), catalog=True):
            break
        _comes_together(gateway, allowed, at)
        at += 1
    assert at > 0 or (act, when) == (read, "after")


def _failed_at(gateway: Gateway, act: Act, at: int, when: str, error: Exception, *, catalog: bool) -> bool:
    """Whether the operation made so many calls that one of them could fail; whatever it raised then."""
    count = 0

    def fault(method: str, at_which: str) -> None:
        nonlocal count
        if at_which == when:
            count += 1
            if count == at + 1:
                raise error

    asked: list[MemoryRecords | MemoryStore] = [gateway.records] if catalog else [*gateway.stores]
    usual = [each.fault for each in asked]
    for faulty in asked:
        faulty.fault = fault
    try:
        act(gateway)
    except (NearsideError, Boom):
        pass
    finally:
        for faulty, before in zip(asked, usual, strict=True):
            faulty.fault = before
    return count > at


def _comes_together(gateway: Gateway, allowed: set[bytes | None], at: int) -> None:
    gateway.settle()
    try:
        found: bytes | None = gateway.get("verified" if gateway.generation().sha256 else "latest").data
    except (Missing, KeyError, AssertionError):
        found = None
    assert found in allowed, at
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), found), at
    record = gateway.records.items.get((BUCKET, KEY))
    if record is not None:
        assert not record.intents, at
        assert not record.litter, at
        assert not record.staged, at
        assert record.lease is None, at

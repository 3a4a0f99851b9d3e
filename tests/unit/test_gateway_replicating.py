"""The replicator: copies that go on where they stopped, what is proved of them, and that nothing is done for ever."""

import msgspec
import pytest

from nearside.errors import BadRequest, Missing, NearsideError, Refused, Unreachable
from nearside.gateway.copying import ATTEMPTS_TO_FAIL, CHUNK_BYTES, MAX_PARTS, chunk_bytes
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.errors import Busy, LeaseLost, OutOfTime
from nearside.gateway.leases import LATE_SECONDS, LEASE_SECONDS, LONG_CALL_SECONDS
from nearside.gateway.places import FAILURES_TO_OPEN, LONGEST_OPEN_SECONDS
from nearside.gateway.records import Copy, Generation, Store
from nearside.gateway.replicating import LONGEST_PAUSE_SECONDS
from tests.unit.gateway_core import BUCKET, KEY, PLAIN, VERSIONED, Gateway, md5

LARGE = b"0123456789abcdefghijklmnopqrst"  # 30 bytes: four parts of 8


def parts_sent(gateway: Gateway, place: str) -> int:
    return gateway.calls.count((place, "part"))


def killed() -> None:
    raise KeyboardInterrupt


# What is done.


def test_the_places_that_lack_it_get_it() -> None:
    gateway = Gateway(VERSIONED, PLAIN, PLAIN, required=1)
    gateway.put(b"one")
    record = gateway.mend()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), b"one")
    assert record.due is None
    assert gateway.record() == record
    assert gateway.notes == [("p1", "copied", ""), ("p2", "copied", "")]


def test_asked_again_it_does_nothing() -> None:
    gateway = Gateway(VERSIONED, PLAIN, required=1)
    gateway.put(b"one")
    gateway.mend()
    gateway.calls.clear()
    gateway.mend()
    assert gateway.calls == []
    assert gateway.replicator.mend(BUCKET, "nothing") is None


def test_while_somebody_writes_it_nothing_is_done() -> None:
    gateway = Gateway(VERSIONED, PLAIN, required=1)
    gateway.put(b"one")
    held = gateway.leases.take(BUCKET, KEY)
    assert gateway.mend().due is not None
    assert gateway.states()["p1"] == "PENDING"
    gateway.leases.end(held, held)
    assert gateway.mend().due is None


def test_a_place_that_was_added_later_gets_it_when_it_is_looked_at() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=1)
    gateway.disabled = {"p2"}
    gateway.another().put(b"one")
    gateway.another().mend()
    gateway.disabled = set()
    assert gateway.another().mend().due is None
    assert gateway.bodies()["p2"] == b"one"


def test_a_place_that_was_taken_away_is_not_waited_for() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    gateway.disabled = {"p2"}
    assert gateway.another().mend().due is None
    assert gateway.states() == {"p0": "COMPLETED", "p1": "COMPLETED", "p2": "PENDING"}
    gateway.another().delete()
    assert gateway.record().due is None


def test_with_fewer_places_up_than_are_required_it_is_copied_to_those_that_are() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=3)
    gateway.down = {"p1", "p2"}
    gateway.put(b"one")
    gateway.down = {"p2"}
    record = gateway.mend()
    assert record.holders() == ["p0", "p1"]
    assert record.due is not None


# The fence.


def test_a_copy_that_comes_late_does_not_write_over_what_is_newer() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1)
    gateway.put(b"old")
    gateway.do("p0", "get", "after", lambda: gateway.another().put(b"new", quorum=2))
    gateway.mend()
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}
    assert ("p1", "put") in gateway.calls
    assert gateway.calls.count(("p1", "put")) == 1, "the other's"


@pytest.mark.parametrize("body", [b"old", LARGE])
def test_a_copy_that_comes_late_does_not_bring_a_deleted_object_back(body: bytes) -> None:
    gateway = Gateway(VERSIONED, PLAIN, PLAIN, required=1)
    gateway.put(body)
    gateway.do("p0", "get", "after", gateway.another().delete)
    record = gateway.mend()
    assert record.current is None
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"))
    assert gateway.stores[1].multiparts == {}


def test_an_object_that_is_deleted_between_two_copies_ends_the_run() -> None:
    gateway = Gateway(VERSIONED, PLAIN, PLAIN, required=1)
    gateway.put(b"old")
    gateway.do("p1", "put", "before", lambda: gateway.clock.sleep(LEASE_SECONDS))
    gateway.do("p1", "put", "after", gateway.another().delete)
    with pytest.raises(LeaseLost):
        gateway.mend()
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"))


def test_a_copy_that_lands_after_its_lease_is_put_right() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1)
    gateway.put(b"old")

    def somebody_else() -> None:
        gateway.clock.sleep(LEASE_SECONDS)
        gateway.another().put(b"new", quorum=2)

    gateway.do("p1", "put", "before", somebody_else)
    with pytest.raises(LeaseLost):
        gateway.mend()
    assert gateway.bodies() == {"p0": b"new", "p1": b"old"}
    assert gateway.get().data == b"new"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}


def test_a_copy_that_lands_after_its_process_died_is_put_right() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1)
    old = gateway.put(b"old").current
    assert old is not None
    gateway.do("p1", "put", "before", killed)
    with pytest.raises(KeyboardInterrupt):
        gateway.mend()
    gateway.clock.sleep(LEASE_SECONDS)
    gateway.another().put(b"new", quorum=2)
    gateway.stores[1].put(BUCKET, KEY, b"old", old)
    gateway.settle()
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}


def test_of_two_replicators_one_copies_and_the_other_does_no_harm() -> None:
    for body in (b"small", LARGE):
        gateway = Gateway(VERSIONED, VERSIONED, required=1)
        gateway.put(body)
        gateway.do("p0", "get", "before", lambda gateway=gateway: gateway.another().mend())  # type: ignore[misc]  # mypy infers no default
        gateway.mend()
        assert gateway.bodies() == {"p0": body, "p1": body}
        assert gateway.versions(1) == [body]
        assert gateway.record().due is None
        assert gateway.stores[1].multiparts == {}


def test_a_replicator_that_fails_does_not_undo_what_another_did() -> None:
    """The first one's part is refused because the other has put the parts together: the copy stays complete."""
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    gateway.do("p1", "part", "before", lambda: gateway.another().mend())
    gateway.mend()
    assert gateway.states() == {"p0": "COMPLETED", "p1": "COMPLETED"}
    assert gateway.copy("p1").attempts == 0


# Failing, and trying again.


def test_each_failure_is_noted_with_why_and_the_pause_grows() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    gateway.stores[1].locked = True
    pauses = []
    for attempt in range(1, ATTEMPTS_TO_FAIL + 4):
        record = gateway.mend()
        copy = record.copies["p1"]
        assert (copy.attempts, copy.why) == (attempt, "p1 refused it")
        assert copy.state == ("FAILED" if attempt >= ATTEMPTS_TO_FAIL else "PENDING")
        assert gateway.notes[-1] == ("p1", "failed", "p1 refused it")
        assert record.due is not None
        pauses.append(record.due / 1000 - gateway.clock())
    for attempt, pause in enumerate(pauses, 1):
        whole = min(5.0 * 2**attempt, LONGEST_PAUSE_SECONDS)
        assert whole / 2 - 1 <= pause <= whole
    gateway.stores[1].locked = False
    record = gateway.mend()
    assert record.due is None
    assert record.copies["p1"].state == "COMPLETED", "FAILED is still tried"
    assert record.copies["p1"].attempts == 0


def test_a_place_that_has_been_down_for_weeks_is_still_tried() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    held = gateway.leases.take(BUCKET, KEY)
    failed = Copy(state="FAILED", attempts=5_000)
    gateway.leases.end(msgspec.structs.replace(held, copies={**held.copies, "p1": failed}), held)
    gateway.stores[1].locked = True
    record = gateway.mend()
    assert record.due is not None
    assert record.due / 1000 - gateway.clock() <= LONGEST_PAUSE_SECONDS


def test_a_place_that_is_left_alone_is_not_tried_and_not_forgotten() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.down = {"p1"}
    gateway.put(b"one")
    for _ in range(FAILURES_TO_OPEN):
        gateway.mend()
    gateway.calls.clear()
    record = gateway.mend()
    assert gateway.calls == []
    assert record.due is not None
    gateway.down = set()
    gateway.clock.sleep(LONGEST_OPEN_SECONDS)
    assert gateway.mend().due is None


def test_a_place_that_does_not_answer_is_looked_at_less_and_less_often() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.stores[1].buckets[BUCKET].clear()
    gateway.down = {"p0"}
    with pytest.raises(NearsideError):
        gateway.get()
    gateway.down = {"p1"}
    pauses = []
    for _ in range(12):
        record = gateway.another().mend()
        assert record.due is not None
        pauses.append(record.due / 1000 - gateway.clock())
        gateway.clock.sleep(pauses[-1])
    assert pauses[-1] >= LONGEST_PAUSE_SECONDS / 2
    assert pauses[0] < 20


def test_the_failures_of_a_place_that_was_taken_away_slow_nothing_down() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    held = gateway.leases.take(BUCKET, KEY)
    gateway.leases.end(
        msgspec.structs.replace(held, copies={**held.copies, "p2": Copy(state="FAILED", attempts=50)}), held
    )
    gateway.disabled = {"p2"}
    gateway.stores[1].locked = True
    record = gateway.another().mend()
    assert record.due is not None
    assert record.due / 1000 - gateway.clock() <= 10


def test_somebody_elses_lease_is_waited_for_and_then_told() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    gateway.do("p0", "get", "after", lambda: gateway.another().leases.take(BUCKET, KEY, extra_seconds=60))
    with pytest.raises(Busy):
        gateway.mend()
    assert gateway.record().due is not None


def test_something_unexpected_gives_the_lease_back() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    gateway.fail("p1", "put", "after", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        gateway.mend()
    assert gateway.is_free()
    gateway.settle()
    assert gateway.bodies() == {"p0": b"one", "p1": b"one"}
    gateway.stores[1].buckets[BUCKET].clear()
    gateway.down = {"p0"}
    with pytest.raises(NearsideError):
        gateway.get()
    gateway.down = set()
    gateway.fail("p1", "head", error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        gateway.mend()
    assert gateway.is_free()
    gateway.settle()
    assert gateway.bodies() == {"p0": b"one", "p1": b"one"}


# Large objects.


def test_a_large_object_goes_in_parts_of_which_one_is_held_at_a_time() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    sizes: list[int] = []
    get = gateway.stores[0].get

    def counted(bucket: str, key: str, version: str | None, first: int, last: int) -> tuple[bytes, str]:
        sizes.append(last - first + 1)
        return get(bucket, key, version, first, last)

    gateway.stores[0].get = counted  # type: ignore[method-assign]  # counts what is read
    gateway.calls.clear()
    gateway.mend()
    assert sizes == [8, 8, 8, 6]
    # Nothing was read back, since every byte was compared on its way.
    assert [method for name, method in gateway.calls if name == "p1"] == ["begin", "parts", *["part"] * 4, "complete"]
    assert gateway.bodies()["p1"] == LARGE


def test_the_parts_of_a_copy_are_never_too_many() -> None:
    assert chunk_bytes(1) == CHUNK_BYTES
    assert chunk_bytes(MAX_PARTS * CHUNK_BYTES) == CHUNK_BYTES
    for size in (MAX_PARTS * CHUNK_BYTES + 1, 5 * 1024**4):
        chunk = chunk_bytes(size)
        assert -(-size // chunk) <= MAX_PARTS
        assert chunk % 1024**2 == 0
    assert chunk_bytes(30, 8) == 8


@pytest.mark.parametrize("dies", ["part", "complete"])
def test_after_a_crash_no_part_is_uploaded_twice(dies: str) -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    out_of = iter([False, False, True]) if dies == "part" else iter([])
    gateway.out_of_time = lambda: next(out_of, False)
    if dies == "complete":
        gateway.do("p1", "complete", "before", killed)
    with pytest.raises((OutOfTime, KeyboardInterrupt)):
        gateway.mend()
    assert gateway.copy("p1").multipart
    gateway.clock.sleep(LEASE_SECONDS + LONG_CALL_SECONDS)
    other = gateway.another()
    record = other.mend()
    assert parts_sent(gateway, "p1") == 4
    assert gateway.bodies()["p1"] == LARGE
    assert gateway.versions(1) == [LARGE]
    assert record.copies["p1"].state == "COMPLETED"
    gateway.settle()
    assert gateway.stores[1].multiparts == {}


def test_a_process_that_dies_right_after_a_part_does_not_repeat_it() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    for part in range(3):
        gateway.do("p1", "part", "after", killed)
        with pytest.raises(KeyboardInterrupt):
            gateway.another().mend()
        assert parts_sent(gateway, "p1") == part + 1
    gateway.another().mend()
    assert parts_sent(gateway, "p1") == 4
    assert gateway.bodies()["p1"] == LARGE


def test_a_copy_that_was_put_together_without_an_answer_is_found_or_made_again() -> None:
    gateway = Gateway(VERSIONED, PLAIN, required=1)
    gateway.put(LARGE)
    gateway.fail("p1", "complete", "after")
    assert gateway.mend().copies["p1"].state == "PENDING"
    gateway.settle()
    assert gateway.bodies()["p1"] == LARGE
    assert gateway.copy("p1").state == "COMPLETED"
    assert gateway.stores[1].multiparts == {}


def test_an_upload_that_the_place_forgot_is_begun_again() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    gateway.out_of_time = iter([False, True]).__next__
    with pytest.raises(OutOfTime):
        gateway.mend()
    gateway.stores[1].multiparts.clear()
    gateway.out_of_time = lambda: False
    gateway.settle()
    assert gateway.bodies()["p1"] == LARGE


def test_parts_of_another_size_are_not_taken_for_ours() -> None:
    """After a new version of the gateway cuts otherwise, an equal size does not mean the same place in the object."""
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    gateway.out_of_time = iter([False, True]).__next__
    with pytest.raises(OutOfTime):
        gateway.mend()
    _, bodies = gateway.stores[1].multiparts[gateway.copy("p1").multipart]
    bodies.clear()
    bodies.update({1: b"0123", 2: b"456789ab"})
    gateway.out_of_time = lambda: False
    gateway.settle()
    assert gateway.bodies()["p1"] == LARGE


def test_a_copy_that_cannot_be_noted_ends_the_upload_it_began() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    gateway.do("p1", "begin", "after", lambda: gateway.another().leases.take(BUCKET, KEY, extra_seconds=60))
    with pytest.raises(Busy):
        gateway.mend()
    assert gateway.stores[1].multiparts == {}


def test_a_bucket_that_a_place_lacks_is_made_for_a_copy() -> None:
    for body in (b"small", LARGE):
        gateway = Gateway(VERSIONED, VERSIONED, required=1)
        gateway.put(body)
        gateway.stores[1].buckets.clear()
        assert gateway.mend().due is None
        assert gateway.bodies()["p1"] == body


# Wrong bytes.


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_wrong_bytes_of_one_place_are_not_copied_to_another(body: bytes) -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.put(body)
    gateway.stores[0].wrong = True
    for _ in range(3):
        gateway.mend()
    assert gateway.bodies()["p2"] == body
    assert gateway.copy("p2").state == "COMPLETED"


def test_a_large_object_of_which_the_only_copy_is_wrong_is_not_copied() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    gateway.stores[0].wrong = True
    record = gateway.mend()
    assert "other bytes than were written" in record.copies["p1"].why
    assert gateway.bodies()["p1"] is None
    assert gateway.stores[1].multiparts == {}, "nobody goes on with wrong parts"
    gateway.stores[0].wrong = False
    gateway.settle()
    assert gateway.bodies()["p1"] == LARGE


def test_wrong_bytes_that_an_earlier_run_copied_do_not_count() -> None:
    """Its proof died with it, so the whole is read back, and counts only then."""
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.put(LARGE)
    gateway.stores[0].wrong = True
    gateway.out_of_time = iter([False, True]).__next__
    with pytest.raises(OutOfTime):
        gateway.mend()
    gateway.stores[0].wrong = False
    gateway.out_of_time = lambda: False
    seen: list[str] = []
    gateway.do("p2", "get", "before", lambda: seen.append(gateway.copy("p2").state))
    record = gateway.another().mend()
    assert seen == ["PENDING"]
    assert record.copies["p2"].state == "PENDING"
    assert record.copies["p2"].etag == ""
    gateway.settle()
    assert gateway.bodies()["p2"] == LARGE


def test_what_landed_and_was_not_proved_is_proved_by_the_next_run() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(LARGE)
    times = iter([False, True])
    gateway.out_of_time = lambda: next(times, False)
    with pytest.raises(OutOfTime):
        gateway.mend()
    gateway.do("p1", "get", "before", killed)
    with pytest.raises(KeyboardInterrupt):
        gateway.mend()
    assert gateway.copy("p1").state == "PENDING"
    times = iter([False, True])
    with pytest.raises(OutOfTime):
        gateway.mend()
    gateway.calls.clear()
    assert gateway.mend().due is None
    assert gateway.copy("p1").state == "COMPLETED"
    assert {method for name, method in gateway.calls if name == "p1"} == {"get"}, "it is not copied again"


@pytest.mark.parametrize("body", [b"small", LARGE])
def test_copies_are_read_back_where_that_is_asked_for(body: bytes) -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1, verify=True)
    gateway.put(body)
    gateway.stores[1].wrong = True
    record = gateway.mend()
    assert record.copies["p1"].state == "PENDING"
    gateway.stores[1].wrong = False
    gateway.settle()
    assert gateway.bodies()["p1"] == body
    assert gateway.copy("p1").state == "COMPLETED"


def test_parts_that_are_alike_are_proved_before_they_are_copied() -> None:
    """So nothing needs to be read back, and wrong bytes of one place are had from another."""
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    pieces = [LARGE[first : first + 5] for first in range(0, 30, 5)]
    gateway.upload(*pieces)
    gateway.stores[0].wrong = True
    gateway.out_of_time = iter([False, True]).__next__
    with pytest.raises(OutOfTime):
        gateway.mend()
    _, bodies = gateway.stores[0].multiparts[gateway.copy("p0").multipart]
    assert bodies == {1: LARGE[:10]}, "as many whole parts as a part of the copy needs"
    gateway.stores[0].wrong = False
    gateway.out_of_time = lambda: False
    gateway.calls.clear()
    gateway.mend()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), LARGE)
    assert parts_sent(gateway, "p0") == 2


@pytest.mark.parametrize("sizes", [(3, 9, 18), (20, 10), (1,) * 30, (30,), (8, 8, 8, 6), (2, 0, 28)])
def test_objects_of_parts_of_any_size_are_copied_right(sizes: tuple[int, ...]) -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    gateway.upload(*(LARGE[end - size : end] for end, size in zip(ends, sizes, strict=True)))
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1"), LARGE)
    assert gateway.staged() == set()


# Parts that lie aside.


def test_parts_are_kept_while_too_few_places_have_the_object() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.upload(b"0123", b"4567")
    gateway.down = {"p1", "p2"}
    gateway.mend()
    assert gateway.record().holders() == ["p0"]
    assert gateway.record().staged
    gateway.down = {"p0"}
    assert gateway.get().data == b"01234567"
    gateway.down = set()
    gateway.settle()
    assert gateway.staged() == set()


def test_parts_are_not_given_up_for_a_copy_that_a_failing_write_took_away() -> None:
    """The replicator saw the object in its one place, and then a write went over it there and failed."""
    gateway = Gateway(PLAIN, required=1)
    gateway.upload(b"0123", b"4567")
    other = gateway.another()

    def fails() -> None:
        gateway.fail("p0", "put", "after")
        with pytest.raises(NearsideError):
            other.put(b"another")

    gateway.do("catalog", "save", "after", lambda: gateway.do("catalog", "lease", "before", fails))
    gateway.mend()
    assert gateway.get().data == b"01234567"
    gateway.settle()
    assert gateway.get().data == b"01234567"
    assert gateway.staged() == set()


def test_parts_that_cannot_be_removed_now_are_removed_later() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.upload(b"0123", b"4567")
    gateway.fail("p1", "delete")
    record = gateway.mend()
    assert record.litter
    assert record.due is not None
    assert record.due / 1000 - gateway.clock() >= 30, "and not at once again"
    gateway.settle()
    assert gateway.staged() == set()
    assert gateway.record().litter == ()


def test_parts_in_a_bucket_that_is_no_more_are_gone() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.upload(b"0123", b"4567")
    gateway.delete()
    for store in gateway.stores:
        store.buckets.clear()
    gateway.settle()
    assert gateway.record().due is None
    assert gateway.record().litter == ()


def test_the_list_of_an_object_that_is_replaced_while_its_parts_are_removed_goes_too() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    record = gateway.upload(b"0123", b"4567")
    assert record.current is not None
    gateway.do("p0", "delete", "after", lambda: gateway.another().put(b"one"))
    gateway.mend()
    gateway.settle()
    assert gateway.uploads.parts(record.current.upload) == []
    assert gateway.record().litter == ()
    assert gateway.get().data == b"one"


# Looking at what the dead left.


def dead_write(gateway: Gateway, body: bytes, *names: str) -> Generation:
    """A write that died after it reached these places; its lease is over."""
    gateway.do("catalog", "save", "before", killed)
    others = {store.name for store in gateway.stores} - set(names)
    gateway.down |= others
    with pytest.raises(KeyboardInterrupt):
        gateway.another().put(body, quorum=1)
    gateway.down -= others
    gateway.clock.sleep(LEASE_SECONDS)
    return gateway.record().intents[-1]


def test_what_a_dead_writer_left_is_removed_after_nothing_more_can_come() -> None:
    gateway = Gateway(VERSIONED, PLAIN, VERSIONED)
    gateway.put(b"old", quorum=3)
    dead_write(gateway, b"dead", "p0", "p1")
    assert gateway.get().data == b"old"
    assert gateway.mend().due is not None, "it may be slow, and not dead"
    gateway.clock.sleep(LATE_SECONDS)
    assert gateway.another().mend().due is None
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), b"old")
    assert gateway.versions(0) == [b"old"], "it needed no copy, and nothing is left of the dead one"
    assert ("p0", "copy") not in gateway.calls
    assert gateway.record().intents == ()


def test_what_a_dead_writer_left_of_a_new_object_is_removed() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    dead_write(gateway, b"dead", "p0", "p1")
    with pytest.raises(Missing):
        gateway.get()
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": None}
    assert gateway.versions(0) == []
    assert gateway.record().deleted is not None, "so that the record expires"


def test_more_dead_versions_than_are_taken_away_at_once_go_all_the_same() -> None:
    gateway = Gateway(VERSIONED, required=1)
    for number in range(12):
        dead_write(gateway, f"dead {number}".encode(), "p0")
    assert len(gateway.versions(0)) == 12
    gateway.settle()
    assert gateway.versions(0) == []
    gateway.put(b"old")
    for number in range(12):
        dead_write(gateway, f"dead {number}".encode(), "p0")
    gateway.settle()
    assert gateway.versions(0) == [b"old"]


def test_a_place_that_lets_no_version_be_removed_is_covered() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(b"old", quorum=2)
    dead_write(gateway, b"dead", "p0")
    remove = gateway.stores[0].delete

    def refuses(bucket: str, key: str, version: str | None = None) -> None:
        if version is not None:
            raise Refused("no DeleteObjectVersion")
        remove(bucket, key)

    gateway.stores[0].delete = refuses  # type: ignore[method-assign]  # a policy that many have
    gateway.settle()
    assert gateway.bodies() == {"p0": b"old", "p1": b"old"}
    assert gateway.record().intents == ()
    dead_write(gateway, b"dead", "p0")
    gateway.delete()
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": None}


def test_what_arrived_without_an_answer_is_not_copied_again() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.fail("p1", "put", "after")
    gateway.put(b"one")
    assert gateway.states()["p1"] == "PENDING"
    held = gateway.leases.take(BUCKET, KEY)
    doubted = {**held.copies, "p1": Copy(doubt=True)}
    gateway.leases.end(msgspec.structs.replace(held, copies=doubted), held)
    gateway.calls.clear()
    assert gateway.mend().due is None
    assert ("p1", "put") not in gateway.calls
    assert gateway.versions(1) == [b"one"]


def test_what_somebody_else_put_there_after_a_deletion_stays() -> None:
    gateway = Gateway(PLAIN, PLAIN)
    gateway.put(b"one")
    gateway.down = {"p1"}
    gateway.delete()
    gateway.down = set()
    foreign = Generation(id="", made=0, size=6, etag=md5(b"theirs"))
    gateway.stores[1].put(BUCKET, KEY, b"theirs", foreign)
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": b"theirs"}
    assert gateway.record().due is None


def test_a_place_that_does_not_answer_keeps_nobody_waiting_for_the_lease() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.stores[0].buckets[BUCKET].clear()
    gateway.get()
    gateway.down = {"p0"}
    for _ in range(FAILURES_TO_OPEN):
        gateway.put(b"two", key="another")
    gateway.calls.clear()
    record = gateway.mend()
    assert ("p0", "head") not in gateway.calls
    assert record.copies["p0"].doubt


@pytest.mark.parametrize("error", [Unreachable("down"), Refused("no"), BadRequest("too large")])
def test_a_copy_that_cannot_be_uncovered_now_stays_readable_and_in_doubt(error: NearsideError) -> None:
    gateway = Gateway(VERSIONED, required=1)
    gateway.put(b"one")
    gateway.stores[0].put(BUCKET, KEY, b"theirs", Generation(id="", made=0, size=6, etag=""))
    held = gateway.leases.take(BUCKET, KEY)
    doubted = {"p0": msgspec.structs.replace(held.copies["p0"], doubt=True)}
    gateway.leases.end(msgspec.structs.replace(held, copies=doubted), held)
    gateway.fail("p0", "copy", error=error)
    record = gateway.mend()
    assert record.copies["p0"].doubt
    assert record.due is not None
    assert gateway.get().data == b"one"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"one"}


def test_a_look_that_takes_too_long_counts_for_nothing_and_leaves_a_doubt() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.stores[0].buckets[BUCKET].clear()
    gateway.get()

    def somebody_else() -> None:
        gateway.clock.sleep(10 * LEASE_SECONDS)
        gateway.another().put(b"two")

    gateway.do("p0", "head", "before", somebody_else)
    with pytest.raises(LeaseLost):
        gateway.mend()
    gateway.settle()
    assert gateway.bodies() == {"p0": b"two", "p1": b"two"}


def test_a_copy_that_was_never_proved_is_better_than_none() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1, verify=True)
    gateway.put(b"one")
    gateway.fail("p1", "put", "after")
    gateway.mend()
    assert gateway.states() == {"p0": "COMPLETED", "p1": "PENDING"}
    gateway.stores[0].buckets[BUCKET].clear()
    with pytest.raises(NearsideError):
        gateway.get()
    before = gateway.record().current
    held = gateway.leases.take(BUCKET, KEY)
    doubted = {name: msgspec.structs.replace(copy, doubt=True) for name, copy in held.copies.items()}
    gateway.leases.end(msgspec.structs.replace(held, copies=doubted), held)
    gateway.settle()
    assert gateway.record().current == before
    assert gateway.bodies() == {"p0": b"one", "p1": b"one"}


def test_a_write_that_nobody_was_answered_for_takes_the_place_of_one_that_is_gone() -> None:
    """And the list of the parts of what is gone goes with it."""
    gateway = Gateway(PLAIN, required=1)
    record = gateway.upload(b"0123", b"4567")
    gateway.settle()
    assert record.current is not None
    dead_write(gateway, b"dead", "p0")
    gateway.settle()
    assert gateway.get().data == b"dead"
    assert gateway.uploads.parts(record.current.upload) == []
    assert gateway.record().litter == ()


def test_what_nothing_can_be_done_for_yet_costs_no_write() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=2)
    gateway.writer.put(BUCKET, KEY, b"x", Described(), Conditions(), None)
    [lacking] = [name for name, copy in gateway.record().copies.items() if copy.state != "COMPLETED"]
    for _ in range(3):
        with pytest.raises(Unreachable):
            gateway.places.ask(lacking, fails)
    before = gateway.record()
    calls: list[str] = []
    gateway.records.fault = lambda method, when: calls.append(method)
    gateway.replicator.mend(BUCKET, KEY)
    assert gateway.record() == before
    assert set(calls) == {"load"}
    gateway.clock.sleep(61.0)  # the place is tried again, and the record is due
    gateway.replicator.mend(BUCKET, KEY)
    assert gateway.record().due is None


def fails(store: Store) -> None:
    raise Unreachable("it is away")

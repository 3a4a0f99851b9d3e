"""Writing, copying and removing objects: what is promised, and what is left when something goes wrong."""

import hashlib
import threading
from typing import Any

import msgspec
import pytest

from nearside.errors import BadRequest, Contended, Missing, NearsideError, Refused, Unreachable
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.errors import LeaseLost, MissingUpload, PreconditionFailed, Unavailable
from nearside.gateway.leases import CALL_SECONDS, LATE_SECONDS, LEASE_SECONDS
from nearside.gateway.spreading import Spreader
from nearside.gateway.undoing import MAX_INTENTS
from tests.unit.gateway_core import BUCKET, KEY, PLAIN, VERSIONED, Gateway, md5


def puts(gateway: Gateway) -> list[str]:
    return [name for name, method in gateway.calls if method == "put"]


# Where a write goes.


def test_a_write_goes_to_as_many_places_as_are_required_and_the_rest_is_told_to_the_replicator() -> None:
    gateway = Gateway(VERSIONED, PLAIN, VERSIONED)
    record = gateway.put(b"one")
    assert puts(gateway) == ["p0", "p1"]
    assert gateway.states() == {"p0": "COMPLETED", "p1": "COMPLETED", "p2": "PENDING"}
    assert gateway.bodies() == {"p0": b"one", "p1": b"one", "p2": None}
    assert gateway.told == [(BUCKET, KEY)]
    assert gateway.record() == record
    assert record.due is not None
    current = record.current
    assert current is not None
    assert (current.etag, current.sha256, current.size) == (md5(b"one"), hashlib.sha256(b"one").hexdigest(), 3)
    assert gateway.is_free()


def test_the_required_places_are_written_at_once() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=3, spreader=Spreader)
    everybody = threading.Barrier(3)
    for store in gateway.stores:
        gateway.do(store.name, "put", "before", lambda: everybody.wait(10))
    gateway.put(b"one")
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), b"one")
    assert gateway.told == []
    assert gateway.record().due is None


def test_all_places_are_written_at_once_when_nothing_is_to_be_done_later() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=1, async_upload=False)
    gateway.put(b"one")
    assert puts(gateway) == ["p0", "p1", "p2"]
    assert gateway.record().due is None


def test_a_place_that_does_not_take_it_is_made_up_for_by_the_next() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.down = {"p0"}
    gateway.put(b"one")
    assert gateway.states() == {"p0": "PENDING", "p1": "COMPLETED", "p2": "COMPLETED"}
    assert gateway.copy("p0").why == "p0 does not answer"


def test_fewer_than_required_is_a_success_that_is_told_as_partial_and_made_good() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.down = {"p0", "p2"}
    gateway.put(b"one")
    assert gateway.record().holders() == ["p1"]
    gateway.down = set()
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), b"one")


def test_a_place_that_is_left_alone_does_not_keep_a_client_waiting() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.down = {"p1"}
    for _ in range(3):
        gateway.put(b"one")
    gateway.calls.clear()
    gateway.put(b"two")
    assert puts(gateway) == ["p0"]
    gateway.down = {"p0"}
    gateway.put(b"three")
    assert gateway.record().holders() == ["p1"], "but it is asked when nobody else takes it"


def test_a_quorum_that_needs_it_asks_a_place_that_is_left_alone() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.down = {"p1"}
    for _ in range(3):
        with pytest.raises(Unavailable):
            gateway.put(b"one", quorum=2)
    gateway.down = set()
    gateway.put(b"two", quorum=2)
    assert gateway.record().holders() == ["p0", "p1"]


def test_a_bucket_that_a_place_lacks_is_made_there() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.stores[1].buckets.clear()
    gateway.put(b"one")
    assert gateway.bodies() == {"p0": b"one", "p1": b"one"}


# When none takes it.


@pytest.mark.parametrize("kind", [VERSIONED, PLAIN])
def test_none_at_all_is_an_error_500_and_nothing_is_left(kind: bool) -> None:
    gateway = Gateway(kind, kind, kind)
    gateway.down = {"p0", "p1", "p2"}
    with pytest.raises(NearsideError) as caught:
        gateway.put(b"one")
    assert (caught.value.status, caught.value.code) == (500, "InternalError")
    assert "p0 does not answer" in str(caught.value)
    assert gateway.is_free()
    gateway.down = set()
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"))
    with pytest.raises(Missing):
        gateway.get()


@pytest.mark.parametrize("kind", [VERSIONED, PLAIN])
def test_what_a_place_took_and_could_not_say_so_is_removed(kind: bool) -> None:
    gateway = Gateway(kind, kind, required=2)
    for name in ("p0", "p1"):
        gateway.fail(name, "put", "after")
    with pytest.raises(NearsideError):
        gateway.put(b"one")
    assert gateway.told == [(BUCKET, KEY)]
    with pytest.raises(Missing):
        gateway.get()
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1"))
    assert gateway.versions(0) == [], "not even as an old version"


def test_places_that_all_refuse_leave_no_trace_in_the_catalog() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    for store in gateway.stores:
        store.locked = True
    with pytest.raises(NearsideError):
        gateway.put(b"one")
    assert gateway.records.items == {}
    assert gateway.told == []


def test_the_object_before_stays_when_none_takes_the_new_one() -> None:
    gateway = Gateway(VERSIONED, PLAIN, required=2)
    before = gateway.put(b"old")
    gateway.down = {"p0", "p1"}
    with pytest.raises(NearsideError):
        gateway.put(b"new")
    gateway.down = set()
    assert gateway.get().data == b"old"
    gateway.settle()
    assert gateway.record().current == before.current
    assert gateway.bodies() == {"p0": b"old", "p1": b"old"}


def test_of_two_places_without_versions_one_is_not_written_over_before_the_other_has_it() -> None:
    """Else both could be left with bytes that nobody was answered for."""
    gateway = Gateway(PLAIN, PLAIN)
    gateway.put(b"old")
    seen: list[dict[str, bytes | None]] = []
    gateway.do("p0", "put", "before", lambda: seen.append(gateway.bodies()))
    gateway.put(b"new")
    assert seen == [{"p0": b"old", "p1": b"new"}]


def test_a_place_without_versions_that_took_it_or_not_ends_with_what_clients_read() -> None:
    gateway = Gateway(PLAIN, required=1)
    gateway.put(b"old")
    gateway.fail("p0", "put", "after")
    with pytest.raises(NearsideError):
        gateway.put(b"new")
    gateway.settle()  # the old one is gone: the one that nobody was answered for takes its place
    assert gateway.get().data == b"new"
    assert gateway.bodies() == {"p0": b"new"}


# Quorum.


def test_a_quorum_is_met_at_once() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, required=1)
    gateway.put(b"one", quorum=3)
    assert gateway.record().holders() == ["p0", "p1", "p2"]


def test_a_quorum_that_is_not_met_is_an_error_and_everything_is_as_before() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    before = gateway.put(b"old")
    gateway.settle()
    gateway.down = {"p2"}
    with pytest.raises(Unavailable, match="X-Write-Quorum is 3: 2 took it"):
        gateway.put(b"new", quorum=3)
    assert gateway.get().data == b"old"
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), b"old")
    assert gateway.record().current == before.current
    assert gateway.is_free()
    gateway.down = set()
    gateway.settle()
    assert [gateway.versions(n) for n in range(3)] == [[b"old"]] * 3


def test_a_quorum_that_cannot_be_met_writes_over_nothing_that_could_not_be_had_back() -> None:
    """One place without versions would have lost the object to a write that was refused, and the place with versions
    that still has it does not answer: it could not be read until that comes back."""
    gateway = Gateway(VERSIONED, PLAIN, PLAIN, required=3)
    gateway.put(b"old")
    gateway.down = {"p0"}
    with pytest.raises(Unavailable, match="X-Write-Quorum is 3: 0 took it"):
        gateway.put(b"new", quorum=3)
    assert gateway.bodies() == {"p0": b"old", "p1": b"old", "p2": b"old"}
    assert gateway.get().data == b"old"


def test_a_quorum_with_too_few_places_is_refused_before_anything_is_written() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    with pytest.raises(Unavailable):
        gateway.put(b"one", quorum=3)
    assert gateway.calls == []
    assert gateway.records.items == {}


# Conditions.


def test_of_two_that_may_only_create_one_does() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        gateway.put(b"two", if_none_match="*")
    assert gateway.is_free()
    assert gateway.get().data == b"one"


def test_a_condition_is_judged_by_what_is_there_then() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    with pytest.raises(Missing):
        gateway.put(b"two", if_match=md5(b"one"))
    assert gateway.records.items == {}
    gateway.put(b"one")
    gateway.put(b"two", if_match=f'"{md5(b"one")}"')
    with pytest.raises(PreconditionFailed):
        gateway.put(b"three", if_match=md5(b"one"))
    with pytest.raises(PreconditionFailed):
        gateway.writer.delete(BUCKET, KEY, Conditions(if_match=md5(b"one")))
    assert gateway.get().data == b"two"
    assert gateway.is_free()


# Two at once.


def test_a_second_writer_waits_for_the_first() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    other = gateway.another()

    def in_between() -> None:
        with pytest.raises(Contended):
            other.put(b"two")

    gateway.do("p0", "put", "before", in_between)
    gateway.put(b"one")
    assert gateway.get().data == b"one"


def test_a_writer_that_is_too_slow_is_told_so_and_what_it_did_is_put_right() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1)
    other = gateway.another()

    def somebody_else() -> None:
        gateway.clock.sleep(LEASE_SECONDS)
        other.put(b"theirs", quorum=2)

    gateway.do("p0", "put", "before", somebody_else)  # what comes after it arrives in p0 later than theirs
    with pytest.raises(LeaseLost):
        gateway.put(b"ours")
    assert gateway.bodies() == {"p0": b"ours", "p1": b"theirs"}
    assert gateway.get().data == b"theirs"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"theirs", "p1": b"theirs"}


def test_what_a_slow_writer_does_after_it_died_is_found_too() -> None:
    """It landed after somebody else's write, and nobody came back to tell."""
    gateway = Gateway(VERSIONED, VERSIONED)

    def dies() -> None:
        raise KeyboardInterrupt

    gateway.do("p1", "put", "before", dies)
    with pytest.raises(KeyboardInterrupt):
        gateway.put(b"ours")
    ours = gateway.record().intents[0]
    gateway.clock.sleep(LEASE_SECONDS)
    gateway.another().put(b"theirs")
    assert gateway.record().due is not None
    gateway.stores[1].put(BUCKET, KEY, b"ours", ours)  # it was under way all the time
    gateway.settle()
    assert gateway.bodies() == {"p0": b"theirs", "p1": b"theirs"}
    assert gateway.versions(1) == [b"theirs"]
    assert gateway.record().intents == ()


def test_no_place_is_asked_when_the_lease_is_nearly_over() -> None:
    gateway = Gateway(PLAIN, PLAIN, PLAIN, required=1)
    gateway.down = {"p0"}
    gateway.do("p0", "put", "before", lambda: gateway.clock.sleep(LEASE_SECONDS - CALL_SECONDS + 1))
    with pytest.raises(NearsideError):
        gateway.put(b"ours")
    assert puts(gateway) == ["p0"]
    assert gateway.is_free()
    gateway.down = set()
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"))


def test_undoing_too_late_removes_nothing_of_somebody_elses() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1)
    other = gateway.another()

    def somebody_else() -> None:
        gateway.clock.sleep(LEASE_SECONDS)
        gateway.down = set()
        other.put(b"theirs")
        gateway.down = {"p1"}

    gateway.down = {"p1"}
    gateway.do("p1", "put", "before", somebody_else)
    with pytest.raises(Unavailable):
        gateway.put(b"ours", quorum=2)  # p0 took it, p1 did not: it is to be removed from p0 again
    gateway.down = set()
    assert gateway.get().data == b"theirs"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"theirs", "p1": b"theirs"}


# The catalog fails.


def test_a_write_that_the_catalog_does_not_hear_of_leaves_the_object_as_it_was() -> None:
    gateway = Gateway(VERSIONED, PLAIN, PLAIN)
    gateway.put(b"old")
    gateway.settle()
    gateway.fail("catalog", "save")
    with pytest.raises(Unreachable):
        gateway.put(b"new")
    assert gateway.get().data == b"old"
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1", "p2"), b"old")
    assert gateway.versions(0) == [b"old"]


def test_a_write_whose_commit_was_not_answered_counts_or_not_but_not_in_part() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.put(b"old")
    gateway.fail("catalog", "save", "after")
    with pytest.raises(Unreachable):
        gateway.put(b"new")
    gateway.settle()
    assert gateway.get().data == b"new"
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}


def test_nothing_is_written_when_the_catalog_does_not_answer() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.records.down = True
    with pytest.raises(Unreachable):
        gateway.put(b"one")
    with pytest.raises(Unreachable):
        gateway.delete()
    assert gateway.calls == []


@pytest.mark.parametrize("place", ["p0", "p1"])
def test_something_unexpected_gives_the_lease_back_and_what_was_done_is_looked_at(place: str) -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"old")
    gateway.fail(place, "put", "after", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        gateway.put(b"new")
    assert gateway.is_free()
    assert gateway.get().data == b"old"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"old", "p1": b"old"}
    gateway.fail(place, "delete", "after", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        gateway.delete()
    assert gateway.is_free()
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": None}


def test_a_client_that_tries_again_and_again_does_not_fill_the_record() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.down = {"p0", "p1"}
    for _ in range(MAX_INTENTS + 10):
        with pytest.raises(NearsideError):
            gateway.put(b"one")
    assert len(gateway.record().intents) <= MAX_INTENTS
    gateway.down = set()
    gateway.settle()
    assert gateway.record().intents == ()


# Verified writes.


def test_a_write_is_read_back_where_that_is_asked_for() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED, verify=True)
    gateway.stores[0].wrong = True
    gateway.put(b"one")
    assert gateway.record().holders() == ["p1", "p2"]
    assert "other bytes" in gateway.copy("p0").why


@pytest.mark.parametrize("error", [Refused("no GetObject"), Missing("not yet"), BadRequest("what?")])
def test_a_place_that_cannot_be_read_back_has_it_all_the_same(error: NearsideError) -> None:
    """It took the object, so it is not as it was before: not even where it says no."""
    gateway = Gateway(PLAIN, PLAIN, verify=True)
    for name in ("p0", "p1"):
        gateway.fail(name, "get", error=error)
    with pytest.raises(NearsideError):
        gateway.put(b"one", quorum=1)
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": None}


# Deleting.


@pytest.mark.parametrize("kind", [VERSIONED, PLAIN])
def test_deleting_removes_the_object_everywhere(kind: bool) -> None:
    gateway = Gateway(kind, kind)
    gateway.put(b"one")
    record = gateway.delete()
    assert record is not None
    assert record.due is None
    assert gateway.states() == {"p0": "ABSENT", "p1": "ABSENT"}
    assert gateway.bodies() == {"p0": None, "p1": None}
    with pytest.raises(Missing):
        gateway.get()
    assert gateway.is_free()
    assert gateway.delete() is None


def test_deleting_nothing_leaves_no_record() -> None:
    gateway = Gateway(VERSIONED)
    assert gateway.delete() is None
    assert gateway.records.items == {}


def test_it_is_deleted_though_a_place_does_not_answer_and_that_place_forgets_it_later() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.down = {"p1"}
    gateway.delete()
    with pytest.raises(Missing):
        gateway.get()
    assert gateway.told == [(BUCKET, KEY)]
    assert gateway.bodies()["p1"] == b"one"
    gateway.down = set()
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": None}
    assert gateway.record().due is None


def test_from_the_moment_the_catalog_says_so_it_is_deleted_though_the_process_dies() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")

    def dies() -> None:
        raise KeyboardInterrupt

    gateway.do("p0", "delete", "before", dies)
    with pytest.raises(KeyboardInterrupt):
        gateway.delete()
    with pytest.raises(Missing):
        gateway.get()
    gateway.settle()
    assert gateway.bodies() == {"p0": None, "p1": None}
    assert gateway.record().intents == ()


@pytest.mark.parametrize("kind", [VERSIONED, PLAIN])
def test_a_deletion_that_comes_late_does_not_take_what_was_written_after_it(kind: bool) -> None:
    gateway = Gateway(kind, kind, required=1)
    gateway.put(b"old", quorum=2)
    other = gateway.another()

    def somebody_else() -> None:
        gateway.clock.sleep(LEASE_SECONDS)
        other.put(b"new", quorum=2)

    gateway.do("p0", "delete", "before", somebody_else)
    gateway.delete()
    assert gateway.bodies() == {"p0": None, "p1": b"new"}
    assert gateway.get().data == b"new"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}


def test_a_deletion_that_comes_late_from_a_process_that_died_is_found_too() -> None:
    gateway = Gateway(PLAIN, PLAIN, required=1)
    gateway.put(b"old", quorum=2)

    def dies() -> None:
        raise KeyboardInterrupt

    gateway.do("p0", "delete", "before", dies)
    with pytest.raises(KeyboardInterrupt):
        gateway.delete()
    gateway.clock.sleep(LEASE_SECONDS)
    gateway.another().put(b"new", quorum=2)
    gateway.stores[0].delete(BUCKET, KEY)  # it was under way all the time
    gateway.settle()
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}


# Copying and tagging.


def copied(gateway: Gateway, key: str, quorum: int | None = None, **described: Any) -> None:
    source = gateway.reader.find(BUCKET, KEY)
    gateway.writer.copy(source, BUCKET, key, Described(**described), Conditions(), quorum)


def test_a_copy_is_made_by_the_places_that_have_the_source() -> None:
    gateway = Gateway(VERSIONED, PLAIN, VERSIONED)
    gateway.put(b"one")
    gateway.calls.clear()
    copied(gateway, "b", headers={"content-type": "text/plain"})
    assert gateway.calls == [("p0", "copy"), ("p1", "copy")]
    assert gateway.bodies("b") == {"p0": b"one", "p1": b"one", "p2": None}
    current = gateway.record("b").current
    assert current is not None
    assert (current.etag, current.headers) == (md5(b"one"), {"content-type": "text/plain"})
    gateway.settle()
    assert gateway.bodies("b")["p2"] == b"one"


def test_a_copy_of_what_was_replaced_meanwhile_does_not_take_the_new_bytes() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.put(b"one")
    source = gateway.reader.find(BUCKET, KEY)
    gateway.put(b"two")
    gateway.writer.copy(source, BUCKET, "b", Described(), Conditions(), None)
    assert gateway.record("b").holders() == ["p0"], "which has the old version still"
    assert gateway.bodies("b") == {"p0": b"one", "p1": None}


def test_a_copy_with_a_quorum_that_too_few_have_the_source_for_writes_nothing() -> None:
    gateway = Gateway(PLAIN, PLAIN, PLAIN)
    gateway.put(b"one")
    gateway.put(b"there", key="b", quorum=3)
    gateway.calls.clear()
    with pytest.raises(Unavailable):
        copied(gateway, "b", quorum=3)
    assert gateway.calls == []
    assert gateway.get(key="b").data == b"there"


def test_a_copy_of_parts_that_are_in_no_place_as_one_object_has_to_wait() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.upload(b"part 1", b"part 2")
    with pytest.raises(Unavailable):
        copied(gateway, "b")
    gateway.settle()
    copied(gateway, "b")
    assert gateway.bodies("b") == {"p0": b"part 1part 2", "p1": b"part 1part 2"}


def test_tags_are_the_catalogs_alone() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.calls.clear()
    record = gateway.writer.retag(BUCKET, KEY, {"a": "b"})
    assert record.current is not None
    assert record.current.tags == {"a": "b"}
    assert gateway.calls == []
    assert gateway.is_free()
    with pytest.raises(Missing):
        gateway.writer.retag(BUCKET, "nothing", {})
    assert gateway.is_free("nothing")


def test_tags_set_while_a_copy_is_under_way_are_kept() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1)
    gateway.put(b"one")
    gateway.do("p0", "get", "after", lambda: gateway.another().writer.retag(BUCKET, KEY, {"a": "b"}))
    gateway.mend()
    assert gateway.states() == {"p0": "COMPLETED", "p1": "COMPLETED"}
    current = gateway.record().current
    assert current is not None
    assert current.tags == {"a": "b"}


# Objects made of parts.


def test_an_object_of_parts_counts_at_once_and_its_parts_go_when_places_have_it() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    record = gateway.upload(b"part 1", b"part 2")
    assert record.staged
    assert record.holders() == []
    assert gateway.get().data == b"part 1part 2"
    gateway.settle()
    assert gateway.bodies() == dict.fromkeys(("p0", "p1"), b"part 1part 2")
    assert gateway.staged() == set()
    assert not gateway.record().staged
    assert gateway.record().litter == ()
    assert gateway.get("verified").data == b"part 1part 2", "the list of parts stays, with their SHA-256"


@pytest.mark.parametrize("delete", [True, False])
def test_the_parts_of_an_object_that_is_no_more_are_removed_with_their_list(delete: bool) -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    record = gateway.upload(b"part 1", b"part 2")
    assert record.current is not None
    if delete:
        gateway.delete()
    else:
        gateway.put(b"one")
    gateway.settle()
    assert gateway.staged() == set()
    assert gateway.uploads.parts(record.current.upload) == []
    assert gateway.record().litter == ()


def test_an_upload_whose_object_was_replaced_cannot_be_committed_again() -> None:
    """Its parts are about to be removed."""
    gateway = Gateway(VERSIONED, PLAIN)
    record = gateway.upload(b"part 1", b"part 2")
    assert record.current is not None
    assert gateway.writer.commit(BUCKET, KEY, record.current, Conditions()).current == record.current
    gateway.delete()
    with pytest.raises(MissingUpload):
        gateway.writer.commit(BUCKET, KEY, record.current, Conditions())
    assert gateway.is_free()
    with pytest.raises(Missing):
        gateway.get()


def test_the_uploads_by_which_copies_were_under_way_are_ended_with_their_object() -> None:
    for act in (Gateway.delete, lambda gateway: gateway.put(b"new")):
        gateway = Gateway(VERSIONED, VERSIONED, required=1, chunk_bytes=4)
        gateway.put(b"a large one")
        chunks = iter([False, True])
        gateway.out_of_time = lambda chunks=chunks: next(chunks, True)  # type: ignore[misc]  # mypy infers no default
        with pytest.raises(NearsideError):
            gateway.mend()
        assert gateway.copy("p1").multipart in gateway.stores[1].multiparts
        act(gateway)
        assert gateway.stores[1].multiparts == {}


def test_intents_of_the_dead_are_kept_until_nothing_of_them_can_arrive() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    held = gateway.leases.take(BUCKET, KEY, gateway.leases.errand())
    gateway.leases.end(msgspec.structs.replace(held, intents=(gateway.leases.errand(),)), held)
    record = gateway.put(b"one")
    assert len(record.intents) == 1
    gateway.clock.sleep(LATE_SECONDS)
    assert gateway.put(b"two").intents == ()


def test_what_every_place_refuses_to_have_is_the_clients_fault() -> None:
    gateway = Gateway(VERSIONED, PLAIN)

    def refuse(method: str, when: str) -> None:
        if method == "put":
            raise BadRequest("it cannot have the key")

    for store in gateway.stores:
        store.fault = refuse
    with pytest.raises(BadRequest, match="no place can have it"):
        gateway.writer.put(BUCKET, "a//b", b"x", Described(), Conditions(), None)
    assert gateway.records.load(BUCKET, "a//b") is None

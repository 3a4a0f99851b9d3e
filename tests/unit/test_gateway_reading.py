"""Reading objects: from where, in which version, and what is proved."""

import hashlib

import msgspec
import pytest

from nearside.errors import BadRequest, Missing, NearsideError, Refused, Unreachable
from nearside.gateway.errors import NotSupported, Replaced, Unavailable
from nearside.gateway.leases import LEASE_SECONDS
from nearside.gateway.reading import MAX_VERIFIED_BYTES, told
from nearside.gateway.records import Copy, Part
from tests.unit.gateway_core import BUCKET, KEY, PLAIN, VERSIONED, Gateway, md5


def gets(gateway: Gateway) -> list[str]:
    return [name for name, method in gateway.calls if method == "get"]


# From where.


def test_the_primary_is_asked_and_nobody_else() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.calls.clear()
    body = gateway.get()
    assert (body.data, body.place) == (b"one", "p0")
    assert gateway.calls == [("p0", "get")]


@pytest.mark.parametrize("error", [Unreachable("down"), Refused("no"), Missing("gone")])
def test_a_place_that_does_not_give_it_is_passed_over(error: NearsideError) -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.put(b"one")
    gateway.fail("p0", "get", error=error)
    assert gateway.get().place == "p1"
    assert gateway.is_free()


def test_a_place_that_is_down_is_skipped_after_three_times() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.down = {"p0"}
    for _ in range(3):
        assert gateway.get().place == "p1"
    gateway.calls.clear()
    assert gateway.get().place == "p1"
    assert gets(gateway) == ["p1"]
    assert gateway.copy("p0").doubt is False, "nothing is known of it"


def test_a_place_that_is_left_alone_is_asked_when_nobody_else_gives_it() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.down = {"p0"}
    for _ in range(3):
        gateway.get()
    gateway.down = {"p1"}
    assert gateway.get().place == "p0"


def test_a_place_that_has_not_got_it_yet_is_not_asked() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.put(b"old", quorum=3)
    gateway.down = {"p0"}
    gateway.put(b"new")
    gateway.down = set()
    gateway.calls.clear()
    body = gateway.get()
    assert (body.data, body.place) == (b"new", "p1")
    assert gets(gateway) == ["p1"]


def test_when_no_place_that_has_it_answers_it_is_unavailable_and_not_missing() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.down = {"p0", "p1"}
    with pytest.raises(Unavailable, match="p0 does not answer"):
        gateway.get()


def test_when_the_catalog_does_not_answer_nothing_is_missing() -> None:
    gateway = Gateway(VERSIONED)
    gateway.put(b"one")
    gateway.records.down = True
    with pytest.raises(Unreachable):
        gateway.reader.find(BUCKET, KEY)
    with pytest.raises(Unreachable):
        gateway.reader.find(BUCKET, "nothing")


def test_ranges_are_read_of_the_right_version() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.put(b"0123456789")
    record = gateway.reader.find(BUCKET, KEY)
    assert gateway.reader.read(record, 3, 5).data == b"345"
    gateway.stores[0].buckets[BUCKET][KEY].append(None)  # somebody deleted it in the place itself
    assert gateway.reader.read(record, 0, 9).data == b"0123456789"


def test_an_object_of_no_bytes_is_read_without_asking_anybody() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"")
    gateway.calls.clear()
    body = gateway.get()
    assert (body.data, body.place) == (b"", "p0")
    assert gateway.calls == []


# Stale and foreign bytes.


def test_stale_bytes_are_never_given_under_latest() -> None:
    gateway = Gateway(PLAIN, PLAIN)
    gateway.put(b"old")
    gateway.put(b"new")
    held = gateway.stores[0].buckets[BUCKET][KEY][0]
    assert held is not None
    held.body, held.etag = b"old", md5(b"old")
    assert gateway.get().data == b"new"
    assert gateway.copy("p0").doubt
    assert gateway.told[-1] == (BUCKET, KEY)
    gateway.settle()
    assert gateway.bodies() == {"p0": b"new", "p1": b"new"}
    assert not gateway.copy("p0").doubt


def test_what_somebody_put_over_it_in_the_place_itself_is_not_given_either() -> None:
    gateway = Gateway(PLAIN, PLAIN)
    gateway.put(b"ours")
    gateway.stores[0]._write(BUCKET, KEY, b"theirs", msgspec.structs.replace(gateway.generation(), id=""))
    assert gateway.get().data == b"ours"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"ours", "p1": b"ours"}


def test_an_object_that_a_place_lost_is_given_back_to_it() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.stores[0].buckets[BUCKET].clear()
    assert gateway.get().place == "p1"
    assert gateway.copy("p0").doubt
    gateway.settle()
    assert gateway.bodies() == {"p0": b"one", "p1": b"one"}


def test_a_doubt_is_noted_once_and_does_not_put_off_what_is_due() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.stores[0].buckets[BUCKET].clear()
    gateway.get()
    due, told_so_far = gateway.record().due, len(gateway.told)
    gateway.clock.sleep(30.0)
    gateway.get()
    assert gateway.record().due == due
    assert len(gateway.told) == told_so_far


def test_a_read_does_not_fail_because_a_doubt_cannot_be_noted() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.stores[0].buckets[BUCKET].clear()
    gateway.fail("catalog", "save")
    assert gateway.get().data == b"one"


def test_a_read_does_not_fail_because_the_catalog_cannot_say_who_writes() -> None:
    gateway = Gateway(PLAIN, PLAIN)
    gateway.put(b"one")
    record = gateway.reader.find(BUCKET, KEY)
    gateway.stores[0]._write(BUCKET, KEY, b"theirs", msgspec.structs.replace(gateway.generation(), id=""))
    gateway.records.down = True
    assert gateway.reader.read(record, 0, 2).data == b"one"


# While somebody writes.


def test_a_read_of_what_is_being_written_over_waits_for_the_end_of_it() -> None:
    """Where there are no versions, the new bytes are there before they count."""
    gateway = Gateway(PLAIN)
    gateway.put(b"old")
    record = gateway.reader.find(BUCKET, KEY)
    new = msgspec.structs.replace(gateway.generation(), id="another")
    gateway.stores[0]._write(BUCKET, KEY, b"new", new)
    held, sleep = gateway.leases.take(BUCKET, KEY, new), gateway.clock.sleep

    def ends(seconds: float) -> None:
        sleep(seconds)
        if gateway.record().lease:
            gateway.leases.end(msgspec.structs.replace(held, current=new), held)

    gateway.leases._sleep = ends
    with pytest.raises(Replaced):
        gateway.reader.read(record, 0, 2)
    assert not gateway.copy("p0").doubt


def test_a_read_does_not_wait_for_ever() -> None:
    gateway = Gateway(PLAIN)
    gateway.put(b"old")
    gateway.stores[0]._write(BUCKET, KEY, b"new", msgspec.structs.replace(gateway.generation(), id="another"))
    gateway.leases.take(BUCKET, KEY)
    began = gateway.clock()
    with pytest.raises(Unavailable):
        gateway.get()
    assert 1 < gateway.clock() - began < LEASE_SECONDS / 2


def test_what_was_replaced_is_to_be_found_again() -> None:
    gateway = Gateway(PLAIN)
    gateway.put(b"old")
    record = gateway.reader.find(BUCKET, KEY)
    gateway.put(b"new")
    with pytest.raises(Replaced):
        gateway.reader.read(record, 0, 2)
    gateway.delete()
    with pytest.raises(Replaced):
        gateway.reader.read(record, 0, 2)
    assert gateway.is_free()


def test_where_there_are_versions_a_read_goes_on_with_the_one_it_began_with() -> None:
    gateway = Gateway(VERSIONED)
    gateway.put(b"old")
    record = gateway.reader.find(BUCKET, KEY)
    gateway.put(b"new")
    assert gateway.reader.read(record, 0, 2).data == b"old"


# `any`.


def test_any_is_what_some_place_has_when_the_catalog_does_not_answer() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"one")
    gateway.records.down = True
    gateway.down = {"p0"}
    body = gateway.get("any")
    assert (body.data, body.place) == (b"one", "p1")
    with pytest.raises(Missing):
        gateway.get("any", "nothing")
    gateway.down = {"p0", "p1"}
    with pytest.raises(Unavailable):
        gateway.get("any")


# `verified`.


def test_verified_bytes_are_those_that_were_written() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.put(b"0123456789")
    gateway.stores[0].wrong = True
    body = gateway.get("verified")
    assert (body.data, body.place) == (b"0123456789", "p1")
    assert gateway.reader.read(gateway.record(), 3, 5, "verified").data == b"345"
    gateway.stores[1].wrong = True
    with pytest.raises(Unavailable, match="not those that were written"):
        gateway.get("verified")


@pytest.mark.parametrize("kind", [VERSIONED, PLAIN])
def test_bytes_that_were_found_to_be_wrong_are_made_right(kind: bool) -> None:
    """The ETag is as it was, so that no look would show it."""
    gateway = Gateway(kind, kind)
    gateway.put(b"0123456789")
    held = gateway.stores[0].buckets[BUCKET][KEY][0]
    assert held is not None
    held.body = b"012345678X"
    assert gateway.get("verified").data == b"0123456789"
    assert gateway.states() == {"p0": "PENDING", "p1": "COMPLETED"}
    assert gateway.get().data == b"0123456789"
    gateway.settle()
    assert gateway.bodies() == {"p0": b"0123456789", "p1": b"0123456789"}


def test_the_last_copy_is_not_given_up_because_it_seems_wrong() -> None:
    gateway = Gateway(VERSIONED)
    gateway.put(b"one")
    gateway.stores[0].wrong = True
    with pytest.raises(Unavailable):
        gateway.get("verified")
    gateway.stores[0].wrong = False
    gateway.settle()
    assert gateway.get("verified").data == b"one"
    assert gateway.states() == {"p0": "COMPLETED"}


def test_parts_are_verified_one_by_one() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.upload(b"0123", b"4567", b"89")
    gateway.stores[0].wrong = True
    record = gateway.reader.find(BUCKET, KEY)
    assert gateway.reader.read(record, 5, 8, "verified").data == b"5678"
    gateway.stores[0].wrong = False
    gateway.settle()
    gateway.stores[0].wrong = True
    body = gateway.reader.read(gateway.record(), 5, 8, "verified")
    assert (body.data, body.place) == (b"5678", "p1")
    gateway.calls.clear()
    gateway.stores[0].wrong = False
    gateway.reader.read(gateway.record(), 4, 4, "verified")
    assert gets(gateway) == ["p1"], "p0 is to get it again first"


def test_what_has_no_sha256_cannot_be_verified() -> None:
    gateway = Gateway(VERSIONED)
    gateway.put(b"one")
    record = gateway.reader.find(BUCKET, KEY)
    assert record.current is not None
    unknown = msgspec.structs.replace(record, current=msgspec.structs.replace(record.current, sha256=""))
    with pytest.raises(NotSupported):
        gateway.reader.read(unknown, 0, 2, "verified")
    large = msgspec.structs.replace(record.current, size=MAX_VERIFIED_BYTES + 1)
    with pytest.raises(BadRequest, match=str(MAX_VERIFIED_BYTES)):
        gateway.reader.read(msgspec.structs.replace(record, current=large), 0, 0, "verified")


# Objects whose parts still lie aside.


def test_ranges_of_staged_parts_are_put_together() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.upload(b"0123", b"4567", b"89")
    record = gateway.reader.find(BUCKET, KEY)
    for first in range(10):
        for last in range(first, 10):
            assert gateway.reader.read(record, first, last).data == b"0123456789"[first : last + 1]


def test_a_part_without_bytes_is_not_asked_for() -> None:
    """A range of no bytes cannot be asked for."""
    gateway = Gateway(VERSIONED)
    gateway.upload(b"0123", b"", b"4567")
    gateway.calls.clear()
    assert gateway.get().data == b"01234567"
    assert gets(gateway) == ["p0", "p0"]
    assert gateway.get("verified").data == b"01234567"


def test_a_part_is_had_from_the_place_that_gives_it_right() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    gateway.upload(b"0123", b"4567")
    gateway.stores[0].wrong = True
    assert gateway.get().data == b"01234567"
    gateway.down = {"p0", "p1"}
    with pytest.raises(Unavailable):
        gateway.get()


@pytest.mark.parametrize("consistency", ["latest", "verified"])
def test_a_read_goes_on_when_the_object_is_put_together_meanwhile(consistency: str) -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.upload(b"0123", b"4567")
    record = gateway.reader.find(BUCKET, KEY)
    gateway.settle()
    assert record.staged
    assert gateway.reader.read(record, 2, 5, "verified" if consistency == "verified" else "latest").data == b"2345"


@pytest.mark.parametrize("consistency", ["latest", "verified"])
def test_a_read_of_parts_that_are_gone_says_that_the_object_was_replaced(consistency: str) -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.upload(b"0123", b"4567")
    record = gateway.reader.find(BUCKET, KEY)
    gateway.delete()
    gateway.settle()
    with pytest.raises(Replaced):
        gateway.reader.read(record, 2, 5, "verified" if consistency == "verified" else "latest")


def test_a_list_of_which_some_parts_are_gone_gives_no_other_bytes() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    record = gateway.upload(b"0123", b"4567", b"8901")
    assert record.current is not None
    gateway.uploads.remove_parts(record.current.upload, [1])
    with pytest.raises(Unavailable):
        gateway.another().reader.read(record, 0, 3)


# Redirects.


def test_a_redirect_leads_to_that_version_in_a_place_that_has_it() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.put(b"one")
    url, place = gateway.reader.redirect(gateway.record(), {"response-content-type": "text/plain"})
    assert place == "p0"
    assert f"v={gateway.copy('p0').version}" in url
    assert "text/plain" in url
    gateway.down = {"p0"}
    assert gateway.reader.redirect(gateway.record(), {})[1] == "p1"
    gateway.down = {"p0", "p1"}
    with pytest.raises(Unavailable):
        gateway.reader.redirect(gateway.record(), {})


def test_a_redirect_never_leads_to_what_is_not_there() -> None:
    gateway = Gateway(PLAIN, PLAIN)
    gateway.put(b"one")
    gateway.stores[0].buckets[BUCKET].clear()
    assert gateway.reader.redirect(gateway.record(), {})[1] == "p1"
    assert gateway.copy("p0").doubt


def test_a_redirect_knows_where_the_object_is_by_now() -> None:
    gateway = Gateway(VERSIONED, PLAIN)
    gateway.upload(b"0123", b"4567")
    record = gateway.reader.find(BUCKET, KEY)
    with pytest.raises(Unavailable):
        gateway.reader.redirect(record, {})
    gateway.settle()
    url, place = gateway.reader.redirect(record, {})
    assert (place, f"v={gateway.copy('p0').version}" in url) == ("p0", True)


# What is told.


def test_what_is_told_of_an_object() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    record = gateway.put(b"one")
    assert told(record, gateway.places, gateway.promise, "p1") == {
        "x-backend-used": "p1",
        "x-backend-count": "2",
        "x-backend-zones": "zone-p0,zone-p1",
        "x-replication-status": "complete",
        "x-replication-detail": "p0=COMPLETED, p1=COMPLETED, p2=PENDING",
    }


def test_fewer_than_required_is_told_as_partial() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, VERSIONED)
    gateway.down = {"p0", "p2"}
    record = gateway.put(b"one")
    assert told(record, gateway.places, gateway.promise, None) == {
        "x-backend-count": "1",
        "x-backend-zones": "zone-p1",
        "x-replication-status": "partial",
        "x-replication-detail": "p0=PENDING, p1=COMPLETED, p2=PENDING",
    }
    staged = gateway.upload(b"0123")
    headers = told(staged, gateway.places, gateway.promise, None)
    assert (headers["x-backend-count"], headers["x-backend-zones"]) == ("0", "")
    assert headers["x-replication-status"] == "partial"


def test_a_place_that_came_later_is_told_as_pending_and_one_that_went_is_not_told() -> None:
    gateway = Gateway(VERSIONED, VERSIONED)
    record = gateway.put(b"one")
    copies = {"p0": record.copies["p0"], "gone": Copy(state="COMPLETED")}
    headers = told(msgspec.structs.replace(record, copies=copies), gateway.places, gateway.promise, None)
    assert headers["x-replication-detail"] == "p0=COMPLETED, p1=PENDING"
    assert headers["x-backend-count"] == "1"


def test_the_etag_that_is_compared_is_the_places_own() -> None:
    gateway = Gateway(VERSIONED, VERSIONED, required=1, chunk_bytes=4)
    gateway.put(b"a large one")
    gateway.settle()
    assert gateway.copy("p0").etag == md5(b"a large one")
    assert gateway.copy("p1").etag != md5(b"a large one")
    gateway.down = {"p0"}
    assert gateway.get().data == b"a large one"


def test_parts_came_as_they_are_listed() -> None:
    part = Part(number=1, size=4, etag="", sha256=hashlib.sha256(b"0123").hexdigest(), made=0, staged="s", copies={})
    gateway = Gateway(VERSIONED)
    gateway.uploads.put_part("u", part)
    with pytest.raises(Unavailable):
        gateway.parts.read(BUCKET, part, 0, 3)

"""Reconcile: whatever places and catalog hold, what it reports is true, and once that is mended it finds nothing."""

from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from nearside.errors import Unreachable
from nearside.gateway import leftovers, merging, reconciling, settling
from nearside.gateway.copying import Copier
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.differences import Difference, Report
from nearside.gateway.leftovers import OLD_SECONDS, Leftovers
from nearside.gateway.merging import Merge, Row
from nearside.gateway.parts import PartsOf
from nearside.gateway.reading import Reader
from nearside.gateway.reconciling import Asked, Progress, Reconciler
from nearside.gateway.records import Bucket, Copy, Generation, Lease, Listed, Part, Record, Seen, Upload
from nearside.gateway.replicating import Replicator
from nearside.gateway.settling import Settler
from nearside.gateway.spreading import Spreader
from nearside.gateway.writing import Writer
from tests.unit.gateway_memory import (
    PROMISE,
    Clock,
    MemoryRecords,
    MemoryStore,
    MemoryUploads,
    leases_of,
    places_of,
)

BUCKET = "photos"
DAY = 86400.0


class Gateway:
    """Places, the real writer and replicator, and reconcile."""

    def __init__(self, versions: Sequence[bool] = (True, False, True)) -> None:
        self.clock = Clock()
        self.stores = [
            MemoryStore(f"p{number}", versions=kind, clock=self.clock) for number, kind in enumerate(versions)
        ]
        for store in self.stores:
            store.buckets[BUCKET] = {}
        self.records, self.uploads = MemoryRecords(), MemoryUploads()
        self.records.made[BUCKET] = Bucket(BUCKET, 0)
        self.queue: list[str] = []
        self.start()

    def start(self) -> None:
        """A process, with the places as they are now."""
        self.places = places_of(self.stores, self.clock)
        self.leases = leases_of(self.records, self.clock)
        spread, parts = Spreader(self.places), PartsOf(self.uploads, self.places)
        reader = Reader(self.leases, self.places, parts, self.tell)
        self.writer = Writer(self.leases, spread, PROMISE, self.tell)
        copier = Copier(self.leases, self.places, PROMISE, reader, parts, lambda: False)
        self.replicator = Replicator(self.leases, spread, PROMISE, copier, parts, lambda *noted: None)

    def tell(self, bucket: str, key: str) -> None:
        self.queue.append(key)

    def put(self, key: str, body: bytes = b"bytes") -> Record:
        described = Described(headers={"content-type": "a/b"})
        return self.writer.put(BUCKET, key, body, described, Conditions(), None)

    def delete(self, key: str) -> None:
        self.writer.delete(BUCKET, key, Conditions())

    def mend(self) -> None:
        """Everything that is due or was queued, as often as it takes."""
        for _ in range(12):
            keys = {*self.queue, *(key for _, key in self.records.due(int(self.clock() * 1000), 1000))}
            self.queue.clear()
            for key in sorted(keys):
                self.replicator.mend(BUCKET, key)
            self.clock.sleep(1000.0)

    def reconciler(self, asked: Asked | None = None, out_of_time: Callable[[], bool] = lambda: False) -> Reconciler:
        settler = Settler(self.leases, self.places, self.tell)
        leftovers = Leftovers(self.uploads, self.places, self.clock)
        return Reconciler(self.records, self.places, settler, leftovers, asked or Asked(), self.clock, out_of_time)

    def reconcile(self, *, adopt: bool = False, dry_run: bool = False) -> Report:
        reconciler = self.reconciler(Asked(adopt=adopt, dry_run=dry_run))
        return reconciler.go_on(reconciler.begin(BUCKET)).report

    def foreign(self, place: int, key: str, body: bytes, mark: str = "") -> None:
        """Somebody writes to the place beside the gateway; with a mark, it was the gateway, long ago."""
        generation = Generation(id=mark, made=0, size=len(body), etag="", headers={"content-type": "x/y"})
        self.stores[place].put(BUCKET, key, body, generation)

    def record(self, key: str) -> Record:
        return self.records.items[BUCKET, key]

    def is_nobodys(self, key: str) -> bool:
        """Whether the gateway knows no such object."""
        record = self.records.items.get((BUCKET, key))
        return record is None or record.current is None

    def change(self, key: str, **changed: Any) -> None:
        self.records.items[BUCKET, key] = msgspec.structs.replace(self.record(key), **changed)

    def stage(self, upload_id: str, places: Sequence[int]) -> str:
        """A part of an upload lies aside in these places since now; its key."""
        key = f".nearside/parts/{upload_id}/00001-x"
        for place in places:
            self.foreign(place, key, b"part", mark="m")
        copies = {f"p{place}": Copy(state="COMPLETED") for place in places}
        part = Part(number=1, size=4, etag="e", sha256="s", made=0, staged=key, copies=copies)
        self.uploads.put_part(upload_id, part)
        return key


@pytest.fixture
def gateway() -> Gateway:
    """Two objects that every place has, and one that was deleted."""
    gateway = Gateway()
    for key in ("a", "b", "gone"):
        gateway.put(key, key.encode())
    gateway.mend()
    gateway.delete("gone")
    gateway.mend()
    return gateway


def counts(report: Report) -> dict[str, dict[str, int]]:
    return {str(kind): of for kind, of in report.counts.items()}


def test_where_all_is_well_nothing_is_found_changed_or_queued(gateway: Gateway) -> None:
    before = dict(gateway.records.items)
    report = gateway.reconcile()
    assert (counts(report), report.queued, report.complete, report.unknown) == ({}, 0, True, {})
    assert report.keys == 3
    assert gateway.records.items == before
    assert report.words() == "nothing differs"


def test_a_copy_that_is_gone_comes_back(gateway: Gateway) -> None:
    gateway.stores[1].delete(BUCKET, "a")
    report = gateway.reconcile()
    assert (counts(report), report.queued) == ({"missing": {"p1": 1}}, 1)
    assert (report.examples[0].key, report.words()) == ("a", "1 missing in p1")
    assert gateway.record("a").copies["p1"].doubt
    gateway.mend()
    assert gateway.stores[1].bodies(BUCKET)["a"] == b"a"
    assert counts(gateway.reconcile()) == {}


@pytest.mark.parametrize("body", [b"x", b"longer"], ids=["same size", "another size"])
def test_other_bytes_under_the_key_are_written_over(gateway: Gateway, body: bytes) -> None:
    gateway.foreign(1, "a", body)
    assert counts(gateway.reconcile()) == {"different": {"p1": 1}}
    gateway.mend()
    assert gateway.stores[1].bodies(BUCKET)["a"] == b"a"


def test_a_dry_run_tells_the_same_and_does_nothing(gateway: Gateway) -> None:
    gateway.stores[1].delete(BUCKET, "a")
    gateway.foreign(0, "new", b"x")
    before = dict(gateway.records.items)
    report = gateway.reconcile(dry_run=True, adopt=True)
    assert counts(report) == {"missing": {"p1": 1}, "adopted": {"p0": 1}}
    assert (report.queued, report.dry_run) == (0, True)
    assert (gateway.records.items, gateway.queue) == (before, [])


def test_a_place_that_is_new_gets_its_bucket_and_every_object(gateway: Gateway) -> None:
    gateway.stores.append(new := MemoryStore("new", clock=gateway.clock))
    gateway.start()
    assert counts(gateway.reconcile()) == {"unplaced": {"new": 2}}
    assert BUCKET in new.buckets
    gateway.mend()
    assert new.bodies(BUCKET) == {"a": b"a", "b": b"b"}
    assert counts(gateway.reconcile()) == {}


def test_a_place_that_lost_its_bucket_gets_it_back_with_everything(gateway: Gateway) -> None:
    del gateway.stores[2].buckets[BUCKET]
    assert counts(gateway.reconcile()) == {"missing": {"p2": 2}}
    gateway.mend()
    assert gateway.stores[2].bodies(BUCKET) == {"a": b"a", "b": b"b"}


@pytest.mark.parametrize("state", ["PENDING", "FAILED"])
def test_a_copy_that_nobody_looks_after_is_looked_after_again(gateway: Gateway, state: Any) -> None:
    gateway.stores[1].delete(BUCKET, "a")
    copies = {**gateway.record("a").copies, "p1": Copy(state=state, attempts=9, why="it was full")}
    gateway.change("a", copies=copies, due=None)
    assert counts(gateway.reconcile()) == {"unplaced": {"p1": 1}}
    assert gateway.record("a").copies["p1"] == Copy()
    gateway.mend()
    assert gateway.stores[1].bodies(BUCKET)["a"] == b"a"


def test_what_the_replicator_is_about_to_do_is_no_difference(gateway: Gateway) -> None:
    due = int(gateway.clock() * 1000) + 60_000
    gateway.change("a", copies={**gateway.record("a").copies, "p1": Copy(attempts=3)}, due=due)
    gateway.change("gone", copies={"p1": Copy()}, due=due)
    gateway.foreign(1, "gone", b"gone", mark="old")
    assert counts(gateway.reconcile()) == {}
    assert gateway.record("a").due == due


def test_a_deleted_object_that_a_place_still_has_is_removed_there(gateway: Gateway) -> None:
    gateway.foreign(1, "gone", b"gone", mark="long ago")
    assert counts(gateway.reconcile()) == {"undeleted": {"p1": 1}}
    gateway.mend()
    assert "gone" not in gateway.stores[1].bodies(BUCKET)
    assert gateway.record("gone").current is None


def test_what_somebody_else_put_under_the_key_of_a_deleted_object_stays_theirs(gateway: Gateway) -> None:
    gateway.foreign(1, "gone", b"theirs")
    for _ in range(2):
        assert counts(gateway.reconcile(adopt=True)) == {"unmanaged": {"p1": 1}}
        gateway.mend()
    assert gateway.stores[1].bodies(BUCKET)["gone"] == b"theirs"


def test_an_object_that_nobody_knows_is_only_told_of(gateway: Gateway) -> None:
    gateway.foreign(0, "new", b"x")
    gateway.foreign(2, "new", b"x")
    report = gateway.reconcile()
    assert (counts(report), report.queued) == ({"unmanaged": {"p0": 1, "p2": 1}}, 0)
    assert (BUCKET, "new") not in gateway.records.items


def test_an_object_that_nobody_knows_is_adopted_from_the_primary(gateway: Gateway) -> None:
    gateway.foreign(0, "new", b"x")
    gateway.foreign(2, "only here", b"y")
    report = gateway.reconcile(adopt=True)
    assert counts(report) == {"adopted": {"p0": 1}, "unmanaged": {"p2": 1}}
    current = gateway.record("new").current
    assert current is not None
    assert (current.size, current.headers, current.etag) == (1, {"content-type": "x/y"}, _etag(gateway, 0, "new"))
    assert current.made == int(gateway.clock() * 1000)
    gateway.mend()
    assert [store.bodies(BUCKET).get("new") for store in gateway.stores] == [b"x"] * 3
    assert counts(gateway.reconcile()) == {"unmanaged": {"p2": 1}}


def _etag(gateway: Gateway, place: int, key: str) -> str:
    seen = gateway.stores[place].head(BUCKET, key)
    assert seen is not None
    return seen.etag


def test_a_catalog_that_was_lost_is_made_again_by_adopting(gateway: Gateway) -> None:
    gateway.records.items.clear()
    assert counts(gateway.reconcile(adopt=True)) == {"adopted": {"p0": 2}}
    gateway.mend()
    assert counts(gateway.reconcile()) == {}
    assert [store.bodies(BUCKET) for store in gateway.stores] == [{"a": b"a", "b": b"b"}] * 3


def test_an_object_that_is_being_written_is_left_for_the_next_time(gateway: Gateway) -> None:
    gateway.stores[1].delete(BUCKET, "a")
    now = int(gateway.clock() * 1000)
    gateway.change("a", lease=Lease("somebody", now + 30_000))
    before = gateway.record("a")
    assert counts(gateway.reconcile()) == {"changing": {"p1": 1}}
    assert gateway.record("a") == before


def test_an_object_that_changed_after_its_place_was_listed_is_left_for_the_next_time(gateway: Gateway) -> None:
    """The record that was compared is of before the write; the HEAD after it sees the new bytes."""
    reconciler = gateway.reconciler()
    gateway.stores[1].delete(BUCKET, "b")
    stale = gateway.stores[1].listing(BUCKET, "", "", 10)
    page = gateway.records.page

    def then_written(*arguments: Any) -> Any:
        found = page(*arguments)
        gateway.records.page = page  # type: ignore[method-assign]  # once only
        gateway.put("a", b"newer")
        gateway.put("b", b"newer")
        return found

    gateway.records.page = then_written  # type: ignore[assignment]  # a write comes between the two reads
    gateway.stores[1].listing = lambda *_: stale  # type: ignore[method-assign]  # and the listing is of before
    report = reconciler.go_on(reconciler.begin(BUCKET)).report
    assert (counts(report), report.queued) == ({"changing": {"p1": 1}}, 0)
    assert not any(copy.doubt for copy in gateway.record("b").copies.values())
    gateway.mend()
    assert gateway.stores[1].bodies(BUCKET) == {"a": b"newer", "b": b"newer"}


def test_a_listing_that_is_behind_the_place_is_no_difference(gateway: Gateway) -> None:
    gateway.stores[1].listing = lambda *_: ([], False)  # type: ignore[method-assign]  # an eventually consistent one
    assert counts(gateway.reconcile()) == {}


def test_a_place_that_does_not_answer_is_told_of_and_not_judged(gateway: Gateway) -> None:
    def down(method: str, when: str) -> None:
        raise Unreachable("p1 does not answer")

    gateway.stores[1].fault = down
    gateway.stores[2].delete(BUCKET, "b")
    report = gateway.reconcile()
    assert (counts(report), report.complete) == ({"missing": {"p2": 1}}, True)
    assert report.unknown == {"p1": "p1 does not answer"}


def test_a_place_that_stops_answering_half_way_is_left_out_from_there(gateway: Gateway) -> None:
    def no_heads(method: str, when: str) -> None:
        if method == "head":
            raise Unreachable("too many requests")

    gateway.stores[1].fault = no_heads
    gateway.stores[1].delete(BUCKET, "a")
    report = gateway.reconcile()
    assert (counts(report), report.unknown) == ({}, {"p1": "too many requests"})


def test_a_catalog_that_does_not_answer_ends_it(gateway: Gateway) -> None:
    gateway.records.down = True
    with pytest.raises(Unreachable):
        gateway.reconcile()


class Backwards(MemoryStore):
    """A place that lists its keys in an order of its own."""

    def listing(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Listed], bool]:
        found, _ = super().listing(bucket, prefix, "", 10_000)
        rest = [each for each in reversed(found) if not after or each.key < after]
        return rest[:limit], len(rest) > limit


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_place_that_lists_in_another_order_is_asked_key_by_key(page: int) -> None:
    gateway = Gateway()
    gateway.stores.append(Backwards("odd", clock=gateway.clock))
    gateway.stores[3].buckets[BUCKET] = {}
    gateway.start()
    for key in ("a", "b", "c", "gone"):
        gateway.put(key)
    gateway.mend()
    gateway.delete("gone")
    gateway.mend()
    gateway.stores[3].delete(BUCKET, "b")
    gateway.foreign(3, "c", b"x")
    gateway.foreign(3, "gone", b"bytes", mark="old")
    gateway.foreign(3, "new", b"x")
    with mock.patch.object(merging, "PAGE", page), mock.patch.object(reconciling, "PAGE", page):
        report = gateway.reconcile()
    expected = {"missing": 1, "different": 1, "undeleted": 1, "unmanaged": 1}
    if page < 5:  # a page of one key is in every order: its neighbours show that it is not
        assert {kind: of["odd"] for kind, of in counts(report).items()}.keys() == expected.keys()
    else:
        assert {kind: of["odd"] for kind, of in counts(report).items()} == expected
    gateway.mend()
    gateway.stores[3].delete(BUCKET, "new")
    assert counts(gateway.reconcile()) == {}


def test_keys_are_merged_by_their_utf_8_bytes() -> None:
    gateway = Gateway()
    keys = ["z", "é", "ﬀ", "\U0001f600", "~", "Z", "a/b", "a"]
    for key in keys:
        gateway.put(key)
    gateway.mend()
    rows = list(Merge(gateway.records, gateway.places, BUCKET, "").rows())
    assert [row.key for row in rows] == sorted(keys, key=str.encode)
    assert all(set(row.listed) == {"p0", "p1", "p2"} and row.record for row in rows)


def test_the_gateways_own_keys_are_passed_over() -> None:
    gateway = Gateway((True,))
    gateway.put("a")
    for number in range(50):
        gateway.foreign(0, f".nearside/parts/u{number}/00001-x", b"part")
    pages = []
    listing = gateway.stores[0].listing

    def counted(*arguments: Any) -> Any:
        pages.append(arguments)
        return listing(*arguments)

    gateway.stores[0].listing = counted  # type: ignore[assignment]  # it counts
    with mock.patch.object(merging, "PAGE", 2):
        rows = list(Merge(gateway.records, gateway.places, BUCKET, "").rows())
    assert [row.key for row in rows] == ["a"]
    assert len(pages) <= 3


def test_staged_parts_of_uploads_that_are_no_more_are_removed() -> None:
    gateway = Gateway()
    generation = Generation(id="g", made=0, size=4, etag="", upload="going on")
    gateway.uploads.begin(Upload(bucket=BUCKET, key="k", id="going on", generation=generation))
    dead, going, named = gateway.stage("dead", (0, 1)), gateway.stage("going on", (0, 2)), gateway.stage("named", (0,))
    litter, intended = gateway.stage("litter", (1,)), gateway.stage("intended", (2,))
    gateway.put("k")
    gateway.put("l")
    gateway.change("k", staged=True, current=msgspec.structs.replace(generation, upload="named/1f"))
    gateway.change("l", litter=("litter/2e",), intents=(msgspec.structs.replace(generation, upload="intended/3d"),))
    gateway.clock.sleep(OLD_SECONDS - 60)
    assert "leftover" not in gateway.reconcile(dry_run=True).counts
    gateway.clock.sleep(120)
    young = gateway.stage("young", (0,))
    assert gateway.reconcile(dry_run=True).counts["leftover"] == {"p0": 1, "p1": 1}
    assert gateway.reconcile().counts["leftover"] == {"p0": 1, "p1": 1}
    left = {key for store in gateway.stores for key in store.buckets[BUCKET] if key.startswith(".nearside/")}
    assert (left, dead in left) == ({going, named, litter, intended, young}, False)
    assert gateway.uploads.parts("dead") == []
    assert gateway.uploads.parts("named")


def test_a_part_is_not_forgotten_while_a_place_may_have_it() -> None:
    gateway = Gateway()
    gateway.stage("dead", (0, 1))
    gateway.clock.sleep(OLD_SECONDS + 60)

    def keeps(method: str, when: str) -> None:
        if method == "delete":
            raise Unreachable("not now")

    gateway.stores[1].fault = keeps
    report = gateway.reconcile()
    assert (report.counts["leftover"], report.unknown) == ({"p0": 1}, {"p1": "not now"})
    assert gateway.uploads.parts("dead")
    gateway.stores[1].fault = lambda method, when: None
    assert gateway.reconcile().counts["leftover"] == {"p1": 1}
    assert not gateway.uploads.parts("dead")


def test_uploads_that_nobody_ends_do_not_hide_what_is_left_over() -> None:
    gateway = Gateway()
    with mock.patch.object(leftovers, "MAX_UPLOADS", 2), mock.patch.object(reconciling, "MAX_UPLOADS", 2):
        for name in ("a", "b", "c", "d"):
            generation = Generation(id=name, made=0, size=4, etag="")
            gateway.uploads.begin(Upload(bucket=BUCKET, key=name, id=name, generation=generation))
            gateway.stage(name, (0,))
        dead = gateway.stage("e", (0,))
        gateway.clock.sleep(OLD_SECONDS + 60)
        assert gateway.reconcile().counts == {"leftover": {"p0": 1}}
    assert dead not in gateway.stores[0].buckets[BUCKET]
    assert len(gateway.stores[0].buckets[BUCKET]) == 4


def test_an_upload_of_many_parts_is_removed_within_the_time_there_is() -> None:
    gateway = Gateway()
    for number in range(5):
        gateway.foreign(0, f".nearside/parts/dead/{number:05d}-x", b"part")
    gateway.clock.sleep(OLD_SECONDS + 60)
    is_over = False
    reconciler = gateway.reconciler(out_of_time=lambda: is_over)
    progress = reconciler.begin(BUCKET)
    remove = gateway.stores[0].delete

    def removed(*arguments: Any) -> None:
        nonlocal is_over
        remove(*arguments)
        is_over = True

    gateway.stores[0].delete = removed  # type: ignore[assignment]  # it takes all of the time
    for left in (4, 3, 2, 1, 0):
        is_over = False
        progress = reconciler.go_on(progress)
        assert len(gateway.stores[0].buckets[BUCKET]) == left
    is_over = False
    assert reconciler.go_on(progress).report.counts == {"leftover": {"p0": 5}}


def test_a_place_that_tells_no_etag_keeps_what_somebody_else_put_under_a_deleted_key() -> None:
    record = Record(bucket=BUCKET, key="k", deleted=1, copies={"p0": Copy(state="ABSENT")})
    theirs, suspicion = Seen(size=4, etag=""), Difference("undeleted", "k", "p0")
    assert settling._confirmed(Row("k", record, {}), suspicion, theirs) == "unmanaged"
    assert (
        settling._confirmed(Row("k", record, {}), suspicion, msgspec.structs.replace(theirs, generation="g"))
        == "undeleted"
    )


OPERATIONS = st.sampled_from(
    ["lost", "foreign", "shorter", "marked", "bucket", "copy", "failed", "record", "delete", "put", "odd key"]
)
HARM = st.lists(
    st.tuples(OPERATIONS, st.integers(0, 2), st.sampled_from(["a", "b", "c", "\U0001f600", "ﬀ"])), max_size=8
)


def harm(gateway: Gateway, what: str, place: int, key: str) -> None:
    """Something goes wrong beside the gateway."""
    known = gateway.records.items.get((BUCKET, key))
    if what == "lost":
        gateway.stores[place].buckets.get(BUCKET, {}).pop(key, None)
    elif what in ("foreign", "shorter", "marked", "odd key"):
        gateway.stores[place].make_bucket(BUCKET)
        name = f"{key}/stray" if what == "odd key" else key
        gateway.foreign(place, name, b"other" if what != "shorter" else b"o", mark="m" if what == "marked" else "")
    elif what == "bucket":
        gateway.stores[place].buckets.pop(BUCKET, None)
    elif what == "record":
        gateway.records.items.pop((BUCKET, key), None)
    elif what == "delete":
        gateway.delete(key)
    elif what == "put":
        gateway.put(key, b"again")
    elif known and known.current:
        state = Copy(state="FAILED") if what == "failed" else None
        copies = {name: copy for name, copy in known.copies.items() if name != f"p{place}"}
        gateway.change(key, copies=copies | ({f"p{place}": state} if state else {}))


@given(HARM, st.booleans(), st.sampled_from([1, 2, 3, 1000]))
@profile(deadline=None, max_examples=150)
def test_whatever_the_places_hold_once_it_is_mended_nothing_is_found(
    harms: list[tuple[str, int, str]], adopt: bool, page: int
) -> None:
    gateway = Gateway()
    for key in ("a", "b", "c", "\U0001f600"):
        gateway.put(key, f"bytes of {key}".encode())
    gateway.mend()
    for each in harms:
        harm(gateway, *each)
    with mock.patch.object(merging, "PAGE", page), mock.patch.object(reconciling, "PAGE", page):
        gateway.reconcile(adopt=adopt)
        gateway.mend()
        told = gateway.reconcile(adopt=adopt)  # what the replicator found to be somebody else's is told of now
        gateway.mend()
        theirs = [(store, key) for store in gateway.stores for key in store.bodies(BUCKET) if gateway.is_nobodys(key)]
        assert told.total("unmanaged") == told.total() == len(theirs)
        for store, key in theirs:  # their owner takes them away
            store.delete(BUCKET, key)
        second = gateway.reconcile()
    assert (counts(second), second.queued, second.unknown) == ({}, 0, {})
    for (_, key), record in gateway.records.items.items():
        held = [store.bodies(BUCKET).get(key) for store in gateway.stores]
        if record.current is None:
            assert held == [None] * 3
        elif record.due is None:  # else every copy was lost, and the replicator still hopes
            assert len(set(held)) == 1
            assert held[0] is not None


@given(HARM, st.integers(1, 4))
@profile(deadline=None, max_examples=60)
def test_stopping_after_every_few_keys_finds_the_same_as_one_look(harms: list[tuple[str, int, str]], keys: int) -> None:
    def harmed() -> Gateway:
        gateway = Gateway()
        for key in ("a", "b", "c", "\U0001f600"):
            gateway.put(key, f"bytes of {key}".encode())
        gateway.mend()
        for each in harms:
            harm(gateway, *each)
        return gateway

    whole, asked = harmed().reconcile(dry_run=True), 0

    def out_of_time() -> bool:
        nonlocal asked
        asked += 1
        return asked % (keys + 1) == 0

    gateway = harmed()
    reconciler = gateway.reconciler(Asked(dry_run=True), out_of_time)
    progress = reconciler.begin(BUCKET)
    for _ in range(200):
        # What is kept between two runs goes through JSON.
        progress = msgspec.json.decode(msgspec.json.encode(reconciler.go_on(progress)), type=Progress)
        if progress.phase == "done":
            break
    assert (counts(progress.report), progress.report.keys) == (counts(whole), whole.keys)
    assert (progress.report.complete, progress.report.unknown) == (True, {})

"""The gateway's buckets: made in every place, removed from every place, and nothing half-way that stays so."""

from collections.abc import Callable

import pytest

from nearside.errors import BadRequest, MissingBucket, NearsideError, Refused, Unreachable
from nearside.gateway.buckets import Buckets
from nearside.gateway.errors import BucketExists, BucketNotEmpty, Unavailable
from nearside.gateway.places import Places
from nearside.gateway.records import Bucket, Generation, Record, Upload
from nearside.gateway.spreading import Spreader
from tests.unit.gateway_memory import Clock, MemoryRecords, MemoryStore, MemoryUploads, places_of

GENERATION = Generation(id="1", made=0, size=1, etag="e")


class Gateway:
    def __init__(self, names: str = "abc") -> None:
        self.clock = Clock()
        self.stores = {name: MemoryStore(name, clock=self.clock) for name in names}
        self.records, self.uploads = MemoryRecords(), MemoryUploads()
        self.places: Places = places_of(list(self.stores.values()), self.clock)
        self.buckets = Buckets(self.records, self.uploads, Spreader(self.places), self.clock)

    def having(self) -> list[str]:
        return [name for name, store in self.stores.items() if "photos" in store.buckets]


def raising(method: str, error: NearsideError, when: str = "before") -> Callable[[str, str], None]:
    def fault(called: str, moment: str) -> None:
        if called == method and moment == when:
            raise error

    return fault


DOWN = Unreachable("no answer")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_a_bucket_is_made_in_every_place(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    assert gateway.having() == ["a", "b", "c"]
    assert gateway.buckets.list() == [Bucket("photos", int(gateway.clock() * 1000))]
    assert gateway.buckets.check("photos").name == "photos"


def test_a_bucket_is_made_once(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    with pytest.raises(BucketExists, match="photos"):
        gateway.buckets.create("photos")
    assert gateway.having() == ["a", "b", "c"]


def test_two_make_it_at_once(gateway: Gateway) -> None:
    """The other one puts it down while we are at the last place."""

    def other(method: str, when: str) -> None:
        if (method, when) == ("make_bucket", "after"):
            gateway.records.put_bucket(Bucket("photos", 1))

    gateway.stores["c"].fault = other
    with pytest.raises(BucketExists):
        gateway.buckets.create("photos")
    assert gateway.having() == ["a", "b", "c"]


def test_a_bucket_that_is_not_there(gateway: Gateway) -> None:
    for act in (gateway.buckets.check, gateway.buckets.delete):
        with pytest.raises(MissingBucket, match="photos"):
            act("photos")


def test_a_place_that_is_down_gets_its_bucket_later(gateway: Gateway) -> None:
    gateway.stores["b"].fault = raising("has_bucket", DOWN)
    gateway.buckets.create("photos")
    assert gateway.having() == ["a", "c"]
    assert gateway.records.bucket("photos") is not None


def test_no_place_answers(gateway: Gateway) -> None:
    for store in gateway.stores.values():
        store.fault = raising("make_bucket", DOWN)
    with pytest.raises(Unavailable, match=r"a: .*photos.*no answer"):
        gateway.buckets.create("photos")
    assert gateway.records.buckets() == []


def test_no_place_is_enabled() -> None:
    gateway = Gateway("")
    with pytest.raises(Unavailable, match="none is enabled"):
        gateway.buckets.create("photos")


@pytest.mark.parametrize("error", [Refused("somebody else has it"), BadRequest("at least 6 characters")])
def test_a_name_that_a_place_does_not_let_us_have(gateway: Gateway, error: NearsideError) -> None:
    gateway.stores["b"].fault = raising("make_bucket", error)
    gateway.stores["c"].buckets["photos"] = {}  # ours since before
    with pytest.raises(type(error), match=rf"b: .*photos.*{error}"):
        gateway.buckets.create("photos")
    assert gateway.having() == ["c"], "what was made is removed, and nothing else"
    assert gateway.records.buckets() == []


def test_what_was_made_is_left_to_somebody_else_who_made_it_too(gateway: Gateway) -> None:
    def other(method: str, when: str) -> None:
        if (method, when) == ("make_bucket", "before"):
            gateway.records.put_bucket(Bucket("photos", 1))
            raise Refused("somebody else has it")

    gateway.stores["b"].fault = other
    with pytest.raises(Refused):
        gateway.buckets.create("photos")
    assert gateway.having() == ["a", "c"]


def test_a_process_that_dies_before_the_record_is_made_up_for_by_the_next_try(gateway: Gateway) -> None:
    gateway.records.down = False
    for store in gateway.stores.values():
        store.make_bucket("photos")
    gateway.buckets.create("photos")
    assert gateway.records.bucket("photos") is not None


def test_a_bucket_is_removed_from_every_place(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    gateway.stores["a"].put("photos", ".nearside/parts/1/00001-x", b"left over", GENERATION)
    gateway.stores["b"].buckets.pop("photos")  # it is not there: that is as good
    gateway.buckets.delete("photos")
    assert gateway.having() == []
    assert gateway.buckets.list() == []


def test_a_bucket_with_an_object_stays(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    for number in range(3):
        dead = Record(bucket="photos", key=f"{number}", deleted=1)
        gateway.records.items["photos", dead.key] = dead
    gateway.records.items["photos", "z"] = Record(bucket="photos", key="z", current=GENERATION)
    with pytest.raises(BucketNotEmpty, match="'z'"):
        gateway.buckets.delete("photos")
    assert gateway.having() == ["a", "b", "c"]


def test_an_object_behind_many_deleted_ones_is_found(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    for number in range(2500):
        gateway.records.items["photos", f"{number:05d}"] = Record(bucket="photos", key=f"{number:05d}", deleted=1)
    gateway.records.items["photos", "z"] = Record(bucket="photos", key="z", current=GENERATION)
    with pytest.raises(BucketNotEmpty, match="'z'"):
        gateway.buckets.delete("photos")
    gateway.records.items.pop(("photos", "z"))
    gateway.buckets.delete("photos")
    assert gateway.buckets.list() == []


def test_a_bucket_with_an_upload_under_way_stays(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    gateway.uploads.begin(Upload(bucket="photos", key="k", id="1", generation=GENERATION))
    with pytest.raises(BucketNotEmpty, match=r"upload.*'k'"):
        gateway.buckets.delete("photos")
    assert gateway.having() == ["a", "b", "c"]


@pytest.mark.parametrize("key", ["theirs.txt", "!before", ".nearside0"])
def test_what_the_gateway_does_not_know_is_not_removed(gateway: Gateway, key: str) -> None:
    gateway.buckets.create("photos")
    gateway.stores["b"].put("photos", key, b"put there directly", GENERATION)
    gateway.stores["b"].put("photos", ".nearside/parts/1/00001-x", b"left over", GENERATION)
    with pytest.raises(BucketNotEmpty, match=f"b: .*{key}"):
        gateway.buckets.delete("photos")
    assert gateway.having() == ["a", "b", "c"], "nothing was removed anywhere"
    assert gateway.buckets.check("photos")


@pytest.mark.parametrize("method", ["listing", "remove_bucket"])
@pytest.mark.parametrize(("error", "raised"), [(DOWN, Unavailable), (Refused("no"), Refused)])
def test_a_place_that_cannot_remove_it(
    gateway: Gateway, method: str, error: NearsideError, raised: type[NearsideError]
) -> None:
    gateway.buckets.create("photos")
    gateway.stores["b"].fault = raising(method, error)
    with pytest.raises(raised, match=f"b: .*photos.*{error}"):
        gateway.buckets.delete("photos")
    assert gateway.buckets.check("photos"), "the bucket stays"
    gateway.stores["b"].fault = lambda called, when: None
    gateway.buckets.delete("photos")
    assert (gateway.having(), gateway.buckets.list()) == ([], [])


def test_an_object_that_is_written_while_the_bucket_is_removed(gateway: Gateway) -> None:
    gateway.buckets.create("photos")

    def write(method: str, when: str) -> None:
        if (method, when) == ("remove_bucket", "before"):
            gateway.records.items["photos", "k"] = Record(bucket="photos", key="k", current=GENERATION)

    gateway.stores["c"].fault = write
    with pytest.raises(BucketNotEmpty, match="'k'"):
        gateway.buckets.delete("photos")
    assert gateway.buckets.check("photos")


def test_nothing_is_begun_in_a_bucket_that_is_being_removed(gateway: Gateway) -> None:
    """Parts put aside would go with it, and completing their upload would be answered with success."""
    gateway.buckets.create("photos")
    asked: list[str] = []

    def begin(method: str, when: str) -> None:
        if (method, when) == ("remove_bucket", "before"):
            with pytest.raises(MissingBucket):
                gateway.buckets.check("photos")
            asked.append(method)

    gateway.stores["b"].fault = begin
    gateway.buckets.delete("photos")
    assert asked == ["remove_bucket"]


def test_an_upload_that_was_begun_at_the_last_moment_keeps_the_bucket_and_its_parts(gateway: Gateway) -> None:
    gateway.buckets.create("photos")
    gateway.stores["a"].put("photos", ".nearside/parts/u/00001-x", b"part", GENERATION)
    made = gateway.buckets.check("photos")

    def begin(method: str, when: str) -> None:
        if (method, when) == ("listing", "after"):
            gateway.uploads.begin(Upload(bucket="photos", key="k", id="u", generation=GENERATION))

    gateway.stores["c"].fault = begin
    with pytest.raises(BucketNotEmpty, match="abort it first"):
        gateway.buckets.delete("photos")
    assert gateway.buckets.check("photos") == made
    assert ".nearside/parts/u/00001-x" in gateway.stores["a"].buckets["photos"]

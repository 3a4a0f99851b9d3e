"""What the catalog does in moments that random histories seldom meet."""

import pytest

from nearside.catalog import Catalog
from nearside.errors import Unreachable
from nearside.records import Current, Outcome, Replica
from nearside.replicas import Absent, Held
from nearside.s3_events import NULL_VERSION, Created, Found, Removed, Replicated, sequencer
from tests.unit.histories import START, state_of
from tests.unit.memory_catalog import MemoryStore

EU, US, AP = PLACES = ("eu-west-2", "us-east-2", "ap-northeast-1")


def catalog_of(store: MemoryStore) -> Catalog:
    return Catalog(PLACES, store, lambda place, lag_ms, at: None)


def made() -> MemoryStore:
    return MemoryStore({place: place for place in PLACES})


def created(place: str, at: int, version: str = "v") -> Created:
    return Created(place=place, key="k", version=version, at=START + at, sequencer=sequencer(f"{at:04X}"), size=1)


def removed(place: str, at: int, version: str = "v") -> Removed:
    return Removed(place=place, key="k", version=version, at=START + at, sequencer=sequencer(f"{at:04X}"))


def current(store: MemoryStore, place: str) -> Current:
    found = store.object("k", place)[1]
    assert found is not None
    return found


def states(store: MemoryStore, version: str = "v") -> list[str | None]:
    found = [store.replica("k", version, place) for place in PLACES]
    return [state_of(replica) if replica else None for replica in found]


def test_a_version_deleted_since_the_heads_is_not_awaited() -> None:
    store = made()
    catalog = catalog_of(store)
    catalog.apply(removed(EU, 2))
    catalog.remember("k", {EU: Held("v", "e", START / 1000), US: Absent(), AP: Absent(deleted=True)})
    assert states(store) == ["ABSENT", "WITHDRAWN", None]


def test_a_copy_that_landed_after_its_source_was_deleted_is_awaited_elsewhere_again() -> None:
    store = made()
    catalog = catalog_of(store)
    catalog.apply(created(EU, 1))
    catalog.apply(removed(EU, 2))
    assert states(store) == ["ABSENT", "WITHDRAWN", "WITHDRAWN"]
    catalog.apply(Replicated(source=EU, destination=US, key="k", version="v", at=START + 3, outcome="after_threshold"))
    assert states(store) == ["ABSENT", "COMPLETED", "PENDING"]
    catalog.apply(created(US, 3))
    assert states(store) == ["ABSENT", "COMPLETED", "PENDING"]


class Overtaken(MemoryStore):
    """A store in which, before the first record is withdrawn, another function applies an event."""

    def overtake_with(self, event: Created) -> None:
        self._event: Created | None = event

    def withdraw(self, replica: Replica) -> Outcome:
        event, self._event = self._event, None
        if event is not None:
            catalog_of(self).apply(event)
        return super().withdraw(replica)


def test_what_arrives_while_the_rest_is_withdrawn_is_seen() -> None:
    store = Overtaken({place: place for place in PLACES})
    store.overtake_with(created(US, 3))
    catalog = catalog_of(store)
    catalog.apply(created(EU, 1))
    catalog.apply(removed(EU, 2))
    assert states(store) == ["ABSENT", "COMPLETED", "PENDING"]


class ArrivesBetween(MemoryStore):
    """A store in which, before the first record is dated, another function applies an event."""

    event: Created | None = None

    def date(self, place: str, event: Created) -> Outcome:
        arrived, self.event = self.event, None
        if arrived is not None:
            catalog_of(self).apply(arrived)
        return super().date(place, event)


def test_a_copy_that_arrives_while_it_is_dated_is_the_newest_of_its_true_time() -> None:
    store = ArrivesBetween({place: place for place in PLACES})
    store.event = created(US, 5)
    late = Replicated(source=EU, destination=US, key="k", version="v", at=START + 4, outcome="missed_threshold")
    catalog = catalog_of(store)
    catalog.apply(late)  # makes a record that knows no time
    catalog.apply(created(EU, 1))
    current = store.object("k", US)[1]
    assert current is not None
    assert (current.version, current.made) == ("v", START + 1)


def test_a_version_null_is_of_its_own_bucket_and_may_be_overwritten() -> None:
    store = made()
    catalog = catalog_of(store)
    for event in (created(EU, 1, NULL_VERSION), created(EU, 9, NULL_VERSION), created(EU, 5, NULL_VERSION)):
        catalog.apply(event)
    assert states(store, NULL_VERSION) == ["COMPLETED", None, None]
    current = store.object("k", EU)[1]
    assert current is not None
    assert (current.version, current.made) == (NULL_VERSION, START + 9)
    catalog.apply(removed(EU, 10, NULL_VERSION))
    current = store.object("k", EU)[1]
    assert current is not None
    assert current.version is None


class Cut(MemoryStore):
    """A store whose home of some places does not answer."""

    down: frozenset[str] = frozenset()

    def replica(self, key: str, version: str, place: str) -> Replica | None:
        if place in self.down:
            raise Unreachable(f"the catalog in {place} cannot be reached")
        return super().replica(key, version, place)


def test_a_place_knows_of_its_own_events_while_the_others_homes_are_away() -> None:
    store = Cut({place: place for place in PLACES})
    catalog = catalog_of(store)
    catalog.apply(created(EU, 1, "v1"))
    store.down = frozenset({US})
    with pytest.raises(Unreachable):
        catalog.apply(created(EU, 2, "v2"))
    assert current(store, EU).version == "v2"
    with pytest.raises(Unreachable):
        catalog.apply(removed(EU, 3, "v2"))
    assert current(store, EU).version == "v1"


class RemovedBetween(MemoryStore):
    """A store in which, before another place's record is expected, another function applies an event."""

    event: Removed | None = None

    def expect(self, place: str, event: Created) -> Outcome:
        gone, self.event = self.event, None
        if gone is not None:
            catalog_of(self).apply(gone)
        return super().expect(place, event)


def test_what_is_removed_before_the_others_are_told_is_not_awaited() -> None:
    store = RemovedBetween({place: place for place in PLACES})
    store.event = removed(EU, 2)
    catalog_of(store).apply(created(EU, 1))
    assert states(store) == ["ABSENT", "WITHDRAWN", "WITHDRAWN"]


def test_a_place_with_an_older_version_awaits_the_newest() -> None:
    store = made()
    newest, older = Held("v2", "e2", START / 1000 + 5), Held("v1", "e1", START / 1000)
    catalog_of(store).remember("k", {EU: newest, US: older, AP: Absent()})
    assert states(store, "v2") == ["COMPLETED", "PENDING", "PENDING"]
    assert states(store, "v1") == [None, "COMPLETED", None]
    assert (current(store, EU).version, current(store, US).version) == ("v2", "v1")


def test_what_was_found_is_there_and_nobody_knows_since_when() -> None:
    store = made()
    lags: list[int] = []
    catalog = Catalog(PLACES, store, lambda place, lag_ms, at: lags.append(lag_ms))
    catalog.apply(created(EU, 1_700))
    catalog.apply(Found(place=US, key="k", version="v", modified=START + 1_000))
    assert states(store) == ["COMPLETED", "COMPLETED", "PENDING"]
    there = store.replica("k", "v", US)
    assert there is not None
    assert (there.found, there.seen, there.time) == (True, None, START + 1_700)
    assert (current(store, US).rank, lags) == (current(store, EU).rank, [])
    catalog.apply(created(US, 4_700))  # the event was only late
    there = store.replica("k", "v", US)
    assert there is not None
    assert (there.found, there.seen, lags) == (False, START + 4_700, [3_000])


def test_of_two_versions_in_one_second_the_found_one_keeps_its_rank() -> None:
    store = made()
    catalog = catalog_of(store)
    catalog.apply(created(EU, 100, "v1"))
    catalog.apply(created(EU, 900, "v2"))
    catalog.apply(created(US, 2_000, "v1"))
    catalog.apply(Found(place=US, key="k", version="v2", modified=START))
    assert current(store, US).version == "v2"


def test_the_time_until_a_failure_was_mended_is_no_lag() -> None:
    lags: list[int] = []
    catalog = Catalog(PLACES, made(), lambda place, lag_ms, at: lags.append(lag_ms))
    catalog.apply(created(EU, 1))
    catalog.apply(Replicated(source=EU, destination=US, key="k", version="v", at=START + 2, outcome="failed"))
    catalog.apply(created(US, 90_000))
    catalog.apply(created(AP, 51))
    assert lags == [50]


def test_nothing_is_awaited_of_keys_that_no_rule_carries() -> None:
    store = made()
    catalog = Catalog(PLACES, store, lambda place, lag_ms, at: None, prefixes=["images/", "docs/"])
    catalog.apply(created(EU, 1))
    catalog.remember("k", {EU: Held("v", "e", START / 1000), US: Absent(), AP: Absent()})
    assert states(store) == ["COMPLETED", None, None]
    carried = Created(place=EU, key="docs/k", version="v", at=START, sequencer=sequencer("1"))
    catalog.apply(carried)
    assert [store.replica("docs/k", "v", place) is not None for place in PLACES] == [True, True, True]


def test_what_was_awaited_before_the_rules_were_narrowed_is_taken_off_but_not_what_failed() -> None:
    store = made()
    catalog_of(store).apply(created(EU, 1))
    failed = Replicated(source=EU, destination=AP, key="k", version="v", at=START + 2, outcome="failed")
    catalog_of(store).apply(failed)
    narrowed = Catalog(PLACES, store, lambda place, lag_ms, at: None, prefixes=["images/"])
    narrowed.settle("k", "v")
    assert states(store) == ["COMPLETED", "WITHDRAWN", "FAILED"]
    catalog_of(store).settle("k", "v")
    assert states(store) == ["COMPLETED", "PENDING", "FAILED"]

"""The newest version of each of many objects: from the catalog, and by a look where that knows nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from nearside.access import Caller, Policy, Rule
from nearside.errors import BadRequest, Unreachable
from nearside.records import Current, Replica
from nearside.replicas import Held
from nearside.web import decode
from nearside.whereabouts import ManyDots, ObjectDots, ObjectFailed, ObjectsAsked, Whereabouts
from tests.unit.fakes import ABSENT, DENIED, LONDON, NEWEST, OHIO, OLDER, SILENT, FakeReplicas

EU, US = LONDON.name, OHIO.name
ANYONE = Caller("anyone", trusted=True)


class Catalog:
    """Records as they were told; implements `nearside.whereabouts.ReadsMany`."""

    def __init__(self, *records: Replica | Current, down: str = "") -> None:
        self.records = records
        self.down = down
        self.asked: list[str] = []

    def _of(self, place: str) -> list[Replica | Current]:
        self.asked.append(place)
        if place == self.down:
            raise Unreachable("its table is down")
        return [each for each in self.records if each.place == place]

    def currents(self, keys: Sequence[str], place: str) -> Mapping[str, Current]:
        return {each.key: each for each in self._of(place) if isinstance(each, Current) and each.key in keys}

    def versions(self, wanted: Mapping[str, str], place: str) -> Mapping[str, Replica]:
        found = [each for each in self._of(place) if isinstance(each, Replica)]
        return {each.key: each for each in found if wanted.get(each.key) == each.version}


def held(key: str, version: str, place: str, seen: int, **more: Any) -> tuple[Replica, Current]:
    made = more.get("made", seen)
    return (
        Replica(key=key, version=version, place=place, state="COMPLETED", seen=seen, sequencer="1", **more),
        Current(key=key, place=place, version=version, made=made, sequencer="1", marker=more.get("marker", False)),
    )


def waiting(key: str, version: str, place: str, **more: Any) -> Replica:
    return Replica(key=key, version=version, place=place, **{"state": "PENDING", "made": 1_000_000, **more})


def of(catalog: Catalog, *keys: str, find: FakeReplicas | None = None, caller: Caller = ANYONE) -> list[Any]:
    policy = Policy([Rule(claim="sub", prefixes=["users/${sub}/"], actions=["read"])])
    whereabouts = Whereabouts((LONDON, OHIO), catalog, find or FakeReplicas(), policy)
    return whereabouts.of(ObjectsAsked(list(keys)), caller).objects


def dots(found: ObjectDots) -> dict[str, tuple[str, int | None]]:
    return {dot.place: (dot.state, dot.lag_ms) for dot in found.places}


def test_everywhere_with_the_lag_of_the_copy_and_nothing_is_asked() -> None:
    catalog = Catalog(*held("a", "v1", EU, 1_000_000), *held("a", "v1", US, 1_002_500, made=1_000_000))
    find = FakeReplicas()
    [found] = of(catalog, "a", find=find)
    assert (found.version_id, found.marker) == ("v1", False)
    assert dots(found) == {EU: ("COMPLETED", None), US: ("COMPLETED", 2_500)}
    assert find.asked == []


def test_the_newest_version_of_any_place_is_what_counts() -> None:
    catalog = Catalog(
        *held("a", "v1", EU, 1_000_000), *held("a", "v2", US, 2_000_000), waiting("a", "v2", EU, made=2_000_000)
    )
    [found] = of(catalog, "a")
    assert found.version_id == "v2"
    assert dots(found) == {EU: ("PENDING", None), US: ("COMPLETED", None)}


@pytest.mark.parametrize(
    ("record", "state", "why"),
    [
        ({}, "PENDING", "on its way"),
        ({"overdue": True}, "PENDING", "overdue"),
        ({"state": "FAILED", "reason": "DstBucketNotFound", "failed": 5}, "FAILED", "bucket of the rule does not"),
        ({"state": "ABSENT", "removed": 5}, "ABSENT", "deleted here"),
        ({"state": "ABSENT", "withdrawn": True}, "ABSENT", "before it came"),
    ],
)
def test_each_state_has_its_words(record: dict[str, Any], state: str, why: str) -> None:
    [found] = of(Catalog(*held("a", "v1", EU, 1_000_000), waiting("a", "v1", US, **record)), "a")
    there = found.places[1]
    assert there.state == state
    assert why in there.why


def test_a_place_that_the_catalog_knows_nothing_of_is_unknown() -> None:
    [found] = of(Catalog(*held("a", "v1", EU, 1_000_000)), "a")
    assert (found.places[1].state, "heard nothing" in found.places[1].why) == ("UNKNOWN", True)


def test_a_delete_marker_is_told() -> None:
    [found] = of(Catalog(*held("a", "m", EU, 1_000_000, marker=True)), "a")
    assert (found.version_id, found.marker) == ("m", True)


def test_a_home_that_does_not_answer_is_unknown_and_asked_once() -> None:
    catalog = Catalog(*held("a", "v1", EU, 1_000_000), *held("a", "v1", US, 1_000_000), down=US)
    [found] = of(catalog, "a")
    assert dots(found) == {EU: ("COMPLETED", None), US: ("UNKNOWN", None)}
    assert "its table is down" in found.places[1].why
    assert catalog.asked.count(US) == 1


@pytest.mark.parametrize(
    ("findings", "version", "states"),
    [
        ((NEWEST, NEWEST), "v2", ("COMPLETED", "COMPLETED")),
        ((NEWEST, OLDER), "v2", ("COMPLETED", "ABSENT")),
        ((Held("v3", "e", 3.0, "PENDING"), ABSENT), "v3", ("COMPLETED", "PENDING")),
        ((Held("v3", "e", 3.0, "FAILED"), ABSENT), "v3", ("COMPLETED", "FAILED")),
        ((NEWEST, DENIED), "v2", ("COMPLETED", "UNKNOWN")),
        ((ABSENT, SILENT), None, ("ABSENT", "UNKNOWN")),
        ((ABSENT, ABSENT), None, ("ABSENT", "ABSENT")),
    ],
)
def test_what_the_catalog_does_not_know_is_asked_of_the_places(
    findings: tuple[Any, Any], version: str | None, states: tuple[str, str]
) -> None:
    [found] = of(Catalog(), "a", find=FakeReplicas({"a": dict(zip((EU, US), findings, strict=True))}))
    assert (found.version_id, tuple(dot.state for dot in found.places)) == (version, states)
    assert all(dot.why for dot in found.places if dot.state != "COMPLETED")


def test_keys_are_answered_in_order_each_by_itself() -> None:
    catalog = Catalog(*held("users/al/a", "v1", EU, 1_000_000))
    find = FakeReplicas()
    al = Caller("al", trusted=False, claims={"sub": "al"})
    found = of(catalog, "users/bo/b", "users/al/a", "users/al/none", "users/al/a", find=find, caller=al)
    assert [each.key for each in found] == ["users/bo/b", "users/al/a", "users/al/none", "users/al/a"]
    assert found[0] == ObjectFailed("users/bo/b", "AccessDenied", "al may not read 'users/bo/b'", 403)
    assert [type(each) for each in found[1:]] == [ObjectDots] * 3
    assert [question.key for question in find.asked] == ["users/al/none"]


def test_nobody_is_asked_for_what_the_caller_may_not_read() -> None:
    catalog, find = Catalog(), FakeReplicas()
    of(catalog, "a", find=find, caller=Caller("bo", trusted=False))
    assert (catalog.asked, find.asked) == ([], [])


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "length >= 1"),
        (["a"] * 101, "length <= 100"),
        ([""], "length >= 1"),
        (["a", "ü" * 513], "keys[1] has 1026 bytes in UTF-8: expected at most 1024"),
    ],
)
def test_limits(keys: list[str], says: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        decode(msgspec.json.encode({"keys": keys}), ObjectsAsked)
    assert says in str(refusal.value)


def test_the_answer_is_plain_json() -> None:
    answer = msgspec.json.decode(msgspec.json.encode(ManyDots(of(Catalog(*held("a", "v1", EU, 1_000_000)), "a"))))
    assert answer["objects"][0]["places"][0] == {"place": EU, "state": "COMPLETED", "lag_ms": None, "why": ""}


def test_a_record_without_a_time_makes_no_lag_of_fifty_years() -> None:
    catalog = Catalog(
        Replica(key="a", version="v1", place=EU, state="COMPLETED", sequencer="1", found=False),
        *held("a", "v1", US, 1_002_500, made=1_000_000),
    )
    assert dots(of(catalog, "a")[0])[US] == ("COMPLETED", 2_500)

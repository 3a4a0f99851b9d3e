"""One object in every place: versions and copies as the catalog has them, and what is asked when it does not."""

from collections.abc import Sequence
from typing import Any

import pytest

from nearside import explain
from nearside.copies import Close
from nearside.errors import Missing, NearsideError, Refused, Unreachable
from nearside.explain import Copy, Explainer, ObjectReplication
from nearside.places import Place
from nearside.records import Replica
from nearside.replicas import Findings
from nearside.replication_rules import Bucket, Rule, Unknown
from tests.unit.fakes import ABSENT, DENIED, LONDON, NEWEST, OHIO, SILENT, FakeReplicas

KEY = "a"
RULES: dict[str, Bucket | Unknown] = {
    "eu-west-2": Bucket("enabled", [Rule(id="to-ohio", destination="pics-us")]),
    "us-east-2": Bucket("enabled", [Rule(id="to-london", destination="pics-eu")]),
}


class Scene:
    """An explainer and what it is told; `looked` what it looked at."""

    def __init__(self, *replicas: Replica) -> None:
        self.replicas = list(replicas)
        self.down: str | None = None
        self.found: dict[str, Any] = {"eu-west-2": NEWEST, "us-east-2": ABSENT}
        self.remembered: list[str] = []
        self.looked: list[tuple[str, str]] = []

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], None]:
        if place == self.down:
            raise Unreachable("its table is down")
        return [each for each in self.replicas if each.place == place], None

    def remember(self, key: str, findings: Findings) -> None:
        self.remembered.append(key)
        self.replicas += [held("v2", "eu-west-2", 2_000_000), pending("v2", "us-east-2", 2_000_000)]

    def look(self, place: Place, key: str, version: str) -> Any:
        self.looked.append((place.name, version))
        return Close(version=version, size=1, etag="e", modified=0, status="PENDING") if place == LONDON else ABSENT

    def explain(self) -> ObjectReplication:
        return Explainer(
            (LONDON, OHIO),
            self,
            FakeReplicas({KEY: self.found}),
            self.remember,
            lambda places: RULES,
            self.look,
            900,
        ).explain(KEY, 10_000.0)


def held(version: str, place: str, seen: int, **more: Any) -> Replica:
    return Replica(key=KEY, version=version, place=place, state="COMPLETED", seen=seen, sequencer="1", size=4, **more)


def pending(version: str, place: str, made: int, **more: Any) -> Replica:
    return Replica(key=KEY, version=version, place=place, state="PENDING", made=made, **more)


def copies(answer: ObjectReplication, number: int = 0) -> dict[str, Copy]:
    return {copy.place: copy for copy in answer.versions[number].copies}


def test_versions_newest_first_each_in_every_place() -> None:
    scene = Scene(
        held("v1", "eu-west-2", 1_000_000),
        held("v1", "us-east-2", 1_002_500, made=1_000_000),
        held("v2", "us-east-2", 2_000_000),
        pending("v2", "eu-west-2", 2_000_000),
    )
    answer = scene.explain()
    assert [(each.version, each.newest) for each in answer.versions] == [("v2", True), ("v1", False)]
    there = copies(answer, 1)["us-east-2"]
    assert (there.state, there.lag_ms, there.source, there.rule) == ("COMPLETED", 2_500, "eu-west-2", "to-ohio")
    origin = copies(answer, 1)["eu-west-2"]
    assert (origin.lag_ms, origin.source, origin.why) == (None, None, None)
    waiting = copies(answer)["eu-west-2"]
    assert (waiting.state, waiting.source, waiting.rule, waiting.overdue) == ("PENDING", "us-east-2", "to-london", True)
    assert not answer.remembered


def test_a_version_that_is_gone_everywhere_is_not_the_newest() -> None:
    gone = [
        Replica(key=KEY, version="v2", place=place, state="ABSENT", removed=3_000_000, made=2_000_000)
        for place in ("eu-west-2", "us-east-2")
    ]
    answer = Scene(*gone, held("v1", "eu-west-2", 1_000_000)).explain()
    assert [(each.version, each.newest) for each in answer.versions] == [("v2", False), ("v1", True)]


def test_delete_markers_are_not_looked_at() -> None:
    scene = Scene(held("m", "eu-west-2", 1_000_000, marker=True), pending("m", "us-east-2", 1_000_000, marker=True))
    answer = scene.explain()
    assert (answer.versions[0].marker, scene.looked) == (True, [])
    assert "does not replicate delete markers" in (copies(answer)["us-east-2"].why or "")


def test_an_object_that_the_catalog_does_not_know_is_asked_for_and_remembered() -> None:
    scene = Scene()
    answer = scene.explain()
    assert (answer.remembered, scene.remembered) == (True, [KEY])
    assert [copy.state for copy in answer.versions[0].copies] == ["COMPLETED", "PENDING"]


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ({"eu-west-2": ABSENT, "us-east-2": ABSENT}, Missing),
        ({"eu-west-2": DENIED, "us-east-2": ABSENT}, Refused),
        ({"eu-west-2": SILENT, "us-east-2": ABSENT}, Unreachable),
    ],
)
def test_missing_only_when_every_place_says_so(found: dict[str, Any], error: type[NearsideError]) -> None:
    scene = Scene()
    scene.found = found
    with pytest.raises(error):
        scene.explain()
    assert scene.remembered == []


def test_a_home_that_does_not_answer_is_said_and_not_guessed() -> None:
    scene = Scene(held("v1", "eu-west-2", 1_000_000), held("v1", "us-east-2", 1_000_001))
    scene.down = "us-east-2"
    answer = scene.explain()
    assert answer.unknown == ["the catalog of us-east-2: its table is down"]
    assert copies(answer)["us-east-2"].state == "UNKNOWN"
    assert "its table is down" in (copies(answer)["us-east-2"].why or "")


def test_nothing_is_remembered_while_a_home_does_not_answer() -> None:
    scene = Scene()
    scene.down = "us-east-2"
    with pytest.raises(Unreachable, match="its table is down"):
        scene.explain()
    assert scene.remembered == []


def test_looks_are_bounded_however_many_versions_there_are() -> None:
    scene = Scene(
        *(held(f"v{number}", "eu-west-2", number + 1) for number in range(50)),
        *(pending(f"v{number}", "us-east-2", number + 1) for number in range(50)),
    )
    answer = scene.explain()
    assert (len(answer.versions), len(scene.looked)) == (50, explain.MAX_LOOKS)
    assert scene.looked[0] == ("eu-west-2", "v49")


def test_of_a_copy_that_was_only_found_nobody_says_when_it_came_or_that_it_was_first() -> None:
    found = Replica(key=KEY, version="v", place="us-east-2", state="COMPLETED", made=1_700, observed=1_000, found=True)
    answer = Scene(held("v", "eu-west-2", 1_700), found).explain()
    there = copies(answer)["us-east-2"]
    assert (there.source, there.arrived_at, there.lag_ms) == ("eu-west-2", None, None)
    assert copies(answer)["eu-west-2"].source is None


def test_a_place_that_lost_its_version_and_its_time_does_not_make_the_version_old() -> None:
    lost = Replica(key=KEY, version="m", place="eu-west-2", state="ABSENT", marker=True, removed=9_000_000)
    marker = held("m", "us-east-2", 3_001_000, made=3_000_000, marker=True)
    answer = Scene(held("v1", "eu-west-2", 1_000_000), lost, marker).explain()
    assert [(each.version, each.made_at.timestamp()) for each in answer.versions] == [("m", 3_000.0), ("v1", 1_000.0)]
    only = Scene(held("v1", "eu-west-2", 1_000_000), lost).explain()
    assert [each.made_at.timestamp() for each in only.versions if each.version == "m"] == [9_000.0]

"""Mending one replica: what is copied, what is left alone, and that nothing newer is ever hidden."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from nearside.copies import Close, Copied, Entry, Unfinished
from nearside.errors import BadRequest, NearsideError, Unreachable
from nearside.mended import Mended, Target
from nearside.mending import NEVER, Mender
from nearside.operations_log import Entry as Operation
from nearside.places import Place
from nearside.records import Replica
from nearside.replicas import Silent
from nearside.replication_rules import Bucket, Rule, Unknown
from nearside.s3_events import Event, Found, Removed
from tests.unit.fakes import LONDON, OHIO, TOKYO

KEY = "a"
OLD = Entry(version="old", modified=1_000, latest=True, etag="o", size=1)
V1 = Entry(version="v1", modified=5_000, latest=True, etag="e1", size=4)
TO_LONDON = Rule(id="to-london", destination="pics-eu", delete_markers=True)
TO_TOKYO = Rule(id="to-tokyo", destination="pics-ap", delete_markers=True)


class World:
    """Three places' versions of one object, the newest first; the bytes of each version are its name unless said."""

    def __init__(self) -> None:
        self.has: dict[str, list[Entry]] = {"eu-west-2": [V1], "us-east-2": [], "ap-northeast-1": [V1]}
        self.state: str | None = "FAILED"
        self.buckets: dict[str, Bucket | Unknown] = {"us-east-2": Bucket("enabled", [TO_LONDON, TO_TOKYO])}
        self.content: dict[str, str] = {}
        self.checksums = True
        self.size = 4
        self.encryption: Any = "none"
        self.applied: list[Event] = []
        self.logged: list[Operation] = []
        self.undone: list[tuple[str, str]] = []
        self.over: list[Entry | None] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.fails: NearsideError | None = None
        self.unfinished: Unfinished | None = None
        self.copied_as = "v1"
        self.tags: Mapping[str, str] | None = {}
        self.down: str | None = None
        self.stuck: str | None = None
        self.abandoned: list[tuple[str, str]] = []

    def record(self, key: str, version: str, place: str) -> Replica | None:
        return Replica(key=key, version=version, place=place, state=self.state) if self.state else None  # type: ignore[arg-type]

    def versions(self, place: Place, key: str) -> Sequence[Entry]:
        if place.name == self.down:
            raise Unreachable(f"{place.name} is down")
        return list(self.has[place.name])

    def look(self, place: Place, key: str, version: str) -> Any:
        if not any(entry.version == version for entry in self.has[place.name]):
            return Silent("not there")
        checksums: Mapping[str, str] = {"CRC64NVME": self.content.get(version, version)} if self.checksums else {}
        return Close(
            version=version,
            size=self.size,
            etag="e",
            modified=0,
            encryption=self.encryption,
            checksums=checksums,
            tags=self.tags,
        )

    def copy(self, source: Place, to: Place, key: str, version: Close, over: Entry | None) -> Copied | Unfinished:
        if self.fails:
            raise self.fails
        if self.unfinished:
            return self.unfinished
        self.over.append(over)
        copy = Entry(version="copy", modified=9_000, latest=True, etag="e1", size=4)
        self.content["copy"] = self.copied_as
        self.has[to.name].insert(0, copy)
        self.meanwhile()
        return Copied("copy", "copied by S3")

    def mark(self, place: Place, key: str, over: Entry | None) -> str:
        self.over.append(over)
        self.has[place.name].insert(0, marker("marker", 9_000))
        self.meanwhile()
        return "marker"

    def abandon(self, place: Place, key: str, version: str) -> None:
        self.abandoned.append((place.name, version))

    def undo(self, place: Place, key: str, version: str) -> None:
        if place.name == self.stuck:
            raise Unreachable(f"{place.name} does not answer")
        self.undone.append((place.name, version))
        self.has[place.name] = [entry for entry in self.has[place.name] if entry.version != version]

    def digest(self, place: Place, key: str, version: str) -> str:
        return f"sha-{self.content.get(version, version)}"

    def note(self, entry: Operation) -> None:
        self.logged.append(entry)

    def mend(self, *, dry_run: bool = False, may_delete: bool = True) -> Mended:
        mender = Mender(
            places=(LONDON, OHIO, TOKYO),
            record=self.record,
            versions=self.versions,
            look=self.look,
            carry=self,
            digest=self.digest,
            apply=self.applied.append,
            log=self.note,
            buckets=self.buckets,
            clock=lambda: 10.0,
        )
        return mender.mend(Target(KEY, "v1", OHIO), dry_run=dry_run, may_delete=may_delete)


def marker(version: str, modified: int) -> Entry:
    return Entry(version=version, modified=modified, marker=True, latest=True)


def test_the_newest_version_is_copied_proved_logged_and_taken_off_the_list() -> None:
    world = World()
    done = world.mend()
    assert (done.outcome, done.source, done.copy_version) == ("copied", "eu-west-2", "copy")
    assert done.detail == "copied by S3, from eu-west-2 as version copy; S3's CRC64NVME of both is v1, 4 bytes"
    assert [(entry.action, entry.detail) for entry in world.logged] == [("repair: copied", done.detail)]
    assert world.applied == [Removed(place="us-east-2", key=KEY, version="v1", at=10_000, sequencer=NEVER)]
    assert world.over == [None]
    assert world.undone == []


def test_what_stands_at_the_destination_is_the_condition() -> None:
    world = World()
    world.has["us-east-2"] = [OLD]
    assert world.mend().outcome == "copied"
    assert world.over == [OLD]


def test_a_dry_run_touches_nothing() -> None:
    world = World()
    done = world.mend(dry_run=True)
    assert (done.outcome, done.detail) == ("dry run", "would be copied from eu-west-2, 4 bytes")
    assert (world.applied, world.logged, world.over) == ([], [], [])


@pytest.mark.parametrize("state", ["COMPLETED", "ABSENT", None])
def test_what_is_not_on_the_list_is_left_alone(state: str | None) -> None:
    world = World()
    world.state = state
    assert world.mend().outcome == "present"
    assert (world.applied, world.over) == ([], [])


def test_what_is_there_already_is_told_to_the_catalog() -> None:
    world = World()
    world.has["us-east-2"] = [V1]
    assert world.mend().outcome == "present"
    [event] = world.applied
    assert isinstance(event, Found)
    assert (event.place, event.modified) == ("us-east-2", 5_000)


def test_what_is_gone_everywhere_is_not_brought_back() -> None:
    world = World()
    world.has = {name: [] for name in world.has}
    assert world.mend().outcome == "gone"
    assert isinstance(world.applied[0], Removed)
    assert world.over == []


@pytest.mark.parametrize("where", ["eu-west-2", "us-east-2", "ap-northeast-1"])
def test_a_deletion_anywhere_since_wins(where: str) -> None:
    world = World()
    world.has[where].insert(0, marker("gone", 6_000))
    done = world.mend()
    assert (done.outcome, "deleted since" in done.detail) == ("superseded", True)
    assert world.over == []


@pytest.mark.parametrize("where", ["eu-west-2", "us-east-2", "ap-northeast-1"])
def test_a_newer_version_anywhere_wins(where: str) -> None:
    world = World()
    world.has[where].insert(0, Entry(version="v2", modified=6_000, latest=True, etag="e2", size=9))
    done = world.mend()
    assert (done.outcome, "v2 stands" in done.detail) == ("superseded", True)
    assert world.over == []


def test_of_the_same_second_what_is_listed_before_is_newer() -> None:
    world = World()
    world.has["eu-west-2"].insert(0, Entry(version="v2", modified=5_000, latest=True, etag="e2", size=9))
    assert world.mend().outcome == "superseded"


def test_of_the_same_second_in_different_places_nobody_guesses() -> None:
    world = World()
    world.has["us-east-2"] = [Entry(version="v2", modified=5_000, latest=True, etag="e2", size=9)]
    done = world.mend()
    assert (done.outcome, "cannot be told" in done.detail) == ("refused", True)
    assert (world.applied, world.over) == ([], [])


def test_an_older_deletion_does_not_count() -> None:
    world = World()
    world.has["us-east-2"] = [marker("before", 1_000)]
    assert world.mend().outcome == "copied"
    assert world.over == [None]


def test_a_copy_by_a_run_that_died_is_found_and_not_made_again() -> None:
    world = World()
    world.content["copy"] = "v1"
    for place in ("us-east-2", "eu-west-2"):
        world.has[place].insert(0, Entry(version="copy", modified=9_000, latest=True, etag="e1", size=4))
    done = world.mend()
    assert (done.outcome, done.copy_version) == ("copied", "copy")
    assert done.detail.startswith("an equal copy is there already")
    assert world.over == []


def test_an_older_version_with_the_same_bytes_is_no_copy_of_this_one() -> None:
    world = World()
    twin = Entry(version="v0", modified=5_000, latest=False, etag="e1", size=4)
    world.content["v0"] = "v1"
    world.has = {
        "eu-west-2": [V1, twin],
        "us-east-2": [msgspec.structs.replace(twin, latest=True)],
        "ap-northeast-1": [V1, twin],
    }
    done = world.mend()
    assert (done.outcome, done.copy_version) == ("copied", "copy")


def test_a_write_between_the_two_looks_undoes_the_copy_everywhere() -> None:
    world = World()
    newer = Entry(version="v2", modified=8_000, latest=True, etag="e2", size=9)
    world.meanwhile = lambda: world.has["ap-northeast-1"].insert(0, newer)
    done = world.mend()
    assert (done.outcome, "v2 was written meanwhile" in done.detail) == ("superseded", True)
    assert world.undone == [(place.name, "copy") for place in (OHIO, LONDON, TOKYO)]
    assert world.has["us-east-2"] == []
    assert world.applied == []
    assert [entry.action for entry in world.logged] == ["repair undone"]


def test_a_copy_of_other_bytes_is_taken_away() -> None:
    world = World()
    world.copied_as = "other bytes"
    done = world.mend()
    assert (done.outcome, "differs" in done.detail) == ("failed", True)
    assert world.undone == [(place.name, "copy") for place in (OHIO, LONDON, TOKYO)]
    assert world.applied == []


def test_without_checksums_of_s3_both_are_read_back() -> None:
    world = World()
    world.checksums = False
    assert world.mend().detail.endswith("both were read back: SHA-256 sha-v1, 4 bytes")
    world = World()
    world.checksums, world.copied_as = False, "other bytes"
    assert world.mend().outcome == "failed"


def test_what_cannot_be_proved_is_said_and_stays_on_the_list() -> None:
    world = World()
    world.checksums, world.size = False, 101 * 1024**2  # more than is read back
    done = world.mend()
    assert (done.outcome, done.copy_version) == ("unproved", "copy")
    assert (world.applied, world.logged) == ([], [])


OBSTACLES: list[tuple[Bucket | Unknown, str]] = [
    (Bucket("enabled"), "no enabled rule carries it from us-east-2 to eu-west-2"),
    (Bucket("enabled", [TO_LONDON]), "no enabled rule carries it from us-east-2 to ap-northeast-1"),
    (
        Bucket("enabled", [TO_LONDON, msgspec.structs.replace(TO_TOKYO, tags={"a": "b"})]),
        "no enabled rule carries it from us-east-2 to ap-northeast-1",
    ),
    (Bucket("enabled", [msgspec.structs.replace(TO_LONDON, enabled=False)]), "no enabled rule"),
    (Bucket("suspended", [TO_LONDON]), "versioning of pics-us is suspended"),
    (Unknown("403"), "the settings of us-east-2 are not known: 403"),
]


@pytest.mark.parametrize(("bucket", "why"), OBSTACLES)
def test_a_copy_that_would_not_leave_all_places_alike_is_refused(bucket: Bucket | Unknown, why: str) -> None:
    world = World()
    world.tags = {"a": "c"}
    world.buckets["us-east-2"] = bucket
    done = world.mend()
    assert (done.outcome, why in done.detail) == ("refused", True)
    assert world.over == []


def test_a_rule_for_the_objects_tags_carries_the_copy() -> None:
    world = World()
    rules = [TO_LONDON, msgspec.structs.replace(TO_TOKYO, tags={"a": "b"})]
    world.buckets["us-east-2"], world.tags = Bucket("enabled", rules), {"a": "b", "c": "d"}
    assert world.mend().outcome == "copied"


def test_without_its_tags_nothing_is_copied() -> None:
    world = World()
    world.tags = None
    done = world.mend()
    assert (done.outcome, "does not show its tags" in done.detail) == ("waiting", True)
    assert world.over == []


def test_a_customers_key_is_refused() -> None:
    world = World()
    world.encryption = "customer"
    assert world.mend().outcome == "refused"


def test_a_deletion_that_did_not_arrive_is_done() -> None:
    world = World()
    gone = marker("v1", 5_000)
    world.has = {"eu-west-2": [gone], "us-east-2": [OLD], "ap-northeast-1": [gone]}
    assert world.mend(dry_run=True).detail == "would be deleted in us-east-2 as well"
    done = world.mend()
    assert (done.outcome, done.copy_version) == ("deleted", "marker")
    assert world.over == [OLD]
    assert isinstance(world.applied[0], Removed)


@pytest.fixture
def undeleted() -> World:
    """An object that was deleted in two places, and stands in Ohio still."""
    world = World()
    gone = marker("v1", 5_000)
    world.has = {"eu-west-2": [gone], "us-east-2": [OLD], "ap-northeast-1": [gone]}
    return world


def test_a_write_between_the_look_and_the_marker_takes_the_marker_away_everywhere(undeleted: World) -> None:
    newer = Entry(version="v2", modified=8_000, latest=True, etag="e2", size=9)
    undeleted.meanwhile = lambda: undeleted.has["eu-west-2"].insert(0, newer)
    done = undeleted.mend()
    assert (done.outcome, "v2 was written meanwhile" in done.detail) == ("superseded", True)
    assert undeleted.undone == [(place.name, "marker") for place in (OHIO, LONDON, TOKYO)]
    assert undeleted.has["us-east-2"] == [OLD]
    assert undeleted.applied == []
    assert [entry.action for entry in undeleted.logged] == ["repair undone"]


@pytest.mark.parametrize("deletion", [False, True])
def test_what_cannot_be_looked_at_again_is_taken_away_again(undeleted: World, deletion: bool) -> None:
    world = undeleted if deletion else World()
    world.meanwhile = lambda: setattr(world, "down", "ap-northeast-1")
    world.stuck = "eu-west-2"
    done = world.mend()
    assert (done.outcome, "cannot be told: ap-northeast-1 is down" in done.detail) == ("waiting", True)
    assert "it may still be in eu-west-2: eu-west-2 does not answer" in done.detail
    assert [place for place, _ in world.undone] == ["us-east-2", "ap-northeast-1"]
    assert world.applied == []
    assert [entry.detail for entry in world.logged] == [done.detail]


def test_who_may_not_delete_does_not_repair_a_deletion(undeleted: World) -> None:
    for dry_run in (False, True):
        done = undeleted.mend(may_delete=False, dry_run=dry_run)
        assert (done.outcome, "may not delete 'a'" in done.detail) == ("refused", True)
    assert (undeleted.over, undeleted.applied) == ([], [])
    assert World().mend(may_delete=False).outcome == "copied"


@pytest.mark.parametrize("rule", [TO_TOKYO, msgspec.structs.replace(TO_LONDON, delete_markers=False)])
def test_a_deletion_is_carried_to_every_place_that_still_shows_the_object(undeleted: World, rule: Rule) -> None:
    undeleted.buckets["us-east-2"] = Bucket("enabled", [rule])
    assert undeleted.mend(dry_run=True).outcome == "dry run"
    undeleted.has = {"eu-west-2": [OLD], "us-east-2": [OLD], "ap-northeast-1": [marker("v1", 5_000)]}
    done = undeleted.mend()
    assert (done.outcome, "carries a delete marker from us-east-2 to eu-west-2" in done.detail) == ("refused", True)
    assert undeleted.over == []


def test_an_unfinished_copy_of_what_is_settled_is_thrown_away() -> None:
    for change in ({}, {"eu-west-2": [marker("gone", 6_000), V1]}, {"us-east-2": [V1]}):
        world = World()
        world.has |= change
        world.mend(dry_run=True)
        assert world.abandoned == []
        world.mend()
        assert world.abandoned == [("us-east-2", "v1")]


def test_a_deletion_of_what_never_was_there_only_leaves_the_list() -> None:
    world = World()
    world.has = {"eu-west-2": [marker("v1", 5_000)], "us-east-2": [], "ap-northeast-1": []}
    assert world.mend().outcome == "deleted"
    assert world.over == []


@pytest.mark.parametrize("error", [Unreachable("us-east-2 is down"), BadRequest("it changed: ask again")])
def test_what_fails_on_the_way_is_said_and_changes_nothing(error: NearsideError) -> None:
    world = World()
    world.fails = error
    done = world.mend()
    assert (done.outcome, done.detail) == ("waiting", str(error))
    assert (world.applied, world.logged) == ([], [])


def test_a_copy_in_parts_goes_on_another_time() -> None:
    world = World()
    world.unfinished = Unfinished(3, 12)
    done = world.mend()
    assert (done.outcome, "3 of 12 parts" in done.detail) == ("copying", True)
    assert world.applied == []

"""What operators see of the gateway: its places' states, its copies that wait, and what its replicator did."""

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.access import Caller, Policy
from nearside.errors import BadCursor, BadRequest, Refused, Unreachable
from nearside.gateway.backends import parse
from nearside.gateway.copy_lists import CopyLists
from nearside.gateway.noting import OperationNotes
from nearside.gateway.pausing import LONGEST_SECONDS, pause_seconds
from nearside.gateway.place_states import PROBE, listed, states
from nearside.gateway.records import Copy, Record
from nearside.gateway.spreading import Spreader
from nearside.health import Health, backends, health
from nearside.listing import Cursors
from nearside.operations_log import Entry, Page, Wanted
from nearside.places import Place
from nearside.replicas import Absent, Findings, Held, Question
from nearside.work import Page as WorkPage
from nearside.work import Work, WorkState
from nearside.work_lists import ReplicaStatus, StatusAsked, WorkLists
from tests.unit.test_gateway_reconciling import BUCKET, Gateway

PLACES = (Place("eu-west-2", "nearside-eu-west-2"), Place("us-east-2", "nearside-us-east-2"))
CALLER = Caller("operator", trusted=True)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_every_place_is_asked_for_the_gateways_first_bucket(gateway: Gateway) -> None:
    def away(method: str, when: str) -> None:
        raise Unreachable("it did not answer in 3 s")

    gateway.stores[1].fault = away
    del gateway.stores[2].buckets[BUCKET]
    assert states(Spreader(gateway.places), gateway.records) == {
        "p0": "up",
        "p1": "it did not answer in 3 s",
        "p2": "has no such bucket",
    }


def test_without_a_bucket_an_answer_is_enough(gateway: Gateway) -> None:
    gateway.records.made.clear()
    gateway.stores[1].locked = True
    gateway.stores[2].buckets[PROBE] = {}
    found = states(Spreader(gateway.places), gateway.records)
    assert found["p0"] == found["p2"] == "up"
    gateway.records.down = True
    assert states(Spreader(gateway.places), gateway.records)["p0"] == "up"


def find(questions: Sequence[Question]) -> Sequence[Findings]:
    return [{place.name: Held(None, "", 0.0) for place in question.places} for question in questions]


def find_none(questions: Sequence[Question]) -> Sequence[Findings]:
    return [{place.name: Absent() for place in question.places} for question in questions]


def test_the_gateways_places_count_in_health_beside_a_region_of_the_same_name() -> None:
    seen = health(PLACES, find, {"eu-west-2": "up", "wasabi": "refused"})
    assert seen == Health(
        "degraded",
        {"eu-west-2": "up", "us-east-2": "up", "gateway/eu-west-2": "up", "gateway/wasabi": "refused"},
    )
    assert health(PLACES, find_none, {"wasabi": "up"}).status == "degraded"
    assert health(PLACES, find).places.keys() == {"eu-west-2", "us-east-2"}


def test_backends_has_the_gateways_places_after_the_regions() -> None:
    text = msgspec.json.encode(
        {
            "backends": [
                _backend("wasabi", "wasabi", endpoint_url="https://s3.eu-west-1.wasabisys.com"),
                _backend("eu", "aws", is_primary=True, bucket="{bucket}-eu"),
                _backend("old", "aws", enabled=False),
            ]
        }
    ).decode()
    found = backends(PLACES, find, listed(parse(text), {"wasabi": "refused", "eu": "up"})).backends
    assert [(each.name, each.gateway, each.state) for each in found] == [
        ("eu-west-2", False, "up"),
        ("us-east-2", False, "up"),
        ("eu", True, "up"),
        ("wasabi", True, "refused"),
        ("old", True, "disabled"),
    ]
    assert (found[2].bucket, found[2].primary, found[3].provider, found[3].zone) == (
        "{bucket}-eu",
        True,
        "wasabi",
        "z1",
    )
    assert b"gateway" not in msgspec.json.encode(found[0])


def _backend(name: str, provider: str, **more: object) -> dict[str, object]:
    return {"name": name, "provider": provider, "zone_code": "z1", "region": "eu-west-1", **more}


class NoWork:
    """Implements ListsWork: one failed replica in each region."""

    def counts(self, place: str) -> object:
        raise NotImplementedError

    def page(
        self, place: str, state: WorkState, limit: int, cursor: str | None = None, before: int | None = None
    ) -> WorkPage:
        works = [Work(key="r", version="1", place=place, state=state, due=1)] if state == "FAILED" else []
        return WorkPage(works)


class Due:
    """Implements ListsDue, two objects a page at most."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.limits: list[int] = []

    def __call__(self, limit: int, cursor: str | None) -> tuple[Sequence[tuple[str, str]], str | None]:
        self.limits.append(limit)
        known = sorted(name for name, record in self._gateway.records.items.items() if record.due is not None)
        start = int(cursor or 0)
        end = start + min(limit, 2)
        return known[start:end], str(end) if end < len(known) else None


def lists(gateway: Gateway) -> WorkLists:
    copies = CopyLists(gateway.places.names, Due(gateway), gateway.records)
    return WorkLists(PLACES, NoWork(), no_log, Policy([]), Cursors(b"k" * 32), copies)  # type: ignore[arg-type]  # counts


def no_log(wanted: Wanted, limit: int, cursor: str | None = None) -> Page:
    return Page([])


def pages(work: WorkLists, **asked: object) -> list[ReplicaStatus]:
    found: list[ReplicaStatus] = []
    cursor = None
    for _ in range(50):
        page = work.status(StatusAsked(cursor=cursor, **asked), CALLER)  # type: ignore[arg-type]  # by name
        assert len(page.replicas) < asked.get("limit", 100) + 3  # type: ignore[operator]  # an object's stay together
        found += page.replicas
        cursor = page.cursor
        if cursor is None:
            return found
    raise AssertionError("there is no last page")


def waiting(gateway: Gateway) -> None:
    """Five objects: each lacks a copy in p2, `k0` one in p1 as well, which failed; `gone` is to be removed in p0."""
    due = 1_795_132_801_000
    for number in range(5):
        gateway.put(f"k{number}")
    gateway.mend()
    for number in range(5):
        copies = {**gateway.record(f"k{number}").copies, "p2": Copy(attempts=2, why="it is full")}
        if number == 0:
            copies["p1"] = Copy(state="FAILED", attempts=8)
        gateway.change(f"k{number}", copies=copies, due=due + number)
    gone = Record(bucket=BUCKET, key="gone", deleted=1, copies={"p0": Copy()}, due=due)
    gateway.records.items[BUCKET, "gone"] = gone


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_copies_that_wait_come_after_the_regions_replicas_page_by_page(gateway: Gateway, limit: int) -> None:
    waiting(gateway)
    found = pages(lists(gateway), limit=limit)
    assert [(each.key, each.place) for each in found[:2]] == [("r", "eu-west-2"), ("r", "us-east-2")]
    of_gateway = {(each.key, each.place, each.state) for each in found[2:]}
    expected = {(f"k{number}", "p2", "PENDING") for number in range(5)}
    assert of_gateway == expected | {("k0", "p1", "FAILED"), ("gone", "p0", "PENDING")}
    assert len(found) == 2 + 7
    assert {each.bucket for each in found[2:]} == {BUCKET}


def test_a_copy_tells_what_is_known_of_it(gateway: Gateway) -> None:
    waiting(gateway)
    [first, *_] = [each for each in pages(lists(gateway), place="p2") if each.key == "k1"]
    current = gateway.record("k1").current
    assert current is not None
    assert (first.version, first.attempts, first.why, first.marker) == (current.id, 2, "it is full", False)
    assert first.due.timestamp() * 1000 == gateway.record("k1").due
    [gone] = pages(lists(gateway), place="p0")
    assert (gone.key, gone.marker, gone.version) == ("gone", True, "")


def test_filters_hold_for_the_gateways_copies_too(gateway: Gateway) -> None:
    waiting(gateway)
    assert [(each.key, each.place) for each in pages(lists(gateway), state="FAILED")[2:]] == [("k0", "p1")]
    assert {each.place for each in pages(lists(gateway), place="p2")} == {"p2"}
    assert [each.place for each in pages(lists(gateway), place="us-east-2")] == ["us-east-2"]
    with pytest.raises(BadRequest, match="expected one of eu-west-2, us-east-2, p0, p1, p2"):
        pages(lists(gateway), place="nowhere")


def test_a_gateway_whose_catalog_is_away_does_not_hide_the_rest(gateway: Gateway) -> None:
    waiting(gateway)
    gateway.records.down = True
    status = lists(gateway).status(StatusAsked(), CALLER)
    assert (len(status.replicas), status.unknown) == (2, ["gateway/: the catalog does not answer"])
    with pytest.raises(Unreachable):
        lists(gateway).status(StatusAsked(place="p1"), CALLER)


def test_so_many_objects_are_read_as_have_copies_enough(gateway: Gateway) -> None:
    due = Due(gateway)
    copies = CopyLists(gateway.places.names, due, gateway.records)
    for limit in (1, 3, 100):
        copies.page(None, None, limit, None)
    assert due.limits == [1, 1, 33]


def test_a_cursor_of_the_gateways_list_is_good_for_the_same_question_only(gateway: Gateway) -> None:
    waiting(gateway)
    cursor = lists(gateway).status(StatusAsked(place="p2", limit=1), CALLER).cursor
    with pytest.raises(BadCursor):
        lists(gateway).status(StatusAsked(place="p1", limit=1, cursor=cursor), CALLER)


def test_only_who_may_read_everything_sees_it(gateway: Gateway) -> None:
    with pytest.raises(Refused):
        lists(gateway).status(StatusAsked(), Caller("alice", trusted=False))


def test_what_the_replicator_did_is_an_operation(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    entries: list[Entry] = []
    record = gateway.put("a")

    def append(entry: Entry) -> None:
        entries.append(entry)

    notes = OperationNotes(append, gateway.clock)
    notes(record, "p1", "copied", "")
    notes(record, "p2", "failed", "x" * 10_000)
    assert [(e.action, e.bucket, e.key, e.place) for e in entries] == [
        ("gateway: copied", BUCKET, "a", "p1"),
        ("gateway: failed", BUCKET, "a", "p2"),
    ]
    assert record.current is not None
    assert (entries[0].version, entries[0].at) == (record.current.id, int(gateway.clock() * 1000))
    assert len(entries[1].detail) == 500
    assert entries[0].id != entries[1].id

    def away(entry: Entry) -> None:
        raise Unreachable("throttled")

    OperationNotes(away, gateway.clock)(record, "p1", "copied", "")
    assert "throttled" in caplog.text


@given(st.integers(-1, 100_000), st.randoms(use_true_random=False))
def test_a_pause_grows_to_a_quarter_of_an_hour_and_is_never_nothing(receives: int, dice: random.Random) -> None:
    assert 1 <= pause_seconds(receives, dice.uniform) <= LONGEST_SECONDS
    assert isinstance(pause_seconds(receives, dice.uniform), int)


def test_a_pause_is_anything_up_to_twice_the_last_one() -> None:
    longest = [pause_seconds(receives, lambda low, high: high) for receives in range(1, 12)]
    assert longest == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
    assert pause_seconds(5, lambda low, high: low) == 1

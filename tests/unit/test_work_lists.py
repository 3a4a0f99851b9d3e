"""The lists of the API: pages over several work lists, the log's span of time, and who may read them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from nearside import operations_log, work
from nearside.access import Caller, Policy
from nearside.errors import BadCursor, BadRequest, Refused, Unreachable
from nearside.listing import Cursors, asked_as
from nearside.operations_log import KEEP_SECONDS, Wanted
from nearside.work import Counts, Work, WorkState
from nearside.work_lists import LogAsked, StatusAsked, WorkLists
from tests.unit.fakes import LONDON, OHIO

OPERATOR = Caller("op", trusted=True)
ALICE = Caller("alice", trusted=False, claims={"sub": "alice"})


class Lists:
    """Three works per place and state, one per page; and a log of five entries, two per page."""

    def __init__(self) -> None:
        self.down: str | None = None
        self.asked: list[Wanted] = []

    def counts(self, place: str) -> Counts:
        raise AssertionError("lists count nothing")

    def page(
        self, place: str, state: WorkState, limit: int, cursor: str | None = None, before: int | None = None
    ) -> work.Page:
        if place == self.down:
            raise Unreachable("its table is down")
        number = int(cursor or 0)
        found = Work(
            key=f"{state} {number}", version="v", place=place, state=state, due=1_000, reason="DstBucketNotFound"
        )
        return work.Page([found], str(number + 1) if number < 2 else None)

    def log(self, wanted: Wanted, limit: int, cursor: str | None = None) -> operations_log.Page:
        self.asked.append(wanted)
        first = int(cursor or 0)
        entries: Sequence[operations_log.Entry] = [
            operations_log.Entry(at=number, id=str(number), action=f"did {number}")
            for number in range(first, first + 2)
        ]
        return operations_log.Page(entries, str(first + 2) if first < 4 else None)


def of(lists: Lists) -> WorkLists:
    return WorkLists((LONDON, OHIO), lists, lists.log, Policy(), Cursors(b"0123456789abcdef"))


def all_of(lists: Lists, caller: Caller = OPERATOR, **asked: Any) -> list[tuple[str, str]]:
    """Every replica, page by page."""
    found, cursor, pages = [], None, 0
    while True:
        page = of(lists).status(StatusAsked(cursor=cursor, **asked), caller)
        assert len(page.replicas) <= asked.get("limit", 100)
        found += [(each.place, each.key) for each in page.replicas]
        cursor, pages = page.cursor, pages + 1
        assert pages < 20
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_go_through_every_list_once_failed_ones_first(limit: int) -> None:
    expected = [
        (place, f"{state} {number}")
        for state in ("FAILED", "PENDING")
        for place in ("eu-west-2", "us-east-2")
        for number in range(3)
    ]
    assert all_of(Lists(), limit=limit) == expected


def test_filters() -> None:
    assert {place for place, _ in all_of(Lists(), place="us-east-2")} == {"us-east-2"}
    assert {key.split()[0] for _, key in all_of(Lists(), state="PENDING")} == {"PENDING"}


def test_a_failure_is_said_in_words() -> None:
    [first, *_] = of(Lists()).status(StatusAsked(), OPERATOR).replicas
    assert (first.reason, first.why) == ("DstBucketNotFound", "the destination bucket of the rule does not exist")
    assert first.due == datetime.fromtimestamp(1, UTC)


def test_a_place_whose_list_cannot_be_read_is_named_and_the_others_told() -> None:
    lists = Lists()
    lists.down = "eu-west-2"
    page = of(lists).status(StatusAsked(), OPERATOR)
    assert {each.place for each in page.replicas} == {"us-east-2"}
    assert page.unknown == ["eu-west-2: its table is down"] * 2
    with pytest.raises(Unreachable):
        of(lists).status(StatusAsked(place="eu-west-2"), OPERATOR)


def test_a_cursor_is_good_for_its_own_list_only() -> None:
    cursor = of(Lists()).status(StatusAsked(limit=1), OPERATOR).cursor
    with pytest.raises(BadCursor):
        of(Lists()).status(StatusAsked(state="FAILED", cursor=cursor), OPERATOR)
    with pytest.raises(BadCursor):
        of(Lists()).operations(LogAsked(cursor=cursor), OPERATOR, 10.0)
    with pytest.raises(BadCursor):
        of(Lists()).status(StatusAsked(cursor="made-up"), OPERATOR)


def test_an_unknown_place_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="place is 'mars': expected one of eu-west-2, us-east-2"):
        of(Lists()).status(StatusAsked(place="mars"), OPERATOR)


def test_who_may_not_read_the_whole_bucket_may_not_read_the_lists() -> None:
    with pytest.raises(Refused):
        of(Lists()).status(StatusAsked(), ALICE)
    with pytest.raises(Refused):
        of(Lists()).operations(LogAsked(), ALICE, 10.0)


def test_the_log_goes_on_in_the_span_of_its_first_page() -> None:
    lists = Lists()
    page = of(lists).operations(LogAsked(key="a"), OPERATOR, 10.0)
    more = of(lists).operations(LogAsked(key="a", cursor=page.cursor), OPERATOR, 99_999.0)
    assert [each.action for each in (*page.operations, *more.operations)] == [f"did {number}" for number in range(4)]
    assert lists.asked[0] == lists.asked[1] == Wanted(since=10_001 - KEEP_SECONDS * 1000, until=10_001, key="a")
    with pytest.raises(BadCursor, match="another key or place"):
        of(lists).operations(LogAsked(key="b", cursor=page.cursor), OPERATOR, 10.0)


def test_the_log_of_a_span() -> None:
    lists = Lists()
    query = {"since": "1970-01-01T00:00:05Z", "until": "1970-01-01T01:00:09+01:00", "place": "us-east-2"}
    of(lists).operations(asked_as(query, LogAsked), OPERATOR, 10.0)
    assert lists.asked == [Wanted(since=5_000, until=9_000, place="us-east-2")]
    backwards = asked_as(query | {"since": "1970-01-01T00:00:09Z"}, LogAsked)
    with pytest.raises(BadRequest, match="since is"):
        of(lists).operations(backwards, OPERATOR, 10.0)
    with pytest.raises(BadRequest, match="since is '1970-01-01T00:00:05'"):
        asked_as({"since": "1970-01-01T00:00:05"}, LogAsked)

"""The work lists, read from the sparse index `work`: PK `<place>#<state>#<shard>`, SK when each was due."""

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from nearside.adapters.tables import Tables, decoded, encoded
from nearside.errors import BadCursor
from nearside.work import SHARDS, Counts, Page, Work, WorkState

INDEX = "work"
# Of a shard and state; a page is 1 MB, some 3,000 records (https://docs.aws.amazon.com/amazondynamodb/latest/
# developerguide/Query.Pagination.html), so a place's counts cost 8 MB of reading at most, whatever waits.
COUNTED_PAGES = 4
PARALLEL = 8


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    shard: int
    after: dict[str, dict[str, str]] | None = None


class WorkLists:
    """Implements `nearside.work.ListsWork`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._prefix = f"OBJ#{tables.bucket}#"
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="work")

    def counts(self, place: str) -> Counts:
        """What `nearside.work.ListsWork` says, all shards at once."""
        states: tuple[WorkState, ...] = ("PENDING", "FAILED")
        tasks = {
            state: [self._threads.submit(self._shard_counts, place, state, shard) for shard in range(SHARDS)]
            for state in states
        }
        found = {state: [task.result() for task in row] for state, row in tasks.items()}
        oldest = {state: min((o for _, o, _ in row if o is not None), default=None) for state, row in found.items()}
        return Counts(
            pending=sum(count for count, _, _ in found["PENDING"]),
            failed=sum(count for count, _, _ in found["FAILED"]),
            oldest_pending=oldest["PENDING"],
            oldest_failed=oldest["FAILED"],
            truncated=any(more for row in found.values() for _, _, more in row),
        )

    def page(
        self, place: str, state: WorkState, limit: int, cursor: str | None = None, before: int | None = None
    ) -> Page:
        """What `nearside.work.ListsWork` says."""
        start = _opened(cursor) if cursor else _Cursor(0)
        works: list[Work] = []
        shard, after = start.shard, start.after
        while shard < SHARDS:
            more: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}
            answer = self._asked(place, state, shard, before, Limit=limit - len(works), **more)
            works += [self._work(item, place, state) for item in answer["Items"]]
            after = answer.get("LastEvaluatedKey")
            if after is None:
                shard += 1
            if len(works) >= limit:
                return Page(works, _sealed(_Cursor(shard, after)) if shard < SHARDS else None)
        return Page(works)

    def _shard_counts(self, place: str, state: WorkState, shard: int) -> tuple[int, int | None, bool]:
        """How many, when the oldest was due, and whether there are more than were counted."""
        first = self._asked(place, state, shard, Limit=1)["Items"]
        if not first:
            return 0, None, False
        count = 0
        more: dict[str, Any] = {}
        for _ in range(COUNTED_PAGES):
            answer = self._asked(place, state, shard, Select="COUNT", **more)
            count += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return count, int(first[0]["due"]["N"]), False
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return count, int(first[0]["due"]["N"]), True

    def _asked(self, place: str, state: WorkState, shard: int, before: int | None = None, **more: Any) -> Any:
        values: dict[str, str | int] = {":work": f"{place}#{state}#{shard}"}
        condition = "#work = :work"
        if before is not None:
            values[":before"] = before
            condition += " AND due <= :before"
        return self._tables.call(
            self._tables.home(place),
            "query",
            IndexName=INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#work": "work"},
            ExpressionAttributeValues=encoded(values),
            **more,
        )

    def _work(self, item: Any, place: str, state: WorkState) -> Work:
        values = decoded(item)
        return Work(
            key=values["PK"].removeprefix(self._prefix),
            version=values["SK"].rpartition("#")[0],
            place=place,
            state=state,
            due=values["due"],
            marker=values.get("marker", False),
            overdue=values.get("overdue", False),
            untracked=values.get("untracked", False),
            rule=values.get("rule"),
            reason=values.get("reason"),
        )


def _sealed(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def _opened(text: str) -> _Cursor:
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=_Cursor)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadCursor("the cursor of the work list is not one that it gave") from error
    if not 0 <= cursor.shard < SHARDS or (
        cursor.after is not None and set(cursor.after) != {"PK", "SK", "work", "due"}
    ):
        raise BadCursor("the cursor of the work list is not one that it gave")
    return cursor

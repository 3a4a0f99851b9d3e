"""The log of operations in DynamoDB: PK `LOG#<day>#<shard>`, SK `<milliseconds>#<id>`."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from nearside.adapters.tables import Tables, Value, decoded, encoded
from nearside.errors import BadCursor
from nearside.operations_log import DAY_MS, KEEP_SECONDS, SHARDS, Entry, Page, Wanted, shard

# One page asks for so many days at most: a log with nothing in it is not searched to its end in one request.
DAYS_PER_PAGE = 8


class OperationsLog:
    """Implements `nearside.operations_log.AppendsOperations` and, by `page`, `ReadsOperations`.

    An entry is written once, through `region`, the function's own, and read there: entries of other regions show up as
    their writes arrive.
    """

    def __init__(self, tables: Tables, region: str) -> None:
        self._tables = tables
        self._region = region

    def __call__(self, entry: Entry) -> None:
        """Adds the entry."""
        values: dict[str, Value] = {
            name: value for name in _FIELDS if (value := getattr(entry, name)) or name == "action"
        }
        values |= {
            "PK": f"LOG#{_day(entry.at)}#{shard(entry)}",
            "SK": f"{entry.at:013d}#{entry.id}",
            "expires": entry.at // 1000 + KEEP_SECONDS,
        }
        self._tables.call(self._region, "put_item", Item=encoded(values))

    def page(self, wanted: Wanted, limit: int, cursor: str | None = None) -> Page:
        """What `nearside.operations_log.ReadsOperations` says."""
        end = _opened(cursor) if cursor else f"{wanted.until:013d}"
        first = f"{wanted.since:013d}"
        entries: list[Entry] = []
        for _ in range(DAYS_PER_PAGE):
            day_start = (int(end[:13]) - (0 if "#" in end else 1)) // DAY_MS * DAY_MS
            found, horizon = self._newest(day_start, max(first, f"{day_start:013d}"), end, wanted, limit - len(entries))
            entries += [_entry(values) for values in found]
            end = horizon or f"{day_start:013d}"
            if end <= first:
                return Page(entries)
            if len(entries) >= limit:
                break
        return Page(entries, base64.urlsafe_b64encode(end.encode()).decode())

    def _newest(
        self, day_start: int, first: str, end: str, wanted: Wanted, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The newest entries of a day before `end`, and where the next page begins; None when the day is done."""
        rows: list[dict[str, Any]] = []
        unread: list[str] = []
        for number in range(SHARDS):
            answer = self._asked(f"LOG#{_day(day_start)}#{number}", first, end, wanted, limit)
            rows += [decoded(item) for item in answer["Items"]]
            if "LastEvaluatedKey" in answer:
                unread.append(answer["LastEvaluatedKey"]["SK"]["S"])
        # What is older than where one shard was left may have older neighbours there that were not read yet.
        horizon = max(unread, default="")
        known = sorted((row for row in rows if horizon <= row["SK"] < end), key=lambda row: row["SK"], reverse=True)
        if len(known) > limit:
            known = known[:limit]
            horizon = known[-1]["SK"]
        return known, horizon or None

    def _asked(self, partition: str, first: str, end: str, wanted: Wanted, limit: int) -> Any:
        values: dict[str, Value] = {":PK": partition, ":first": first, ":end": end}
        names, filters = {}, []
        for field in ("key", "place"):
            if (value := getattr(wanted, field)) is not None:
                values[f":{field}"] = value
                names[f"#{field}"] = field
                filters.append(f"#{field} = :{field}")
        more: dict[str, Any] = {}
        if filters:
            more = {"FilterExpression": " AND ".join(filters), "ExpressionAttributeNames": names}
        return self._tables.call(
            self._region,
            "query",
            KeyConditionExpression="PK = :PK AND SK BETWEEN :first AND :end",
            ExpressionAttributeValues=encoded(values),
            ScanIndexForward=False,
            Limit=limit + 1,  # `end` itself may be among them, and is not wanted
            **more,
        )


_FIELDS = ("action", "key", "place", "version", "detail", "bucket")


def _day(at: int) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%d")


def _entry(values: dict[str, Any]) -> Entry:
    at, _, identifier = values["SK"].partition("#")
    return Entry(at=int(at), id=identifier, **{name: values[name] for name in _FIELDS if name in values})


def _opened(cursor: str) -> str:
    try:
        end = base64.urlsafe_b64decode(cursor.encode()).decode()
        int(end[:13])
    except (ValueError, binascii.Error) as error:
        raise BadCursor("the cursor of the log is not one that it gave") from error
    if end[13:14] not in ("", "#"):
        raise BadCursor("the cursor of the log is not one that it gave")
    return end

"""Measured lags in DynamoDB: PK `LAG#<place>#<shard>`, SK the minute; an attribute per non-empty bucket, and `max`."""

import random
from contextlib import suppress
from datetime import UTC, datetime
from functools import reduce

from nearside.adapters.tables import Changed, Tables, decoded, encoded
from nearside.lag import EMPTY, Histogram

# A minute of a place is so many items, each good for 1,000 writes a second; a batch of events makes one or two.
SHARDS = 4
KEEP_SECONDS = 3 * 24 * 3600
_MINUTE = "%Y-%m-%dT%H:%MZ"


class LagRecords:
    """Implements `nearside.lag.WritesLag` and, by `between`, `nearside.lag.ReadsLag`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __call__(self, place: str, minute: int, histogram: Histogram) -> None:
        """Adds to the minute's record in one of its shards; the longest is raised by a write of its own, seldom."""
        key = encoded({"PK": f"LAG#{place}#{random.randrange(SHARDS)}", "SK": _minute(minute)})
        counts = {f"b{number}": count for number, count in histogram.counts.items()}
        answer = self._tables.call(
            self._tables.home(place),
            "update_item",
            Key=key,
            UpdateExpression=f"SET expires = :expires ADD {', '.join(f'{name} :{name}' for name in counts)}",
            ExpressionAttributeValues=encoded({":expires": minute // 1000 + KEEP_SECONDS})
            | encoded({f":{name}": count for name, count in counts.items()}),
            ReturnValues="ALL_NEW",
        )
        if decoded(answer["Attributes"]).get("max", -1) < histogram.max_ms:
            with suppress(Changed):  # a longer one meanwhile
                self._tables.call(
                    self._tables.home(place),
                    "update_item",
                    Key=key,
                    UpdateExpression="SET #max = :max",
                    ConditionExpression="attribute_not_exists(#max) OR #max < :max",
                    ExpressionAttributeNames={"#max": "max"},
                    ExpressionAttributeValues=encoded({":max": histogram.max_ms}),
                )

    def between(self, place: str, since: int, until: int) -> Histogram:
        """What was recorded in the minutes from `since` to `until`, both included, in milliseconds since the epoch."""
        return reduce(Histogram.plus, self.minutes(place, since, until).values(), EMPTY)

    def minutes(self, place: str, since: int, until: int) -> dict[int, Histogram]:
        """The same for each minute of which something is on record; `nearside.lag_series.ReadsLagMinutes`."""
        found: dict[int, Histogram] = {}
        for shard in range(SHARDS):
            pages = self._tables.query(
                self._tables.home(place),
                KeyConditionExpression="PK = :PK AND SK BETWEEN :since AND :until",
                ExpressionAttributeValues=encoded({
                    ":PK": f"LAG#{place}#{shard}",
                    ":since": _minute(since),
                    ":until": _minute(until),
                }),
            )  # fmt: skip
            for item in (item for page in pages for item in page["Items"]):
                values = decoded(item)
                counts = {
                    int(name[1:]): count for name, count in values.items() if name[0] == "b" and name[1:].isdigit()
                }
                at = int(datetime.strptime(values["SK"], _MINUTE).replace(tzinfo=UTC).timestamp()) * 1000
                found[at] = found.get(at, EMPTY).plus(Histogram(counts, values.get("max", 0)))
        return found


def _minute(at: int) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime(_MINUTE)

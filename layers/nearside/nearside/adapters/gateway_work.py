"""What the gateway's replicator has to do, read page by page from the index `work`: `GATEWAY#<shard>`, by due."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.errors import BadCursor
from nearside.work import SHARDS


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    shard: int
    after: Mapping[str, Mapping[str, str]] | None = None


class GatewayWork:
    """Implements `nearside.gateway.copy_lists.ListsDue`. The cursor is not sealed: whoever hands it out does."""

    def __init__(self, wire: DynamoDbWire) -> None:
        self._call = wire.call

    def __call__(self, limit: int, cursor: str | None) -> tuple[Sequence[tuple[str, str]], str | None]:
        start = _opened(cursor) if cursor else _Cursor(0)
        found: list[tuple[str, str]] = []
        shard, after = start.shard, start.after
        while shard < SHARDS:
            answer = self._asked(shard, limit - len(found), after)
            found += [(item["PK"]["S"].removeprefix("GATEWAY#"), item["SK"]["S"]) for item in answer["Items"]]
            after = answer.get("LastEvaluatedKey")
            shard += after is None
            if len(found) >= limit:
                return found, _sealed(_Cursor(shard, after)) if shard < SHARDS else None
        return found, None

    def _asked(self, shard: int, limit: int, after: Mapping[str, Any] | None) -> dict[str, Any]:
        request: dict[str, Any] = {
            "IndexName": "work",
            "KeyConditionExpression": "#work = :work",
            "ProjectionExpression": "PK, SK",
            "ExpressionAttributeNames": {"#work": "work"},
            "ExpressionAttributeValues": {":work": {"S": f"GATEWAY#{shard}"}},
            "Limit": limit,
        }
        return self._call("Query", request | ({"ExclusiveStartKey": after} if after else {}))


def _sealed(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def _opened(text: str) -> _Cursor:
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=_Cursor)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadCursor("the cursor of the gateway's list is not one that it gave") from error
    if not 0 <= cursor.shard < SHARDS or (cursor.after is not None and set(cursor.after) != _KEYS):
        raise BadCursor("the cursor of the gateway's list is not one that it gave")
    return cursor


_KEYS = {"PK", "SK", "work", "due"}

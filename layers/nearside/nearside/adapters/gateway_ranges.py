"""Reading the items of one partition in the order of their sort keys."""

from collections.abc import Callable, Mapping
from typing import Any

from nearside.adapters.dynamodb_wire import Item

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_SORT_KEY_BYTES = 1024

type Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]


def keys_after(call: Call, partition: str, prefix: str, after: str, limit: int | None) -> tuple[list[Item], bool]:
    """Up to `limit` items (None: all) whose sort keys begin with `prefix` and come after `after`, in the order of their
    UTF-8 bytes, which is Python's order of strings too; and whether there are more. Strongly consistent."""
    request = _request(partition, prefix, after)
    found: list[Item] = []
    while True:
        more = {} if limit is None else {"Limit": limit + 1 - len(found)}
        answer = call("Query", {**request, **more})
        for item in answer["Items"]:
            key: str = item["SK"]["S"]
            if not key.startswith(prefix):
                if key > prefix:
                    return found, False
                continue
            if key <= after:
                continue
            if limit is not None and len(found) == limit:
                return found, True
            found.append(item)
        if "LastEvaluatedKey" not in answer:
            return found, False
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _request(partition: str, prefix: str, after: str) -> dict[str, Any]:
    """A Query has one condition on the sort key: what begins with the prefix, or what comes after a key, where the
    reader stops when the prefix is over."""
    values = {":PK": {"S": partition}}
    condition = "PK = :PK"
    if after > prefix:
        values[":after"] = {"S": _cut(after)}
        condition += " AND SK > :after"
    elif prefix:
        values[":prefix"] = {"S": prefix}
        condition += " AND begins_with(SK, :prefix)"
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "ConsistentRead": True}


def _cut(after: str) -> str:
    """No more of it than a sort key can have: the reader looks at the rest."""
    encoded = after.encode()
    return after if len(encoded) <= MAX_SORT_KEY_BYTES else encoded[:MAX_SORT_KEY_BYTES].decode(errors="ignore")

"""Records of many objects in DynamoDB at once: BatchGetItem, 100 items to a request, in the home of each place.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nearside.adapters.dynamodb import Records
from nearside.errors import Unreachable
from nearside.records import Current, Replica

ITEMS_PER_REQUEST = 100
_TRIES = 4  # for what DynamoDB leaves unprocessed: more than 16 MB, or more than the table bears now


class ManyRecords(Records):
    """Implements `nearside.whereabouts.ReadsMany`. Strongly consistent: what just came is shown as come."""

    def currents(self, keys: Sequence[str], place: str) -> Mapping[str, Current]:
        items = self._items([self._key(key, f"CURRENT#{place}") for key in keys], place)
        return {current.key: current for current in map(self._current, items)}

    def versions(self, wanted: Mapping[str, str], place: str) -> Mapping[str, Replica]:
        items = self._items([self._key(key, f"{version}#{place}") for key, version in wanted.items()], place)
        return {replica.key: replica for replica in map(self._replica, items)}

    def _items(self, keys: Sequence[dict[str, dict[str, Any]]], place: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for start in range(0, len(keys), ITEMS_PER_REQUEST):
            left: Any = {self._tables.name: {"Keys": keys[start : start + ITEMS_PER_REQUEST], "ConsistentRead": True}}
            for _ in range(_TRIES):
                answer = self._tables.call(self._tables.home(place), "batch_get_item", RequestItems=left)
                found += answer["Responses"].get(self._tables.name, ())
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
            else:
                raise Unreachable(f"the catalog in {self._tables.home(place)} is throttled")
        return found

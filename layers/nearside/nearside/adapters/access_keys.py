"""The gateway's access keys in DynamoDB: PK `GATEWAY-KEYS`, SK the id; read for each request, and known for 5 s."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from nearside.adapters.dynamodb_wire import ConditionFailed
from nearside.errors import BadRequest, Contended, Missing
from nearside.gateway.access_keys import AccessKey, KeyRule, StoredKey, access_key

PARTITION = "GATEWAY-KEYS"
# A key that was revoked is good for so long at most, and one that was made may be unknown for so long to a function
# that was asked for it before.
KNOWN_SECONDS = 5.0
MAX_KNOWN = 1000
_NUMBERS = ("created", "version", "previous", "previous_until", "expires")
# `expires` is the table's TTL attribute, by which the record itself would go.
_NAMES = {"expires": "until"}


class CallsTable(Protocol):
    """What is needed of the table: `nearside.adapters.dynamodb_wire.DynamoDbWire.call`."""

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]: ...


class AccessKeys:
    """The keys in the table, with secrets derived from `gateway_secret`. Thread-safe.

    Every method raises Unreachable, Refused and BadSettings as the table does.
    """

    def __init__(self, table: CallsTable, gateway_secret: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._secret = gateway_secret
        self._clock = clock
        # Apart, so that somebody who tries ids does not push out the keys that are in use.
        self._known: dict[str, tuple[float, AccessKey]] = {}
        self._unknown: dict[str, float] = {}

    def find(self, key_id: str) -> AccessKey | None:
        """The key with its secrets, as the table had it at most 5 s ago; None when there is none."""
        now = self._clock()
        known = self._known.get(key_id)
        if known and now < known[0]:
            return known[1]
        if now < self._unknown.get(key_id, now):
            return None
        stored = self.stored(key_id)
        if stored is None:
            self._known.pop(key_id, None)
            _remember(self._unknown, key_id, now + KNOWN_SECONDS)
            return None
        found = access_key(stored, self._secret)
        _remember(self._known, key_id, (now + KNOWN_SECONDS, found))
        return found

    def stored(self, key_id: str) -> StoredKey | None:
        """The key as the table has it now."""
        answer = self._table.call("GetItem", {"Key": _key(key_id), "ConsistentRead": True})
        return _stored(answer["Item"]) if answer.get("Item") else None

    def all(self) -> Sequence[StoredKey]:
        """Every key, by id."""
        request: dict[str, Any] = {
            "KeyConditionExpression": "PK = :keys",
            "ExpressionAttributeValues": {":keys": {"S": PARTITION}},
            "ConsistentRead": True,
        }
        found: list[StoredKey] = []
        while True:
            page = self._table.call("Query", request)
            found += [_stored(item) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def add(self, stored: StoredKey) -> AccessKey:
        """Puts a new key down; it with its secret. Raises BadRequest when there is one of its id."""
        if not self._put(stored, {"ConditionExpression": "attribute_not_exists(PK)"}):
            raise BadRequest(f"there is an access key {stored.id} already")
        return access_key(stored, self._secret)

    def rotate(self, key_id: str, keep_old_until: int) -> AccessKey:
        """Gives the key a new secret, the first of those returned; the one before is good until `keep_old_until`
        (seconds since the epoch), any earlier one no more. Raises Missing, BadRequest when it is disabled, Contended
        when somebody else changed it meanwhile."""
        stored = self._existing(key_id)
        if stored.disabled:
            raise BadRequest(f"access key {key_id} is revoked: create another one")
        new = msgspec.structs.replace(
            stored, version=stored.version + 1, previous=stored.version, previous_until=keep_old_until
        )
        same = {
            "ConditionExpression": "#version = :version AND #disabled = :no",
            "ExpressionAttributeNames": {"#version": "version", "#disabled": "disabled"},
            "ExpressionAttributeValues": {":version": {"N": str(stored.version)}, ":no": {"BOOL": False}},
        }
        if not self._put(new, same):
            raise Contended(f"access key {key_id} was changed meanwhile: look at it, and try again")
        return access_key(new, self._secret)

    def revoke(self, key_id: str) -> None:
        """Disables the key for good. Raises Missing."""
        request = {
            "Key": _key(key_id),
            "UpdateExpression": "SET #disabled = :yes",
            "ConditionExpression": "attribute_exists(PK)",
            "ExpressionAttributeNames": {"#disabled": "disabled"},
            "ExpressionAttributeValues": {":yes": {"BOOL": True}},
        }
        try:
            self._table.call("UpdateItem", request)
        except ConditionFailed as error:
            raise Missing(f"there is no access key {key_id!r}") from error

    def _existing(self, key_id: str) -> StoredKey:
        stored = self.stored(key_id)
        if stored is None:
            raise Missing(f"there is no access key {key_id!r}")
        return stored

    def _put(self, stored: StoredKey, condition: Mapping[str, Any]) -> bool:
        """Whether the condition held."""
        item = _item(stored)
        try:
            self._table.call("PutItem", {"Item": item, **condition})
        except ConditionFailed as error:
            # It may have held for a first try, whose answer was lost.
            stands = self.stored(stored.id) if error.again else None
            return stands is not None and _item(stands) == item
        return True


def _remember[T](known: dict[str, T], key_id: str, value: T) -> None:
    if len(known) >= MAX_KNOWN:
        known.clear()
    known[key_id] = value


def _key(key_id: str) -> dict[str, dict[str, str]]:
    return {"PK": {"S": PARTITION}, "SK": {"S": key_id}}


def _item(stored: StoredKey) -> dict[str, dict[str, Any]]:
    item: dict[str, dict[str, Any]] = {
        **_key(stored.id),
        "rules": {"S": msgspec.json.encode(stored.rules).decode()},
        "disabled": {"BOOL": stored.disabled},
        "description": {"S": stored.description},
    }
    for field in _NUMBERS:
        value = getattr(stored, field)
        if value is not None:
            item[_NAMES.get(field, field)] = {"N": str(value)}
    return item


def _stored(item: Mapping[str, Mapping[str, Any]]) -> StoredKey:
    numbers = {field: int(item[name]["N"]) for field in _NUMBERS if (name := _NAMES.get(field, field)) in item}
    return StoredKey(
        id=item["SK"]["S"],
        rules=msgspec.json.decode(item["rules"]["S"], type=list[KeyRule]),
        disabled=item["disabled"]["BOOL"],
        description=item["description"]["S"],
        **numbers,
    )

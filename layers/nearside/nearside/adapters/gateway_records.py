"""The gateway's records of objects and buckets in DynamoDB.

PK `GATEWAY#<bucket>`, SK the key: `record` is the record as JSON without lease and intents, which are attributes of
their own, so that a lease is one UpdateItem that need not know the record. `saved` is a token of the last save, by
which a save whose answer was lost is known again. Whatever is to be looked at has `work` and `due`, the keys of the
index `work`: a leased record is due when its lease ends, so that what a dead process left is found.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nearside.adapters.dynamodb_wire import ConditionFailed, DynamoDbWire, Item
from nearside.adapters.gateway_ranges import keys_after
from nearside.gateway.errors import Busy, LeaseLost
from nearside.gateway.records import Bucket, Copy, Generation, Lease, Record
from nearside.work import SHARDS, shard

# Longer than any message about the object lives in SQS (14 days), so that a late one still finds that it was deleted.
TOMBSTONE_SECONDS = 30 * 24 * 3600
_BUCKETS = "GATEWAY-BUCKETS"

_FREE = "attribute_not_exists(lease_owner) OR lease_until <= :now"
_OURS = "lease_owner = :owner"


class _Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The JSON of a record: what is not an attribute of its own."""

    current: Generation | None = None
    deleted: int | None = None
    copies: Mapping[str, Copy] = {}
    staged: bool = False
    litter: tuple[str, ...] = ()
    due: int | None = None


_FIELDS = _Kept.__struct_fields__
_decode = msgspec.json.Decoder(_Kept).decode
_decode_generation = msgspec.json.Decoder(Generation).decode


class GatewayRecords:
    """Implements `nearside.gateway.records.StoresRecords`. Thread-safe."""

    def __init__(self, wire: DynamoDbWire) -> None:
        self._call = wire.call
        self._call_many = wire.call_many

    def load(self, bucket: str, key: str, *, eventual: bool = False) -> Record | None:
        answer = self._call("GetItem", {"Key": _key(bucket, key), "ConsistentRead": not eventual})
        return _record(bucket, key, answer["Item"]) if "Item" in answer else None

    def lease(self, bucket: str, key: str, lease: Lease, now: int, intent: Generation | None = None) -> Record:
        try:
            old = self._leased(bucket, key, lease, _FREE, {":now": {"N": str(now)}}, intent)
        except ConditionFailed as failed:
            if _text(failed.item, "lease_owner") != lease.owner:
                raise Busy(f"{key!r} is being written by somebody else") from None
            # It is ours: our first try landed and its answer was lost, or it is to be ours for longer.
            old = failed.item
            noted = intent is None or _has(old, intent)
            if not noted or _number(old, "lease_until") != lease.until:
                old = self._prolonged(bucket, key, lease, None if noted else intent)
        record = _record(bucket, key, old)
        dead = tuple(each for each in record.intents if intent is None or each.id != intent.id)
        return msgspec.structs.replace(record, lease=lease, intents=dead)

    def _prolonged(self, bucket: str, key: str, lease: Lease, intent: Generation | None) -> Item:
        try:
            return self._leased(bucket, key, lease, _OURS, {":owner": {"S": lease.owner}}, intent)
        except ConditionFailed:
            raise Busy(f"{key!r} is being written by somebody else") from None

    def _leased(
        self, bucket: str, key: str, lease: Lease, condition: str, values: dict[str, Any], intent: Generation | None
    ) -> Item:
        """The item as it was before the lease; empty when there was none."""
        sets = "SET lease_owner = :owner, lease_until = :until, #work = :work, due = :until"
        values = {
            **values,
            ":owner": {"S": lease.owner},
            ":until": {"N": str(lease.until)},
            ":work": {"S": _work(bucket, key)},
        }
        if intent is not None:
            sets += ", intents = list_append(if_not_exists(intents, :none), :intent)"
            values |= {":none": {"L": []}, ":intent": {"L": [{"S": msgspec.json.encode(intent).decode()}]}}
        answer = self._call(
            "UpdateItem",
            {
                "Key": _key(bucket, key),
                "UpdateExpression": f"{sets} REMOVE expires",
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#work": "work"},
                "ExpressionAttributeValues": values,
                "ReturnValues": "ALL_OLD",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
        )
        item: Item = answer.get("Attributes", {})
        return item

    def save(self, record: Record, owner: str) -> None:
        condition = {
            "ConditionExpression": _OURS,
            "ExpressionAttributeValues": {":owner": {"S": owner}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        token = secrets.token_hex(8)
        vanishing = _is_empty(record) and record.lease is None
        try:
            if vanishing:
                self._call("DeleteItem", {"Key": _key(record.bucket, record.key), **condition})
            else:
                self._call("PutItem", {"Item": _item(record, token), **condition})
        except ConditionFailed as failed:
            gone = vanishing and "record" not in failed.item
            if failed.again and (gone or _text(failed.item, "saved") == token):
                return  # it was our own first try that landed
            raise LeaseLost(f"{record.key!r}: the lease ended before it could be written") from None

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Record], bool]:
        items, more = keys_after(self._call, _partition(bucket), prefix, after, limit)
        return [_record(bucket, item["SK"]["S"], item) for item in items], more

    def due(self, now: int, limit: int) -> Sequence[tuple[str, str]]:
        requests = [
            {
                "IndexName": "work",
                "KeyConditionExpression": "#work = :work AND due <= :now",
                "ExpressionAttributeNames": {"#work": "work"},
                "ExpressionAttributeValues": {":work": {"S": f"GATEWAY#{number}"}, ":now": {"N": str(now)}},
                "Limit": limit,
            }
            for number in range(SHARDS)
        ]
        items = [item for answer in self._call_many("Query", requests) for item in answer["Items"]]
        items.sort(key=lambda item: int(item["due"]["N"]))
        return [(item["PK"]["S"].removeprefix("GATEWAY#"), item["SK"]["S"]) for item in items[:limit]]

    def buckets(self) -> Sequence[Bucket]:
        items, _ = keys_after(self._call, _BUCKETS, "", "", None)
        return [_bucket(item) for item in items]

    def bucket(self, name: str) -> Bucket | None:
        key = {"PK": {"S": _BUCKETS}, "SK": {"S": name}}
        answer = self._call("GetItem", {"Key": key, "ConsistentRead": True})
        return _bucket(answer["Item"]) if "Item" in answer else None

    def put_bucket(self, bucket: Bucket) -> bool:
        token = secrets.token_hex(8)
        item = {"PK": {"S": _BUCKETS}, "SK": {"S": bucket.name}, "made": {"N": str(bucket.made)}, "saved": {"S": token}}
        request = {
            "Item": item,
            "ConditionExpression": "attribute_not_exists(PK)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            self._call("PutItem", request)
        except ConditionFailed as failed:
            return _text(failed.item, "saved") == token
        return True

    def remove_bucket(self, name: str) -> None:
        self._call("DeleteItem", {"Key": {"PK": {"S": _BUCKETS}, "SK": {"S": name}}})


def _partition(bucket: str) -> str:
    return f"GATEWAY#{bucket}"


def _key(bucket: str, key: str) -> dict[str, dict[str, str]]:
    return {"PK": {"S": _partition(bucket)}, "SK": {"S": key}}


def _work(bucket: str, key: str) -> str:
    return f"GATEWAY#{shard(f'{bucket}/{key}')}"


def _item(record: Record, token: str) -> dict[str, Any]:
    kept = _Kept(**{name: getattr(record, name) for name in _FIELDS})
    item: dict[str, Any] = {
        **_key(record.bucket, record.key),
        "record": {"S": msgspec.json.encode(kept).decode()},
        "saved": {"S": token},
    }
    if record.intents:
        item["intents"] = {"L": [{"S": msgspec.json.encode(each).decode()} for each in record.intents]}
    due = record.due
    if record.lease is not None:
        item |= {"lease_owner": {"S": record.lease.owner}, "lease_until": {"N": str(record.lease.until)}}
        due = record.lease.until
    if due is not None:
        item |= {"work": {"S": _work(record.bucket, record.key)}, "due": {"N": str(due)}}
    elif _is_forgotten(record):
        assert record.deleted is not None  # for mypy: a forgotten record has it
        item["expires"] = {"N": str(record.deleted // 1000 + TOMBSTONE_SECONDS)}
    return item


def _record(bucket: str, key: str, item: Item) -> Record:
    kept = _decode(item["record"]["S"]) if "record" in item else _Kept()
    owner = _text(item, "lease_owner")
    return Record(
        bucket=bucket,
        key=key,
        intents=tuple(_decode_generation(each["S"]) for each in _intents(item)),
        lease=Lease(owner, _number(item, "lease_until") or 0) if owner else None,
        **{name: getattr(kept, name) for name in _FIELDS},
    )


def _is_empty(record: Record) -> bool:
    return record.current is None and record.deleted is None and not (record.copies or record.intents or record.litter)


def _is_forgotten(record: Record) -> bool:
    """Whether the object is deleted, and in no place any more."""
    gone = all(copy.state == "ABSENT" for copy in record.copies.values())
    return record.current is None and record.deleted is not None and gone and not (record.intents or record.litter)


def _bucket(item: Item) -> Bucket:
    return Bucket(item["SK"]["S"], int(item["made"]["N"]))


def _has(item: Item, intent: Generation) -> bool:
    return any(_decode_generation(each["S"]).id == intent.id for each in _intents(item))


def _intents(item: Item) -> Sequence[Mapping[str, str]]:
    return item["intents"]["L"] if "intents" in item else ()


def _text(item: Item, name: str) -> str:
    return str(item[name]["S"]) if name in item else ""


def _number(item: Item, name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None

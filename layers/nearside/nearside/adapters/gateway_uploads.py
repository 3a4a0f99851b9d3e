"""The gateway's multipart uploads and their parts in DynamoDB.

PK `GATEWAY-UPLOADS#<bucket>`, SK `<key>` NUL `<id>`; PK `GATEWAY-PARTS#<id>`, SK the number in five digits. A request
that is sent twice must tell the same as if it had been sent once: an upload that ends is marked by who ended it before
it is removed, and a part keeps what it replaced.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from nearside.adapters.dynamodb_wire import ConditionFailed, DynamoDbWire
from nearside.adapters.gateway_ranges import MAX_SORT_KEY_BYTES, keys_after
from nearside.errors import NearsideError, Unreachable
from nearside.gateway.records import Part, Upload

log = logging.getLogger("nearside")

_AT_ONCE = 25  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_TRIES = 8
_PAST_IDS = "\x7f"  # ids are ASCII
_KEY_BYTES = MAX_SORT_KEY_BYTES - 65  # a NUL and an id of up to 64 characters
_ENDED_SECONDS = 24 * 3600
_decode_upload = msgspec.json.Decoder(Upload).decode
_decode_part = msgspec.json.Decoder(Part).decode


class GatewayUploads:
    """Implements `nearside.gateway.records.StoresUploads`. Thread-safe."""

    def __init__(self, wire: DynamoDbWire, table: str) -> None:
        self._call = wire.call
        self._table = table

    def begin(self, upload: Upload) -> None:
        self._call("PutItem", {"Item": {**_upload_key(upload.bucket, upload.key, upload.id), "upload": _json(upload)}})

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        answer = self._call("GetItem", {"Key": _upload_key(bucket, key, upload_id), "ConsistentRead": True})
        item = answer.get("Item", {})
        return _decode_upload(item["upload"]["S"]) if item and "ended" not in item else None

    def uploads(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Upload], bool]:
        found: list[Upload] = []
        cursor = _cut(after) if "\0" in after or not after else f"{_cut(after)}\0{_PAST_IDS}"
        while True:
            items, more = keys_after(self._call, f"GATEWAY-UPLOADS#{bucket}", _cut(prefix), cursor, limit)
            for item in items:
                upload = _decode_upload(item["upload"]["S"])
                told = upload.key == after or f"{upload.key}\0{upload.id}" <= after
                if told or "ended" in item or not upload.key.startswith(prefix):
                    continue
                if len(found) == limit:
                    return found, True
                found.append(upload)
            if not more:
                return found, False
            cursor = items[-1]["SK"]["S"]

    def end(self, upload: Upload) -> bool:
        key, token = _upload_key(upload.bucket, upload.key, upload.id), secrets.token_hex(8)
        request = {
            "Key": key,
            "UpdateExpression": "SET ended = :token, expires = :expires",
            "ConditionExpression": "attribute_exists(PK) AND attribute_not_exists(ended)",
            "ExpressionAttributeValues": {
                ":token": {"S": token},
                ":expires": {"N": str(int(time.time()) + _ENDED_SECONDS)},
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            self._call("UpdateItem", request)
        except ConditionFailed as failed:
            if failed.item.get("ended", {}).get("S") != token:
                return False
        try:
            self._call("DeleteItem", {"Key": key})
        except NearsideError as error:
            log.warning("the upload %s ended, and expires by itself: %s", upload.id, error)
        return True

    def put_part(self, upload_id: str, part: Part) -> Part | None:
        token = secrets.token_hex(8)
        request = {
            "Key": _part_key(upload_id, part.number),
            "UpdateExpression": "SET replaced = if_not_exists(part, :none), part = :part, saved = :token ADD puts :put",
            "ConditionExpression": "NOT contains(puts, :token)",
            "ExpressionAttributeValues": {
                ":part": _json(part),
                ":none": {"S": ""},
                ":token": {"S": token},
                ":put": {"SS": [token]},
            },
            "ReturnValues": "ALL_OLD",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            old = self._call("UpdateItem", request).get("Attributes", {})
        except ConditionFailed as failed:
            # Our own first try did it. If another part came after it, that one knows what it replaced.
            return _part(failed.item, "replaced") if failed.item.get("saved", {}).get("S") == token else None
        return _part(old, "part")

    def parts(self, upload_id: str, after: int = 0, limit: int = 10_000) -> Sequence[Part]:
        items, _ = keys_after(self._call, f"GATEWAY-PARTS#{upload_id}", "", f"{after:05d}", limit)
        return [_decode_part(item["part"]["S"]) for item in items]

    def remove_parts(self, upload_id: str, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), _AT_ONCE):
            keys = [_part_key(upload_id, number) for number in numbers[start : start + _AT_ONCE]]
            self._remove([{"DeleteRequest": {"Key": key}} for key in keys])

    def _remove(self, requests: list[dict[str, Any]]) -> None:
        for attempt in range(_TRIES):
            answer = self._call("BatchWriteItem", {"RequestItems": {self._table: requests}})
            requests = answer.get("UnprocessedItems", {}).get(self._table, [])
            if not requests:
                return
            time.sleep(0.05 * 2**attempt)
        raise Unreachable("the catalog is throttled")


def _upload_key(bucket: str, key: str, upload_id: str) -> dict[str, dict[str, str]]:
    name = f"{_cut(key)}\0{upload_id}"
    return {"PK": {"S": f"GATEWAY-UPLOADS#{bucket}"}, "SK": {"S": name}}


def _cut(key: str) -> str:
    """A sort key has place for an object's key of the longest kind and nothing beside it, so the end of such a key is
    left out; its order among others that begin with the same 959 bytes is then that of the ids."""
    encoded = key.encode()
    return key if len(encoded) <= _KEY_BYTES else encoded[:_KEY_BYTES].decode(errors="ignore")


def _part_key(upload_id: str, number: int) -> dict[str, dict[str, str]]:
    return {"PK": {"S": f"GATEWAY-PARTS#{upload_id}"}, "SK": {"S": f"{number:05d}"}}


def _json(value: Upload | Part) -> dict[str, str]:
    return {"S": msgspec.json.encode(value).decode()}


def _part(item: Any, name: str) -> Part | None:
    found = item.get(name, {}).get("S", "")
    return _decode_part(found) if found else None

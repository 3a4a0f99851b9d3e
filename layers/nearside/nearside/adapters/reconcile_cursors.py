"""How far reconcile has come, in the catalog's table: PK `GATEWAY-RECONCILE`, SK the bucket."""

from collections.abc import Mapping

import msgspec

from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.adapters.gateway_ranges import keys_after
from nearside.gateway.reconciling import Progress

_PARTITION = "GATEWAY-RECONCILE"
_decode = msgspec.json.Decoder(Progress).decode


class ReconcileCursors:
    """Implements `nearside.gateway.reconcile_rounds.KeepsProgress`. What another version wrote and this one cannot read
    counts as nothing: the bucket is begun anew."""

    def __init__(self, wire: DynamoDbWire) -> None:
        self._call = wire.call

    def all(self) -> Mapping[str, Progress]:
        items, _ = keys_after(self._call, _PARTITION, "", "", None)
        found = {}
        for item in items:
            try:
                found[item["SK"]["S"]] = _decode(item["progress"]["S"])
            except msgspec.DecodeError:
                continue
        return found

    def keep(self, progress: Progress) -> None:
        text = msgspec.json.encode(progress).decode()
        self._call("PutItem", {"Item": {**_key(progress.report.bucket), "progress": {"S": text}}})

    def drop(self, bucket: str) -> None:
        self._call("DeleteItem", {"Key": _key(bucket)})


def _key(bucket: str) -> dict[str, dict[str, str]]:
    return {"PK": {"S": _PARTITION}, "SK": {"S": bucket}}

"""Reads the catalog for `POST /presign`: the newest versions of many objects in all places, in few requests.

Eventually consistent, from the region's own replica of the table
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from nearside import signing
from nearside.adapters.wire import Wire
from nearside.errors import Refused, Unreachable
from nearside.places import split_endpoint
from nearside.replicas import Known

KEYS_PER_REQUEST = 100
SECONDS = 0.5  # a catalog slower than this is of no use: the places are asked instead
_TARGET = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.BatchGetItem"}


class _Text(msgspec.Struct, frozen=True):
    S: str


class _Number(msgspec.Struct, frozen=True):
    N: str


class _Flag(msgspec.Struct, frozen=True):
    BOOL: bool


class _Item(msgspec.Struct, frozen=True):
    PK: _Text
    SK: _Text
    version: _Text | None = None
    marker: _Flag | None = None
    p99: _Number | None = None


class _Answer(msgspec.Struct, frozen=True):
    Responses: dict[str, list[_Item]]


class Currents:
    """Implements `nearside.replicas.ReadsCatalog`. `bucket` is the primary's name, which is in every object's key."""

    def __init__(
        self,
        table: str,
        bucket: str,
        region: str,
        credentials: Callable[[], signing.Credentials],
        endpoint: str = "",
    ) -> None:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        scheme, self._host, _ = split_endpoint(endpoint or f"https://dynamodb.{region}.{suffix}")
        self._wire = Wire(scheme, self._host)
        self._table = table
        self._prefix = f"OBJ#{bucket}#"
        self._region = region
        self._credentials = credentials

    def __call__(self, keys: Sequence[str], places: Sequence[str]) -> Known:
        """What the catalog knows of these keys in these places. What DynamoDB leaves out of an answer is left out here,
        and so counts as unknown. Raises Unreachable or Refused."""
        wanted = [(f"MONITOR#{place}", "lag") for place in places]
        wanted += [(f"{self._prefix}{key}", f"CURRENT#{place}") for key in dict.fromkeys(keys) for place in places]
        signer = signing.V4(self._credentials(), time.time(), self._region, "dynamodb")
        bodies = [
            self._body(wanted[start : start + KEYS_PER_REQUEST]) for start in range(0, len(wanted), KEYS_PER_REQUEST)
        ]
        requests = [(signer.headers(self._host, _TARGET, body), body) for body in bodies]
        lag_ms: dict[str, int] = {}
        items: dict[str, list[_Item]] = {}
        for status, answer in self._wire.post(requests, seconds=SECONDS):
            for item in self._items(status, answer):
                if item.p99 is None:
                    items.setdefault(item.PK.S[len(self._prefix) :], []).append(item)
                else:
                    lag_ms[item.PK.S.removeprefix("MONITOR#")] = int(item.p99.N)
        everywhere = frozenset([key for key, found in items.items() if _is_same(found, len(places))])
        return Known(everywhere, lag_ms)

    def _body(self, wanted: Sequence[tuple[str, str]]) -> bytes:
        keys = [{"PK": {"S": partition}, "SK": {"S": sort}} for partition, sort in wanted]
        return msgspec.json.encode({"RequestItems": {self._table: {"Keys": keys}}})

    def _items(self, status: int, answer: bytes) -> Sequence[_Item]:
        if status == 200:
            return _decode(answer).Responses.get(self._table, ())
        kind = "throttled" if b"Throttl" in answer or b"ThroughputExceeded" in answer else f"answered {status}"
        if b"AccessDenied" in answer or b"UnrecognizedClient" in answer or b"ExpiredToken" in answer:
            raise Refused(f"the catalog {kind}")
        raise Unreachable(f"the catalog {kind}")


_decode = msgspec.json.Decoder(_Answer).decode


def _is_same(items: Sequence[_Item], places: int) -> bool:
    """Whether every place has the same version, and it is no delete marker. Versions called `null`, of buckets without
    versioning, cannot be told apart."""
    first = items[0].version
    return (
        len(items) == places
        and first is not None
        and first.S != "null"
        and all(item.version == first and not (item.marker and item.marker.BOOL) for item in items)
    )

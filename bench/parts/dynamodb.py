"""As much of DynamoDB as the catalog uses, on loopback in a process of its own, over SQLite: as quick with many as few.

moto's update takes 12 ms, with a thousand items as with a hundred thousand: it would not grow, but hide what does; and
two million items would take it minutes to fill and 3 GB. This one reads the expressions that the adapters send:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
"""

import json
import re
import sqlite3
import sys
import tempfile
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from bench.parts import loopback

NAME = "catalog"
BUCKET = "nearside-eu-west-2"
PLACES = ("eu-west-2", "us-east-2")
MADE = 1_790_000_000_000

type Item = dict[str, dict[str, Any]]
type Meaning = Callable[[Item, "Names", Item], Any]
"""What an expression says of an item, given the names and values that were sent with it."""
type Names = Mapping[str, str]


class Refused(Exception):
    """A condition did not hold; `item` is what stands."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


def key_of(number: int) -> str:
    """The key of one of the objects that are there from the start."""
    return f"photos/{number % 97:02}/{number:09}.jpg"


def version_of(number: int) -> str:
    """The id of its version."""
    return f"{number:09}SMkqtJlcpXroDTDmpUMLUo1"


def filling(records: int) -> Iterator[tuple[str, str, str]]:
    """Half as many objects as records, each arrived in both places, with their current records beside them."""
    for number in range(records // len(PLACES)):
        partition, version = f"OBJ#{BUCKET}#{key_of(number)}", version_of(number)
        shared = {"etag": {"S": "9b2cf535f27731c974343645a3985328"}, "size": {"N": "48213"}}
        for place in PLACES:
            record = {
                "state": {"S": "COMPLETED"},
                "seq": {"S": f"{number + 1:032X}"},
                "seen": {"N": str(MADE)},
                **shared,
            }
            current = {
                "version": {"S": version},
                "made": {"N": str(MADE)},
                "seq": {"S": f"{number + 1:032X}"},
                "rev": {"N": "0"},
                **shared,
            }
            yield partition, f"{version}#{place}", json.dumps(record)
            yield partition, f"CURRENT#{place}", json.dumps(current)


class Table:
    """The items of one table, one request at a time."""

    def __init__(self, path: str, records: int) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute("PRAGMA cache_size = -65536")
        self._rows.execute("CREATE TABLE items (pk TEXT, sk TEXT, item TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID")
        self._rows.execute("BEGIN")
        self._rows.executemany("INSERT INTO items VALUES (?, ?, ?)", filling(records))
        self._rows.execute("COMMIT")

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises Refused."""
        with self._lock:
            self.counts[operation] += 1
            return {
                "GetItem": self._get,
                "BatchGetItem": self._batch_get,
                "PutItem": self._put,
                "DeleteItem": self._delete,
                "UpdateItem": self._update,
                "Query": self._query,
            }[operation](asked)

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        item = self._read(asked["Key"])
        return {"Item": item} if item else {}

    def _batch_get(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [self._read(key) for key in asked["RequestItems"][NAME]["Keys"]]
        return {"Responses": {NAME: [item for item in found if item]}, "UnprocessedKeys": {}}

    def _put(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._judged(asked, self._read(asked["Item"]))
        self._write(asked["Item"])
        return {}

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._judged(asked, self._read(asked["Key"]))
        self._rows.execute("DELETE FROM items WHERE pk = ? AND sk = ?", [each["S"] for each in asked["Key"].values()])
        return {}

    def _update(self, asked: dict[str, Any]) -> dict[str, Any]:
        stands = self._read(asked["Key"])
        self._judged(asked, stands)
        item = dict(stands or asked["Key"])
        update(asked["UpdateExpression"])(
            item, asked.get("ExpressionAttributeNames", {}), asked["ExpressionAttributeValues"]
        )
        self._write(item)
        wanted = asked.get("ReturnValues", "NONE")
        returned = item if wanted == "ALL_NEW" else stands if wanted == "ALL_OLD" else None
        return {"Attributes": returned} if returned else {}

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        partition = asked["ExpressionAttributeValues"][":PK"]["S"]
        rows = self._rows.execute("SELECT pk, sk, item FROM items WHERE pk = ? ORDER BY sk", (partition,))
        return {"Items": [_item(*row) for row in rows]}

    def _judged(self, asked: dict[str, Any], stands: Item | None) -> None:
        if "ConditionExpression" in asked:
            holds = condition(asked["ConditionExpression"])
            if not holds(
                stands or {}, asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})
            ):
                raise Refused(stands)

    def _read(self, key: Item) -> Item | None:
        identity = key["PK"]["S"], key["SK"]["S"]
        row = self._rows.execute("SELECT item FROM items WHERE pk = ? AND sk = ?", identity).fetchone()
        return _item(*identity, row[0]) if row else None

    def _write(self, item: Item) -> None:
        rest = json.dumps({name: value for name, value in item.items() if name not in ("PK", "SK")})
        self._rows.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (item["PK"]["S"], item["SK"]["S"], rest))


def _item(partition: str, sort: str, rest: str) -> Item:
    return {"PK": {"S": partition}, "SK": {"S": sort}, **json.loads(rest)}


@cache
def condition(text: str) -> Meaning:
    """A condition: comparisons and `attribute_exists`, `attribute_not_exists`, joined by AND, OR and parentheses."""
    tokens = re.findall(r"attribute_\w+\([#\w]+\)|[#:\w]+|<>|<=|>=|[=<>()]", text)

    def either() -> Meaning:
        parts = [both()]
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            parts.append(both())
        return lambda *given: any(part(*given) for part in parts)

    def both() -> Meaning:
        parts = [one()]
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            parts.append(one())
        return lambda *given: all(part(*given) for part in parts)

    def one() -> Meaning:
        token = tokens.pop(0)
        if token == "(":
            inner = either()
            tokens.pop(0)
            return inner
        if match := re.fullmatch(r"attribute_(not_)?exists\(([#\w]+)\)", token):
            return lambda item, names, _: (names.get(match[2], match[2]) in item) is not bool(match[1])
        operator, right = tokens.pop(0), tokens.pop(0)
        return lambda item, names, values: _compared(operator, _of(token, item, names), _of(right, values, {}))

    return either()


def _of(token: str, where: Item, names: Names) -> Any:
    typed = where.get(names.get(token, token))
    if typed is None:
        return None
    [(kind, value)] = typed.items()
    return int(value) if kind == "N" else value


def _compared(operator: str, left: Any, right: Any) -> bool:
    if left is None:
        return False
    return bool(_OPERATORS[operator](left, right))


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {"=": eq, "<>": ne, "<": lt, ">": gt, "<=": le, ">=": ge}


@cache
def update(text: str) -> Meaning:
    """An update, which changes the item: SET (with `if_not_exists`, and `list_append` to a list that may not exist),
    REMOVE and ADD, in this order."""
    parts = re.fullmatch(r"SET (?P<set>.*?)(?: REMOVE (?P<remove>.*?))?(?: ADD (?P<add>.*))?", text)
    if parts is None:
        raise ValueError(text)
    sets = re.findall(r"([#\w]+) = (?:if_not_exists\([#\w]+, (:\w+)\)|(:\w+))", parts["set"])
    appended = re.findall(r"([#\w]+) = list_append\(if_not_exists\([#\w]+, :\w+\), (:\w+)\)", parts["set"])
    gone = re.findall(r"[#\w]+", parts["remove"] or "")
    adds = re.findall(r"([#\w]+) (:\w+)", parts["add"] or "")

    def change(item: Item, names: Names, values: Item) -> None:
        for name, kept, given in sets:
            attribute = names.get(name, name)
            if given or attribute not in item:
                item[attribute] = values[given or kept]
        for name, given in appended:
            attribute = names.get(name, name)
            item[attribute] = {"L": [*item.get(attribute, {"L": []})["L"], *values[given]["L"]]}
        for name in gone:
            item.pop(names.get(name, name), None)
        for name, given in adds:
            attribute = names.get(name, name)
            item[attribute] = {"N": str((_of(attribute, item, {}) or 0) + int(values[given]["N"]))}

    return change


class Handler(loopback.Handler):
    """POST of an operation; GET of how many of each were asked for."""

    rows: Table

    def do_POST(self) -> None:
        """One operation."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            self._answer(200, self.rows.answer(self.headers["x-amz-target"].partition(".")[2], asked))
        except Refused as refused:
            kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            old = {"Item": refused.item} if refused.item and "ReturnValuesOnConditionCheckFailure" in asked else {}
            self._answer(400, {"__type": kind, "message": "The conditional request failed", **old})

    def do_GET(self) -> None:
        """The counts."""
        self._answer(200, self.rows.counts)

    def _answer(self, status: int, answer: Mapping[str, Any]) -> None:
        self.answer(status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode())


def serving(records: int) -> AbstractContextManager[str]:
    """The endpoint of such a DynamoDB, whose table `NAME` has so many replica records."""
    return loopback.serving("bench.parts.dynamodb", str(records))


def counts(endpoint: str) -> Counter[str]:
    """How many of each operation the server was asked for so far."""
    with urllib.request.urlopen(endpoint) as answer:
        return Counter(json.load(answer))


def main() -> None:
    """Serves a table of as many records as the command line says on a free port, which it prints."""
    with tempfile.TemporaryDirectory() as folder:
        Handler.rows = Table(f"{folder}/items", int(sys.argv[1]))
        loopback.serve(Handler)


if __name__ == "__main__":
    main()

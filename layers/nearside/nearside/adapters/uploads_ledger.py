"""The ledger of uploads in the catalog's table: PK `UPLOADS#<caller>`, SK the upload's name; each in its place's home.

One that is not complete has `work` (`UPLOADS#<place>`) and is due when it was begun, so the sparse index `work` lists
a place's oldest.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from nearside.adapters.tables import Changed, Tables, Value, decoded, encoded
from nearside.adapters.work_index import INDEX
from nearside.errors import Unreachable
from nearside.uploads_items import UploadDone
from nearside.uploads_records import OPEN_SECONDS, Ticket

# How long who completes an upload again is answered as the first time; and after how long a record that nobody ended,
# for instance since its region was away, goes by itself.
DONE_SECONDS = 7 * 24 * 3600
KEEP_SECONDS = OPEN_SECONDS + 30 * 24 * 3600


class UploadsLedger:
    """Implements `nearside.uploads_records.KeepsUploads`."""

    def __init__(self, tables: Tables, places: Sequence[str]) -> None:
        self._tables = tables
        self._places = places

    def begin(self, ticket: Ticket) -> None:
        """What the Protocol says."""
        values: dict[str, Value] = {
            "work": f"UPLOADS#{ticket.place}",
            "due": ticket.begun,
            "expires": ticket.begun // 1000 + KEEP_SECONDS,
        }
        self._put(ticket, values)

    def finish(self, ticket: Ticket, done: UploadDone) -> None:
        """What the Protocol says."""
        expires = ticket.begun // 1000 + OPEN_SECONDS + DONE_SECONDS
        self._put(ticket, {"done": msgspec.json.encode(done).decode(), "expires": expires})

    def drop(self, ticket: Ticket) -> bool:
        """What the Protocol says."""
        condition = {"ConditionExpression": "attribute_not_exists(done)"}
        try:
            self._tables.call(self._tables.home(ticket.place), "delete_item", Key=_key(ticket), **condition)
        except Changed:
            return False
        return True

    def done(self, ticket: Ticket) -> UploadDone | None:
        """What the Protocol says."""
        home = self._tables.home(ticket.place)
        item = self._tables.call(home, "get_item", Key=_key(ticket), ConsistentRead=True).get("Item")
        text = decoded(item).get("done") if item else None
        return msgspec.json.decode(text, type=UploadDone) if text else None

    def unfinished(self, caller: str) -> Sequence[Ticket]:
        """What the Protocol says: each record from its home, and while a home is away from another region's replica.
        Raises Unreachable when no region answers."""
        found: dict[str, Ticket] = {}
        replicas: dict[str, Ticket] = {}
        answered: set[str] = set()
        trouble: Unreachable | None = None
        for region in sorted({self._tables.home(place) for place in self._places}):
            try:
                tickets = self._of(region, caller)
            except Unreachable as error:
                trouble = error
                continue
            answered.add(region)
            for ticket in tickets:
                mine = ticket.place in self._places and self._tables.home(ticket.place) == region
                (found if mine else replicas)[ticket.name] = ticket
        if trouble is not None and not answered:
            raise trouble
        away = {
            name: ticket
            for name, ticket in replicas.items()
            if ticket.place in self._places and self._tables.home(ticket.place) not in answered
        }
        return list((found | away).values())

    def begun_before(self, place: str, moment: int, limit: int) -> Sequence[Ticket]:
        """What the Protocol says."""
        answer = self._tables.call(
            self._tables.home(place),
            "query",
            IndexName=INDEX,
            KeyConditionExpression="#work = :work AND due < :moment",
            ExpressionAttributeNames={"#work": "work"},
            ExpressionAttributeValues=encoded({":work": f"UPLOADS#{place}", ":moment": moment}),
            Limit=limit,
        )
        return [_ticket(item) for item in answer["Items"]]

    def _of(self, region: str, caller: str) -> list[Ticket]:
        pages = self._tables.query(
            region,
            KeyConditionExpression="PK = :PK",
            # `work` is there as long as the upload is not complete.
            FilterExpression="attribute_exists(#work)",
            ExpressionAttributeNames={"#work": "work"},
            ExpressionAttributeValues=encoded({":PK": f"UPLOADS#{caller}"}),
            ConsistentRead=True,
        )
        return [_ticket(item) for page in pages for item in page["Items"]]

    def _put(self, ticket: Ticket, values: dict[str, Value]) -> None:
        item: dict[str, Any] = {**_key(ticket), **encoded(values)}
        item |= encoded({"ticket": msgspec.json.encode(ticket).decode()})
        self._tables.call(self._tables.home(ticket.place), "put_item", Item=item)


def _key(ticket: Ticket) -> dict[str, dict[str, Any]]:
    return encoded({"PK": f"UPLOADS#{ticket.caller}", "SK": ticket.name})


def _ticket(item: Any) -> Ticket:
    return msgspec.json.decode(decoded(item)["ticket"], type=Ticket)

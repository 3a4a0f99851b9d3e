"""The monitor's notes in the catalog's table: PK `MONITOR#<place>`, SK the name; each in its place's home."""

from typing import Any

from nearside.adapters.tables import Tables, decoded, encoded
from nearside.notes import Note


class Notes:
    """Implements `nearside.notes.KeepsNotes`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def read(self, place: str, name: str) -> Note | None:
        answer = self._tables.call(self._tables.home(place), "get_item", Key=_key(place, name), ConsistentRead=True)
        item = decoded(answer["Item"]) if "Item" in answer else None
        return None if item is None else {field: item[field] for field in item if field not in ("PK", "SK")}

    def write(self, place: str, name: str, note: Note) -> None:
        self._tables.call(self._tables.home(place), "put_item", Item=_key(place, name) | encoded(dict(note)))

    def drop(self, place: str, name: str) -> None:
        self._tables.call(self._tables.home(place), "delete_item", Key=_key(place, name))


def _key(place: str, name: str) -> dict[str, dict[str, Any]]:
    return encoded({"PK": f"MONITOR#{place}", "SK": name})

"""What the monitor and the repair remember from one run to the next, by place and name."""

from collections.abc import Mapping
from typing import Protocol

type Note = Mapping[str, str | int]


class KeepsNotes(Protocol):
    """Notes live with their place. Every method raises Unreachable or Refused."""

    def read(self, place: str, name: str) -> Note | None:
        """The note, strongly consistent; None when there is none."""
        ...

    def write(self, place: str, name: str, note: Note) -> None:
        """Puts it in the place of what was there."""
        ...

    def drop(self, place: str, name: str) -> None:
        """Forgets it, if it is there."""
        ...

"""The staged parts of an object that no place has as one object yet, and the proof of each."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from nearside.errors import NearsideError
from nearside.gateway.errors import Unavailable
from nearside.gateway.places import Places
from nearside.gateway.records import Part, StoresUploads

_KEPT = 16  # uploads whose parts are remembered: they do not change once they make an object


class PartsOf:
    """Reads the parts of completed uploads. Thread-safe."""

    def __init__(self, uploads: StoresUploads, places: Places) -> None:
        self.uploads = uploads
        self._places = places
        self._kept: OrderedDict[str, Sequence[Part]] = OrderedDict()

    def all(self, upload_id: str) -> Sequence[Part]:
        """Every part, by number."""
        parts = self._kept.get(upload_id)
        if parts is None:
            parts = self.uploads.parts(upload_id)
            self._kept[upload_id] = parts
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return parts

    def covering(self, upload_id: str, first: int, last: int) -> list[tuple[Part, int, int]]:
        """The parts that have bytes `first` to `last` of the object, each with the first and last of its own bytes that
        are wanted."""
        found, start = [], 0
        for part in self.all(upload_id):
            end = start + part.size - 1
            if part.size and end >= first and start <= last:
                found.append((part, max(first - start, 0), min(last, end) - start))
            start += part.size
        return found

    def segments(self, upload_id: str, first: int, last: int) -> list[tuple[int, int, str]]:
        """The first and last byte within the object, and the SHA-256, of each part that has some of these bytes; none
        when one of them came straight to a place, without a SHA-256."""
        found, start = [], 0
        for part in self.all(upload_id):
            end = start + part.size - 1
            if part.size and end >= first and start <= last:
                found.append((start, end, part.sha256))
            start += part.size
        return found if all(sha256 for _, _, sha256 in found) else []

    def read(self, bucket: str, part: Part, first: int, last: int, turn: int = 0) -> tuple[bytes, str]:
        """Bytes `first` to `last` of the part, and the place they came from; with another `turn` another place is asked
        first. A part that is wanted whole is compared with its SHA-256. Raises Unavailable when no place gives it."""
        said = []
        whole = first == 0 and last == part.size - 1
        for name in self._places.in_order(part.copies, turn):
            copy = part.copies[name]
            try:
                data, etag = self._places.ask(name, lambda s: s.get(bucket, part.staged, copy.version, first, last))  # noqa: B023 - called at once
            except NearsideError as error:
                said.append(f"{name}: {error}")
                continue
            if etag == copy.etag and (not whole or part.sha256 in ("", hashlib.sha256(data).hexdigest())):
                return data, name
            said.append(f"{name}: other bytes than were written")
        raise Unavailable(f"part {part.number} cannot be had from any place now ({'; '.join(said)})")

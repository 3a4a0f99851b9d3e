"""Proving bytes by the SHA-256 that they had when they came."""

import hashlib
from collections.abc import Sequence

from nearside.gateway.errors import WrongBytes

type Segment = tuple[int, int, str]
"""First and last byte (inclusive) within the object, and the SHA-256 of what is between them, in hex."""


class Proof:
    """Compares bytes that come in order with the SHA-256 of each segment. `whole` says that all of them were."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = list(segments)
        self._digest = hashlib.sha256()
        self._skipped = False

    @property
    def whole(self) -> bool:
        return not self._skipped

    def skip(self) -> None:
        """Some bytes are not fed, since they were copied by an earlier try: nothing is compared any more."""
        self._skipped = True

    def feed(self, first: int, data: bytes) -> None:
        """The next bytes. Raises WrongBytes when a segment that ends in them is not as it was written."""
        if self._skipped:
            return
        view = memoryview(data)
        while self._segments and view:
            _, last, sha256 = self._segments[0]
            piece = view[: last - first + 1]
            self._digest.update(piece)
            first, view = first + len(piece), view[len(piece) :]
            if first > last:
                if self._digest.hexdigest() != sha256:
                    raise WrongBytes("its source gives other bytes than were written")
                self._segments.pop(0)
                self._digest = hashlib.sha256()


def is_proved(data: bytes, begin: int, segments: Sequence[Segment]) -> bool:
    """Whether `data`, which begins at byte `begin` of the object, has all of these segments as they were written."""
    view = memoryview(data)
    return all(
        hashlib.sha256(view[first - begin : last - begin + 1]).hexdigest() == sha256 for first, last, sha256 in segments
    )

"""Uploads that nobody will complete: ended by schedule, so that their parts do not cost until a lifecycle rule runs."""

from collections.abc import Callable, Sequence

import msgspec

from nearside.errors import NearsideError, Unreachable
from nearside.places import Place
from nearside.uploads_records import OPEN_SECONDS, KeepsUploads, UploadsInPlaces

# What has no record in the ledger is another program's, or its record could not be kept: a day longer, as long as the
# lifecycle rule that the buckets should have.
STRANGERS_SECONDS = OPEN_SECONDS + 24 * 3600
AT_ONCE = 500


class Swept(msgspec.Struct, frozen=True):
    """What a run ended, by place, and what it could not, which the next one tries again."""

    ended: dict[str, int]
    lost: list[str]


class Orphans(msgspec.Struct, frozen=True):
    """Looks in every place, as long as there is time."""

    places: Sequence[Place]
    s3: UploadsInPlaces
    ledger: KeepsUploads
    clock: Callable[[], float]
    out_of_time: Callable[[], bool]

    def sweep(self) -> Swept:
        """Raises nothing that one place's failure brings about."""
        ended: dict[str, int] = {}
        lost: list[str] = []
        for place in self.places:
            ended[place.name] = 0
            for step in (self._of_the_ledger, self._strangers):
                try:
                    ended[place.name] += step(place, lost)
                except NearsideError as error:
                    lost.append(f"{place.name}: {error}")
        return Swept(ended, lost)

    def _of_the_ledger(self, place: Place, lost: list[str]) -> int:
        before = int((self.clock() - OPEN_SECONDS) * 1000)
        ended = 0
        for ticket in self.ledger.begun_before(place.name, before, AT_ONCE):
            if self.out_of_time():
                break
            if self._ends(place, ticket.key, ticket.upload, lost):
                self.ledger.drop(ticket)
                ended += 1
        return ended

    def _strangers(self, place: Place, lost: list[str]) -> int:
        before = int((self.clock() - STRANGERS_SECONDS) * 1000)
        ended = 0
        for upload in self.s3.unfinished(place):
            if self.out_of_time():
                break
            if upload.begun < before:
                ended += self._ends(place, upload.key, upload.upload, lost)
        return ended

    def _ends(self, place: Place, key: str, upload: str, lost: list[str]) -> bool:
        """Whether it is ended. One that S3 will not end keeps no other from its end. Raises Unreachable."""
        try:
            self.s3.abort(place, key, upload)
        except Unreachable:
            raise
        except NearsideError as error:
            lost.append(f"{place.name}: {key!r}: {error}")
            return False
        return True

"""Uploads to the regions, put together from the settings."""

import time
from collections.abc import Callable, Sequence

from nearside.adapters import credentials
from nearside.adapters.copies import Clients
from nearside.adapters.tables import Tables
from nearside.adapters.uploads_ledger import UploadsLedger
from nearside.adapters.uploads_s3 import UploadsS3
from nearside.presign import Presigner
from nearside.replicas import Findings, Question
from nearside.sealing import Seal
from nearside.settings import Settings
from nearside.uploads import RegionUploads
from nearside.uploads_orphans import Orphans
from nearside.uploads_tickets import Tickets


class UploadParts:
    """What S3 is asked and what is signed goes by the signing role; the ledger by the function's own."""

    def __init__(self, settings: Settings) -> None:
        signing_credentials = credentials.of(settings)
        self._places = settings.places
        self._s3 = UploadsS3(Clients(signing_credentials))
        tables = Tables(
            settings.table,
            settings.places,
            settings.table_regions,
            credentials.own(settings),
            settings.dynamodb_endpoint,
        )
        self._ledger = UploadsLedger(tables, [place.name for place in settings.places])
        presigner = Presigner(
            places=settings.places,
            mrap=settings.mrap if settings.use_mrap else None,
            credentials=signing_credentials,
            find=_nowhere,
            policy=settings.policy,
        )
        seal = Seal(settings.cursor_key.encode(), "nearside region upload")
        tickets = Tickets(seal, settings.places, settings.policy)
        self.uploads = RegionUploads(
            presigner, self._s3, self._ledger, tickets, time.time, settings.replicated_prefixes
        )

    def orphans(self, out_of_time: Callable[[], bool]) -> Orphans:
        """What ends forgotten ones."""
        return Orphans(self._places, self._s3, self._ledger, time.time, out_of_time)


def _nowhere(questions: Sequence[Question]) -> Sequence[Findings]:
    """Nobody asks where an object is that is yet to be uploaded."""
    raise AssertionError(questions)

"""What the functions around the catalog have in common, put together from the settings."""

import time

from nearside import mrap
from nearside.adapters import credentials
from nearside.adapters.batch_jobs import BatchJobs
from nearside.adapters.carrying import Carrier
from nearside.adapters.cloudwatch import ReplicationMetrics
from nearside.adapters.copies import Clients, Looks, ReadsBack
from nearside.adapters.dynamodb import Records
from nearside.adapters.lag_records import LagRecords
from nearside.adapters.log_records import OperationsLog
from nearside.adapters.notes import Notes
from nearside.adapters.replication_rules import BucketSettings
from nearside.adapters.s3control import Mraps, Routes
from nearside.adapters.tables import Tables
from nearside.adapters.work_index import WorkLists
from nearside.catalog import Catalog
from nearside.errors import Missing
from nearside.lag import Lags
from nearside.mending import Mender
from nearside.repair import Repairer
from nearside.replication import Replication
from nearside.replication_rules import Buckets
from nearside.rule_verdicts import Meant
from nearside.settings import Settings

_COMPLETION_SECONDS = 5.0  # of a repair's time: to complete a copy whose parts are all there, and to prove it


class CatalogParts:
    """The catalog, and what writes and reads it; `tables` is the one way to its table."""

    def __init__(self, settings: Settings) -> None:
        self.credentials = credentials.of(settings)
        self.tables = Tables(
            settings.table, settings.places, settings.table_regions, self.credentials, settings.dynamodb_endpoint
        )
        self.records = Records(self.tables)
        self.lag_records = LagRecords(self.tables)
        self.lags = Lags(self.lag_records)
        names = [place.name for place in settings.places]
        self.meant = Meant(
            settings.replicates_delete_markers, settings.replicated_prefixes, settings.lag_target_seconds
        )
        self.catalog = Catalog(names, self.records, self.lags, self.meant.markers_travel, self.meant.prefixes)


class OperatorParts(CatalogParts):
    """What looks at all places beside it: the buckets, the access point, CloudWatch; and what remembers."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.work = WorkLists(self.tables)
        self.notes = Notes(self.tables)
        self.log = OperationsLog(self.tables, settings.region)
        self.clients = Clients(self.credentials)
        self.looks = Looks(self.clients)
        self.buckets = BucketSettings(self.credentials)
        self._mrap = settings.mrap
        self._mraps = Mraps(self.credentials, settings.s3control_endpoint)
        self._routes = Routes(self.credentials, settings.s3control_endpoint)
        self.replication = Replication(
            places=settings.places,
            buckets=self.buckets,
            work=self.work,
            lag=self.lag_records.between,
            metrics=ReplicationMetrics(self.credentials, settings.cloudwatch_endpoint),
            mrap=self.mrap if settings.mrap else None,
            meant=self.meant,
        )

    def mrap(self) -> mrap.MrapState:
        """The access point's state and routes. Raises Missing when the settings name none, Unreachable, Refused."""
        if self._mrap is None:
            raise Missing("no Multi-Region Access Point is set (MRAP_ALIAS)")
        return mrap.state(self._mraps, self._routes, self._mrap.alias)


class RepairParts(OperatorParts):
    """What mends beside it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._settings = settings
        role = settings.batch_role_arn
        self._jobs = BatchJobs(self.credentials, role, settings.s3control_endpoint) if role else None

    def repairer(self, name: str, seconds: float, job_pause_seconds: int = 0) -> Repairer:
        """A repairer that has this long from now; `name` is whose round of the work lists it goes on with."""
        settings = self._settings
        end = time.monotonic() + seconds - _COMPLETION_SECONDS
        return Repairer(
            name=name,
            seconds=seconds,
            places=settings.places,
            records=self.records,
            work=self.work,
            buckets=lambda: self.buckets(settings.places),
            mender=lambda buckets: self._mender(buckets, end),
            policy=settings.policy,
            jobs=self._jobs,
            job_over=settings.repair_job_over,
            job_pause_seconds=job_pause_seconds,
            notes=self.notes,
            log=self.log,
            target_seconds=settings.lag_target_seconds,
            clock=time.time,
        )

    def _mender(self, buckets: Buckets, end: float) -> Mender:
        return Mender(
            places=self._settings.places,
            record=self.records.replica,
            versions=self.looks.versions,
            look=self.looks,
            carry=Carrier(self.clients, self.notes, lambda: time.monotonic() > end),
            digest=ReadsBack(self.clients),
            apply=self.catalog.apply,
            log=self.log,
            buckets=buckets,
            clock=time.time,
        )

"""What the functions around the gateway have in common, put together from the settings."""

import time
from collections.abc import Callable
from functools import cached_property

from nearside.adapters import credentials, place_credentials
from nearside.adapters.access_keys import AccessKeys
from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.adapters.gateway_records import GatewayRecords
from nearside.adapters.gateway_uploads import GatewayUploads
from nearside.adapters.place_requests import PlaceRequests
from nearside.adapters.place_store import PlaceStore
from nearside.adapters.replication_queue import ReplicationQueue
from nearside.gateway import backends
from nearside.gateway.buckets import Buckets
from nearside.gateway.calls import Core
from nearside.gateway.copying import Copier
from nearside.gateway.front import Front
from nearside.gateway.leases import Leases
from nearside.gateway.listings import Listings
from nearside.gateway.noting import OperationNotes
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Place, Places
from nearside.gateway.reading import Reader
from nearside.gateway.replicating import Replicator
from nearside.gateway.signatures import Verifier
from nearside.gateway.spreading import Spreader
from nearside.gateway.staging import Staging
from nearside.gateway.uploading import Uploads
from nearside.gateway.writing import Writer
from nearside.operations_log import AppendsOperations
from nearside.settings import Settings


class GatewayParts:
    """The gateway of these settings; `out_of_time` ends copies that go in parts.

    Raises BadSettings for what is wrong in BACKENDS, naming the field.
    """

    def __init__(self, settings: Settings, out_of_time: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        own = credentials.own(settings)
        home = settings.primary.region
        configuration = backends.parse(settings.backends)
        self.promise = configuration.replication
        self.places = Places([_place(each, own, settings.region) for each in configuration.enabled])
        self.wire = DynamoDbWire(settings.table, home, own, settings.dynamodb_endpoint)
        self.records = GatewayRecords(self.wire)
        self.stored_uploads = GatewayUploads(self.wire, settings.table)
        self.queue = ReplicationQueue(settings.gateway_queue_url, settings.region, own, settings.sqs_endpoint)
        self.leases = Leases(self.records, time.time, time.sleep)
        self._parts = PartsOf(self.stored_uploads, self.places)
        self._spread = Spreader(self.places)
        self.writer = Writer(self.leases, self._spread, self.promise, self.queue)
        self.reader = Reader(self.leases, self.places, self._parts, self.queue)
        self.buckets = Buckets(self.records, self.stored_uploads, self._spread, time.time)
        self.listings = Listings(self.records)
        self._out_of_time = out_of_time
        self._own = own

    @cached_property
    def log(self) -> AppendsOperations:
        """The operations log."""
        from nearside.adapters.log_records import OperationsLog  # boto3: what answers clients does without it
        from nearside.adapters.tables import Tables

        s = self._settings
        return OperationsLog(Tables(s.table, s.places, s.table_regions, self._own, s.dynamodb_endpoint), s.region)

    @cached_property
    def replicator(self) -> Replicator:
        """What copies to places that lack something."""
        copier = Copier(self.leases, self.places, self.promise, self.reader, self._parts, self._out_of_time)
        notes = OperationNotes(self.log, time.time)
        return Replicator(self.leases, self._spread, self.promise, copier, self._parts, notes)

    def front(self) -> Front:
        """What answers S3's clients."""
        settings = self._settings
        staging = Staging(self._spread, self.promise, time.time)
        uploads = Uploads(self.records, self.stored_uploads, staging, self.writer, self.reader, self.places, time.time)
        core = Core(
            writer=self.writer,
            reader=self.reader,
            uploads=uploads,
            buckets=self.buckets,
            listings=self.listings,
            places=self.places,
            promise=self.promise,
            max_body_bytes=settings.gateway_max_body_bytes,
            region=settings.region,
        )
        keys = AccessKeys(self.wire, settings.gateway_secret)
        return Front(Verifier(keys.find, None, time.time), core, settings.gateway_domains)


def _place(backend: backends.Backend, own: credentials.CredentialSource, region: str) -> Place:
    pair = place_credentials.of(backend, own, region)
    store = PlaceStore(PlaceRequests(backend, pair))
    return Place(backend.name, backend.provider, backend.zone_code, backend.is_primary, store)

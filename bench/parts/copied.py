"""One large copy of the replicator in a process of its own: prints its peak memory in bytes."""

import resource
import sys
import threading
import time
from typing import cast

from bench.parts.places import ETAG
from nearside.adapters.place_requests import PlaceRequests
from nearside.adapters.place_store import PlaceStore
from nearside.gateway.backends import Backend
from nearside.gateway.copying import Copier
from nearside.gateway.leases import Leases
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Place, Places, Promise
from nearside.gateway.reading import Reader
from nearside.gateway.records import Copy, Generation, Lease, Part, Record, StoresRecords, StoresUploads
from nearside.signing import Credentials


class OneRecord:
    """As much of a catalog as one copy needs: one record, which nobody else wants."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def load(self, bucket: str, key: str, *, eventual: bool = False) -> Record:
        """It."""
        return self.record

    def lease(self, bucket: str, key: str, lease: Lease, now: int, intent: Generation | None = None) -> Record:
        """It, leased."""
        return Record(**{name: getattr(self.record, name) for name in _FIELDS}, lease=lease)

    def save(self, record: Record, owner: str) -> None:
        """Another one in its stead."""
        self.record = record


class NoUploads:
    """There are none."""

    def parts(self, upload_id: str, after: int = 0, limit: int = 10_000) -> list[Part]:
        """None."""
        return []


_FIELDS = [name for name in Record.__struct_fields__ if name != "lease"]


def copy(size: int, source: str, target: str) -> Record:
    """The record after an object of `size` bytes was copied from one place to the other."""
    current = Generation(id="g", made=1, size=size, etag=ETAG)
    copies = {"source": Copy(state="COMPLETED", etag=ETAG), "target": Copy()}
    records = OneRecord(Record(bucket="photos", key=f"big/{size}", current=current, copies=copies))
    # As much of the two stores as one copy asks for.
    leases = Leases(cast(StoresRecords, records), time.time, time.sleep)
    places = Places([_place("source", source, primary=True), _place("target", target)])
    parts = PartsOf(cast(StoresUploads, NoUploads()), places)
    reader = Reader(leases, places, parts, lambda bucket, key: None)
    copier = Copier(leases, places, Promise(required_replicas=1), reader, parts, lambda: False)
    return copier.copy(records.record, "target")


def _place(name: str, url: str, *, primary: bool = False) -> Place:
    backend = Backend(name=name, provider="other", zone_code="z", region="eu-west-2", endpoint_url=url)
    store = PlaceStore(PlaceRequests(backend, lambda: Credentials("AKID", "secret")))
    return Place(name, "other", "z", primary, store)


def main() -> None:
    """Copies as many bytes as the command line says, from one endpoint to another."""
    size, source, target = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    record = copy(size, source, target)
    assert record.copies["target"].state == "COMPLETED", record
    assert threading.active_count() < 64
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()

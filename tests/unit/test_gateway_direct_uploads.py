"""Uploads straight to a place: what is signed, what is refused, and what becomes of them."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from nearside.access import Caller, Policy, Rule
from nearside.errors import BadRequest, MissingBucket, Refused, Unreachable
from nearside.gateway.copying import Copier
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.direct_uploads import OPEN_SECONDS, DirectUploads
from nearside.gateway.errors import MissingUpload, Unavailable
from nearside.gateway.leftovers import OLD_SECONDS
from nearside.gateway.parts import PartsOf
from nearside.gateway.reading import Reader
from nearside.gateway.records import Bucket
from nearside.gateway.replicating import Replicator
from nearside.gateway.spreading import Spreader
from nearside.gateway.writing import Writer
from nearside.sealing import Seal
from nearside.uploads_items import CompleteAsked, PartDone, PartsAsked, UploadAsked, UploadBegun
from tests.unit.gateway_memory import PROMISE, Clock, MemoryRecords, MemoryStore, MemoryUploads, leases_of, places_of

BUCKET, KEY = "photos", "users/a/film.mp4"
A = Caller("a", trusted=False, claims={"sub": "a"})
ANYONE = Caller("anyone", trusted=True)
POLICY = Policy([Rule("sub", ["photos/users/${sub}/"], ["write"])])
BODY = b"0123456789" * 2


class Uploading:
    """Three places and what uploads to them."""

    def __init__(self) -> None:
        self.clock = clock = Clock()
        self.stores = [MemoryStore(name, clock=clock) for name in ("eu", "us", "b2")]
        records, uploads = MemoryRecords(), MemoryUploads()
        records.put_bucket(Bucket(BUCKET, 1))
        for store in self.stores:
            store.buckets[BUCKET] = {}
        places = places_of(self.stores, clock)
        leases, spread, parts = leases_of(records, clock), Spreader(places), PartsOf(uploads, places)
        self.told: list[tuple[str, str]] = []
        self.writer = Writer(leases, spread, PROMISE, lambda *told: self.told.append(told))
        self.reader = Reader(leases, places, parts, lambda *told: None)
        copier = Copier(leases, places, PROMISE, self.reader, parts, lambda: False, chunk_bytes=8)
        self.replicator = Replicator(leases, spread, PROMISE, copier, parts, lambda *noted: None)
        self.uploads = DirectUploads(leases, places, self.writer, uploads, POLICY, Seal(b"k" * 16, "upload"))

    def sent(self, begun: UploadBegun, pieces: Sequence[bytes]) -> CompleteAsked:
        """The parts, uploaded as by their URLs, and what is to be said of them."""
        [store] = [store for store in self.stores if store.name == begun.place]
        [upload_id] = store.multiparts
        etags = [store.part(BUCKET, "", upload_id, number, piece) for number, piece in enumerate(pieces, 1)]
        return CompleteAsked([PartDone(number, f'"{etag}"') for number, etag in enumerate(etags, 1)])

    def bodies(self) -> list[dict[str, bytes]]:
        return [store.bodies(BUCKET) for store in self.stores]


@pytest.fixture
def uploading() -> Uploading:
    return Uploading()


def asked(**more: object) -> UploadAsked:
    return UploadAsked(bucket=BUCKET, key=KEY, size=len(BODY), **more)  # type: ignore[arg-type]  # fields by name


def test_an_upload_is_read_at_once_and_then_in_every_place(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(content_type="video/mp4"), A)
    assert (begun.place, begun.parts) == ("eu", 1)
    done = uploading.uploads.complete(begun.id, uploading.sent(begun, [BODY]), A)
    assert (done.bucket, done.key, done.size) == (BUCKET, KEY, len(BODY))
    assert done.replication == {"eu": "PENDING", "us": "PENDING", "b2": "PENDING"}
    record = uploading.reader.find(BUCKET, KEY)
    assert uploading.reader.read(record, 3, 12).data == BODY[3:13]
    assert record.current is not None
    assert record.current.headers == {"content-type": "video/mp4"}
    assert uploading.told == [(BUCKET, KEY)]
    mended = uploading.replicator.mend(BUCKET, KEY)
    assert mended is not None
    assert mended.due is None
    assert uploading.bodies() == [{KEY: BODY}] * 3  # and nothing is left aside


def test_parts_are_signed_for_the_place_alone(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    [part] = uploading.uploads.parts(begun.id, PartsAsked([1]), A).parts
    assert part.url.startswith(f"https://eu.test/{BUCKET}/.nearside/parts/")
    assert part.size == len(BODY)
    with pytest.raises(BadRequest, match="numbers has 2: this upload has 1 parts"):
        uploading.uploads.parts(begun.id, PartsAsked([2]), A)


def test_a_large_upload_has_at_most_10000_parts(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(UploadAsked(bucket=BUCKET, key=KEY, size=5 * 1024**4), A)
    assert begun.parts <= 10_000
    assert begun.parts * begun.part_bytes >= 5 * 1024**4


def test_who_may_not_write_the_key_gets_nothing(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    other = Caller("b", trusted=False, claims={"sub": "b"})
    for act in (
        lambda: uploading.uploads.begin(asked(), other),
        lambda: uploading.uploads.parts(begun.id, PartsAsked([1]), other),
        lambda: uploading.uploads.complete(begun.id, CompleteAsked([PartDone(1, "x")]), other),
        lambda: uploading.uploads.abort(begun.id, other),
    ):
        with pytest.raises(Refused, match="b may not write"):
            act()


@pytest.mark.parametrize("forged", ["", "abc", "é", "A" * 300])
def test_an_id_that_was_not_given_is_no_upload(uploading: Uploading, forged: str) -> None:
    with pytest.raises(MissingUpload):
        uploading.uploads.parts(forged, PartsAsked([1]), ANYONE)


def test_an_id_with_a_changed_byte_is_no_upload(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    changed = begun.id[:-2] + ("A" if begun.id[-2] != "A" else "B") + begun.id[-1]
    with pytest.raises(MissingUpload):
        uploading.uploads.parts(changed, PartsAsked([1]), ANYONE)


def test_a_place_that_is_down_is_passed_over(uploading: Uploading) -> None:
    def down(method: str, when: str) -> None:
        raise Unreachable("eu does not answer")

    uploading.stores[0].fault = down
    assert uploading.uploads.begin(asked(), A).place == "us"
    for store in uploading.stores:
        store.fault = down
    with pytest.raises(Unavailable, match="no place takes an upload now"):
        uploading.uploads.begin(asked(), A)


def test_fewer_bytes_than_announced_are_refused_and_removed(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    with pytest.raises(BadRequest, match="3 bytes were uploaded: 20 were announced"):
        uploading.uploads.complete(begun.id, uploading.sent(begun, [b"abc"]), A)
    assert uploading.bodies() == [{}, {}, {}]


def test_a_wrong_sha256_never_reaches_another_place(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(sha256=hashlib.sha256(b"other").hexdigest()), A)
    uploading.uploads.complete(begun.id, uploading.sent(begun, [BODY]), A)
    record = uploading.replicator.mend(BUCKET, KEY)
    assert record is not None
    assert KEY not in uploading.stores[1].bodies(BUCKET)
    assert "other bytes than were written" in record.copies["us"].why


def test_a_complete_whose_answer_was_lost_is_asked_again(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    parts = uploading.sent(begun, [BODY])
    first = uploading.uploads.complete(begun.id, parts, A)
    assert uploading.uploads.complete(begun.id, parts, A) == first


def test_a_late_complete_does_not_bring_back_what_was_replaced_or_deleted(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    parts = uploading.sent(begun, [BODY])
    uploading.uploads.complete(begun.id, parts, A)
    uploading.writer.put(BUCKET, KEY, b"newer", Described(), Conditions(), None)
    with pytest.raises(MissingUpload, match="replaced"):
        uploading.uploads.complete(begun.id, parts, A)
    uploading.writer.delete(BUCKET, KEY, Conditions())
    with pytest.raises(MissingUpload):
        uploading.uploads.complete(begun.id, parts, A)
    uploading.replicator.mend(BUCKET, KEY)
    with pytest.raises(MissingUpload):
        uploading.uploads.complete(begun.id, parts, A)


def test_an_upload_that_was_begun_long_ago_is_not_completed(uploading: Uploading) -> None:
    """Reconcile may be removing its bytes already: nothing says that they are still wanted."""
    begun = uploading.uploads.begin(asked(), A)
    parts = uploading.sent(begun, [BODY])
    uploading.clock.sleep(OPEN_SECONDS + 1)
    with pytest.raises(MissingUpload, match="6 days ago"):
        uploading.uploads.complete(begun.id, parts, A)
    assert OPEN_SECONDS < OLD_SECONDS


def test_an_upload_that_is_complete_is_told_of_as_long_as_it_is_the_object(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    parts = uploading.sent(begun, [BODY])
    first = uploading.uploads.complete(begun.id, parts, A)
    uploading.clock.sleep(OPEN_SECONDS + 1)
    assert uploading.uploads.complete(begun.id, parts, A) == first


def test_an_aborted_upload_is_gone(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    uploading.uploads.abort(begun.id, A)
    assert uploading.stores[0].multiparts == {}
    with pytest.raises(MissingUpload):
        uploading.uploads.complete(begun.id, CompleteAsked([PartDone(1, "x")]), A)


def test_a_bucket_that_is_none_is_refused(uploading: Uploading) -> None:
    with pytest.raises(MissingBucket):
        uploading.uploads.begin(UploadAsked(bucket="nothing", key=KEY, size=1), ANYONE)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (".nearside/a", "gateway keeps"),
        ("/.nearside/a", "gateway keeps"),
        ("a/../.nearside/a", "gateway keeps"),
        ("a\0b", "NUL"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused(uploading: Uploading, key: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        uploading.uploads.begin(UploadAsked(bucket=BUCKET, key=key, size=1), ANYONE)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"size": 0}, "size is 0: expected at least 1"),
        ({"place": "eu-west-2"}, "place does not go with bucket"),
        ({"if_none_match": "*"}, "if_none_match does not go with bucket"),
        ({"checksums": True}, "checksums does not go with bucket"),
    ],
)
def test_what_the_gateways_places_cannot_do_is_refused(uploading: Uploading, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        uploading.uploads.begin(UploadAsked(**{"bucket": BUCKET, "key": KEY, "size": 1, **more}), ANYONE)


def test_a_parts_checksum_is_refused_where_nobody_would_look_at_it(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    with pytest.raises(BadRequest, match="sha256: places that are not AWS"):
        uploading.uploads.parts(begun.id, PartsAsked([1], {"1": base64.b64encode(b"h" * 32).decode()}), A)


def test_parts_out_of_order_are_refused(uploading: Uploading) -> None:
    begun = uploading.uploads.begin(asked(), A)
    with pytest.raises(BadRequest, match="in order"):
        uploading.uploads.complete(begun.id, CompleteAsked([PartDone(2, "x")]), A)

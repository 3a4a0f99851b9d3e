"""Multipart uploads: parts, and what completing and aborting them does."""

import hashlib
from base64 import b64encode
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import BadRequest, Missing, NearsideError, TooLarge, Unreachable
from nearside.gateway.checksums import computed
from nearside.gateway.completing import MAX_OBJECT_BYTES, chosen
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.errors import (
    BadDigest,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    MalformedXml,
    MissingUpload,
    PreconditionFailed,
    Unavailable,
)
from nearside.gateway.places import Promise
from nearside.gateway.records import Part, Record
from nearside.gateway.uploading import MAX_PART_COPY_BYTES
from tests.unit.gateway_upload_world import BUCKET, KEY, Gateway, md5

DOWN = Unreachable("no answer")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def current_etag(record: Record) -> str:
    assert record.current is not None
    return record.current.etag


def failing(*methods: str, error: NearsideError = DOWN) -> Callable[[str, str], None]:
    def fault(method: str, when: str) -> None:
        if method in methods and when == "before":
            raise error

    return fault


def test_an_object_is_made_of_its_parts(gateway: Gateway) -> None:
    headers = {"content-type": "image/jpeg", "x-amz-meta-by": "me"}
    upload = gateway.create(Described(headers=headers, tags={"kind": "photo"}))
    wanted = gateway.put(upload, b"first ", b"second ", b"third")
    record = gateway.complete(upload, wanted)
    assert record.current is not None
    md5s = b"".join(bytes.fromhex(md5(body)) for body in (b"first ", b"second ", b"third"))
    assert record.current.etag == f"{md5(md5s)}-3"
    assert (record.current.size, record.current.headers, record.current.tags) == (18, headers, {"kind": "photo"})
    assert gateway.found() == b"first second third", "before any place has it as one object"
    assert gateway.told == [(BUCKET, KEY)]
    gateway.settle()
    assert gateway.found() == b"first second third"
    for store in gateway.stores.values():
        assert store.bodies(BUCKET) == {KEY: b"first second third"}


def test_a_part_goes_to_as_many_places_as_are_required_and_no_more(gateway: Gateway) -> None:
    upload = gateway.create()
    part = gateway.uploads.part(upload, 7, b"bytes", {})
    assert (part.number, part.size, part.etag) == (7, 5, md5(b"bytes"))
    assert part.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert part.staged.startswith(f".nearside/parts/{upload.id}/00007-")
    assert gateway.staged() == {"a": {part.staged}, "b": {part.staged}, "c": set()}
    assert {name: copy.state for name, copy in part.copies.items()} == {"a": "COMPLETED", "b": "COMPLETED"}
    assert gateway.uploads.parts(upload, 0, 10) == ([part], False)


def test_a_place_that_fails_is_made_up_for_by_another(gateway: Gateway) -> None:
    gateway.stores["a"].fault = failing("put")
    part = gateway.uploads.part(gateway.create(), 1, b"bytes", {})
    assert sorted(part.copies) == ["b", "c"]


def test_one_place_is_enough_and_none_is_not(gateway: Gateway) -> None:
    upload = gateway.create()
    for name in "ab":
        gateway.stores[name].fault = failing("put")
    assert sorted(gateway.uploads.part(upload, 1, b"bytes", {}).copies) == ["c"]
    gateway.stores["c"].fault = failing("put")
    with pytest.raises(Unavailable, match=r"part 2 .*a: no answer"):
        gateway.uploads.part(upload, 2, b"bytes", {})
    assert gateway.items() == {upload.id: [1]}


def test_a_place_without_the_bucket_gets_it(gateway: Gateway) -> None:
    gateway.stores["a"].buckets.clear()
    assert sorted(gateway.uploads.part(gateway.create(), 1, b"bytes", {}).copies) == ["a", "b"]


def test_what_is_not_given_back_as_it_was_written_is_removed() -> None:
    gateway = Gateway(Promise(required_replicas=2, verify_uploads=True))
    gateway.stores["a"].wrong = True
    part = gateway.uploads.part(gateway.create(), 1, b"bytes", {})
    assert sorted(part.copies) == ["b", "c"]
    assert gateway.staged() == {"a": set(), "b": {part.staged}, "c": {part.staged}}


@pytest.mark.parametrize("number", [0, 10_001, -1])
def test_numbers_of_parts(gateway: Gateway, number: int) -> None:
    with pytest.raises(InvalidArgument, match=f"10000.*{number}"):
        gateway.uploads.part(gateway.create(), number, b"", {})
    assert gateway.uploads.part(gateway.create(), 10_000, b"", {}).number == 10_000


def test_a_part_that_comes_again_replaces_the_one_before(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.put(upload, b"old", b"tail")
    again = gateway.uploads.part(upload, 1, b"new", {})
    with pytest.raises(InvalidPart, match="part 1 "):
        gateway.complete(upload, [(1, md5(b"old")), (2, md5(b"tail"))])
    gateway.complete(upload, [(1, again.etag), (2, md5(b"tail"))])
    gateway.settle()
    assert gateway.found() == b"newtail"
    assert not any(gateway.staged().values())


def test_parts_are_listed_in_pages(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.put(upload, *(b"%d" % number for number in range(5)))
    first, more = gateway.uploads.parts(upload, 0, 3)
    assert ([part.number for part in first], more) == ([1, 2, 3], True)
    second, more = gateway.uploads.parts(upload, 3, 3)
    assert ([part.number for part in second], more) == ([4, 5], False)


def test_uploads_are_listed(gateway: Gateway) -> None:
    uploads = [gateway.uploads.create(BUCKET, key, Described()) for key in ("b", "a/1", "a/2")]
    found, more = gateway.uploads.list(BUCKET, "a/", "", 1)
    assert ([each.id for each in found], more) == ([uploads[1].id], True)
    found, more = gateway.uploads.list(BUCKET, "a/", f"a/1\0{uploads[1].id}", 5)
    assert ([each.id for each in found], more) == ([uploads[2].id], False)


def test_an_upload_is_found_by_bucket_key_and_id(gateway: Gateway) -> None:
    upload = gateway.create()
    assert gateway.uploads.find(BUCKET, KEY, upload.id) == upload
    for bucket, key, upload_id in [("other", KEY, upload.id), (BUCKET, "other", upload.id), (BUCKET, KEY, "x")]:
        with pytest.raises(MissingUpload, match=upload_id):
            gateway.uploads.find(bucket, key, upload_id)


# Completing


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ([], MalformedXml),
        ([(2, "b"), (1, "a")], InvalidPartOrder),
        ([(1, "a"), (1, "a")], InvalidPartOrder),
        ([(1, "a"), (3, "a")], InvalidPart),
        ([(1, "b")], InvalidPart),
    ],
)
def test_what_cannot_be_completed(gateway: Gateway, wanted: list[tuple[int, str]], error: type[NearsideError]) -> None:
    upload = gateway.create()
    right = gateway.put(upload, b"a", b"b")
    with pytest.raises(error):
        gateway.complete(upload, [(number, md5(letter.encode())) for number, letter in wanted])
    assert gateway.items() == {upload.id: [1, 2]}, "nothing has changed"
    gateway.complete(upload, right)
    assert gateway.found() == b"ab"


def test_etags_may_have_quotes_and_capitals(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.put(upload, b"a")
    gateway.complete(upload, [(1, f'"{md5(b"a").upper()}"')])
    assert gateway.found() == b"a"


def test_an_object_has_5_tib_at_most() -> None:
    part = Part(number=1, size=MAX_OBJECT_BYTES, etag="e", sha256="", made=0, staged="s", copies={})
    assert chosen([part], [(1, "e")]) == [part]
    one_more = msgspec.structs.replace(part, number=2, size=1)
    with pytest.raises(TooLarge, match="5 TiB"):
        chosen([part, one_more], [(1, "e"), (2, "e")])


def test_parts_that_are_not_wanted_are_removed(gateway: Gateway) -> None:
    upload = gateway.create()
    wanted = gateway.put(upload, b"a", b"b", b"c")
    record = gateway.complete(upload, [wanted[0], wanted[2]])
    assert record.current is not None
    assert gateway.found() == b"ac"
    assert gateway.items() == {record.current.upload: [1, 3]}
    assert [len(staged) for staged in gateway.staged().values()] == [2, 2, 0]


def test_the_same_answer_again(gateway: Gateway) -> None:
    upload = gateway.create()
    wanted = gateway.put(upload, b"a", b"b")
    record = gateway.complete(upload, wanted, conditions=Conditions(if_none_match="*"))
    again = gateway.uploads.find(BUCKET, KEY, upload.id)
    assert gateway.complete(again, wanted, conditions=Conditions(if_none_match="*")).current == record.current
    assert gateway.complete(upload, wanted, conditions=Conditions(if_none_match="*")).current == record.current
    with pytest.raises(MissingUpload):
        gateway.complete(again, wanted[:1])
    with pytest.raises(MissingUpload):
        gateway.complete(again, [(1, "no etag at all")])
    assert [part.number for part in gateway.uploads.parts(again, 0, 10)[0]] == [1, 2]
    with pytest.raises(MissingUpload):
        gateway.uploads.part(again, 3, b"c", {})
    with pytest.raises(MissingUpload):
        gateway.uploads.abort(again)
    assert gateway.found() == b"ab"


def test_an_upload_is_over_once_its_object_was_replaced(gateway: Gateway) -> None:
    upload = gateway.create()
    wanted = gateway.put(upload, b"a")
    gateway.complete(upload, wanted)
    gateway.writer.put(BUCKET, KEY, b"newer", Described(), Conditions(), None)
    with pytest.raises(MissingUpload):
        gateway.uploads.find(BUCKET, KEY, upload.id)
    with pytest.raises(MissingUpload):
        gateway.complete(upload, wanted)
    gateway.settle()
    assert gateway.found() == b"newer"
    assert not any(gateway.staged().values())
    assert gateway.items() == {}


@pytest.mark.parametrize(
    ("conditions", "error"),
    [
        (Conditions(if_none_match="*"), PreconditionFailed),
        (Conditions(if_match='"other"'), PreconditionFailed),
    ],
)
def test_conditions(gateway: Gateway, conditions: Conditions, error: type[NearsideError]) -> None:
    gateway.writer.put(BUCKET, KEY, b"there", Described(), Conditions(), None)
    upload = gateway.create()
    wanted = gateway.put(upload, b"a")
    with pytest.raises(error):
        gateway.complete(upload, wanted, conditions=conditions)
    assert gateway.found() == b"there"
    assert gateway.items() == {upload.id: [1]}, "the upload is as it was"
    gateway.complete(upload, wanted, conditions=Conditions(if_match=f'"{md5(b"there")}"'))
    assert gateway.found() == b"a"


def test_if_match_of_an_object_that_is_not_there(gateway: Gateway) -> None:
    upload = gateway.create()
    with pytest.raises(Missing):
        gateway.complete(upload, gateway.put(upload, b"a"), conditions=Conditions(if_match="*"))


def test_a_quorum_is_judged_by_the_part_that_fewest_places_have(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.put(upload, b"a")
    for name in "bc":
        gateway.stores[name].fault = failing("put")
    second = gateway.uploads.part(upload, 2, b"b", {})
    wanted = [(1, md5(b"a")), (2, second.etag)]
    with pytest.raises(Unavailable, match="Quorum is 2: 1 places have part 2"):
        gateway.complete(upload, wanted, quorum=2)
    gateway.complete(upload, wanted, quorum=1)
    assert gateway.found() == b"ab"


def test_an_empty_object(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.complete(upload, gateway.put(upload, b""))
    assert gateway.found() == b""
    gateway.settle()
    assert [store.bodies(BUCKET) for store in gateway.stores.values()] == [{KEY: b""}] * 3


# Checksums


def test_a_composite_checksum(gateway: Gateway) -> None:
    upload = gateway.create(Described(checksums={"sha256": ""}, checksum_type="COMPOSITE"))
    first = gateway.uploads.part(upload, 1, b"a", {"sha256": computed("sha256", b"a")})
    second = gateway.uploads.part(upload, 2, b"b", {})
    assert second.checksums == {"sha256": computed("sha256", b"b")}, "computed when it did not come"
    record = gateway.complete(upload, [(1, first.etag), (2, second.etag)])
    digests = hashlib.sha256(b"a").digest() + hashlib.sha256(b"b").digest()
    assert record.current is not None
    assert record.current.checksums == {"sha256": f"{b64encode(hashlib.sha256(digests).digest()).decode()}-2"}
    assert record.current.checksum_type == "COMPOSITE"


@given(bodies=st.lists(st.binary(max_size=9), min_size=1, max_size=4))
@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
def test_a_checksum_of_the_whole(algorithm: str, bodies: list[bytes]) -> None:
    gateway = Gateway()
    upload = gateway.create(Described(checksums={algorithm: ""}, checksum_type="FULL_OBJECT"))
    wanted = gateway.put(upload, *bodies)
    whole = computed(algorithm, b"".join(bodies))
    wrong = computed(algorithm, b"something else")
    with pytest.raises(BadDigest, match=algorithm.upper()):
        gateway.complete(upload, wanted, checksums={algorithm: wrong})
    record = gateway.complete(upload, wanted, checksums={algorithm: whole})
    assert record.current is not None
    assert record.current.checksums == {algorithm: whole}


def test_without_a_wish_there_is_no_checksum_to_compare_with(gateway: Gateway) -> None:
    upload = gateway.create()
    wanted = gateway.put(upload, b"a")
    with pytest.raises(BadRequest, match="CRC32"):
        gateway.complete(upload, wanted, checksums={"crc32": computed("crc32", b"a")})
    record = gateway.complete(upload, wanted)
    assert record.current is not None
    assert record.current.checksums == {}


# Copying a part


def test_a_part_of_an_object(gateway: Gateway) -> None:
    source = gateway.writer.put(BUCKET, "source", b"0123456789", Described(), Conditions(), None)
    upload = gateway.create()
    first = gateway.uploads.part_copy(upload, 1, source, 2, 4)
    second = gateway.uploads.part_copy(upload, 2, source, 9, 9)
    assert (first.size, first.etag) == (3, md5(b"234"))
    gateway.complete(upload, [(1, first.etag), (2, second.etag)])
    assert gateway.found() == b"2349"


def test_a_part_of_nothing(gateway: Gateway) -> None:
    source = gateway.writer.put(BUCKET, "source", b"", Described(), Conditions(), None)
    assert gateway.uploads.part_copy(gateway.create(), 1, source, 0, -1).size == 0


@pytest.mark.parametrize(("first", "last"), [(0, 10), (5, 4), (-1, 3), (10, 10)])
def test_bytes_that_the_source_does_not_have(gateway: Gateway, first: int, last: int) -> None:
    source = gateway.writer.put(BUCKET, "source", b"0123456789", Described(), Conditions(), None)
    with pytest.raises(InvalidArgument, match="source object of size: 10"):
        gateway.uploads.part_copy(gateway.create(), 1, source, first, last)


def test_more_than_memory_takes(gateway: Gateway) -> None:
    source = gateway.writer.put(BUCKET, "source", b"0123456789", Described(), Conditions(), None)
    assert source.current is not None
    huge = msgspec.structs.replace(source, current=msgspec.structs.replace(source.current, size=2**40))
    with pytest.raises(BadRequest, match="64 MiB"):
        gateway.uploads.part_copy(gateway.create(), 1, huge, 0, MAX_PART_COPY_BYTES)


# Aborting


def test_an_aborted_upload_leaves_nothing(gateway: Gateway) -> None:
    gateway.writer.put(BUCKET, KEY, b"there", Described(), Conditions(), None)
    upload = gateway.create()
    wanted = gateway.put(upload, b"a", b"b")
    gateway.uploads.abort(upload)
    assert (gateway.items(), gateway.uploading.under_way) == ({}, {})
    assert not any(gateway.staged().values())
    held = [held for key, held in gateway.stores["a"].buckets[BUCKET].items() if key != KEY]
    assert held == [], "no version and no delete marker is paid for"
    for act in (lambda: gateway.uploads.abort(upload), lambda: gateway.complete(upload, wanted)):
        with pytest.raises(MissingUpload):
            act()
    with pytest.raises(MissingUpload):
        gateway.uploads.find(BUCKET, KEY, upload.id)
    assert gateway.found() == b"there", "no object is changed"


def test_a_place_that_is_down_keeps_parts_until_they_are_found(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.put(upload, b"a", b"b")
    gateway.stores["a"].fault = failing("delete")
    gateway.uploads.abort(upload)
    assert [len(staged) for staged in gateway.staged().values()] == [2, 0, 0]
    gateway.settle()
    assert not any(gateway.staged().values())


def test_a_part_that_comes_after_the_end(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.put(upload, b"a")
    gateway.uploads.abort(upload)
    with pytest.raises(MissingUpload):
        gateway.uploads.part(upload, 2, b"late", {})
    assert gateway.items() == {}
    assert not any(gateway.staged().values())


def test_a_part_that_comes_after_its_object_was_made(gateway: Gateway) -> None:
    upload = gateway.create()
    gateway.complete(upload, gateway.put(upload, b"a"))
    for body in (b"a", b"other"):
        with pytest.raises(MissingUpload):
            gateway.uploads.part(upload, 1, body, {})
    assert gateway.found() == b"a"
    gateway.settle()
    assert gateway.found() == b"a"


# When the catalog does not answer


@pytest.mark.parametrize("landed", [True, False])
def test_the_answer_of_the_commit_is_lost(gateway: Gateway, landed: bool) -> None:
    upload = gateway.create()
    wanted = gateway.put(upload, b"a")

    def fault(method: str, when: str) -> None:
        if (method, when) == ("save", "after" if landed else "before"):
            raise DOWN

    gateway.records.fault = fault
    if landed:
        assert current_etag(gateway.complete(upload, wanted)).endswith("-1")
        assert gateway.found() == b"a"
        return
    with pytest.raises(Unreachable):
        gateway.complete(upload, wanted)
    with pytest.raises(Missing):
        gateway.found()
    gateway.settle()
    assert not any(gateway.staged().values())


def test_a_list_of_parts_that_cannot_be_written_changes_nothing(gateway: Gateway) -> None:
    upload = gateway.create()
    wanted = gateway.put(upload, b"a", b"b")
    calls: dict[str, int] = {}

    def fault(method: str, when: str) -> None:
        calls[method] = calls.get(method, 0) + 1
        if method == "put_part" and calls[method] == 3:
            raise DOWN

    gateway.uploading.fault = fault
    with pytest.raises(Unreachable):
        gateway.complete(upload, wanted)
    assert gateway.items() == {upload.id: [1, 2]}
    gateway.complete(upload, wanted)
    assert gateway.found() == b"ab"

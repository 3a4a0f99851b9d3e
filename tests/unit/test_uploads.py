"""Uploads to the regions: what is one PUT, where parts go, whose they are, and what becomes of them."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nearside.access import Caller, Policy, Rule
from nearside.errors import (
    BadRequest,
    MissingUpload,
    NearsideError,
    PreconditionFailed,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from nearside.places import Viewer
from nearside.sealing import Seal
from nearside.uploads_items import CompleteAsked, PartDone, PartsAsked, UploadAsked, UploadBegun, UploadDone
from nearside.uploads_records import OPEN_SECONDS, Completed, Wanted
from nearside.uploads_sizes import PART_BYTES, SINGLE_BYTES
from nearside.uploads_tickets import Tickets
from tests.unit.uploads_memory import ANYONE, EU, US, Uploading, caller, etag, sha256

KEY = "users/alice/film.mp4"
SIZE = 2 * PART_BYTES + 3
PIECES = (b"a" * PART_BYTES, b"b" * PART_BYTES, b"end")
OHIO = Viewer(40.0, -83.0)
ALICE, BOB = caller("alice"), caller("bob")
OWN = Policy([Rule("sub", ["users/${sub}/"], ["read", "write"])])
SHARED = Policy([Rule("sub", ["users/"], ["write"])])
AWAY = Unreachable("it cannot be reached")


def asked(**more: Any) -> UploadAsked:
    return UploadAsked(**{"key": KEY, "size": SIZE, "checksums": False, **more})


def begun(uploading: Uploading, who: Caller = ANYONE, **more: Any) -> UploadBegun:
    return uploading.uploads.begin(asked(**more), who, None)


def sent(uploading: Uploading, upload: UploadBegun, pieces: tuple[bytes, ...] = PIECES) -> CompleteAsked:
    """The parts, uploaded as by their URLs, and what is to be said of them."""
    place = EU if upload.place == EU.name else US
    [upload_id] = uploading.s3.uploads[place.name]
    etags = [uploading.s3.put(place, upload_id, number, piece) for number, piece in enumerate(pieces, 1)]
    return CompleteAsked([PartDone(number, each) for number, each in enumerate(etags, 1)])


@pytest.mark.parametrize("size", [0, 1, SINGLE_BYTES])
def test_what_fits_in_a_part_is_one_put(size: int) -> None:
    uploading = Uploading()
    digest = hashlib.sha256(b"x").hexdigest()
    upload = begun(uploading, size=size, content_type="video/mp4", sha256=digest, if_none_match="*", checksums=None)
    assert (upload.id, upload.kind, upload.place, upload.parts) == ("", "single", "mrap", 1)
    assert upload.headers == {
        "content-type": "video/mp4",
        "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(digest)).decode(),
        "if-none-match": "*",
    }
    signed = parse_qs(urlsplit(str(upload.url)).query)["X-Amz-SignedHeaders"][0]
    assert signed == "content-length;content-type;host;if-none-match;x-amz-checksum-sha256"
    assert uploading.open_in_s3() == []
    assert uploading.ledger.kept == {}


def test_one_byte_more_goes_in_parts() -> None:
    upload = begun(Uploading(), size=SINGLE_BYTES + 1)
    assert (upload.kind, upload.parts, upload.part_bytes) == ("multipart", 2, PART_BYTES)


@pytest.mark.parametrize(
    ("viewer", "mrap", "place", "expected"),
    [
        (OHIO, True, None, US),
        (None, True, None, EU),
        (OHIO, False, None, EU),
        (OHIO, True, EU.name, EU),
        (None, False, US.name, US),
    ],
)
def test_parts_go_where_a_put_would(viewer: Viewer | None, mrap: bool, place: str | None, expected: Any) -> None:
    uploading = Uploading(mrap=mrap)
    upload = uploading.uploads.begin(asked(place=place), ANYONE, viewer)
    assert upload.place == expected.name
    [part] = uploading.uploads.parts(upload.id, PartsAsked([1]), ANYONE).parts
    assert part.url.startswith(f"https://{expected.bucket}.s3.{expected.region}.amazonaws.com/{KEY}?")


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(BadRequest, match="place is 'mars': expected one of eu-west-2, us-east-2"):
        begun(Uploading(), place="mars")


def test_a_region_that_is_away_is_passed_over_and_what_was_begun_there_is_ended() -> None:
    uploading = Uploading()
    uploading.s3.down[EU.name] = AWAY
    assert begun(uploading).place == US.name
    uploading = Uploading()
    uploading.ledger.fails, uploading.ledger.fails_in = AWAY, EU.name
    assert begun(uploading).place == US.name
    assert len(uploading.open_in_s3()) == 1
    uploading.s3.down = {EU.name: AWAY, US.name: AWAY}
    with pytest.raises(Unavailable, match="no region takes an upload now"):
        begun(uploading)


@pytest.mark.parametrize("char", ["\0", "\x0f", "\x1f", "\ufffe"])
def test_a_key_that_s3s_xml_cannot_say_goes_in_one_put_only(char: str) -> None:
    with pytest.raises(BadRequest, match="nothing can be uploaded in parts"):
        begun(Uploading(), key=f"a{char}b")
    assert begun(Uploading(), key=f"a{char}b", size=1).kind == "single"


@pytest.mark.parametrize("char", ["\t", "\n", "\r", " ", "\x7f", "\x85", "é", "\ufffd", "\U0001f600", "<", "&", "%"])
def test_any_other_key_goes_in_parts(char: str) -> None:
    assert begun(Uploading(), key=f"a{char}b").kind == "multipart"


def test_a_region_that_refuses_is_not_passed_over() -> None:
    uploading = Uploading()
    uploading.s3.down[EU.name] = Refused("eu-west-2 answered AccessDenied")
    with pytest.raises(Refused):
        begun(uploading)


def test_each_parts_length_and_checksum_are_signed_and_its_url_ends_with_the_session() -> None:
    uploading = Uploading()
    upload = begun(uploading, checksums=None)
    sums = {str(n): base64.b64encode(hashlib.sha256(piece).digest()).decode() for n, piece in enumerate(PIECES, 1)}
    wanted = {number: sums[number] for number in ("3", "1")}
    last, first = uploading.uploads.parts(upload.id, PartsAsked([3, 1], wanted), ANYONE).parts
    assert (last.number, last.size, first.size) == (3, 3, PART_BYTES)
    assert last.headers == {"x-amz-checksum-sha256": sums["3"]}
    query = parse_qs(urlsplit(last.url).query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;host;x-amz-checksum-sha256"]
    assert query["X-Amz-Expires"] == ["900"]
    assert last.expires_at.timestamp() == uploading.now + 900


@pytest.mark.parametrize(
    ("checksums", "numbers", "sums", "words"),
    [
        (None, [1], {}, "sha256 has none for part 1"),
        (False, [1], {"1": base64.b64encode(b"x" * 32).decode()}, "begun with checksums=false"),
        (False, [4], {}, "numbers has 4: this upload has 3 parts"),
    ],
)
def test_a_part_that_s3_would_not_take_is_not_signed(
    checksums: bool | None, numbers: list[int], sums: dict[str, str], words: str
) -> None:
    uploading = Uploading()
    upload = begun(uploading, checksums=checksums)
    with pytest.raises(BadRequest, match=words):
        uploading.uploads.parts(upload.id, PartsAsked(numbers, sums), ANYONE)


def test_checksums_of_parts_that_are_not_asked_for_or_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="sha256 has '2', which is none of the numbers"):
        PartsAsked([1], {"2": base64.b64encode(b"x" * 32).decode()})
    with pytest.raises(ValueError, match=r"sha256\.1 has 3 bytes"):
        PartsAsked([1], {"1": base64.b64encode(b"x" * 3).decode()})


def test_a_completed_upload_is_answered_the_same_again() -> None:
    uploading = Uploading()
    upload = begun(uploading, checksums=None)
    parts = sent(uploading, upload)
    done = uploading.uploads.complete(upload.id, parts, ANYONE)
    assert done == UploadDone(
        bucket=EU.bucket,
        key=KEY,
        size=SIZE,
        etag=f"{etag(b''.join(PIECES))}-3",
        version_id="v1",
        replication={EU.name: "COMPLETED", US.name: "PENDING"},
    )
    # Each part's checksum, which S3 wants again, was read from S3 where the client did not say it.
    assert [part.sha256 for part in uploading.s3.completions[0]] == [sha256(piece) for piece in PIECES]
    uploading.s3.objects.clear()  # it may have been replaced since
    assert uploading.uploads.complete(upload.id, parts, ANYONE) == done
    assert uploading.uploads.unfinished(ANYONE).uploads == []
    with pytest.raises(MissingUpload):
        uploading.uploads.show(upload.id, ANYONE)


@pytest.mark.parametrize("ledger_fails", [False, True])
def test_an_answer_that_was_lost_is_given_again(ledger_fails: bool) -> None:
    uploading = Uploading()
    upload = begun(uploading)
    parts = sent(uploading, upload)
    uploading.s3.lose_answer = AWAY
    with pytest.raises(Unreachable):
        uploading.uploads.complete(upload.id, parts, ANYONE)
    done = uploading.uploads.complete(upload.id, parts, ANYONE)
    assert (done.size, done.version_id, done.replication[EU.name]) == (SIZE, "v1", "COMPLETED")
    if ledger_fails:
        uploading.ledger.kept.clear()  # as if it had not been written
    assert uploading.uploads.complete(upload.id, parts, ANYONE) == done


def test_an_object_is_complete_though_the_ledger_is_away() -> None:
    uploading = Uploading()
    upload = begun(uploading)
    parts = sent(uploading, upload)
    uploading.ledger.fails = AWAY
    assert uploading.uploads.complete(upload.id, parts, ANYONE).size == SIZE


def test_another_object_of_that_key_is_not_taken_for_the_uploads() -> None:
    uploading = Uploading()
    first = begun(uploading)
    uploading.uploads.complete(first.id, sent(uploading, first), ANYONE)
    second = begun(uploading)
    uploading.uploads.abort(second.id, ANYONE)
    with pytest.raises(MissingUpload, match="any more"):
        uploading.uploads.complete(second.id, CompleteAsked([PartDone(1, "x")]), ANYONE)


@pytest.mark.parametrize(
    ("pieces", "change", "words"),
    [
        (PIECES[:2], None, f"{2 * PART_BYTES} bytes were uploaded: {SIZE} were announced"),
        (PIECES, PartDone(3, "other"), "part 3 has the ETag"),
        (PIECES[:2], PartDone(3, "x"), "part 3 was not uploaded"),
        (PIECES, PartDone(2, "x"), "in order"),
    ],
)
def test_what_is_not_the_whole_is_refused_and_can_be_mended(
    pieces: tuple[bytes, ...], change: PartDone | None, words: str
) -> None:
    uploading = Uploading()
    upload = begun(uploading)
    parts = sent(uploading, upload, pieces).parts
    with pytest.raises(BadRequest, match=words):
        uploading.uploads.complete(upload.id, CompleteAsked([*parts[:2], *([change] if change else [])]), ANYONE)
    assert uploading.uploads.complete(upload.id, sent(uploading, upload), ANYONE).size == SIZE


def test_it_goes_on_on_another_device_of_the_same_caller() -> None:
    uploading = Uploading(policy=OWN)
    upload = begun(uploading, ALICE, content_type="video/mp4")
    sent(uploading, upload, PIECES[:1])
    [listed] = uploading.uploads.unfinished(ALICE).uploads
    assert (listed.id, listed.key, listed.size, listed.parts, listed.place) == (upload.id, KEY, SIZE, 3, EU.name)
    assert (listed.content_type, listed.checksums) == ("video/mp4", False)
    shown = uploading.uploads.show(listed.id, ALICE)
    assert [(part.number, part.size, part.etag) for part in shown.done] == [(1, PART_BYTES, etag(PIECES[0]))]
    assert uploading.uploads.complete(listed.id, sent(uploading, upload), ALICE).size == SIZE


def test_the_newest_is_listed_first_and_those_that_are_too_old_are_not() -> None:
    uploading = Uploading()
    begun(uploading, key="old")
    uploading.now += OPEN_SECONDS - 10
    begun(uploading, key="new")
    assert [each.key for each in uploading.uploads.unfinished(ANYONE).uploads] == ["new", "old"]
    uploading.now += 11
    assert [each.key for each in uploading.uploads.unfinished(ANYONE).uploads] == ["new"]


def test_somebody_elses_upload_is_none_even_where_both_may_write() -> None:
    uploading = Uploading(policy=SHARED)
    upload = begun(uploading, ALICE)
    assert uploading.uploads.unfinished(BOB).uploads == []
    for act in (
        lambda: uploading.uploads.show(upload.id, BOB),
        lambda: uploading.uploads.parts(upload.id, PartsAsked([1]), BOB),
        lambda: uploading.uploads.complete(upload.id, CompleteAsked([PartDone(1, "x")]), BOB),
        lambda: uploading.uploads.abort(upload.id, BOB),
    ):
        with pytest.raises(MissingUpload, match="there is no such upload"):
            act()
    assert len(uploading.open_in_s3()) == 1


def test_who_may_no_longer_write_there_gets_nothing_more() -> None:
    uploading = Uploading(policy=OWN)
    upload = begun(uploading, ALICE)
    strict = Tickets(Seal(b"k" * 16, "uploads"), (EU, US), Policy())
    with pytest.raises(Refused):
        strict.opened(upload.id, ALICE)


def test_who_may_not_write_the_key_or_is_nobody_begins_nothing() -> None:
    uploading = Uploading(policy=OWN)
    with pytest.raises(Refused, match="bob may not write"):
        begun(uploading, BOB)
    nobody = Caller("a caller without sub", trusted=False, claims={"group": "x"})
    uploading = Uploading(policy=Policy([Rule("group", [""], ["write"])]))
    with pytest.raises(Refused, match="without the claim sub"):
        begun(uploading, nobody)
    assert uploading.open_in_s3() == []


@pytest.mark.parametrize("forged", ["", "abc", "é", "A" * 300])
def test_an_id_that_was_not_given_is_no_upload(forged: str) -> None:
    with pytest.raises(MissingUpload):
        Uploading().uploads.show(forged, ANYONE)


def test_a_place_that_is_gone_has_no_uploads() -> None:
    upload = begun(Uploading())
    with pytest.raises(MissingUpload, match="eu-west-2, which is no place any more"):
        Tickets(Seal(b"k" * 16, "uploads"), (US,), Policy()).opened(upload.id, ANYONE)


def test_an_aborted_upload_is_gone_and_aborting_twice_is_the_same() -> None:
    uploading = Uploading()
    upload = begun(uploading)
    gone = uploading.uploads.abort(upload.id, ANYONE)
    assert (gone.bucket, gone.key) == (EU.bucket, KEY)
    assert uploading.uploads.abort(upload.id, ANYONE) == gone
    assert (uploading.open_in_s3(), uploading.ledger.kept) == ([], {})


def test_nothing_is_overwritten_where_that_was_asked() -> None:
    uploading = Uploading()
    first = begun(uploading, if_none_match="*")
    parts = sent(uploading, first)
    uploading.s3.objects[EU.name, KEY] = Completed("etag", "v0", 1, "another upload's")
    with pytest.raises(PreconditionFailed):
        uploading.uploads.complete(first.id, parts, ANYONE)
    with pytest.raises(PreconditionFailed, match="already"):  # before anything is uploaded
        begun(uploading, if_none_match="*")
    assert len(uploading.open_in_s3()) == 1  # the first, which can be completed when the object is gone


LIMITED = Policy([Rule("sub", ["users/${sub}/"], ["write"], max_bytes=SIZE, content_types=["video/*"])])


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"size": SIZE + 1, "content_type": "video/mp4"}, TooLarge),
        ({"content_type": "text/html"}, Refused),
        ({}, BadRequest),
        ({"size": 5, "content_type": "text/html"}, Refused),
    ],
)
def test_the_policys_limits_hold(more: dict[str, Any], error: type[NearsideError]) -> None:
    uploading = Uploading(policy=LIMITED)
    with pytest.raises(error):
        begun(uploading, ALICE, **more)
    assert begun(uploading, ALICE, content_type="video/mp4").parts == 3


def test_an_upload_whose_size_nobody_said_is_measured_at_its_end() -> None:
    uploading = Uploading(policy=LIMITED)
    wanted = Wanted(key=KEY, headers={"content-type": "video/mp4"})
    for pieces, error in ((PIECES, None), ((*PIECES, b"!"), TooLarge)):
        ticket = uploading.uploads.begin_multipart(wanted, ALICE, None)
        upload_id = uploading.uploads.tickets.id_of(ticket)
        [url] = uploading.uploads.parts(upload_id, PartsAsked([10_000]), ALICE).parts
        assert (url.size, url.headers) == (0, {})
        parts = [PartDone(n, uploading.s3.put(EU, ticket.upload, n, piece)) for n, piece in enumerate(pieces, 1)]
        if error is None:
            assert uploading.uploads.complete(upload_id, CompleteAsked(parts), ALICE).size == SIZE
        else:
            with pytest.raises(error):
                uploading.uploads.complete(upload_id, CompleteAsked(parts), ALICE)
    assert uploading.open_in_s3() == []  # and what was too large was ended


def test_a_key_that_is_not_replicated_is_awaited_nowhere_else() -> None:
    uploading = Uploading(prefixes=("images/",))
    upload = begun(uploading)
    done = uploading.uploads.complete(upload.id, sent(uploading, upload), ANYONE)
    assert done.replication == {EU.name: "COMPLETED", US.name: "ABSENT"}

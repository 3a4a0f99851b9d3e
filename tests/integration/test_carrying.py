"""Copies between the world's regions: by S3, in parts that go on after a crash, streamed, and only on condition."""

import hashlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.world import World
from nearside.adapters import carrying, copies
from nearside.adapters.canaries import CanaryWriter
from nearside.adapters.carrying import Carrier, Changed
from nearside.adapters.copies import Clients, Looks, ReadsBack, content_md5
from nearside.copies import Close, Copied, Unfinished, current
from nearside.errors import NearsideError, Unreachable
from nearside.places import Place
from nearside.proof import proof
from nearside.signing import Credentials
from tests.unit.test_monitor import Notes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "nearside-eu-west-2", "nearside-us-east-2"
MIB = 1024**2


class Crew:
    """A carrier and its looks, in a world where nothing is replicated meanwhile."""

    def __init__(self, world: World) -> None:
        self.eu = Place("eu-west-2", EU, world.place_urls["eu-west-2"])
        self.us = Place("us-east-2", US, world.place_urls["us-east-2"])
        self.clients = Clients(
            lambda: Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)
        )
        self.looks = Looks(self.clients)
        self.notes = Notes()
        self.parts_left = 1_000
        self.carrier = Carrier(self.clients, self.notes, self.out_of_time)

    def out_of_time(self) -> bool:
        self.parts_left -= 1
        return self.parts_left < 0

    def copy(self, key: str, version: str) -> Copied | Unfinished:
        seen = self.looks(self.eu, key, version)
        assert isinstance(seen, Close)
        over = current(self.looks.versions(self.us, key))
        return self.carrier.copy(self.eu, self.us, key, seen, over)

    def proved(self, key: str, version: str, copy: str) -> str:
        one, other = self.looks(self.eu, key, version), self.looks(self.us, key, copy)
        assert isinstance(one, Close)
        assert isinstance(other, Close)
        return proof(ReadsBack(self.clients), key, (self.eu, one), (self.us, other))


@pytest.fixture
def crew(world: World) -> Iterator[Crew]:
    world.stall_replication()
    yield Crew(world)
    world.mend_replication()


_serial = iter(range(1_000))


@pytest.fixture
def key() -> str:
    return f"carry {next(_serial)}/ü?#+.bin"


BODY = b"0123456789abcdef" * (MIB // 16) * 13


def put(eu: "S3Client", key: str, body: bytes = BODY) -> str:
    return eu.put_object(Bucket=EU, Key=key, Body=body, ContentType="text/x", Metadata={"a": "b"}, Tagging="t=1&u=2 3")[
        "VersionId"
    ]


def same(us: "S3Client", key: str, body: bytes = BODY) -> None:
    got = us.get_object(Bucket=US, Key=key)
    assert hashlib.sha256(got["Body"].read()).digest() == hashlib.sha256(body).digest()
    assert (got["ContentType"], got["Metadata"]) == ("text/x", {"a": "b"})
    tags = us.get_object_tagging(Bucket=US, Key=key)["TagSet"]
    assert {each["Key"]: each["Value"] for each in tags} == {"t": "1", "u": "2 3"}


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is larger than 10 bytes is copied in parts."""
    monkeypatch.setattr(carrying, "MAX_COPY_BYTES", 10)
    monkeypatch.setattr(carrying, "PART_BYTES", 6 * MIB)


def begun(crew: Crew, eu: "S3Client", key: str) -> str:
    """A version whose copy has come to its first parts, and no further; its id."""
    version = put(eu, key)
    crew.parts_left = 1
    assert isinstance(crew.copy(key, version), Unfinished)
    crew.parts_left = 1_000
    return version


def uploads(us: "S3Client") -> list[Any]:
    return list(us.list_multipart_uploads(Bucket=US).get("Uploads", ()))


@pytest.mark.usefixtures("in_parts")
def test_parts_are_copied_at_the_same_time(
    crew: Crew, eu: "S3Client", us: "S3Client", key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = put(eu, key)
    together = threading.Barrier(3)
    there: Any = crew.clients(crew.us)
    copy_part = there.upload_part_copy

    def waiting_for_the_others(**asked: Any) -> Any:
        together.wait(timeout=10)
        return copy_part(**asked)

    monkeypatch.setattr(there, "upload_part_copy", waiting_for_the_others)
    done = crew.copy(key, version)
    assert isinstance(done, Copied)
    same(us, key)


@pytest.mark.usefixtures("in_parts")
def test_an_unfinished_copy_can_be_thrown_away(crew: Crew, eu: "S3Client", us: "S3Client", key: str) -> None:
    version = begun(crew, eu, key)
    assert len(uploads(us)) == 1
    crew.carrier.abandon(crew.us, key, version)
    assert (uploads(us), crew.notes.kept) == ([], {})
    crew.carrier.abandon(crew.us, key, version)


@pytest.mark.usefixtures("in_parts")
def test_a_copy_that_can_no_longer_be_is_thrown_away(crew: Crew, eu: "S3Client", us: "S3Client", key: str) -> None:
    version = begun(crew, eu, key)
    seen = crew.looks(crew.eu, key, version)
    assert isinstance(seen, Close)
    us.put_object(Bucket=US, Key=key, Body=b"somebody else's")
    with pytest.raises(Changed):
        crew.carrier.copy(crew.eu, crew.us, key, seen, None)
    assert (uploads(us), crew.notes.kept) == ([], {})
    assert us.get_object(Bucket=US, Key=key)["Body"].read() == b"somebody else's"


@pytest.mark.usefixtures("in_parts")
def test_parts_of_another_size_are_not_gone_on_with(
    crew: Crew, eu: "S3Client", us: "S3Client", key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = begun(crew, eu, key)
    monkeypatch.setattr(carrying, "PART_BYTES", 5 * MIB)
    assert isinstance(crew.copy(key, version), Copied)
    same(us, key)
    assert (uploads(us), crew.notes.kept) == ([], {})


@pytest.mark.usefixtures("in_parts")
def test_an_upload_that_is_gone_is_begun_anew(crew: Crew, eu: "S3Client", us: "S3Client", key: str) -> None:
    version = begun(crew, eu, key)
    [upload] = uploads(us)
    us.abort_multipart_upload(Bucket=US, Key=key, UploadId=upload["UploadId"])
    with pytest.raises(NearsideError):
        crew.copy(key, version)
    assert isinstance(crew.copy(key, version), Copied)
    same(us, key)


@pytest.mark.usefixtures("in_parts")
def test_the_longest_key_has_a_note(crew: Crew, eu: "S3Client") -> None:
    key = f"{'k' * 1_022}ü"
    version = begun(crew, eu, key)
    [(_, name)] = crew.notes.kept
    assert len(name.encode()) <= 1_024
    crew.carrier.abandon(crew.us, key, version)


@pytest.mark.usefixtures("in_parts")
def test_large_ones_are_streamed_too_and_go_on(
    crew: Crew, eu: "S3Client", us: "S3Client", key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def elsewhere(**_: Any) -> Any:
        nonlocal asked
        asked += 1
        details: Any = {
            "Error": {"Code": "NoSuchBucket", "Message": "no such bucket"},
            "ResponseMetadata": {"HTTPStatusCode": 404},
        }
        raise ClientError(details, "UploadPartCopy")

    monkeypatch.setattr(carrying, "STREAM_PART_BYTES", 5 * MIB)
    monkeypatch.setattr(carrying, "PARALLEL", 1)
    monkeypatch.setattr(crew.clients(crew.us), "upload_part_copy", elsewhere)
    version = put(eu, key)
    crew.parts_left = 2
    assert crew.copy(key, version) == Unfinished(1, 3)
    assert len(uploads(us)) == 1
    crew.parts_left = 1_000
    done = crew.copy(key, version)
    assert isinstance(done, Copied)
    assert (done.how, asked) == ("streamed in 3 parts", 1)
    same(us, key)
    assert (uploads(us), crew.notes.kept) == ([], {})


def test_in_parts_and_on_after_a_stop(
    crew: Crew, eu: "S3Client", us: "S3Client", key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "MAX_COPY_BYTES", 10)
    monkeypatch.setattr(carrying, "PART_BYTES", 6 * MIB)
    monkeypatch.setattr(carrying, "PARALLEL", 1)
    version = put(eu, key)
    crew.parts_left = 2
    assert crew.copy(key, version) == Unfinished(2, 3)
    assert "Versions" not in us.list_object_versions(Bucket=US, Prefix=key)
    crew.carrier = Carrier(crew.clients, crew.notes, crew.out_of_time)  # another process, with the same notes
    crew.parts_left = 1
    done = crew.copy(key, version)
    assert isinstance(done, Copied)
    assert done.how == "copied by S3 in 3 parts"
    same(us, key)
    assert "bytes" in crew.proved(key, version, done.version)
    assert crew.notes.kept == {}
    assert not us.list_multipart_uploads(Bucket=US).get("Uploads")


@pytest.mark.parametrize("body", [b"small", BODY], ids=["small", "in parts"])
def test_streamed_where_the_destination_cannot_see_the_source(
    crew: Crew, eu: "S3Client", us: "S3Client", key: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no such bucket"}}, "CopyObject")

    monkeypatch.setattr(carrying, "STREAM_PART_BYTES", 5 * MIB)
    monkeypatch.setattr(crew.clients(crew.us), "copy_object", elsewhere)
    version = put(eu, key, body)
    sent: list[Any] = []
    for operation in ("PutObject", "UploadPart"):
        crew.clients(crew.us).meta.events.register(
            f"before-send.s3.{operation}", lambda request, **_: sent.append(request.headers)
        )
    done = crew.copy(key, version)
    assert isinstance(done, Copied)
    assert done.how.startswith("streamed")
    same(us, key, body)
    # A bucket with object lock takes none without it.
    assert len(sent) == (1 if body == b"small" else 3)
    assert all(headers["Content-MD5"] for headers in sent)
    assert "bytes" in crew.proved(key, version, done.version)


def test_a_canary_carries_its_md5(crew: Crew, key: str) -> None:
    sent: list[Any] = []
    crew.clients(crew.us).meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(request.headers)
    )
    CanaryWriter(crew.clients).put(crew.us, key, b"canary")
    assert [headers["Content-MD5"] for headers in sent] == [content_md5(b"canary").encode()]


def test_content_md5_is_the_digest_in_base64() -> None:
    assert content_md5(b"") == "1B2M2Y8AsgTpgAmY7PhCfg=="  # RFC 1864's MD5 of nothing


def test_only_if_the_destination_is_as_it_was_seen(crew: Crew, eu: "S3Client", us: "S3Client", key: str) -> None:
    version = put(eu, key, b"one")
    seen = crew.looks(crew.eu, key, version)
    assert isinstance(seen, Close)
    us.put_object(Bucket=US, Key=key, Body=b"somebody else's")
    with pytest.raises(Changed):
        crew.carrier.copy(crew.eu, crew.us, key, seen, None)
    over = current(crew.looks.versions(crew.us, key))
    us.put_object(Bucket=US, Key=key, Body=b"and again")
    with pytest.raises(Changed):
        crew.carrier.copy(crew.eu, crew.us, key, seen, over)
    assert us.get_object(Bucket=US, Key=key)["Body"].read() == b"and again"


def test_versions_are_of_exactly_this_key_the_newest_first(crew: Crew, eu: "S3Client", key: str) -> None:
    versions = [put(eu, key, body) for body in (b"1", b"22")]
    put(eu, key + "longer", b"x")
    eu.delete_object(Bucket=EU, Key=key)
    found = crew.looks.versions(crew.eu, key)
    assert (found[0].marker, found[0].latest) == (True, True)
    assert {each.version for each in found if not each.marker} == set(versions)
    assert current(found) is None


def test_a_list_of_versions_that_is_cut_is_not_known(
    crew: Crew, eu: "S3Client", key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_MAX_ENTRIES", 3)
    for body in (b"1", b"2", b"3", b"4"):
        put(eu, key, body)
    listing: Any = crew.clients(crew.eu)
    whole = listing.list_object_versions

    def one_at_a_time(**asked: Any) -> Any:
        return whole(**asked, MaxKeys=1)

    monkeypatch.setattr(listing, "list_object_versions", one_at_a_time)
    with pytest.raises(Unreachable, match="more than 3 versions"):
        crew.looks.versions(crew.eu, key)
    monkeypatch.setattr(copies, "_MAX_ENTRIES", 4)
    assert len(crew.looks.versions(crew.eu, key)) == 4


def test_a_version_is_looked_at_closely(crew: Crew, eu: "S3Client", key: str) -> None:
    answer = eu.put_object(Bucket=EU, Key=key, Body=b"x", ChecksumAlgorithm="SHA256", Tagging="a=b")
    seen = crew.looks(crew.eu, key, answer["VersionId"])
    assert isinstance(seen, Close)
    assert (seen.size, seen.tags, seen.status, set(seen.checksums)) == (1, {"a": "b"}, "PENDING", {"SHA256"})
    assert not isinstance(crew.looks(crew.us, key, answer["VersionId"]), Close)

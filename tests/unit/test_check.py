"""`nearside check` with fakes: every way it can go wrong is said, and it always cleans up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

import pytest

from nearside.check import Step, check, explained
from nearside.errors import NearsideError, NoCredentials, Unreachable
from nearside.items import Method, Presigned
from nearside.places import Place
from nearside.replicas import Absent, Denied, Finding, Findings, Held, Question
from tests.unit.fakes import LONDON, OHIO

DENIED_XML = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass
class Storage:
    """A presigner and a storage that do as they are told. Implements `nearside.check.Presigns` and `Fetches`."""

    found: Callable[[int, str], Finding] = lambda _, __: Held("v1", "e", 1.0, "COMPLETED")
    put: tuple[int, dict[str, str], bytes] = (200, {"x-amz-version-id": "v1"}, b"")
    got: bytes | None = None
    get_status: int = 200
    delete_status: int = 204
    trouble: dict[str, NearsideError] = field(default_factory=dict)
    places: tuple[Place, ...] = (LONDON, OHIO)
    body: bytes = b""
    seconds: float = 0.0
    looks: int = 0
    deleted: list[tuple[str, str | None]] = field(default_factory=list)

    def presign(self, key: str, method: Method = "GET", **options: Any) -> Presigned:
        if method in self.trouble:
            raise self.trouble[method]
        if method == "DELETE":
            self.deleted.append((options["place"], options.get("version_id")))
        return Presigned(key, f"https://{method}", method, {}, datetime.now(UTC), "mrap", "")

    def find(self, questions: Sequence[Question]) -> Sequence[Findings]:
        self.looks += 1
        return [{place.name: self.found(self.looks, place.name) for place in each.places} for each in questions]

    def fetch(
        self, method: str, url: str, headers: dict[str, str], body: bytes | IO[bytes] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        if method == "PUT":
            assert isinstance(body, bytes)
            self.body = body
            return self.put
        if method == "GET":
            return self.get_status, {}, self.body if self.got is None else self.got
        return self.delete_status, {}, b"" if self.delete_status == 204 else DENIED_XML

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def run(self) -> list[Step]:
        return list(check(self, self.fetch, wait_seconds=10, clock=lambda: self.seconds, sleep=self.sleep))


def names(steps: Sequence[Step]) -> list[tuple[str, bool]]:
    return [(step.name, step.ok) for step in steps]


def test_when_all_is_well_every_step_is_and_nothing_is_left() -> None:
    storage = Storage()
    steps = storage.run()
    assert names(steps) == [("upload", True), ("replication", True), ("download", True), ("clean up", True)]
    assert storage.deleted == [("eu-west-2", "v1"), ("us-east-2", "v1")]
    assert len(storage.body) == 4096


def test_it_waits_for_replication() -> None:
    storage = Storage(found=lambda look, place: Absent() if place == "us-east-2" and look < 4 else Held("v1", "e", 1.0))
    steps = storage.run()
    assert steps[1] == Step("replication", True, "in eu-west-2, us-east-2 after 3.0 s")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("FAILED", "S3 gave up: look at the replication role's rights"),
        (None, "No replication rule covers this key"),
        ("PENDING", "after 10.0 s: eu-west-2: has it (PENDING); us-east-2: does not have it"),
    ],
)
def test_replication_that_does_not_come_is_explained(status: str | None, words: str) -> None:
    storage = Storage(found=lambda _, place: Held("v1", "e", 1.0, status) if place == "eu-west-2" else Absent())
    steps = storage.run()
    assert names(steps) == [("upload", True), ("replication", False), ("clean up", True)]
    assert words in steps[1].words


def test_a_place_that_refuses_is_not_waited_for() -> None:
    storage = Storage(found=lambda *_: Denied("refused (403)"))
    steps = storage.run()
    assert (steps[1].ok, storage.seconds) == (False, 0.0)
    assert "refused (403)" in steps[1].words


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        (Storage(put=(403, {}, DENIED_XML)), "S3 answered 403 AccessDenied: Access Denied. Look here: the credentials"),
        (Storage(trouble={"PUT": NoCredentials("none")}), "none"),
    ],
)
def test_an_upload_that_fails_ends_it(storage: Storage, words: str) -> None:
    [step] = storage.run()
    assert (step.name, step.ok) == ("upload", False)
    assert words in step.words
    assert storage.deleted == []


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        (Storage(got=b"other"), "5 other bytes came back by mrap"),
        (Storage(get_status=403, got=DENIED_XML), "S3 answered 403 AccessDenied"),
        (Storage(trouble={"GET": Unreachable("gone")}), "gone"),
    ],
)
def test_a_download_that_fails_is_told_and_cleaned_up_after(storage: Storage, words: str) -> None:
    steps = storage.run()
    assert names(steps)[2:] == [("download", False), ("clean up", True)]
    assert words in steps[2].words


@pytest.mark.parametrize("storage", [Storage(delete_status=403), Storage(trouble={"DELETE": Unreachable("gone")})])
def test_what_cannot_be_removed_is_told(storage: Storage) -> None:
    last = storage.run()[-1]
    assert (last.name, last.ok) == ("clean up", False)
    assert "is still in eu-west-2: " in last.words
    assert "us-east-2: " in last.words


def test_a_bucket_without_versions_is_cleaned_without_one() -> None:
    storage = Storage(put=(200, {}, b""))
    assert names(storage.run())[-1] == ("clean up", True)
    assert storage.deleted == [("eu-west-2", None), ("us-east-2", None)]


def test_an_error_that_is_no_xml_is_still_a_sentence() -> None:
    assert explained(502, b"<html>Bad Gateway") == "S3 answered 502 : no message"
    odd = b"<Error><Code>Odd</Code><Message>words</Message></Error>"
    assert explained(400, odd) == "S3 answered 400 Odd: words"

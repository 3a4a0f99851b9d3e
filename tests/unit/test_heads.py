"""HEADs against a server on loopback: only 404 is absent, and a dead place costs its time once."""

import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from urllib.parse import urlsplit

import pytest

from nearside.adapters import heads
from nearside.adapters.heads import Heads
from nearside.places import Place
from nearside.replicas import Absent, Denied, Finding, Held, Question, Silent
from nearside.signing import Credentials
from tests.unit.loopback import Asked, Loopback, Told, closed_port, serving

OWN = Credentials("AKID", "secret", "token")


@pytest.fixture
def find() -> Heads:
    return Heads(lambda: OWN)


def looked(find: Heads, told: Told, *, version_id: str | None = None) -> tuple[Finding, Loopback]:
    """What is found in a place that answers so."""
    with serving(lambda _: told) as server:
        place = Place("eu-west-2", "pics", server.url)
        [findings] = find([Question("a/b.png", version_id, [place])])
    assert set(findings) == {"eu-west-2"}
    return findings["eu-west-2"], server


def test_200_is_held_with_version_etag_time_and_status(find: Heads) -> None:
    headers = {
        "x-amz-version-id": "v1",
        "etag": '"e1"',
        "last-modified": formatdate(1_795_132_801, usegmt=True),
        "x-amz-replication-status": "PENDING",
    }
    finding, _ = looked(find, Told(200, headers))
    assert finding == Held("v1", "e1", 1_795_132_801.0, "PENDING")


def test_200_of_a_bucket_without_versions_is_told_by_its_etag(find: Heads) -> None:
    finding, _ = looked(find, Told(200, {"etag": '"e1"'}))
    assert finding == Held(None, "e1", 0.0, None)
    assert finding.version == "e1"


@pytest.mark.parametrize(
    ("told", "finding"),
    [
        (Told(404), Absent()),
        (Told(404, {"x-amz-delete-marker": "true", "x-amz-version-id": "v"}), Absent(deleted=True)),
        (Told(403), Denied("refused (403)")),
        (Told(401), Denied("refused (401)")),
        (Told(503), Silent("answered 503")),
        (Told(500), Silent("answered 500")),
        (Told(400), Silent("answered 400")),
        (Told(301, {"location": "http://127.0.0.1:9/"}), Silent("answered 301")),
        (Told(307, {"location": "http://127.0.0.1:9/"}), Silent("answered 307")),
        (Told(429), Silent("answered 429")),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Told) else "",
)
def test_only_404_is_absent(find: Heads, told: Told, finding: Finding) -> None:
    assert looked(find, told)[0] == finding


def test_a_closed_port_is_silent(find: Heads) -> None:
    with closed_port() as url:
        [findings] = find([Question("a", None, [Place("eu-west-2", "pics", url)])])
    assert findings["eu-west-2"] == Silent("cannot be reached: the connection was refused")


def test_a_name_that_does_not_resolve_is_silent(find: Heads) -> None:
    [findings] = find([Question("a", None, [Place("eu-west-2", "pics", "http://nowhere.invalid")])])
    assert findings["eu-west-2"] == Silent("cannot be reached: its name does not resolve")


def test_a_place_that_hangs_is_silent_after_its_time(find: Heads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "READ_SECONDS", 0.2)
    began = time.monotonic()
    finding, server = looked(Heads(lambda: OWN), Told(hang_seconds=20))
    assert finding == Silent("did not answer in time")
    assert len(server.asked) == 1  # and is not asked again
    assert time.monotonic() - began < 5


def test_a_place_that_is_too_slow_for_the_whole_request_is_silent(find: Heads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "DEADLINE_SECONDS", 0.2)
    finding, _ = looked(find, Told(hang_seconds=1.0))
    assert finding == Silent("did not answer within 0 s")


def test_a_kept_connection_that_was_closed_is_tried_once_more(find: Heads) -> None:
    drops = iter([False, True, False, True, True])
    with serving(lambda _: Told(drop=next(drops))) as server:
        place = Place("eu-west-2", "pics", server.url)
        found = [find([Question("a", None, [place])])[0]["eu-west-2"] for _ in range(3)]
    assert [type(finding) for finding in found] == [Held, Held, Silent]
    assert len(server.asked) == 5


def test_a_place_that_is_down_is_not_asked_a_thousand_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "READ_SECONDS", 1.0)
    find = Heads(lambda: OWN)
    with serving(lambda _: Told(hang_seconds=20)) as down, serving(lambda _: Told(404)) as up:
        places = [Place("eu-west-2", "pics", down.url), Place("us-east-2", "pics", up.url)]
        began = time.monotonic()
        found = find([Question(f"k{n}", None, places) for n in range(1000)])
        assert time.monotonic() - began < 8
    assert all(isinstance(findings["eu-west-2"], Silent) for findings in found)
    assert all(findings["us-east-2"] == Absent() for findings in found)
    assert len(down.asked) <= heads.PARALLEL
    assert len(up.asked) == 1000


def test_one_object_that_gets_an_odd_answer_does_not_silence_its_place_for_the_others(find: Heads) -> None:
    with serving(lambda asked: Told(400 if "/bad" in asked.target else 200)) as server:
        place = Place("eu-west-2", "pics", server.url)
        found = find(
            [Question("bad", "no-such-version", [place]), *(Question("good", None, [place]) for _ in range(200))]
        )
    assert found[0]["eu-west-2"] == Silent("answered 400")
    assert all(isinstance(findings["eu-west-2"], Held) for findings in found[1:])


def test_answers_are_in_the_order_of_the_questions_with_the_places_of_each(find: Heads) -> None:
    def status(asked: Asked) -> Told:
        return Told(200, {"etag": urlsplit(asked.target).path.rpartition("/")[2]}, hang_seconds=0.01)

    with serving(status) as one, serving(status) as two:
        places = [Place("eu-west-2", "pics", one.url), Place("us-east-2", "pics", two.url)]
        found = find([Question(f"k{n}", None, places[: 1 + n % 2]) for n in range(100)])
    for n, findings in enumerate(found):
        held = findings["eu-west-2"]
        assert isinstance(held, Held)
        assert held.etag == f"k{n}"
        assert list(findings) == (["eu-west-2", "us-east-2"] if n % 2 else ["eu-west-2"])


@pytest.fixture
def recorded() -> Iterator[tuple[Loopback, Callable[[str, str | None], Asked]]]:
    with serving(lambda _: Told(404)) as server:

        def ask(key: str, version_id: str | None) -> Asked:
            Heads(lambda: OWN)([Question(key, version_id, [Place("eu-west-2", "pics", server.url)])])
            return server.asked[-1]

        yield server, ask


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/../b", "/pics/a/../b"),
        ("../a", "/pics/../a"),
        ("a/./b", "/pics/a/./b"),
        ("/a", "/pics//a"),
        ("a//b", "/pics/a//b"),
        ("a b+c%#?&é", "/pics/a%20b%2Bc%25%23%3F%26%C3%A9"),
        ("%2e%2e", "/pics/%252e%252e"),
        ("", "/pics/"),
    ],
)
def test_a_hard_key_reaches_the_server_as_it_was_signed(
    key: str, path: str, recorded: tuple[Loopback, Callable[[str, str | None], Asked]]
) -> None:
    _, ask = recorded
    asked = ask(key, "v+1")
    assert (asked.method, asked.target.partition("?")[0]) == ("HEAD", path)
    assert "versionId=v%2B1" in asked.target
    assert "X-Amz-Security-Token=token" in asked.target

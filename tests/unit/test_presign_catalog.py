"""`POST /presign` with the catalog in front: what it knows for certain is used, everything else is looked for."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from nearside.access import Caller, Policy
from nearside.errors import Missing, NearsideError, Refused, Unreachable
from nearside.items import Item, Presigned
from nearside.presign import Presigner
from nearside.replicas import Held, Known
from nearside.signing import Credentials
from tests.unit.fakes import LONDON, MRAP, OHIO, FakeReplicas

NOW = 1_795_132_800.0
OLD = Held("v1", "e1", NOW - 1_000)
NEW = Held("v2", "e2", NOW - 2)


class FakeCatalog:
    """Knows what it was told, or fails. Implements `nearside.replicas.ReadsCatalog`."""

    def __init__(self, *everywhere: str, fails: NearsideError | None = None) -> None:
        self.known = Known(frozenset(everywhere), {"us-east-2": 5_000})
        self.fails = fails
        self.asked: list[tuple[Sequence[str], Sequence[str]]] = []

    def __call__(self, keys: Sequence[str], places: Sequence[str]) -> Known:
        self.asked.append((keys, places))
        if self.fails:
            raise self.fails
        return self.known


def _presigner(catalog: FakeCatalog, find: FakeReplicas) -> Presigner:
    return Presigner((LONDON, OHIO), MRAP, lambda: Credentials("AKID", "secret"), find, Policy(), catalog)


def _presign(catalog: FakeCatalog, find: FakeReplicas, item: Item) -> Presigned:
    return _presigner(catalog, find).one(item, Caller("me", trusted=True), None, NOW)


def test_what_is_known_everywhere_is_the_mraps_without_a_head() -> None:
    find = FakeReplicas()
    answer = _presign(FakeCatalog("a"), find, Item(key="a"))
    assert (answer.route, answer.reason) == ("mrap", "every place has the newest version")
    assert find.asked == []


def test_a_newer_version_on_its_way_pins_and_tells_when_it_should_be_there() -> None:
    find = FakeReplicas({"a": {"eu-west-2": NEW, "us-east-2": OLD}})
    answer = _presign(FakeCatalog(), find, Item(key="a"))
    assert (answer.route, answer.reason) == ("eu-west-2", "us-east-2 has another version")
    assert answer.ready_at == datetime.fromtimestamp(NOW - 2 + 5, UTC)


def test_what_should_have_arrived_already_has_no_ready_at() -> None:
    find = FakeReplicas({"a": {"eu-west-2": Held("v2", "e2", NOW - 60), "us-east-2": OLD}})
    answer = _presign(FakeCatalog(), find, Item(key="a"))
    assert (answer.route, answer.ready_at) == ("eu-west-2", None)


def test_missing_is_never_the_catalogs_word() -> None:
    find = FakeReplicas()
    with pytest.raises(Missing):
        _presign(FakeCatalog(), find, Item(key="a"))
    assert len(find.asked) == 1


@pytest.mark.parametrize("error", [Unreachable("the catalog throttled"), Refused("the catalog answered 400")])
def test_a_sick_catalog_is_said_and_the_places_are_asked(error: NearsideError) -> None:
    find = FakeReplicas({"a": {"eu-west-2": NEW, "us-east-2": NEW}})
    answer = _presign(FakeCatalog(fails=error), find, Item(key="a"))
    assert answer.route == "mrap"
    assert answer.reason == f"every place has the newest version ({error}, so the places were asked)"


def test_a_batch_reads_the_catalog_once_and_heads_only_the_rest() -> None:
    catalog = FakeCatalog("known")
    find = FakeReplicas({"new": {"eu-west-2": NEW}})
    items = [
        Item(key="new"),
        Item(key="known"),
        Item(key="nope"),
        Item(key="up", method="PUT"),
        Item(key="x", check=False),
    ]
    answers = _presigner(catalog, find).many(items, Caller("me", trusted=True), None, NOW).items
    assert [getattr(answer, "route", "failed") for answer in answers] == ["eu-west-2", "mrap", "failed", "mrap", "mrap"]
    assert catalog.asked == [(["new", "known", "nope"], ["eu-west-2", "us-east-2"])]
    assert [question.key for question in find.asked] == ["new", "nope"]


def test_a_version_is_asked_of_the_places() -> None:
    catalog = FakeCatalog("a")
    find = FakeReplicas({"a": {"eu-west-2": OLD, "us-east-2": OLD}})
    answer = _presign(catalog, find, Item(key="a", version_id="v1"))
    assert answer.route == "mrap"
    assert catalog.asked == []
    assert [question.version_id for question in find.asked] == ["v1"]

"""The ledger in its table: each record from its home, and while a home is away from another region's replica."""

from collections.abc import Iterable
from typing import Any, cast

import pytest

from nearside.adapters.tables import Changed, Tables
from nearside.adapters.uploads_ledger import UploadsLedger
from nearside.errors import Unreachable
from nearside.uploads_items import UploadDone
from nearside.uploads_records import Ticket

EU, US = "eu-west-2", "us-east-2"


class TwoRegions:
    """A global table: what is written in one region comes to the other when the test says so."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {EU: {}, US: {}}
        self.away: set[str] = set()

    def home(self, place: str) -> str:
        return place

    def call(self, region: str, operation: str, **arguments: Any) -> Any:
        if region in self.away:
            raise Unreachable(f"the catalog in {region} cannot be reached")
        items = self.items[region]
        if operation == "put_item":
            items[arguments["Item"]["SK"]["S"]] = arguments["Item"]
        elif operation == "delete_item":
            assert arguments["ConditionExpression"] == "attribute_not_exists(done)"
            if "done" in items.get(arguments["Key"]["SK"]["S"], {}):
                raise Changed({})
            items.pop(arguments["Key"]["SK"]["S"], None)
        elif operation == "get_item":
            found = items.get(arguments["Key"]["SK"]["S"])
            return {"Item": found} if found else {}
        return {}

    def query(self, region: str, **arguments: Any) -> Iterable[Any]:
        self.call(region, "query")
        wanted = arguments["ExpressionAttributeValues"][":PK"]
        yield {"Items": [item for item in self.items[region].values() if item["PK"] == wanted and "work" in item]}

    def replicate(self) -> None:
        every = self.items[EU] | self.items[US]
        self.items = {EU: dict(every), US: dict(every)}


def ticket(name: str, place: str, caller: str = "alice") -> Ticket:
    return Ticket(
        name=name,
        caller=caller,
        key="k",
        place=place,
        upload="u",
        begun=1_795_000_000_000,
        size=1,
        part_bytes=1,
        content_type="",
        overwrites=True,
        checksums=True,
    )


DONE = UploadDone(bucket="b", key="k", size=1, etag="e", version_id="v", replication={EU: "COMPLETED"})


@pytest.fixture
def table() -> TwoRegions:
    return TwoRegions()


@pytest.fixture
def ledger(table: TwoRegions) -> UploadsLedger:
    return UploadsLedger(cast("Tables", table), [EU, US])


def names(ledger: UploadsLedger, caller: str = "alice") -> list[str]:
    return sorted(each.name for each in ledger.unfinished(caller))


def test_each_record_is_written_in_its_places_home_alone(table: TwoRegions, ledger: UploadsLedger) -> None:
    ledger.begin(ticket("1", EU))
    ledger.begin(ticket("2", US))
    assert {region: list(items) for region, items in table.items.items()} == {EU: ["1"], US: ["2"]}
    assert names(ledger) == ["1", "2"]
    assert names(ledger, "bob") == []


def test_a_replica_that_is_late_brings_nothing_back(table: TwoRegions, ledger: UploadsLedger) -> None:
    for name in ("dropped", "done", "open"):
        ledger.begin(ticket(name, US))
    table.replicate()
    assert ledger.drop(ticket("dropped", US))
    ledger.finish(ticket("done", US), DONE)
    assert names(ledger) == ["open"]
    assert (ledger.done(ticket("done", US)), ledger.done(ticket("open", US))) == (DONE, None)


def test_while_a_home_is_away_its_records_are_read_elsewhere(table: TwoRegions, ledger: UploadsLedger) -> None:
    ledger.begin(ticket("1", EU))
    ledger.begin(ticket("2", US))
    table.replicate()
    table.away = {EU}
    assert names(ledger) == ["1", "2"]
    table.away = {EU, US}
    with pytest.raises(Unreachable):
        ledger.unfinished("alice")


def test_what_is_complete_is_no_work_and_expires(table: TwoRegions, ledger: UploadsLedger) -> None:
    ledger.begin(ticket("1", EU))
    assert table.items[EU]["1"]["work"] == {"S": f"UPLOADS#{EU}"}
    begun = int(table.items[EU]["1"]["expires"]["N"])
    ledger.finish(ticket("1", EU), DONE)
    assert "work" not in table.items[EU]["1"]
    assert not ledger.drop(ticket("1", EU))
    assert ledger.done(ticket("1", EU)) == DONE
    assert 1_795_000_000 < int(table.items[EU]["1"]["expires"]["N"]) < begun

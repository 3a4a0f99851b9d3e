"""The catalog's rules through the real adapter against DynamoDB (moto's): what the simulation proved in memory."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from nearside import lag, work
from nearside.adapters.dynamodb import TOMBSTONE_SECONDS, Records
from nearside.adapters.lag_records import LagRecords
from nearside.adapters.log_records import OperationsLog
from nearside.adapters.tables import Tables
from nearside.adapters.work_index import WorkLists
from nearside.catalog import Catalog
from nearside.errors import BadCursor, BadSettings, Refused, Unreachable
from nearside.operations_log import DAY_MS, Entry, Wanted
from nearside.places import Place
from nearside.records import Replica
from nearside.s3_events import Created, Removed, Replicated, sequencer
from tests.integration import catalog_table
from tests.unit.histories import START, Buckets, Looked, Told, live, meaning, state_of
from tests.unit.loopback import Told as Answer
from tests.unit.loopback import serving
from tests.unit.memory_catalog import MemoryStore

PLACES = (Place("eu-west-2", "pics-eu"), Place("us-east-2", "pics-us"), Place("ap-northeast-1", "pics-ap"))
NAMES = tuple(place.name for place in PLACES)
EU, US, AP = NAMES
_numbers = itertools.count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with catalog_table.dynamodb() as url:
        yield url


@pytest.fixture
def table() -> str:
    return f"catalog-{next(_numbers)}"


@pytest.fixture
def tables(endpoint: str, table: str) -> Tables:
    return catalog_table.make(endpoint, PLACES, table)


def catalog_of(
    records: Records | MemoryStore, places: Sequence[str] = NAMES, *, markers_travel: bool = True
) -> Catalog:
    return Catalog(places, records, lambda place, lag_ms, at: None, markers_travel)


def tell(catalog: Catalog, told: Told) -> None:
    if isinstance(told, Looked):
        catalog.remember(told.key, told.findings)
    else:
        catalog.apply(told)


def every(records: Records, key: str, places: Sequence[str] = NAMES) -> list[Replica]:
    found = [replica for place in places for replica in records.object(key, place)[0]]
    return sorted(found, key=lambda r: (r.version, r.place))


@pytest.mark.parametrize("seed", range(12))
def test_the_adapter_leaves_the_records_that_the_simulation_does(tables: Tables, seed: int) -> None:
    random = Random(seed)
    places = NAMES[: random.choice((2, 3))]
    buckets = Buckets(places, markers_travel=random.random() < 0.7, key="a/ä b+c#1")
    live(buckets, random, 16)
    events = [told for told in buckets.told for _ in range(random.choice((1, 1, 2)))]
    random.shuffle(events)
    store, records = MemoryStore({place: place for place in places}), Records(tables)
    for told in events:
        tell(catalog_of(store, places, markers_travel=buckets.markers_travel), told)
        tell(catalog_of(records, places, markers_travel=buckets.markers_travel), told)
    kept = every(records, buckets.key, places)
    assert {(r.version, r.place): state_of(r) for r in kept} == buckets.expected()
    store.replicate()
    known = sorted(store.replicas(places[0]), key=lambda r: (r.version, r.place))
    assert [meaning(r) for r in kept] == [_as_stored(meaning(r)) for r in known]
    currents = store.currents(places[0])
    for place in places:
        assert records.object(buckets.key, place)[1] == currents.get((buckets.key, place))
    _assert_work(tables, kept, places)


def _as_stored(fields: dict[str, object]) -> dict[str, object]:
    return {name: None if name == "rule" and value == "" else value for name, value in fields.items()}


def _assert_work(tables: Tables, replicas: Sequence[Replica], places: Sequence[str]) -> None:
    """The index lists exactly what is pending or has failed."""
    lists = WorkLists(tables)
    states: tuple[work.WorkState, ...] = ("PENDING", "FAILED")
    for place in places:
        counts = lists.counts(place)
        for state, count in (("PENDING", counts.pending), ("FAILED", counts.failed)):
            waiting = [r for r in replicas if (r.place, r.state) == (place, state)]
            assert count == len(waiting)
        listed = {(w.version, w.state, w.due) for state in states for w in lists.page(place, state, 100).works}
        assert listed == {
            (r.version, r.state, r.due) for r in replicas if r.place == place and r.state in ("PENDING", "FAILED")
        }


def test_eight_threads_on_one_key_end_as_one_would(tables: Tables) -> None:
    random = Random(8)
    buckets = Buckets(NAMES[:2])
    live(buckets, random, 40)
    events = [told for told in buckets.told for _ in range(2)]
    random.shuffle(events)
    records = Records(tables)
    catalog = catalog_of(records, buckets.places)
    failures: list[Exception] = []

    def run(share: Sequence[Told]) -> None:
        try:
            for told in share:
                tell(catalog, told)
        except Exception as error:  # noqa: BLE001 - raised again in the thread of the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(events[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    kept = every(records, buckets.key, buckets.places)
    assert {(r.version, r.place): state_of(r) for r in kept} == buckets.expected()
    for place in buckets.places:
        newest, current = buckets.newest(place), records.object(buckets.key, place)[1]
        assert (current.version if current else None) == (newest.name if newest else None)


def created(key: str = "k", version: str = "v1", place: str = EU, at: int = START, seq: str = "A") -> Created:
    return Created(place=place, key=key, version=version, at=at, sequencer=sequencer(seq), size=3, etag="e")


def removed(key: str = "k", version: str = "v1", place: str = EU, at: int = START + 5, seq: str = "B") -> Removed:
    return Removed(place=place, key=key, version=version, at=at, sequencer=sequencer(seq))


def test_a_record_is_only_in_its_home(tables: Tables, endpoint: str, table: str) -> None:
    catalog_of(Records(tables)).apply(created())
    for region in NAMES:
        sorts = {item["SK"]["S"] for item in catalog_table.items(endpoint, region, table)}
        assert sorts == {f"v1#{region}"} | ({f"CURRENT#{EU}"} if region == EU else set())


def test_a_place_without_a_replica_of_the_table_lives_in_the_primarys_region(endpoint: str, table: str) -> None:
    catalog_table.make(endpoint, PLACES, table)
    outside = Tables(table, PLACES[:2], (EU,), lambda: catalog_table.KEY, endpoint)
    catalog_of(Records(outside), (EU, US)).apply(created())
    assert {item["SK"]["S"] for item in catalog_table.items(endpoint, EU, table)} == {
        f"v1#{EU}",
        f"CURRENT#{EU}",
        f"v1#{US}",
    }


def test_the_item_is_of_the_shape_that_is_agreed(tables: Tables, endpoint: str, table: str) -> None:
    catalog_of(Records(tables)).apply(created("ü/1"))
    [waiting] = catalog_table.items(endpoint, US, table)
    assert waiting == {
        "PK": {"S": "OBJ#pics-eu#ü/1"},
        "SK": {"S": f"v1#{US}"},
        "state": {"S": "PENDING"},
        "made": {"N": str(START)},
        "made_seq": {"S": sequencer("A")},
        "work": {"S": f"{US}#PENDING#{work.shard('ü/1')}"},
        "due": {"N": str(START)},
    }
    current = next(i for i in catalog_table.items(endpoint, EU, table) if i["SK"]["S"] == f"CURRENT#{EU}")
    assert current == {
        "PK": {"S": "OBJ#pics-eu#ü/1"},
        "SK": {"S": f"CURRENT#{EU}"},
        "version": {"S": "v1"},
        "made": {"N": str(START)},
        "seq": {"S": sequencer("A")},
        "etag": {"S": "e"},
        "size": {"N": "3"},
        "rev": {"N": "0"},
    }


def test_a_tombstone_expires_and_what_lives_again_does_not(tables: Tables, endpoint: str, table: str) -> None:
    catalog = catalog_of(Records(tables), (EU,))

    def expires() -> str | None:
        [item] = [i for i in catalog_table.items(endpoint, EU, table) if i["SK"]["S"].startswith("null")]
        value: str | None = item.get("expires", {}).get("N")
        return value

    catalog.apply(created(version="null"))
    catalog.apply(removed(version="null"))
    assert expires() == str((START + 5) // 1000 + TOMBSTONE_SECONDS)
    catalog.apply(created(version="null", seq="C", at=START + 9))
    assert expires() is None
    assert Records(tables).object("k", EU)[1] is not None


@pytest.mark.parametrize(
    "key", ["é" * 512, "😀" * 256, "a" * 1024, " ", "#", "a\n\t\x01b", "CURRENT#x", "\u202e/../?&=%00"]
)
def test_any_key_of_s3_can_be_kept(tables: Tables, key: str) -> None:
    records = Records(tables)
    catalog_of(records).apply(created(key))
    [replica] = records.object(key, EU)[0]
    assert (replica.key, replica.version, replica.state) == (key, "v1", "COMPLETED")
    assert [each.key for each in WorkLists(tables).page(US, "PENDING", 10).works] == [key]


def test_an_object_of_many_versions_costs_no_query(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(tables)
    catalog = catalog_of(records, NAMES[:2])
    for number in range(30):
        catalog.apply(created(version=f"v{number}", at=START + number, seq=f"A{number:02}"))
    asked: list[str] = []
    real = tables.call

    def call(region: str, name: str, **more: Any) -> Any:
        asked.append(name)
        return real(region, name, **more)

    monkeypatch.setattr(tables, "call", call)
    catalog.apply(created(version="v99", at=START + 99, seq="B"))
    own, told = ["update_item", "batch_get_item", "put_item", "batch_get_item"], ["update_item", "get_item"]
    assert asked == own + told


def test_work_is_counted_and_paged_longest_due_first(tables: Tables) -> None:
    catalog = catalog_of(Records(tables), NAMES[:2])
    for number in range(25):
        catalog.apply(created(f"k{number}", at=START + 1000 - number))
    for number in range(5):
        catalog.apply(_failed(f"k{number}", START + 2000 + number))
    lists = WorkLists(tables)
    assert lists.counts(US) == work.Counts(20, 5, START + 976, START + 2000, truncated=False)
    assert lists.counts(EU) == work.Counts(0, 0, None, None, truncated=False)
    seen: list[work.Work] = []
    cursor: str | None = None
    while True:
        page = lists.page(US, "PENDING", 3, cursor)
        assert len(page.works) <= 3
        seen += page.works
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(w.key for w in seen) == sorted(f"k{number}" for number in range(5, 25))
    for shard in range(work.SHARDS):
        due = [w.due for w in seen if work.shard(w.key) == shard]
        assert due == sorted(due)
    [first, *_] = [w for w in lists.page(US, "FAILED", 10).works if w.key == "k0"]
    assert (first.rule, first.reason, first.due) == ("to-us", "AssumeRoleNotPermitted", START + 2000)


def _failed(key: str, at: int) -> Replicated:
    return Replicated(
        source=EU,
        destination=US,
        key=key,
        version="v1",
        at=at,
        outcome="failed",
        rule="to-us",
        reason="AssumeRoleNotPermitted",
    )


@pytest.mark.parametrize("cursor", ["", "x", "e30=", "WzksbnVsbF0=", "WzAseyJQSyI6e319XQ=="])
def test_a_cursor_that_no_page_gave_is_refused(tables: Tables, cursor: str) -> None:
    if cursor:
        with pytest.raises(BadCursor):
            WorkLists(tables).page(US, "PENDING", 3, cursor)
    with pytest.raises(BadCursor):
        OperationsLog(tables, EU).page(Wanted(since=0, until=START), 3, cursor or "bm8=")


def test_lags_add_up(tables: Tables) -> None:
    written = LagRecords(tables)
    for batch in range(3):
        lags = lag.Lags(written)
        for each in range(1, 101):
            lags(US, each * 10 * (batch + 1), START)
        lags.flush()
        lags.flush()
    found = written.between(US, START, START)
    assert (found.count, found.max_ms) == (300, 3000)
    assert 700 <= found.quantile_ms(0.5) <= 900
    assert 2800 <= found.quantile_ms(0.99) <= 3000
    assert written.between(US, START + lag.MINUTE_MS, START + 9 * lag.MINUTE_MS) == lag.EMPTY
    later = lag.Lags(written)
    later(US, 70, START + lag.MINUTE_MS)
    later.flush()
    minutes = written.minutes(US, START, START + lag.MINUTE_MS)
    first = START - START % lag.MINUTE_MS
    assert {at: histogram.count for at, histogram in minutes.items()} == {first: 300, first + lag.MINUTE_MS: 1}
    assert written.between(EU, START, START) == lag.EMPTY


def test_the_log_is_read_newest_first_filtered_and_paged(tables: Tables) -> None:
    log = OperationsLog(tables, EU)
    day = START // DAY_MS * DAY_MS
    entries = [
        Entry(
            at=day + number * DAY_MS // 10,
            id=f"id-{number}",
            action="repair",
            key=f"k{number % 3}",
            place=(EU, US)[number % 2],
            detail="copied",
        )
        for number in range(40)
    ]
    for entry in (*entries, entries[3]):
        log(entry)

    def read(limit: int, **asked: object) -> list[Entry]:
        wanted = Wanted(**{"since": day, "until": day + 9 * DAY_MS, **asked})  # type: ignore[arg-type]
        found: list[Entry] = []
        cursor: str | None = None
        while True:
            page = log.page(wanted, limit, cursor)
            assert len(page.entries) <= limit
            found += page.entries
            cursor = page.cursor
            if cursor is None:
                return found

    newest_first = entries[::-1]
    for limit in (1, 3, 7, 100):
        assert read(limit) == newest_first
        assert read(limit, key="k1") == [e for e in newest_first if e.key == "k1"]
        assert read(limit, key="k1", place=US) == [e for e in newest_first if (e.key, e.place) == ("k1", US)]
        since, until = entries[7].at, entries[22].at
        assert read(limit, since=since, until=until) == entries[7:22][::-1]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ProvisionedThroughputExceededException", 400, Unreachable),
        ("ThrottlingException", 400, Unreachable),
        ("InternalServerError", 500, Unreachable),
        ("AccessDeniedException", 400, Refused),
        ("UnrecognizedClientException", 400, Refused),
        ("ResourceNotFoundException", 400, BadSettings),
    ],
)
def test_what_dynamodb_answers_is_told_apart(code: str, status: int, error: type[Exception]) -> None:
    body = f'{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}'.encode()
    with serving(lambda asked: Answer(status, {"content-type": "application/x-amz-json-1.0"}, body)) as server:
        records = Records(Tables("t-t", PLACES, (EU, US), lambda: catalog_table.KEY, server.url))
        with pytest.raises(error, match=code):
            records.arrive(created())


def test_a_dynamodb_that_does_not_answer_is_unreachable() -> None:
    with serving(lambda asked: Answer(drop=True)) as server:
        records = Records(Tables("t-t", PLACES, (EU, US), lambda: catalog_table.KEY, server.url))
        with pytest.raises(Unreachable, match="eu-west-2"):
            records.arrive(created())


def test_a_page_of_what_is_due_until_then_goes_on_behind_what_has_left_the_list(tables: Tables) -> None:
    catalog = catalog_of(Records(tables), NAMES[:2])
    keys = [f"due {number}" for number in range(6)]
    for number, key in enumerate(keys):
        catalog.apply(created(key, at=START + number))
    lists, found, cursor = WorkLists(tables), [], None
    while True:
        page = lists.page(US, "PENDING", 1, cursor, START + 3)
        for each in page.works:
            found.append(each.key)
            catalog.apply(created(each.key, place=US, at=START + 9))
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found) == keys[:4]
    assert sorted(each.key for each in lists.page(US, "PENDING", 9).works) == keys[4:]

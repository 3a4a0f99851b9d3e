"""The scheduled run of reconcile: the sweep, whose turn it is, what is kept, and what is told."""

import logging
import re
from collections.abc import Mapping

import msgspec
import pytest

from nearside.errors import Unreachable
from nearside.gateway.reconcile_rounds import AGAIN_AFTER_SILENCE_SECONDS, AGAIN_SECONDS, Rounds
from nearside.gateway.reconciling import Progress
from nearside.gateway.records import Bucket
from nearside.operations_log import Entry
from tests.unit.test_gateway_reconciling import BUCKET, Gateway


class Kept:
    """Implements KeepsProgress, through JSON."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}

    def all(self) -> Mapping[str, Progress]:
        return {name: msgspec.json.decode(text, type=Progress) for name, text in self.texts.items()}

    def keep(self, progress: Progress) -> None:
        self.texts[progress.report.bucket] = msgspec.json.encode(progress)

    def drop(self, bucket: str) -> None:
        self.texts.pop(bucket, None)


class Run:
    """Runs over a gateway with one object in three places; `seconds` is how many checks of the time a run has."""

    def __init__(self) -> None:
        self.gateway, self.kept, self.log = Gateway(), Kept(), list[Entry]()
        self.gateway.put("a")
        self.gateway.mend()
        self.left = 10_000

    def is_over(self) -> bool:
        self.left -= 1
        return self.left < 0

    def append(self, entry: Entry) -> None:
        self.log.append(entry)

    @property
    def rounds(self) -> Rounds:
        reconciler = self.gateway.reconciler(out_of_time=self.is_over)
        clock = self.gateway.clock
        return Rounds(self.gateway.records, self.kept, reconciler, self.gateway.tell, self.append, clock, self.is_over)

    def add(self, name: str) -> None:
        """Another bucket, with nothing in it."""
        self.gateway.records.made[name] = Bucket(name, 0)
        for store in self.gateway.stores:
            store.buckets[name] = {}


@pytest.fixture
def run() -> Run:
    return Run()


def test_what_is_due_is_told_to_the_replicator_in_every_run(run: Run) -> None:
    now = int(run.gateway.clock() * 1000)
    run.gateway.change("a", due=now)
    assert run.rounds.run().swept == 1
    assert run.gateway.queue == ["a"]
    run.gateway.change("a", due=now + 1)
    assert run.rounds.run().swept == 0


def test_a_bucket_is_looked_at_once_a_day(run: Run) -> None:
    assert [report.complete for report in run.rounds.run().reports] == [True]
    assert run.rounds.run().reports == []
    run.gateway.clock.sleep(AGAIN_SECONDS - 1)
    assert run.rounds.run().reports == []
    run.gateway.clock.sleep(1)
    assert len(run.rounds.run().reports) == 1


def test_where_a_place_did_not_answer_it_is_looked_at_again_after_an_hour(run: Run) -> None:
    def down(method: str, when: str) -> None:
        raise Unreachable("it is off")

    run.gateway.stores[1].fault = down
    assert run.rounds.run().reports[0].unknown == {"p1": "it is off"}
    run.gateway.clock.sleep(AGAIN_AFTER_SILENCE_SECONDS)
    run.gateway.stores[1].fault = lambda method, when: None
    assert run.rounds.run().reports[0].unknown == {}


def test_a_run_goes_on_where_the_last_one_stopped_and_no_bucket_waits_forever(run: Run) -> None:
    run.add("zebras")
    for number in range(6):
        run.gateway.put(f"k{number}")
    run.gateway.mend()
    looked: list[str] = []
    for _ in range(30):
        run.left = 6
        looked += [report.bucket for report in run.rounds.run().reports]
        run.gateway.clock.sleep(60)
        if all(progress.phase == "done" for progress in run.kept.all().values()) and len(run.kept.texts) == 2:
            break
    assert {name: progress.phase for name, progress in run.kept.all().items()} == {BUCKET: "done", "zebras": "done"}
    assert run.kept.all()[BUCKET].report.keys == 7
    assert looked.count(BUCKET) > 1
    assert "zebras" in looked[:2]


def test_a_bucket_that_is_no_more_is_forgotten(run: Run) -> None:
    run.add("zebras")
    run.rounds.run()
    del run.gateway.records.made["zebras"]
    run.rounds.run()
    assert run.kept.texts.keys() == {BUCKET}


def test_what_was_done_is_among_the_operations_and_what_was_only_seen_is_not(run: Run) -> None:
    run.gateway.foreign(0, "new", b"x")
    run.rounds.run()
    assert run.log == []
    run.gateway.clock.sleep(AGAIN_SECONDS)
    run.gateway.stores[1].delete(BUCKET, "a")
    run.rounds.run()
    [entry] = run.log
    assert (entry.action, entry.bucket) == ("reconcile", BUCKET)
    assert entry.detail == "1 missing in p1, 1 unmanaged in p0"


def test_a_run_tells_only_of_what_it_did_itself(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        run.gateway.put(f"k{number}")
    run.gateway.mend()
    for key in ("a", "k4"):
        run.gateway.stores[1].delete(BUCKET, key)
    with caplog.at_level(logging.INFO, "nearside"):
        for _ in range(20):
            run.left = 5
            run.rounds.run()
    assert [entry.detail for entry in run.log] == ["1 missing in p1"] * 2
    words = [record.getMessage() for record in caplog.records if "keys" in record.getMessage()]
    assert sum(int(re.findall(r"(\d+) keys", each)[0]) for each in words) == 6


def test_a_log_that_cannot_be_written_does_not_end_the_run(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(entry: Entry) -> None:
        raise Unreachable("throttled")

    run.append = refuse  # type: ignore[method-assign]  # a log that is away
    run.gateway.stores[1].delete(BUCKET, "a")
    with caplog.at_level(logging.WARNING, "nearside"):
        assert run.rounds.run().reports[0].queued == 1
    assert "1 missing in p1" in caplog.text
    assert "throttled" in caplog.text


def test_a_look_by_hand_begins_anew_and_keeps_nothing(run: Run) -> None:
    run.rounds.run()
    before = dict(run.kept.texts)
    run.gateway.stores[1].delete(BUCKET, "a")
    [report] = run.rounds.look([BUCKET])
    assert (report.complete, report.queued) == (True, 1)
    assert run.kept.texts == before
    assert len(run.log) == 1


def test_a_catalog_that_does_not_answer_fails_the_run(run: Run) -> None:
    run.gateway.records.down = True
    with pytest.raises(Unreachable):
        run.rounds.run()

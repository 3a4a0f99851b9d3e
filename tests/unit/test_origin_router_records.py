"""The record cache on a clock of the test's: fresh, ahead, stale, negative, one lookup at a time, frozen containers."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

import records
import saying
from directions import Question
from lookup import Answer
from records import Found, LookupFailed, Records

EU = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com"
US = "nearside-us-east-2.s3.us-east-2.amazonaws.com"
QUESTION = Question("a.test", allow=("nearside-*",), stale_seconds=3600)
START = 1_795_219_200.0


class Dns:
    """What the lookups of a test find, and how often they were made."""

    def __init__(self) -> None:
        self.texts: Sequence[str] = (EU,)
        self.ttl = 60
        self.failure = ""
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name: str, resolvers: object, deadline: float) -> Answer:
        self.asked += 1
        self.gate.wait(5)
        if self.failure:
            raise LookupFailed(self.failure)
        return Answer(tuple(self.texts), self.ttl)


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def dns() -> Dns:
    return Dns()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(dns: Dns, clock: Clock) -> Records:
    return Records(dns, clock)


@pytest.fixture(autouse=True)
def _said() -> Iterator[None]:
    saying.forget()
    yield
    saying.forget()


def hosts(found: Found) -> list[str]:
    return [origin.host for origin in found.origins]


def settled(dns: Dns, times: int) -> None:
    """Waits for the background to have looked so many times in all, and to have told."""
    end = time.monotonic() + 5
    while dns.asked < times or any(thread.name.endswith("(_run)") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.001)


def test_fresh_then_cached_then_fresh_again(cache: Records, dns: Dns, clock: Clock) -> None:
    assert cache.find(QUESTION).reason == "fresh"
    clock.now += 50
    assert cache.find(QUESTION).reason == "cached"
    assert dns.asked == 1
    clock.now += 10
    dns.texts = (US,)
    found = cache.find(QUESTION)
    assert (hosts(found), found.reason, dns.asked) == ([US], "fresh", 2)


@pytest.mark.parametrize(("ttl", "lives"), [(0, 5), (1, 5), (60, 60), (100_000, 300)])
def test_the_ttl_has_a_floor_and_a_ceiling(ttl: int, lives: int, cache: Records, dns: Dns, clock: Clock) -> None:
    dns.ttl = ttl
    cache.find(QUESTION)
    clock.now += lives - 0.01
    assert cache.find(QUESTION).reason == "cached"
    settled(dns, 2)


def test_a_record_is_refreshed_ahead_without_waiting(cache: Records, dns: Dns, clock: Clock) -> None:
    cache.find(QUESTION)
    dns.gate.clear()
    dns.texts = (US,)
    clock.now += 58
    for _ in range(10):
        assert hosts(cache.find(QUESTION)) == [EU]
    dns.gate.set()
    settled(dns, 2)
    assert hosts(cache.find(QUESTION)) == [US]
    assert dns.asked == 2


def test_many_threads_make_one_query(cache: Records, dns: Dns) -> None:
    dns.gate.clear()
    found: list[Found] = []
    threads = [threading.Thread(target=lambda: found.append(cache.find(QUESTION))) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    dns.gate.set()
    for thread in threads:
        thread.join()
    assert (dns.asked, [hosts(each) for each in found]) == (1, [[EU]] * 16)


def test_stale_while_dns_fails_up_to_the_limit(cache: Records, dns: Dns, clock: Clock) -> None:
    cache.find(QUESTION)
    dns.failure = "SERVFAIL"
    clock.now += 61
    found = cache.find(QUESTION)
    assert (hosts(found), found.reason) == ([EU], "stale: SERVFAIL")
    clock.now += 3590
    assert cache.find(QUESTION).reason == "stale: SERVFAIL"
    clock.now += 20
    assert cache.find(QUESTION) == Found((), "configured: SERVFAIL")


def test_a_dead_dns_costs_one_request_its_deadline_and_the_others_a_moment(
    cache: Records, dns: Dns, clock: Clock
) -> None:
    question = QUESTION._replace(deadline_seconds=0.3)
    cache.find(question)
    clock.now += 61
    dns.failure = "timeout"
    slow = dns.gate
    slow.clear()
    threading.Timer(0.3, slow.set).start()
    began = time.monotonic()
    assert cache.find(question).reason == "stale: timeout"
    assert time.monotonic() - began > 0.25
    slow.clear()
    took = []
    for _ in range(120):  # two minutes
        clock.now += 1
        began = time.monotonic()
        assert cache.find(question).reason == "stale: timeout"
        took.append(time.monotonic() - began)
    slow.set()
    assert max(took) < 0.3
    assert sum(seconds > records.MOMENT_SECONDS / 2 for seconds in took) <= 120 / records.RECHECK_SECONDS + 1
    settled(dns, 3)


def test_a_failure_is_remembered_for_a_little(cache: Records, dns: Dns, clock: Clock) -> None:
    dns.failure = "timeout"
    for _ in range(20):
        assert cache.find(QUESTION) == Found((), "configured: timeout")
    assert dns.asked == 1
    dns.failure = ""
    clock.now += 5
    assert cache.find(QUESTION).reason == "fresh"


def test_a_record_without_anything_usable_is_stale_or_configured(cache: Records, dns: Dns, clock: Clock) -> None:
    dns.texts = ("strange.s3.eu-west-2.amazonaws.com",)
    why = "a.test has no usable record: bucket strange is not on the allow-list"
    assert cache.find(QUESTION) == Found((), f"configured: {why}")
    dns.texts = (EU,)
    clock.now += 5
    cache.find(QUESTION)
    dns.texts = ("rubbish",)
    clock.now += 61
    found = cache.find(QUESTION)
    assert hosts(found) == [EU]
    assert found.reason.startswith("stale: a.test has no usable record")


def test_all_drained_is_the_configured_origin_and_no_failure(cache: Records, dns: Dns, clock: Clock) -> None:
    cache.find(QUESTION)
    dns.texts = (f"{EU} weight=0",)
    clock.now += 61
    for _ in range(3):
        assert cache.find(QUESTION) == Found((), "configured: every origin of the record is drained (weight=0)")
    assert dns.asked == 2


def test_two_allow_lists_are_two_records(cache: Records, dns: Dns) -> None:
    assert hosts(cache.find(QUESTION)) == [EU]
    assert cache.find(QUESTION._replace(allow=("pics-*",))).origins == ()
    assert hosts(cache.find(QUESTION)) == [EU]


def test_a_clock_that_is_set_back_does_not_make_a_record_eternal(cache: Records, dns: Dns, clock: Clock) -> None:
    cache.find(QUESTION)
    clock.now -= 3600
    assert cache.find(QUESTION).reason == "fresh"
    assert dns.asked == 2


def test_a_lookup_that_was_frozen_is_given_up_and_cannot_undo_its_successor(
    cache: Records, dns: Dns, clock: Clock
) -> None:
    cache.find(QUESTION)
    clock.now += 58
    dns.gate.clear()
    frozen = dns.gate
    dns.texts = ("rubbish",)
    cache.find(QUESTION)  # starts a lookup ahead, and then the container is frozen for an hour
    clock.now += 3600
    dns.gate, dns.texts = threading.Event(), (US,)
    dns.gate.set()
    assert hosts(cache.find(QUESTION)) == [US]
    dns.texts = ("rubbish",)
    frozen.set()
    settled(dns, 3)
    assert hosts(cache.find(QUESTION)) == [US]


def test_the_number_of_records_is_bounded(cache: Records) -> None:
    for number in range(records.MAX_RECORDS + 50):
        cache.find(QUESTION._replace(name=f"a{number}.test"))
    assert len(cache._records) == records.MAX_RECORDS


def test_any_error_of_a_lookup_is_a_failure_with_a_traceback(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(name: str, resolvers: object, deadline: float) -> Answer:
        raise ZeroDivisionError("oh")

    assert Records(broken, clock).find(QUESTION) == Found((), "configured: oh")
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_without_a_thread_the_request_looks_itself(cache: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert cache.find(QUESTION).reason == "fresh"

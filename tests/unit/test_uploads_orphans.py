"""Uploads that nobody completes: ended when they are old enough, as far as places answer and time lasts."""

from nearside.errors import Unreachable
from nearside.uploads_items import CompleteAsked, PartDone
from nearside.uploads_orphans import STRANGERS_SECONDS
from nearside.uploads_records import OPEN_SECONDS, Wanted
from tests.unit.uploads_memory import ANYONE, EU, US, Uploading


def begin(uploading: Uploading, place: str, count: int = 1) -> None:
    uploading.s3.now = uploading.now
    for number in range(count):
        uploading.uploads.begin_multipart(Wanted(key=f"k{number}", headers={}, place=place), ANYONE, None)


def test_what_is_older_than_six_days_is_ended_and_forgotten() -> None:
    uploading = Uploading()
    begin(uploading, EU.name)
    uploading.now += OPEN_SECONDS - 1
    begin(uploading, US.name)
    assert uploading.orphans().sweep().ended == {EU.name: 0, US.name: 0}
    uploading.now += 2
    swept = uploading.orphans().sweep()
    assert (swept.ended, swept.lost) == ({EU.name: 1, US.name: 0}, [])
    assert [ticket.place for ticket, _ in uploading.ledger.kept.values()] == [US.name]
    assert len(uploading.open_in_s3()) == 1


def test_what_the_ledger_does_not_know_has_a_day_more() -> None:
    uploading = Uploading()
    begin(uploading, EU.name)
    uploading.ledger.kept.clear()
    uploading.now += STRANGERS_SECONDS - 1
    assert uploading.orphans().sweep().ended[EU.name] == 0
    uploading.now += 2
    assert uploading.orphans().sweep().ended[EU.name] == 1
    assert uploading.open_in_s3() == []


def test_a_region_that_is_away_keeps_the_others_from_nothing_and_is_tried_again() -> None:
    uploading = Uploading()
    begin(uploading, EU.name)
    begin(uploading, US.name)
    uploading.now += OPEN_SECONDS + 1
    uploading.s3.down[EU.name] = Unreachable("eu-west-2 cannot be reached")
    swept = uploading.orphans().sweep()
    assert swept.ended == {EU.name: 0, US.name: 1}
    assert swept.lost == ["eu-west-2: eu-west-2 cannot be reached"] * 2
    assert len(uploading.ledger.kept) == 1
    uploading.s3.down.clear()
    assert uploading.orphans().sweep().ended == {EU.name: 1, US.name: 0}


def test_a_run_ends_in_time_and_the_next_goes_on() -> None:
    uploading = Uploading()
    begin(uploading, EU.name, count=5)
    uploading.now += OPEN_SECONDS + 1
    assert uploading.orphans(looks=3).sweep().ended[EU.name] == 3
    assert uploading.orphans().sweep().ended[EU.name] == 2


def test_what_was_completed_is_left_alone() -> None:
    uploading = Uploading()
    begin(uploading, EU.name)
    [(ticket, _)] = uploading.ledger.kept.values()
    done = CompleteAsked([PartDone(1, uploading.s3.put(EU, ticket.upload, 1, b"x"))])
    uploading.uploads.complete(uploading.uploads.tickets.id_of(ticket), done, ANYONE)
    uploading.now += STRANGERS_SECONDS + 1
    assert uploading.orphans().sweep().ended == {EU.name: 0, US.name: 0}
    assert uploading.s3.find(EU, "k0") is not None

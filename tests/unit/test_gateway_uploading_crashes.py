"""Uploads whose process dies at any step, or pauses there while somebody else does something with the same object."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from nearside.errors import Missing, NearsideError
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.errors import MissingUpload
from nearside.gateway.records import Upload
from tests.unit.gateway_upload_world import BUCKET, KEY, Gateway, md5

OLD, FIRST, SECOND, AGAIN, THIRD = b"old object", b"first part ", b"second part ", b"second again ", b"third part"
WANTED = [(1, md5(FIRST)), (2, md5(AGAIN)), (3, md5(THIRD))]
MADE = FIRST + AGAIN + THIRD
LEASE = 40.0


class Killed(BaseException):
    """The process ends here: nothing after this point is done, not even in a handler of errors."""


def at(step: int, act: Callable[[], None]) -> Callable[[str, str], None]:
    """A fault that does `act` once, at that step."""
    steps = iter(range(10_000))

    def fault(method: str, when: str) -> None:
        if next(steps) == step:
            act()

    return fault


def die() -> None:
    raise Killed


def ready(*, again: bool = True) -> tuple[Gateway, Upload]:
    """An object that is there, and an upload of it with four parts, one of which came twice if it is `again`."""
    gateway = Gateway()
    gateway.writer.put(BUCKET, KEY, OLD, Described(), Conditions(), None)
    upload = gateway.create()
    gateway.put(upload, FIRST, SECOND if again else AGAIN, THIRD, b"not wanted")
    if again:
        gateway.uploads.part(upload, 2, AGAIN, {})
    return gateway, upload


def there(gateway: Gateway) -> bytes | None:
    try:
        return gateway.found()
    except Missing:
        return None


def check(gateway: Gateway, allowed: Sequence[bytes | None], *, under_way: bool = False) -> None:
    """The object is one of these and stays so, every place comes to have it, and nothing else but what an upload that
    is under way needs."""
    found = there(gateway)
    assert found in allowed
    gateway.settle()
    assert there(gateway) == found
    expected = {} if found is None else {KEY: found}
    for store in gateway.stores.values():
        assert {key: body for key, body in store.bodies(BUCKET).items() if key == KEY} == expected, store.name
    if not under_way:
        assert not any(gateway.staged().values())


def steps_of(act: Callable[[Gateway, Upload], object]) -> int:
    gateway, upload = ready()
    steps = 0

    def fault(method: str, when: str) -> None:
        nonlocal steps
        steps += 1

    gateway.set_fault(fault)
    act(gateway, upload)
    return steps


def complete(gateway: Gateway, upload: Upload) -> object:
    return gateway.complete(upload, WANTED)


def abort(gateway: Gateway, upload: Upload) -> object:
    gateway.uploads.abort(upload)
    return None


def part(gateway: Gateway, upload: Upload) -> object:
    return gateway.uploads.part(upload, 3, THIRD, {})


@pytest.mark.parametrize("later", [0.0, LEASE])
@pytest.mark.parametrize("tries_again", [True, False])
def test_a_completion_that_dies(later: float, tries_again: bool) -> None:
    lost = 0
    for step in range(steps_of(complete)):
        gateway, upload = ready()
        gateway.set_fault(at(step, die))
        with pytest.raises(Killed):
            complete(gateway, upload)
        gateway.set_fault(lambda method, when: None)
        gateway.start()
        gateway.clock.sleep(later)
        answered = False
        if tries_again:
            try:
                complete(gateway, gateway.uploads.find(BUCKET, KEY, upload.id))
                answered = True
            except MissingUpload:
                lost += 1
            except NearsideError:
                assert not later, "nobody has the lease any more"
        under_way = bool(gateway.uploading.under_way)
        assert there(gateway) == OLD or not under_way
        check(gateway, [MADE] if answered else [OLD, MADE], under_way=under_way)
        if under_way:  # and it still can be completed
            complete(gateway, gateway.uploads.find(BUCKET, KEY, upload.id))
            check(gateway, [MADE])
    assert lost <= 3, "the upload is lost only when the process dies between its end and the commit"


@pytest.mark.parametrize("tries_again", [True, False])
@pytest.mark.parametrize("again", [True, False])
def test_an_abort_that_dies(tries_again: bool, again: bool) -> None:
    for step in range(steps_of(abort)):
        gateway, upload = ready(again=again)
        gateway.set_fault(at(step, die))
        with pytest.raises(Killed):
            abort(gateway, upload)
        gateway.set_fault(lambda method, when: None)
        gateway.start()
        if tries_again:
            with suppress(MissingUpload):
                abort(gateway, gateway.uploads.find(BUCKET, KEY, upload.id))
        check(gateway, [OLD], under_way=bool(gateway.uploading.under_way))
        assert gateway.uploading.under_way or gateway.items() == {}
        if gateway.uploading.under_way:
            complete(gateway, upload)
            check(gateway, [MADE])


def test_a_part_that_dies() -> None:
    for step in range(steps_of(part)):
        gateway, upload = ready()
        gateway.set_fault(at(step, die))
        with pytest.raises(Killed):
            part(gateway, upload)
        gateway.set_fault(lambda method, when: None)
        gateway.start()
        complete(gateway, upload)
        check(gateway, [MADE])


def shorter(gateway: Gateway, upload: Upload) -> bytes:
    gateway.complete(gateway.uploads.find(BUCKET, KEY, upload.id), WANTED[:1])
    return FIRST


def same(gateway: Gateway, upload: Upload) -> bytes:
    complete(gateway, gateway.uploads.find(BUCKET, KEY, upload.id))
    return MADE


def aborted(gateway: Gateway, upload: Upload) -> None:
    gateway.uploads.abort(gateway.uploads.find(BUCKET, KEY, upload.id))


def same_part(gateway: Gateway, upload: Upload) -> None:
    gateway.uploads.part(gateway.uploads.find(BUCKET, KEY, upload.id), 1, FIRST, {})


def other_part(gateway: Gateway, upload: Upload) -> None:
    gateway.uploads.part(gateway.uploads.find(BUCKET, KEY, upload.id), 1, b"other", {})


def written(gateway: Gateway, upload: Upload) -> bytes:
    gateway.writer.put(BUCKET, KEY, b"newer", Described(), Conditions(), None)
    return b"newer"


def written_after_a_pause(gateway: Gateway, upload: Upload) -> bytes:
    gateway.clock.sleep(LEASE)
    return written(gateway, upload)


def mended_after_a_pause(gateway: Gateway, upload: Upload) -> None:
    gateway.clock.sleep(LEASE)
    gateway.replicator.mend(BUCKET, KEY)


def shorter_and_written(gateway: Gateway, upload: Upload) -> bytes:
    shorter(gateway, upload)
    return written(gateway, upload)


OTHERS = [
    shorter,
    same,
    aborted,
    same_part,
    other_part,
    written,
    written_after_a_pause,
    mended_after_a_pause,
    shorter_and_written,
]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("act", [complete, abort, part])
def test_somebody_else_at_any_step(
    act: Callable[[Gateway, Upload], object], other: Callable[[Gateway, Upload], bytes | None]
) -> None:
    for step in range(steps_of(act)):
        gateway, upload = ready()
        answered, others = disturbed(gateway, upload, step, act, other)
        did_other = others != [NOTHING]
        allowed: list[bytes | None] = [each for each in others if each is not NOTHING] or [OLD]
        if act is complete:
            allowed = [MADE] if answered and allowed == [OLD] else [*allowed, MADE]
        if answered and did_other:
            assert act is part or other not in (ENDS if act is abort else (aborted, shorter, shorter_and_written))
        assert there(gateway) in allowed, step
        check(gateway, allowed, under_way=bool(gateway.uploading.under_way))


ENDS = (aborted, same, shorter, shorter_and_written)  # what an upload is ended by, and only once
NOTHING = b"it did nothing, since it failed"


def disturbed(
    gateway: Gateway,
    upload: Upload,
    step: int,
    act: Callable[[Gateway, Upload], object],
    other: Callable[[Gateway, Upload], bytes | None],
) -> tuple[bool, list[bytes]]:
    """Whether `act` succeeded, and what `other`, done at that step of it, made of the object, if it did."""
    made = [NOTHING]

    def disturb() -> None:
        with suppress(NearsideError):
            found = other(gateway, upload)
            made[:] = [] if found is None else [found]

    gateway.set_fault(at(step, disturb))
    try:
        act(gateway, upload)
    except NearsideError:
        return False, made
    return True, made


def test_a_part_asks_whether_it_came_late_while_its_upload_is_being_committed() -> None:
    """The completion has taken the part, has ended the upload and has not committed yet."""
    gateway, upload = ready()
    taken, looked = threading.Event(), threading.Event()
    completion = threading.Thread(target=lambda: complete(gateway, upload))

    def part_is_listed(method: str, when: str) -> None:
        if (method, when) == ("put_part", "after") and threading.current_thread() is not completion:
            completion.start()
            assert taken.wait(5)

    def about_to_commit(method: str, when: str) -> None:
        if (method, when) == ("save", "before"):
            taken.set()
            assert looked.wait(5)

    gateway.uploading.fault = part_is_listed
    gateway.records.fault = about_to_commit
    late = gateway.uploads.part(upload, 3, THIRD, {})
    looked.set()
    completion.join(5)
    record = gateway.records.items[BUCKET, KEY]
    assert record.current is not None
    assert late.staged in [each.staged for each in gateway.uploading.parts(record.current.upload)]
    check(gateway, [MADE])


def test_parts_are_not_left_over_as_long_as_no_place_has_their_object() -> None:
    gateway, upload = ready()
    complete(gateway, upload)
    gateway.remove_leftovers()
    record = gateway.records.items[BUCKET, KEY]
    assert record.current is not None
    assert not record.holders()
    assert gateway.found() == MADE

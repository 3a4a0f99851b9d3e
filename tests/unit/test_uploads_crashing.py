"""Uploads whose every call fails, before it does its work and after: asked again, nothing is lost or told wrongly."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from nearside.errors import MissingUpload, PreconditionFailed, Unavailable, Unreachable
from nearside.uploads_items import CompleteAsked, PartDone
from nearside.uploads_records import Completed, Wanted
from tests.unit.uploads_memory import ANYONE, EU, Uploading

KEY = "k"
AWAY = Unreachable("it cannot be reached")


class Killed(BaseException):
    """The function ends here: no `except` may keep it."""


class Failing:
    """Another's methods, of which the call of that number fails: before it is made, or after."""

    def __init__(self, real: Any, number: int, after: bool, failure: BaseException) -> None:
        self._real, self._left, self._after, self._failure = real, number, after, failure

    def counted(self, other: "Failing") -> "Failing":
        """Counts on with another's calls."""
        other.__dict__["_count"] = self
        return self

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        count = self.__dict__.get("_count", self)

        def call(*arguments: Any, **named: Any) -> Any:
            count._left -= 1
            fails = count._left == 0
            if fails and not self._after:
                raise self._failure
            answer = method(*arguments, **named)
            if fails:
                raise self._failure
            return answer

        return call


def failing(uploading: Uploading, number: int, after: bool, failure: BaseException) -> Failing:
    s3, ledger = (Failing(each, number, after, failure) for each in (uploading.s3, uploading.ledger))
    s3.counted(ledger)
    uploading.uploads._s3, uploading.uploads._ledger = s3, ledger
    return s3


def mended(uploading: Uploading) -> None:
    uploading.uploads._s3, uploading.uploads._ledger = uploading.s3, uploading.ledger


def begun(uploading: Uploading, overwrites: bool = True) -> str:
    wanted = Wanted(key=KEY, headers={}, size=3, place=EU.name, overwrites=overwrites)
    return uploading.uploads.tickets.id_of(uploading.uploads.begin_multipart(wanted, ANYONE, None))


def sent(uploading: Uploading) -> CompleteAsked:
    [upload] = uploading.s3.uploads[EU.name]
    parts = enumerate((b"ab", b"c"), 1)
    return CompleteAsked([PartDone(number, uploading.s3.put(EU, upload, number, body)) for number, body in parts])


def each_failure(act: Callable[[int, bool, BaseException], bool]) -> int:
    """Runs `act` with a failure at every call, until it comes to its end without one; how many calls there were."""
    number, came = 0, True
    while came:
        number += 1
        for after, failure in itertools.product((False, True), (AWAY, Killed())):
            came = act(number, after, failure)
    return number - 1


def met(scene: Failing, act: Callable[[], Any]) -> bool:
    """Whether the failure came."""
    with suppress(Killed, Unreachable, Unavailable):
        act()
    return scene._left <= 0


def test_a_begin_that_fails_anywhere_leaves_nothing_that_is_not_ended() -> None:
    def act(number: int, after: bool, failure: BaseException) -> bool:
        uploading = Uploading()
        came = met(failing(uploading, number, after, failure), lambda: begun(uploading, overwrites=False))
        mended(uploading)
        # Whatever is listed as unfinished can be gone on with.
        if not isinstance(failure, Killed):
            for each in uploading.uploads.unfinished(ANYONE).uploads:
                uploading.uploads.show(each.id, ANYONE)
        uploading.now += 8 * 86_400
        uploading.orphans().sweep()
        assert (uploading.open_in_s3(), uploading.ledger.kept) == ([], {})
        return came

    assert each_failure(act) == 3  # the look at what is there, S3's begin, the ledger's


@pytest.mark.parametrize("overwrites", [True, False])
def test_a_completion_that_fails_anywhere_is_completed_when_it_is_asked_again(overwrites: bool) -> None:
    def act(number: int, after: bool, failure: BaseException) -> bool:
        uploading = Uploading()
        upload = begun(uploading, overwrites)
        parts = sent(uploading)
        came = met(
            failing(uploading, number, after, failure), lambda: uploading.uploads.complete(upload, parts, ANYONE)
        )
        mended(uploading)
        done = uploading.uploads.complete(upload, parts, ANYONE)
        assert (done.size, done.version_id, len(uploading.s3.completions)) == (3, "v1", 1)
        assert uploading.uploads.unfinished(ANYONE).uploads == []
        assert uploading.uploads.complete(upload, parts, ANYONE) == done
        return came

    assert each_failure(act) == 3  # the parts, S3's completion, the ledger's end


def test_an_abort_that_fails_anywhere_is_done_when_it_is_asked_again() -> None:
    def act(number: int, after: bool, failure: BaseException) -> bool:
        uploading = Uploading()
        upload = begun(uploading)
        came = met(failing(uploading, number, after, failure), lambda: uploading.uploads.abort(upload, ANYONE))
        mended(uploading)
        uploading.uploads.abort(upload, ANYONE)
        assert (uploading.open_in_s3(), uploading.ledger.kept) == ([], {})
        return came

    assert each_failure(act) == 2


def test_a_try_that_s3_refuses_since_the_try_before_made_the_object_is_no_conflict() -> None:
    """boto3 tries again by itself when an answer does not come, and S3 then finds the object that it made."""
    uploading = Uploading()
    upload = begun(uploading, overwrites=False)
    parts = sent(uploading)
    real = uploading.s3.complete

    def twice(*arguments: Any, **named: Any) -> Completed:
        real(*arguments, **named)
        raise PreconditionFailed("there is an object of this key already")

    uploading.s3.complete = twice  # type: ignore[method-assign]  # for this one upload
    done = uploading.uploads.complete(upload, parts, ANYONE)
    assert (done.size, done.version_id) == (3, "v1")


def test_ending_what_is_complete_leaves_it_complete() -> None:
    uploading = Uploading()
    upload = begun(uploading)
    parts = sent(uploading)
    done = uploading.uploads.complete(upload, parts, ANYONE)
    with pytest.raises(MissingUpload, match="it is complete"):
        uploading.uploads.abort(upload, ANYONE)
    uploading.s3.objects.clear()  # somebody deleted the object: it had been there all the same
    assert uploading.uploads.complete(upload, parts, ANYONE) == done

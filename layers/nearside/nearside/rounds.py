"""Going round the work lists, one work after the other, each run from behind where the last one stopped."""

import contextlib
from collections.abc import Sequence

from nearside.errors import BadCursor, NearsideError
from nearside.notes import KeepsNotes
from nearside.work import ListsWork, Page, Work, WorkState

# When S3 tells that a copy is late (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-time-control.html).
MISSED_SECONDS = 900


def is_late(due: int, now_ms: int, target_seconds: int) -> bool:
    """Whether what was due then (milliseconds) is later than the target."""
    return now_ms - due > target_seconds * 1000


class Round:
    """The works of these lists that failed or are overdue, of each list the longest due first. A note under `name`
    keeps where it stopped, in the home of the first list's place; without it a run starts at the head, so a note that
    cannot be read or written costs no more than that."""

    def __init__(
        self,
        work: ListsWork,
        notes: KeepsNotes,
        name: str,
        lists: Sequence[tuple[str, WorkState]],
        now_ms: int,
        target_seconds: int,
    ) -> None:
        self._work = work
        self._notes = notes
        self._name = name
        self._lists = lists
        self._now_ms = now_ms
        self._target_seconds = target_seconds
        self._number, self._cursor = self._noted()
        self._next: tuple[Work, str | None] | None = None

    def upcoming(self) -> Work | None:
        """The work that comes next, until it is taken; None when the round is over. Raises Unreachable or Refused."""
        while self._next is None and self._number < len(self._lists):
            page = self._page()
            if page.works and self._is_wanted(page.works[0]):
                self._next = page.works[0], page.cursor
            else:
                self._move(page.cursor)
        return self._next and self._next[0]

    def take(self) -> None:
        """Goes on behind what comes next."""
        if self._next is not None:
            self._move(self._next[1])

    def skip(self) -> None:
        """Goes on with the next list."""
        self._move(None)

    def keep(self) -> None:
        """Notes where it is; at the end, that the next run starts at the head."""
        home = self._lists[0][0]
        with contextlib.suppress(NearsideError):
            if self._number >= len(self._lists):
                self._notes.drop(home, self._name)
            else:
                place, state = self._lists[self._number]
                self._notes.write(home, self._name, {"place": place, "state": state, "cursor": self._cursor or ""})

    def _noted(self) -> tuple[int, str | None]:
        with contextlib.suppress(NearsideError):
            note = self._notes.read(self._lists[0][0], self._name)
            for number, (place, state) in enumerate(self._lists):
                if note and (note["place"], note["state"]) == (place, state):
                    return number, str(note["cursor"]) or None
        return 0, None

    def _move(self, cursor: str | None) -> None:
        self._next, self._cursor = None, cursor
        self._number += cursor is None

    def _page(self) -> Page:
        """One work, so that the page's cursor is the one behind it. What is not late yet stands at the end of a list
        of pending ones, and is not read."""
        place, state = self._lists[self._number]
        since = min(self._target_seconds, MISSED_SECONDS) * 1000
        before = self._now_ms - since if state == "PENDING" else None
        try:
            return self._work.page(place, state, 1, self._cursor, before)
        except BadCursor:  # of an older release
            return self._work.page(place, state, 1, None, before)

    def _is_wanted(self, work: Work) -> bool:
        return work.state == "FAILED" or work.overdue or is_late(work.due, self._now_ms, self._target_seconds)

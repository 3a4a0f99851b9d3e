"""The catalog's records and the listings of the places, merged key by key: of each one page is in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from nearside.errors import MissingBucket, NearsideError
from nearside.gateway.places import Places
from nearside.gateway.records import Listed, Record, StoresRecords
from nearside.gateway.s3_requests import OWN_PREFIX

PAGE = 1_000
_AFTER_OWN = f"{OWN_PREFIX}~"  # `~` comes after every letter and digit


class Asks(Protocol):
    """Which places take part in a comparison."""

    @property
    def asked(self) -> Sequence[str]: ...

    @property
    def compared(self) -> Sequence[str]: ...

    def leave_out(self, name: str, why: str) -> None: ...


class Row(msgspec.Struct, frozen=True):
    """A key: its record, and how each place that has it lists it."""

    key: str
    record: Record | None
    listed: Mapping[str, Listed]


class NotSorted(Exception):
    """A place does not list its keys by their UTF-8 bytes."""


class _Stream[T: (Record, Listed)]:
    """The items after `after`, page by page."""

    def __init__(self, fetch: Callable[[str], tuple[Sequence[T], bool]], after: str) -> None:
        self._fetch: Callable[[str], tuple[Sequence[T], bool]] = fetch
        self._after = after
        self._items: deque[T] = deque()
        self._more = True

    def first(self) -> T | None:
        """The next item; None at the end. Raises what `fetch` raises, and NotSorted."""
        while not self._items and self._more:
            page, self._more = self._fetch(self._after)
            before = self._after.encode()
            for item in page:
                if item.key.encode() <= before:
                    raise NotSorted(f"{item.key!r} is listed after {before.decode()!r}")
                before = item.key.encode()
            if self._more and not page:
                raise NotSorted("a page is empty, and yet there is said to be more")
            self._after = page[-1].key if page else self._after
            if self._after.startswith(OWN_PREFIX):
                self._after = max(self._after, _AFTER_OWN)
            self._items.extend(item for item in page if not item.key.startswith(OWN_PREFIX))
        return self._items[0] if self._items else None

    def drop(self) -> None:
        """Goes on to the next one."""
        self._items.popleft()


class Merge:
    """Rows of a bucket after the key `after`, by the keys' UTF-8 bytes.

    A place that does not answer is left out from there on and named in `silent`, one that lists in another order in
    `unsorted`, one that has no such bucket in `homeless` (its listing is empty). Raises only what the records raise.
    """

    def __init__(
        self, records: StoresRecords, places: Places, bucket: str, after: str, unsorted: Sequence[str] = ()
    ) -> None:
        self.silent: dict[str, str] = {}
        self.unsorted = list(unsorted)
        self.homeless: list[str] = []
        self._names = places.names
        self._records = _Stream(lambda start: records.page(bucket, "", start, PAGE), after)
        self._listings = {
            name: _Stream(_pages(places, name, bucket), after) for name in places.names if name not in self.unsorted
        }

    @property
    def asked(self) -> list[str]:
        """The places that are not silent."""
        return [name for name in self._names if name not in self.silent]

    def leave_out(self, name: str, why: str) -> None:
        """Counts the place among the silent ones from here on."""
        self.silent[name] = why
        self._listings.pop(name, None)

    @property
    def compared(self) -> list[str]:
        """The places whose listings the last row has."""
        return [*self._listings, *self.homeless]

    def rows(self) -> Iterator[Row]:
        """Each key once."""
        while True:
            heads = self._heads()
            record = self._records.first()
            keys = [each.key for each in heads.values()] + ([record.key] if record else [])
            if not keys:
                return
            key = min(keys, key=str.encode)
            listed = {name: each for name, each in heads.items() if each.key == key}
            for name in listed:
                self._listings[name].drop()
            ours = record if record and record.key == key else None
            if ours:
                self._records.drop()
            yield Row(key, ours, listed)

    def _heads(self) -> dict[str, Listed]:
        found = {}
        for name, stream in list(self._listings.items()):
            try:
                first = stream.first()
            except MissingBucket:
                self.homeless.append(name)
            except NotSorted:
                self.unsorted.append(name)
            except NearsideError as error:
                self.leave_out(name, str(error))
            else:
                if first is not None:
                    found[name] = first
                continue
            self._listings.pop(name, None)
        return found


def _pages(places: Places, name: str, bucket: str) -> Callable[[str], tuple[Sequence[Listed], bool]]:
    return lambda after: places.ask(name, lambda store: store.listing(bucket, "", after, PAGE))


class Only:
    """Stands for a merge when one place alone is looked at."""

    def __init__(self, name: str) -> None:
        self.silent: dict[str, str] = {}
        self._name = name

    @property
    def asked(self) -> list[str]:
        """The place, as long as it answers."""
        return [] if self.silent else [self._name]

    @property
    def compared(self) -> list[str]:
        """The same: its listing is what is looked at."""
        return self.asked

    def leave_out(self, name: str, why: str) -> None:
        """Counts the place among the silent ones."""
        self.silent[name] = why

"""Listing a bucket: the records in pages, with keys that share a common prefix rolled up into one entry."""

from collections.abc import Sequence

import msgspec

from nearside.gateway.errors import InvalidArgument
from nearside.gateway.records import Record, StoresRecords
from nearside.gateway.s3_requests import MAX_KEY_BYTES

# One page may take this much work: a read counts 100, and each record that was read counts 1. Deleted records stay for
# a while, so there may be any number of them between two that are told.
_BUDGET = 30_000
_READ = 100
_LEAST, _MOST = 32, 1000  # records that are read at once
_LAST = "\U0010ffff"
# Begins a `following` that goes on within a common prefix of which nothing was told yet. Unicode keeps both for
# itself, so that no text begins like this.
_WITHIN = "\U0010ffff\U0010fffe"


class Page(msgspec.Struct, frozen=True):
    """Objects and common prefixes, each in the order of their UTF-8 bytes. `following` is the `after` of the next page,
    None on the last one. A page may have less than was asked for, or nothing, and still be followed."""

    records: Sequence[Record]
    prefixes: Sequence[str]
    following: str | None


class Listings:
    """Lists the gateway's buckets. `budget` is how much work a page may take."""

    def __init__(self, records: StoresRecords, budget: int = _BUDGET) -> None:
        self._records = records
        self._budget = budget

    def page(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        """At most `limit` objects of keys that begin with `prefix`, and common prefixes: keys that have `delimiter` (if
        not empty) after it are told by what comes before, with the delimiter, as one entry. Only entries that come
        after `after` are told, so a common prefix that `after` is within is not
        (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html). `after` is a key, a common prefix, or
        a page's `following`.

        Raises InvalidArgument for an `after` that is longer than a key can be, Unreachable, Refused.
        """
        if limit <= 0:
            return Page((), (), None)
        walk = _Walk(prefix, delimiter, after, limit)
        left, size = self._budget, min(limit + 1, _MOST)
        while True:
            batch, more = self._records.page(bucket, prefix, walk.at, size)
            for record in batch:
                if walk.is_full_at(record):
                    return walk.page(walk.last)
            if not more:
                return walk.page(None)
            left -= _READ + len(batch)
            if left <= 0:
                return walk.page(walk.here())
            size = max(size // 2, _LEAST) if walk.is_past_the_rest() else min(2 * size, _MOST)


class _Walk:
    """Goes through records in order and takes entries from them. Everything up to `at` was seen; `last` is the last
    entry."""

    def __init__(self, prefix: str, delimiter: str, after: str, limit: int) -> None:
        self._prefix = prefix
        self._delimiter = delimiter
        self._limit = limit
        self._records: list[Record] = []
        self._prefixes: list[str] = []
        self.at = after.removeprefix(_WITHIN)
        if len(self.at.encode()) > MAX_KEY_BYTES:
            raise InvalidArgument(f"a listing cannot begin after {self.at[:80]!r}…: keys have {MAX_KEY_BYTES} bytes")
        self.last = after
        self._told = "" if after.startswith(_WITHIN) else self._common(after)
        self.is_past_the_rest()

    def is_full_at(self, record: Record) -> bool:
        """Whether the record would be one entry too many; else it is taken, if it is one."""
        key = record.key
        self.at = key
        if record.current is None or (self._told and key.startswith(self._told)):
            return False
        if len(self._records) + len(self._prefixes) == self._limit:
            return True
        self._told = self.last = self._common(key)
        if self._told:
            self._prefixes.append(self._told)
        else:
            self._records.append(record)
            self.last = key
        return False

    def is_past_the_rest(self) -> bool:
        """Whether `at` was within a common prefix that is told, and is now after all of its keys."""
        within = bool(self._told) and self.at.startswith(self._told)
        if within:
            # The last key that can begin so, but for some of the longest: these are seen, and left out by `_told`.
            self.at = self._told + _LAST * ((MAX_KEY_BYTES - len(self._told.encode())) // len(_LAST.encode()))
        return within

    def here(self) -> str:
        """From where the next page goes on when this one stops before its end."""
        if self._told and self.at.startswith(self._told):
            return self._told
        return _WITHIN + self.at if self._common(self.at) else self.at

    def page(self, following: str | None) -> Page:
        return Page(tuple(self._records), tuple(self._prefixes), following)

    def _common(self, key: str) -> str:
        """The common prefix that the key is rolled up into, empty for none."""
        if not self._delimiter or not key.startswith(self._prefix):
            return ""
        end = key.find(self._delimiter, len(self._prefix))
        return "" if end < 0 else key[: end + len(self._delimiter)]

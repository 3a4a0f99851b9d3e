"""Listings: what the pages give, one after the other, is what a simple model of S3's ListObjectsV2 gives."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

from nearside.gateway.errors import InvalidArgument
from nearside.gateway.listings import Listings
from nearside.gateway.records import Generation, Record
from tests.unit.gateway_memory import MemoryRecords

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "photos"
LAST = "\U0010ffff"

# Few characters, so that keys often share prefixes; among them the last one, and two that UTF-16 would sort otherwise.
letters = st.text(st.sampled_from("ab/\uffee\U0001f600" + LAST), min_size=1, max_size=5)
keys = st.lists(st.one_of(letters, st.builds("a/{}".format, letters)), unique=True, max_size=12)
part = st.text(st.sampled_from("ab/"), max_size=3)


class Counting(MemoryRecords):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> tuple[Sequence[Record], bool]:
        assert len(after.encode()) <= 1024
        found, more = super().page(bucket, prefix, after, limit)
        self.reads.append(len(found))
        return found, more


def records_of(living: Sequence[str], dead: Sequence[str] = ()) -> Counting:
    records = Counting()
    for key in [*living, *dead]:
        current = Generation(id=key, made=0, size=1, etag="e") if key in living else None
        records.items[BUCKET, key] = Record(bucket=BUCKET, key=key, current=current, deleted=None if current else 1)
    return records


def model(living: Sequence[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """Keys and common prefixes, as the API's page tells it."""
    entries = set()
    for key in living:
        if key.startswith(prefix):
            rest = key[len(prefix) :]
            rolled = bool(delimiter) and delimiter in rest
            entries.add(prefix + rest[: rest.index(delimiter)] + delimiter if rolled else key)
    return sorted((each for each in entries if each > after), key=lambda each: each.encode())


def pages(listings: Listings, prefix: str, delimiter: str, after: str, limit: int) -> Iterator[list[str]]:
    following: str | None = after
    for _ in range(200):
        page = listings.page(BUCKET, prefix, delimiter, following or "", limit)
        names = [record.key for record in page.records]
        assert names == sorted(names, key=str.encode)
        assert list(page.prefixes) == sorted(page.prefixes, key=str.encode)
        yield sorted([*names, *page.prefixes], key=str.encode)
        following = page.following
        if following is None:
            return
    raise AssertionError("the listing does not end")


@given(keys, keys, part, st.sampled_from(["", "/", "a", "ab", "//"]), part, st.integers(1, 5), st.integers(1, 400))
@example(["a/x", "a/y"], ["a/a", "a/b"], "", "/", "", 5, 1)  # stops within a common prefix of which nothing was told
@example(["a/1", "a/2", "a/3", "b"], [], "", "/", "", 1, 1)  # stops within one that was told
@example(["a/y"], ["a/", "a/x"], "", "/", "", 5, 1)
@example([f"a/{LAST * 255}aa", "b"], [], "", "/", "", 1, 1)  # as far behind as a key can be
def test_the_pages_are_what_s3_gives(
    living: list[str], dead: list[str], prefix: str, delimiter: str, after: str, limit: int, budget: int
) -> None:
    records = records_of(living, [key for key in dead if key not in living])
    expected = model(living, prefix, delimiter, after)
    unbounded = list(pages(Listings(records), prefix, delimiter, after, limit))
    assert [entry for page in unbounded for entry in page] == expected
    assert [len(page) for page in unbounded[:-1]] == [limit] * (len(unbounded) - 1), "only the last page may be short"
    bounded = list(pages(Listings(records, budget), prefix, delimiter, after, limit))
    assert [entry for page in bounded for entry in page] == expected
    assert all(len(page) <= limit for page in bounded)


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.mark.parametrize("delimiter", ["", "/", "o"])
@pytest.mark.parametrize("prefix", ["", "photos/", "photos/2", "no"])
@pytest.mark.parametrize("after", ["", "photos/", "photos/2025/b.jpg", "photos/2026/", "zebra"])
def test_the_pages_are_what_moto_gives(s3: "S3Client", delimiter: str, prefix: str, after: str) -> None:
    living = [
        "a.txt",
        "note.txt",
        "photos/",
        "photos/2025/a.jpg",
        "photos/2025/b.jpg",
        "photos/2025/c.jpg",
        "photos/2026/a.jpg",
        "photos/cover.jpg",
        "zoo/über.txt",
        "zoo/😀.txt",
    ]
    for key in living:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    paginator = s3.get_paginator("list_objects_v2")
    theirs = [
        sorted(
            [each["Key"] for each in page.get("Contents", ())]
            + [each["Prefix"] for each in page.get("CommonPrefixes", ())],
            key=str.encode,
        )
        for page in paginator.paginate(
            Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter, StartAfter=after, PaginationConfig={"PageSize": 2}
        )
    ]
    ours = list(pages(Listings(records_of(living)), prefix, delimiter, after, 2))
    assert ours == theirs


def test_a_large_common_prefix_is_skipped_and_not_read() -> None:
    folders = [f"{folder}/{number:04d}" for folder in "abc" for number in range(3000)]
    records = records_of([*folders, "d"])
    page = Listings(records).page(BUCKET, "", "/", "", 1000)
    assert (list(page.prefixes), [record.key for record in page.records]) == (["a/", "b/", "c/"], ["d"])
    assert sum(records.reads) < 3000
    assert page.following is None


def test_common_prefixes_of_few_keys_are_read_many_at_once() -> None:
    records = records_of([f"{folder:04d}/{number}" for folder in range(300) for number in range(3)])
    page = Listings(records).page(BUCKET, "", "/", "", 1000)
    assert len(page.prefixes) == 300
    assert len(records.reads) == 1


def test_very_many_deleted_records_take_a_bounded_time_per_page() -> None:
    records = records_of(["z"], [f"gone/{number:05d}" for number in range(5000)])
    listings = Listings(records, budget=1000)
    found, calls, following = [], 0, ""
    while True:
        records.reads.clear()
        page = listings.page(BUCKET, "", "/", following, 10)
        assert sum(records.reads) <= 2000
        found += [*page.prefixes, *(record.key for record in page.records)]
        calls += 1
        if page.following is None:
            break
        following = page.following
    assert found == ["z"]
    assert calls > 3


def test_nothing_is_asked_for() -> None:
    page = Listings(records_of(["a"])).page(BUCKET, "", "", "", 0)
    assert (page.records, page.prefixes, page.following) == ((), (), None)


def test_a_start_that_is_longer_than_a_key_can_be_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="1024"):
        Listings(records_of(["a"])).page(BUCKET, "", "", "a" * 1025, 1)


def test_the_delimiter_after_a_prefix_of_the_longest_key() -> None:
    longest = "a" * 1023 + "/"
    page = Listings(records_of([longest, longest[:-1]])).page(BUCKET, "", "/", "", 1)
    assert [record.key for record in page.records] == [longest[:-1]]
    page = Listings(records_of([longest, longest[:-1]])).page(BUCKET, "", "/", page.following or "", 1)
    assert (list(page.prefixes), page.following) == ([longest], None)

"""The parts of an upload: of any size that S3 takes, parts that S3 takes, and together exactly the whole."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nearside.uploads_sizes import (
    MAX_BYTES,
    MAX_PARTS,
    MIN_PART_BYTES,
    SINGLE_BYTES,
    part_bytes_of,
    part_count,
    part_size,
)

MAX_PART_BYTES = 5 * 1024**3


@given(st.integers(1, MAX_BYTES))
@example(1)
@example(SINGLE_BYTES)
@example(SINGLE_BYTES + 1)
@example(MAX_PARTS * SINGLE_BYTES)
@example(MAX_PARTS * SINGLE_BYTES + 1)
@example(MAX_BYTES)
def test_any_size_is_divided_into_parts_that_s3_takes(size: int) -> None:
    part_bytes = part_bytes_of(size)
    count = part_count(size, part_bytes)
    assert MIN_PART_BYTES <= part_bytes <= MAX_PART_BYTES
    assert 1 <= count <= MAX_PARTS
    last = part_size(size, part_bytes, count)
    assert 1 <= last <= part_bytes
    assert (count - 1) * part_bytes + last == size
    if count > 1:
        assert part_size(size, part_bytes, 1) == part_size(size, part_bytes, count - 1) == part_bytes


@pytest.mark.parametrize(("size", "part_bytes"), [(0, 16), (160_000 * 1024**2, 16), (160_000 * 1024**2 + 1, 17)])
def test_parts_are_whole_mebibytes(size: int, part_bytes: int) -> None:
    assert part_bytes_of(size) == part_bytes * 1024**2


def test_nothing_is_one_part_of_nothing() -> None:
    assert (part_count(0, part_bytes_of(0)), part_size(0, part_bytes_of(0), 1)) == (1, 0)

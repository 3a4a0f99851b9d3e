"""Sizes and times in words, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.caching import quantities
from nearside.errors import BadRequest


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_536_000_000, "1.5 GB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert quantities.told(size) == words


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("30 d", 2_592_000), ("2w", 1_209_600)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert quantities.seconds_in(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("18", 18),
        ("18b", 18),
        ("500MB", 500_000_000),
        ("20 GB", 20_000_000_000),
        ("1.5k", 1500),
        ("1tb", 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert quantities.bytes_in(text) == size


@given(size=st.integers(0, 10**15))
def test_a_bare_number_is_exact(size: int) -> None:
    assert quantities.bytes_in(str(size)) == quantities.bytes_in(f"{size}B") == size


@pytest.mark.parametrize(
    "text", ["", "d", "-1", "-1d", "1y", "1 000", "1d2h", "0x10", "٣", "1e3", "1.", ".5", "1\n", "nan"]
)
def test_what_is_neither_is_said(text: str) -> None:
    with pytest.raises(BadRequest, match="is no length of time"):
        quantities.seconds_in(text)
    with pytest.raises(BadRequest, match="is no size"):
        quantities.bytes_in(text)


def test_moments_are_in_utc() -> None:
    assert quantities.moment(0) == "1970-01-01T00:00:00Z"
    assert quantities.moment(1_800_000_000.9) == "2027-01-15T08:00:00Z"


@given(text=st.text())
def test_what_is_shown_is_printable_and_stays_where_it_was(text: str) -> None:
    assert quantities.shown(text).isprintable()
    assert not text.isprintable() or quantities.shown(text) == text

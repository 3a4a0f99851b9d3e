"""CRCs of bytes put together, against the CRCs of the bytes."""

import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.gateway.checksums import computed
from nearside.gateway.crc_combining import ALGORITHMS, combined


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(pieces=st.lists(st.binary(max_size=70), max_size=8))
def test_the_crc_of_the_pieces_is_that_of_the_whole(algorithm: str, pieces: list[bytes]) -> None:
    found = combined(algorithm, [(computed(algorithm, piece), len(piece)) for piece in pieces])
    assert found == computed(algorithm, b"".join(pieces))


def test_pieces_larger_than_32_bits_count() -> None:
    """2^32 zero bytes behind one: without reading them all, by putting twice as many together each time."""
    crc, size = b64encode(zlib.crc32(b"\0").to_bytes(4)).decode(), 1
    while size < 2**33:
        crc, size = combined("crc32", [(crc, size), (crc, size)]), 2 * size
    one = computed("crc32", b"x")
    halves = combined("crc32", [(one, 1), (crc, size), (crc, size)])
    assert combined("crc32", [(one, 1), (combined("crc32", [(crc, size), (crc, size)]), 2 * size)]) == halves


def test_the_order_of_pieces_counts() -> None:
    first, second = (computed("crc64nvme", b"a"), 1), (computed("crc64nvme", b"bc"), 2)
    assert combined("crc64nvme", [first, second]) != combined("crc64nvme", [second, first])

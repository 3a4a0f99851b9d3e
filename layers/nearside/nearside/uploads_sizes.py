"""How an upload is divided into parts."""

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_BYTES = 5 * 1024**4
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * 1024**2

PART_BYTES = 16 * 1024**2
SINGLE_BYTES = PART_BYTES  # what is one part anyway needs no begin and no end

_MIB = 1024**2


def part_bytes_of(size: int) -> int:
    """The size of each part but the last, in whole MiB, so that there are at most 10,000 of them."""
    return max(PART_BYTES, -(-size // MAX_PARTS // _MIB) * _MIB)


def part_count(size: int, part_bytes: int) -> int:
    """How many parts there are; one for nothing, since an upload of no part cannot be completed."""
    return max(1, -(-size // part_bytes))


def part_size(size: int, part_bytes: int, number: int) -> int:
    """The bytes of the part of that number."""
    return min(part_bytes, size - (number - 1) * part_bytes)

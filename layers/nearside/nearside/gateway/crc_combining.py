"""The CRC of bytes put together, from the CRCs and sizes of the pieces: so no byte has to be read again.

CRCs are remainders of polynomials over GF(2): putting n bytes behind others multiplies the remainder of the first by
x^(8n). As zlib's `crc32_combine` does it (https://github.com/madler/zlib/blob/v1.3.1/crc32.c), here for any width.
"""

import base64
from collections.abc import Iterable, Mapping
from functools import lru_cache

# Width in bits and polynomial, lowest power in the highest bit. All of them begin and end with all bits inverted:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html and
# https://reveng.sourceforge.io/crc-catalogue/all.htm (CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME)
_KINDS: Mapping[str, tuple[int, int]] = {
    "crc32": (32, 0xEDB88320),
    "crc32c": (32, 0x82F63B78),
    "crc64nvme": (64, 0x9A6C9329AC4BC9B5),
}
ALGORITHMS = tuple(_KINDS)


def combined(algorithm: str, pieces: Iterable[tuple[str, int]]) -> str:
    """The CRC, in base64, of all bytes; `pieces` are the base64 CRC and the size in bytes of each piece, in order.
    `algorithm` is one of ALGORITHMS."""
    width, polynomial = _KINDS[algorithm]
    crc = 0
    for text, size in pieces:
        factor = _power(width, polynomial, size)
        crc = _times(width, polynomial, factor, crc) ^ int.from_bytes(base64.b64decode(text))
    return base64.b64encode(crc.to_bytes(width // 8)).decode()


def _times(width: int, polynomial: int, first: int, second: int) -> int:
    """The product of two polynomials, modulo the third."""
    product, bit = 0, 1 << (width - 1)
    while first:
        if first & bit:
            product ^= second
            first ^= bit
        bit >>= 1
        second = (second >> 1) ^ (polynomial if second & 1 else 0)
    return product


@lru_cache(maxsize=64)  # parts of one upload have one size, but for the last
def _power(width: int, polynomial: int, size: int) -> int:
    """x^(8 · size), modulo the polynomial."""
    power, factor = 1 << (width - 1), 1 << (width - 9)  # x^0 and x^8
    while size:
        if size & 1:
            power = _times(width, polynomial, factor, power)
        factor = _times(width, polynomial, factor, factor)
        size >>= 1
    return power

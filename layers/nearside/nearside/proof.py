"""Proof that two copies are the same bytes: S3's own checksums of both, or ours; an ETag alone is none.

ETags depend on how a copy was uploaded and encrypted: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
"""

from typing import Protocol

from nearside.copies import Close
from nearside.places import Place

MAX_READ_BYTES = 100 * 1024**2  # of each copy: two of them take some 4 s of a request's 28, at 50 MB/s


class Digests(Protocol):
    """The SHA-256 of a version as it is read, in hexadecimal. Raises Missing, Refused or Unreachable."""

    def __call__(self, place: Place, key: str, version: str) -> str: ...


class Differs(Exception):
    """The two copies are not the same bytes; the message says by what."""


class Unproved(Exception):
    """Nothing proves it, and nothing speaks against it; the message says why."""


def proof(digest: Digests, key: str, first: tuple[Place, Close], second: tuple[Place, Close]) -> str:
    """What proves the two the same, in words. Raises Differs, Unproved; Missing, Refused or Unreachable when a copy
    cannot be read."""
    (place, one), (other_place, other) = first, second
    if one.size != other.size:
        raise Differs(f"{one.size} bytes in {place.name}, {other.size} in {other_place.name}")
    for name, value in one.checksums.items():
        if name in other.checksums:
            if other.checksums[name] != value:
                raise Differs(f"S3's {name} is {value} in {place.name}, {other.checksums[name]} in {other_place.name}")
            return f"S3's {name} of both is {value}, {one.size} bytes"
    if one.size > MAX_READ_BYTES:
        raise Unproved(
            f"S3 has no checksum of both that can be compared, and {one.size} bytes are more than are read back here "
            f"({MAX_READ_BYTES})"
        )
    mine, theirs = digest(place, key, one.version), digest(other_place, key, other.version)
    if mine != theirs:
        raise Differs(f"the SHA-256 is {mine} in {place.name}, {theirs} in {other_place.name}")
    return f"both were read back: SHA-256 {mine}, {one.size} bytes"

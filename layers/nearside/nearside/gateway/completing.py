"""What a completed upload's object is: its parts chosen from those that came, its size, ETag and checksums."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence

import msgspec

from nearside.errors import BadRequest, TooLarge
from nearside.gateway import crc_combining
from nearside.gateway.checksums import composite
from nearside.gateway.errors import BadDigest, InvalidPart, InvalidPartOrder, MalformedXml, Unavailable
from nearside.gateway.places import Places
from nearside.gateway.records import Generation, Part, Upload

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_OBJECT_BYTES = 5 * 1024**4


def chosen(known: Sequence[Part], wanted: Sequence[tuple[int, str]]) -> Sequence[Part]:
    """The parts with these numbers and ETags (quotes may be missing).

    There is no least size of a part, though S3 has one of 5 MiB for all but the last: parts that fit through Lambda are
    smaller. Raises MalformedXml for no part at all, InvalidPartOrder unless the numbers ascend, InvalidPart for a part
    that did not come or has another ETag, TooLarge for more than 5 TiB.
    """
    if not wanted:
        raise MalformedXml("an upload is completed with one part at least")
    for (before, _), (number, _) in itertools.pairwise(wanted):
        if number <= before:
            raise InvalidPartOrder(f"part {number} comes after part {before}: parts are listed in ascending order")
    came = {part.number: part for part in known}
    parts = []
    for number, etag in wanted:
        part = came.get(number)
        if part is None:
            raise InvalidPart(f"part {number} was not uploaded")
        if part.etag != etag.strip('"').lower():
            raise InvalidPart(f"part {number} has the ETag {part.etag!r}, not {etag!r}")
        parts.append(part)
    size = sum(part.size for part in parts)
    if size > MAX_OBJECT_BYTES:
        raise TooLarge(f"the object would have {size} bytes: at most {MAX_OBJECT_BYTES} (5 TiB)")
    return parts


def check_quorum(parts: Sequence[Part], places: Places, quorum: int | None) -> None:
    """Raises Unavailable for a part that fewer than `quorum` places have, if it is given."""
    for part in parts:
        having = sum(1 for name in part.copies if name in places)
        if quorum is not None and having < quorum:
            raise Unavailable(f"X-Write-Quorum is {quorum}: {having} places have part {part.number}; upload it again")


def put_together(upload: Upload, parts: Sequence[Part], manifest: str, now: float) -> Generation:
    """The upload's generation, made of these parts at `now` (seconds since the epoch), which are listed as those of
    `manifest`. It is as new as its completion, so that whoever asks If-Modified-Since gets it."""
    return msgspec.structs.replace(
        upload.generation,
        made=int(now * 1000),
        size=sum(part.size for part in parts),
        etag=etag_of([part.etag for part in parts]),
        checksums=_checksums(upload.generation, parts),
        upload=manifest,
    )


def etag_of(etags: Sequence[str]) -> str:
    """S3's ETag of an object with these parts: the MD5 of their MD5s, and how many there are."""
    md5s = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(etags)}"


def check_announced(generation: Generation, announced: Mapping[str, str]) -> None:
    """Raises BadDigest when the client says another checksum of the whole object than its parts give, BadRequest for
    one that they do not give."""
    for algorithm, value in announced.items():
        found = generation.checksums.get(algorithm)
        if found is None:
            raise BadRequest(f"the parts were not uploaded with {algorithm.upper()} checksums, so the object has none")
        if found.partition("-")[0] != value.partition("-")[0]:
            raise BadDigest(f"The {algorithm.upper()} you specified did not match the calculated checksum.")


def _checksums(wish: Generation, parts: Sequence[Part]) -> Mapping[str, str]:
    """By algorithm: those that were wished for when the upload was created, of which every part has its own. A
    FULL_OBJECT one is as sure as the parts' are, which were compared with the bytes when they came."""
    found = {}
    for algorithm in wish.checksums:
        each = [(part.checksums[algorithm], part.size) for part in parts]
        if wish.checksum_type == "COMPOSITE":
            found[algorithm] = composite(algorithm, [value for value, _ in each])
        else:
            found[algorithm] = crc_combining.combined(algorithm, each)
    return found

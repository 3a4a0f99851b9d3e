"""The checksums that S3 keeps with objects: what a client announces, computed anew and compared.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html. CRC32C, CRC64NVME and the
XXHash family come from awscrt, which is imported when one is asked for: 40 ms that most requests do not need.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence

from nearside.errors import BadRequest
from nearside.gateway.errors import BadDigest, InvalidArgument, InvalidDigest

HEADER = "x-amz-checksum-"
# They begin like a checksum and say something of it.
_NO_CHECKSUMS = ("x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type")


def _crc32(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(4)


def _crc32c(body: bytes) -> bytes:
    from awscrt.checksums import crc32c

    return int(crc32c(body)).to_bytes(4)


def _crc64nvme(body: bytes) -> bytes:
    from awscrt.checksums import crc64nvme

    return int(crc64nvme(body)).to_bytes(8)


def _xxhash64(body: bytes) -> bytes:
    from awscrt.checksums import XXHash

    return bytes(XXHash.compute_xxhash64(body))


def _xxhash3(body: bytes) -> bytes:
    from awscrt.checksums import XXHash

    return bytes(XXHash.compute_xxhash3_64(body))


def _xxhash128(body: bytes) -> bytes:
    from awscrt.checksums import XXHash

    return bytes(XXHash.compute_xxhash3_128(body))


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


def _sha1(body: bytes) -> bytes:
    return hashlib.sha1(body, usedforsecurity=False).digest()


def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _sha512(body: bytes) -> bytes:
    return hashlib.sha512(body).digest()


_DIGESTS: Mapping[str, tuple[int, Callable[[bytes], bytes]]] = {
    "crc32": (4, _crc32),
    "crc32c": (4, _crc32c),
    "crc64nvme": (8, _crc64nvme),
    "md5": (16, _md5),
    "sha1": (20, _sha1),
    "sha256": (32, _sha256),
    "sha512": (64, _sha512),
    "xxhash64": (8, _xxhash64),
    "xxhash3": (8, _xxhash3),
    "xxhash128": (16, _xxhash128),
}
ALGORITHMS: Sequence[str] = tuple(_DIGESTS)
"""By the names that they have in headers; S3's XML and `x-amz-checksum-algorithm` have them in capitals."""


def algorithm_named(name: str) -> str:
    """The algorithm's name in lower case. Raises InvalidArgument for one that is not known, with those that are."""
    algorithm = name.lower()
    if algorithm not in _DIGESTS:
        raise InvalidArgument(f"Checksum algorithm {name!r} is not known: expected one of {', '.join(ALGORITHMS)}")
    return algorithm


def computed(algorithm: str, body: bytes) -> str:
    """The body's checksum in base64. Raises InvalidArgument for an unknown algorithm."""
    return base64.b64encode(_DIGESTS[algorithm_named(algorithm)][1](body)).decode()


def announced(headers: Mapping[str, str]) -> dict[str, str]:
    """The checksums among headers or trailers (lower-case names): base64 by algorithm, as they came.

    Raises InvalidArgument for an unknown algorithm, and BadRequest for more than one, which S3 does not take.
    """
    found = {
        algorithm_named(name.removeprefix(HEADER)): value.strip()
        for name, value in headers.items()
        if name.startswith(HEADER) and name not in _NO_CHECKSUMS
    }
    if len(found) > 1:
        names = ", ".join(HEADER + algorithm for algorithm in found)
        raise BadRequest(f"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed: {names}")
    return found


def check(algorithm: str, declared: str, body: bytes) -> None:
    """Raises BadDigest when the declared base64 is not the body's checksum, BadRequest when it cannot be one."""
    if _decoded_size(declared) != _DIGESTS[algorithm_named(algorithm)][0]:
        raise BadRequest(f"Value for {HEADER}{algorithm} header is invalid.")
    if computed(algorithm, body) != declared:
        raise BadDigest(f"The {algorithm.upper()} you specified did not match the calculated checksum.")


def check_md5(declared: str, body: bytes) -> None:
    """The same for Content-MD5 (RFC 1864): BadDigest, or InvalidDigest when it cannot be one."""
    if _decoded_size(declared) != 16:
        raise InvalidDigest(f"The Content-MD5 you specified was invalid: {declared!r}")
    if base64.b64encode(_md5(body)).decode() != declared:
        raise BadDigest("The Content-MD5 you specified did not match what we received.")


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """The checksum of an object made of parts with these checksums (base64, in order): that of the parts' bytes put
    together, and the number of parts.

    Raises InvalidArgument for an unknown algorithm, and BadRequest for CRC64NVME, which S3 has for whole objects only.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html#large-object-checksums
    """
    if algorithm_named(algorithm) == "crc64nvme":
        raise BadRequest("The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.")
    return f"{computed(algorithm, b''.join([base64.b64decode(part, validate=True) for part in parts]))}-{len(parts)}"


def _decoded_size(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except ValueError:  # no base64, or not even ASCII
        return -1

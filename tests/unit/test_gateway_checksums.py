"""The gateway's checksums: known values, S3's form of composite ones, and names."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from botocore import httpchecksum
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import BadRequest
from nearside.gateway.checksums import ALGORITHMS, algorithm_named, announced, check, composite, computed
from nearside.gateway.errors import BadDigest, InvalidArgument

THEIRS: Mapping[str, Any] = vars(httpchecksum)["_CHECKSUM_CLS"]

# Of `123456789`. CRCs: https://reveng.sourceforge.io/crc-catalogue/all.htm (CRC-32/ISO-HDLC, CRC-32/ISCSI,
# CRC-64/NVME); MD5 and SHA: `printf 123456789 | md5sum`, and so on.
KNOWN = {
    "crc32": "cbf43926",
    "crc32c": "e3069283",
    "crc64nvme": "ae8b14860a799888",
    "md5": "25f9e794323b453885f5181f1b624d0b",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("algorithm", KNOWN)
def test_known_values(algorithm: str) -> None:
    assert base64.b64decode(computed(algorithm, b"123456789")).hex() == KNOWN[algorithm]


@pytest.mark.parametrize("algorithm", sorted(set(THEIRS) & set(ALGORITHMS)))
@given(body=st.binary(max_size=200))
def test_they_are_what_botocore_sends(algorithm: str, body: bytes) -> None:
    theirs = THEIRS[algorithm]()
    theirs.update(body)
    assert computed(algorithm, body) == theirs.b64digest()


def test_all_that_botocore_can_send_are_known() -> None:
    assert set(THEIRS) <= set(ALGORITHMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_that_is_not_the_bodys_is_refused(algorithm: str) -> None:
    check(algorithm, computed(algorithm, b"abc"), b"abc")
    with pytest.raises(BadDigest):
        check(algorithm, computed(algorithm, b"abc"), b"abd")


def test_a_composite_is_the_checksum_of_the_parts_checksums() -> None:
    parts = [computed("sha256", b"a" * 10), computed("sha256", b"b")]
    joined = b"".join(base64.b64decode(part) for part in parts)
    assert composite("sha256", parts) == f"{computed('sha256', joined)}-2"
    assert composite("SHA256", parts[:1]) == f"{computed('sha256', base64.b64decode(parts[0]))}-1"
    with pytest.raises(BadRequest, match="COMPOSITE checksum type cannot be used with the crc64nvme"):
        composite("crc64nvme", [computed("crc64nvme", b"a")])


def test_names_are_known_in_either_case() -> None:
    assert [algorithm_named(name.upper()) for name in ALGORITHMS] == list(ALGORITHMS)
    with pytest.raises(InvalidArgument, match="Checksum algorithm 'CRC16' is not known: expected one of crc32, crc32c"):
        algorithm_named("CRC16")


def test_what_is_announced_among_headers() -> None:
    headers = {"x-amz-checksum-crc32": " abc= ", "x-amz-checksum-type": "FULL_OBJECT", "content-type": "a"}
    assert announced(headers) == {"crc32": "abc="}
    assert announced({}) == {}

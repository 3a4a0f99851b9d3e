"""Bodies of the gateway's requests: hashes, aws-chunked with and without signatures, trailers, and what breaks them."""

import base64
import hashlib
import hmac
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum, Sha256Checksum
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from nearside import signing
from nearside.errors import BadRequest, NearsideError
from nearside.gateway.access_keys import AccessKey, Secret
from nearside.gateway.checksums import ALGORITHMS, computed
from nearside.gateway.chunks import MAX_LINE_BYTES, body_of
from nearside.gateway.errors import (
    BadDigest,
    HashMismatch,
    IncompleteBody,
    InvalidArgument,
    InvalidDigest,
    LengthMissing,
    NotSupported,
    WrongSignature,
)
from nearside.gateway.s3_requests import S3Request
from nearside.gateway.signatures import Signed
from tests.unit.gateway_requests import (
    KEY,
    SECRET,
    received,
    signed_by_header,
    signed_by_query,
    signed_by_v4a,
    verifier,
)

UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
HMAC = "AWS4-HMAC-SHA256"
ECDSA = "AWS4-ECDSA-P256-SHA256"
NOTHING = hashlib.sha256().hexdigest()
CRC32_OF_ABC = base64.b64encode(zlib.crc32(b"abc").to_bytes(4)).decode()

bodies = st.binary(max_size=300)
sizes = st.integers(1, 100)

type Sign = Callable[[str], str]


def put(body: bytes, headers: Sequence[tuple[str, str]] = (), payload: str | None = None) -> tuple[S3Request, Signed]:
    """A PUT of exactly this body, and its verified signature."""
    request = signed_by_header("PUT", "/photos/a", "", headers, body, payload=payload)
    return request, verifier().verify(request)


def streamed(
    body: bytes, length: int, payload: str = UNSIGNED_TRAILER, trailer: str = "", **more: str
) -> tuple[S3Request, Signed]:
    """The same for an aws-chunked one that announces its decoded length and a trailer."""
    headers = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", str(length))]
    headers += [("x-amz-trailer", trailer)] if trailer else []
    headers += [(name.replace("_", "-"), value) for name, value in more.items()]
    return put(body, headers, payload)


def chunked(
    parts: Sequence[bytes], signed: Signed, sign: Sign, trailers: Mapping[str, str] = {}, pad: int = 0
) -> bytes:
    """The parts as signed chunks, made by hand from the documentation."""
    head = f"{signed.timestamp}\n{signed.scope}\n"
    previous, out = signed.signature, b""
    for part in [*parts, b""]:
        digest = hashlib.sha256(part).hexdigest()
        previous = sign(f"{signed.algorithm}-PAYLOAD\n{head}{previous}\n{NOTHING}\n{digest}")
        out += f"{len(part):x};chunk-signature={previous.ljust(pad, '*')}\r\n".encode() + part
        out += b"\r\n" if part else b""
    if trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        digest = hashlib.sha256(lines.encode()).hexdigest()
        last = sign(f"{signed.algorithm}-TRAILER\n{head}{previous}\n{digest}")
        out += lines.replace("\n", "\r\n").encode() + f"x-amz-trailer-signature:{last.ljust(pad, '*')}\r\n".encode()
    return out + b"\r\n"


def by_hmac(text: str) -> str:
    key = b"AWS4" + SECRET.encode()
    for part in ("20231114", "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def by_ecdsa(text: str) -> str:
    return signing.v4a_key(KEY.id, SECRET).sign(text.encode(), ec.ECDSA(SHA256())).hex()


def split(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def with_body(made: tuple[S3Request, Signed], body: bytes) -> tuple[S3Request, Signed]:
    return msgspec.structs.replace(made[0], body=body), made[1]


@given(bodies)
def test_a_body_whose_hash_was_signed(body: bytes) -> None:
    assert body_of(*put(body)) == (body, {})
    request, signed = put(body)
    with pytest.raises(HashMismatch, match="does not match what was computed"):
        body_of(msgspec.structs.replace(request, body=body + b"x"), signed)


def test_an_unsigned_body() -> None:
    assert body_of(*put(b"abc", payload="UNSIGNED-PAYLOAD")) == (b"abc", {})
    request = msgspec.structs.replace(signed_by_query("PUT", "/photos/a"), body=b"abc")
    assert body_of(request, verifier().verify(request)) == (b"abc", {})


def test_a_presigned_url_may_name_the_hash_of_the_body() -> None:
    url = signing.V4(signing.Credentials(KEY.id, SECRET), 1_700_000_000, "eu-west-2").presign(
        "PUT",
        ("https", "gateway.example.com", "/photos"),
        "a",
        60,
        query={"X-Amz-Content-Sha256": hashlib.sha256(b"abc").hexdigest()},
        payload_hash=hashlib.sha256(b"abc").hexdigest(),
    )
    request = received("PUT", "/photos/a", url.partition("?")[2], body=b"abc")
    signed = verifier().verify(request)
    assert body_of(request, signed) == (b"abc", {})
    with pytest.raises(HashMismatch):
        body_of(msgspec.structs.replace(request, body=b"abd"), signed)


@pytest.mark.parametrize("payload", ["abc", "0" * 63, "é" * 64, "STREAMING", "unsigned-payload"])
def test_a_hash_that_cannot_be_one(payload: str) -> None:
    with pytest.raises(InvalidArgument, match="or a valid sha256 value"):
        body_of(*put(b"abc", payload=payload))


@pytest.mark.parametrize("payload", ["STREAMING-AWS4-HMAC-SHA256-EVENTS", "STREAMING-", "STREAMING-UNSIGNED-PAYLOAD"])
def test_a_stream_of_another_kind(payload: str) -> None:
    with pytest.raises(NotSupported, match=payload):
        body_of(*streamed(b"0\r\n\r\n", 0, payload))


@given(bodies, sizes, st.sampled_from([(Crc32Checksum, "crc32"), (Sha256Checksum, "sha256"), (None, "")]))
def test_what_botocore_streams(body: bytes, size: int, kind: tuple[type | None, str]) -> None:
    checksum, name = kind
    header = f"x-amz-checksum-{name}" if name else ""
    wrapped = AwsChunkedWrapper(io.BytesIO(body), checksum_cls=checksum, checksum_name=header, chunk_size=size)
    made = streamed(wrapped.read(), len(body), trailer=header)
    assert body_of(*made) == (body, {name: computed(name, body)} if name else {})


@given(bodies, sizes, st.booleans(), st.sampled_from([HMAC, ECDSA]))
def test_signed_chunks_and_trailers(body: bytes, size: int, trailing: bool, algorithm: str) -> None:
    made, sign = signed_stream(body, trailing, algorithm)
    trailers = {"x-amz-checksum-crc32c": computed("crc32c", body)} if trailing else {}
    sent = chunked(split(body, size), made[1], sign, trailers, 0 if algorithm == HMAC else 144)
    expected = {"crc32c": trailers["x-amz-checksum-crc32c"]} if trailing else {}
    assert body_of(*with_body(made, sent)) == (body, expected)


def signed_stream(body: bytes, trailing: bool, algorithm: str) -> tuple[tuple[S3Request, Signed], Sign]:
    payload = f"STREAMING-{algorithm}-PAYLOAD{'-TRAILER' if trailing else ''}"
    trailer = "x-amz-checksum-crc32c" if trailing else ""
    if algorithm == HMAC:
        return streamed(b"", len(body), payload, trailer), by_hmac
    headers = [("x-amz-decoded-content-length", str(len(body)))]
    headers += [("x-amz-trailer", trailer)] if trailer else []
    request = signed_by_v4a("PUT", "/photos/a", headers=headers, payload=payload)
    return (request, verifier().verify(request)), by_ecdsa


@given(st.binary(min_size=1, max_size=100), sizes, st.booleans(), st.sampled_from([HMAC, ECDSA]), st.data())
def test_a_changed_byte_of_signed_chunks_is_refused(
    body: bytes, size: int, trailing: bool, algorithm: str, data: st.DataObject
) -> None:
    made, sign = signed_stream(body, trailing, algorithm)
    trailers = {"x-amz-checksum-crc32c": computed("crc32c", body)} if trailing else {}
    good = chunked(split(body, size), made[1], sign, trailers)
    at = data.draw(st.integers(0, 10_000)) % len(good)
    changed = good[:at] + bytes([good[at] ^ 1 << data.draw(st.integers(0, 7))]) + good[at + 1 :]
    try:
        found = body_of(*with_body(made, changed))[0]
    except NearsideError:
        return
    # What is written in another case, or as other white space, means the same.
    assert found == body
    assert changed.lower().split() == good.lower().split() or not good[at : at + 1].isalnum()


@given(st.binary(min_size=2, max_size=100), sizes, st.data())
def test_chunks_that_are_left_out_or_swapped_are_refused(body: bytes, size: int, data: st.DataObject) -> None:
    made, sign = signed_stream(body, False, HMAC)
    parts = split(body, size)
    lines = chunked(parts, made[1], sign)
    pieces = [f"{len(part):x};chunk-signature=".encode() for part in parts]
    first = lines.index(pieces[0])
    rest = lines[first + len(pieces[0]) + 64 + 2 + len(parts[0]) + 2 :]
    with pytest.raises((WrongSignature, IncompleteBody)):
        body_of(*with_body(made, rest))
    cut = data.draw(st.integers(0, len(lines) - 3))
    with pytest.raises(NearsideError):
        body_of(*with_body(made, lines[:cut]))


def test_the_examples_of_the_documentation() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html#example-signature-calculations-streaming"""
    signatures = (
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    )
    body = b"".join(
        f"{len(part):x};chunk-signature={signature}\r\n".encode() + part + b"\r\n"
        for part, signature in zip((b"a" * 65_536, b"a" * 1024, b""), signatures, strict=True)
    )
    assert len(body) == 66_824
    headers = {
        "content-encoding": "aws-chunked",
        "content-length": "66824",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-date": "20130524T000000Z",
        "x-amz-decoded-content-length": "66560",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    assert body_of(*documented(headers, body, seed)) == (b"a" * 66_560, {})


def test_the_example_with_a_trailer_of_the_documentation() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html"""
    signatures = (
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    )
    body = b"".join(
        f"{len(part):x};chunk-signature={signature}\r\n".encode() + part + (b"\r\n" if part else b"")
        for part, signature in zip((b"a" * 65_536, b"a" * 1024, b""), signatures, strict=True)
    )
    body += b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    body += b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-date": "20130524T000000Z",
        "x-amz-decoded-content-length": "66560",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-trailer": "x-amz-checksum-crc32c",
    }
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    assert body_of(*documented(headers, body, seed)) == (b"a" * 66_560, {"crc32c": "sOO8/Q=="})


def documented(headers: Mapping[str, str], body: bytes, signature: str) -> tuple[S3Request, Signed]:
    """The documentation's PUT of an object, as its own key pair signs it."""
    names = ";".join(sorted([*headers, "host"]))
    scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={names},Signature={signature}"
    sent = {**headers, "authorization": authorization}
    request = received("PUT", "/examplebucket/chunkObject.txt", "", sent, body, ["s3.amazonaws.com"])
    key = AccessKey(id="AKIAIOSFODNN7EXAMPLE", secrets=[Secret(SECRET)])
    return request, verifier(key, now=1_369_353_600.0).verify(request)


@pytest.mark.parametrize(
    ("body", "length", "error", "words"),
    [
        (b"", 0, IncompleteBody, "terminated unexpectedly, after a chunk's size"),
        (b"3\r\nab", 3, IncompleteBody, "after 2 of the 3 bytes of the chunk at byte 0"),
        (b"3\r\nabc", 3, IncompleteBody, "after the chunk at byte 0"),
        (b"3\r\nabc\r\n", 3, IncompleteBody, "after a chunk's size"),
        (
            b"3\r\nabcd\r\n0\r\n\r\n",
            3,
            BadRequest,
            "the chunk at byte 0 of the aws-chunked body is longer than its size, 3",
        ),
        (b"3\r\nabc\r\n0\r\n\r\n", 4, IncompleteBody, "The chunks have 3 bytes, and x-amz-decoded-content-length is 4"),
        (b"x\r\nabc\r\n0\r\n\r\n", 3, BadRequest, "At byte 0 of the aws-chunked body there is no chunk's size"),
        (b"0x3\r\nabc\r\n0\r\n\r\n", 3, BadRequest, "no chunk's size"),
        (b"+3\r\nabc\r\n0\r\n\r\n", 3, BadRequest, "no chunk's size"),
        (b"-1\r\nabc\r\n0\r\n\r\n", 3, BadRequest, "no chunk's size"),
        (b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n", 3, BadRequest, "no chunk's size"),
        (b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n", 3, IncompleteBody, "bytes of the chunk at byte 0"),
        (b"3;" + b"x" * MAX_LINE_BYTES + b"\r\nabc\r\n0\r\n\r\n", 3, BadRequest, f"over {MAX_LINE_BYTES} bytes long"),
        (
            b"3\r\nabc\r\n0\r\n\r\nmore",
            3,
            BadRequest,
            "After the end of the aws-chunked body, at byte 13, there is more",
        ),
        (b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n", 3, BadRequest, "'nonsense' is no trailer"),
        (b"3\r\nabc\r\n0\r\na:b\r\nA:b\r\n\r\n", 3, BadRequest, "a second one of its name"),
        (b"3\r\nabc\r\n0\r\n" + b"".join(b"a%d:b\r\n" % n for n in range(99)), 3, BadRequest, "over 16 trailers"),
        (b"3\r\nabc\r\n0\r\na:b\r\n\r\n", 3, BadRequest, "The trailers are a, and x-amz-trailer announces none"),
    ],
)
def test_a_malformed_body_is_told(body: bytes, length: int, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        body_of(*streamed(body, length))
    assert type(raised.value) is error
    assert words.lower() in str(raised.value).lower()


@given(
    st.binary(max_size=60) | st.lists(st.sampled_from([b"0", b"3", b"\r\n", b"abc", b";", b":", b"a"])).map(b"".join)
)
def test_no_body_makes_it_raise_anything_else(body: bytes) -> None:
    for payload in (UNSIGNED_TRAILER, f"STREAMING-{HMAC}-PAYLOAD-TRAILER"):
        with suppress(BadRequest, WrongSignature):
            assert len(body_of(*streamed(body, 3, payload))[0]) == 3


def test_a_body_without_its_last_line_is_whole() -> None:
    assert body_of(*streamed(b"3\r\nabc\r\n0\r\n", 3)) == (b"abc", {})


def test_a_trailer_that_was_announced_must_come() -> None:
    with pytest.raises(BadRequest, match="The trailers are none, and x-amz-trailer announces x-amz-checksum-crc32"):
        body_of(*streamed(b"3\r\nabc\r\n0\r\n\r\n", 3, trailer="x-amz-checksum-crc32"))


def test_a_trailer_needs_a_stream_that_may_have_one() -> None:
    with pytest.raises(BadRequest, match="x-amz-trailer needs an aws-chunked body"):
        body_of(*put(b"abc", [("x-amz-trailer", "x-amz-checksum-crc32")]))
    with pytest.raises(BadRequest, match="announces x-amz-checksum-crc32, and x-amz-content-sha256"):
        body_of(*streamed(b"0\r\n\r\n", 0, f"STREAMING-{HMAC}-PAYLOAD", "x-amz-checksum-crc32"))


def test_the_signature_of_trailers_must_come_and_be_right() -> None:
    made, sign = signed_stream(b"abc", True, HMAC)
    good = chunked([b"abc"], made[1], sign, {"x-amz-checksum-crc32c": computed("crc32c", b"abc")})
    line = good.rindex(b"x-amz-trailer-signature")
    for bad in (good[:line] + b"\r\n", good[:line] + b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n\r\n"):
        with pytest.raises(WrongSignature, match="the trailers"):
            body_of(*with_body(made, bad))


def test_chunks_must_be_signed_as_the_request_is() -> None:
    with pytest.raises(BadRequest, match="the request is signed by AWS4-HMAC-SHA256"):
        body_of(*streamed(b"0\r\n\r\n", 0, f"STREAMING-{ECDSA}-PAYLOAD"))
    with pytest.raises(BadRequest, match="has no chunk-signature"):
        body_of(*streamed(b"0\r\n\r\n", 0, f"STREAMING-{HMAC}-PAYLOAD"))


@pytest.mark.parametrize(("length", "error"), [(None, LengthMissing), ("x", InvalidArgument), ("-3", InvalidArgument)])
def test_the_decoded_length_must_be_there(length: str | None, error: type[NearsideError]) -> None:
    headers = [("x-amz-decoded-content-length", length)] if length else []
    with pytest.raises(error):
        body_of(*put(b"3\r\nabc\r\n0\r\n\r\n", headers, UNSIGNED_TRAILER))


def test_a_body_that_is_not_as_long_as_it_says() -> None:
    request, signed = put(b"abc", [("content-length", "4")])
    with pytest.raises(IncompleteBody, match="The body has 3 bytes, and Content-Length is '4'"):
        body_of(request, signed)


def test_content_md5() -> None:
    good = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    assert body_of(*put(b"abc", [("content-md5", good)])) == (b"abc", {})
    with pytest.raises(BadDigest):
        body_of(*put(b"abd", [("content-md5", good)]))
    for bad in ("", "abc", "é", base64.b64encode(b"abc").decode(), good + "\n="):
        request, signed = put(b"abc")
        request = msgspec.structs.replace(request, headers={**request.headers, "content-md5": bad})
        with pytest.raises(InvalidDigest):
            body_of(request, signed)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_in_a_header(algorithm: str) -> None:
    name, value = f"x-amz-checksum-{algorithm}", computed(algorithm, b"abc")
    headers = [(name, value), ("x-amz-sdk-checksum-algorithm", algorithm.upper())]
    assert body_of(*put(b"abc", headers)) == (b"abc", {algorithm: value})
    with pytest.raises(BadDigest, match=f"The {algorithm.upper()} you specified did not match"):
        body_of(*put(b"abd", headers))
    for bad in ("abc", f"{value}-3", "é", value[:-4]):
        with pytest.raises(BadRequest, match=f"Value for {name} header is invalid"):
            body_of(*put(b"abc", [(name, bad)]))


def test_a_checksum_in_the_query_of_a_presigned_url() -> None:
    query = f"x-amz-checksum-crc32={CRC32_OF_ABC}&x-amz-sdk-checksum-algorithm=CRC32"
    request = signed_by_query("PUT", "/photos/a", query)
    signed = verifier().verify(request)
    assert body_of(msgspec.structs.replace(request, body=b"abc"), signed) == (b"abc", {"crc32": CRC32_OF_ABC})
    with pytest.raises(BadDigest):
        body_of(msgspec.structs.replace(request, body=b"abd"), signed)


def test_a_checksum_that_is_announced_and_not_given() -> None:
    with pytest.raises(BadRequest, match="no corresponding x-amz-checksum"):
        body_of(*put(b"abc", [("x-amz-sdk-checksum-algorithm", "CRC32")]))
    with pytest.raises(InvalidArgument, match="'CRC99' is not known: expected one of crc32, "):
        body_of(*put(b"abc", [("x-amz-sdk-checksum-algorithm", "CRC99")]))


def test_what_begins_like_a_checksum_and_is_none() -> None:
    headers = [("x-amz-checksum-mode", "ENABLED"), ("x-amz-checksum-type", "COMPOSITE")]
    assert body_of(*put(b"abc", [*headers, ("x-amz-checksum-algorithm", "SHA256")])) == (b"abc", {})
    with pytest.raises(InvalidArgument, match="'crc99' is not known"):
        body_of(*put(b"abc", [("x-amz-checksum-crc99", "abc")]))
    with pytest.raises(BadRequest, match="Expecting a single x-amz-checksum- header"):
        body_of(*put(b"abc", [("x-amz-checksum-crc32", CRC32_OF_ABC), ("x-amz-checksum-sha1", "abc")]))


def test_the_checksum_of_a_completed_upload_is_not_its_documents() -> None:
    headers = [("x-amz-checksum-crc32", CRC32_OF_ABC)]
    request = signed_by_header("POST", "/photos/a", "uploadId=one", headers, b"<xml/>")
    assert body_of(request, verifier().verify(request)) == (b"<xml/>", {})

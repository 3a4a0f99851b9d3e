"""The suite, over every place and the gateway: who may, presigned URLs, and bodies in signed chunks."""

import base64
import hashlib
import http.client
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError

from tests.gateway.by_hand import chunked, presigned, sent_in_chunks, signed_headers
from tests.gateway.endpoints import Endpoint, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = b"0123456789" * 20_000


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def ask(url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """Status, headers and body of the answer; an S3 error's code in place of its body."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ET.fromstring(error.read()).findtext("Code")


def test_a_wrong_secret_is_refused(endpoint: Endpoint, bucket: str) -> None:
    wrong = endpoint.client(replace(endpoint.identity, secret_access_key="x" * 40))
    with pytest.raises(ClientError) as caught:
        wrong.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert refusal(caught.value) == (403, "SignatureDoesNotMatch")


def test_an_unknown_key_is_refused(endpoint: Endpoint, bucket: str) -> None:
    wrong = endpoint.client(replace(endpoint.identity, access_key_id="AKIANOBODYNOBODYNOB0"))
    with pytest.raises(ClientError) as caught:
        wrong.list_objects_v2(Bucket=bucket)
    assert refusal(caught.value) == (403, "InvalidAccessKeyId")


def test_nobody_is_refused(endpoint: Endpoint, s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert ask(f"{endpoint.url}/{bucket}/a")[0] == 403
    assert ask(f"{endpoint.url}/{bucket}/b", "PUT", b"1")[0] == 403
    assert ask(f"{endpoint.url}/")[0] in (403, 307)


def test_a_clock_that_is_wrong_is_refused(endpoint: Endpoint, bucket: str) -> None:
    url = f"{endpoint.url}/{bucket}"
    assert ask(url, headers=signed_headers(endpoint, bucket, signed_at=datetime.now(UTC)))[0] == 200
    for hours in (-1, 1):
        headers = signed_headers(endpoint, bucket, signed_at=datetime.now(UTC) + timedelta(hours=hours))
        assert ask(url, headers=headers)[::2] == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("key", ["a.txt", "a b+c%/ü?#.txt"], ids=["plain", "hard"])
def test_a_presigned_url_gives_the_object(s3: "S3Client", bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=BODY, ContentType="text/plain")
    where: Any = {"Bucket": bucket, "Key": key}
    status, headers, body = ask(s3.generate_presigned_url("get_object", Params=where))
    assert (status, headers["Content-Type"], body) == (200, "text/plain", BODY)
    asked = {**where, "ResponseContentType": "text/html", "ResponseContentDisposition": 'attachment; filename="a b"'}
    status, headers, body = ask(s3.generate_presigned_url("get_object", Params=asked))
    assert (status, headers["Content-Type"], body) == (200, "text/html", BODY)
    assert headers["Content-Disposition"] == 'attachment; filename="a b"'
    url = s3.generate_presigned_url("get_object", Params=where)
    status, headers, body = ask(url, headers={"Range": "bytes=3-5"})
    assert (status, body) == (206, b"345")
    status, headers, _ = ask(s3.generate_presigned_url("head_object", Params=where), "HEAD")
    assert (status, headers["Content-Length"]) == (200, str(len(BODY)))


@pytest.mark.parametrize("key", ["a.txt", "a b+c%/ü?#.txt"], ids=["plain", "hard"])
def test_a_presigned_url_takes_an_object(s3: "S3Client", bucket: str, key: str) -> None:
    where: Any = {"Bucket": bucket, "Key": key}
    url = s3.generate_presigned_url("put_object", Params={**where, "ContentType": "text/css"})
    status, headers, _ = ask(url, "PUT", BODY, {"Content-Type": "text/css"})
    assert (status, headers["ETag"]) == (200, f'"{hashlib.md5(BODY).hexdigest()}"')
    found = s3.get_object(Bucket=bucket, Key=key)
    assert (md5(found["Body"].read()), found["ContentType"]) == (md5(BODY), "text/css")
    assert ask(s3.generate_presigned_url("delete_object", Params=where), "DELETE")[0] == 204


def test_a_presigned_url_is_for_what_was_signed(s3: "S3Client", bucket: str) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    assert ask(url.replace(f"/{bucket}/a?", f"/{bucket}/b?"))[::2] == (403, "SignatureDoesNotMatch")
    assert ask(url, "PUT", b"2")[::2] == (403, "SignatureDoesNotMatch")
    assert ask(url + "&response-content-type=text%2Fhtml")[::2] == (403, "SignatureDoesNotMatch")
    assert ask(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"))[::2] == (403, "SignatureDoesNotMatch")
    assert ask(url)[0] == 200


def test_a_presigned_url_ends(endpoint: Endpoint, s3: "S3Client", bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    before = datetime.now(UTC) - timedelta(minutes=2)
    assert ask(presigned(endpoint, bucket, "a", signed_at=before, seconds=180))[::2] == (200, b"1")
    assert ask(presigned(endpoint, bucket, "a", signed_at=before, seconds=60))[::2] == (403, "AccessDenied")


# S3 has no unsigned chunks without a trailer.
CHUNKS = {"signed": "", "signed-crc32": "crc32", "signed-sha256": "sha256", "unsigned-crc32": "crc32"}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.needs("checksum_headers")
def test_a_body_in_chunks(endpoint: Endpoint, s3: "S3Client", bucket: str, name: str) -> None:
    trailer, signed = CHUNKS[name], name.startswith("signed")
    sums = {
        "crc32": base64.b64encode(zlib.crc32(BODY).to_bytes(4)).decode(),
        "sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
    }
    status, code = sent_in_chunks(endpoint, bucket, "a", BODY, trailer, sums.get(trailer, ""), signed=signed)
    assert (status, code) == (200, "")
    found = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert md5(found["Body"].read()) == md5(BODY)  # pytest would compare the bytes themselves for minutes
    assert "ContentEncoding" not in found
    assert found.get(f"Checksum{trailer.upper()}", "") == sums.get(trailer, "")


@pytest.mark.needs("checksum_headers")
def test_chunks_that_are_not_what_they_say_are_refused(endpoint: Endpoint, s3: "S3Client", bucket: str) -> None:
    wrong = base64.b64encode(zlib.crc32(b"other").to_bytes(4)).decode()
    assert sent_in_chunks(endpoint, bucket, "a", BODY, "crc32", wrong, signed=False) == (400, "BadDigest")
    assert sent_in_chunks(endpoint, bucket, "a", BODY, "crc32", wrong, signed=True) == (400, "BadDigest")
    status, code = sent_in_chunks(endpoint, bucket, "a", BODY, "", "", signed=True, spoil=True)
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_body_other_than_the_one_that_was_signed_is_refused(endpoint: Endpoint, s3: "S3Client", bucket: str) -> None:
    made = chunked(endpoint, bucket, "a", b"signed", "", "", signed=True, whole=True)
    url = urlsplit(endpoint.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
    connection.request("PUT", f"/{bucket}/a", b"forged", made.headers)
    answer = connection.getresponse()
    assert (answer.status, ET.fromstring(answer.read()).findtext("Code")) == (400, "XAmzContentSHA256Mismatch")
    connection.close()
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)

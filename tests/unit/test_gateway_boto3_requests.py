"""What boto3's own client sends for its calls, taken off before it leaves: signatures and bodies are accepted."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from nearside.gateway.checksums import ALGORITHMS
from nearside.gateway.chunks import body_of
from nearside.gateway.s3_requests import S3Request, request_of
from tests.unit.gateway_requests import HOST, KEY, SECRET, verifier

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS = ["a", "a b/ü+~%2F", "//x//", "..", "(1)!*'"]


class Taken:
    """Remembers the last request and answers 200 for the server."""

    def __init__(self) -> None:
        self.request: S3Request | None = None

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        target = str(request.url).partition(HOST)[2]
        body: Any = request.body or b""
        if hasattr(body, "read"):
            body = body.read()
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        event = {
            "rawPath": target.partition("?")[0],
            "rawQueryString": target.partition("?")[2],
            "headers": {"host": HOST, **headers},
            "requestContext": {"http": {"method": request.method}},
        }
        made = request_of(event)
        self.request = S3Request(
            made.method, made.path, made.query, made.headers, body, [HOST], "", made.bucket, made.key, made.parameters
        )
        return AWSResponse(str(request.url), 200, HTTPHeaders(), _Nothing())


class _Nothing:
    def stream(self, **_: object) -> list[bytes]:
        return []

    def read(self, *_: object) -> bytes:
        return b""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def client_of(scheme: str, taken: Any, config: Config | None = None) -> "S3Client":
    client: S3Client = boto3.client(
        "s3",
        endpoint_url=f"{scheme}://{HOST}",
        region_name="eu-west-2",
        aws_access_key_id=KEY.id,
        aws_secret_access_key=SECRET,
        config=config,
    )
    client.meta.events.register("before-send.s3", taken)
    return client


def accepted(taken: Taken) -> tuple[S3Request, bytes, dict[str, str]]:
    assert taken.request
    signed = verifier(now=time.time()).verify(taken.request)
    body, checksums = body_of(taken.request, signed)
    return taken.request, body, checksums


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("key", KEYS)
def test_put_object(scheme: str, key: str) -> None:
    taken = Taken()
    client_of(scheme, taken).put_object(
        Bucket="photos", Key=key, Body=b"abc" * 1000, Metadata={"a": "b  c"}, ContentType="image/png"
    )
    request, body, checksums = accepted(taken)
    assert (request.bucket, request.key, body, list(checksums)) == ("photos", key, b"abc" * 1000, ["crc32"])
    streams = request.headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert streams is (scheme == "https")


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "md5"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_algorithm(scheme: str, algorithm: Any) -> None:
    taken = Taken()
    client_of(scheme, taken).put_object(Bucket="photos", Key="a", Body=b"abc", ChecksumAlgorithm=algorithm.upper())
    assert list(accepted(taken)[2]) == [algorithm]


CALLS: list[Callable[["S3Client"], object]] = [
    lambda client: client.list_buckets(),
    lambda client: client.list_objects_v2(Bucket="photos", Prefix="ü b+/", Delimiter="/", StartAfter="a=b&c"),
    lambda client: client.list_objects(Bucket="photos", Prefix="a", EncodingType="url"),
    lambda client: client.get_object(Bucket="photos", Key="a", Range="bytes=0-9", IfNoneMatch='"x"'),
    lambda client: client.get_object(
        Bucket="photos", Key="a", ResponseContentDisposition='attachment; filename="a b.txt"'
    ),
    lambda client: client.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "a<b>"}]}),
    lambda client: client.copy_object(Bucket="photos", Key="b", CopySource={"Bucket": "photos", "Key": "a b+ü"}),
    lambda client: client.put_object_tagging(
        Bucket="photos", Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
    ),
    lambda client: client.upload_part(Bucket="photos", Key="a", UploadId="u/+=", PartNumber=1, Body=b"abc"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("config", [None, Config(s3={"payload_signing_enabled": True})], ids=["unsigned", "signed"])
def test_other_calls(call: Callable[["S3Client"], object], config: Config | None) -> None:
    taken = Taken()
    call(client_of("https", taken, config))
    assert accepted(taken)[0].bucket in ("", "photos")


@pytest.mark.parametrize("key", KEYS)
def test_a_presigned_url(key: str) -> None:
    client = client_of("https", Taken(), Config(signature_version="s3v4"))
    url = client.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": key, "VersionId": "a/b"})
    taken = Taken()
    taken(AWSPreparedRequest("GET", url, HTTPHeaders(), None, False))
    assert accepted(taken)[0].key == key

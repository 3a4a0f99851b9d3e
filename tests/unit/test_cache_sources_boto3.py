"""The cache's source that is a boto3 client: on moto, stubbed, and against a server that is no S3."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws

from nearside.adapters.cache_boto3 import ClientObjects
from nearside.adapters.cache_configured import configured
from nearside.adapters.cache_s3 import S3Places
from nearside.caching.errors import (
    BadUri,
    CorruptDownload,
    MissingObject,
    RefusedObject,
    UnreachableObject,
)
from nearside.caching.sources import Answer, Source, Wanted
from nearside.errors import BadSettings, NoCredentials
from nearside.places import Place
from nearside.signing import Credentials
from nearside.uri import S3Object, WebAddress
from tests.unit.loopback import Told, closed_port, serving
from tests.unit.test_cache_sources_http import raw

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HARD = ["a//b", "?x#y", "../x", "a/./b/../c", "/lead", "ü/日本 語", "sp ace +plus", "100%", "%2F", "~!*'()", "a&b=c;d"]


def client_of(endpoint: str | None = None, key: str = "ASIAQNZGKIQY56JQ7WML", **config: Any) -> "S3Client":
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key="a-secret-of-ours",
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture
def client() -> "Iterator[S3Client]":
    """A client of moto's S3, with the bucket `pics`."""
    with mock_aws():
        made = client_of()
        made.create_bucket(Bucket="pics")
        made.put_bucket_versioning(Bucket="pics", VersioningConfiguration={"Status": "Enabled"})
        yield made


def source(client: "S3Client", key: str = "a", version: str = "", bucket: str = "pics") -> Source:
    [found] = ClientObjects(client).sources(S3Object(bucket, key, version))
    return found


def body_of(answer: Answer) -> bytes:
    view = memoryview(bytearray(3))
    found = bytearray()
    while size := answer.read_into(view):
        found += view[:size]
    answer.close()
    return bytes(found)


def test_whole_objects_and_ranges(client: "S3Client") -> None:
    put = client.put_object(Bucket="pics", Key="a", Body=b"hello", ContentEncoding="gzip")
    answer = source(client).open(Wanted())
    assert (answer.status, answer.headers["etag"], answer.headers["content-length"]) == (200, put["ETag"], "5")
    assert answer.headers["x-amz-version-id"] == put["VersionId"]
    assert body_of(answer) == b"hello"
    part = source(client).open(Wanted(1, 3, if_match=put["ETag"]))
    assert (part.status, part.headers["content-range"], body_of(part)) == (206, "bytes 1-2/5", b"el")
    rest = source(client).open(Wanted(2))
    assert (rest.status, body_of(rest)) == (206, b"llo")


def test_answers_that_botocore_takes_for_errors(client: "S3Client") -> None:
    put = client.put_object(Bucket="pics", Key="a", Body=b"hello")
    same = source(client).open(Wanted(if_none_match=put["ETag"]))
    assert (same.status, same.read_into(memoryview(bytearray(1)))) == (304, 0)
    same.close()
    assert source(client).open(Wanted(if_match='"other"')).status == 412
    assert source(client).open(Wanted(start=9)).status == 416
    later = Wanted(if_modified_since="Sat, 21 Nov 2099 10:00:00 GMT")
    assert source(client).open(later).status == 304


@pytest.mark.parametrize("key", HARD)
def test_hard_keys(client: "S3Client", key: str) -> None:
    client.put_object(Bucket="pics", Key=key, Body=key.encode())
    assert body_of(source(client, key).open(Wanted())).decode() == key


def test_versions(client: "S3Client") -> None:
    first = client.put_object(Bucket="pics", Key="a", Body=b"one")["VersionId"]
    client.put_object(Bucket="pics", Key="a", Body=b"two")
    assert body_of(source(client, version=first).open(Wanted())) == b"one"
    assert body_of(source(client).open(Wanted())) == b"two"


@pytest.mark.parametrize(("key", "bucket"), [("nope", "pics"), ("a", "there-is-no-such-bucket")])
def test_missing(client: "S3Client", key: str, bucket: str) -> None:
    with pytest.raises(MissingObject, match=f"s3://{bucket}/{key}"):
        source(client, key, bucket=bucket).open(Wanted())


def test_what_cannot_be_asked_for(client: "S3Client") -> None:
    for bucket, key in (("pics", ""), ("no bucket", "a")):
        with pytest.raises(BadUri):
            source(client, key, bucket=bucket).open(Wanted())
    with pytest.raises(BadUri):
        ClientObjects(client).sources(WebAddress("http://h/a"))
    with pytest.raises(BadUri):
        ClientObjects(client).identity(WebAddress("http://h/a"))


def test_a_stubbed_client_gives_no_headers() -> None:
    client = client_of()
    body = StreamingBody(io.BytesIO(b"hello"), 5)
    fields = {"Body": body, "ETag": '"x"', "ContentLength": 5, "LastModified": datetime(2026, 11, 21, 10, tzinfo=UTC)}
    with Stubber(client) as stub:
        stub.add_response("get_object", fields, {"Bucket": "pics", "Key": "a", "Range": "bytes=0-4", "IfMatch": '"x"'})
        answer = source(client).open(Wanted(0, 5, if_match='"x"'))
        assert dict(answer.headers) == {
            "etag": '"x"',
            "content-length": "5",
            "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT",
        }
        assert (answer.status, body_of(answer)) == (200, b"hello")
        stub.add_client_error("get_object", "AccessDenied", "Not you.", 403)
        with pytest.raises(RefusedObject, match="Not you"):
            source(client).open(Wanted())
        stub.add_client_error(
            "get_object", "SlowDown", "Later.", 503, response_meta={"HTTPHeaders": {"Retry-After": "9"}}
        )
        with pytest.raises(UnreachableObject) as caught:
            source(client).open(Wanted())
        assert caught.value.retry_after == 9


def test_a_body_that_is_damaged() -> None:
    told = Told(200, {"x-amz-checksum-crc32": "AAAAAA=="}, b"hello")
    with serving(lambda asked: told) as server, pytest.raises(CorruptDownload):
        body_of(source(client_of(server.url)).open(Wanted()))


def test_a_body_that_is_cut() -> None:
    with raw(lambda line: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello") as server:
        answer = source(client_of(server.url)).open(Wanted())
        with pytest.raises(UnreachableObject, match="cut"):
            body_of(answer)
        answer.close()


def test_nobody_there() -> None:
    with closed_port() as url, pytest.raises(UnreachableObject, match="EndpointConnectionError") as caught:
        source(client_of(url)).open(Wanted())
    assert url not in str(caught.value)


def test_a_client_shares_its_entries_with_signed_requests() -> None:
    def known() -> Credentials:
        return Credentials("ASIAR2TG44V5PDTTBZRR", "x")

    one = S3Object("pics", "a", "v")
    client = client_of(key="ASIAR2TG44V5PDTTBZRR")
    assert ClientObjects(client).identity(one) == S3Places(known, region="x").identity(one)
    there = client_of("http://h:9000/s3", key="ASIAR2TG44V5PDTTBZRR")
    assert ClientObjects(there).identity(one) == S3Places(known, region="x", endpoint="http://h:9000/s3").identity(one)
    nobody = client_of(signature_version=botocore.UNSIGNED)
    assert ClientObjects(nobody).identity(one) == S3Places(None, region="x").identity(one)


def test_no_credentials_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    client = boto3.session.Session().client("s3", region_name="us-east-1")
    assert ClientObjects(client).identity(S3Object("pics", "a"))[2] == "anonymous"
    with pytest.raises(RefusedObject, match="no credentials"):
        source(client).open(Wanted())


def _expired() -> Any:
    raise botocore.exceptions.UnauthorizedSSOTokenError


def _denied() -> Any:
    raise botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole")


@pytest.mark.parametrize("ended", [_expired, _denied])
def test_an_account_that_cannot_be_told_is_no_credentials(ended: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = client_of()
    monkeypatch.setattr(client._request_signer._credentials, "get_frozen_credentials", ended)
    with pytest.raises(NoCredentials, match="credentials cannot be had"):
        ClientObjects(client).identity(S3Object("pics", "a"))
    assert ClientObjects(client).identity(S3Object("pics", "a"), "123")[2] == "123"
    assert ClientObjects(client).shown(S3Object("pics", "a", "v", "S3")) == "s3://pics/a"


CONFIG = """
[profile eu]
aws_access_key_id = ASIAR2TG44V5PDTTBZRR
aws_secret_access_key = a-secret-of-ours
region = eu-west-2
[profile minio]
aws_access_key_id = ASIAR2TG44V5PDTTBZRR
aws_secret_access_key = a-secret-of-ours
region = eu-west-2
services = local
[services local]
s3 =
    endpoint_url = http://127.0.0.1:9999
[profile fips]
region = us-east-1
use_fips_endpoint = true
[profile virtual]
endpoint_url = http://h
s3 =
    addressing_style = virtual
"""


@pytest.fixture
def config(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's configuration as the tests below have it, and a key pair."""
    path = tmp_path / "config"
    path.write_text(CONFIG)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAQNZGKIQY56JQ7WML")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-ours")


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("profile", "environment", "host"),
    [
        (None, {}, "pics.s3.us-east-1.amazonaws.com"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-3"}, "pics.s3.eu-west-3.amazonaws.com"),
        ("eu", {}, "pics.s3.eu-west-2.amazonaws.com"),
        ("minio", {}, "127.0.0.1:9999"),
        ("minio", {"AWS_ENDPOINT_URL": "http://h:1"}, "h:1"),
        ("eu", {"AWS_ENDPOINT_URL": "http://h:1", "AWS_ENDPOINT_URL_S3": "http://h:2"}, "h:2"),
        ("minio", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "pics.s3.eu-west-2.amazonaws.com"),
    ],
)
def test_the_configuration_says_where_as_it_does_to_boto3(
    profile: str | None, environment: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found: Any = configured(profile=profile)
    [source] = found.sources(S3Object("pics", "a"))
    assert source._where.base[1] == host
    client = boto3.session.Session(profile_name=profile).client("s3")
    assert found.identity(S3Object("pics", "a")) == ClientObjects(client).identity(S3Object("pics", "a"))


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("profile", ["fips", "virtual"])
def test_what_is_special_is_left_to_a_client(profile: str) -> None:
    assert isinstance(configured(profile=profile), ClientObjects)


@pytest.mark.usefixtures("config")
def test_credentials_are_looked_for_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def chain(**given: Any) -> Any:
        asked.append(given)
        if len(asked) == 1:
            raise NoCredentials("sign in")
        return _denied if len(asked) == 2 else None

    monkeypatch.setattr("nearside.adapters.credentials.chain", chain)
    found = configured(profile="eu")
    assert found.identity(S3Object("pics", "a"), "123") == ("s3", "aws", "123", "pics", "a", "")
    found.sources(S3Object("pics", "a"))
    assert asked == []
    with pytest.raises(NoCredentials, match="sign in"):
        found.identity(S3Object("pics", "a"))
    for _ in range(2):
        with pytest.raises(NoCredentials, match="AccessDenied"):
            found.identity(S3Object("pics", "a"))
    assert asked == [{"profile": "eu", "region": "eu-west-2"}] * 2


@pytest.mark.usefixtures("config")
def test_what_is_given_wins() -> None:
    found: Any = configured(profile="minio", region="us-west-1", endpoint="http://h:3", anonymous=True)
    assert found.identity(S3Object("pics", "a")) == ("s3", "h:3", "anonymous", "pics", "a", "")
    places = [Place("eu-west-2", "pics")]
    assert configured(profile="minio", places=places).identity(S3Object("pics", "a"))[1] == "aws"
    with pytest.raises(BadSettings, match="there-is-none"):
        configured(profile="there-is-none")

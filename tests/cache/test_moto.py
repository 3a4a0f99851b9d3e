"""Through boto3 clients of the caller's, over moto: as users of `aind-s3-cache` have it."""

import base64
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from moto import mock_aws
from moto.server import ThreadedMotoServer

from nearside.cache import CacheManager, get_json, get_json_s3, get_local_path_for_resource
from nearside.caching.errors import MissingObject, RefusedObject
from tests.cache.conftest import KEYS, MakeCache
from tests.cache.faulty_server import Fault, FaultyServer
from tests.cache.looking import data_of, sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URI = "s3://bucket/dir/data.json"


@contextmanager
def _bucket_of(client: "S3Client") -> Iterator[None]:
    """`bucket`, which is gone again afterwards: moto's data are those of the whole process, and the local world, which
    other tests use, keeps its own there too."""
    client.create_bucket(Bucket="bucket")
    try:
        yield
    finally:
        listed = client.list_object_versions(Bucket="bucket")
        for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
            client.delete_object(Bucket="bucket", Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket="bucket")


@pytest.fixture
def client() -> Iterator["S3Client"]:
    """A client of AWS itself, whose calls moto answers in this process. `with mock_aws()` would empty all of moto, and
    have the world sign with other keys meanwhile."""
    mock = mock_aws(config={"core": {"mock_credentials": False}})
    mock.start(reset=False)
    try:
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        with _bucket_of(client):
            yield client
    finally:
        mock.stop(remove_data=False)


@pytest.fixture
def cache(client: "S3Client", make: MakeCache) -> CacheManager:
    return make(s3_client=client)


def test_a_clients_object_is_cached_and_validated(client: "S3Client", cache: CacheManager, folder: Path) -> None:
    client.put_object(Bucket="bucket", Key="dir/data.json", Body=b'{"a": 1}')
    first = cache.get(URI)
    assert (first.downloaded, first.source, first.path.name) == (True, "s3", "data.json")
    again = cache.get(URI)
    assert (again.downloaded, again.path) == (False, first.path)
    assert cache.get_json(URI) == {"a": 1}
    client.put_object(Bucket="bucket", Key="dir/data.json", Body=b'{"a": 2}')
    assert cache.get_json(URI) == {"a": 2}
    assert cache.get_json(URI, offline=True) == {"a": 2}


def test_a_clients_errors_are_told_apart(client: "S3Client", cache: CacheManager) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        cache.get("s3://bucket/none")
    assert isinstance(missing.value, MissingObject)
    with pytest.raises(FileNotFoundError):
        cache.get("s3://no-such-bucket/none")


def test_a_clients_versions(client: "S3Client", cache: CacheManager) -> None:
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    old = client.put_object(Bucket="bucket", Key="k", Body=b"one")["VersionId"]
    client.put_object(Bucket="bucket", Key="k", Body=b"two")
    assert cache.get_bytes("s3://bucket/k", version_id=old) == b"one"
    got = cache.get("s3://bucket/k")
    assert (got.path.read_bytes(), got.version_id != old) == (b"two", True)
    client.delete_object(Bucket="bucket", Key="k")
    with pytest.raises(FileNotFoundError):
        cache.get("s3://bucket/k")
    assert cache.get_bytes("s3://bucket/k", version_id=old) == b"one"


def test_a_clients_large_multipart_object(client: "S3Client", make: MakeCache) -> None:
    body = b"".join(hashlib.sha256(bytes([number])).digest() * 5_000 for number in range(120))
    client.upload_fileobj(io.BytesIO(body), "bucket", "large")
    got = make(s3_client=client, parallel_over=10_000_000).get("s3://bucket/large")
    assert got.etag.strip('"').endswith(tuple(f"-{n}" for n in range(1, 9)))
    assert sha256(got.path.read_bytes()) == sha256(body)
    assert not make(s3_client=client).get("s3://bucket/large").downloaded


def test_a_clients_hard_keys(client: "S3Client", cache: CacheManager) -> None:
    for key in ("a?b#c%20d+e f", "ü/日本.json", "//x//y", "k" * 1_024):
        client.put_object(Bucket="bucket", Key=key, Body=key.encode())
        assert cache.get_bytes(f"s3://bucket/{key}").decode() == key


def test_a_clients_checksums(client: "S3Client", cache: CacheManager) -> None:
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        client.put_object(Bucket="bucket", Key=algorithm, Body=b"x" * 1_000, ChecksumAlgorithm=algorithm)
        assert cache.get(f"s3://bucket/{algorithm}").size == 1_000


def test_the_functions_take_a_client(client: "S3Client", tmp_path: Path) -> None:
    client.put_object(Bucket="bucket", Key="dir/data.json", Body=b'{"a": 1}')
    assert get_json(URI, s3_client=client) == {"a": 1}
    assert get_json_s3("bucket", "dir/data.json", s3_client=client) == {"a": 1}
    assert get_json_s3("bucket", "dir/data.json", client) == {"a": 1}
    got = get_local_path_for_resource(URI, cache_dir=tmp_path / "c", s3_client=client)
    assert (got.path.read_bytes(), got.from_cache, got.source) == (b'{"a": 1}', True, "s3")


def test_a_client_with_an_endpoint_is_another_entry(
    server: FaultyServer, client: "S3Client", make: MakeCache, folder: Path
) -> None:
    client.put_object(Bucket="bucket", Key="k", Body=b"in aws")
    make(s3_client=client).get("s3://bucket/k")
    server.put("bucket/k", b"elsewhere")
    with make(s3_client=_client_of(server)) as cache:
        assert len(data_of(folder)) == 1
        mock = cache.get_bytes("s3://bucket/k")
    assert mock == b"elsewhere"


def _client_of(server: FaultyServer, **config: Any) -> "S3Client":
    client: S3Client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="eu-west-2",
        aws_access_key_id=KEYS.access_key_id,
        aws_secret_access_key=KEYS.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )
    return client


def test_a_clients_download_is_gone_on_with_where_it_was_cut(server: FaultyServer, make: MakeCache) -> None:
    body = hashlib.sha256(b"x").digest() * 10_000
    stored = server.put("bucket/k", body)
    server.fail("bucket/k", Fault(cut_after=100_000))
    with make(s3_client=_client_of(server)) as cache:
        assert sha256(cache.get("s3://bucket/k").path.read_bytes()) == sha256(body)
    assert server.asked[1].range.startswith("bytes=100000-")
    assert server.asked[1].headers["if-match"] == stored.etag


def test_a_clients_object_that_changes_while_it_is_read_is_read_anew(server: FaultyServer, make: MakeCache) -> None:
    one, two = (hashlib.sha256(each).digest() * 10_000 for each in (b"1", b"2"))
    server.put("bucket/k", one)
    server.fail("bucket/k", Fault(cut_after=100_000, after=lambda: server.put("bucket/k", two)))
    assert sha256(make(s3_client=_client_of(server)).get_bytes("s3://bucket/k")) == sha256(two)


def test_a_clients_damaged_bytes_never_enter_the_cache(server: FaultyServer, make: MakeCache, folder: Path) -> None:
    """boto3 checks them itself and raises an error of its own."""
    body = b"0123456789" * 1_000
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    server.put("bucket/k", body, headers={"x-amz-checksum-sha256": digest})
    server.fail("bucket/k", Fault(damage=5), times=None)
    with pytest.raises(OSError, match=r"bucket/k|checksum"):
        make(s3_client=_client_of(server)).get("s3://bucket/k")
    assert data_of(folder) == {}
    server.mend("bucket/k")
    assert sha256(make(s3_client=_client_of(server)).get_bytes("s3://bucket/k")) == sha256(body)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault(status=403), RefusedObject), (Fault(status=500), ConnectionError), (Fault(drop=True), ConnectionError)],
)
def test_a_clients_other_errors(server: FaultyServer, make: MakeCache, fault: Fault, kind: type[Exception]) -> None:
    server.put("bucket/k", b"x")
    server.fail("bucket/k", fault, times=None)
    with pytest.raises(kind):
        make(s3_client=_client_of(server)).get("s3://bucket/k")


def test_an_anonymous_client_does_not_share_with_one_that_signs(server: FaultyServer, make: MakeCache) -> None:
    server.put("bucket/k", b"x")
    make(s3_client=_client_of(server)).get("s3://bucket/k")
    anonymous = make(s3_client=_client_of(server, signature_version=UNSIGNED))
    assert anonymous.get("s3://bucket/k").downloaded
    assert "authorization" not in server.asked[-1].headers


def test_motos_server_is_read_with_credentials_and_without(make: MakeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        url = "http://{}:{}".format(*moto.get_host_and_port())
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        with _bucket_of(client):
            client.put_object(Bucket="bucket", Key="ü a+b.json", Body=b'{"a": 1}', ACL="public-read")
            for options in ({"anonymous": True}, {"credentials": lambda: KEYS}):
                cache = make(endpoint_url=url, **options)
                assert cache.get_json("s3://bucket/ü a+b.json") == {"a": 1}
                assert not cache.get("s3://bucket/ü a+b.json").downloaded
            with pytest.raises(FileNotFoundError):
                make(endpoint_url=url, credentials=lambda: KEYS).get("s3://bucket/none")
            client.put_object(Bucket="bucket", Key="private", Body=b"x")
            with pytest.raises(PermissionError):
                make(endpoint_url=url, anonymous=True).get("s3://bucket/private")
    finally:
        moto.stop()

"""Requests as a Function URL hands them on: which bucket, which key, which operation."""

from typing import Any
from urllib.parse import quote

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import BadRequest
from nearside.gateway.errors import InvalidArgument, InvalidBucketName, KeyTooLong, MethodNotAllowed, NotSupported
from nearside.gateway.front import OPERATIONS
from nearside.gateway.s3_requests import S3Request, bucket_name, object_key, request_of
from nearside.gateway.s3_routes import COPIES, ROUTES, operation

DOMAINS = ("gw.example.com", "example.com")


def event(path: str = "/", query: str = "", method: str = "GET", **changed: Any) -> dict[str, Any]:
    return {
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"Host": "gw.example.com"},
        "requestContext": {"http": {"method": method}, "requestId": "one"},
        **changed,
    }


def sent(path: str = "/", query: str = "", method: str = "GET", **changed: Any) -> S3Request:
    return request_of(event(path, query, method, **changed), DOMAINS)


def hosted(host: str, path: str = "/a/b", forwarded: str = "") -> S3Request:
    headers = {"Host": host, **({"X-Forwarded-Host": forwarded} if forwarded else {})}
    return request_of(event(path, headers=headers), DOMAINS)


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


@given(keys.filter(lambda key: ".nearside" not in key))
def test_a_key_is_read_as_it_was_meant_whatever_is_encoded_of_it(key: str) -> None:
    assert sent(f"/photos/{quote(key, safe='/~')}").key == key
    assert sent(f"/photos/{quote(key, safe='')}").key == key
    assert sent(f"/photos/{quote(key, safe='/~')}").bucket == "photos"


@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        ("/", "", ""),
        ("", "", ""),
        ("/photos", "photos", ""),
        ("/photos/", "photos", ""),
        ("/photos//a", "photos", "/a"),
        ("/photos/a/", "photos", "a/"),
        ("/photos/a+b%2Bc%20d", "photos", "a+b+c d"),
        ("/photos/a?b".replace("?", "%3F"), "photos", "a?b"),
        ("/photos/%E2%82%AC", "photos", "€"),
        ("/photos/../x", "photos", "../x"),
    ],
)
def test_bucket_and_key_of_a_path(path: str, bucket: str, key: str) -> None:
    request = sent(path)
    assert (request.bucket, request.key, request.path) == (bucket, key, path or "/")


@pytest.mark.parametrize("path", ["/photos/%FF", "/photos/%C3", "/photos/\udc80"])
def test_a_key_that_is_no_utf_8_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="Couldn't parse the specified URI"):
        sent(path)


def test_a_key_without_a_bucket_is_refused() -> None:
    with pytest.raises(InvalidBucketName, match="no bucket before it"):
        sent("//a")
    assert (sent("//").bucket, sent("//").key) == ("", "")


def test_a_key_may_have_1024_bytes_and_no_more() -> None:
    assert len(sent("/photos/" + "%C3%A9" * 512).key) == 512
    with pytest.raises(KeyTooLong, match=r"1025 bytes.*1024"):
        sent("/photos/a" + "%C3%A9" * 512)


@pytest.mark.parametrize(
    "key", [".nearside/parts/1", "./.nearside/x", "/.nearside/x", "a/../.nearside/x", ".nearside/", ".nearside//x"]
)
def test_the_gateways_own_keys_are_nobodys(key: str) -> None:
    with pytest.raises(InvalidArgument, match=r"under \.nearside/"):
        object_key(key)


@pytest.mark.parametrize("key", ["a/.nearside/x", ".nearside.txt", "x.nearside/", ".nearsides/x"])
def test_keys_that_only_look_like_it_are_anybodys(key: str) -> None:
    assert object_key(key) == key


def test_a_key_with_nul_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="NUL"):
        sent("/photos/a%00b")


@pytest.mark.parametrize("name", ["abc", "a.b-c", "0ab", "a" * 63, "a1.2.3.4"])
def test_names_that_a_bucket_may_have(name: str) -> None:
    assert bucket_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "ab", "a" * 64, "Abc", "a_b", "-ab", "ab-", ".ab", "a..b", "1.2.3.4", "xn--abc", "sthree-abc", "abc-s3alias",
        "abc--ol-s3", "abc.mrap", "abc--x-s3", "a/b", "abc\n", "äbc", "",
    ],
)  # fmt: skip
def test_names_that_no_bucket_may_have(name: str) -> None:
    with pytest.raises(InvalidBucketName):
        bucket_name(name)


@pytest.mark.parametrize(
    ("host", "bucket", "key"),
    [
        ("gw.example.com", "a", "b"),
        ("GW.example.com:3000", "a", "b"),
        ("photos.gw.example.com", "photos", "a/b"),
        ("photos.gw.example.com:443", "photos", "a/b"),
        ("Photos.Gw.Example.com", "photos", "a/b"),
        ("my.photos.gw.example.com", "my.photos", "a/b"),
        ("photos.example.com", "photos", "a/b"),
        ("127.0.0.1:3000", "a", "b"),
        ("abc.lambda-url.eu-west-2.on.aws", "a", "b"),
        ("evilgw.example.com", "evilgw", "a/b"),
    ],
)
def test_a_host_under_a_domain_names_the_bucket(host: str, bucket: str, key: str) -> None:
    path = "/aaa/b" if bucket == "a" else "/a/b"
    request = hosted(host, path)
    assert (request.bucket, request.key) == (bucket if bucket != "a" else "aaa", key)
    assert request.hosts == [host]


def test_a_forwarded_host_is_what_the_client_named() -> None:
    request = hosted("abc.lambda-url.eu-west-2.on.aws", "/a/b", forwarded="photos.gw.example.com")
    assert (request.bucket, request.key, request.hosts) == ("photos", "a/b", ["photos.gw.example.com"])


def test_a_signature_for_one_buckets_host_cannot_do_for_anothers() -> None:
    """The host that says the bucket is among those that may have been signed, and one that says another is not."""
    request = hosted("photos.gw.example.com", "/k", forwarded="secrets.gw.example.com")
    assert request.bucket == "secrets"
    assert request.hosts == ["secrets.gw.example.com"]
    assert hosted("photos.gw.example.com", "/secrets/k", forwarded="gw.example.com").hosts == ["gw.example.com"]
    both = hosted("abc.lambda-url.aws", "/photos/k", forwarded="elsewhere.org")
    assert both.hosts == ["elsewhere.org", "abc.lambda-url.aws"]


def test_parameters_are_decoded_and_the_first_of_a_name_counts() -> None:
    request = sent("/photos", "prefix=a+b%2Bc%C3%A9&acl&x=&prefix=no&&=z&y=1=2")
    assert request.parameters == {"prefix": "a b+cé", "acl": "", "x": "", "y": "1=2"}
    with pytest.raises(InvalidArgument):
        sent("/photos", "prefix=%FF")


def test_headers_are_lower_case_and_cookies_are_put_back() -> None:
    request = sent(headers={"Host": "h", "X-AMZ-Date": "now"}, cookies=["a=1", "b=2"])
    assert request.headers == {"host": "h", "x-amz-date": "now", "cookie": "a=1; b=2"}


def test_a_body_is_decoded() -> None:
    assert sent(body="AP8=", isBase64Encoded=True).body == b"\0\xff"
    assert sent(body="é").body == "é".encode()
    assert sent().body == b""
    with pytest.raises(BadRequest, match="body"):
        sent(body="AP8", isBase64Encoded=True)


def test_an_event_without_anything_is_a_request_for_nothing() -> None:
    request = request_of({})
    assert (request.method, request.path, request.bucket, request.hosts) == ("", "/", "", [])


@pytest.mark.parametrize(
    ("method", "path", "query", "name"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("GET", "/", "x-id=ListBuckets", "ListBuckets"),
        ("PUT", "/photos", "", "CreateBucket"),
        ("HEAD", "/photos/", "", "HeadBucket"),
        ("GET", "/photos", "prefix=a", "ListObjects"),
        ("GET", "/photos", "list-type=2&prefix=uploads", "ListObjectsV2"),
        ("GET", "/photos", "uploads", "ListMultipartUploads"),
        ("GET", "/photos", "uploads=", "ListMultipartUploads"),
        ("GET", "/photos", "location", "GetBucketLocation"),
        ("POST", "/photos", "delete", "DeleteObjects"),
        ("GET", "/photos/a", "x-id=GetObject&response-expires=1", "GetObject"),
        ("PUT", "/photos/a", "partNumber=1&uploadId=u", "UploadPart"),
        ("PUT", "/photos/a", "tagging", "PutObjectTagging"),
        ("POST", "/photos/a", "uploads", "CreateMultipartUpload"),
        ("GET", "/photos/a", "attributes", "GetObjectAttributes"),
    ],
)
def test_operations(method: str, path: str, query: str, name: str) -> None:
    assert operation(sent(path, query, method), {}) == name


def test_a_source_makes_it_a_copy() -> None:
    headers = {"x-amz-copy-source": "photos/b"}
    assert operation(sent("/photos/a", "", "PUT"), headers) == "CopyObject"
    assert operation(sent("/photos/a", "uploadId=u&partNumber=1", "PUT"), headers) == "UploadPartCopy"


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/photos", "policy"),
        ("PUT", "/photos", "versioning"),
        ("PUT", "/photos", "acl"),
        ("PUT", "/photos/a", "acl"),
        ("GET", "/photos", "versions"),
        ("GET", "/photos", "lifecycle"),
        ("GET", "/photos", "tagging"),
        ("GET", "/photos/a", "versionId=1"),
        ("DELETE", "/photos/a", "versionId=1"),
        ("POST", "/photos/a", "select&select-type=2"),
        ("POST", "/photos/a", "restore"),
        ("PUT", "/photos/a", "retention"),
        ("GET", "/photos/a", "torrent"),
        ("POST", "/photos", ""),
        ("DELETE", "/photos", "cors"),
        ("PUT", "/photos/a", "renameObject"),
        ("GET", "/photos", "session"),
        ("DELETE", "/photos/a", "learnt-since"),
    ],
)
def test_what_the_gateway_does_not_do_is_never_taken_for_something_else(method: str, path: str, query: str) -> None:
    with pytest.raises(NotSupported, match="not supported by this gateway"):
        operation(sent(path, query, method), {})


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("PATCH", "/photos/a"), ("OPTIONS", "/photos"), ("", "/")])
def test_what_s3_does_not_do_either(method: str, path: str) -> None:
    with pytest.raises(MethodNotAllowed):
        operation(sent(path, "", method), {})


def test_every_route_has_an_operation() -> None:
    assert set(OPERATIONS) == {*ROUTES.values(), *COPIES.values()}


def test_every_operation_of_botocore_is_done_or_refused() -> None:
    """What a client of S3 can ask for is either ours, by its own name, or not supported."""
    model = botocore.session.get_session().get_service_model("s3")
    seen = set()
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        path = path.replace("{Bucket}", "photos").replace("{Key+}", "a")
        if "WriteGetObjectResponse" in path or name == "ListDirectoryBuckets":
            continue  # of other services' hosts
        headers = {"x-amz-copy-source": "photos/b"} if "Copy" in name else {}
        if name in ("UploadPart", "UploadPartCopy", "ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"):
            query = f"{query}&uploadId=1&partNumber=1"
        try:
            found = operation(sent(path, query, http["method"]), headers)
        except NotSupported:
            continue
        seen.add(found)
        assert found == name, (name, http)
    assert seen == set(OPERATIONS)

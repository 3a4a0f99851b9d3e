"""The cache's sources before a request is sent: addresses, accounts, identities, and what an answer's status means."""

import os
import subprocess
import sys
from collections.abc import Mapping
from email.utils import formatdate

import pytest

from nearside.adapters.cache_addresses import account_of, addressed, endpoint_name
from nearside.adapters.cache_answers import judged, said
from nearside.adapters.cache_http import WebAddresses, web, without_secrets
from nearside.adapters.cache_s3 import S3Places, default_places
from nearside.adapters.cache_wire import retry_after
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import FindsSources
from nearside.places import Place
from nearside.signing import Credentials
from nearside.uri import S3Object, WebAddress

MRAP = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
MRAP_HOST = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"


def known() -> Credentials:
    return Credentials("ASIAQNZGKIQY56JQ7WML", "a-secret-of-ours", "a-token-of-ours")


@pytest.mark.parametrize(
    ("key", "account"),
    [
        # published with their accounts: medium.com/@TalBeerySec/a-short-note-on-aws-key-id-f88cc4317489, awsteele.com
        ("ASIAQNZGKIQY56JQ7WML", "029608264753"),
        ("ASIAY34FZKBOKMUTVV7A", "609629065308"),
        ("ASIAR2TG44V5PDTTBZRR", "125843596666"),
        # of the older form, which says no account, and what is no key id of AWS
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("AKIAI44QH8DHBEXAMPLE", "AKIAI44QH8DHBEXAMPLE"),
        ("ASIAc29tZXRoaW5nCg==", "ASIAc29tZXRoaW5nCg=="),
        ("minioadmin", "minioadmin"),
        ("GOOGQNZGKIQY56JQ7WML", "GOOGQNZGKIQY56JQ7WML"),
        ("", ""),
    ],
)
def test_the_account_of_a_key(key: str, account: str) -> None:
    assert account_of(key) == account


@pytest.mark.parametrize(
    ("bucket", "key", "base", "region"),
    [
        ("pics", "a", ("https", "pics.s3.eu-west-2.amazonaws.com", ""), "eu-west-2"),
        ("my.pics", "a", ("https", "s3.eu-west-2.amazonaws.com", "/my.pics"), "eu-west-2"),
        ("Old_Pics", "a", ("https", "s3.eu-west-2.amazonaws.com", "/Old_Pics"), "eu-west-2"),
        ("pics", "/a", ("https", "s3.eu-west-2.amazonaws.com", "/pics"), "eu-west-2"),
        (
            "arn:aws:s3:us-west-2:123456789012:accesspoint/mine",
            "a",
            ("https", "mine-123456789012.s3-accesspoint.us-west-2.amazonaws.com", ""),
            "us-west-2",
        ),
        (
            "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint:mine",
            "a",
            ("https", "mine-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn", ""),
            "cn-north-1",
        ),
        (MRAP, "a", ("https", MRAP_HOST, ""), "*"),
        (MRAP.removesuffix(".mrap"), "a", ("https", MRAP_HOST, ""), "*"),
        ("mfzwi23gnjvgw.mrap", "a", ("https", MRAP_HOST, ""), "*"),
    ],
)
def test_where_a_bucket_is_asked(bucket: str, key: str, base: tuple[str, str, str], region: str) -> None:
    found = addressed(S3Object(bucket, key), "eu-west-2")
    assert (found.base, found.region, found.mrap) == (base, region, region == "*")


def test_an_endpoint_is_asked_path_style_and_a_region_is_guessed() -> None:
    assert addressed(S3Object("pics", "a"), "", "http://h:9000/s3").base == ("http", "h:9000", "/s3/pics")
    assert addressed(S3Object("pics", "a"), "").region == "us-east-1"
    assert addressed(S3Object(MRAP, "a"), "", "", "http://h:1").base == ("http", "h:1", "")


@pytest.mark.parametrize(
    "bucket",
    [
        "",
        "a/b",
        "a@evil.example",
        "a#b",
        "a:8080",
        "pics--use1-az4--x-s3",
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/mine",
        "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/mine",
        "arn:aws:s3:us-west-2:123456789012:accesspoint/mine/object/x",
        "arn:aws:s3:us-west-2::accesspoint/mine",
        "arn:aws:s3:us-west-2:123456789012:accesspoint/evil.example",
        "arn:aws:s3:evil.example:123456789012:accesspoint/mine",
        "arn:aws:s3::123456789012:accesspoint/evil.example#",
        "arn:aws:s3:::pics",
        "arn:aws:iam::123456789012:role/x",
    ],
)
def test_what_is_no_bucket_is_a_bad_uri(bucket: str) -> None:
    with pytest.raises(BadUri):
        addressed(S3Object(bucket, "a"), "eu-west-2")


def test_a_bucket_itself_is_no_object() -> None:
    with pytest.raises(BadUri, match="the key is empty"):
        S3Places(known, region="eu-west-2").sources(S3Object("pics", ""))


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("", "aws"),
        ("https://s3.eu-west-1.amazonaws.com", "aws"),
        ("https://s3.cn-north-1.amazonaws.com.cn/", "aws-cn"),
        ("https://amazonaws.com.evil.example", "amazonaws.com.evil.example"),
        ("http://MinIO:9000", "minio:9000"),
        ("http://h/s3/", "h/s3"),
    ],
)
def test_the_name_of_an_endpoint(endpoint: str, name: str) -> None:
    assert endpoint_name(endpoint) == name


def test_identities_of_objects_in_s3() -> None:
    one = S3Object("pics", "a?b", "v1")
    assert S3Places(known, region="x").identity(one) == ("s3", "aws", "029608264753", "pics", "a?b", "v1")
    assert S3Places(None, region="x").identity(one) == ("s3", "aws", "anonymous", "pics", "a?b", "v1")
    there = S3Places(known, region="x", endpoint="http://h:1")
    assert there.identity(one) == ("s3", "h:1", "029608264753", "pics", "a?b", "v1")
    places = [Place("eu-west-2", "pics-eu"), Place("us-east-2", "pics")]
    assert S3Places(known, region="x", places=places).identity(one)[3] == "pics-eu"
    emulated = S3Places(known, region="x", endpoint="http://h:1", mrap_endpoint="http://h:2")
    assert emulated.identity(S3Object(MRAP, "a"))[1] == "h:2"


def test_places_are_asked_in_their_order_and_for_their_own_buckets() -> None:
    places = [Place("eu-west-2", "pics-eu"), Place("us-east-2", "pics-us")]
    found = S3Places(known, region="x", places=places)
    assert [source.name for source in found.sources(S3Object("pics-us", "a"))] == ["eu-west-2", "us-east-2"]
    with pytest.raises(BadUri, match="pics-eu, pics-us"):
        found.sources(S3Object("other", "a"))
    with pytest.raises(BadUri):
        found.identity(S3Object("other", "a"))


def test_each_kind_reads_its_own_addresses_only() -> None:
    finders: Mapping[FindsSources, S3Object | WebAddress] = {
        S3Places(known, region="x"): WebAddress("https://h/a"),
        WebAddresses(): S3Object("pics", "a"),
    }
    for finder, wrong in finders.items():
        with pytest.raises(BadUri):
            finder.identity(wrong)
        with pytest.raises(BadUri):
            finder.sources(wrong)


SIGNED = (
    "https://pics.s3.eu-west-2.amazonaws.com/a%2Fb//c?versionId=v1&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=ASIAQNZGKIQY56JQ7WML%2F20261121%2Feu-west-2%2Fs3%2Faws4_request&X-Amz-Date=20261121T000000Z"
    "&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tokentoken&X-Amz-Signature=0123abcd"
)


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://h/a?b=c#d", ("web", "https://h/a?b=c", "")),
        ("HTTPS://H:443", ("web", "https://h/", "")),
        ("http://h:8080/a/../b//c", ("web", "http://h:8080/a/../b//c", "")),
        ("http://me:pass@h/a", ("web", "http://h/a", "me")),
        ("http://Bücher.example:81/ü", ("web", "http://xn--bcher-kva.example:81/ü", "")),
        ("http://h?q", ("web", "http://h/?q", "")),
        (SIGNED, ("web", "https://pics.s3.eu-west-2.amazonaws.com/a%2Fb//c?versionId=v1", "029608264753")),
        (
            "https://pics.s3.amazonaws.com/a?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=x%3D&Expires=1",
            ("web", "https://pics.s3.amazonaws.com/a", "AKIAIOSFODNN7EXAMPLE"),
        ),
        (
            "https://storage.googleapis.com/b/a?X-Goog-Credential=me%40p.iam%2F2026%2Fauto&X-Goog-Signature=12",
            ("web", "https://storage.googleapis.com/b/a", "me@p.iam"),
        ),
        ("https://x.blob.core.windows.net/?sv=1&se=2&sig=c&a=b", ("web", "https://x.blob.core.windows.net/?a=b", "")),
        ("https://h/a?Expires=5&sv=3", ("web", "https://h/a?Expires=5&sv=3", "")),
    ],
)  # fmt: skip
def test_identities_of_web_addresses(url: str, identity: tuple[str, ...]) -> None:
    assert tuple(WebAddresses().identity(WebAddress(url))) == identity


def test_a_url_without_its_secrets() -> None:
    assert without_secrets("http://me:pass@h/a?x=1") == "http://me@h/a?x=1"
    assert without_secrets(SIGNED) == "https://pics.s3.eu-west-2.amazonaws.com/a%2Fb//c?versionId=v1"


@pytest.mark.parametrize(
    "url",
    ["", "h/a", "ftp://h/a", "http://", "http:///a", "http://a b/", "http://h:x/", "http://[::1", "http://ü..de/"],
)
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(BadUri):
        web(url)


def test_addresses_of_ip_version_6_and_backslashes() -> None:
    assert web("http://[::1]:80/a").base == "http://[::1]"
    assert web("http://good.example\\@evil.example/").base == "http://good.example"


@pytest.mark.parametrize(
    ("said_so", "seconds"),
    [("", 0), ("7", 7), (" 7 ", 7), ("-1", 0), ("soon", 0), (formatdate(1060, usegmt=True), 60), (formatdate(900), 0)],
)
def test_retry_after(said_so: str, seconds: float) -> None:
    assert retry_after({"retry-after": said_so}, now=1000) == seconds


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", MissingObject),
        (404, "", MissingObject),
        (404, "NoSuchBucket", MissingObject),
        (410, "", MissingObject),
        (401, "", RefusedObject),
        (403, "AccessDenied", RefusedObject),
        (403, "RequestTimeTooSkewed", RefusedObject),
        (400, "ExpiredToken", RefusedObject),
        (400, "KeyTooLongError", BadUri),
        (400, "InvalidArgument", BadUri),
        (405, "MethodNotAllowed", BadUri),
        (400, "RequestTimeout", UnreachableObject),
        (429, "", UnreachableObject),
        (500, "InternalError", UnreachableObject),
        (503, "SlowDown", UnreachableObject),
        (500, "NoSuchKey", UnreachableObject),
        (500, "AccessDenied", UnreachableObject),
        (301, "PermanentRedirect", UnreachableObject),
    ],
)
def test_what_a_status_means(status: int, code: str, kind: type[Exception]) -> None:
    error = judged("eu-west-2", "s3://pics/a", status, code, "Because.", 3.0)
    assert type(error) is kind
    assert "s3://pics/a" in str(error)
    assert "eu-west-2" in str(error)
    if isinstance(error, UnreachableObject):
        assert error.retry_after == 3.0


def test_an_error_body_is_read_and_never_trusted() -> None:
    body = b'<?xml version="1.0"?>\n<Error xmlns="x"><Code>NoSuchKey</Code><Message>None.</Message></Error>'
    assert said(body) == {"Code": "NoSuchKey", "Message": "None."}
    assert said(b"<html>") == said(b"") == said(b"\xff\xfe") == said(b"<Other><Code>x</Code></Other>") == {}
    long = str(judged("h", "u", 500, "", "x\n" * 10_000))
    assert len(long) < 400
    assert "\n" not in long


def test_to_import_the_adapters_imports_no_sdk() -> None:
    names = ", ".join(f"nearside.adapters.cache_{name}" for name in ("http", "s3", "boto3", "presign"))
    paths = os.pathsep.join(path for path in sys.path if path)
    code = f"import sys, {names}; print(*[n for n in ('boto3', 'botocore', 'urllib.request') if n in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": paths}
    )
    assert ran.stdout.strip() == ""


def test_the_default_is_made_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    found = default_places()
    with pytest.raises(Exception, match="there-is-none"):
        found.sources(S3Object("pics", "a"))
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-ours")
    assert found.sources(S3Object("pics", "a"))

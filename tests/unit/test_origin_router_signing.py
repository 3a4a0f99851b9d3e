"""The signature of origin_router against botocore's, for any path and query string."""

import os
import re
import time
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

import signing
from signing import Target

NOW = 1_795_219_200.0
HOST = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com"


CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def botocores(target: Target) -> str:
    """botocore's Authorization for the same request at the same instant, its x-amz-cf-id included."""

    request = AWSRequest(target.method, f"https://{target.host}{target.path}" + (target.query and "?" + target.query))
    if target.request_id:
        request.headers["X-Amz-Cf-Id"] = target.request_id
    auth = S3SigV4Auth(Credentials("AKIDEXAMPLE", "secret", "token"), "s3", target.region)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(NOW))
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    request.headers["X-Amz-Security-Token"] = "token"
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    scope, names = auth.scope(request), auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"


keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda key: "/" + quote(key, safe="/~"))
queries = st.dictionaries(
    st.sampled_from(["versionId", "response-content-type", "partNumber", "x", "X"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={quote(value, safe='~')}" for name, value in pairs.items()))


@given(st.sampled_from(["GET", "HEAD"]), keys, queries, st.sampled_from(["", "4TyzHTaYWb1GX1qTfsHhEqV6=="]))
def test_botocore_signs_the_same(method: str, path: str, query: str, request_id: str) -> None:
    target = Target(method, HOST, "eu-west-2", path, query, request_id)
    with mock.patch.dict(os.environ, CREDENTIALS):
        assert signing.headers(target, NOW)["authorization"] == botocores(target)


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/a b+c", "/a%20b%2Bc"),
        ("/a%20b%2bc", "/a%20b%2Bc"),
        ("/%2525", "/%2525"),
        ("/a//./../b", "/a//./../b"),
        ("/caf\u00e9", "/caf%C3%A9"),
        ("/100%", "/100%25"),
        ("/a%2Fb", "/a/b"),
        ("/~*'()", "/~%2A%27%28%29"),
    ],
)
def test_the_path_is_decoded_once_and_encoded_once(path: str, canonical: str) -> None:
    assert signing.canonical_path(path) == canonical


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=1", "a=1&b=2"),
        ("a=%2f&&b", "a=%2F&b="),
        ("a=b=c", "a=b%3Dc"),
        ("B=1&a=2", "B=1&a=2"),
    ],
)
def test_the_query_is_sorted_and_encoded_once(query: str, canonical: str) -> None:
    assert signing.canonical_query(query) == canonical


def test_a_rotated_secret_signs_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("GET", HOST, "eu-west-2", "/a", "")
    before = signing.headers(target, NOW)["authorization"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert signing.headers(target, NOW)["authorization"] != before


def test_without_a_session_there_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    headers = signing.headers(Target("GET", HOST, "eu-west-2", "/a", ""), NOW)
    assert "x-amz-security-token" not in headers
    assert re.search("SignedHeaders=host;x-amz-content-sha256;x-amz-date,", headers["authorization"])


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(signing.NoCredentials, match="AWS_SECRET_ACCESS_KEY"):
        signing.headers(Target("GET", HOST, "eu-west-2", "/a", ""), NOW)

"""Requests that a proxy of plain HTTP forwards: they ask for the same object as without it."""

import ssl
from pathlib import Path

import pytest

from nearside.adapters.cache_http import HttpSource
from nearside.adapters.cache_s3 import S3Places
from nearside.adapters.cache_wire import Wire
from nearside.caching.errors import BadUri, UnreachableObject
from nearside.caching.sources import Wanted
from nearside.signing import Credentials
from nearside.uri import S3Object
from tests.unit.loopback import Told, closed_port, serving
from tests.unit.test_cache_sources_http import OK, authority, raw, tls

__all__ = ["authority", "tls"]

KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "a-secret-of-ours")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """None but those that a test sets."""
    for name in ("no_proxy", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("a/../k", "a/../k"),
        ("./k", "./k"),
        ("../k", "../k"),
        ("a/./k?x#y", "a/./k%3Fx%23y"),
        ("a//k/..", "a//k/.."),
        ("%2e%2e/k", "%252e%252e/k"),
        ("..", ".."),
        ("k", "k"),
    ],
)
def test_keys_with_dots_are_asked_for_as_they_stand(key: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: Told()) as server:
        for endpoint, proxy in ((server.url, ""), ("http://s3.example.test", server.url)):
            monkeypatch.setenv("http_proxy", proxy)
            places = S3Places(lambda: KEYS, region="x", endpoint=endpoint, http=Wire())
            places.sources(S3Object("pics", key))[0].open(Wanted()).close()
    direct, forwarded = server.asked
    assert (direct.target, forwarded.target) == (f"/pics/{target}", f"http://s3.example.test/pics/{target}")
    assert forwarded.headers["host"] == "s3.example.test"


def test_urls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: Told()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        wire = Wire()
        for target in ("/a/../b/c", "/a/%2e%2e/b?x=../y", "//x/./"):
            HttpSource(f"http://h.test:81{target}", wire=wire).open(Wanted()).close()
        assert [asked.target for asked in proxy.asked] == [
            "http://h.test:81/a/../b/c", "http://h.test:81/a/%2E%2E/b?x=../y", "http://h.test:81//x/./",
        ]  # fmt: skip
        assert {asked.headers["host"] for asked in proxy.asked} == {"h.test:81"}


def test_connections_to_a_proxy_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw(lambda line: OK) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        wire = Wire()
        for number in range(3):
            answer = HttpSource(f"http://h.test/{number}", wire=wire).open(Wanted())
            assert answer.read_into(memoryview(bytearray(9))) == 5
            answer.close()
        assert proxy.connections == [[f"GET http://h.test/{number} HTTP/1.1" for number in range(3)]]


def test_a_proxy_that_speaks_tls(authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw(lambda line: OK, tls=tls) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        HttpSource("http://h.test/a/../b", wire=Wire(ca_bundle=str(authority))).open(Wanted()).close()
        assert proxy.connections == [["GET http://h.test/a/../b HTTP/1.1"]]
        with pytest.raises(UnreachableObject, match="TLS failed"):
            HttpSource("http://h.test/", wire=Wire()).open(Wanted())


def test_a_proxy_that_is_away_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as url:
        monkeypatch.setenv("http_proxy", url)
        with pytest.raises(UnreachableObject, match="refused"):
            HttpSource("http://h.test/", wire=Wire()).open(Wanted())
    monkeypatch.setenv("http_proxy", "http://h:port")
    with pytest.raises(BadUri):
        HttpSource("http://h.test/", wire=Wire()).open(Wanted())

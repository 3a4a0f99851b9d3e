"""The cache's sources over HTTP: what is sent, redirects, bodies that are cut, connections that are kept, forks."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nearside.adapters.cache_http import HttpSource, WebAddresses
from nearside.adapters.cache_s3 import S3Places
from nearside.adapters.cache_wire import Reply, Wire
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import Answer, Wanted
from nearside.errors import NoCredentials
from nearside.signing import Credentials
from nearside.uri import S3Object, WebAddress
from tests.unit.loopback import Asked, Told, closed_port, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
WHOLE = Wanted()


def body_of(answer: Answer, step: int = 3) -> bytes:
    """The body, read in small steps; the answer is closed."""
    view = memoryview(bytearray(step))
    found = bytearray()
    while size := answer.read_into(view):
        found += view[:size]
    answer.close()
    return bytes(found)


@dataclass
class Raw:
    """A server that sends bytes as they are; `connections` has the requests of each."""

    answer: Callable[[str], bytes]
    reset: bool
    tls: ssl.SSLContext | None
    url: str = ""
    connections: list[list[str]] = field(default_factory=list)
    open: list[socket.socket] = field(default_factory=list)

    def accept(self, listening: socket.socket) -> None:
        """Until the server is closed."""
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.open.append(connection)
                self.connections.append([])
                threading.Thread(target=self._begin, args=(connection, self.connections[-1]), daemon=True).start()

    def _begin(self, connection: socket.socket, requests: list[str]) -> None:
        with suppress(OSError), connection:
            if self.tls is not None and connection.recv(1, socket.MSG_PEEK) != b"C":
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as lines:
                self._talk(connection, lines, requests)

    def _talk(self, connection: socket.socket, lines: BinaryIO, requests: list[str]) -> None:
        while line := lines.readline().decode("latin-1").strip():
            while lines.readline().strip():
                pass
            requests.append(line)
            if line.startswith("CONNECT"):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                self._begin(connection, requests)
                return
            sent = self.answer(line)
            connection.sendall(sent)
            head, _, body = sent.partition(b"\r\n\r\n")
            if b" 304 " not in head and f"content-length: {len(body)}".encode() not in head.lower():
                if self.reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                return


@contextmanager
def raw(answer: Callable[[str], bytes], *, reset: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[Raw]:
    """Answers each request's first line with these bytes; closes the connection when they are no whole answer, with a
    reset if asked to. A CONNECT is answered, and leads to this server itself."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    found = Raw(answer, reset, tls, f"http{'s' if tls else ''}://127.0.0.1:{listening.getsockname()[1]}")
    thread = threading.Thread(target=found.accept, args=(listening,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in found.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def at(url: str, **more: Any) -> HttpSource:
    return HttpSource(url, **more)


def followed(url: str, headers: dict[str, str] | None = None) -> Answer:
    """The answer to what WebAddresses asks for."""
    [source] = WebAddresses(headers).sources(WebAddress(url))
    return source.open(WHOLE)


def test_what_is_asked_for_is_what_is_sent() -> None:
    with serving(lambda asked: Told(200, {"ETag": '"x"', "Content-Encoding": "gzip"}, b"hello")) as server:
        wanted = Wanted(2, 5, '"m"', '"n"', "Sat, 21 Nov 2026 10:00:00 GMT")
        answer = at(f"{server.url}/a/../b//c/%2e?d=e%2Ff&#g", headers={"X-Mine": "yes"}).open(wanted)
    assert (answer.status, answer.headers["etag"], body_of(answer)) == (200, '"x"', b"hello")  # never decoded
    [asked] = server.asked
    assert asked.target == "/a/../b//c/%2E?d=e%2Ff&"
    sent = dict(asked.headers)
    assert sent.pop("host") == server.url.partition("//")[2]
    assert sent == {
        "accept-encoding": "identity",
        "user-agent": "nearside-cache",
        "x-mine": "yes",
        "range": "bytes=2-4",
        "if-match": '"m"',
        "if-none-match": '"n"',
        "if-modified-since": "Sat, 21 Nov 2026 10:00:00 GMT",
    }


@pytest.mark.parametrize("status", [200, 206, 304, 412, 416])
def test_answers_that_are_no_errors(status: int) -> None:
    with serving(lambda asked: Told(status)) as server:
        answer = at(server.url).open(WHOLE)
        assert answer.status == status
        answer.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, MissingObject),
        (410, MissingObject),
        (401, RefusedObject),
        (403, RefusedObject),
        (500, UnreachableObject),
        (503, UnreachableObject),
        (429, UnreachableObject),
        (302, UnreachableObject),
        (418, UnreachableObject),
        (204, UnreachableObject),
    ],
)
def test_errors(status: int, kind: type[Exception]) -> None:
    with (
        serving(lambda asked: Told(status, {"Retry-After": "7", "Location": "/b"})) as server,
        pytest.raises(kind) as caught,
    ):
        at(f"{server.url}/a").open(WHOLE)
    assert type(caught.value) is kind
    assert f"{server.url}/a" in str(caught.value)
    assert getattr(caught.value, "retry_after", 7.0) == 7.0
    assert len(server.asked) == 1


def test_no_message_has_a_secret() -> None:
    def answer(asked: Asked) -> Told:
        words = asked.target + asked.headers.get("x-key", "") + asked.headers.get("authorization", "")
        return Told(403, body=f"<Error><Code>X</Code><Message>{words.replace('&', '&amp;')}</Message></Error>".encode())

    with serving(answer) as server, closed_port() as closed:
        for base in (server.url, closed):
            url = base.replace("://", "://me:a-password@") + "/a?X-Amz-Signature=0123456789abcdef"
            with pytest.raises((RefusedObject, UnreachableObject)) as caught:
                at(url, headers={"x-key": "key-of-mine"}).open(WHOLE)
            words = repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__suppress_context__)
            for secret in ("0123456789", "a-password", "key-of-mine"):
                assert secret not in words
    assert server.asked[0].headers["authorization"] == "Basic bWU6YS1wYXNzd29yZA=="


def test_redirects_are_followed_and_take_nothing_to_another_host() -> None:
    with serving(lambda asked: Told(200, body=b"there")) as other:

        def answer(asked: Asked) -> Told:
            if asked.target == "/first":
                return Told(302, {"Location": "second?x"}, b"moved")
            return Told(307, {"Location": f"{other.url}/third"}, b"moved")

        with serving(answer) as server:
            url = server.url.replace("://", "://me:pw@") + "/first"
            assert body_of(followed(url, {"X-Mine": "yes", "Authorization": "Bearer x"})) == b"there"
    assert [asked.target for asked in server.asked] == ["/first", "/second?x"]
    assert all(asked.headers["x-mine"] == "yes" for asked in server.asked)
    assert all(asked.headers["authorization"].startswith("Basic ") for asked in server.asked)
    [asked] = other.asked
    assert asked.target == "/third"
    assert {"x-mine", "authorization"} & asked.headers.keys() == set()


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/a", "http://[::1"])
def test_a_redirect_to_no_web_address_is_refused(location: str) -> None:
    with serving(lambda asked: Told(302, {"Location": location})) as server, pytest.raises(RefusedObject):
        followed(server.url)


def test_redirects_without_end_are_given_up() -> None:
    with serving(lambda asked: Told(301, {"Location": asked.target + "x"})) as server:
        with pytest.raises(UnreachableObject, match="more than 10 times"):
            followed(server.url)
        assert len(server.asked) == 11


def test_https_never_becomes_http() -> None:
    source = at("https://h/a", follow=True)
    with pytest.raises(RefusedObject, match="from https to plain http"):
        source._next(source._parts, "http://h/a")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
    ],
)
def test_a_body_that_is_cut(sent: bytes, reset: bool) -> None:
    with raw(lambda line: sent, reset=reset) as server:
        answer = None
        with pytest.raises(UnreachableObject, match="cut"):
            body_of(answer := at(server.url).open(WHOLE))
        if answer is not None:
            answer.close()
        assert len(server.connections) == 1


def test_no_answer_at_all() -> None:
    with raw(lambda line: b"") as server:
        with pytest.raises(UnreachableObject, match="cut"):
            at(server.url).open(WHOLE)
        assert len(server.connections) == 1  # nothing was tried again
    with closed_port() as url, pytest.raises(UnreachableObject, match="refused"):
        at(url).open(WHOLE)
    with pytest.raises(UnreachableObject):
        at("http://there-is-no-such-host.invalid/").open(WHOLE)
    with pytest.raises(BadUri):
        at("http://h..h/").open(WHOLE)
    with closed_port() as url, pytest.raises(BadUri):
        at(url).open(Wanted(if_match='"a\r\nb: c"'))


def test_a_server_that_hangs() -> None:
    wire = Wire(read_seconds=0.2)
    with serving(lambda asked: Told(hang_seconds=30)) as server, pytest.raises(UnreachableObject, match="in time"):
        at(server.url, wire=wire).open(WHOLE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        thread = threading.Thread(target=_half_then_silent, args=(silent,), daemon=True)
        thread.start()
        answer = at(f"http://127.0.0.1:{silent.getsockname()[1]}", wire=wire).open(WHOLE)
        view = memoryview(bytearray(100))
        assert answer.read_into(view) == 5
        with pytest.raises(UnreachableObject, match="nothing more in time"):
            answer.read_into(view)
        answer.close()
        thread.join(30)


def _half_then_silent(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(OK.replace(b"Length: 5", b"Length: 9"))
        connection.recv(1)  # until the other side closes


def test_connections_are_kept() -> None:
    with raw(lambda line: OK) as server:
        wire = Wire()
        for number in range(5):
            assert body_of(at(f"{server.url}/{number}", wire=wire).open(WHOLE)) == b"hello"
        answer = at(f"{server.url}/exactly", wire=wire).open(WHOLE)
        assert answer.read_into(memoryview(bytearray(5))) == 5
        answer.close()  # the end was not read, but all that was announced
        assert body_of(at(f"{server.url}/again", wire=wire).open(WHOLE)) == b"hello"
        assert len(server.connections) == 1
        at(f"{server.url}/unread", wire=wire).open(WHOLE).close()
        assert body_of(at(f"{server.url}/after", wire=wire).open(WHOLE)) == b"hello"
        assert [requests[-1].split()[1] for requests in server.connections] == ["/unread", "/after"]


@pytest.mark.parametrize("length", [b"", b"Content-Length: 0\r\n"])
def test_errors_and_304_keep_the_connection_too(length: bytes) -> None:
    def answer(line: str) -> bytes:
        if "304" in line:
            return b"HTTP/1.1 304 Not Modified\r\n" + length + b"\r\n"
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"

    kept = []  # an answer that is collected would give its connection back without being closed
    with raw(answer) as server:
        wire = Wire()
        for _ in range(3):
            kept.append(at(f"{server.url}/304", wire=wire).open(WHOLE))
            kept[-1].close()
            with pytest.raises(MissingObject):
                at(f"{server.url}/404", wire=wire).open(WHOLE)
        assert len(server.connections) == 1


def test_a_kept_connection_that_was_closed_is_no_failure() -> None:
    """Closed at the moment of the next request, so that it could not be seen before."""
    requests = 0

    def answer(line: str) -> bytes:
        nonlocal requests
        requests += 1
        return b"" if requests == 2 else OK

    with raw(answer) as server:
        wire = Wire()
        for _ in range(2):
            assert body_of(at(server.url, wire=wire).open(WHOLE)) == b"hello"
        assert requests == 3


def test_64_threads_each_with_a_connection_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    together = threading.Barrier(64)

    def answer(asked: Asked) -> Told:
        together.wait(30)
        return Told(200, body=asked.target.encode())

    with serving(answer) as server, ThreadPoolExecutor(64) as threads:
        wire = Wire()
        for _ in range(2):
            paths = [f"/{number}" for number in range(64)]
            bodies = threads.map(lambda path: body_of(at(server.url + path, wire=wire).open(WHOLE)), paths)
            assert [body.decode() for body in bodies] == paths
    assert caplog.text == ""


FORKING = """
import os, sys
from nearside.adapters.cache_http import HttpSource
from nearside.adapters.cache_wire import Reply, Wire
from nearside.caching.sources import Wanted
wire = Wire()
def get(path):
    answer = HttpSource(sys.argv[1] + path, wire=wire).open(Wanted())
    view = memoryview(bytearray(100))
    size = answer.read_into(view)
    answer.close()
    assert bytes(view[:size]) == b"hello", bytes(view[:size])
get("/parent")
child = os.fork()
get("/child" if child == 0 else "/parent")
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
get("/parent")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is POSIX")
def test_a_child_has_connections_of_its_own() -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    with raw(lambda line: OK) as server:
        ran = subprocess.run(
            [sys.executable, "-c", FORKING, server.url],
            env={"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        by_connection = sorted([line.split()[1] for line in requests] for requests in server.connections)
    assert by_connection == [["/child"], ["/parent", "/parent", "/parent"]]


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: Told(200, body=b"by proxy")) as proxy, serving(lambda asked: Told(200)) as server:
        for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://me:pw@"))
        assert body_of(at(f"{server.url}/a?b").open(WHOLE)) == b"by proxy"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert body_of(at(f"{server.url}/a?b").open(WHOLE)) == b""
    assert [asked.target for asked in proxy.asked] == [f"{server.url}/a?b"]
    assert proxy.asked[0].headers["proxy-authorization"] == "Basic bWU6cHc="
    assert "proxy-authorization" not in server.asked[0].headers


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key in one file, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    """What a server with that certificate speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    return context


def test_certificates_are_verified_and_a_bundle_is_used(authority: Path, tls: ssl.SSLContext) -> None:
    with raw(lambda line: OK, tls=tls) as server:
        wire = Wire(ca_bundle=str(authority))
        for _ in range(2):
            assert body_of(at(server.url, wire=wire).open(WHOLE)) == b"hello"
        assert len(server.connections) == 1
        with pytest.raises(UnreachableObject, match="TLS failed"):
            at(server.url).open(WHOLE)


def test_a_proxy_leads_to_tls(authority: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with raw(lambda line: OK, tls=tls) as server:
        monkeypatch.setenv("https_proxy", server.url.replace("https:", "http:"))
        wire = Wire(ca_bundle=str(authority))
        assert body_of(at("https://127.0.0.1/a/../b", wire=wire).open(WHOLE)) == b"hello"
        assert server.connections == [["CONNECT 127.0.0.1:443 HTTP/1.1", "GET /a/../b HTTP/1.1"]]
        monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
        with pytest.raises(UnreachableObject, match="socks5"):
            at("https://127.0.0.1/", wire=Wire()).open(WHOLE)


def credentials() -> Credentials:
    return Credentials("AKIAIOSFODNN7EXAMPLE", "a-secret-of-ours", "a-token-of-ours")


def test_s3_in_another_region_is_found_and_remembered() -> None:
    def answer(asked: Asked) -> Told:
        if "/eu-west-2/s3/" in asked.headers["authorization"]:
            return Told(200, body=b"here")
        body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>"
        return Told(400, body=body)

    with serving(answer) as server:
        places = S3Places(credentials, region="us-east-1", endpoint=server.url)
        for _ in range(2):
            [source] = places.sources(S3Object("pics", "a b", "v/1"))
            assert body_of(source.open(WHOLE)) == b"here"
    assert len(server.asked) == 3
    assert {asked.target for asked in server.asked} == {"/pics/a%20b?versionId=v%2F1"}
    assert server.asked[0].headers["x-amz-checksum-mode"] == "ENABLED"
    assert server.asked[0].headers["x-amz-security-token"] == "a-token-of-ours"


@pytest.mark.parametrize(
    ("named", "target"), [("s3.example:9000", "/pics/a"), ("pics.s3.example", "/a"), ("evil/x?", "/pics/a")]
)
def test_s3_that_names_another_endpoint_is_followed(named: str, target: str) -> None:
    class Recording(Wire):
        bases: ClassVar[list[str]] = []

        def send(self, name: str, base: str, *more: Any, **options: Any) -> Reply:
            self.bases.append(base)
            return super().send(name, server.url, *more, **options)

    def answer(asked: Asked) -> Told:
        body = f"<Error><Code>PermanentRedirect</Code><Endpoint>{named}</Endpoint></Error>".encode()
        there = "/eu-west-2/s3/" in asked.headers["authorization"]
        return Told(200) if there else Told(301, {"x-amz-bucket-region": "eu-west-2"}, body)

    with serving(answer) as server:
        places = S3Places(credentials, region="us-east-1", endpoint=server.url, http=Recording())
        places.sources(S3Object("pics", "a"))[0].open(WHOLE).close()
        assert [asked.target for asked in server.asked] == ["/pics/a", target]
        assert Recording.bases == [server.url, server.url if "evil" in named else f"http://{named}"]


@pytest.mark.parametrize("region", ["eu-west-2", "us-east-1", "evil.example/", ""])
def test_s3_that_moves_in_a_circle_is_asked_twice_at_most(region: str) -> None:
    with serving(lambda asked: Told(301, {"x-amz-bucket-region": region})) as server:
        [source] = S3Places(credentials, region="us-east-1", endpoint=server.url).sources(S3Object("pics", "a"))
        with pytest.raises(UnreachableObject):
            source.open(WHOLE)
        assert len(server.asked) == (2 if region == "eu-west-2" else 1)


def test_no_message_of_s3_has_a_secret() -> None:
    words = (
        b"<Error><Code>X</Code><Message>you sent a-token-of-ours</Message><Token-0>a-token-of-ours</Token-0></Error>"
    )
    with serving(lambda asked: Told(400, body=words)) as server, pytest.raises(UnreachableObject) as caught:
        S3Places(credentials, region="us-east-1", endpoint=server.url).sources(S3Object("p" * 3, "a"))[0].open(WHOLE)
    assert "of-ours" not in str(caught.value)


def test_a_session_that_ended_meanwhile_is_refused() -> None:
    def none() -> Credentials:
        raise NoCredentials("sign in again")

    with closed_port() as url:
        [source] = S3Places(none, region="us-east-1", endpoint=url).sources(S3Object("pics", "a"))
        with pytest.raises(RefusedObject, match="s3://pics/a cannot be asked for: sign in again"):
            source.open(WHOLE)


def test_anonymous_requests_are_not_signed() -> None:
    with serving(lambda asked: Told(200)) as server:
        S3Places(None, region="", endpoint=server.url).sources(S3Object("pics", "a"))[0].open(WHOLE).close()
    assert not {name for name in server.asked[0].headers if name.startswith("x-amz") or name == "authorization"}

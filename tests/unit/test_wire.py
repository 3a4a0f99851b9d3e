"""The catalog's connection: TLS that checks the name it was given, and a first request that imports little."""

import contextlib
import datetime
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nearside.adapters.wire import Wire
from nearside.errors import Unreachable
from tests.unit import functions


class Echo(BaseHTTPRequestHandler):
    """Answers a POST with its body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """A TLS server on loopback that is `localhost`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_tls_is_to_the_name_that_was_asked_for(port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    good, other = Wire("https", f"localhost:{port}"), Wire("https", f"127.0.0.1:{port}")
    host = {"host": "localhost"}
    assert good.post([(host, b"one"), (host, b"two")], seconds=5) == [(200, b"one"), (200, b"two")]
    with pytest.raises(Unreachable, match="certificate"):
        other.post([(host, b"three")], seconds=5)


def test_a_process_with_many_descriptors_keeps_its_connections(
    port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    resource = pytest.importorskip("resource", reason="Windows counts its descriptors otherwise")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1_300:
        pytest.skip("this process may not have so many descriptors")
    with contextlib.ExitStack() as stack:
        for _ in range(1_100):
            stack.enter_context(Path(os.devnull).open("rb"))
        wire = Wire("https", f"localhost:{port}")
        for body in (b"one", b"two"):
            assert wire.post([({"host": "localhost"}, body)], seconds=5) == [(200, body)]


def test_the_first_request_does_not_import_the_codec_of_international_names() -> None:
    program = (
        "import sys\nfrom nearside.adapters.wire import Wire\nfrom nearside.errors import Unreachable\n"
        "try: Wire('http', '127.0.0.1:9').post([({}, b'')], seconds=1)\n"
        "except Unreachable: pass\n"
        "print(*sys.modules)"
    )
    environment = {"PYTHONPATH": str(functions.ROOT / "layers/nearside")}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    modules = set(ran.stdout.split())
    assert "socket" in modules
    assert modules.isdisjoint({"encodings.idna", "stringprep", "unicodedata"})

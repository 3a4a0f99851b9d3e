"""A small HTTP/1.1 server: it shows a request exactly as it was sent, because signatures are made over that."""

import contextlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import cast, override
from urllib.parse import parse_qsl, unquote_to_bytes

type HeaderList = tuple[tuple[str, str], ...]

_CLOSE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class PortInUse(Exception):
    """Another program listens on a port this world needs; the message names the port."""


class Dropped(Exception):
    """Raised by an app to close the connection without an answer, as a region that is down would."""


class CutShort(Exception):
    """Raised by an app to send the answer's head and half of its body, and close the connection then."""

    def __init__(self, response: "Response") -> None:
        super().__init__("cut short")
        self.response = response


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` is what stood in the request line; header names and values are as sent (Latin-1)."""

    method: str
    target: str
    headers: HeaderList
    body: bytes = b""
    client: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The path as sent, still percent-encoded, beginning with a slash."""
        path = self.target.partition("?")[0]
        if not path.startswith("/"):  # absolute form, as a client sends it to a proxy (RFC 9112, 3.2.2)
            path = "/" + path.partition("://")[2].partition("/")[2]
        return path

    @property
    def query(self) -> str:
        """The query string as sent, without its question mark."""
        return self.target.partition("?")[2]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query's decoded pairs, in order; a parameter without a value has an empty one."""
        return parse_qsl(self.query, keep_blank_values=True)

    def parameter(self, name: str, default: str = "") -> str:
        """The first value of the query parameter, or `default`."""
        return next((value for key, value in self.parameters if key == name), default)

    def has_parameter(self, name: str) -> bool:
        return any(key == name for key, _ in self.parameters)

    def header(self, name: str, default: str = "") -> str:
        """The header's values joined by a comma, or `default`."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(values) if values else default

    def has_header(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Content-Length and Date are added when it is sent."""

    status: int
    headers: HeaderList = ()
    body: bytes = b""

    def header(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def adding(self, headers: Iterable[tuple[str, str]]) -> "Response":
        """The same answer with these headers, which replace those of the same name."""
        added = tuple(headers)
        names = {name.lower() for name, _ in added}
        kept = tuple(header for header in self.headers if header[0].lower() not in names)
        return Response(self.status, kept + added, self.body)


type App = Callable[[Request], Response]
type AccessLog = Callable[[str, Request, int, float], None]


def decode_path(raw: str) -> str:
    """The percent-decoded text; bytes that are no UTF-8 become surrogates, so that nothing is lost."""
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


class Server:
    """An app served by one thread per connection from construction until `close()`.

    `port` 0 takes a free one; `url` tells which. Raises PortInUse.
    """

    def __init__(self, name: str, app: App, host: str, port: int, log: AccessLog | None = None) -> None:
        self.name = name
        try:
            self._listener = _Listener((host, port), app, name, log)
        except OSError as error:
            raise PortInUse(f"port {port} on {host} ({name}) cannot be used: {error.strerror}") from error
        self.host = host
        self.port = self._listener.server_address[1]
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, name=f"serve {name}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, end every open connection and wait for their threads."""
        self._listener.shutdown()
        self._listener.server_close()
        self._listener.end_connections()
        self._thread.join(_CLOSE_SECONDS)


class _Listener(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], app: App, name: str, log: AccessLog | None) -> None:
        self.app = app
        self.name = name
        self.log = log
        self._open: dict[socket.socket, threading.Thread] = {}
        self._open_lock = threading.Lock()
        super().__init__(address, _Connection)

    @override
    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name=f"{self.name} client", daemon=True
        )
        with self._open_lock:
            self._open[request] = thread
        thread.start()

    @override
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        super().shutdown_request(request)
        with self._open_lock:
            self._open.pop(cast(socket.socket, request), None)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError | ValueError):
            _log.exception("%s: a connection failed", self.name)

    def end_connections(self) -> None:
        """Close idle keep-alive connections too: a thread that waits for the next request wakes up and ends."""
        with self._open_lock:
            still_open = dict(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in still_open.values():
            thread.join(max(0.0, deadline - time.monotonic()))


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for head and body
    disable_nagle_algorithm = True
    server: _Listener

    def _answer(self) -> None:
        started = time.perf_counter()
        try:
            body = self._body()
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length or a chunk's size is no number")
            return
        # Not self.path: http.server merges leading slashes, and "//a" is another key than "/a".
        target = self.requestline.split()[1]
        request = Request(self.command, target, tuple(self.headers.items()), body, str(self.client_address[0]))
        length: int | None = None
        try:
            response = self.server.app(request)
        except Dropped:
            self.close_connection = True
            self._log(request, 0, started)
            return
        except CutShort as cut:
            self.close_connection = True
            response, length = cut.response, len(cut.response.body) // 2
        except Exception:  # noqa: BLE001 - the boundary: whatever fails is logged and answered
            _log.exception("%s failed on %s %s", self.server.name, request.method, request.target)
            response = Response(HTTPStatus.INTERNAL_SERVER_ERROR, (("Connection", "close"),))
        self._send(request, response, length)
        self._log(request, response.status, started)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_PATCH = _answer

    def _send(self, request: Request, response: Response, sent: int | None = None) -> None:
        """`sent`: how many bytes of the body, if not all."""
        bodiless = request.method == "HEAD" or response.status in (204, 304)
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers:
            if name.lower() not in ("content-length", "date"):
                self.send_header(name, value)
        # A HEAD tells the length of the body that a GET would have (RFC 9110, 8.6); 204 has none at all.
        length = response.header("Content-Length") if request.method == "HEAD" else str(len(response.body))
        if length and response.status not in (204, 304):
            self.send_header("Content-Length", length)
        if response.header("Connection").lower() == "close":
            self.close_connection = True
        self.end_headers()
        if not bodiless:
            self.wfile.write(response.body if sent is None else response.body[:sent])

    @override
    def handle_expect_100(self) -> bool:
        answered = super().handle_expect_100()
        self.wfile.flush()
        return answered

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError
        return self._read(length)

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self._read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass

    def _read(self, length: int) -> bytes:
        """Raises ConnectionError when the client goes away before: half a request must not be carried out."""
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client went away while it sent a body")
        return body

    def _log(self, request: Request, status: int, started: float) -> None:
        if self.server.log is not None:
            self.server.log(self.server.name, request, status, time.perf_counter() - started)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """http.server's own log line; ours says more."""

"""A tiny HTTP server on loopback that answers as it is told and remembers what it was asked."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request: the target exactly as it was on the wire, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Told:
    """One answer. `hang_seconds` passes before it is sent; `drop` closes the connection instead, `close` after it,
    without a word."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_seconds: float = 0.0
    drop: bool = False
    close: bool = False


@dataclass
class Loopback:
    """A running server; `asked` is every request so far."""

    url: str
    asked: list[Asked]
    gone: threading.Event


@contextmanager
def serving(answer: Callable[[Asked], Told]) -> Iterator[Loopback]:
    """A server on a free port that answers each request with `answer`, kept alive between requests."""
    loopback = Loopback("", [], threading.Event())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(self.command, self.path, headers, body)
            loopback.asked.append(asked)
            told = answer(asked)
            if told.hang_seconds:
                loopback.gone.wait(told.hang_seconds)
            if told.drop:
                self.close_connection = True
                return
            self.send_response_only(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)
            self.close_connection = told.close

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _do  # http.server's own names

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # 32 connections come at once

        def handle_error(self, *_: Any) -> None:
            """A client that went away meanwhile is no trouble of the test's."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    loopback.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        loopback.gone.set()
        server.shutdown()
        server.server_close()


@contextmanager
def closed_port() -> Iterator[str]:
    """The address of a port that is taken, so that nobody else gets it, and that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"

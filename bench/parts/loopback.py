"""Servers on loopback in processes of their own, so that what is measured does not wait for their interpreter."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import override

from bench.parts.promises import ROOT


class Handler(BaseHTTPRequestHandler):
    """Answers on connections that stay open, each answer in one segment; logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Sends it; `headers` name the length of something other than the body where they must (HEAD)."""
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # room for a wave of connections at once: the base class's 5 make the others wait a second


def serve(handler: type[Handler]) -> None:
    """Serves for ever on a free port, which it prints for `serving`."""
    server = _Server(("127.0.0.1", 0), handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[str]:
    """The endpoint of `python -m <module> <arguments>`, which calls `serve`."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()

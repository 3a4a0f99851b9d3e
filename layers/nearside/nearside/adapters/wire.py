"""The least of HTTP/1.1 that reading the catalog takes: small POSTs to one host, over kept-alive connections.

Not for anything else. It is here because `POST /presign` reads the catalog on its coldest start: imports measured here
for a TLS request are 6 ms by socket and ssl, 14 by http.client, 41 by urllib3, 250 by boto3 (docs/decisions.md).
"""

import select
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nearside.errors import Unreachable

AT_ONCE = 8
MAX_HEAD_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024


class Wire:
    """POSTs to `scheme://host`. Thread-safe: each request has a connection of its own, kept for the next one."""

    def __init__(self, scheme: str, host: str) -> None:
        name, _, port = host.partition(":")
        # In bytes: for a str socket and ssl both import the codec of international names, 3 ms of a cold start.
        self._name = name.encode("ascii")
        self._port = int(port) if port else 443 if scheme == "https" else 80
        self._tls = ssl.create_default_context() if scheme == "https" else None
        self._idle: list[socket.socket] = []
        self._host = host

    def post(self, requests: Sequence[tuple[Mapping[str, str], bytes]], *, seconds: float) -> list[tuple[int, bytes]]:
        """Status and body of the answer to a POST to `/` for each request's headers and body, in order.

        Up to eight are under way at a time, each on a connection of its own; no thread is needed for that. Raises
        Unreachable when not all the answers are there within `seconds`.
        """
        deadline = time.monotonic() + seconds
        answers: list[tuple[int, bytes]] = []
        try:
            for start in range(0, len(requests), AT_ONCE):
                sent = [self._sent(headers, body, deadline) for headers, body in requests[start : start + AT_ONCE]]
                answers += [self._answer(connection, deadline) for connection in sent]
        except OSError as error:
            raise Unreachable(f"{self._host} cannot be reached: {error}") from error
        return answers

    def _sent(self, headers: Mapping[str, str], body: bytes, deadline: float) -> socket.socket:
        """A connection on which the request is under way."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        connection = self._kept() or self._connected(deadline)
        connection.settimeout(_left(deadline))
        connection.sendall(f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body)
        return connection

    def _kept(self) -> socket.socket | None:
        """An idle connection that is still good. One that can be read was closed by the other side meanwhile, over a
        Lambda's freeze for instance."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # asked first, another thread might take the last one in between
                return None
            if not _can_be_read(connection):
                return connection
            connection.close()

    def _connected(self, deadline: float) -> socket.socket:
        address: Any = (self._name, self._port)  # typeshed knows only str here; getaddrinfo takes both
        connection = socket.create_connection(address, timeout=_left(deadline))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._tls.wrap_socket(connection, server_hostname=self._name) if self._tls else connection

    def _answer(self, connection: socket.socket, deadline: float) -> tuple[int, bytes]:
        try:
            head, body = _head(connection, deadline)
            status, headers = _parsed(head)
            length = int(headers["content-length"])
            while len(body) < length:
                body += _read(connection, deadline)
        except (LookupError, ValueError) as error:
            connection.close()
            raise ConnectionError(f"an answer that is not understood: {error!r}") from error
        except OSError:
            connection.close()
            raise
        if headers.get("connection", "").lower() == "close":
            connection.close()
        else:
            self._idle.append(connection)
        return status, bytes(body)


def _can_be_read(connection: socket.socket) -> bool:
    """Whether something has come. (By poll: select takes no descriptor over 1,023, which a busy process has.)"""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(0))


def _head(connection: socket.socket, deadline: float) -> tuple[bytes, bytearray]:
    """The answer's head, and what came of its body with it."""
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        if len(received) > MAX_HEAD_BYTES:
            raise ConnectionError(f"a head of over {MAX_HEAD_BYTES} bytes")
        received += _read(connection, deadline)
    return bytes(received[:end]), received[end + 4 :]


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ", 2)[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _read(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(_left(deadline))
    chunk = connection.recv(_CHUNK_BYTES)
    if not chunk:
        raise ConnectionError("the connection was closed in the middle of an answer")
    return chunk


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left

"""The HTTP server under the world: requests as sent, connections that are kept, and requests that are no HTTP."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from local.server import Dropped, PortInUse, Request, Response, Server


def echo(request: Request) -> Response:
    """Answers with what it was asked; `/drop` drops, `/fail` fails."""
    if request.path == "/drop":
        raise Dropped
    if request.path == "/fail":
        raise ZeroDivisionError
    if request.path == "/304":
        return Response(304, (), b"never sent")
    lines = (request.method, request.target, request.path, request.query, request.header("X-A"), request.body.decode())
    return Response(200, (("Content-Type", "text/plain"),), "\n".join(lines).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server("echo", echo, "127.0.0.1", 0)
    yield running
    running.close()


def talk(server: Server, sent: bytes) -> bytes:
    """Everything that the server says until it closes the connection."""
    with closing(socket.create_connection((server.host, server.port), timeout=5)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_target_is_as_sent(server: Server) -> None:
    answer = talk(
        server, b"GET //a/../%41?q=%2B&r HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n"
    )
    assert answer.partition(b"\r\n\r\n")[2] == b"GET\n//a/../%41?q=%2B&r\n//a/../%41\nq=%2B&r\n1,2\n"


def test_absolute_form(server: Server) -> None:
    answer = talk(server, b"GET http://x/a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"GET\nhttp://x/a?b\n/a\nb\n\n")


def test_a_connection_is_kept_and_stays_in_step(server: Server) -> None:
    head = b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n"
    none = b"GET /304 HTTP/1.1\r\nHost: x\r\n\r\n"
    put = b"PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    chunked = (
        b"PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;e=1\r\nde\r\n1\r\nf\r\n0\r\nT: 1\r\n\r\n"
    )
    answers = talk(server, head + none + put + chunked)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"304", b"200", b"200"]
    assert b"never sent" not in answers
    assert b"/b\n\n\nabc" in answers
    assert answers.endswith(b"/c\n\n\ndef")


def test_expect_continue(server: Server) -> None:
    answers = talk(server, b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "headers",
    [b"Content-Length: abc", b"Content-Length: -1", b"Transfer-Encoding: chunked\r\n\r\nzz"],
)
def test_a_body_without_a_length_is_refused(server: Server, headers: bytes) -> None:
    assert talk(server, b"PUT / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("request_line", [b"BREW / HTTP/1.1", b"GET / HTTP/9", b"nonsense"])
def test_what_is_no_request_is_refused(server: Server, request_line: bytes) -> None:
    assert b"Error code" in talk(server, request_line + b"\r\nHost: x\r\n\r\n")


def test_dropping_and_failing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert talk(server, b"GET /drop HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert talk(server, b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    assert "ZeroDivisionError" in caplog.text


def test_a_port_is_free_again_after_close(server: Server) -> None:
    with pytest.raises(PortInUse, match=rf"port {server.port} on 127.0.0.1 \(again\)"):
        Server("again", echo, server.host, server.port)
    server.close()
    Server("again", echo, server.host, server.port).close()

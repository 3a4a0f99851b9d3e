"""A real HTTP server on loopback that serves objects as S3 would, logs every request, and fails as it is told.

with serving() as server:
    server.put("bucket/a/key.json", b"{}")
    server.fail("bucket/a/key.json", Fault(cut_after=1))   # the next answer ends after one byte
    ...
    assert server.statuses("bucket/a/key.json") == [200, 206]
"""

import hashlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

_CODES = {
    301: "PermanentRedirect",
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}


@dataclass(frozen=True)
class Stored:
    """One version of an object. `etag` has its quotes; empty: none is sent. `modified`: seconds since the epoch."""

    body: bytes
    etag: str
    version_id: str
    modified: float
    headers: Mapping[str, str]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Asked:
    """One request and the status it was answered with (0: the connection was dropped). `target` is as it was on the
    wire; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer. Of a body as it would be sent, `cut_after` bytes are sent and the connection is
    closed (`reset`: by RST); `stall_after` bytes are sent, and the rest when `until` is set; `trickle` bytes at a time,
    with a pause between them; `damage` turns every bit of the byte at that place of the body. `declare_more` is added
    to Content-Length. `no_ranges` and `no_conditions` take no notice of what the request says of them. In `headers` an
    empty text removes one. `before` is called before the object is looked up, `after` when the answer was sent, or just
    before it is cut. `status` answers with an error's XML instead; `drop` does not answer at all."""

    status: int = 0
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    reset: bool = False
    stall_after: int | None = None
    until: threading.Event | None = None
    trickle: int = 0
    damage: int | None = None
    declare_more: int = 0
    chunked: bool = False
    no_ranges: bool = False
    no_conditions: bool = False
    drop: bool = False
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None


@dataclass
class _Plan:
    """A fault that is to come: after `skip` more requests, for `times` of them (None: for ever)."""

    fault: Fault
    skip: int
    times: int | None


class FaultyServer:
    """A running server. Objects are named `bucket/key`, keys as they are; web addresses the same, with their query if
    they have one. Everything may be changed while it runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.is_down = False
        self.closing = threading.Event()
        self.routes: dict[tuple[str, str], Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]]] = {}
        self._objects: dict[str, list[Stored]] = {}
        self._plans: dict[str, list[_Plan]] = {}
        self._redirects: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._seconds = itertools.count(1_700_000_000)

    def put(
        self,
        name: str,
        body: bytes,
        *,
        etag: str | None = None,
        version_id: str = "",
        modified: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Stored:
        """Stores a new version, a second newer than all before. `etag` None is the body's MD5, empty is none at all.
        Former versions are gone, but for those that have a version id."""
        quoted = f'"{hashlib.md5(body).hexdigest()}"' if etag is None else etag
        stored = Stored(body, quoted, version_id, next(self._seconds) if modified is None else modified, headers or {})
        with self._lock:
            former = [each for each in self._objects.get(name, []) if each.version_id]
            self._objects[name] = [*former, stored]
        return stored

    def delete(self, name: str) -> None:
        """Removes every version."""
        with self._lock:
            self._objects.pop(name, None)

    def newest(self, name: str) -> Stored:
        """The version that is served."""
        return self._objects[name][-1]

    def redirect(self, name: str, to: str, status: int = 302) -> None:
        """Answers with a redirect to `to`."""
        self._redirects[name] = (status, to)

    def fail(self, name: str, fault: Fault, *, times: int | None = 1, skip: int = 0) -> None:
        """Lets answers about this object fail: `times` of them (None: all), after `skip` that do not. Several are
        taken one after the other."""
        with self._lock:
            self._plans.setdefault(name, []).append(_Plan(fault, skip, times))

    def mend(self, name: str) -> None:
        """Forgets what was planned for this object."""
        with self._lock:
            self._plans.pop(name, None)

    def address(self, name: str) -> str:
        """The web address of an object, encoded as S3 has it."""
        return f"{self.url}/{quote(name, safe='/~')}"

    def about(self, name: str, method: str = "") -> list[Asked]:
        """The requests about an object so far (of one method)."""
        return [each for each in list(self.asked) if name_of(each.target) == name and method in ("", each.method)]

    def statuses(self, name: str) -> list[int]:
        """How the requests about an object were answered."""
        return [each.status for each in self.about(name)]

    def forget(self) -> None:
        """Empties the log."""
        self.asked.clear()

    def _next_fault(self, name: str) -> Fault:
        with self._lock:
            plans = self._plans.get(name, [])
            if not plans:
                return Fault()
            plan = plans[0]
            if plan.skip:
                plan.skip -= 1
                return Fault()
            if plan.times is not None:
                plan.times -= 1
                if not plan.times:
                    plans.pop(0)
            return plan.fault

    def _find(self, name: str, version_id: str) -> Stored | None:
        with self._lock:
            versions = self._objects.get(name, [])
            fitting = [each for each in versions if version_id in ("", each.version_id)]
            return fitting[-1] if fitting else None


def name_of(target: str) -> str:
    """The object that a request's target names; a query other than S3's own belongs to the name."""
    path, mark, query = target.partition("?")
    ours = not mark or any(each in query for each in ("versionId=", "X-Amz-", "x-id=", "partNumber="))
    return unquote(path[1:], errors="surrogateescape") + ("" if ours else mark + query)


@contextmanager
def serving() -> Iterator[FaultyServer]:
    """A server on a free port."""
    listening = _Server(("127.0.0.1", 0), _Handler)
    server = FaultyServer(listening.server_address[1])
    listening.world = server
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # 16 processes with 16 connections each come at once
    daemon_threads = True
    world: FaultyServer

    def handle_error(self, *_: Any) -> None:
        """A client that went away meanwhile is no trouble of the test's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    raw_requestline: bytes

    def _do(self) -> None:
        world = self.server.world
        target = self.raw_requestline.decode("latin-1").split()[1]  # self.path lost a double slash
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        asked = (self.command, target, headers, body)
        if world.is_down:
            self._drop(asked)
            return
        name = name_of(target)
        route = world.routes.get((self.command, name))
        if route is not None:
            self._answer(asked, Fault(), *_with_type(route(target, headers, body)))
            return
        fault = world._next_fault(name)
        if fault.before:
            fault.before()
        try:
            if fault.drop:
                self._drop(asked)
            elif fault.status:
                without_body = fault.status in (204, 304)
                said = b"" if without_body else _error(fault.status, fault.code, name)
                self._answer(asked, fault, fault.status, {}, said)
            elif name in world._redirects:
                status, location = world._redirects[name]
                self._answer(asked, fault, status, {"Location": location}, b"")
            else:
                self._answer(asked, fault, *self._judge(name, target, headers, fault))
        finally:
            if fault.after and fault.cut_after is None:
                fault.after()

    do_GET = do_HEAD = do_POST = _do

    def _judge(
        self, name: str, target: str, headers: Mapping[str, str], fault: Fault
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body as S3 would answer."""
        version_id = parse_qs(target.partition("?")[2]).get("versionId", [""])[0]
        stored = self.server.world._find(name, version_id)
        if stored is None:
            return 404, {"Content-Type": "application/xml"}, _error(404, "", name)
        said = {"Last-Modified": formatdate(stored.modified, usegmt=True), "Accept-Ranges": "bytes"}
        said |= {"Content-Type": "binary/octet-stream", **stored.headers}
        if stored.etag:
            said["ETag"] = stored.etag
        if stored.version_id:
            said["x-amz-version-id"] = stored.version_id
        condition = 0 if fault.no_conditions else _condition(stored, headers)
        if condition == 304:
            return 304, {name: said[name] for name in ("ETag", "Last-Modified") if name in said}, b""
        if condition == 412:
            return 412, {}, _error(412, "", name)
        wanted = headers.get("range", "")
        if not wanted or fault.no_ranges:
            return 200, said, stored.body
        return _part(stored.body, wanted, said)

    def _answer(
        self,
        asked: tuple[str, str, Mapping[str, str], bytes],
        fault: Fault,
        status: int,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        self.server.world.asked.append(Asked(*asked, status))
        if fault.damage is not None and len(body) > fault.damage:
            body = body[: fault.damage] + bytes([body[fault.damage] ^ 0xFF]) + body[fault.damage + 1 :]
        self.send_response_only(status)
        for name, value in {**headers, **fault.headers}.items():
            if value:
                self.send_header(name, value)
        if fault.chunked and status != 304:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in _pieces(body, 1_000)) + b"0\r\n\r\n"
        elif status not in (204, 304):
            self.send_header("Content-Length", str(len(body) + fault.declare_more))
        self.end_headers()
        if self.command != "HEAD":
            self._send(body, fault)
        if fault.declare_more:
            self.close_connection = True

    def _send(self, body: bytes, fault: Fault) -> None:
        closing = self.server.world.closing
        if fault.stall_after is not None:
            self.wfile.write(body[: fault.stall_after])
            self.wfile.flush()
            until = fault.until or closing
            while not until.wait(0.02) and not closing.is_set():
                pass
            body = body[fault.stall_after :]
        if fault.cut_after is not None:
            self.wfile.write(body[: fault.cut_after])
            self.wfile.flush()
            if fault.after:
                fault.after()  # before the client can know that it was cut
            self._close(reset=fault.reset)
            return
        for piece in _pieces(body, fault.trickle or len(body) or 1):
            self.wfile.write(piece)
            if fault.trickle:
                time.sleep(0.002)

    def _drop(self, asked: tuple[str, str, Mapping[str, str], bytes]) -> None:
        self.server.world.asked.append(Asked(*asked, 0))
        self._close(reset=True)

    def _close(self, *, reset: bool) -> None:
        self.wfile.flush()
        if reset:  # no lingering: closing sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_WR)
        self.close_connection = True
        if reset:
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Silence: the log is `asked`."""


def _condition(stored: Stored, headers: Mapping[str, str]) -> int:
    """What the conditions of a request make of it (RFC 9110, 13.2.2): 0, 304 or 412."""
    if "if-match" in headers and (headers["if-match"] not in ("*", stored.etag) or stored.etag.startswith("W/")):
        return 412  # a weak tag never matches: RFC 9110, 13.1.1
    if "if-none-match" in headers:
        weak = stored.etag.removeprefix("W/")
        return 304 if stored.etag and headers["if-none-match"].removeprefix("W/") in ("*", weak) else 0
    if since := headers.get("if-modified-since"):
        return 304 if stored.modified <= parsedate_to_datetime(since).timestamp() else 0
    return 0


def _part(body: bytes, wanted: str, said: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    size = len(body)
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(size - int(last), 0), size
    if start >= size:
        return 416, {"Content-Range": f"bytes */{size}"}, _error(416, "", wanted)
    # A checksum of the whole is not sent with a part of it.
    said = {name: value for name, value in said.items() if not name.lower().startswith("x-amz-checksum-")}
    return 206, {**said, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}, body[start:stop]


def _error(status: int, code: str, resource: str) -> bytes:
    code = code or _CODES.get(status, "InternalError")
    shown = escape(resource.encode("utf-8", "replace").decode())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code} it is</Message>'
        f"<Resource>{shown}</Resource><RequestId>TESTREQUEST</RequestId></Error>"
    ).encode()


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _with_type(answer: tuple[int, bytes]) -> tuple[int, dict[str, str], bytes]:
    return answer[0], {"Content-Type": "application/json"}, answer[1]

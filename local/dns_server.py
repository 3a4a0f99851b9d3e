"""A name server on loopback, over UDP and TCP on one port, that can also be slow, silent, or off."""

import contextlib
import logging
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode

from local.dns_zone import FAILURES, SLOW_SECONDS, BadRecord, Failure, Zone
from local.server import PortInUse

MAX_SLOW_SECONDS = 60.0

_UDP_BYTES = 512  # RFC 1035, 4.2.1: without EDNS
_EDNS_BYTES = 1232  # what is never fragmented: https://www.dnsflagday.net/2020/
_TCP_BYTES = 65_535
_IDLE_SECONDS = 10.0
_BINDING_TRIES = 20

_log = logging.getLogger(__name__)


class DnsServer:
    """Answers from `zone` from construction until `close()`. `port` 0 takes a free one. Raises PortInUse."""

    def __init__(self, zone: Zone, host: str, port: int) -> None:
        self.zone = zone
        self.host = host
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._running: _Listeners | None = None
        self._placeholders: list[socket.socket] = []
        udp, tcp = _bind(host, port)
        self.port: int = udp.getsockname()[1]
        self._running = _Listeners(zone, udp, tcp, self._closing)

    @property
    def address(self) -> str:
        """`127.0.0.1:3007`."""
        return f"{self.host}:{self.port}"

    def fail(self, mode: str, seconds: float | None = None) -> None:
        """Fail in one of the FAILURES from now on; `slow` by `seconds` (10). Raises BadRecord."""
        if mode not in FAILURES:
            raise BadRecord(f"mode is {mode!r}: expected one of {', '.join(FAILURES)}")
        late = SLOW_SECONDS if seconds is None else seconds
        if not 0 <= late <= MAX_SLOW_SECONDS:
            raise BadRecord(f"seconds is {late:g}: expected a number from 0 to {MAX_SLOW_SECONDS:g}")
        self._become(next(known for known in FAILURES if known == mode), late)

    def mend(self) -> None:
        """Answer quickly and well again."""
        self._become("", SLOW_SECONDS)

    def close(self) -> None:
        """Stop answering, end every connection and wait for its thread."""
        self._closing.set()
        with self._changing:
            self._stop()
            self._release()

    def _become(self, failure: Failure, slow_seconds: float) -> None:
        with self._changing:
            if self._closing.is_set():
                return
            self.zone.failure, self.zone.slow_seconds = failure, slow_seconds
            if failure == "off" and self._running is not None:
                self._stop()
                self._placeholders = _placeholders(self.host, self.port)
            elif failure != "off" and self._running is None:
                self._release()
                self._running = _Listeners(self.zone, *_bind(self.host, self.port), self._closing)

    def _stop(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def _release(self) -> None:
        for placeholder in self._placeholders:
            placeholder.close()
        self._placeholders = []


class _Listeners:
    """One thread for UDP and for new connections, one for each connection and each answer that comes late."""

    def __init__(self, zone: Zone, udp: socket.socket, tcp: socket.socket, closing: threading.Event) -> None:
        self._zone = zone
        self._udp = udp
        self._tcp = tcp
        self._closing = closing
        self._stopping = threading.Event()
        self._woken, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._connections: set[socket.socket] = set()
        tcp.listen(64)
        self._thread = threading.Thread(target=self._serve, name="serve dns", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._waker.send(b".")
        self._thread.join()
        for listener in (self._udp, self._tcp, self._woken, self._waker):
            listener.close()
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for readable in (self._udp, self._tcp, self._woken):
                selector.register(readable, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for key, _ in selector.select():
                    with contextlib.suppress(OSError):  # a client that is gone already
                        if key.fileobj is self._udp:
                            self._datagram(*self._udp.recvfrom(_TCP_BYTES))
                        elif key.fileobj is self._tcp:
                            connection, _ = self._tcp.accept()
                            self._spawn(partial(self._converse, connection))

    def _spawn(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except OSError:
                pass
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="dns client", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _datagram(self, wire: bytes, client: Any) -> None:
        answer = self._answer(wire, over_tcp=False)
        if answer is None:
            return

        def send() -> None:
            with contextlib.suppress(OSError):
                self._udp.sendto(answer, client)

        late = self._zone.slow_seconds if self._zone.failure == "slow" else 0.0
        if late:
            self._spawn(lambda: None if self._pause(late) else send())
        else:
            send()

    def _converse(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
        try:
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(_IDLE_SECONDS)
                while not self._stopping.is_set() and len(prefix := stream.read(2)) == 2:
                    answer = self._answer(stream.read(*struct.unpack("!H", prefix)), over_tcp=True)
                    if self._zone.failure == "slow" and self._pause(self._zone.slow_seconds):
                        return
                    if answer is not None:
                        connection.sendall(struct.pack("!H", len(answer)) + answer)
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _pause(self, seconds: float) -> bool:
        """Wait. Returns whether the server stops."""
        return self._stopping.wait(seconds)

    def _answer(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return _format_error(wire)
        if query.flags & dns.flags.QR or len(query.question) != 1 or query.opcode() != dns.opcode.QUERY:
            return None if query.flags & dns.flags.QR else _format_error(wire)
        try:
            response = self._zone.answer(query, over_tcp=over_tcp)
            limit = _TCP_BYTES if over_tcp else min(max(query.payload, _UDP_BYTES), _EDNS_BYTES)
            # Over UDP what does not fit is left out, with the TC bit, and asked for again over TCP.
            return None if response is None else response.to_wire(max_size=limit, prefer_truncation=not over_tcp)
        except Exception:  # noqa: BLE001 - one bad query must not end the server
            _log.exception("no answer to a query for %s", query.question[0])
            return None


def _format_error(wire: bytes) -> bytes | None:
    """FORMERR to what is no query, by its id; None when it has none."""
    return wire[:2] + struct.pack("!HHHHH", dns.flags.QR | dns.rcode.FORMERR, 0, 0, 0, 0) if len(wire) >= 12 else None


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port. Raises PortInUse."""
    for left in reversed(range(_BINDING_TRIES if port == 0 else 1)):
        sockets: list[socket.socket] = []
        try:
            sockets.append(_bound(socket.SOCK_STREAM, host, port))
            sockets.append(_bound(socket.SOCK_DGRAM, host, sockets[0].getsockname()[1]))
        except OSError as error:
            for each in sockets:
                each.close()
            if left == 0:
                raise PortInUse(f"port {port} on {host} (dns) cannot be used: {error.strerror}") from error
        else:
            tcp, udp = sockets
            return udp, tcp
    raise AssertionError("the last try returns or raises")


def _bound(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made


def _placeholders(host: str, port: int) -> list[socket.socket]:
    """Sockets that keep the port for later while everybody who asks there is refused, as where no server is: TCP does
    not listen, and UDP hears only one peer, which never speaks."""
    kept: list[socket.socket] = []
    with contextlib.suppress(OSError):
        kept.append(_bound(socket.SOCK_STREAM, host, port))
        kept.append(_bound(socket.SOCK_DGRAM, host, port))
        kept[-1].connect((host, 9))  # the discard protocol's
    return kept

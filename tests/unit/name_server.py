"""A name server on loopback for tests: dnspython's messages over UDP and TCP, as truthful as it is told to be."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

type Answer = Callable[[dns.message.Message, bool], Sequence[bytes]]
"""The datagrams (or, over TCP, the message) to send for a query; the flag says that it came over TCP."""


@dataclass
class NameServer:
    """A running server: where it listens, and what it was asked, `udp` or `tcp` for each query."""

    address: tuple[str, int]
    asked: list[str] = field(default_factory=list)


def zone(
    texts: Mapping[str, Sequence[Sequence[str]]], ttl: int = 60, aliases: Mapping[str, str] | None = None
) -> Answer:
    """Answers from records given as lists of strings, truncates over UDP what the query has no room for, and knows the
    names in `aliases` as CNAMEs."""

    def answer(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        reply = dns.message.make_response(query, our_payload=1232)
        reply.flags |= dns.flags.RA
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        while aliases and name in aliases:
            reply.answer.append(dns.rrset.from_text(name + ".", ttl + 1, "IN", "CNAME", aliases[name] + "."))
            name = aliases[name]
        if name in texts:
            rows = [" ".join(f'"{part}"' for part in parts) for parts in texts[name]]
            reply.answer.append(dns.rrset.from_text(name + ".", ttl, "IN", "TXT", *rows))
        elif not reply.answer:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return [fitted(reply, query, tcp)]

    return answer


def fitted(reply: dns.message.Message, query: dns.message.Message, tcp: bool) -> bytes:
    """The reply on the wire: without its answers and with TC when it does not fit UDP."""
    wire = reply.to_wire(max_size=65535)
    if not tcp and len(wire) > max(512, query.payload):
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        wire = reply.to_wire()
    return wire


def failing(rcode: dns.rcode.Rcode) -> Answer:
    """Answers every query with this rcode."""

    def answer(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return [reply.to_wire()]

    return answer


def silent(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
    """Never answers."""
    return []


def slow(seconds: float, then: Answer) -> Answer:
    """Answers as `then` does, later."""

    def answer(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        time.sleep(seconds)
        return then(query, tcp)

    return answer


@contextmanager
def serving(answer: Answer) -> Iterator[NameServer]:
    """A server on a free port of 127.0.0.1, the same for UDP and TCP."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(32)
        udp.bind(tcp.getsockname())
        server = NameServer(tcp.getsockname())
        threads = [
            threading.Thread(target=target, args=(server, listener, answer), daemon=True)
            for target, listener in ((_udp, udp), (_tcp, tcp))
        ]
        for thread in threads:
            thread.start()
        yield server
        for listener, thread in zip((udp, tcp), threads, strict=True):
            _wake(listener)
            thread.join(5)


def _wake(listener: socket.socket) -> None:
    """A thread that waits on a socket does not notice that it was closed."""
    with socket.socket(type=listener.type) as last:
        last.settimeout(1)
        last.connect(listener.getsockname())
        if listener.type == socket.SOCK_DGRAM:
            last.send(b"")


def _udp(server: NameServer, listener: socket.socket, answer: Answer) -> None:
    while True:
        data, sender = listener.recvfrom(0xFFFF)
        if not data:
            return
        threading.Thread(target=_answer_udp, args=(server, listener, answer, data, sender), daemon=True).start()


def _answer_udp(server: NameServer, listener: socket.socket, answer: Answer, data: bytes, sender: str) -> None:
    server.asked.append("udp")
    for wire in answer(dns.message.from_wire(data), False):
        try:
            listener.sendto(wire, sender)
        except OSError:
            return  # the test is over


def _tcp(server: NameServer, listener: socket.socket, answer: Answer) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            head = connection.recv(2)
            if not head:
                return
            server.asked.append("tcp")
            query = dns.message.from_wire(connection.recv(int.from_bytes(head)))
            for wire in answer(query, True):
                connection.sendall(len(wire).to_bytes(2) + wire)

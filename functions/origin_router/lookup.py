"""One TXT lookup over several resolvers: UDP, TCP for what is truncated, the next resolver before the first gives up.

The sockets are the module's own: dns.query would bring TLS and HTTP into a cold start. Each is connected, so that the
kernel drops what comes from another address; id and source port are random.
"""

import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import messages
from records import LookupFailed

RESOLV_CONF = "/etc/resolv.conf"
MIN_SENDS = 3  # in one lookup, so that a lost datagram is sent again where there is but one resolver
_MAX_RESOLVERS = 6

type Resolver = tuple[str, int]


class Answer(NamedTuple):
    """The texts of a name's TXT records, each with its strings joined, and how long they hold."""

    texts: tuple[str, ...]
    ttl: int


class _Unusable(Exception):
    """What one resolver did that makes its answer of no use; the text says it."""


def resolve(name: str, resolvers: Sequence[Resolver], deadline_seconds: float) -> Answer:
    """The TXT records of `name` from whichever resolver (none: the system's) answers first within the deadline.

    The first is asked at once, the next ones (and then the same again) after equal parts of the deadline, or at once
    when all before failed. NXDOMAIN and an answer without TXT records are final. Raises LookupFailed.
    """
    asked = list(resolvers or system_resolvers())[:_MAX_RESOLVERS]
    if not asked:
        raise LookupFailed("there is no resolver: X-ORIGIN-RESOLVERS is not set, and the system names none")
    race = _Race(name, asked, deadline_seconds)
    try:
        return race.run()
    finally:
        race.close()


def system_resolvers() -> Iterator[Resolver]:
    """The name servers of /etc/resolv.conf."""
    try:
        with open(RESOLV_CONF, errors="replace") as file:  # noqa: PTH123 - pathlib costs a cold start 2 ms
            lines = file.readlines()
    except OSError:
        return
    for words in map(str.split, lines):
        if len(words) >= 2 and words[0] == "nameserver":
            yield words[1], 53


class _Attempt:
    """One query to one resolver over one socket: UDP, and in its place TCP once the answer is truncated."""

    def __init__(self, name: str, resolver: Resolver, *, tcp: bool = False, edns: bool = True) -> None:
        self.name, self.resolver, self.tcp, self.edns = name, resolver, tcp, edns
        self.number = int.from_bytes(os.urandom(2))
        self._query = messages.query(name, self.number, edns=edns)
        self._got = b""
        family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        failed = self.socket.connect_ex(resolver)
        if failed not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(failed, os.strerror(failed))
        self.waits_for = selectors.EVENT_WRITE if tcp else selectors.EVENT_READ
        if not tcp:
            self.socket.send(self._query)

    def ready(self) -> messages.Reply | None:
        """What came; None: not all of it yet, or nothing of ours. Raises OSError, _Unusable."""
        return self._ready_tcp() if self.tcp else self._ready_udp()

    def _ready_udp(self) -> messages.Reply | None:
        try:
            return messages.read(self.socket.recv(0xFFFF), self.name, self.number)
        except (BlockingIOError, messages.NotMine):
            return None
        except messages.BadMessage as error:
            raise _Unusable(str(error)) from error

    def _ready_tcp(self) -> messages.Reply | None:
        if self.waits_for == selectors.EVENT_WRITE:
            # The connection is there, or send says why not; so few bytes fit the empty buffer.
            self.socket.send(struct.pack("!H", len(self._query)) + self._query)
            self.waits_for = selectors.EVENT_READ
            return None
        try:
            more = self.socket.recv(0xFFFF)
        except BlockingIOError:
            return None
        self._got += more
        if len(self._got) >= 2 and len(self._got) >= 2 + (size := int.from_bytes(self._got[:2])):
            try:
                return messages.read(self._got[2 : 2 + size], self.name, self.number)
            except (messages.NotMine, messages.BadMessage) as error:
                raise _Unusable(str(error)) from error
        if not more:
            raise _Unusable("closed the TCP connection before it answered")
        return None


class _Race:
    """The attempts under way, and those still to come."""

    def __init__(self, name: str, resolvers: Sequence[Resolver], deadline_seconds: float) -> None:
        self._name = name
        self._end = time.monotonic() + deadline_seconds
        rounds = -(-MIN_SENDS // len(resolvers))
        self._left = [resolver for _ in range(rounds) for resolver in resolvers]
        self._step = deadline_seconds / (len(self._left) + 1)
        self._selector = selectors.DefaultSelector()
        self._under_way: set[_Attempt] = set()
        self._complaints: dict[str, None] = {}

    def run(self) -> Answer:
        """The first usable answer. Raises LookupFailed."""
        next_at = time.monotonic()
        while (now := time.monotonic()) < self._end:
            if self._left and (now >= next_at or not self._under_way):
                self._start(self._left.pop(0))
                next_at = now + self._step
                continue
            if not self._under_way:
                raise LookupFailed("; ".join(self._complaints))
            until = min(self._end, next_at) if self._left else self._end
            for key, _ in self._selector.select(max(0.0, until - now)):
                if answer := self._continue(key.data):
                    return answer
        waiting = sorted({_shown(attempt.resolver) for attempt in self._under_way})
        complaints = [*self._complaints, *(f"{resolver} did not answer in time" for resolver in waiting)]
        raise LookupFailed("; ".join(complaints))

    def close(self) -> None:
        """Closes every socket."""
        for attempt in self._under_way:
            attempt.socket.close()
        self._selector.close()

    def _start(self, resolver: Resolver, *, tcp: bool = False, edns: bool = True) -> None:
        try:
            attempt = _Attempt(self._name, resolver, tcp=tcp, edns=edns)
        except OSError as error:
            self._complain(resolver, str(error))
            return
        self._under_way.add(attempt)
        self._selector.register(attempt.socket, attempt.waits_for, attempt)

    def _continue(self, attempt: _Attempt) -> Answer | None:
        """The answer if this attempt has it; an attempt that failed is over, or goes on by other means."""
        try:
            reply = attempt.ready()
            if reply is None:
                self._selector.modify(attempt.socket, attempt.waits_for, attempt)
                return None
            self._stop(attempt)
            return self._usable(reply, attempt)
        except (OSError, _Unusable) as error:
            self._stop(attempt)
            self._complain(attempt.resolver, str(error))
            return None

    def _usable(self, reply: messages.Reply, attempt: _Attempt) -> Answer | None:
        if reply.truncated:
            if attempt.tcp:
                raise _Unusable("truncated its answer over TCP")
            self._start(attempt.resolver, tcp=True, edns=attempt.edns)
            return None
        if attempt.edns and reply.rcode in (messages.FORMERR, messages.NOTIMP):
            self._start(attempt.resolver, tcp=attempt.tcp, edns=False)  # RFC 6891 7: a server from before EDNS
            return None
        if reply.rcode == messages.NXDOMAIN:
            raise LookupFailed(f"{self._name} does not exist (NXDOMAIN)")
        if reply.rcode != messages.NOERROR:
            raise _Unusable(f"answered {messages.rcode_text(reply.rcode)}")
        if not reply.texts:
            raise LookupFailed(f"{self._name} has no TXT record")
        return Answer(reply.texts, reply.ttl)

    def _stop(self, attempt: _Attempt) -> None:
        if attempt in self._under_way:
            self._under_way.discard(attempt)
            self._selector.unregister(attempt.socket)
            attempt.socket.close()

    def _complain(self, resolver: Resolver, what: str) -> None:
        self._complaints[f"{_shown(resolver)} {what}"] = None


def _shown(resolver: Resolver) -> str:
    address, port = resolver
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

"""A name server on loopback in a process of its own: one TXT record for every name, and a count of its queries."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dns.message
import dns.rrset

from bench.parts import loopback

RECORD = "nearside-us-east-2.s3.us-east-2.amazonaws.com"
COUNT = "count.bench.test"


def main(ttl: int) -> None:
    """Answers for ever on a free UDP port, which it prints."""
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        queries = 0
        while True:
            data, sender = listener.recvfrom(0xFFFF)
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text()
            if name != COUNT + ".":
                queries += 1
            reply = dns.message.make_response(query)
            text = str(queries) if name == COUNT + "." else RECORD
            reply.answer.append(dns.rrset.from_text(name, ttl, "IN", "TXT", f'"{text}"'))
            listener.sendto(reply.to_wire(), sender)


@contextmanager
def serving(ttl: int) -> Iterator[tuple[str, int]]:
    """The address of a server whose record lives for `ttl` seconds."""
    with loopback.serving(__name__, str(ttl)) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A read-only S3 on loopback in its own process: a thousand small objects and a large one, each answer 20 ms late.

The delay comes before an answer begins, as a place's distance does, and many requests wait at once. Small objects are
in memory, the large one goes out by sendfile, so that on a machine of two cores the clients are what is measured.
`GET /-/counts` tells how many requests of each kind there were since it was last asked.
"""

import asyncio
import hashlib
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, override
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

from bench.parts import loopback

BUCKET = "bench"
SMALL, SMALL_BYTES = 1_000, 4_096
MIB = 1024**2
LARGE_BYTES = 1024 * MIB
LARGE_KEY = "large/one.bin"
WARM_UP_KEY = "small/warm-up.json"  # for a client's first connection, which no case times
_PART = 8 * MIB  # the large object's ETag is that of an upload in parts of this size


@dataclass(frozen=True)
class Held:
    """An object; the large one's `body` is None: it is in the file."""

    etag: str
    size: int
    body: bytes | None


@dataclass(frozen=True)
class Reply:
    """An answer: its status line and headers, and which bytes of the object follow."""

    status: int
    head: bytes
    held: Held | None = None
    start: int = 0
    stop: int = 0


def small_key(index: int) -> str:
    """The key of the small object of this number, from 0 up to `SMALL`."""
    return f"small/{index:04}.json"


def small_objects() -> dict[str, Held]:
    """Random bytes, the same in each run, under `SMALL` keys and `WARM_UP_KEY`."""
    made_up = random.Random(6)
    bodies = {key: made_up.randbytes(SMALL_BYTES) for key in (WARM_UP_KEY, *map(small_key, range(SMALL)))}
    return {
        key: Held(f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"', len(body), body)
        for key, body in bodies.items()
    }


def write_large(file: IO[bytes], size: int) -> Held:
    """Fills the file with `size` bytes, a whole number of MiB, each of which begins with its number (`large_mark`). The
    ETag need not describe them: that of an upload in parts is no MD5 of the bytes."""
    block = random.Random(7).randbytes(MIB)
    for number in range(size // MIB):
        mark = large_mark(number)
        file.write(mark + block[len(mark) :])
    file.flush()
    etag = hashlib.md5(block, usedforsecurity=False).hexdigest()
    return Held(f'"{etag}-{-(-size // _PART)}"', size, None)


def large_mark(number: int) -> bytes:
    """The first bytes of the large object's MiB of this number."""
    return number.to_bytes(8)


def reply(objects: Mapping[str, Held], method: str, target: str, headers: Mapping[str, str]) -> Reply:
    """S3's answer to GET or HEAD of an object, path style; anything else is not there."""
    held = objects.get(unquote(urlsplit(target).path).removeprefix(f"/{BUCKET}/"))
    if held is None or method not in ("GET", "HEAD"):
        return _reply(404, {})
    described = {
        "ETag": held.etag,
        "Last-Modified": "Fri, 20 Nov 2026 00:00:00 GMT",
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if headers.get("if-none-match", "").removeprefix("W/") == held.etag:
        return _reply(304, described)
    if headers.get("if-match", held.etag) != held.etag:
        return _reply(412, {})
    start, stop, status = 0, held.size, 200
    if match := re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", "")):
        start = int(match[1]) if match[1] else max(held.size - int(match[2]), 0)
        stop = min(int(match[2]) + 1, held.size) if match[1] and match[2] else held.size
        status = 206
        if start >= stop:
            return _reply(416, {"Content-Range": f"bytes */{held.size}"})
        described["Content-Range"] = f"bytes {start}-{stop - 1}/{held.size}"
    return _reply(status, described, held if method == "GET" else None, start, stop)


def _reply(status: int, headers: Mapping[str, str], held: Held | None = None, start: int = 0, stop: int = 0) -> Reply:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    if status != 304:
        lines.append(f"Content-Length: {stop - start}")
    return Reply(status, "\r\n".join([*lines, "x-amz-request-id: 1", "", ""]).encode(), held, start, stop)


class Server:
    """The objects, the delay in seconds and what was asked."""

    def __init__(self, delay: float, large: IO[bytes], large_bytes: int) -> None:
        self.delay, self.large = delay, large
        self.objects = {**small_objects(), LARGE_KEY: write_large(large, large_bytes)}
        self.counts: Counter[str] = Counter()

    def counted(self) -> bytes:
        """The answer of `/-/counts`; the next counts begin with it."""
        body = json.dumps(+self.counts).encode()
        self.counts.clear()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One client's connection, which stays open; it sends a request when it has the answer of the one before."""

    transport: asyncio.Transport

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self.loop = server, loop
        self.received = b""
        self.sending: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.counts["connections"] += 1

    @override
    def data_received(self, data: bytes) -> None:
        """Answers a request after the delay, as soon as its headers are here; none has a body."""
        self.received += data
        head, ended, rest = self.received.partition(b"\r\n\r\n")
        if not ended:
            return
        self.received = rest
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        if target == "/-/counts":
            self.server.counts["connections"] -= 1
            self.transport.write(self.server.counted())
            return
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        answer = reply(self.server.objects, method, target, headers)
        self.server.counts[f"{method} {answer.status}"] += 1
        self.loop.call_later(self.server.delay, self.answer, answer)

    def answer(self, answer: Reply) -> None:
        """Sends it."""
        if self.transport.is_closing():
            return
        if answer.held is None:
            self.transport.write(answer.head)
        elif answer.held.body is not None:
            self.transport.write(answer.head + answer.held.body[answer.start : answer.stop])
        else:
            self.sending = self.loop.create_task(self.send_large(answer))

    async def send_large(self, answer: Reply) -> None:
        """Sends bytes of the large object; a client that goes away is not waited for."""
        self.transport.write(answer.head)
        with suppress(ConnectionError, RuntimeError):
            await self.loop.sendfile(self.transport, self.server.large, answer.start, answer.stop - answer.start)


def serving(delay: float = 0.02, large_bytes: int = LARGE_BYTES) -> AbstractContextManager[str]:
    """The endpoint of such a server, `delay` in seconds; the large object has `large_bytes`, whole MiB."""
    return loopback.serving("bench.parts.objects", str(delay), str(large_bytes))


def counts(endpoint: str) -> dict[str, int]:
    """The requests since the last call, by method and status (`{"GET 304": 40}`), and the new connections."""
    with urlopen(f"{endpoint}/-/counts") as answer:
        return dict(json.load(answer))


async def serve(delay: float, large_bytes: int) -> None:
    """Serves for ever on a free port, which it prints."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryFile() as large:
        server = Server(delay, large, large_bytes)
        listening = await loop.create_server(lambda: Connection(server, loop), "127.0.0.1", 0, backlog=512)
        print(listening.sockets[0].getsockname()[1], flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))

"""One version of one object, downloaded: in parts side by side when it is large, going on where it was cut."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import RawIOBase
from pathlib import Path

import msgspec

from nearside.caching.asking import Patience, Reply
from nearside.caching.checksums import Expected, Sums, expected
from nearside.caching.errors import CorruptDownload, ObjectTooLarge
from nearside.caching.reading import Reader, Span
from nearside.caching.sources import Answer, Source

_BUFFER_BYTES = 1024 * 1024


class Transfer(msgspec.Struct, frozen=True):
    """How objects are downloaded: from `parallel_over` bytes on by parts of `part_bytes`, `workers` at a time. `room`
    is told an announced size before it is downloaded, and raises when there is no room; `progress` is told bytes that
    came."""

    workers: int = 8
    part_bytes: int = 8 * 1024**2
    parallel_over: int = 16 * 1024**2
    max_bytes: int | None = None
    room: Callable[[int], None] = lambda size: None
    progress: Callable[[int], None] = lambda count: None


class Fetched(msgspec.Struct, frozen=True):
    """What was downloaded: the headers that it came with, its size in bytes, its SHA-256 in hex, and from whom."""

    headers: Mapping[str, str]
    size: int
    sha256: str
    source: str
    in_doubt: bool = False
    """Its ETag is not its MD5, and nothing else was announced."""


def fetch(
    reply: Reply, sources: Sequence[Source], part: Path, transfer: Transfer, patience: Patience, *, from_s3: bool
) -> Fetched:
    """Writes the object whose first answer is `reply` into `part`, whole.

    Raises Changed when it was replaced meanwhile, Restart when it was cut and cannot be gone on with (then the caller
    begins anew), CorruptDownload, ObjectTooLarge, UnreachableObject, and whatever `transfer.room` raises.
    """
    headers = dict(reply.answer.headers)
    try:
        size = _announced(headers)
        limit = transfer.max_bytes
        if size is not None and limit is not None and size > limit:
            raise ObjectTooLarge(f"the object has {size} bytes: expected at most {limit}")
        if size is not None:
            transfer.room(size)
        announced = expected(headers, from_s3=from_s3)
        reader = Reader(reply, sources, headers, size, patience)
        if size is None or size < transfer.parallel_over or transfer.workers < 2 or not reader.has_ranges:
            count, sums = _in_one(reader, reply, part, transfer, announced)
        else:
            count, sums = _in_parts(reader, reply, part, transfer, announced, size)
    finally:
        reply.answer.close()
    if size is not None and count != size:
        raise CorruptDownload(f"{reply.source.name} announced {size} bytes and sent {count}")
    agree = sums.agree()
    if not agree and announced and announced.certain:
        raise CorruptDownload(f"the {announced.name} that {reply.source.name} sent is not that of the bytes that came")
    return Fetched(headers, count, sums.sha256, reply.source.name, in_doubt=not agree)


def _announced(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _in_one(
    reader: Reader, reply: Reply, part: Path, transfer: Transfer, announced: Expected | None
) -> tuple[int, Sums]:
    sums = Sums(announced)
    view = memoryview(bytearray(min(_BUFFER_BYTES, reader.size or _BUFFER_BYTES) or 1))
    done = told = 0
    with part.open("wb", buffering=0) as out:
        for count in reader.pieces(Span(0, reader.size), view, reply.answer):
            _write_all(out, view[:count])
            sums.update(view[:count])
            transfer.progress(count)
            done += count
            if transfer.max_bytes is not None and done > transfer.max_bytes:
                raise ObjectTooLarge(f"the object has over {done - 1} bytes: expected at most {transfer.max_bytes}")
            if reader.size is None and done - told >= transfer.part_bytes:
                told = done
                transfer.room(done)
        if reader.size is None:
            transfer.room(done)
    return done, sums


def _in_parts(
    reader: Reader, reply: Reply, part: Path, transfer: Transfer, announced: Expected | None, size: int
) -> tuple[int, Sums]:
    """Parts are downloaded in any order, and added to the sums in theirs as soon as they are there."""
    spans = [Span(start, min(start + transfer.part_bytes, size)) for start in range(0, size, transfer.part_bytes)]
    sums = Sums(announced)
    with part.open("wb") as out:
        out.truncate(size)
    given_up = threading.Event()
    workers = min(transfer.workers, len(spans))
    pool = ThreadPoolExecutor(workers, "nearside-part")
    filler = _Filler(reader, part, transfer, given_up)
    try:
        futures = [pool.submit(filler, span, None if span.start else reply.answer) for span in spans]
        with part.open("rb", buffering=0) as written:
            for future, span in zip(futures, spans, strict=True):
                future.result()
                _add(sums, written, span)
    except BaseException as error:
        given_up.set()
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)  # who presses Ctrl-C does not wait
        raise
    pool.shutdown()
    return size, sums


class _Filler(msgspec.Struct, frozen=True):
    """Writes one span of the object at its place in the part."""

    reader: Reader
    part: Path
    transfer: Transfer
    given_up: threading.Event

    def __call__(self, span: Span, answer: Answer | None) -> None:
        view = memoryview(bytearray(_BUFFER_BYTES))
        with self.part.open("r+b", buffering=0) as out:
            out.seek(span.start)
            for count in self.reader.pieces(span, view, answer):
                if self.given_up.is_set():
                    return
                _write_all(out, view[:count])
                self.transfer.progress(count)


def _write_all(out: RawIOBase, data: memoryview) -> None:
    while data:
        data = data[out.write(data) or 0 :]


def _add(sums: Sums, written: RawIOBase, span: Span) -> None:
    """Adds a span that was written."""
    view = memoryview(bytearray(_BUFFER_BYTES))
    left = (span.stop or 0) - span.start
    while left > 0:
        count = written.readinto(view[: min(left, len(view))]) or 0
        if count == 0:
            raise CorruptDownload("the unfinished file became shorter while it was written")
        sums.update(view[:count])
        left -= count

"""A place's S3 that makes its bytes up and forgets what it is given, on loopback in a process of its own.

`delay=0.2` makes every answer take so many seconds longer, as a place far away does. Objects are as large as their keys
say: `big/5368709120` has 5 GiB. Nothing is stored, so a copy of 5 GB can be measured without 5 GB.
"""

import hashlib
import re
import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from bench.parts import loopback

ETAG = "9b2cf535f27731c974343645a3985328"
_BLOCK = bytes(range(256)) * 4096  # 1 MiB


class Handler(loopback.Handler):
    """What `nearside.adapters.place_store.PlaceStore` asks for."""

    delay = 0.0
    parts: ClassVar[dict[int, int]] = {}
    lock = threading.Lock()

    def do_GET(self) -> None:
        """An object or a range of it; the parts of an upload."""
        time.sleep(self.delay)
        target = urlsplit(self.path)
        if "uploadId" in parse_qs(target.query):
            with self.lock:
                listed = "".join(
                    f"<Part><PartNumber>{number}</PartNumber><ETag>{ETAG}</ETag><Size>{size}</Size></Part>"
                    for number, size in sorted(self.parts.items())
                )
            self._xml(f"<ListPartsResult><IsTruncated>false</IsTruncated>{listed}</ListPartsResult>")
            return
        size = _size(target.path)
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(match[1]), int(match[2])
            headers = {"Content-Range": f"bytes {first}-{last}/{size}"}
            self._made_up(206, last - first + 1, headers)
        else:
            self._made_up(200, size, {})

    def do_HEAD(self) -> None:
        """An object."""
        time.sleep(self.delay)
        self.answer(200, {"Content-Length": str(_size(urlsplit(self.path).path)), "ETag": f'"{ETAG}"'})

    def do_PUT(self) -> None:
        """An object, or a part of an upload."""
        left = size = int(self.headers["Content-Length"])
        digest = hashlib.md5(usedforsecurity=False)
        while left:
            block = self.rfile.read(min(left, len(_BLOCK)))
            digest.update(block)
            left -= len(block)
        time.sleep(self.delay)
        query = parse_qs(urlsplit(self.path).query)
        if "partNumber" in query:
            with self.lock:
                self.parts[int(query["partNumber"][0])] = size
        self.answer(200, {"ETag": f'"{digest.hexdigest()}"'})

    def do_POST(self) -> None:
        """The beginning and the end of an upload."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in parse_qs(urlsplit(self.path).query, keep_blank_values=True):
            self._xml("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        else:
            self._xml(f"<CompleteMultipartUploadResult><ETag>{ETAG}</ETag></CompleteMultipartUploadResult>")

    def _made_up(self, status: int, size: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(size), "ETag": f'"{ETAG}"', **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        while size:
            block = _BLOCK[:size]
            self.wfile.write(block)
            size -= len(block)

    def _xml(self, text: str) -> None:
        self.answer(200, {"Content-Type": "application/xml"}, text.encode())


def _size(path: str) -> int:
    return int(path.rpartition("/")[2])


def serving(delay: float = 0.0) -> AbstractContextManager[str]:
    """The endpoint of such a place."""
    return loopback.serving("bench.parts.places", str(delay))


def main() -> None:
    """Serves, with the delay named on the command line, on a free port, which it prints."""
    Handler.delay = float(sys.argv[1])
    loopback.serve(Handler)


if __name__ == "__main__":
    main()

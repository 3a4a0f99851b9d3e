"""The objects that a newcomer finds: pictures drawn here, a few texts, and one name that needs encoding."""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="240" height="80" viewBox="0 0 240 80">
  <line x1="40" y1="40" x2="200" y2="40" stroke="#4a6fa5" stroke-width="3" stroke-dasharray="6 4"/>
  <circle cx="40" cy="40" r="24" fill="#166088"/><circle cx="200" cy="40" r="24" fill="#c0392b"/>
  <g fill="#fff" font-family="sans-serif" font-size="12" text-anchor="middle">
    <text x="40" y="44">eu</text><text x="200" y="44">us</text>
  </g>
</svg>
"""
_GUIDE = """Two regions, one URL.

Upload something, and ask for its URL at once: it is pinned to the region that has it.
Ask again when it has been replicated: the URL is one of the Multi-Region Access Point, served from the nearest region.
"""
_PROFILE = {"name": "Alice", "home": "eu-west-2", "pictures": ["images/sunrise.png", "images/harbour.png"]}


@dataclass(frozen=True, slots=True)
class Sample:
    """One object to begin with."""

    key: str
    content_type: str
    body: bytes


def samples() -> Iterator[Sample]:
    """The objects, in no special order."""
    yield Sample("images/sunrise.png", "image/png", png(320, 180, (250, 140, 60), (60, 60, 140)))
    yield Sample("images/harbour.png", "image/png", png(320, 180, (120, 180, 210), (20, 60, 80)))
    yield Sample("images/thumbnails/sunrise.png", "image/png", png(64, 36, (250, 140, 60), (60, 60, 140)))
    yield Sample("images/two regions.svg", "image/svg+xml", _SVG.encode())
    yield Sample("docs/guide.txt", "text/plain; charset=utf-8", _GUIDE.encode())
    yield Sample("docs/Grüße aus Köln & 東京.txt", "text/plain; charset=utf-8", "Grüße! こんにちは!\n".encode())
    yield Sample("users/alice/profile.json", "application/json", json.dumps(_PROFILE, indent=2).encode())
    yield Sample("users/alice/pictures/me.png", "image/png", png(96, 96, (90, 160, 120), (30, 70, 60)))


def png(width: int, height: int, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> bytes:
    """A picture that fades from one colour to the other (https://www.w3.org/TR/png/)."""
    rows = bytearray()
    for row in range(height):
        part = row / max(1, height - 1)
        colour = bytes(round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True))
        rows += b"\x00" + colour * width  # filter type 0, then the pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits per channel, RGB
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(bytes(rows), 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

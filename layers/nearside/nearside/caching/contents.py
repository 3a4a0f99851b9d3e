"""What is in a file: bytes, text or JSON, unpacked where it was stored with gzip."""

import gzip
import json
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from nearside.caching.errors import BadContent, BadJson, NotAnObject, ObjectTooLarge

_GZIP = b"\x1f\x8b"


def read_bytes(path: Path, uri: str, content_encoding: str = "", *, max_bytes: int | None = None) -> bytes:
    """The file's bytes; unpacked when it is a gzip stream, and its Content-Encoding or the ending `.gz` says so.

    Raises ObjectTooLarge when they are over `max_bytes` (unpacked), BadContent when the gzip stream is broken.
    """
    stored = path.read_bytes()
    name = uri.lower()
    if name.startswith(("http://", "https://")):  # only there is a `?` no part of the name
        name = name.partition("#")[0].partition("?")[0]
    said = content_encoding.lower() in ("gzip", "x-gzip") or name.endswith(".gz")
    data = _unpacked(stored, uri, max_bytes) if said and stored.startswith(_GZIP) else stored
    if max_bytes is not None and len(data) > max_bytes:
        raise ObjectTooLarge(f"{uri} has over {max_bytes} bytes: expected at most that")
    return data


def _unpacked(stored: bytes, uri: str, max_bytes: int | None) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(stored)) as stream:
            return stream.read() if max_bytes is None else stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadContent(f"{uri} is a broken gzip stream: {error}") from error


def text_of(data: bytes, uri: str, encoding: str = "utf-8") -> str:
    """The bytes as text. Raises BadContent when they are none of this encoding, or there is no such encoding."""
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise BadContent(f"{uri} is no text in {encoding}: {error}") from error


def json_of(data: bytes, uri: str, *, any_type: bool = False) -> Any:
    """The JSON value in the bytes (UTF-8, -16 or -32): an object, or with `any_type` any.

    Raises BadJson when it is no JSON, NotAnObject when it is something else than an object.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadJson(f"{uri} is not JSON: {error}") from error
    if not any_type and not isinstance(value, dict):
        raise NotAnObject(f"{uri} has {_kind(value)} at the top: expected an object (any_type=True takes any JSON)")
    return value


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")

"""An entry: what the cache remembers of one object, and the name of the folder in which it does."""

import hashlib
import re
from collections.abc import Sequence

import msgspec

# Windows takes none of <>:"/\|?* and no control characters; every file system takes 255 bytes at most.
_HARD = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_MAX_NAME_BYTES = 120
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


FOLDER = "nearside-1"
"""Where a cache is in the folder that it is given: all of it, and nothing else. The number is its layout's."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of one object as it was downloaded. `file` is its data's path within the entry's folder, `mtime_ns`
    the data's modification time when it was sealed: data that has another one, or another size, is checked anew.

    `etag` is as the source sent it, with its quotes (empty: it sent none, and then `last_modified` validates, or
    nothing). `sha256` is of the stored bytes, in hex. `fetched_from` names the source.
    """

    uri: str
    identity: tuple[str, ...]
    file: str
    size: int
    sha256: str
    mtime_ns: int
    fetched_at: float
    fetched_from: str
    etag: str = ""
    version_id: str = ""
    last_modified: str = ""
    content_type: str = ""
    content_encoding: str = ""


def folder_name(identity: Sequence[str]) -> str:
    """The name of the folder of an identity's entry: 64 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(tuple(identity))).hexdigest()


def file_name(key: str) -> str:
    """The name under which an object's data is stored: the last part of its key with its endings kept (`brain.nii.gz`),
    made fit for every file system and cut to 120 bytes."""
    name = _HARD.sub("_", key.rstrip("/").rpartition("/")[2]).rstrip(" .") or "data"
    if _RESERVED.match(name) or name.startswith("."):
        name = "_" + name
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= _MAX_NAME_BYTES:
        return name
    kept = encoded[-_MAX_NAME_BYTES // 2 :].decode("utf-8", "ignore")
    return encoded[: _MAX_NAME_BYTES // 2 - 1].decode("utf-8", "ignore") + "~" + kept

"""The lock file (`s3.lock`): which version and which bytes a URI stands for, so that a run can be repeated.

JSON, one URI in each line, sorted, so that a diff shows what changed:

    {
      "version": 1,
      "pins": {
        "s3://data/maps.json": {"size":18,"sha256":"9f86…","etag":"\\"7c4a…\\"","version_id":"3HL4…"},
        "s3://data/plain.txt": {"size":6,"sha256":"5891…"}
      }
    }
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from nearside.caching.errors import BadJson, BadUri, NotPinned, PinBroken

FORMAT_VERSION = 1
# What S3 calls the version of an object from before its bucket was versioned. The next such object has the same name.
_NO_VERSION = "null"


class Pin(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one URI stands for: `size` in bytes and SHA-256 (hexadecimal) of the stored bytes, and where the store
    keeps versions the `version_id` to ask for. Without one the SHA-256 alone pins, so a changed object is an error.
    `etag` is as the source sent it, with its quotes. The version id `null` pins nothing and is left out."""

    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    etag: str = ""
    version_id: str = ""

    def __post_init__(self) -> None:
        if self.version_id == _NO_VERSION:
            msgspec.structs.force_setattr(self, "version_id", "")


class Pins(msgspec.Struct, frozen=True):
    """The pins of one lock file, by URI as it was given. Never changed: `with_` makes another one."""

    path: Path
    pins: Mapping[str, Pin] = {}

    @classmethod
    def read(cls, path: Path, *, missing_ok: bool = False) -> "Pins":
        """The pins of a file; with `missing_ok` none where there is no file. Raises NotPinned when there is no file,
        BadJson when it is not a lock file (naming the field), OSError when it cannot be read."""
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            if missing_ok:
                return cls(path)
            raise NotPinned(f"there is no lock file {path}: `nearside cache lock` writes one") from None
        try:
            return cls(path, _parsed(text))
        except (ValueError, RecursionError) as error:
            raise BadJson(f"{path} is not a lock file: {error}") from error

    def of(self, uri: str) -> Pin:
        """The pin of a URI. Raises NotPinned, naming the URI and the file."""
        try:
            return self.pins[uri]
        except KeyError:
            raise NotPinned(f"{self.path} does not pin {uri}: `nearside cache lock` adds it") from None

    def check(self, uri: str, size: int, sha256: str) -> None:
        """Whether these `size` bytes with this SHA-256 are what the file pins. Raises PinBroken, naming both values,
        and NotPinned."""
        pin = self.of(uri)
        if sha256 != pin.sha256:
            pinned, found = f"SHA-256 {pin.sha256} ({pin.size} bytes)", f"{sha256} ({size} bytes)"
        elif size != pin.size:
            pinned, found = f"{pin.size} bytes", f"{size}"
        else:
            return
        raise PinBroken(f"{uri} is not what {self.path} pins: pinned is {pinned}, found {found}")

    def with_(self, pins: Mapping[str, Pin]) -> "Pins":
        """The same with these pins added or put in the place of theirs. Raises BadUri for a URI that JSON cannot
        hold, and BadJson for a pin with a size or a SHA-256 that is none."""
        for uri, pin in pins.items():
            try:
                _checked(uri, msgspec.to_builtins(pin))
            except UnicodeError as error:
                raise BadUri(f"{uri!a} cannot be pinned: {error}") from error
            except ValueError as error:
                raise BadJson(str(error)) from error
        return Pins(self.path, {**self.pins, **pins})

    def write(self, path: Path | None = None) -> None:
        """Writes them to a file (default: the one they were read from), which is at each moment the former or the
        new one as a whole. Of two that write at the same time the last one wins. Raises OSError."""
        target = (path or self.path).resolve()  # the file behind a symbolic link, which stays a link
        part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            with part.open("xb") as file:
                file.write(self.encoded())
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def encoded(self) -> bytes:
        """The bytes of the lock file: the same for the same pins."""
        encode = msgspec.json.encode
        lines = [b"    %s: %s" % (encode(uri), encode(self.pins[uri])) for uri in sorted(self.pins)]
        body = b"{\n" + b",\n".join(lines) + b"\n  }" if lines else b"{}"
        return b'{\n  "version": %d,\n  "pins": %s\n}\n' % (FORMAT_VERSION, body)


def _parsed(text: bytes) -> dict[str, Pin]:
    """The pins in a file's text. Raises ValueError. (json and not msgspec reads it: a merge that went wrong leaves a
    URI twice, and msgspec would take the last without a word.)"""
    found = json.loads(text.decode(), object_pairs_hook=_once)
    if not isinstance(found, dict) or "version" not in found:
        raise ValueError('expected {"version": …, "pins": {…}}')
    if found["version"] != FORMAT_VERSION or isinstance(found["version"], bool):
        raise ValueError(f"its version is {found['version']!r}: this release reads {FORMAT_VERSION}")
    if unknown := sorted(found.keys() - {"version", "pins"}):
        raise ValueError(f"unknown field {unknown[0]!r}")
    pins = found.get("pins")
    if not isinstance(pins, dict):
        raise ValueError("pins: expected an object with a URI for each pin")
    return {uri: _checked(uri, pin) for uri, pin in pins.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice")
        found[name] = value
    return found


def _checked(uri: str, pin: object) -> Pin:
    """The pin, in the words of its URI where it is none. Raises ValueError (UnicodeError where the text is none)."""
    try:
        checked = msgspec.convert(pin, Pin)
    except msgspec.ValidationError as error:
        raise ValueError(f"pins, {uri!r}: {error}") from error
    for text in (uri, checked.etag, checked.version_id):
        text.encode()
    return checked

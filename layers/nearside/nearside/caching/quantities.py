"""Sizes and times as people write and read them."""

import re
from datetime import UTC, datetime

from nearside.errors import BadRequest

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def told(size: int) -> str:
    """A size in bytes for people: `18 bytes`, `1.5 kB`, `2.3 MB` (1 kB is 1,000 bytes)."""
    if size < 1000:
        return f"{size} byte{'' if size == 1 else 's'}"
    power = 1
    while size >= 999.95 * 1000**power and power < len(_UNITS) - 1:
        power += 1
    return f"{size / 1000**power:.1f} {_UNITS[power]}"


def moment(seconds: float) -> str:
    """A time of the epoch in ISO 8601, in UTC and to the second: `2027-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def seconds_in(text: str) -> float:
    """The seconds in `90s`, `15m`, `12h`, `30d` or `2w`; a bare number is of seconds. Raises BadRequest."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([smhdw]?)", text)
    if not match:
        raise BadRequest(f"{text!r} is no length of time: expected such as 90s, 15m, 12h, 30d or 2w")
    return float(match[1]) * _SECONDS[match[2]]


def bytes_in(text: str) -> int:
    """The bytes in `500MB`, `20 GB` or `1.5k` (1 kB is 1,000 bytes); a bare number is of bytes. Raises BadRequest."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)b?", text.lower())
    if not match:
        raise BadRequest(f"{text!r} is no size: expected such as 500MB or 20GB (1 kB is 1,000 bytes)")
    whole, _, rest = match[1].partition(".")
    unit = int(1000 ** " kmgt".index(match[2] or " "))
    return int(whole) * unit + int(float(f"0.{rest or 0}") * unit)


def shown(text: str) -> str:
    """The text without what would move a terminal's cursor or break the line: that is told in escapes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)

"""Ranges of an object's bytes, as RFC 9110 (14.1.2, 14.2) and S3 have them."""

import re
from collections.abc import Mapping

from nearside.gateway.errors import InvalidArgument, InvalidRange
from nearside.gateway.records import Generation
from nearside.gateway.s3_times import http_date

_RANGE = re.compile(r"bytes=(\d{0,20})-(\d{0,20})", re.ASCII)
_COPIED = re.compile(r"bytes=(\d{1,20})-(\d{1,20})", re.ASCII)


def asked(headers: Mapping[str, str], current: Generation) -> tuple[int, int] | None:
    """First and last byte that Range asks for; None for the whole object, which is what S3 gives for a range that is
    not understood, for several, and where If-Range names another version. Raises InvalidRange when there is no such
    byte."""
    match = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if not match or not _is_in_force(headers.get("if-range"), current):
        return None
    begin, end = match.groups()
    size = current.size
    if not begin and not end:
        return None
    if not begin:
        first, last = max(0, size - int(end)), size - 1
        is_there = int(end) > 0 and size > 0
    else:
        first, last = int(begin), min(int(end) if end else size - 1, size - 1)
        if end and int(end) < first:
            return None
        is_there = first < size
    if not is_there:
        raise InvalidRange(f"The requested range is not satisfiable: {headers['range']} of {size} bytes")
    return first, last


def copied(header: str, size: int) -> tuple[int, int]:
    """First and last byte of `x-amz-copy-source-range`. Raises InvalidArgument."""
    match = _COPIED.fullmatch(header)
    if not match or int(match[2]) < int(match[1]):
        words = "where first and last are the zero-based offsets of the first and last bytes to copy"
        raise InvalidArgument(
            f"The x-amz-copy-source-range value must be of the form bytes=first-last {words}: {header!r}"
        )
    if int(match[2]) >= size:
        raise InvalidArgument(f"Range specified is not valid for source object of size: {size} ({header})")
    return int(match[1]), int(match[2])


def _is_in_force(if_range: str | None, current: Generation) -> bool:
    return if_range is None or if_range.strip('"') == current.etag or if_range == http_date(current.made)

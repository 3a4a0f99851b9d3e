"""Times as S3 writes and reads them: in HTTP headers by the second, in XML in ISO 8601."""

import time
from datetime import UTC

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(milliseconds: int) -> str:
    """`Mon, 12 Oct 2009 17:50:30 GMT` of milliseconds since the epoch (RFC 9110, 5.6.7)."""
    t = time.gmtime(milliseconds // 1000)
    month = _MONTHS[t.tm_mon - 1]
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {month} {t.tm_year:04} {clock} GMT"


def xml_time(milliseconds: int) -> str:
    """`2009-10-12T17:50:30.000Z` of milliseconds since the epoch: whole seconds, as Last-Modified has them, so that a
    client that compares the two finds them equal."""
    t = time.gmtime(milliseconds // 1000)
    return f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.000Z"


def seconds_of(date: str | None) -> float | None:
    """Seconds since the epoch of an HTTP date; None for what is none, which conditions ignore (RFC 9110, 13.1.3)."""
    if not date:
        return None
    from email.utils import parsedate_to_datetime  # only for requests with such a condition

    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None

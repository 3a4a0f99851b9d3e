"""What the status of an answer means for the object that was asked for."""

from collections.abc import Collection

from nearside import errors
from nearside.adapters.cache_wire import Reply, retry_after
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.errors import NearsideError

SERVED = frozenset({200, 206, 304, 412, 416})
MISSING = (404, 410)
_LONGEST = 300


def said(body: bytes) -> dict[str, str]:
    """The texts of S3's `<Error>` body by element; empty when there is none. expat resolves no external entities and
    bounds internal ones."""
    from xml.etree import ElementTree as ET  # only errors have XML

    try:
        root = ET.fromstring(body.strip())
    except ET.ParseError:
        return {}
    if root.tag.rpartition("}")[2] != "Error":
        return {}
    return {each.tag.rpartition("}")[2]: each.text or "" for each in root}


def error_of(
    name: str, uri: str, reply: Reply, *, secrets: Collection[str] = (), body: bytes | None = None
) -> NearsideError:
    """What an answer that serves nothing means; its body is read, where it was not. `uri` is what was asked for, as it
    may be shown; words with one of the `secrets` are left out."""
    told = said(reply.small() if body is None else body)
    code, message = told.get("Code", ""), told.get("Message", "")
    if any(secret and secret in code + message for secret in secrets):
        code = message = ""
    return judged(name, uri, reply.status, code, message, retry_after(reply.headers))


def judged(name: str, uri: str, status: int, code: str, message: str, pause: float = 0.0) -> NearsideError:
    """The error for S3's code and message, or a bare status, of the place `name`; `pause` is its Retry-After.

    Only 404, and 410, mean missing; refused is 401, 403 and the codes that `nearside.errors` counts as such. What is
    wrong with the request itself is a BadUri. All else says nothing of the object, and may be over when asked again.
    """
    words = f"{name} answered {code or status} for {uri}" + (f": {_line(message)}" if message else "")
    if status in MISSING:
        return MissingObject(words)
    kind = type(errors.from_s3(code, status, ""))
    if issubclass(kind, errors.Refused) and status < 500:
        return RefusedObject(words)
    if (issubclass(kind, errors.BadRequest) and status < 500) or status in (405, 414):
        return BadUri(words)  # 405: this version is a delete marker
    return UnreachableObject(words, pause)


def _line(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"

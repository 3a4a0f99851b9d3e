"""The canonical request: the text that a client signs for what it sends, as S3 puts it together.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html#canonical-request. S3's path is encoded
once and never normalised: `//`, `/../` and `%2F` are what they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import quote_from_bytes, unquote_to_bytes

from nearside.gateway.s3_requests import S3Request


def spellings(request: S3Request, leave_out: str = "") -> Iterator[tuple[str, str]]:
    """Path and query of the request as a client may have signed them.

    First as they were sent, which is what SDKs do; then, where that is another text, with every byte encoded as S3 does
    it, which is what S3 computes itself, for a client that sends `(` or in its query `/` as they are. Both mean the
    same: a `%2F` in the path stays one, and a `+` in the query is a space. `leave_out` is the parameter with the
    signature, left out once.
    """
    pairs = [pair.partition("=") for pair in request.query.split("&")] if request.query else []
    if leave_out:
        found = next((at for at, pair in enumerate(pairs) if pair[0] == leave_out), None)
        if found is not None:
            del pairs[found]
    sent = request.path, _joined([(name, value) for name, _, value in pairs])
    yield sent
    try:
        path = "/".join([_encoded(segment) for segment in request.path.split("/")])
        query = _joined([(_encoded_pair(name), _encoded_pair(value)) for name, _, value in pairs])
    except ValueError:  # a lone surrogate, which no client sends
        return
    if (path, query) != sent:
        yield path, query


def canonical_request(
    request: S3Request, spelling: tuple[str, str], host: str, names: Sequence[str], payload: str
) -> bytes:
    """The canonical request with the headers of these lower-case names, as a client sent them that addressed `host`."""
    headers = request.headers
    lines = []
    for name in names:
        value = host if name == "host" else headers.get(name)
        if value is None:
            value = _taken_away(request, name)
        lines.append(f"{name}:{_trimmed(value)}\n")
    path, query = spelling
    text = f"{request.method}\n{path}\n{query}\n{''.join(lines)}\n{';'.join(names)}\n{payload}"
    return text.encode("utf-8", "surrogatepass")


def _joined(pairs: list[tuple[str, str]]) -> str:
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _encoded(segment: str) -> str:
    return quote_from_bytes(unquote_to_bytes(segment), safe="")


def _encoded_pair(text: str) -> str:
    return _encoded(text.replace("+", " "))


def _trimmed(value: str) -> str:
    """Outer white space cut, inner runs of it made one space. Clients sign UTF-8; what was read as Latin-1, as HTTP has
    it, is put right."""
    if not value.isascii():
        with suppress(ValueError):
            value = value.encode("latin-1").decode()
    return " ".join(value.split())


def _taken_away(request: S3Request, name: str) -> str:
    """A header that was signed and that whoever carries requests to a function keeps for itself; for others nothing."""
    if name == "content-length":
        return str(len(request.body))
    return "100-continue" if name == "expect" else ""

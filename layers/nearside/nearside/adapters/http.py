"""One HTTP request to exactly the URL that was signed."""

from typing import IO

import urllib3

from nearside.errors import Unreachable


def send(
    http: urllib3.PoolManager,
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes | IO[bytes] | None = None,
) -> urllib3.BaseHTTPResponse:
    """The answer to `method` on `url`, read whole; redirects are not followed.

    The target goes out as it stands in the URL: `PoolManager.request` would resolve `..` in it, and a key may hold
    one, so the signature would break. Raises `urllib3.exceptions.HTTPError`.
    """
    scheme, _, rest = url.partition("://")
    host, slash, target = rest.partition("/")
    pool = http.connection_from_url(f"{scheme}://{host}")
    return pool.urlopen(method, slash + target, headers=headers, body=body, redirect=False)


def why(error: urllib3.exceptions.HTTPError) -> str:
    """What kept a request from being answered, in words; never the error's own, which hold the signed URL."""
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    for kind, words in _WORDS:
        if isinstance(reason, kind):
            return words
    return f"cannot be reached ({type(reason).__name__})"


# In this order: urllib3 counts a refused connection among the timeouts, and an unknown name among the refused.
_WORDS = (
    (urllib3.exceptions.NameResolutionError, "cannot be reached: its name does not resolve"),
    (urllib3.exceptions.NewConnectionError, "cannot be reached: the connection was refused"),
    (urllib3.exceptions.TimeoutError, "did not answer in time"),
    (urllib3.exceptions.SSLError, "cannot be reached: TLS failed"),
    (urllib3.exceptions.ProtocolError, "cannot be reached: the connection was cut"),
)


class Fetcher:
    """Sends and reads whole objects; implements `nearside.check.Fetches`."""

    def __init__(self) -> None:
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5.0, read=60.0),
            retries=urllib3.Retry(total=1, connect=1, read=0, redirect=0, status=0),
        )

    def __call__(
        self, method: str, url: str, headers: dict[str, str], body: bytes | IO[bytes] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case names) and body. Raises Unreachable when nothing answers."""
        try:
            answer = send(self._http, method, url, headers=headers, body=body)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{url.split('/', 3)[2]} {why(error)}") from error
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data

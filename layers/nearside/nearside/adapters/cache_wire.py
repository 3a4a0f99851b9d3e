"""Requests over kept connections, whose answers are read as they come: what the cache's sources speak through."""

import os
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from nearside.adapters.http import why
from nearside.caching.asking import light
from nearside.caching.errors import BadUri, UnreachableObject

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # for each piece
_CONNECTIONS = 256  # kept for one host: no thread pool is larger, and one more would be a warning on the terminal
_HOSTS = 64
_SMALL_BYTES = 64 * 1024
USER_AGENT = "nearside-cache"

type _Pool = tuple[urllib3.HTTPConnectionPool, Mapping[str, str]]
"""A host's connections, and the headers that a proxy wants."""


class Reply:
    """An answer whose body is still to come; implements `nearside.caching.sources.Answer`."""

    def __init__(self, name: str, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {key.lower(): value for key, value in response.headers.items()}
        self._name = name
        self._response = response

    def read_into(self, view: memoryview) -> int:
        """Reads what there is, at most as much as `view` takes. Raises UnreachableObject when the body is cut."""
        try:
            data = self._response.read1(len(view), decode_content=False)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            self._response.close()
            raise UnreachableObject(f"{self._name} {_cut(light(error))}") from None
        size = len(data)
        view[:size] = data
        return size

    def close(self) -> None:
        """Gives the connection back when the body was read to its end, else closes it."""
        response = self._response
        if not response.closed and response.length_remaining == 0:
            response.drain_conn()  # the end must be read even where nothing is before it, as after a 304
        if response.closed:
            response.release_conn()
        else:
            response.close()

    def small(self) -> bytes:
        """The body of an error, at most 64 KiB of it, as far as it comes; the answer is closed."""
        body = bytearray(_SMALL_BYTES)
        size = 0
        try:
            while size < _SMALL_BYTES and (more := self.read_into(memoryview(body)[size:])):
                size += more
        except UnreachableObject:
            pass  # the status says enough
        self.close()
        return bytes(body[:size])


class Wire:
    """Kept connections to many hosts. Thread-safe; a forked child makes its own."""

    def __init__(
        self, *, ca_bundle: str = "", connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
    ) -> None:
        self._ca_bundle = ca_bundle
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        # By process, since a connection must not have two owners. The parent's stay there, never touched in the child:
        # letting go of them would take locks that another thread of the parent may have held when it forked.
        self._pools: dict[int, dict[str, _Pool]] = {}
        self._tls: ssl.SSLContext | None = None

    def send(
        self,
        name: str,
        base: str,
        target: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Reply:
        """The answer to `target` at `base` (scheme and host), whatever its status; no redirect is followed and nothing
        is tried again, but for a kept connection that turns out to be closed. The target goes out as it stands.

        Raises UnreachableObject, which calls the other side `name`; BadUri for a host or a header that cannot be one.
        """
        pool, more = self._pool(base)
        made = pool.num_connections
        for attempt in (1, 2):
            try:
                response = pool.urlopen(
                    method,
                    target,
                    body,
                    {**headers, **more},
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    timeout=self._timeout,
                    preload_content=False,
                    decode_content=False,
                )
                return Reply(name, response)
            except ValueError:  # also urllib3's LocationValueError
                raise BadUri(f"{name} cannot be asked: the host or a header has what cannot be sent") from None
            except urllib3.exceptions.HTTPError as error:
                light(error)  # its frames have the URL, and know it
                cut = isinstance(error, urllib3.exceptions.ProtocolError)
                if attempt == 1 and cut and pool.num_connections == made:
                    continue  # no new connection was made, so a kept one was used: it may have been closed meanwhile
                raise UnreachableObject(f"{name} {why(error)}") from None  # urllib3's words have the URL
        raise AssertionError  # the second attempt returned or raised

    def _pool(self, base: str) -> _Pool:
        own = self._pools.get(os.getpid())
        if own is None:
            own = self._pools.setdefault(os.getpid(), {})
        found = own.get(base)
        if found is None:
            if len(own) >= _HOSTS:
                own.pop(next(iter(own)), None)  # who reads from it still does; then it is collected
            found = own.setdefault(base, self._made(base))
        return found

    def _made(self, base: str) -> _Pool:
        parts = urlsplit(base)
        host, secure = parts.hostname or "", parts.scheme == "https"
        options: dict[str, Any] = {"maxsize": _CONNECTIONS, "block": False}
        proxy = _proxy_of(parts.scheme, host)
        try:
            if proxy and not secure:
                return _forwarding(base, proxy, options, self._context)
            if secure:
                options["ssl_context"] = self._context()
            if not proxy:
                return urllib3.connection_from_url(base, **options), {}
            return _proxy_pools(proxy, options, self._context).connection_from_host(host, parts.port, "https"), {}
        except (urllib3.exceptions.LocationValueError, UnicodeError):
            raise BadUri(f"{host!r} is not a host that can be asked") from None

    def _context(self) -> ssl.SSLContext:
        """One for all connections: to read the authorities' certificates takes 20 ms."""
        if self._tls is None:
            context = urllib3.util.ssl_.create_urllib3_context()
            if self._ca_bundle:
                context.load_verify_locations(self._ca_bundle)
            else:
                context.load_default_certs()
                known = ssl.get_default_verify_paths()
                if os.name == "posix" and not (known.cafile or known.capath):
                    _load_shipped(context)
            self._tls = context
        return self._tls


def _load_shipped(context: ssl.SSLContext) -> None:
    """The authorities that come with botocore, where the system has none: as with Python for macOS."""
    found = find_spec("botocore")
    if found is not None and found.origin is not None:
        context.load_verify_locations(Path(found.origin).parent / "cacert.pem")


def _proxy_of(scheme: str, host: str) -> str:
    """The proxy that the environment or the system names for the host; empty: none."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(host):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _proxy_pools(proxy: str, options: Mapping[str, Any], context: Callable[[], ssl.SSLContext]) -> urllib3.ProxyManager:
    """Tunnels to hosts that speak TLS."""
    url, headers = _proxy_parts(proxy)
    secure = url.startswith("https:")
    return urllib3.ProxyManager(
        url, num_pools=_HOSTS, proxy_headers=headers, proxy_ssl_context=context() if secure else None, **options
    )


def _forwarding(base: str, proxy: str, options: Mapping[str, Any], context: Callable[[], ssl.SSLContext]) -> _Pool:
    """Connections to a proxy that forwards requests to `base`, which speaks plain HTTP. urllib3 takes the dot segments
    out of whole URLs, which then name other objects: so it is not told that this is a proxy."""
    url, headers = _proxy_parts(proxy)
    parts = urllib3.util.parse_url(url)
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        options = {**options, "ssl_context": context()}
        pool = urllib3.HTTPSConnectionPool(parts.host or "", parts.port or 443, **options, before=base)
        pool.ConnectionCls = _ForwardingTls
    else:
        pool = urllib3.HTTPConnectionPool(parts.host or "", parts.port or 80, **options, before=base)
        pool.ConnectionCls = _Forwarding
    return pool, headers


class _Forwarding(urllib3.connection.HTTPConnection):
    """Asks for the whole URL: `before`, and the target as it stands."""

    def __init__(self, *args: Any, before: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._before = before

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        super().putrequest(method, self._before + url, *args, **options)


class _ForwardingTls(_Forwarding, urllib3.connection.HTTPSConnection):
    """The same by TLS up to the proxy."""


def _proxy_parts(proxy: str) -> tuple[str, Mapping[str, str]]:
    """The proxy's URL without user and password, and the headers that let them in."""
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https"):
        raise UnreachableObject(f"the proxy {parts.hostname} is of a kind that is not spoken ({parts.scheme})")
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else {}
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", headers


def _cut(error: Exception) -> str:
    """Why a body did not come whole."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "sent nothing more in time"
    return "cut the connection in the middle of the body"


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float:
    """The seconds for which the server asks to be left alone: `Retry-After` in seconds or as a date; 0: it does not."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal() and said.isascii():
        return float(said[:9])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - (time.time() if now is None else now))
    except (ValueError, OverflowError, OSError):
        return 0.0

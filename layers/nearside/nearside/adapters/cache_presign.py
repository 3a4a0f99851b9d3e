"""Objects through an API that presigns: it says which place has them, and signs for who has no credentials."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from nearside.adapters import cache_addresses
from nearside.adapters.cache_addresses import of_s3
from nearside.adapters.cache_answers import MISSING, error_of
from nearside.adapters.cache_http import HttpSource, web, without_secrets
from nearside.adapters.cache_wire import USER_AGENT, Reply, Wire
from nearside.caching.errors import BadUri, MissingObject, RefusedObject, UnreachableObject
from nearside.caching.sources import Answer, Wanted
from nearside.errors import NearsideError
from nearside.uri import Remote, S3Object

MARGIN_SECONDS = 60.0
_REMEMBERED = 10_000
_GATEWAY = "gateway/"
_IN_NO_PLACE = ("NoSuchKey", "NoSuchVersion", "NoSuchBucket")

type Headers = Callable[[], Mapping[str, str]]


class _Link(msgspec.Struct):
    """One URL as `POST /presign` answers it. `doubted` is set when the place cut a body that came by it."""

    url: str
    expires_at: datetime
    route: str
    headers: dict[str, str] = {}
    doubted: bool = False


class _Health(msgspec.Struct, frozen=True):
    """What is read of `GET /health`."""

    places: dict[str, str]


class _Failure(msgspec.Struct, frozen=True):
    """What the API says that is wrong."""

    error: str = ""


class PresignedPlaces:
    """Reads S3Object by the URLs of `url`, an API's `POST /presign`; implements
    `nearside.caching.sources.FindsSources`. The API knows its bucket, so that the URI's is not looked at.

    `headers` gives what lets us in, for each request (`authorization`). A URL is used until 60 s before its end; when a
    place fails, another is asked for, once. Thread-safe.
    """

    def __init__(
        self,
        url: str,
        headers: Headers | None = None,
        *,
        wire: Wire | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = _Api(url, headers or dict, wire or Wire())
        self._url = without_secrets(url)
        self._clock = clock
        self._links: dict[tuple[str, str], _Link] = {}

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        """`nearside`, the API's URL, key and version: who asks is not told apart, so that no `account` is needed."""
        wanted = _checked(remote)
        return ("nearside", self._url, "", "", wanted.key, wanted.version_id)

    def shown(self, remote: Remote) -> str:
        """`s3://bucket/key`. Raises BadUri for what is no object of S3."""
        return cache_addresses.shown(remote)

    def sources(self, remote: Remote) -> Sequence["_PresignedSource"]:
        """The one source, which is several places. Raises BadUri for what is no object of S3."""
        return (_PresignedSource(self, _checked(remote)),)

    def link(self, remote: S3Object) -> tuple[_Link, bool]:
        """A URL that has not ended, and whether it is new."""
        found = self._links.get((remote.key, remote.version_id))
        if found is None or found.expires_at.timestamp() - MARGIN_SECONDS <= self._clock():
            return self._kept(remote, self._api.presigned(remote)), True
        return found, False

    def another(self, remote: S3Object, failed: _Link, *, elsewhere: bool) -> _Link:
        """A new URL; when `elsewhere`, one that leads to another place than the one that failed, if there is one."""
        found = self._api.presigned(remote)
        if elsewhere and found.route == failed.route:
            others = [name for name in self._api.places() if name != failed.route]
            for name in others:
                try:
                    return self._kept(remote, self._api.presigned(remote, place=name))
                except (MissingObject, BadUri):  # not there, or no place that can be pinned
                    continue
        return self._kept(remote, found)

    def _kept(self, remote: S3Object, link: _Link) -> _Link:
        if len(self._links) >= _REMEMBERED:
            self._links.pop(next(iter(self._links)), None)
        self._links[remote.key, remote.version_id] = link
        return link

    def get(self, link: _Link, wanted: Wanted) -> Reply:
        """One GET of the URL. Raises as `Source.open`."""
        return HttpSource(link.url, link.headers, wire=self._api.wire, name=link.route).open(wanted)


class _PresignedSource:
    """One object by presigned URLs; implements `nearside.caching.sources.Source`."""

    def __init__(self, places: PresignedPlaces, remote: S3Object) -> None:
        self.name = "presigned"
        self._places = places
        self._remote = remote

    def open(self, wanted: Wanted) -> Answer:
        """One GET, and when the place fails, another with a new URL. Raises what the second was answered, or the first
        when there is no other URL."""
        link, new = self._places.link(self._remote)
        if link.doubted:
            link = self._places.another(self._remote, link, elsewhere=True)
        try:
            return _Watched(self._places.get(link, wanted), link)
        except (UnreachableObject, MissingObject, RefusedObject) as error:
            first = error
        if new and isinstance(first, RefusedObject):
            raise first  # no URL that ended meanwhile
        try:
            other = self._places.another(self._remote, link, elsewhere=not isinstance(first, RefusedObject))
        except UnreachableObject:
            raise first from None  # of the two that fail, the place says more of the object than the API
        return _Watched(self._places.get(other, wanted), other)


class _Watched:
    """A place's answer; that it was cut is remembered, so that the rest is asked of another place."""

    def __init__(self, reply: Reply, link: _Link) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self.close = reply.close
        self._reply = reply
        self._link = link

    def read_into(self, view: memoryview) -> int:
        """As of the answer itself."""
        try:
            return self._reply.read_into(view)
        except UnreachableObject:
            self._link.doubted = True
            raise


class _Api:
    """The two routes that are used."""

    def __init__(self, url: str, headers: Headers, wire: Wire) -> None:
        self.wire = wire
        self._parts = web(url)
        self._headers = headers
        path, mark, query = self._parts.target.partition("?")
        self._health = path.rstrip("/").rpartition("/")[0] + "/health" + mark + query

    def presigned(self, remote: S3Object, *, place: str = "") -> _Link:
        """A URL for a GET. Raises MissingObject when the API says that it is nowhere, RefusedObject, UnreachableObject,
        BadUri."""
        asked = {"key": remote.key, "method": "GET"}
        if remote.version_id:
            asked["version_id"] = remote.version_id
        if place:
            asked["place"] = place
        reply = self._sent("POST", self._parts.target, msgspec.json.encode(asked))
        if reply.status != 200:
            raise self._failed(remote, reply)
        return self._read(reply, _Link)

    def places(self) -> Sequence[str]:
        """The names of the places, those that are up first; empty when the API does not tell."""
        try:
            reply = self._sent("GET", self._health, None)
            places = self._read(reply, _Health).places
        except UnreachableObject:
            return ()
        names = [name for name in places if not name.startswith(_GATEWAY)]
        return sorted(names, key=lambda name: places[name] != "up")

    def _sent(self, method: str, target: str, body: bytes | None) -> Reply:
        headers = {name.lower(): value for name, value in self._headers().items()}
        headers |= {"accept-encoding": "identity", "user-agent": USER_AGENT}
        if body is not None:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        return self.wire.send(self._name, self._parts.base, target, headers, method=method, body=body)

    def _read[T](self, reply: Reply, kind: type[T]) -> T:
        body = reply.small()
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UnreachableObject(f"{self._name} answered {reply.status} with what cannot be read") from None

    def _failed(self, remote: S3Object, reply: Reply) -> NearsideError:
        body = reply.small()
        if reply.status in MISSING and _code(body) not in _IN_NO_PLACE:
            url = self._parts.shown
            return UnreachableObject(f"{url} answered {reply.status} for {remote}: is this the API's POST /presign?")
        error = error_of(self._name, str(remote), reply, body=body)
        return BadUri(str(error)) if reply.status == 400 else error  # its 400 is about what was asked

    @property
    def _name(self) -> str:
        return self._parts.base.partition("://")[2]


def _code(body: bytes) -> str:
    """The API's word for what is wrong; empty when it is not the API that answers, but whatever is in front of it."""
    try:
        return msgspec.json.decode(body, type=_Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _checked(remote: Remote) -> S3Object:
    wanted = of_s3(remote)
    if not wanted.key:
        raise BadUri(f"{wanted} names no object: the key is empty")
    return wanted

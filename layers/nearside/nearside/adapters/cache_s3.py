"""Objects in S3, in one place or in many, by GETs that are signed here: boto3 would take some milliseconds for each."""

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack
from urllib.parse import quote

from nearside import signing
from nearside.adapters import cache_addresses
from nearside.adapters.cache_addresses import Addressed, account_of, addressed, bucket_base, endpoint_name, of_s3
from nearside.adapters.cache_answers import SERVED, error_of, said
from nearside.adapters.cache_http import asking
from nearside.adapters.cache_wire import Reply, Wire
from nearside.caching.asking import Patience
from nearside.caching.errors import BadUri, RefusedObject
from nearside.caching.sources import FindsSources, Source, Wanted
from nearside.errors import NearsideError, NoCredentials
from nearside.places import Place, split_endpoint
from nearside.signing import Credentials
from nearside.uri import Remote, S3Object

__all__ = ["S3Places", "WhenNeeded", "account_of", "default_places"]

_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_MOVED = (301, 307, 400)
_REGION = re.compile(r"[a-z]{2}(-[a-z0-9]+)+")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")

type _Where = tuple[str, str]
"""A bucket and the endpoint at which it was asked for."""


class S3Places:
    """Reads S3Object; implements `nearside.caching.sources.FindsSources`.

    `credentials` gives those of the moment; None: requests are not signed. A bucket is read at `endpoint`, or at AWS
    when that is empty, in `region` or where it turns out to be. With `places` each object is read from them, in their
    order. An ARN of an access point or a Multi-Region Access Point is read where it says; `mrap_endpoint` stands for
    the latter's own in an emulation. Thread-safe.
    """

    def __init__(
        self,
        credentials: Callable[[], Credentials] | None,
        *,
        region: str,
        endpoint: str = "",
        places: Sequence[Place] = (),
        mrap_endpoint: str = "",
        http: Wire | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._endpoint = endpoint.rstrip("/")
        self._places = tuple(places)
        self._mrap_endpoint = mrap_endpoint
        self._asks = _Asks(credentials, http or Wire(), clock)

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        """`s3`, the endpoint (`aws`: AWS itself), the account, bucket, key and version; of the first place when there
        are several. Credentials are only asked for without an `account`. Raises NoCredentials, BadUri."""
        wanted = self._checked(remote)
        bucket, endpoint, region = wanted.bucket, self._endpoint, self._region
        if self._places:
            bucket, endpoint, region = self._places[0].bucket, self._places[0].endpoint, self._places[0].region
        elif _is_mrap(bucket, endpoint):
            endpoint, region = self._mrap_endpoint, ""
        if account is None:
            account = account_of(self._credentials().access_key_id) if self._credentials else "anonymous"
        return ("s3", endpoint_name(endpoint, region), account, bucket, wanted.key, wanted.version_id)

    def shown(self, remote: Remote) -> str:
        """`s3://bucket/key`. Raises BadUri for what is no object of S3."""
        return cache_addresses.shown(remote)

    def sources(self, remote: Remote) -> Sequence[Source]:
        """One for each place, or the one. Raises BadUri when it is in none of them, or cannot be read."""
        wanted = self._checked(remote)
        if not self._places:
            where = addressed(wanted, self._region, self._endpoint, self._mrap_endpoint)
            return (_S3Source(self._asks, wanted, where, self._endpoint),)
        return [
            _S3Source(self._asks, there, addressed(there, place.region, place.endpoint), place.endpoint, place.name)
            for place in self._places
            for there in (S3Object(place.bucket, wanted.key, wanted.version_id),)
        ]

    def _checked(self, remote: Remote) -> S3Object:
        wanted = of_s3(remote)
        buckets = [place.bucket for place in self._places]
        if buckets and wanted.bucket not in buckets:
            raise BadUri(f"{wanted} is in none of the places' buckets: {', '.join(buckets)}")
        return wanted


class _Asks:
    """Sends signed GETs, and knows which buckets were elsewhere."""

    def __init__(self, credentials: Callable[[], Credentials] | None, wire: Wire, clock: Callable[[], float]) -> None:
        self._credentials = credentials
        self._wire = wire
        self._clock = clock
        self._last: Credentials | None = None
        self.moved: dict[_Where, Addressed] = {}

    def __call__(self, name: str, where: Addressed, remote: S3Object, headers: dict[str, str]) -> Reply:
        scheme, host, prefix = where.base
        path = f"{prefix}/{_encoded(remote)}"
        query = f"versionId={quote(remote.version_id, safe='')}" if remote.version_id else ""
        if self._credentials is not None:
            try:
                self._last = credentials = self._credentials()
            except NoCredentials as error:
                raise RefusedObject(f"{remote} cannot be asked for: {error}") from error
            headers |= self._signed(credentials, where, host, path, query)
        return self._wire.send(name, f"{scheme}://{host}", f"{path}?{query}" if query else path, headers)

    def _signed(self, credentials: Credentials, where: Addressed, host: str, path: str, query: str) -> dict[str, str]:
        now = self._clock()
        sent = {"x-amz-content-sha256": _EMPTY_SHA256, "x-amz-checksum-mode": "ENABLED"}
        signer: signing.Signer
        if where.mrap:
            signer = signing.V4a(credentials, now)
            sent["x-amz-region-set"] = "*"  # the header form of what a presigned URL has in its query
        else:
            signer = signing.V4(credentials, now, where.region)
        return signer.headers(host, sent, b"", method="GET", path=path, query=query, payload_hash=_EMPTY_SHA256)

    def secrets(self) -> Sequence[str]:
        """What no message may hold."""
        return (self._last.secret_access_key, self._last.session_token) if self._last else ()


class _S3Source:
    """One object in one bucket; implements `nearside.caching.sources.Source`."""

    def __init__(self, asks: _Asks, remote: S3Object, where: Addressed, endpoint: str, name: str = "") -> None:
        self.name = name or ("mrap" if where.mrap else where.region if not endpoint else where.base[1])
        self._asks = asks
        self._remote = remote
        self._where = where
        self._bucket: _Where = (remote.bucket, endpoint)

    def open(self, wanted: Wanted) -> Reply:
        """One GET; a second, to where the bucket is, when it is not where it was looked for."""
        where = self._asks.moved.get(self._bucket, self._where)
        reply = self._asks(self.name, where, self._remote, asking(wanted))
        if reply.status in SERVED:
            return reply
        body = reply.small()
        elsewhere = self._elsewhere(where, reply, said(body)) if reply.status in _MOVED and where.moves else None
        if elsewhere is None:
            raise self._error(reply, body)
        reply = self._asks(self.name, elsewhere, self._remote, asking(wanted))
        if reply.status not in SERVED:
            raise self._error(reply, reply.small())
        self._asks.moved[self._bucket] = elsewhere
        return reply

    def _error(self, reply: Reply, body: bytes) -> NearsideError:
        return error_of(self.name, str(self._remote), reply, secrets=self._asks.secrets(), body=body)

    def _elsewhere(self, where: Addressed, reply: Reply, told: dict[str, str]) -> Addressed | None:
        """Where S3 says that the bucket is, if that is another region; another endpoint of an S3 that is not AWS may
        say another host too."""
        bucket, endpoint = self._bucket
        region = reply.headers.get("x-amz-bucket-region") or told.get("Region", "")
        region = region if _REGION.fullmatch(region) else where.region
        base = bucket_base(bucket, self._remote.key, region, endpoint)
        host = told.get("Endpoint", "")
        if endpoint and _HOST.fullmatch(host):
            scheme, _, prefix = split_endpoint(endpoint)
            base = scheme, host, prefix if host.startswith(f"{bucket}.") else f"{prefix}/{bucket}"
        found = Addressed(base, region, moves=True)
        return None if found == where else found


def _encoded(remote: S3Object) -> str:
    try:
        return quote(remote.key)
    except UnicodeError:
        raise BadUri(f"the key {remote.key[:80]!r} has no form in UTF-8") from None


def _is_mrap(bucket: str, endpoint: str) -> bool:
    return (bucket.endswith(".mrap") and not endpoint) or re.match(r"arn:aws[a-z-]*:s3::", bucket) is not None


class WhenNeeded[T]:
    """What is made by the first use, in one thread at a time.

    A fork waits for it: whoever makes it may be importing, and an import that was under way in another thread hangs in
    the child for ever, as a lock would that was held.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None

    def get(self) -> T:
        """What was made. Raises what making it raises; then the next use tries again."""
        if self._made is None:
            with _making:
                if self._made is None:
                    self._made = self._make()
        return self._made


_LONGEST_WAIT_SECONDS = 10.0  # a fork does not wait for ever either
_making = threading.RLock()  # one for all, which is not let go of between a fork's start and its end
_forking = threading.local()


def _before_fork() -> None:
    _forking.holds = _making.acquire(timeout=_LONGEST_WAIT_SECONDS)


def _after_fork_in_parent() -> None:
    if _forking.holds:
        _making.release()


def _after_fork_in_child() -> None:
    global _making
    _making = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


class _WhenNeeded:
    """What is made by the first use; implements `FindsSources`."""

    def __init__(self, make: Callable[[], FindsSources]) -> None:
        self._finds = WhenNeeded(make)

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        return self._finds.get().identity(remote, account)

    def shown(self, remote: Remote) -> str:
        return cache_addresses.shown(remote)

    def sources(self, remote: Remote) -> Sequence[Source]:
        return self._finds.get().sources(remote)


class Given(TypedDict, total=False):
    """What the caller says of how to read S3, and what then is not taken from AWS's configuration."""

    profile: str | None
    region: str
    endpoint: str
    anonymous: bool
    credentials: Callable[[], Credentials] | None
    places: Sequence[Place]
    mrap_endpoint: str
    patience: Patience | None


def default_places(**given: Unpack[Given]) -> FindsSources:
    """What AWS's configuration of this process says (environment, profile), read once, when it is first needed: as
    `nearside.adapters.cache_configured.configured` does, which raises BadSettings then."""

    def make() -> FindsSources:
        from nearside.adapters.cache_configured import configured  # botocore takes a while to import

        return configured(**given)

    return _WhenNeeded(make)

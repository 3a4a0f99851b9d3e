"""Which adapter reads what: the one place where the ways of reading are chosen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearside.adapters.cache_http import WebAddresses
from nearside.adapters.cache_s3 import S3Places, default_places
from nearside.adapters.cache_wire import Wire
from nearside.caching.asking import Patience
from nearside.caching.sources import FindsSources, Source
from nearside.errors import BadSettings
from nearside.places import Place
from nearside.signing import Credentials
from nearside.uri import Remote, S3Object


class Anywhere:
    """Reads what S3 and the web have; implements `nearside.caching.sources.FindsSources`. The parameters are those of
    `nearside.caches.Access`. Raises BadSettings when they name more than one way to read S3."""

    def __init__(
        self,
        *,
        s3_client: Any = None,
        anonymous: bool = False,
        profile: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        credentials: Callable[[], Credentials] | None = None,
        places: Sequence[Place] = (),
        mrap_endpoint: str = "",
        presign: str | None = None,
        presign_headers: Callable[[], Mapping[str, str]] | None = None,
        patience: Patience | None = None,
    ) -> None:
        _refuse_two({"s3_client": s3_client, "presign": presign, "places": places, "endpoint_url": endpoint_url})
        _refuse_two({"s3_client": s3_client, "anonymous": anonymous, "credentials": credentials})
        waits = patience or Patience()
        wire = Wire(connect_seconds=waits.connect_seconds, read_seconds=waits.read_seconds)
        self._web = WebAddresses(wire=wire)
        self._s3: FindsSources
        if s3_client is not None:
            from nearside.adapters.cache_boto3 import ClientObjects

            self._s3 = ClientObjects(s3_client)
        elif presign:
            from nearside.adapters.cache_presign import PresignedPlaces

            self._s3 = PresignedPlaces(presign, presign_headers, wire=wire)
        elif credentials is not None and places:  # botocore, which takes 100 ms to import, has little to add
            self._s3 = S3Places(
                credentials, region=places[0].region, places=places, mrap_endpoint=mrap_endpoint, http=wire
            )
        else:
            self._s3 = default_places(
                profile=profile,
                region=region or "",
                endpoint=endpoint_url or "",
                anonymous=anonymous,
                credentials=credentials,
                places=places,
                mrap_endpoint=mrap_endpoint,
                patience=waits,
            )

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        """As its adapter tells it."""
        return self._of(remote).identity(remote, account)

    def shown(self, remote: Remote) -> str:
        """As its adapter says it."""
        return self._of(remote).shown(remote)

    def sources(self, remote: Remote) -> Sequence[Source]:
        """As its adapter finds them."""
        return self._of(remote).sources(remote)

    def _of(self, remote: Remote) -> FindsSources:
        return self._s3 if isinstance(remote, S3Object) else self._web


def _refuse_two(ways: dict[str, Any]) -> None:
    named = [name for name, value in ways.items() if value]
    if len(named) > 1:
        raise BadSettings(f"{' and '.join(named)} are given: expected one of them")

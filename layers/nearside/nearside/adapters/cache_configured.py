"""How objects in S3 are read when nothing else is said: as AWS's configuration of this process says."""

from collections.abc import Callable, Sequence
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from nearside.adapters import credentials as sources
from nearside.adapters.cache_addresses import endpoint_name
from nearside.adapters.cache_boto3 import ClientObjects
from nearside.adapters.cache_s3 import S3Places, WhenNeeded
from nearside.adapters.cache_wire import Wire
from nearside.caching.asking import Patience
from nearside.caching.sources import FindsSources
from nearside.errors import BadSettings, NoCredentials
from nearside.places import Place
from nearside.signing import Credentials


def configured(
    *,
    profile: str | None = None,
    region: str = "",
    endpoint: str = "",
    anonymous: bool = False,
    credentials: Callable[[], Credentials] | None = None,
    places: Sequence[Place] = (),
    mrap_endpoint: str = "",
    patience: Patience | None = None,
) -> FindsSources:
    """S3 with the region, endpoint, certificates and credentials of the environment and the profile, as boto3 reads
    them; what is given here wins. Where they ask for FIPS, dual-stack or accelerated endpoints, or for virtual hosts at
    an endpoint of their own, a boto3 client does it.

    Raises BadSettings for a profile that is not there. Credentials are looked for when they are first needed.
    """
    waits = patience or Patience()
    try:
        session = botocore.session.Session(profile=profile)
        region = region or session.get_config_variable("region") or ""
        endpoint = endpoint or ("" if places else _endpoint(session))
        if not places and credentials is None and _is_special(session, endpoint):
            return ClientObjects(_client(session, region, endpoint, anonymous))
        ca_bundle = session.get_config_variable("ca_bundle") or ""
    except BotoCoreError as error:
        raise BadSettings(f"AWS's configuration cannot be used: {error}") from error
    if credentials is None and not anonymous:
        credentials = _chain(profile, region)
    return S3Places(
        None if anonymous else credentials,
        region=region,
        endpoint=endpoint,
        places=places,
        mrap_endpoint=mrap_endpoint,
        http=Wire(ca_bundle=ca_bundle, connect_seconds=waits.connect_seconds, read_seconds=waits.read_seconds),
    )


def _chain(profile: str | None, region: str) -> Callable[[], Credentials]:
    """botocore's chain, looked through by the first call: what is in the cache may need none."""
    found = WhenNeeded(lambda: sources.chain(profile=profile, region=region or None))

    def source() -> Credentials:
        try:
            return found.get()()
        except ClientError as error:  # STS refuses the role
            raise NoCredentials(f"the credentials cannot be refreshed: {error}") from error

    return source


def _endpoint(session: botocore.session.Session) -> str:
    """The endpoint of S3 that AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile name; empty: AWS's own."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return ""
    try:
        from botocore.configprovider import ConfiguredEndpointProvider

        found = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "s3").provide()
    except (ImportError, TypeError, AttributeError):  # it is botocore's own: a client tells too, in 200 ms
        url: str = _client(session, "us-east-1", "", True).meta.endpoint_url
        return "" if endpoint_name(url) == "aws" else url
    return found or ""


def _is_special(session: botocore.session.Session, endpoint: str) -> bool:
    own: dict[str, Any] = session.get_config_variable("s3") or {}
    virtual = bool(endpoint) and own.get("addressing_style") == "virtual"
    settings = ("use_fips_endpoint", "use_dualstack_endpoint")
    special = any(session.get_config_variable(name) for name in settings)
    return special or virtual or any(str(own.get(f"use_{name}_endpoint")).lower() == "true" for name in _KINDS)


_KINDS = ("accelerate", "dualstack")


def _client(session: botocore.session.Session, region: str, endpoint: str, anonymous: bool) -> Any:
    config = botocore.config.Config(signature_version=botocore.UNSIGNED) if anonymous else None
    return session.create_client("s3", region_name=region or None, endpoint_url=endpoint or None, config=config)

"""Where signing credentials come from: a role's session from regional STS, the environment, or botocore's chain."""

from collections.abc import Callable
from datetime import datetime

from nearside.errors import NoCredentials
from nearside.settings import Settings
from nearside.signing import Credentials

type CredentialSource = Callable[[], Credentials]


def of(settings: Settings) -> CredentialSource:
    """What URLs are signed with: sessions of SIGNING_ROLE_ARN, whose end is known, or else the function's own."""
    if settings.signing_role_arn:
        from nearside.adapters.sessions import Sessions  # its HTTP client is not needed otherwise

        return Sessions(settings.signing_role_arn, settings.region, own(settings))
    return own(settings)


def own(settings: Settings) -> CredentialSource:
    """The key pair in the environment, or else botocore's chain (profile, SSO, container, instance role)."""
    base = settings.credentials
    return (lambda: base) if base else chain(region=settings.region)


def chain(*, profile: str | None = None, region: str | None = None) -> CredentialSource:
    """botocore's credential chain (environment, profile, SSO, container, instance role), with roles of profiles assumed
    at the regional STS endpoint: an MRAP does not accept sessions of the global one
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRestrictions.html).

    The source raises NoCredentials when the chain finds nothing, or cannot refresh what it found.
    """
    import botocore.exceptions
    import botocore.session

    try:
        session = botocore.session.Session(profile=profile)
        session.set_config_variable("sts_regional_endpoints", "regional")
        if region:
            session.set_config_variable("region", region)
        found = session.get_credentials()
    except botocore.exceptions.BotoCoreError as error:
        raise NoCredentials(f"no credentials: {error}") from error
    if found is None:
        raise NoCredentials("no credentials in the environment, the profile, SSO, the container or the instance role")

    def source() -> Credentials:
        try:
            frozen = found.get_frozen_credentials()
        except botocore.exceptions.BotoCoreError as error:
            raise NoCredentials(f"the credentials cannot be refreshed: {error}") from error
        end: datetime | None = getattr(found, "_expiry_time", None)  # only refreshable credentials have an end
        key, secret = frozen.access_key, frozen.secret_key
        if not (key and secret):
            raise NoCredentials("the credential chain gave a key pair with a part missing")
        return Credentials(key, secret, frozen.token or "", end.timestamp() if end is not None else None)

    return source

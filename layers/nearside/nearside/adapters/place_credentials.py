"""Key pairs of places: from the environment, from Secrets Manager or SSM, or the function's own."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import msgspec

from nearside.adapters.credentials import CredentialSource
from nearside.errors import NearsideError, NoCredentials, Refused, Unreachable
from nearside.gateway.backends import Backend
from nearside.settings import environment_credentials
from nearside.signing import Credentials

KEPT_SECONDS = 300.0  # how long a pair that was rotated may still be used
RETRY_SECONDS = 30.0  # how long an old pair is used on when it cannot be read again
_REFUSED = frozenset({"AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "ExpiredTokenException"})
_MISSING = frozenset({"ResourceNotFoundException", "ParameterNotFound"})


class _Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    access_key_id: str
    secret_access_key: str
    session_token: str = ""


def of(backend: Backend, own: CredentialSource, region: str) -> CredentialSource:
    """What the place's requests are signed with; `own` are the function's, `region` is that of its secrets.

    Raises BadSettings when variables are missing; the source itself raises NoCredentials, Refused or Unreachable, in
    words that have nothing of the pair.
    """
    keys = backend.credentials
    if keys is None:
        return own
    if keys.environment is not None:
        pair = environment_credentials(keys.environment)
        return lambda: pair
    if keys.secretsmanager is not None:
        name = keys.secretsmanager
        return _Kept(backend.name, f"the secret {name}", lambda: _secret(name, own, region))
    name = keys.ssm or ""
    return _Kept(backend.name, f"the parameter {name}", lambda: _parameter(name, own, region))


class _Kept:
    """Reads a pair once in five minutes, and keeps the old one when that fails."""

    def __init__(self, place: str, what: str, read: Callable[[], str]) -> None:
        self._place = place
        self._what = what
        self._read = read
        self._lock = Lock()
        self._pair: Credentials | None = None
        self._until = 0.0

    def __call__(self) -> Credentials:
        pair = self._pair
        if pair is not None and time.monotonic() < self._until:
            return pair
        with self._lock:
            if self._pair is None or time.monotonic() >= self._until:
                self._renew()
            assert self._pair is not None  # for mypy: it was read, or _renew raised
            return self._pair

    def _renew(self) -> None:
        try:
            found = msgspec.json.decode(self._told(), type=_Pair)
        except NearsideError:
            if self._pair is None:
                raise
            self._until = time.monotonic() + RETRY_SECONDS
            return
        except msgspec.DecodeError:
            raise NoCredentials(
                f'{self._place}: {self._what} is not {{"access_key_id": …, "secret_access_key": …}}'
            ) from None  # msgspec's words may have a part of it
        self._pair = Credentials(found.access_key_id, found.secret_access_key, found.session_token)
        self._until = time.monotonic() + KEPT_SECONDS

    def _told(self) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._read()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            words = f"{self._place}: {self._what}"
            if code in _REFUSED:
                raise Refused(f"{words} may not be read by the function ({code})") from None
            if code in _MISSING:
                raise NoCredentials(f"{words} does not exist") from None
            raise Unreachable(f"{words} cannot be read ({code})") from None
        except BotoCoreError as error:
            raise Unreachable(f"{self._place}: {self._what} cannot be read ({type(error).__name__})") from None


def _secret(name: str, own: CredentialSource, region: str) -> str:
    return str(_client("secretsmanager", own, region).get_secret_value(SecretId=name).get("SecretString", ""))


def _parameter(name: str, own: CredentialSource, region: str) -> str:
    return str(_client("ssm", own, region).get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def _client(service: Any, own: CredentialSource, region: str) -> Any:
    import boto3  # 200 ms of a cold start, for a place that needs it
    from botocore.config import Config

    pair = own()
    return boto3.client(
        service,
        region_name=region,
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
        aws_session_token=pair.session_token or None,
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"}),
    )

"""Sessions of a role from the regional STS endpoint, whose end is known."""

import logging
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import datetime
from threading import Lock

import urllib3

from nearside import signing
from nearside.errors import NoCredentials, Unreachable
from nearside.signing import Credentials

log = logging.getLogger("nearside")

# A role that a role assumed lives an hour at most
# (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_manage-assume.html#iam-term-role-chaining); a new session
# every ten minutes means that a URL can always be given at least 50 of its 60 minutes.
SESSION_SECONDS = 3_600
RENEW_AFTER_SECONDS = 600
RETRY_AFTER_SECONDS = 30
STS_SECONDS = 5.0
_STS = "{https://sts.amazonaws.com/doc/2011-06-15/}"
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Sessions:
    """Sessions of one role by AssumeRole, each used for ten minutes of its hour. Thread-safe.

    boto3's STS client would cost a cold start 200 ms; this is one presigned GET
    (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
    """

    def __init__(
        self,
        role_arn: str,
        region: str,
        own: Callable[[], Credentials],
        *,
        endpoint: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._role_arn = role_arn
        self._region = region
        self._own = own
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        scheme, _, host = (endpoint or f"https://sts.{region}.{suffix}").partition("://")
        self._address: signing.Address = (scheme, host, "")
        self._clock = clock
        self._lock = Lock()
        self._session: Credentials | None = None
        self._renew_at = 0.0

    def __call__(self) -> Credentials:
        """The session in use; while it lives, STS may be down. Raises NoCredentials when STS says no,
        Unreachable when it does not answer."""
        with self._lock:
            now = self._clock()
            if self._session is None or now >= self._renew_at:
                try:
                    self._session = self._assumed(now)
                    self._renew_at = now + RENEW_AFTER_SECONDS
                except (NoCredentials, Unreachable):
                    end = (self._session and self._session.expires_at) or 0.0
                    if self._session is None or end <= now:
                        raise
                    # Not every request is to wait for a dead STS.
                    self._renew_at = min(now + RETRY_AFTER_SECONDS, end)
            return self._session

    def _assumed(self, now: float) -> Credentials:
        url = signing.V4(self._own(), now, self._region, "sts").presign(
            "GET",
            self._address,
            "",
            60,
            query={
                "Action": "AssumeRole",
                "Version": "2011-06-15",
                "RoleArn": self._role_arn,
                "RoleSessionName": "nearside",
                "DurationSeconds": str(SESSION_SECONDS),
            },
            payload_hash=_EMPTY_SHA256,
        )
        try:
            answer = urllib3.request("GET", url, timeout=STS_SECONDS, retries=urllib3.Retry(total=1, status=0))
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"STS in {self._region} cannot be reached ({type(error).__name__})") from error
        if answer.status >= 500:
            raise Unreachable(f"STS in {self._region} answered {answer.status}")
        if answer.status != 200:
            code, message = _sts_error(answer.data)
            # STS's words name roles and accounts: they are for the log, not for whoever asked for a URL.
            log.error("no session of %s: %s: %s", self._role_arn, code, message)
            raise NoCredentials(f"STS gives no session of the signing role ({code}); the log says more")
        try:
            return _session(answer.data)
        except (ET.ParseError, KeyError, ValueError) as error:
            raise Unreachable(f"STS in {self._region} answered 200 without a session") from error


def _session(body: bytes) -> Credentials:
    texts = {element.tag.removeprefix(_STS): element.text or "" for element in ET.fromstring(body).iter()}
    end = datetime.fromisoformat(texts["Expiration"])
    return Credentials(texts["AccessKeyId"], texts["SecretAccessKey"], texts["SessionToken"], end.timestamp())


def _sts_error(body: bytes) -> tuple[str, str]:
    """STS's code and message."""
    try:
        texts = {element.tag.removeprefix(_STS): element.text or "" for element in ET.fromstring(body).iter()}
    except ET.ParseError:
        return "no XML", body[:200].decode(errors="replace")
    return texts.get("Code", "?"), texts.get("Message", "?")

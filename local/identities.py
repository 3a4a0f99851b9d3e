"""Who may sign requests: the world's key pair, sessions issued for tests, and roles assumed at the world's STS."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.object_store import assumed_role


@dataclass(frozen=True, slots=True)
class Identity:
    """A key pair; with a session token and its end when it is temporary."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expires_at: datetime | None = None


# Fixed and useless anywhere else, so that a newcomer may paste them into a shell.
WORLD = Identity("AKIANEARSIDELOCAL000", "local-world-secret-that-opens-nothing-00")


class Identities:
    """The keys that one account knows: at first these."""

    def __init__(self, *first: Identity) -> None:
        self._known = {identity.access_key_id: identity for identity in first}

    def find(self, access_key_id: str) -> Identity | None:
        """The identity with this access key id, or None. Roles assumed at the world's STS are known too."""
        return self._known.get(access_key_id) or _assumed(access_key_id)

    def issue(self, lifetime: timedelta) -> Identity:
        """A new session that ends after `lifetime`, which may be negative: a session that has ended."""
        session = Identity(
            access_key_id="ASIA" + secrets.token_hex(8).upper(),
            secret_access_key=secrets.token_urlsafe(30),
            session_token=secrets.token_urlsafe(120) + "+/=",  # real tokens have characters that need encoding
            expires_at=datetime.now(UTC) + lifetime,
        )
        self._known[session.access_key_id] = session
        return session


def _assumed(access_key_id: str) -> Identity | None:
    role = assumed_role(access_key_id)
    if role is None:
        return None
    return Identity(role.access_key_id, role.secret_access_key, role.session_token, role.expiration.replace(tzinfo=UTC))

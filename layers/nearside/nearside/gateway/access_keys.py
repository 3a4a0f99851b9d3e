"""Who may use the gateway: access keys, the secrets that are derived for them, and the rules of what each may do."""

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Literal

import msgspec

from nearside.errors import BadRequest, Refused

type Action = Literal["read", "write", "delete", "list", "admin"]

ACTIONS: Sequence[Action] = ("read", "write", "delete", "list", "admin")
SECRET_CHARACTERS = 40  # as AWS's own: 240 bits
_ID_PREFIX = "NEARSIDE"
_ID_RANDOM = 12
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PATTERN = re.compile(r"[a-z0-9.*-]{1,63}")
_LABEL = b"nearside gateway access key"


class KeyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be done: `actions` with keys that begin with one of `prefixes` (`""`: with all) in buckets whose names
    fit one of the patterns, in which `*` stands for any number of characters."""

    buckets: Sequence[str]
    actions: Sequence[Action]
    prefixes: Sequence[str] = ("",)

    def names(self, bucket: str) -> bool:
        """Whether it is about the bucket."""
        return any(fits(bucket, pattern) for pattern in self.buckets)


class Secret(msgspec.Struct, frozen=True):
    """A secret of an access key. `until` is when it ends, in seconds since the epoch (None: with the key)."""

    text: str
    until: float | None = None

    def __repr__(self) -> str:
        return f"Secret(until={self.until!r})"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """An access key as it is kept: what its secrets are derived from, never the secrets.

    `created`, `expires` and `previous_until` are in seconds since the epoch. After a rotation the secret of the version
    before, `previous`, is still good until `previous_until`.
    """

    id: str
    rules: Sequence[KeyRule]
    created: int
    version: int = 1
    previous: int | None = None
    previous_until: int | None = None
    disabled: bool = False
    expires: int | None = None
    description: str = ""


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """An access key with its secrets, the newest first, as the gateway checks requests with."""

    id: str
    secrets: Sequence[Secret]
    rules: Sequence[KeyRule] = ()
    disabled: bool = False
    expires: float | None = None

    def good_secrets(self, now: float) -> list[str]:
        """The secrets that a request may be signed with at `now` (seconds since the epoch): none when the key is
        disabled or has expired."""
        if self.disabled or (self.expires is not None and now >= self.expires):
            return []
        return [secret.text for secret in self.secrets if secret.until is None or now < secret.until]

    def check(self, action: Action, bucket: str, key: str = "") -> None:
        """Raises Refused unless a rule gives `action` on the key.

        For `list`, `key` is the prefix that is listed, which must lie within a rule's: who may list `users/a/` may not
        list `users/`. Without a key it is about the bucket as a whole, which only a rule for all keys gives.
        """
        if not self.allows(action, bucket, key):
            what = f"{key!r} in {bucket!r}" if key else f"{bucket!r}"
            raise Refused(f"{self.id} may not {action} {what}")

    def allows(self, action: Action, bucket: str, key: str = "") -> bool:
        """Whether `check` lets it pass."""
        return any(
            action in rule.actions and key.startswith(tuple(rule.prefixes)) and rule.names(bucket)
            for rule in self.rules
        )

    def sees(self, bucket: str) -> bool:
        """Whether a rule gives anything in the bucket, so that it may be told that the bucket is there."""
        return any(rule.actions and rule.prefixes and rule.names(bucket) for rule in self.rules)


def new_id() -> str:
    """A new access key id: 20 characters, as AWS's, 60 random bits of them."""
    return _ID_PREFIX + "".join(secrets.choice(_BASE32) for _ in range(_ID_RANDOM))


def access_key(stored: StoredKey, gateway_secret: str) -> AccessKey:
    """The key with its secrets."""
    found = [Secret(derived(gateway_secret, stored.id, stored.version))]
    if stored.previous is not None and stored.previous_until is not None:
        found.append(Secret(derived(gateway_secret, stored.id, stored.previous), stored.previous_until))
    return AccessKey(id=stored.id, secrets=found, rules=stored.rules, disabled=stored.disabled, expires=stored.expires)


def derived(gateway_secret: str, key_id: str, version: int) -> str:
    """The secret access key of an id in a version: 40 characters of base64.

    One block of NIST SP 800-108r1's KDF in counter mode with HMAC-SHA256 (counter, label, zero, context, length:
    https://doi.org/10.6028/NIST.SP.800-108r1, 4.1). So nothing has to be kept that a reader of the table could sign
    with, one client's secret tells nothing of another's, and each version's is another.
    """
    context = f"{key_id}\0{version}".encode()
    block = b"\0\0\0\x01" + _LABEL + b"\0" + context + b"\0\0\x01\0"
    return base64.b64encode(hmac.digest(gateway_secret.encode(), block, "sha256")).decode()[:SECRET_CHARACTERS]


def checked_rules(rules: Sequence[KeyRule]) -> Sequence[KeyRule]:
    """The rules. Raises BadRequest for one that names no bucket, prefix or action, or a pattern that fits no bucket."""
    if not rules:
        raise BadRequest("a key without a rule may do nothing: give it one at least")
    for rule in rules:
        for field in ("buckets", "prefixes", "actions"):
            if not getattr(rule, field):
                raise BadRequest(f"a rule without {field} gives nothing")
        for pattern in rule.buckets:
            if not _PATTERN.fullmatch(pattern):
                raise BadRequest(f"{pattern!r} is no pattern for buckets: expected 1 to 63 of a-z, 0-9, '.', '-', '*'")
    return rules


def fits(name: str, pattern: str) -> bool:
    """Whether the name fits the pattern, in which `*` stands for any number of characters.

    Each part between `*` is looked for where it first comes, so it takes no longer than the
    name is long, whatever the pattern."""
    if "*" not in pattern:
        return name == pattern
    first, *middle, last = pattern.split("*")
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True

"""Who may do what with which keys: the caller API Gateway vouched for, and the policy from claims to prefixes."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from nearside.errors import Refused

type Action = Literal["read", "write", "delete"]

ACTION_OF_METHOD: Mapping[str, Action] = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}

_CLAIM = re.compile(r"\$\{([^}]+)\}")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Callers who have `claim` (and, where `equals` is given, have it with that value, or that value in their list)
    may do `actions` with keys under `prefixes`.

    A prefix may name claims: `users/${sub}/`. The prefix `""` is the whole bucket.
    """

    claim: str
    prefixes: list[str]
    actions: list[Action]
    equals: str | None = None


class Caller(msgspec.Struct, frozen=True):
    """Who asks. `trusted` callers (IAM decided that they may call the route, or the local world runs without an
    authorizer) may use every key; the others only what the rules give their claims."""

    name: str
    trusted: bool
    claims: Mapping[str, str] = {}


class Policy(msgspec.Struct, frozen=True):
    """The rules in force. Without a rule that fits, a caller who is not trusted is refused."""

    rules: Sequence[Rule] = ()

    def check(self, caller: Caller, action: Action, key: str) -> None:
        """Raises Refused unless the caller may do `action` with `key` (or with everything under it, for a prefix)."""
        if not self.allows(caller, action, key):
            raise Refused(f"{caller.name} may not {action} {key!r}")

    def allows(self, caller: Caller, action: Action, key: str) -> bool:
        """Whether `check` lets it pass."""
        return caller.trusted or any(key.startswith(prefix) for prefix in self.prefixes(caller, action))

    def prefixes(self, caller: Caller, action: Action) -> list[str]:
        """The prefixes under which a caller who is not trusted may do `action`."""
        found = []
        for rule in self.rules:
            if action in rule.actions and _has(caller, rule):
                found += [p for p in (_filled(prefix, caller) for prefix in rule.prefixes) if p is not None]
        return found


def _has(caller: Caller, rule: Rule) -> bool:
    value = caller.claims.get(rule.claim)
    if value is None or rule.equals is None:
        return value is not None
    return rule.equals == value or rule.equals in _listed(value)


def _listed(value: str) -> list[str]:
    """The members of a claim that was a list: API Gateway hands `["a","b"]` on as the text `[a b]`
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html)."""
    return value[1:-1].replace(",", " ").split() if value.startswith("[") and value.endswith("]") else []


def _filled(prefix: str, caller: Caller) -> str | None:
    """The prefix with its claims filled in; None when one is absent, empty, or has a `/`, which would let a claim's
    value choose the folder above or below the caller's own."""
    names = _CLAIM.findall(prefix)
    values = {name: caller.claims.get(name, "") for name in names}
    if any(not value or "/" in value for value in values.values()):
        return None
    return _CLAIM.sub(lambda match: values[match[1]], prefix)

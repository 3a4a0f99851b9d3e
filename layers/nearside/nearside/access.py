"""Who may do what with which keys: the caller API Gateway vouched for, and the policy from claims to prefixes."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from nearside.errors import BadRequest, Refused, TooLarge

type Action = Literal["read", "write", "delete"]

ACTION_OF_METHOD: Mapping[str, Action] = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}

# What the stack keeps in the buckets for itself: what adopting them changed, canaries.
OWN_PREFIX = ".nearside/"

# RFC 9110, 8.3.1. Of a header with several types (`image/png, text/html`) some browsers take the last
# (https://fetch.spec.whatwg.org/#content-type-header), so anything else is of no pattern.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf'({_TOKEN}/{_TOKEN})(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*"))*')
_CLAIM = re.compile(r"\$\{([^}]+)\}")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Callers who have `claim` (and, where `equals` is given, have it with that value, or that value in their list)
    may do `actions` with keys under `prefixes`.

    A prefix may name claims: `users/${sub}/`. The prefix `""` is the whole bucket. `max_bytes` and `content_types`
    (such as `image/*`) limit what they may write there.
    """

    claim: str
    prefixes: list[str]
    actions: list[Action]
    equals: str | None = None
    max_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    content_types: list[str] | None = None


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
        return caller.trusted or bool(self._over(caller, action, key))

    def check_write(
        self, caller: Caller, key: str, size: int | None, content_type: str | None, named: Sequence[str]
    ) -> None:
        """Raises Refused unless the caller may write `key`, TooLarge for more bytes than every rule that lets them
        write it takes, Refused for another type, BadRequest when a rule limits what is not said (None). `named` is what
        the request calls the size and the type."""
        if caller.trusted:
            return
        rules = self._over(caller, "write", key)
        if not rules:
            raise Refused(f"{caller.name} may not write {key!r}")
        failures = [_limited(rule, size, content_type, named) for rule in rules]
        if all(failures):
            error = failures[-1]
            assert error is not None  # for mypy: all of them are errors
            raise error

    def limits_writes(self, caller: Caller, key: str) -> bool:
        """Whether every rule that lets the caller write `key` limits sizes or types."""
        rules = self._over(caller, "write", key)
        return not caller.trusted and all(
            rule.max_bytes is not None or rule.content_types is not None for rule in rules
        )

    def max_bytes(self, caller: Caller, key: str, content_type: str | None) -> int | None:
        """The most bytes that the caller may write to `key` as that type; None: the policy has no limit."""
        limits = [
            rule.max_bytes
            for rule in self._over(caller, "write", key)
            if rule.content_types is None or _is_of(rule.content_types, content_type)
        ]
        if caller.trusted or None in limits:
            return None
        return max((each for each in limits if each is not None), default=0)

    def prefixes(self, caller: Caller, action: Action) -> list[str]:
        """The prefixes under which a caller who is not trusted may do `action`."""
        return [prefix for _, prefix in self._given(caller, action)]

    def _over(self, caller: Caller, action: Action, key: str) -> list[Rule]:
        """The rules that let the caller do it with the key; with one of Nearside's own, those that name its prefix."""
        own = action != "read" and key.startswith(OWN_PREFIX)
        return [
            rule
            for rule, prefix in self._given(caller, action)
            if key.startswith(prefix) and (not own or prefix.startswith(OWN_PREFIX))
        ]

    def _given(self, caller: Caller, action: Action) -> list[tuple[Rule, str]]:
        """Each rule that gives the caller the action, with each of its prefixes."""
        found = []
        for rule in self.rules:
            if action in rule.actions and _has(caller, rule):
                filled = (_filled(prefix, caller) for prefix in rule.prefixes)
                found += [(rule, prefix) for prefix in filled if prefix is not None]
        return found


def _limited(
    rule: Rule, size: int | None, content_type: str | None, named: Sequence[str]
) -> BadRequest | Refused | None:
    """What keeps the rule from letting it pass."""
    if rule.max_bytes is not None:
        if size is None:
            return BadRequest(f"{named[0]} is missing: the policy takes at most {rule.max_bytes} bytes here")
        if size > rule.max_bytes:
            return TooLarge(f"{named[0]} is {size}: the policy takes at most {rule.max_bytes} bytes here")
    if rule.content_types is not None and not _is_of(rule.content_types, content_type):
        wanted = ", ".join(rule.content_types)
        if content_type is None:
            return BadRequest(f"{named[1]} is missing: the policy takes {wanted} here")
        return Refused(f"{named[1]} is {content_type!r}: the policy takes {wanted} here")
    return None


def _is_of(patterns: Sequence[str], content_type: str | None) -> bool:
    """Whether the type, without its parameters, is one of the patterns': `image/png`, `image/*`, `*/*`."""
    match = _TYPE.fullmatch((content_type or "").strip(" \t"))
    if match is None or "*" in match[1]:
        return False
    plain = match[1].lower()
    return any(pattern.lower() in (plain, f"{plain.partition('/')[0]}/*", "*/*") for pattern in patterns)


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

"""The policy: deny by default, and a caller never gets a key outside the prefixes their claims fill."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nearside.access import ACTION_OF_METHOD, Action, Caller, Policy, Rule
from nearside.errors import Refused

OWN_FOLDER = Rule("sub", ["users/${sub}/"], ["read", "write"])


def caller(**claims: str) -> Caller:
    return Caller(claims.get("sub", "somebody"), trusted=False, claims=claims)


def test_without_a_rule_nothing_is_allowed() -> None:
    with pytest.raises(Refused, match="alice may not read 'a'"):
        Policy().check(caller(sub="alice"), "read", "a")


def test_who_is_trusted_may_do_anything() -> None:
    Policy().check(Caller("root", trusted=True), "delete", "a")


@pytest.mark.parametrize(
    ("action", "key", "allowed"),
    [
        ("read", "users/alice/a", True),
        ("write", "users/alice/", True),
        ("delete", "users/alice/a", False),
        ("read", "users/alice", False),
        ("read", "users/alicette/a", False),
        ("read", "users/bob/a", False),
        ("read", "", False),
        ("read", "/users/alice/a", False),
        ("read", "users//alice/a", False),
    ],
)
def test_a_claim_fills_a_prefix(action: Action, key: str, allowed: bool) -> None:
    assert Policy([OWN_FOLDER]).allows(caller(sub="alice"), action, key) is allowed


@pytest.mark.parametrize("value", ["", "/", "../bob", "bob/..", "a/b", "/alice"])
def test_a_claim_that_is_empty_or_has_a_slash_fills_nothing(value: str) -> None:
    assert Policy([OWN_FOLDER]).prefixes(caller(sub=value), "read") == []


def test_a_prefix_with_several_claims_needs_all_of_them() -> None:
    policy = Policy([Rule("sub", ["${tenant}/users/${sub}/", "shared/${tenant}/"], ["read"])])
    assert policy.prefixes(caller(sub="alice", tenant="acme"), "read") == ["acme/users/alice/", "shared/acme/"]
    assert policy.prefixes(caller(sub="alice"), "read") == []
    assert policy.prefixes(caller(sub="al/ice", tenant="acme"), "read") == ["shared/acme/"]


def test_a_claims_value_is_not_filled_again() -> None:
    policy = Policy([Rule("sub", ["users/${sub}/"], ["read"])])
    assert policy.prefixes(caller(sub="${admin}", admin="root"), "read") == ["users/${admin}/"]
    assert policy.prefixes(caller(sub=r"\g<1>"), "read") == [r"users/\g<1>/"]


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("editors", True),
        ("[editors]", True),
        ("[readers editors]", True),
        ("[readers,editors]", True),
        ("[readers, editors]", True),
        ("[readers]", False),
        ("readers editors", False),
        ("[super-editors]", False),
        ("[]", False),
        ("", False),
    ],
)
def test_equals_is_met_by_the_value_or_a_member_of_a_list(value: str, allowed: bool) -> None:
    policy = Policy([Rule("groups", [""], ["write"], equals="editors")])
    assert policy.allows(caller(groups=value), "write", "any/key") is allowed


def test_a_rule_for_a_claim_that_the_caller_lacks_gives_nothing() -> None:
    policy = Policy([Rule("admin", [""], ["read", "write", "delete"])])
    assert not policy.allows(caller(sub="alice"), "read", "a")
    assert policy.allows(caller(admin="yes"), "delete", "a")


def test_every_method_needs_its_action() -> None:
    assert ACTION_OF_METHOD == {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}


names = st.sampled_from(["sub", "tenant", "groups"])
pieces = st.sampled_from(["users/", "${sub}", "${tenant}", "/", "a", "$", "{sub}"])
rules = st.builds(
    Rule,
    claim=names,
    prefixes=st.lists(st.lists(pieces, max_size=4).map("".join), max_size=2),
    actions=st.lists(st.sampled_from(["read", "write", "delete"]), max_size=3, unique=True),
    equals=st.none() | st.sampled_from(["a", "b"]),
)
values = st.text("ab/.$ ", max_size=4) | st.sampled_from(["[a b]", "${sub}"])


@given(rules=st.lists(rules, max_size=3), claims=st.dictionaries(names, values), key=st.text("ab/us", max_size=8))
@example([OWN_FOLDER], {"sub": "../bob"}, "users/../bob/a")
def test_a_key_is_allowed_only_under_a_prefix_filled_with_whole_claims(
    rules: list[Rule], claims: dict[str, str], key: str
) -> None:
    policy = Policy(rules)
    for prefix in policy.prefixes(caller(**claims), "read"):
        assert policy.allows(caller(**claims), "read", prefix + key)
    if not policy.allows(caller(**claims), "read", key):
        return
    reasons = []
    for rule in rules:
        for prefix in rule.prefixes:
            # The folders of the pattern, each claim within one folder, and never nothing.
            pattern = re.sub(
                r"\\\$\\\{(\w+)\\\}",
                lambda m: re.escape(claims.get(m[1]) or "\0").replace("/", "\0"),
                re.escape(prefix),
            )
            reasons.append(rule.claim in claims and "read" in rule.actions and re.match(pattern, key) is not None)
    assert any(reasons)

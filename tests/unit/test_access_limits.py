"""The policy's limits on what is written: sizes and types, by the most generous rule that lets the caller write."""

import json
from typing import Any

import pytest

from nearside.access import Caller, Policy, Rule
from nearside.errors import BadRequest, NearsideError, Refused, TooLarge
from tests.unit import functions

NAMED = ("size", "content_type")
ALICE = Caller("alice", trusted=False, claims={"sub": "alice"})
SMALL = Rule("sub", ["users/"], ["write"], max_bytes=100)
IMAGES = Rule("sub", ["users/", "images/"], ["read", "write"], max_bytes=1_000, content_types=["image/*", "Text/Plain"])
FREE = Rule("sub", ["users/alice/"], ["write"])


@pytest.mark.parametrize(
    ("rules", "key", "size", "content_type", "error", "words"),
    [
        ([], "users/a", 1, None, Refused, "alice may not write 'users/a'"),
        ([SMALL], "other/a", 1, None, Refused, "alice may not write 'other/a'"),
        ([SMALL], "users/a", 100, None, None, ""),
        ([SMALL], "users/a", 101, None, TooLarge, "size is 101: the policy takes at most 100 bytes here"),
        ([SMALL], "users/a", None, None, BadRequest, "size is missing: the policy takes at most 100 bytes here"),
        ([IMAGES], "images/a", 101, "image/png", None, ""),
        ([IMAGES], "images/a", 1, "IMAGE/PNG; q=1", None, ""),
        ([IMAGES], "images/a", 1, "text/plain;charset=utf-8", None, ""),
        ([IMAGES], "images/a", 1, "text/html", Refused, "content_type is 'text/html': the policy takes image/\\*, "),
        ([IMAGES], "images/a", 1, "image", Refused, "content_type is 'image'"),
        ([IMAGES], "images/a", 1, "imagery/png", Refused, "content_type is 'imagery/png'"),
        ([IMAGES], "images/a", 1, None, BadRequest, "content_type is missing"),
        ([IMAGES, SMALL], "users/a", 100, "text/html", None, ""),
        ([SMALL, IMAGES], "users/a", 1_000, "image/png", None, ""),
        ([SMALL, IMAGES], "users/a", 1_001, "image/png", TooLarge, "at most 1000"),
        ([SMALL, FREE], "users/alice/a", 10**12, None, None, ""),
    ],
)
def test_a_write_passes_when_one_rule_lets_it(
    rules: list[Rule],
    key: str,
    size: int | None,
    content_type: str | None,
    error: type[NearsideError] | None,
    words: str,
) -> None:
    policy = Policy(rules)
    if error is None:
        policy.check_write(ALICE, key, size, content_type, NAMED)
    else:
        with pytest.raises(error, match=words) as raised:
            policy.check_write(ALICE, key, size, content_type, NAMED)
        assert type(raised.value) is error


def test_nothing_limits_who_is_trusted() -> None:
    root = Caller("root", trusted=True)
    Policy([SMALL]).check_write(root, "users/a", None, None, NAMED)
    assert not Policy([SMALL]).limits_writes(root, "users/a")
    assert Policy([SMALL]).max_bytes(root, "users/a", None) is None


@pytest.mark.parametrize(
    ("rules", "limits", "most"), [([SMALL], True, 100), ([SMALL, IMAGES], True, 1_000), ([SMALL, FREE], False, None)]
)
def test_the_widest_rule_counts(rules: list[Rule], limits: bool, most: int | None) -> None:
    assert Policy(rules).limits_writes(ALICE, "users/alice/a") is limits
    assert Policy(rules).max_bytes(ALICE, "users/alice/a", "image/png") == most


def test_a_rule_for_other_types_does_not_widen_the_limit() -> None:
    assert Policy([SMALL, IMAGES]).max_bytes(ALICE, "users/a", "text/html") == 100
    assert Policy([IMAGES]).max_bytes(ALICE, "users/a", "text/html") == 0


LIMITED = (
    '[{"claim": "sub", "prefixes": ["users/${sub}/"], "actions": ["write"], '
    '"max_bytes": 10, "content_types": ["text/*"]}]'
)


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"content_length": 10, "content_type": "text/plain"}, 200, ""),
        (
            {"content_length": 11, "content_type": "text/plain"},
            413,
            "content_length is 11: the policy takes at most 10",
        ),
        ({"content_type": "text/plain"}, 400, "content_length is missing"),
        ({"content_length": 1, "content_type": "image/png"}, 403, "content_type is 'image/png'"),
        ({"upload_id": "u", "part_number": 1, "content_length": 1}, 403, "upload it by POST /uploads"),
    ],
)
def test_presigning_a_put_keeps_to_them(more: dict[str, Any], status: int, words: str) -> None:
    presign = functions.load("presign", ACCESS_POLICY=LIMITED)
    body = json.dumps({"key": "users/alice/a", "method": "PUT", **more})
    got, answer = functions.answer(presign, functions.event("presign/refused", body))
    assert got == status, answer
    assert words in answer.get("message", "")
    if status == 200:
        assert answer["headers"] == {"content-length": "10", "content-type": "text/plain"}

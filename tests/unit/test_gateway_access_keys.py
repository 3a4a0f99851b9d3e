"""Access keys: what rules give, the secrets that are derived, and how long a key that was read is known."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from hypothesis import given
from hypothesis import strategies as st

from nearside.adapters.access_keys import KNOWN_SECONDS, MAX_KNOWN, AccessKeys
from nearside.adapters.dynamodb_wire import ConditionFailed
from nearside.errors import BadRequest, Contended, Refused, Unreachable
from nearside.gateway.access_keys import (
    AccessKey,
    Action,
    KeyRule,
    StoredKey,
    access_key,
    checked_rules,
    derived,
    fits,
    new_id,
)

GATEWAY_SECRET = "a secret of thirty-two characters"
TEAM = KeyRule(buckets=["photos", "team-*"], prefixes=["users/a/", "shared/"], actions=["read", "list"])
KEY = AccessKey(id="NEARSIDEABCDEFGH2345", secrets=[], rules=[TEAM])


@pytest.mark.parametrize(
    ("action", "bucket", "key", "allowed"),
    [
        ("read", "photos", "users/a/1.jpg", True),
        ("read", "team-", "shared/1.jpg", True),
        ("read", "team-blue", "users/a/", True),
        ("read", "photos", "users/b/1.jpg", False),
        ("read", "photos", "users/a", False),
        ("read", "photos", "x/users/a/1.jpg", False),
        ("read", "photos2", "users/a/1.jpg", False),
        ("read", "ateam-blue", "users/a/1.jpg", False),
        ("write", "photos", "users/a/1.jpg", False),
        ("delete", "photos", "users/a/1.jpg", False),
        ("admin", "photos", "", False),
        ("list", "photos", "users/a/", True),
        ("list", "photos", "users/a/2024/", True),
        ("list", "photos", "users/", False),
        ("list", "photos", "", False),
    ],
)
def test_only_what_a_rule_gives_is_allowed(action: Action, bucket: str, key: str, allowed: bool) -> None:
    assert KEY.allows(action, bucket, key) is allowed
    if allowed:
        KEY.check(action, bucket, key)
    else:
        with pytest.raises(Refused, match=re.escape(f"{KEY.id} may not {action} ")):
            KEY.check(action, bucket, key)


def test_actions_of_one_rule_are_not_those_of_another() -> None:
    rules = [
        KeyRule(buckets=["a"], actions=["read"]),
        KeyRule(buckets=["b"], actions=["write"], prefixes=["in/"]),
    ]
    key = AccessKey(id="x", secrets=[], rules=rules)
    allowed = {
        (action, bucket)
        for action in ("read", "write", "delete", "list", "admin")
        for bucket in "abc"
        if key.allows(action, bucket, "in/x")
    }
    assert allowed == {("read", "a"), ("write", "b")}


def test_without_a_rule_nothing_is_allowed() -> None:
    for rules in ([], [KeyRule(buckets=[], actions=["read"])], [KeyRule(buckets=["*"], actions=["read"], prefixes=[])]):
        key = AccessKey(id="x", secrets=[], rules=rules)
        assert not key.allows("read", "photos", "a")
        assert not key.sees("photos")


def test_a_bucket_is_seen_by_whom_a_rule_gives_something_in_it() -> None:
    assert [bucket for bucket in ("photos", "team-red", "other") if KEY.sees(bucket)] == ["photos", "team-red"]


names = st.text("ab-", max_size=8)
patterns = st.text("ab-*", max_size=8)


@given(names, patterns)
def test_a_star_is_any_number_of_characters(name: str, pattern: str) -> None:
    assert fits(name, pattern) is bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name))


@pytest.mark.parametrize(
    "rule",
    [
        KeyRule(buckets=[], actions=["read"]),
        KeyRule(buckets=["a"], actions=[]),
        KeyRule(buckets=["a"], actions=["read"], prefixes=[]),
        KeyRule(buckets=["A"], actions=["read"]),
        KeyRule(buckets=["a?"], actions=["read"]),
        KeyRule(buckets=["a" * 64], actions=["read"]),
    ],
)
def test_a_rule_that_gives_nothing_is_refused(rule: KeyRule) -> None:
    with pytest.raises(BadRequest):
        checked_rules([rule])


def test_a_good_rule_is_kept_and_none_is_refused() -> None:
    assert checked_rules([TEAM]) == [TEAM]
    with pytest.raises(BadRequest, match="may do nothing"):
        checked_rules([])


def test_ids_look_like_those_of_aws_and_differ() -> None:
    made = {new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"NEARSIDE[A-Z2-7]{12}", each) for each in made)


@given(st.text(min_size=32, max_size=60), st.text("ABC234", min_size=20, max_size=20), st.integers(1, 10**6))
def test_a_secret_is_a_block_of_the_kdf(gateway_secret: str, key_id: str, version: int) -> None:
    kdf = KBKDFHMAC(
        algorithm=SHA256(),
        mode=Mode.CounterMode,
        length=32,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=b"nearside gateway access key",
        context=f"{key_id}\0{version}".encode(),
        fixed=None,
    )
    expected = base64.b64encode(kdf.derive(gateway_secret.encode())).decode()[:40]
    assert derived(gateway_secret, key_id, version) == expected


def test_each_version_and_each_id_has_a_secret_of_its_own() -> None:
    made = {derived(GATEWAY_SECRET, f"NEARSIDE{n}", version) for n in range(20) for version in range(1, 20)}
    assert len(made) == 20 * 19


def test_the_good_secrets_of_a_key() -> None:
    stored = StoredKey(id="x", rules=[TEAM], created=0, version=3, previous=2, previous_until=100, expires=200)
    new, old = derived(GATEWAY_SECRET, "x", 3), derived(GATEWAY_SECRET, "x", 2)
    key = access_key(stored, GATEWAY_SECRET)
    assert [key.good_secrets(now) for now in (0, 99.9, 100, 199.9, 200)] == [[new, old], [new, old], [new], [new], []]
    disabled = access_key(StoredKey(id="x", rules=[TEAM], created=0, disabled=True), GATEWAY_SECRET)
    assert disabled.good_secrets(0) == []


class Table:
    """A table of items that counts what it is asked."""

    def __init__(self) -> None:
        self.items: dict[str, Mapping[str, Any]] = {}
        self.asked: list[str] = []
        self.down = False
        self.loses = False
        self.refuses: set[str] = set()

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(operation)
        if self.down:
            raise Unreachable("down")
        if operation == "PutItem":
            key_id = request["Item"]["SK"]["S"]
            if self.loses or key_id not in self.items:
                self.items[key_id] = request["Item"]
            if self.loses or key_id in self.refuses:
                raise ConditionFailed({}, again=self.loses)
            return {}
        assert operation == "GetItem"
        assert request["ConsistentRead"] is True
        item = self.items.get(request["Key"]["SK"]["S"])
        return {"Item": item} if item else {}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(table: Table, clock: Clock) -> AccessKeys:
    return AccessKeys(table, GATEWAY_SECRET, clock)


FULL = StoredKey(
    id="NEARSIDEABCDEFGH2345",
    rules=[TEAM, KeyRule(buckets=["é"], actions=["admin"], prefixes=[""])],
    created=1,
    version=2,
    previous=1,
    previous_until=3,
    disabled=True,
    expires=4,
    description="of the é team",
)


@pytest.mark.parametrize("stored", [FULL, StoredKey(id="x", rules=[], created=0)])
def test_what_was_put_down_is_read(keys: AccessKeys, stored: StoredKey) -> None:
    made = keys.add(stored)
    assert keys.stored(stored.id) == stored
    assert keys.find(stored.id) == made == access_key(stored, GATEWAY_SECRET)


def test_no_secret_is_put_down_and_nothing_that_the_table_removes(keys: AccessKeys, table: Table) -> None:
    made = keys.add(FULL)
    item = table.items[FULL.id]
    assert "expires" not in item
    assert item["PK"] == {"S": "GATEWAY-KEYS"}
    assert not any(secret.text in str(item) for secret in made.secrets)


def test_a_key_is_known_for_a_few_seconds(keys: AccessKeys, table: Table, clock: Clock) -> None:
    keys.add(FULL)
    table.asked.clear()
    assert [keys.find(FULL.id) is not None for _ in range(3)] == [True] * 3
    clock.now = KNOWN_SECONDS - 0.01
    keys.find(FULL.id)
    assert table.asked == ["GetItem"]
    table.items.clear()
    clock.now = KNOWN_SECONDS
    assert keys.find(FULL.id) is None
    assert table.asked == ["GetItem"] * 2


def test_an_id_that_is_unknown_is_so_for_a_few_seconds(keys: AccessKeys, table: Table, clock: Clock) -> None:
    assert keys.find(FULL.id) is None
    keys.add(FULL)
    table.asked.clear()
    assert keys.find(FULL.id) is None
    assert table.asked == []
    clock.now = KNOWN_SECONDS
    assert keys.find(FULL.id) is not None


def test_somebody_who_tries_ids_does_not_push_out_the_keys_in_use(keys: AccessKeys, table: Table) -> None:
    keys.add(FULL)
    keys.find(FULL.id)
    for number in range(2 * MAX_KNOWN):
        keys.find(f"NEARSIDE{number}")
    assert len(keys._unknown) <= MAX_KNOWN
    table.asked.clear()
    assert keys.find(FULL.id) is not None
    assert table.asked == []


def test_a_table_that_does_not_answer_is_no_unknown_key(keys: AccessKeys, table: Table, clock: Clock) -> None:
    keys.add(FULL)
    keys.find(FULL.id)
    table.down = True
    clock.now = KNOWN_SECONDS
    for _ in range(2):
        with pytest.raises(Unreachable):
            keys.find(FULL.id)
    table.down = False
    assert keys.find(FULL.id) is not None


def test_a_write_whose_answer_was_lost_is_known_again(keys: AccessKeys, table: Table) -> None:
    table.loses = True
    stored = StoredKey(id="x", rules=[TEAM], created=0)
    assert keys.add(stored) == access_key(stored, GATEWAY_SECRET)
    assert keys.rotate("x", 60).secrets[0].text == derived(GATEWAY_SECRET, "x", 2)
    table.loses = False
    table.refuses = {"x"}
    with pytest.raises(BadRequest, match="already"):
        keys.add(stored)
    with pytest.raises(Contended):
        keys.rotate("x", 60)

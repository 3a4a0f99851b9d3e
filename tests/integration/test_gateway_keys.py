"""`nearside keys` against the world's DynamoDB: made, listed, shown, rotated, revoked."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from local.world import World
from nearside import cli, settings
from nearside.adapters import credentials
from nearside.adapters.access_keys import AccessKeys
from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.errors import BadRequest, Contended

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

GATEWAY_SECRET = "the gateway's secret of these tests"

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name, value in {**world.environment(), "GATEWAY_SECRET": GATEWAY_SECRET}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["keys", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def keys(run: Run) -> AccessKeys:
    """As a function reads them, with nothing known yet."""
    wanted = settings.load()
    source = credentials.own(wanted)
    table = DynamoDbWire(wanted.table, wanted.primary.region, source, wanted.dynamodb_endpoint)
    return AccessKeys(table, wanted.gateway_secret)


def made(run: Run, *arguments: str) -> tuple[str, str]:
    """Id and secret of a new key."""
    code, out, err = run("create", "--bucket", "photos", "--action", "read", "--export", *arguments)
    assert (code, err) == (0, "")
    match = re.fullmatch(r"AWS_ACCESS_KEY_ID=(NEARSIDE[A-Z2-7]{12})\nAWS_SECRET_ACCESS_KEY=([\w+/]{40})\n", out)
    assert match, out
    return match[1], match[2]


def test_a_key_that_was_created_is_found_with_its_secret(run: Run, keys: AccessKeys) -> None:
    key_id, secret = made(run, "--prefix", "users/a/", "--bucket", "team-*", "--action", "list")
    found = keys.find(key_id)
    assert found
    assert found.good_secrets(time.time()) == [secret]
    assert found.allows("list", "team-red", "users/a/")
    assert not found.allows("read", "photos", "users/b")
    code, out, _ = run("create", "--rules", '[{"buckets": ["*"], "actions": ["admin"]}]')
    assert code == 0
    assert re.fullmatch(r"id      NEARSIDE\w{12}\nsecret  \S{40}\n", out)


def test_keys_are_listed_and_shown_without_their_secrets(run: Run) -> None:
    key_id, secret = made(run, "--description", "for the backup", "--expires", "2099-01-31")
    code, out, _ = run("list")
    [line] = [line for line in out.splitlines() if line.startswith(key_id)]
    assert code == 0
    assert re.fullmatch(rf"{key_id}  good until 2099-01-31T00:00:00Z  20\S+Z  read photos:\*  for the backup", line)
    code, shown, _ = run("show", key_id)
    assert code == 0
    assert json.loads(shown)["rules"] == [{"buckets": ["photos"], "actions": ["read"], "prefixes": [""]}]
    assert json.loads(shown)["expires"] == "2099-01-31T00:00:00Z"
    assert secret not in out + shown


def test_a_rotated_key_has_two_secrets_for_a_while(run: Run, keys: AccessKeys) -> None:
    key_id, first = made(run)
    _, out, _ = run("rotate", key_id, "--keep-old-for", "60", "--export")
    second = out.splitlines()[1].removeprefix("AWS_SECRET_ACCESS_KEY=")
    found = keys.find(key_id)
    assert found
    now = time.time()
    assert [found.good_secrets(at) for at in (now, now + 61)] == [[second, first], [second]]
    run("rotate", key_id, "--keep-old-for", "0")
    stored = keys.stored(key_id)
    assert stored
    assert (stored.version, stored.previous) == (3, 2)


def test_a_revoked_key_is_good_for_nothing(run: Run, keys: AccessKeys) -> None:
    key_id, _ = made(run)
    assert run("revoke", key_id) == (0, f"{key_id} is revoked\n", "")
    assert run("revoke", key_id)[0] == 0
    found = keys.find(key_id)
    assert found
    assert found.good_secrets(time.time()) == []
    assert f"{key_id}  revoked" in run("list")[1]
    assert run("rotate", key_id)[2] == f"nearside: access key {key_id} is revoked: create another one\n"


@pytest.mark.parametrize("command", ["show", "rotate", "revoke"])
def test_a_key_that_is_not_there_is_said_to_be_missing(run: Run, command: str) -> None:
    assert run(command, "NEARSIDENOPE") == (1, "", "nearside: there is no access key 'NEARSIDENOPE'\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create",), "a rule without buckets gives nothing"),
        (("create", "--bucket", "photos"), "a rule without actions gives nothing"),
        (("create", "--bucket", "Photos", "--action", "read"), "'Photos' is no pattern for buckets"),
        (("create", "--rules", "[{}]"), "--rules is not what it should be: Object missing required field `buckets`"),
        (("create", "--rules", "[]"), "a key without a rule may do nothing"),
        (("create", "--rules", "[]", "--bucket", "a"), "--rules says all of it"),
        (
            ("create", "--bucket", "a", "--action", "read", "--expires", "2001-01-01"),
            "2001-01-01T00:00:00Z, which is over",
        ),
        (("rotate", "x", "--keep-old-for", "-1"), "--keep-old-for is -1: expected at least 0 seconds"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["TABLE", "GATEWAY_SECRET"])
def test_a_setting_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    assert run("list") == (1, "", f"nearside: {name} is not set\n")


def test_an_id_is_given_once_and_two_rotations_at_once_do_not_mix(
    run: Run, keys: AccessKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, _ = made(run)
    stored = keys.stored(key_id)
    assert stored
    with pytest.raises(BadRequest, match="already"):
        keys.add(stored)
    monkeypatch.setattr(keys, "stored", lambda _: stored)  # as it was read before the other one
    keys.rotate(key_id, 0)
    with pytest.raises(Contended, match="changed meanwhile"):
        keys.rotate(key_id, 0)


def test_all_pages_are_listed(run: Run, keys: AccessKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = sorted(made(run)[0] for _ in range(3))
    call = keys._table.call
    pages = 0

    def one_at_a_time(operation: str, request: Mapping[str, Any]) -> Any:
        nonlocal pages
        pages += 1
        return call(operation, {**request, "Limit": 1})

    monkeypatch.setattr(keys._table, "call", one_at_a_time)
    found = [key.id for key in keys.all()]
    assert set(wanted) <= set(found)
    assert found == sorted(found)
    assert pages >= len(found)

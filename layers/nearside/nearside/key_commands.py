"""`nearside keys`: the gateway's access keys, created, shown, rotated and revoked."""

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from nearside import settings
from nearside.adapters import credentials
from nearside.adapters.access_keys import KNOWN_SECONDS, AccessKeys
from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.errors import BadRequest, Missing
from nearside.gateway.access_keys import ACTIONS, AccessKey, KeyRule, StoredKey, checked_rules, new_id

KEEP_OLD_SECONDS = 3600


def add_to(commands: Any) -> None:
    """Adds `keys` to the parsers of the command's subcommands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", help="the AWS profile with which the table is asked")
    words = "The gateway's access keys: who may do what with which buckets and keys."
    keys = commands.add_parser("keys", help=words, description=words).add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, words: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = keys.add_parser(name, help=words, description=words, parents=[common])
        made.set_defaults(run=run)
        return made

    made = command("create", _create, "Make a key, and print its secret, which is not shown again.")
    made.add_argument("--bucket", action="append", metavar="PATTERN", help="such as photos or team-*; repeatable")
    made.add_argument("--prefix", action="append", metavar="P", help="of keys; repeatable; default: all keys")
    made.add_argument("--action", action="append", choices=ACTIONS, help="repeatable")
    words = 'instead of the three: [{"buckets": […], "prefixes": […], "actions": […]}, …]'
    made.add_argument("--rules", metavar="JSON", help=words)
    made.add_argument("--description", default="", help="what or whom it is for")
    made.add_argument("--expires", type=_moment, metavar="TIME", help="ISO 8601, such as 2027-01-31 or …T12:00:00Z")
    _exporting(made)

    command("list", _list, "Print all keys: id, state, creation, rules, description.")
    command("show", _show, "Print a key as JSON, without its secret.").add_argument("id")

    made = command("rotate", _rotate, "Give a key a new secret, and print it.")
    made.add_argument("id")
    words = f"how long the secret until now is still good; default {KEEP_OLD_SECONDS}"
    made.add_argument("--keep-old-for", type=int, default=KEEP_OLD_SECONDS, metavar="SECONDS", help=words)
    _exporting(made)

    words = f"Disable a key for good: at once, and {KNOWN_SECONDS:.0f} s later where it was just in use."
    command("revoke", _revoke, words).add_argument("id")


def _exporting(made: argparse.ArgumentParser) -> None:
    words = "print AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…, for a file or a shell"
    made.add_argument("--export", action="store_true", help=words)


def _create(asked: argparse.Namespace) -> int:
    now = int(time.time())
    if asked.expires is not None and asked.expires <= now:
        raise BadRequest(f"--expires is {_told(asked.expires)}, which is over")
    key = StoredKey(id=new_id(), rules=_rules(asked), created=now, expires=asked.expires, description=asked.description)
    _print_secret(_keys(asked).add(key), export=asked.export)
    return 0


def _rules(asked: argparse.Namespace) -> Sequence[KeyRule]:
    if asked.rules is None:
        rule = KeyRule(buckets=asked.bucket or (), prefixes=asked.prefix or ("",), actions=asked.action or ())
        return checked_rules([rule])
    if asked.bucket or asked.prefix or asked.action:
        raise BadRequest("--rules says all of it: without --bucket, --prefix and --action")
    try:
        return checked_rules(msgspec.json.decode(asked.rules, type=list[KeyRule]))
    except msgspec.DecodeError as error:
        raise BadRequest(f"--rules is not what it should be: {error}") from error


def _list(asked: argparse.Namespace) -> int:
    now = time.time()
    for key in _keys(asked).all():
        rules = "; ".join(
            f"{','.join(rule.actions)} {','.join(rule.buckets)}:{','.join(f'{prefix}*' for prefix in rule.prefixes)}"
            for rule in key.rules
        )
        print("  ".join([key.id, _state(key, now), _told(key.created), rules, key.description]).rstrip())
    return 0


def _show(asked: argparse.Namespace) -> int:
    key = _keys(asked).stored(asked.id)
    if key is None:
        raise Missing(f"there is no access key {asked.id!r}")
    times = {
        field: _told(value) for field in ("created", "expires", "previous_until") if (value := getattr(key, field))
    }
    shown = {**msgspec.to_builtins(key), **times, "state": _state(key, time.time())}
    print(msgspec.json.format(msgspec.json.encode(shown)).decode())
    return 0


def _rotate(asked: argparse.Namespace) -> int:
    if asked.keep_old_for < 0:
        raise BadRequest(f"--keep-old-for is {asked.keep_old_for}: expected at least 0 seconds")
    _print_secret(_keys(asked).rotate(asked.id, int(time.time()) + asked.keep_old_for), export=asked.export)
    return 0


def _revoke(asked: argparse.Namespace) -> int:
    _keys(asked).revoke(asked.id)
    print(f"{asked.id} is revoked")
    return 0


def _keys(asked: argparse.Namespace) -> AccessKeys:
    wanted = settings.load(needs=("TABLE", "GATEWAY_SECRET"))
    source = credentials.chain(profile=asked.profile, region=wanted.region)
    table = DynamoDbWire(wanted.table, wanted.primary.region, source, wanted.dynamodb_endpoint)
    return AccessKeys(table, wanted.gateway_secret)


def _print_secret(key: AccessKey, *, export: bool) -> None:
    names = ("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=") if export else ("id      ", "secret  ")
    for name, value in zip(names, (key.id, key.secrets[0].text), strict=True):
        print(f"{name}{value}")


def _state(key: StoredKey, now: float) -> str:
    if key.disabled:
        return "revoked"
    if key.expires is None:
        return "good"
    return "expired" if now >= key.expires else f"good until {_told(key.expires)}"


def _moment(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _told(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")

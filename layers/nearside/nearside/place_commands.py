"""`nearside places`: tries every configured place of the gateway, and prints the schema of their configuration."""

import argparse
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from nearside import reconcile_commands, settings, signing
from nearside.adapters import credentials, place_credentials
from nearside.adapters.place_answers import Answer
from nearside.adapters.place_requests import PlaceRequests
from nearside.adapters.place_store import PlaceStore
from nearside.check import Step
from nearside.errors import BadRequest, NearsideError
from nearside.gateway import backends
from nearside.gateway.backends import Backend
from nearside.gateway.place_check import PlaceCheck, Told


def add_to(commands: Any) -> None:
    """Adds `places` to the parsers of the command's subcommands."""
    words = "The gateway's places (BACKENDS)."
    places = commands.add_parser("places", help=words, description=words).add_subparsers(
        required=True, metavar="COMMAND"
    )

    words = "Try each enabled place with a small object, and say what is wrong. Nothing is left behind."
    made = places.add_parser("check", help=words, description=words)
    made.add_argument("bucket", help="a bucket of the gateway, by the gateway's name")
    made.add_argument("--place", action="append", metavar="NAME", help="only this one, enabled or not; repeatable")
    made.add_argument("--profile", help="the AWS profile for places without credentials of their own, and for secrets")
    made.set_defaults(run=_check)

    reconcile_commands.add_to(places)

    words = "Print the JSON Schema of BACKENDS."
    made = places.add_parser("schema", help=words, description=words)
    made.set_defaults(run=_schema)


def _check(asked: argparse.Namespace) -> int:
    wanted = settings.load(needs=("BACKENDS",))
    configuration = backends.parse(wanted.backends)
    chosen = configuration.enabled
    if asked.place:
        known = {each.name: each for each in configuration.backends}
        if unknown := [name for name in asked.place if name not in known]:
            raise BadRequest(f"there is no place {', '.join(unknown)}; there are: {', '.join(known)}")
        chosen = [known[name] for name in asked.place]
    logging.getLogger("nearside").addHandler(logging.NullHandler())  # the steps say it
    own = _Own(asked.profile, wanted.region)
    well = True
    for backend in chosen:
        print(f"{backend.name} ({backend.facts.title}, {backend.endpoint_url or backend.region})", flush=True)
        for step in _steps(backend, asked.bucket, own, wanted.region):
            well = well and step.ok
            print(f"  {'ok  ' if step.ok else 'FAIL'}  {step.name}: {step.words}", flush=True)
    return 0 if well else 1


def _steps(backend: Backend, bucket: str, own: "_Own", region: str) -> Iterable[Step]:
    try:
        source = place_credentials.of(backend, own, region)
        source()
    except NearsideError as error:
        return [Step("credentials", False, str(error))]
    ask = _Remembering(backend, source)
    return PlaceCheck(backend, bucket, ask, PlaceStore(ask), time.time)


class _Own:
    """The caller's own credentials, looked for when a place needs them."""

    def __init__(self, profile: str | None, region: str) -> None:
        self._profile = profile
        self._region = region
        self._source: credentials.CredentialSource | None = None

    def __call__(self) -> signing.Credentials:
        if self._source is None:
            self._source = credentials.chain(profile=self._profile, region=self._region)
        return self._source()


class _Remembering(PlaceRequests):
    """Keeps what was answered last."""

    def __init__(self, backend: Backend, source: Callable[[], signing.Credentials]) -> None:
        super().__init__(backend, source)
        self.last: Told | None = None

    def __call__(self, *arguments: Any, **more: Any) -> Answer:
        self.last = None
        answer = super().__call__(*arguments, **more)
        self.last = answer
        return answer


def _schema(_: argparse.Namespace) -> int:
    print(msgspec.json.format(msgspec.json.encode(backends.schema())).decode())
    return 0

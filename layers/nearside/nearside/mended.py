"""What is to be repaired, and what became of it."""

from typing import Literal

import msgspec

from nearside.places import Place

type Outcome = Literal[
    "copied",
    "deleted",
    "present",
    "gone",
    "superseded",
    "copying",
    "waiting",
    "refused",
    "unproved",
    "failed",
    "dry run",
]


class Mended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one replica. `detail` says it in words, with the proof of a copy; `copy_version` is the copy's."""

    key: str
    version: str
    place: str
    outcome: Outcome
    detail: str
    source: str = ""
    copy_version: str = ""


class Target(msgspec.Struct, frozen=True):
    """A replica that is to be repaired."""

    key: str
    version: str
    place: Place


def answer(target: Target, outcome: Outcome, detail: str, source: str = "", copy: str = "") -> Mended:
    """What became of the target."""
    return Mended(
        key=target.key,
        version=target.version,
        place=target.place.name,
        outcome=outcome,
        detail=detail,
        source=source,
        copy_version=copy,
    )

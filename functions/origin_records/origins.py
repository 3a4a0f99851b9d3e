"""What a TXT record says, as the key-value store keeps it; the store changes only for something better than it has."""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import txt_origin
from directions import Question
from txt_origin import Origin

# "Maximum size of a value": https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
MAX_VALUE_BYTES = 1_024


class NoAnswer(Exception):
    """DNS did not answer, or said that there is no such record; the text says which."""


type AsksDns = Callable[[Question], Sequence[str]]
"""The texts of the name's TXT records, at least one. Raises NoAnswer."""


class KeepsOrigins(Protocol):
    """The store."""

    def read(self) -> str | None:
        """What it keeps; None before the first write."""

    def write(self, value: str) -> None:
        """Keeps this instead."""


class Outcome(NamedTuple):
    """What came of a look at the record."""

    state: str
    """`changed`, `same`, or `kept`: nothing usable was found, and the store is as it was."""
    origins: int
    """How many the record named that may be used."""
    refused: tuple[str, ...] = ()
    """Why each of the others may not, or why there was nothing to read."""


def refresh(question: Question, ask: AsksDns, store: KeepsOrigins) -> Outcome:
    """One look at the record, and the store made to agree with it. Raises what the store raises."""
    try:
        texts = ask(question)
    except NoAnswer as error:
        return Outcome("kept", 0, (str(error),))
    found, refusals = txt_origin.usable(question.name, texts, question.allow, question.keys)
    refused = tuple(refusals)
    if not found:
        return Outcome("kept", 0, refused or ("the record names no origin",))
    value = written(found)
    if len(value.encode()) > MAX_VALUE_BYTES:
        too_long = f"{len(found)} origins need {len(value)} bytes: the store takes {MAX_VALUE_BYTES}"
        return Outcome("kept", len(found), (*refused, too_long))
    if store.read() == value:
        return Outcome("same", len(found), refused)
    store.write(value)
    return Outcome("changed", len(found), refused)


def written(origins: Sequence[Origin]) -> str:
    """The value: JSON that stacks/origin_function.js reads; the same origins in another order are the same value."""
    listed = [{"host": each.host, "path": each.path, "weight": each.weight} for each in sorted(origins)]
    return json.dumps(listed, separators=(",", ":"))

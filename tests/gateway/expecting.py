"""What a client of a store that may fail may expect of its keys: a model that knows what it does not know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

type Value = bytes | None
"""An object's bytes; None: there is none."""


class Wrong(AssertionError):
    """The store answered what cannot be."""


@dataclass
class Expected:
    """The values that a key may have, by what was answered: one that is certain, and those of writes that were not
    answered, which may have been done, or be done still."""

    possible: set[Value] = field(default_factory=lambda: {None})

    @property
    def certain(self) -> bool:
        return len(self.possible) == 1

    def answered(self, value: Value) -> None:
        """A write was acknowledged."""
        self.possible = {value}

    def unanswered(self, *values: Value) -> None:
        """A write may have been done."""
        self.possible.update(values)

    def read(self, value: Value) -> None:
        """A read was answered. Raises Wrong for what nobody wrote, or what was written over."""
        if value not in self.possible:
            raise Wrong(f"read {shown(value)}, and it can only be {' or '.join(map(shown, self.possible))}")


def shown(value: Value) -> str:
    """For a person."""
    return "nothing" if value is None else f"{value[:24]!r} ({len(value)} bytes)"


def check_listing(expected: Mapping[str, Expected], listed: Mapping[str, int]) -> None:
    """Raises Wrong unless the listing, sizes by key, can be one of these keys."""
    for key, state in expected.items():
        sizes = {None if value is None else len(value) for value in state.possible}
        if listed.get(key) not in sizes:
            raise Wrong(f"{key} is listed with {listed.get(key)}, and it can only be {sizes}")
    if strange := listed.keys() - expected.keys():
        raise Wrong(f"{sorted(strange)[:3]} are listed, which nobody wrote")


def named(values: Iterable[Value]) -> list[str]:
    """Each for a person."""
    return [shown(value) for value in values]

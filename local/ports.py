"""Where each server listens: eight ports in a row, or free ones."""

from dataclasses import dataclass
from typing import Self

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 3000
LAST_BASE = 65_535 - 7


@dataclass(frozen=True, slots=True)
class Ports:
    """A port for each server; 0 takes a free one."""

    api: int = 0
    places: tuple[int, int] = (0, 0)
    mrap: int = 0
    controls: int = 0
    aws: int = 0
    edge: int = 0
    dns: int = 0

    @classmethod
    def from_base(cls, base: int) -> Self:
        """The eight ports from `base` upwards."""
        return cls(base, (base + 1, base + 2), base + 3, base + 4, base + 5, base + 6, base + 7)

"""Where each server listens: twelve ports in a row, or free ones."""

from dataclasses import dataclass
from typing import Self

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 3000
DEFAULT_GATEWAY_PORT = 3100  # of one in a process of its own
LAST_BASE = 65_535 - 11


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
    gateway: int = 0
    providers: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def from_base(cls, base: int) -> Self:
        """The twelve ports from `base` upwards."""
        return cls(
            api=base,
            places=(base + 1, base + 2),
            mrap=base + 3,
            controls=base + 4,
            aws=base + 5,
            edge=base + 6,
            dns=base + 7,
            gateway=base + 8,
            providers=(base + 9, base + 10, base + 11),
        )

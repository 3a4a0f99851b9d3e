"""Nearside's library: one URL per S3 object, served from the nearest place that really has it.

Nothing is imported before it is asked for: a Lambda that signs pays for what it uses and no more.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearside.client import Presigner as Presigner

__all__ = ["Presigner"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Presigner":
        from nearside.client import Presigner

        return Presigner
    raise AttributeError(f"module 'nearside' has no attribute {name!r}")

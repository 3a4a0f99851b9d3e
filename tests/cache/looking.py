"""What tests look at: the folder of a cache, as it lies on the disk."""

import hashlib
from pathlib import Path

from nearside.caching.asking import Patience

HASTY = Patience(pause=lambda seconds: None)
"""Asks again as often as ever, and does not wait in between."""


def root_of(folder: Path) -> Path:
    """What is the cache's own in the folder that a manager was given."""
    return folder / "nearside-1"


def data_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every object's data under a cache's folder, by path."""
    objects = root_of(folder) / "objects"
    files = [each for each in objects.rglob("*") if each.is_file() and each.name not in ("entry.json", "lock")]
    return {str(each.relative_to(objects)): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def state_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Inode, size and SHA-256 of every file under objects/: whoever writes anything there changes it."""
    objects = root_of(folder) / "objects"
    return {
        str(each.relative_to(objects)): (
            each.stat().st_ino,
            each.stat().st_size,
            hashlib.sha256(each.read_bytes()).hexdigest(),
        )
        for each in objects.rglob("*")
        if each.is_file()
    }


def unfinished(folder: Path) -> list[str]:
    """The unfinished downloads under a cache's folder."""
    return [str(each.relative_to(folder)) for each in folder.rglob("*.part")]


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()

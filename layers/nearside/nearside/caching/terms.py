"""On what terms an object is asked for, with what means it is got, and what is given for it."""

import time
from collections.abc import Callable

import msgspec

from nearside.caching.asking import Patience
from nearside.caching.evicting import Usage
from nearside.caching.fetching import Transfer
from nearside.caching.pins import Pins
from nearside.caching.store import Found, Store
from nearside.uri import Remote


class Terms(msgspec.Struct, frozen=True):
    """On what terms an entry may be used: without a request while it was validated at most `max_age` seconds ago (None:
    never), or `offline`; in spite of sources that cannot be reached, always or for so many seconds after its last
    validation, by `stale_if_error`. With `force` it is downloaded again. Objects over `max_bytes` are refused."""

    max_age: float | None = None
    offline: bool = False
    stale_if_error: bool | float = False
    force: bool = False
    max_bytes: int | None = None
    progress: Callable[[int], None] | None = None


class Got(msgspec.Struct, frozen=True):
    """What was found, whether this call downloaded it, whether it was served though its sources could not be reached,
    what ends its use, and what says beside that nobody keeps its path: no grace is needed then."""

    found: Found
    release: Callable[[], None]
    finish: Callable[[], None]
    downloaded: bool = False
    stale: bool = False


class Means(msgspec.Struct, frozen=True):
    """Where objects are kept and how they are downloaded. With `verify` the SHA-256 is computed at every hit; another's
    download of the same object is waited for, for `lock_seconds` at most (None: as long as it takes)."""

    store: Store
    usage: Usage
    transfer: Transfer
    pins: Pins | None = None
    verify: bool = False
    lock_seconds: float | None = None
    clock: Callable[[], float] = time.time
    patience: Patience = Patience()


class Target(msgspec.Struct, frozen=True):
    """What is asked for: `uri` is how it may be kept and said, a web address without its password and signature."""

    remote: Remote
    uri: str
    identity: tuple[str, ...]

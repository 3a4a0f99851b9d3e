"""Files and folders on the disk, looked at with distrust: nothing planted is followed, nothing damaged is taken."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from nearside.caching.entries import Entry
from nearside.caching.errors import CacheFull

# Neither through a planted symlink, nor waiting at a planted pipe.
SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_MAX_ENTRY_BYTES = 1024**2
_decoder = msgspec.json.Decoder(Entry)
_FOLLOWS = os.utime not in os.supports_follow_symlinks  # only where it cannot but


def bytes_in(item: os.DirEntry[str]) -> int:
    """The size of a file, or of all in a folder at any depth; no link is followed. What is gone counts nothing."""
    try:
        if not item.is_dir(follow_symlinks=False):
            return item.stat(follow_symlinks=False).st_size
        with os.scandir(item.path) as inside:
            return sum(map(bytes_in, inside))
    except OSError:
        return 0


def is_folder(path: str) -> bool:
    """Whether this is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def is_plain(name: str) -> bool:
    """Whether this is the name of one file or folder, and leads nowhere else."""
    return name not in ("", ".", "..") and not any(bad in name for bad in _BAD)


_BAD = ("/", "\\", "\0", ":") if os.name == "nt" else ("/", "\0")
_proved: dict[str, tuple[int, int, int, str]] = {}
_MAX_PROVED = 10_000


def touch(path: str, at: float) -> None:
    """Sets the time of a file or folder, in seconds of the epoch. Never raises."""
    with contextlib.suppress(OSError, ValueError, OverflowError):
        os.utime(path, (at, at), follow_symlinks=_FOLLOWS)


def entry_at(path: str) -> tuple[Entry, os.stat_result]:
    """What this entry.json says, and its state. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | SAFELY)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_ENTRY_BYTES:
            raise ValueError("no entry")
        return _decoder.decode(os.read(descriptor, _MAX_ENTRY_BYTES)), found
    except RecursionError as error:  # a planted one
        raise ValueError("too deep") from error
    finally:
        os.close(descriptor)


def is_whole(path: str, entry: Entry) -> bool:
    """Whether the data is what was sealed. Raises OSError."""
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
        return False
    if found.st_mtime_ns == entry.mtime_ns:
        return True
    proof = (found.st_ino, found.st_size, found.st_mtime_ns, entry.sha256)
    if _proved.get(path) == proof:
        return True
    with open(os.open(path, os.O_RDONLY | SAFELY), "rb") as data:  # noqa: PTH123 - opens a descriptor
        if hashlib.file_digest(data, "sha256").hexdigest() != entry.sha256:
            return False
    if len(_proved) >= _MAX_PROVED:
        _proved.clear()
    _proved[path] = proof
    with contextlib.suppress(OSError):  # the next reader need not read it whole; a cache may be read-only
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
    return True


def replace(source: Path, target: str | Path) -> None:
    """Moves a file to its place, over whatever is there. Raises OSError."""
    try:
        source.replace(target)
    except (IsADirectoryError, PermissionError):  # a planted folder; Windows replaces no read-only file
        remove(Path(target))
        source.replace(target)


def place(source: Path, folder: Path, name: str) -> Path:
    """Moves a file into a folder, which is made, and says where it is. Raises OSError."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not is_folder(str(folder)):
            remove(folder)
            folder.mkdir(mode=0o700, exist_ok=True)
    replace(source, folder / name)
    return folder / name


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def no_room(folder: str) -> Iterator[None]:
    """Raises CacheFull where the disk, or our share of it, is full."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM and not isinstance(error, CacheFull):
            raise CacheFull(f"no room on the disk of {folder}: {error.strerror}") from error
        raise


class TemporaryFolder:
    """A new folder, removed when it is closed or forgotten, or this process ends; never by a child forked off it."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
        self.close = weakref.finalize(self, _remove_own, os.getpid(), self.path)


def _remove_own(pid: int, path: Path) -> None:
    if os.getpid() == pid:
        remove(path)


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder, as far as it can be; no link is followed."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path, onexc=_writable)
        else:
            _unlink(path)


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except PermissionError:
        if os.name == "posix":
            raise
        path.chmod(stat.S_IWRITE)  # Windows removes no read-only file
        path.unlink()


def _writable(function: Callable[..., object], path: str, error: BaseException) -> None:
    """What `rmtree` does about what it cannot remove: nothing, and goes on; but see `_unlink`."""
    if os.name != "posix" and isinstance(error, PermissionError):
        with contextlib.suppress(OSError):
            _unlink(Path(path))

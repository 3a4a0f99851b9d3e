"""`nearside cache`: gets objects as local files, shows and clears the cache, and pins objects in a lock file."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit

import msgspec

from nearside.caching.entries import FOLDER
from nearside.caching.errors import BadUri
from nearside.caching.pins import Pin, Pins
from nearside.caching.quantities import bytes_in, moment, seconds_in, shown, told
from nearside.errors import BadRequest, NearsideError
from nearside.uri import S3Object, WebAddress, parse

if TYPE_CHECKING:
    from nearside.caches import CacheManager
    from nearside.caching.options import Asked
    from nearside.caching.resources import LocalizedResource

LOCK_FILE = "s3.lock"


def add_to(commands: Any) -> None:
    """Adds `cache` to the parsers of the command's subcommands."""
    words = "S3 objects as local files: get them, see and clear the cache, pin versions."
    cache = commands.add_parser("cache", help=words, description=words).add_subparsers(required=True, metavar="COMMAND")
    folder, reading = _folder(), _reading()

    def command(name: str, run: Any, words: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = cache.add_parser(name, help=words, description=words, parents=[folder, *more])
        made.set_defaults(run=run)
        return made

    words = "Print the path of each object's local file, which is downloaded if it is not there or not valid."
    made = command("get", _get, words, reading)
    made.add_argument("uri", nargs="+", help="s3://…, https://… or a path")
    words = "show a bar on standard error; default: when that is a terminal"
    made.add_argument("--progress", action=argparse.BooleanOptionalAction, help=words)
    made.add_argument("--force", action="store_true", help="download again what is there")
    made.add_argument("--offline", action="store_true", help="ask nobody: what is in the cache, as it is")
    made.add_argument(
        "--max-age", type=_of_argparse(seconds_in), metavar="AGE", help="not asked again within this time, such as 10m"
    )
    made.add_argument("--stale-if-error", action="store_true", help="what is in the cache when nobody answers")
    made.add_argument("--version-id", default="", metavar="ID", help="this version")
    made.add_argument("-f", "--file", type=Path, metavar="FILE", help="the versions that this lock file pins")
    _add_json(made)

    _add_json(command("ls", _ls, "Print what is in the cache: size, last use, last validation, entity tag and URI."))
    _add_json(command("stats", _stats, "Print how much there is, and how much room."))

    made = command("clear", _clear, "Remove what is in the cache and not in use: all, or only these URIs.")
    made.add_argument("uri", nargs="*")
    made.add_argument(
        "--older-than",
        type=_of_argparse(seconds_in),
        metavar="AGE",
        help="only what was not used for so long: 30d, 12h",
    )

    made = command("evict", _evict, "Remove what was not used for longest, until so much is left.")
    made.add_argument("size", type=_of_argparse(bytes_in), help="in bytes, or such as 500MB, 20GB")

    words = "Pin the versions and the SHA-256 of objects in a lock file, for runs that can be repeated."
    _add_lock(command("lock", _lock, words, reading))
    words = "Check that each pinned object can be had with the pinned SHA-256, or that the cache is undamaged."
    _add_verify(command("verify", _verify, words, reading))


def _add_lock(made: argparse.ArgumentParser) -> None:
    made.add_argument("uri", nargs="*", help="default: all that the file has, as they are now")
    made.add_argument("-f", "--file", type=Path, default=Path(LOCK_FILE), metavar="FILE", help=f"default: {LOCK_FILE}")


def _add_verify(made: argparse.ArgumentParser) -> None:
    which = made.add_mutually_exclusive_group()
    which.add_argument("-f", "--file", type=Path, default=Path(LOCK_FILE), metavar="FILE", help=f"default: {LOCK_FILE}")
    which.add_argument("--cache", action="store_true", help="read all that is in the cache, and ask nobody")


def _folder() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    words = "of the cache; default: NEARSIDE_CACHE_DIR, else the folder that the system has for caches"
    parser.add_argument("--dir", type=Path, metavar="FOLDER", help=words)
    return parser


def _reading() -> argparse.ArgumentParser:
    """The options of commands that read objects."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--endpoint-url", metavar="URL", help="of an S3 that is not AWS's; default: as for the AWS CLI")
    parser.add_argument("--region", help="of the bucket; default: as for the AWS CLI")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--profile", help="the AWS profile to sign with")
    who.add_argument("--anonymous", action="store_true", help="do not sign: for public buckets")
    return parser


def _add_json(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="print JSON, with sizes in bytes and times in epoch seconds")


def _manager(asked: argparse.Namespace, **more: Any) -> "CacheManager":
    from nearside.caches import CacheManager  # 30 ms that the other commands do without

    names = ("endpoint_url", "region", "profile", "anonymous")  # a command that reads nothing has none of them
    given = {name: value for name in names if (value := getattr(asked, name, None))}
    return CacheManager(asked.dir, **given, **more)


def _present(asked: argparse.Namespace) -> "CacheManager":
    """The cache that is in the folder. Raises BadRequest when there is none: a typing error makes no folder."""
    if asked.dir is not None and not (asked.dir.expanduser() / FOLDER).is_dir():
        raise BadRequest(f"there is no cache in {shown(str(asked.dir))}")
    return _manager(asked)


def _get(asked: argparse.Namespace) -> int:
    terms: Asked = {"force": asked.force, "offline": asked.offline, "stale_if_error": asked.stale_if_error}
    terms["version_id"] = asked.version_id
    if asked.max_age is not None:
        terms["max_age"] = asked.max_age
    with _manager(asked, lock_file=asked.file) as manager:
        got = _all(manager, asked.uri, asked.progress, **terms)
    well = [found for uri in asked.uri if not isinstance(found := got[uri], Exception)]
    if asked.json:
        _print_json([_row(each) for each in well])
    else:
        for each in well:
            print(each.path)
    return 0 if len(well) == len(asked.uri) else 1


def _row(each: "LocalizedResource") -> dict[str, Any]:
    names = ("uri", "source", "from_cache", "downloaded", "stale", "size", "sha256", "etag", "version_id")
    return {**{name: getattr(each, name) for name in names}, "path": str(each.path)}


def _all(
    manager: "CacheManager", uris: Sequence[str], progress: bool | None = None, **terms: "Unpack[Asked]"
) -> dict[str, "LocalizedResource | NearsideError"]:
    """What is there for each URI; what failed is also said on standard error."""
    found = manager.get_many(uris, progress=progress, return_exceptions=True, **terms)
    got = dict(zip(uris, found, strict=True))
    for each in got.values():
        if isinstance(each, NearsideError):
            print(f"nearside: {each}", file=sys.stderr)
    return got


def _ls(asked: argparse.Namespace) -> int:
    with _present(asked) as manager:
        found = [(_used_at(each.path), each) for each in manager.entries()]
    found.sort(key=lambda pair: (-pair[0], pair[1].entry.uri))
    if asked.json:
        names = ("uri", "size", "sha256", "etag", "version_id", "fetched_from", "fetched_at")
        _print_json(
            [
                {name: getattr(each.entry, name) for name in names}
                | {"validated_at": each.validated_at, "used_at": used_at, "path": str(each.path)}
                for used_at, each in found
            ]
        )
        return 0
    table = [("SIZE", "USED", "VALIDATED", "ETAG", "URI")] if found else []
    for used_at, each in found:
        times = moment(used_at), moment(each.validated_at)
        table.append((told(each.entry.size), *times, shown(each.entry.etag) or "-", shown(each.entry.uri)))
    widths = [max((len(row[column]) for row in table), default=0) for column in range(4)]
    for size, *middle, uri in table:
        print("  ".join([size.rjust(widths[0]), *map(str.ljust, middle, widths[1:]), uri]))
    return 0


def _used_at(data: Path) -> float:
    """When an entry was last used: its folder's time, two above its data."""
    try:
        return data.parents[1].stat().st_mtime
    except FileNotFoundError:  # evicted meanwhile
        return 0.0


def _stats(asked: argparse.Namespace) -> int:
    with _present(asked) as manager:
        stats = manager.stats()
    if asked.json:
        _print_json(stats)
        return 0
    rows = {
        "folder": stats.root,
        "entries": f"{stats.entries}, {stats.in_use} of them in use",
        "size": told(stats.bytes),
        "unfinished": told(stats.unfinished_bytes),
        "limit": "none" if stats.max_bytes is None else told(stats.max_bytes),
        "free": told(stats.free_bytes),
    }
    for name, value in rows.items():
        print(f"{name:<10}  {value}")
    return 0


def _clear(asked: argparse.Namespace) -> int:
    with _present(asked) as manager:
        wanted = {manager.shown(each) for each in asked.uri}
        for uri in sorted(wanted - {found.entry.uri for found in manager.entries()} if wanted else ()):
            print(f"nearside: {shown(uri)} is not in the cache", file=sys.stderr)
        _print_freed(manager, manager.clear(asked.older_than, uris=wanted or None))
    return 0


def _evict(asked: argparse.Namespace) -> int:
    with _present(asked) as manager:
        _print_freed(manager, manager.evict(asked.size))
    return 0


def _print_freed(manager: "CacheManager", freed: int) -> None:
    left = manager.stats()
    stay = f" ({left.in_use} in use or just handed out)" if left.in_use else ""
    print(f"freed {told(freed)}; {left.entries} {'entry stays' if left.entries == 1 else 'entries stay'}{stay}")


def _lock(asked: argparse.Namespace) -> int:
    pins = Pins.read(asked.file, missing_ok=True)
    if not asked.uri and not pins.pins:
        raise BadRequest(f"no URI given, and {asked.file} has none: nothing to pin")
    with _manager(asked) as manager:
        found = _all(manager, [_to_pin(each, manager) for each in asked.uri] or sorted(pins.pins))
    new = {
        uri: Pin(each.size, each.sha256, each.etag, each.version_id)
        for uri, each in found.items()
        if not isinstance(each, NearsideError)
    }
    if len(new) < len(found):
        raise BadRequest(f"{asked.file} is left as it was: not everything could be read")
    pins.with_(new).write()
    for uri, pin in new.items():
        former = pins.pins.get(uri)
        state = "pinned" if former is None else "same" if former == pin else "changed"
        by = f"version {pin.version_id}" if pin.version_id else f"no version: by SHA-256 {pin.sha256[:12]}…"
        print(f"{state:<7}  {shown(uri)}  {told(pin.size)}, {shown(by)}")
    return 0


def _to_pin(uri: str, manager: "CacheManager") -> str:
    """The URI as a lock file has it. Raises BadUri for what cannot be pinned."""
    remote = parse(uri)
    if not isinstance(remote, S3Object | WebAddress):
        raise BadUri(f"{uri} is a local file: only s3://, http:// and https:// can be pinned")
    if isinstance(remote, S3Object) and (remote.key.endswith("/") or not remote.key):
        raise BadUri(f"{uri} is a prefix: name its objects one by one, each is pinned for itself")
    kept = manager.shown(uri)
    if isinstance(remote, WebAddress):
        given = urlsplit(remote.url)
        if given.password or given.query != urlsplit(kept).query:
            raise BadUri(f"{kept} was given with a password, signature or token, which no lock file keeps: not pinned")
    return kept


def _verify(asked: argparse.Namespace) -> int:
    if asked.cache:
        return _verify_cache(asked)
    uris = sorted(Pins.read(asked.file).pins)
    with _manager(asked, lock_file=asked.file, verify=True) as manager:
        found = _all(manager, uris)
    well = sum(not isinstance(each, NearsideError) for each in found.values())
    print(f"{well} of {len(found)} {'is' if len(found) == 1 else 'are'} what {asked.file} pins")
    return 0 if well == len(found) else 1


def _verify_cache(asked: argparse.Namespace) -> int:
    """Says which data has not its SHA-256 any more, and which folders hold an entry that cannot be read at all."""
    with _present(asked) as manager:
        damaged = manager.verify()
        entries = sum(1 for _ in manager.entries()) + sum(not uri for uri, _ in damaged)
    for uri, path in damaged:
        print(f"damaged  {shown(uri) or 'an entry'}  {path}")
    print(f"{entries} {'entry' if entries == 1 else 'entries'} read, {len(damaged)} damaged")
    return 1 if damaged else 0


def _print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def _of_argparse[A](parse: Callable[[str], A]) -> Callable[[str], A]:
    """The type of an option whose errors argparse tells in the words of ours."""

    def parsed(text: str) -> A:
        try:
            return parse(text)
        except BadRequest as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed

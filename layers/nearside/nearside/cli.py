"""The `nearside` command: presign, upload, compare, check, the state of the MRAP, and the cache."""

import argparse
import mimetypes
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from nearside import __version__, cache_commands, key_commands, place_commands, settings, signing
from nearside.adapters import credentials
from nearside.adapters.http import Fetcher
from nearside.check import check, explained
from nearside.client import Presigner
from nearside.errors import BadRequest, NearsideError
from nearside.items import DEFAULT_EXPIRES_SECONDS, MAX_PUT_BYTES
from nearside.mrap import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns 0 when it did what it says, 1 when something was wrong (said on standard error)."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except (NearsideError, OSError) as error:
        print(f"nearside: {error}", file=sys.stderr)
        return 1


def _presign(asked: argparse.Namespace) -> int:
    presigned = _presigner(asked).presign(
        asked.key,
        asked.method,
        expires_in=asked.expires,
        check=not asked.no_check,
        place=asked.place,
        version_id=asked.version_id,
        content_type=asked.content_type,
        cache_control=asked.cache_control,
    )
    if asked.json:
        print(msgspec.json.format(msgspec.json.encode(presigned)).decode())
    else:
        print(presigned.url)
    return 0


def _upload(asked: argparse.Namespace) -> int:
    path = Path(asked.file)
    size = path.stat().st_size
    if size > MAX_PUT_BYTES:
        raise BadRequest(f"{path} has {size} bytes: one PUT takes at most {MAX_PUT_BYTES} (5 GiB)")
    key = asked.key or path.name
    content_type = asked.content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    presigned = _presigner(asked).presign(
        key,
        "PUT",
        expires_in=asked.expires,
        place=asked.place,
        content_length=size,
        content_type=content_type,
        cache_control=asked.cache_control,
        if_none_match="*" if asked.no_overwrite else None,
    )
    with path.open("rb") as body:
        status, headers, answer = Fetcher()("PUT", presigned.url, presigned.headers, body)
    if status != 200:
        raise BadRequest(explained(status, answer))
    version = f", version {headers['x-amz-version-id']}" if "x-amz-version-id" in headers else ""
    print(f"{key}: {size} bytes as {content_type} by {presigned.route}{version}")
    return 0


def _compare(asked: argparse.Namespace) -> int:
    """The URL that code without Nearside would give beside today's, and what each answers."""
    presigner = _presigner(asked)
    primary = presigner.places[0]
    old = presigner.presign(asked.key, expires_in=asked.expires, place=primary.name, check=False)
    new = presigner.presign(asked.key, expires_in=asked.expires, check=not asked.no_check)
    fetch = Fetcher()
    rows: list[tuple[str, ...]] = [("", "bucket URL", "Nearside's URL")]
    rows.append(("leads to", primary.name, f"{new.route} ({new.reason})"))
    rows.append(("host", *(each.url.split("/")[2] for each in (old, new))))
    rows.append(("algorithm", *(_parameter(each.url, "X-Amz-Algorithm") for each in (old, new))))
    rows.append(("scope", *(_parameter(each.url, "X-Amz-Credential").partition("/")[2] for each in (old, new))))
    rows.append(("regions", primary.region, _parameter(new.url, "X-Amz-Region-Set") or new.route))
    rows.append(("until", *(each.expires_at.isoformat() for each in (old, new))))
    if not asked.no_fetch:
        rows.append(("first byte", *(_first_byte(fetch, each.url) for each in (old, new))))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2]]).rstrip())
    print(f"\n{old.url}\n\n{new.url}")
    return 0


def _first_byte(fetch: Fetcher, url: str) -> str:
    start = time.perf_counter()
    try:
        status, _, body = fetch("GET", url, {"range": "bytes=0-0"})
    except NearsideError as error:
        return str(error)
    passed = f"{(time.perf_counter() - start) * 1000:.0f} ms"
    # 416: the object is empty, so it has no first byte.
    return f"{status} in {passed}" if status in (200, 206, 416) else explained(status, body)


def _parameter(url: str, name: str) -> str:
    return unquote(url.partition(f"{name}=")[2].partition("&")[0])


def _mrap_status(asked: argparse.Namespace) -> int:
    from nearside.adapters.s3control import Mraps

    wanted = _settings(asked)
    name = asked.name or (wanted.mrap.alias if wanted.mrap else "")
    if not name:
        raise BadRequest("no name given, and MRAP_ALIAS is not set")
    found = report(Mraps(_credentials(asked, wanted), wanted.s3control_endpoint), name)
    print(f"{found.name}  {found.alias}  {'READY' if found.ready else 'not ready: ' + found.status}")
    for member in found.members:
        print(f"  {member.region}  {member.bucket}")
    return 0 if found.ready else 1


def _check(asked: argparse.Namespace) -> int:
    well = True
    for step in check(_presigner(asked), Fetcher(), wait_seconds=asked.wait):
        well = well and step.ok
        print(f"{'ok  ' if step.ok else 'FAIL'}  {step.name}: {step.words}", flush=True)
    return 0 if well else 1


def _presigner(asked: argparse.Namespace) -> Presigner:
    wanted = _settings(asked)
    return Presigner.from_settings(wanted, _credentials(asked, wanted))


def _credentials(asked: argparse.Namespace, wanted: settings.Settings) -> credentials.CredentialSource:
    return credentials.chain(profile=asked.profile, region=wanted.region)


def _settings(asked: argparse.Namespace) -> settings.Settings:
    """The environment's settings (the same variables as the functions'), with the options over them."""
    overrides = {"BUCKET": asked.bucket, "BUCKET_REGION": asked.region, "MRAP_ALIAS": asked.mrap_alias}
    if asked.mrap_alias:
        overrides["USE_MRAP"] = "true"
    if asked.replica:
        pairs = [each.partition("=") for each in asked.replica]
        overrides["REPLICAS"] = msgspec.json.encode([{"region": r, "bucket": b} for r, _, b in pairs]).decode()
    return settings.load(overrides={name: value for name, value in overrides.items() if value})


def _common() -> argparse.ArgumentParser:
    """The options that every command has."""
    common = argparse.ArgumentParser(add_help=False)
    places = common.add_argument_group("places (default: the functions' variables BUCKET, REPLICAS, MRAP_ALIAS…)")
    places.add_argument("--bucket", help="the primary bucket")
    places.add_argument("--region", help="its region")
    places.add_argument("--replica", action="append", metavar="REGION=BUCKET", help="another region's; repeatable")
    places.add_argument("--mrap-alias", help="such as mfzwi23gnjvgw.mrap; without one URLs lead to the primary")
    places.add_argument("--profile", help="the AWS profile to sign with")
    return common


def _expiring() -> argparse.ArgumentParser:
    expiring = argparse.ArgumentParser(add_help=False)
    words = f"1 to {signing.MAX_EXPIRES_SECONDS} (7 days); default {DEFAULT_EXPIRES_SECONDS}"
    expiring.add_argument("--expires", type=int, default=DEFAULT_EXPIRES_SECONDS, metavar="SECONDS", help=words)
    return expiring


def _parser() -> argparse.ArgumentParser:
    common, expiring = _common(), _expiring()
    parser = argparse.ArgumentParser(prog="nearside", description="One URL per S3 object, from the nearest place.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, words: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words, parents=[common, *more])
        made.set_defaults(run=run)
        return made

    made = command("presign", _presign, "Print a URL for a key.", expiring)
    made.add_argument("key")
    made.add_argument("--method", choices=("GET", "HEAD", "PUT", "DELETE"), default="GET")
    made.add_argument("--place", help="pin the URL to this place")
    made.add_argument("--version-id")
    made.add_argument("--content-type", help="of a PUT; must be sent with it")
    made.add_argument("--cache-control", help="of a PUT; must be sent with it")
    made.add_argument("--no-check", action="store_true", help="do not ask the places whether they have it")
    made.add_argument("--json", action="store_true", help="print headers, expiry, route and reason too")

    made = command("upload", _upload, "Upload a file by a presigned PUT.", expiring)
    made.add_argument("file")
    made.add_argument("key", nargs="?", help="default: the file's name")
    made.add_argument("--place", help="upload to this place, not to the nearest")
    made.add_argument("--content-type", help="default: guessed from the file's name")
    made.add_argument("--cache-control")
    made.add_argument("--no-overwrite", action="store_true", help="fail when the key exists")

    made = command("compare", _compare, "Show the old bucket URL beside Nearside's, and what each answers.", expiring)
    made.add_argument("key")
    made.add_argument("--no-check", action="store_true", help="do not ask the places whether they have it")
    made.add_argument("--no-fetch", action="store_true", help="do not request the URLs")

    made = command("check", _check, "Upload, wait for replication, download through the MRAP, compare, clean up.")
    made.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="for replication; default 60")

    mrap = commands.add_parser("mrap", help="The Multi-Region Access Point.").add_subparsers(required=True)
    status = mrap.add_parser("status", parents=[common], help="READY or not, alias, regions.")
    status.add_argument("name", nargs="?", help="its name, alias or ARN; default: MRAP_ALIAS")
    status.set_defaults(run=_mrap_status)
    key_commands.add_to(commands)
    place_commands.add_to(commands)
    cache_commands.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

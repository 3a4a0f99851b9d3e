"""The page's files, those of web/ and its config.json: what of them differs in the stack's bucket, and putting it in.

There is no file of state: an object's ETag is its MD5, and the object `release` is a hash of the files with which
CloudFront was told last to look again. After a kill before that it is another one, and CloudFront is told then.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deploy import DeployFailed
from deploy.parameters import Later, Outputs, api_address, page_stack
from deploy.settings import Settings

FOLDER, RELEASE = "app/", "release"
# As the local world's (local/explorer_page.py), but for types that only editors read.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_TOLD = 5


class Keeps(Protocol):
    """Who has the page's bucket and its distribution."""

    def page_files(self, bucket: str, region: str) -> Mapping[str, str]: ...
    def put_page_file(self, bucket: str, region: str, key: str, body: bytes, content_type: str) -> None: ...
    def delete_page_files(self, bucket: str, region: str, keys: Sequence[str]) -> None: ...
    def look_again(self, distribution: str, path: str) -> None: ...


@dataclass(frozen=True)
class Differs:
    """What of the bucket is not as it should be. Nothing of it may be so, and CloudFront not know what is there."""

    files: tuple[str, ...]
    gone: tuple[str, ...]
    untold: bool

    def __bool__(self) -> bool:
        return bool(self.files or self.gone or self.untold)

    @property
    def words(self) -> str:
        """For people."""
        told = [
            f"{len(each)} {word}: {_listed(each)}"
            for each, word in ((self.files, "to put"), (self.gone, "to take away"))
            if each
        ]
        return "; ".join(told or ["CloudFront is told to look again"])


def read(root: Path) -> dict[str, bytes]:
    """The files of web/ in the checkout."""
    web = root / "web"
    paths = sorted(each for each in web.rglob("*") if each.suffix in TYPES and each.is_file())
    return {path.relative_to(web).as_posix(): path.read_bytes() for path in paths}


def config(settings: Settings, api: str) -> dict[str, Any]:
    """What config.json says (docs/page.md)."""
    page = settings.page
    auth = {"mode": "jwt", "issuer": settings.api.issuer, "client_id": page.client_id, "scope": page.scope}
    return {"name": page.title, "api": api, "auth": {**auth, "token": page.token}, "world": None}


@dataclass(frozen=True)
class PageFiles:
    """The files of one checkout, for what one deployment's settings and stacks are."""

    settings: Settings
    keeps: Keeps
    files: Mapping[str, bytes]

    def planned(self, outputs: Outputs) -> str:
        """One line of a plan."""
        if not self._place(outputs) or isinstance(api_address(self.settings, outputs), Later):
            return f"create   the page's files: {len(self.files) + 1}"
        differs = self._differs(outputs)
        return f"update   the page's files: {differs.words}" if differs else "nothing  the page's files"

    def put(self, outputs: Outputs, say: Callable[[str], None]) -> None:
        """What differs is put there and taken away, and CloudFront told; what is as it should be is left alone."""
        place = self._place(outputs)
        if not place:
            raise DeployFailed("page files: its stack puts out no bucket")
        differs = self._differs(outputs)
        if not differs:
            say("page files: nothing to do")
            return
        say(f"page files: {differs.words}")
        wanted = self._wanted(outputs)
        # Last what leads to all others.
        for name in sorted(differs.files, key=lambda one: (one.endswith(("index.html", "config.json")), one)):
            self.keeps.put_page_file(*place, name, wanted[name], TYPES[Path(name).suffix])
        if differs.gone:
            self.keeps.delete_page_files(*place, differs.gone)
        self.keeps.look_again(outputs[page_stack(self.settings)]["PageDistribution"], f"/{FOLDER}*")
        self.keeps.put_page_file(*place, RELEASE, _release(wanted), "text/plain")
        say("page files: done")

    def _place(self, outputs: Outputs) -> tuple[str, str] | None:
        stack = page_stack(self.settings)
        bucket = outputs.get(stack, {}).get("PageBucket", "")
        return (bucket, stack[1]) if bucket else None

    def _wanted(self, outputs: Outputs) -> dict[str, bytes]:
        said = config(self.settings, str(api_address(self.settings, outputs)))
        files = {**self.files, "config.json": json.dumps(said, indent=2).encode() + b"\n"}
        return {FOLDER + name: body for name, body in files.items()}

    def _differs(self, outputs: Outputs) -> Differs:
        place = self._place(outputs)
        there = dict(self.keeps.page_files(*place)) if place else {}
        wanted = self._wanted(outputs)
        told = there.pop(RELEASE, "")
        return Differs(
            files=tuple(name for name, body in wanted.items() if there.get(name) != _md5(body)),
            gone=tuple(sorted(there.keys() - wanted.keys())),
            untold=told != _md5(_release(wanted)),
        )


def empty(keeps: Keeps, bucket: str, region: str) -> int:
    """Takes everything out of the page's bucket, which holds nothing but copies; how many files that were."""
    keys = sorted(keeps.page_files(bucket, region))
    if keys:
        keeps.delete_page_files(bucket, region, keys)
    return len(keys)


def _release(wanted: Mapping[str, bytes]) -> bytes:
    digest = hashlib.sha256()
    for name, body in sorted(wanted.items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest().encode()


def _md5(body: bytes) -> str:
    """What S3 calls an ETag."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(each.removeprefix(FOLDER) for each in names[:_TOLD])
    return shown if len(names) <= _TOLD else f"{shown} …"

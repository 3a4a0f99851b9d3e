"""An AWS on a free port of this machine: the rehearsal's CloudFormation, and moto's server for everything else.

Whoever uses it takes its address as a proxy for HTTP too: S3 Control puts the account before the host's name, and
nothing may leave the machine.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moto.core.parse import QueryParser
from moto.core.serialize import QuerySerializer
from moto.core.utils import get_service_model
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from local.rehearsal_cloudformation import CloudFormation
from local.rehearsal_parameters import Invalid

_ERROR = "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"


class Gone(Exception):
    """Whoever asked is not there any more: nothing is done, nothing is answered."""


@dataclass
class Emulator:
    """`before` is asked with every request to CloudFormation, before it is done; it may raise Gone."""

    cloudformation: CloudFormation = field(default_factory=CloudFormation)
    before: Callable[[str, Mapping[str, Any], str], None] = lambda action, asked, region: None
    url: str = ""

    def environment(self) -> dict[str, str]:
        """For processes that are to take this for AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "HTTP_PROXY": self.url,
            "http_proxy": self.url,
            "HTTPS_PROXY": self.url,
            "https_proxy": self.url,
            "NO_PROXY": "",
            "no_proxy": "",
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """As WSGI wants it."""
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
        if scope[3:4] != ["cloudformation"]:
            answered: Iterable[bytes] = self._others(environ, start)
            return answered
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        try:
            status, text = self._answered(dict(parse_qsl(body, keep_blank_values=True)), scope[2])
        except Gone:
            status, text = "503 Service Unavailable", ""  # nobody reads it
        start(status, [("Content-Type", "text/xml")])
        return [text.encode()]

    def __post_init__(self) -> None:
        self._others = DomainDispatcherApplication(create_backend_app)

    def _answered(self, values: Mapping[str, str], region: str) -> tuple[str, str]:
        action = values["Action"]
        model = get_service_model("cloudformation").operation_model(action)
        asked = QueryParser(model).parse({"values": values})  # type: ignore[typeddict-item]  # it reads no more
        self.before(action, asked, region)
        try:
            found = self.cloudformation.answer(action, asked, region)
        except Invalid as refused:
            return "400 Bad Request", _ERROR.format("ValidationError", escape(str(refused)))
        except Exception as error:  # noqa: BLE001 - whoever asked is told, and does not wait for ever
            return "500 Internal Server Error", _ERROR.format("InternalFailure", escape(repr(error)))
        return "200 OK", str(QuerySerializer(model).serialize(found)["body"])


class _Quiet(WSGIRequestHandler):
    """Without a line for each request."""

    def log(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def emulator() -> Iterator[Emulator]:
    """A fresh one: whatever moto held in this process before is gone."""
    moto_api_backend.reset()
    found = Emulator()
    server = make_server("127.0.0.1", 0, found, threaded=True, request_handler=_Quiet)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

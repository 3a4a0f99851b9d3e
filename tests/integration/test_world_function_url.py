"""A Function URL: what the function is given, Lambda's limits, CORS, and what is answered when it fails."""

import base64
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from local.function_url import MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, FunctionUrl
from local.functions import FunctionFailed
from local.server import Server
from local.template import read_template
from tests.integration.http_client import Answer, send

TEMPLATE = """
Resources:
  EchoFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: echo/
      Handler: handler.handler
      Timeout: 1
      FunctionUrlConfig:
        AuthType: NONE
        Cors:
          AllowOrigins: ['https://page.example']
          AllowMethods: [GET, PUT]
          AllowHeaders: ['*']
          ExposeHeaders: [ETag]
          MaxAge: 60
  PlainFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: echo/
      Handler: handler.handler
"""

HANDLER = """
import json, os, time
MOST = os.environ.get("GATEWAY_MAX_BODY_BYTES", "")
def handler(event, context):
    path = event["rawPath"]
    if path == "/explode":
        raise RuntimeError("secret words")
    if path == "/sleep":
        time.sleep(5)
    if path == "/most":
        return {"statusCode": 200, "body": MOST}
    if path.startswith("/size/"):
        return {"statusCode": 200, "body": "x" * int(path.rpartition("/")[2])}
    if path == "/length":
        return {"statusCode": 200, "headers": {"content-length": "12345", "etag": "e"}, "body": ""}
    if path == "/binary":
        return {"statusCode": 206, "headers": {"content-type": "a/b"}, "body": event["body"], "isBase64Encoded": True}
    if path == "/counts":
        return {"statusCode": 200, "body": str(len(event["body"]))}
    headers = {"content-type": "application/json", "access-control-allow-origin": "nobody"}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(event)}
"""


class Asked:
    """A served function of the test's own."""

    def __init__(self, app: FunctionUrl, url: str) -> None:
        self.app = app
        self.url = url

    def __call__(
        self, method: str = "GET", target: str = "/", body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        return send(method, self.url + target, body, headers)

    def event(self, target: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        return self(method, target, body, headers).json


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "handler.py").write_text(HANDLER)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return tmp_path / "template.yaml"


@pytest.fixture
def ask(template: Path) -> Iterator[Asked]:
    function = read_template(template, {}, "eu-west-2").functions["EchoFunction"]
    app = FunctionUrl(function, {"GATEWAY_MAX_BODY_BYTES": "4500000"})
    with closing(Server("url", app, "127.0.0.1", 0)) as server:
        yield Asked(app, server.url)


def test_the_template_says_which_function_has_a_url(template: Path) -> None:
    functions = read_template(template, {}, "eu-west-2").functions
    assert functions["PlainFunction"].url is None
    url = functions["EchoFunction"].url
    assert url is not None
    assert url.auth == "NONE"
    assert url.cors is not None
    assert url.cors.origins == ("https://page.example",)


@pytest.mark.parametrize(
    "path", ["/", "/b/a%20b", "/b/a+b%2Fc", "/b//a", "//a", "/b/../a", "/b/%C3%A9%c3", "/b/a%", "/a;b='(c)'"]
)
def test_the_path_is_as_it_was_sent(ask: Asked, path: str) -> None:
    event = ask.event(path + "?x=%2F&y=a+b&x=2&flag")
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == path
    assert event["rawQueryString"] == "x=%2F&y=a+b&x=2&flag"
    assert event["queryStringParameters"] == {"x": "/,2", "y": "a b", "flag": ""}
    assert "pathParameters" not in event


def test_the_rest_of_the_event(ask: Asked) -> None:
    headers = {"Host": "demo.s3.localhost:3008", "X-Amz-Meta-A": "B", "Cookie": "a=1; b=2", "User-Agent": "me"}
    event = ask.event("/key", "DELETE", headers=headers)
    assert event["version"] == "2.0"
    assert event["routeKey"] == "$default"
    assert event["headers"]["host"] == event["requestContext"]["domainName"] == "demo.s3.localhost:3008"
    assert event["headers"]["x-amz-meta-a"] == "B"
    assert event["cookies"] == ["a=1", "b=2"]
    context = event["requestContext"]
    assert (context["accountId"], context["stage"]) == ("anonymous", "$default")
    assert context["http"]["method"] == "DELETE"
    assert context["http"]["sourceIp"] == "127.0.0.1"
    assert context["http"]["userAgent"] == "me"
    assert event["isBase64Encoded"] is False
    assert "body" not in event


def test_bodies(ask: Asked) -> None:
    event = ask.event("/", "PUT", b"\x00\xff", {"Content-Type": "application/octet-stream"})
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\x00\xff", True)
    event = ask.event("/", "POST", b"<a>\xc3\xa9</a>", {"Content-Type": "application/xml"})
    assert (event["body"], event["isBase64Encoded"]) == ("<a>é</a>", False)
    event = ask.event("/", "PUT", b"\xff", {"Content-Type": "text/plain"})
    assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)
    answer = ask("PUT", "/binary", b"\x00\xff")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (206, b"\x00\xff", "a/b")


def test_a_head_tells_the_length_that_the_function_says(ask: Asked) -> None:
    answer = ask("HEAD", "/length")
    assert (answer.headers["content-length"], answer.headers["etag"], answer.body) == ("12345", "e", b"")


def test_a_request_over_lambdas_limit_is_refused(ask: Asked) -> None:
    fits = MAX_REQUEST_BYTES * 3 // 4 - 3000  # base64, and the rest of the event
    assert ask("PUT", "/counts", bytes(fits)).status == 200
    answer = ask("PUT", "/counts", bytes(fits + 3000))
    assert answer.status == 413
    assert answer.headers["x-amzn-errortype"] == "RequestTooLargeException"
    assert "6291456 bytes" in answer.json["Message"]


def test_an_answer_over_lambdas_limit_fails(ask: Asked) -> None:
    around = len(json.dumps({"statusCode": 200, "body": ""}))
    assert len(ask("GET", f"/size/{MAX_ANSWER_BYTES - around}").body) == MAX_ANSWER_BYTES - around
    answer = ask("GET", f"/size/{MAX_ANSWER_BYTES - around + 1}")
    assert (answer.status, answer.json) == (502, {"Message": "Internal Server Error"})


def test_without_limits(ask: Asked) -> None:
    assert ask("GET", "/most").body == b"4500000"
    ask.app.limit(on=False)
    assert int(ask("GET", "/most").body) == 2**30
    body = bytes(32 * 1024 * 1024)
    assert ask("PUT", "/binary", body).body == body
    assert len(ask("GET", "/size/20000000").body) == 20_000_000
    ask.app.limit(on=True)
    assert ask("GET", "/most").body == b"4500000"
    assert ask("PUT", "/counts", body).status == 413


def test_other_variables_keep_the_limits_as_they_are(ask: Asked) -> None:
    ask.app.limit(on=False)
    ask.app.load({"GATEWAY_MAX_BODY_BYTES": "7"})
    assert int(ask("GET", "/most").body) == 2**30
    ask.app.limit(on=True)
    assert ask("GET", "/most").body == b"7"


@pytest.mark.parametrize("path", ["/explode", "/sleep"])
def test_a_function_that_fails_is_a_502_that_tells_nothing(ask: Asked, path: str) -> None:
    answer = ask("GET", path)
    assert answer.status == 502
    assert b"secret" not in answer.body


def test_many_at_once(ask: Asked) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: ask.event(f"/{number}")["rawPath"], range(64)))
    assert answers == [f"/{number}" for number in range(64)]


def test_cors(ask: Asked) -> None:
    origin = {"Origin": "https://page.example"}
    preflight = ask("OPTIONS", "/explode", headers={**origin, "Access-Control-Request-Method": "PUT"})
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-methods"] == "GET,PUT"
    assert preflight.headers["access-control-max-age"] == "60"
    answer = ask("GET", "/", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://page.example"  # not what the function says
    assert answer.headers["access-control-expose-headers"] == "ETag"


def test_a_body_is_waited_for_when_the_client_expects_a_word_first(ask: Asked) -> None:
    host, port = ask.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"PUT /counts HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"abc")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_half_a_request_is_not_carried_out(template: Path, framing: str) -> None:
    asked = []

    class Listening(FunctionUrl):
        def _serve(self, request: Any) -> Any:
            asked.append(request)
            return super()._serve(request)

    function = read_template(template, {}, "eu-west-2").functions["EchoFunction"]
    with (
        closing(Server("url", Listening(function, {}), "127.0.0.1", 0)) as server,
        socket.create_connection((server.host, server.port), timeout=10) as connection,
    ):
        connection.sendall(f"PUT / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n5\r\nhel".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
    assert asked == []


def test_a_function_that_cannot_be_imported(template: Path) -> None:
    (template.parent / "echo" / "handler.py").write_text("import nothing_there")
    function = read_template(template, {}, "eu-west-2").functions["EchoFunction"]
    with pytest.raises(FunctionFailed, match="nothing_there"):
        FunctionUrl(function, {})

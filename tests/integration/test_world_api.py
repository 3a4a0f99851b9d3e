"""The API emulator: what it reads from a template, which route it chooses, the events it makes, its limits and CORS."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from local.api import HttpApi
from local.functions import FunctionFailed
from local.intrinsics import TemplateError, load_yaml
from local.locations import locate
from local.server import Server
from local.template import Template, read_template
from local.world import World
from tests.integration.http_client import Answer, get, send

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

TEMPLATE = """
    Transform: AWS::Serverless-2016-10-31
    Parameters:
      Greeting: {Type: String, Default: hello}
      Origins: {Type: CommaDelimitedList, Default: 'https://a.example, https://b.example'}
      Mode: {Type: String, Default: quiet}
    Conditions:
      IsLoud: !Equals [!Ref Mode, loud]
      IsQuiet: !Not [!Condition IsLoud]
    Mappings:
      Sizes: {quiet: {volume: '1'}, loud: {volume: '11'}}
    Globals:
      Function:
        Timeout: 1
        Environment:
          Variables:
            GREETING: !Ref Greeting
            REGION: !Ref AWS::Region
            NOTE: global
    Resources:
      Api:
        Type: AWS::ApiGatewayV2::Api
        Properties:
          CorsConfiguration:
            AllowOrigins: !Ref Origins
            AllowMethods: [GET, POST]
            AllowHeaders: [content-type]
            ExposeHeaders: [x-echo]
            MaxAge: 60
      EchoFunction:
        Type: AWS::Serverless::Function
        Properties:
          CodeUri: echo/
          Handler: handler.handler
          Policies: [!Unknown thing]
          Environment:
            Variables:
              NOTE: !If [IsLoud, LOUD, !Join ['-', [own, !Sub '${Greeting}/${AWS::Region}/${!literal}']]]
              ROLE: !GetAtt SomeRole.Arn
              VOLUME: !FindInMap [Sizes, !Ref Mode, volume]
              SECOND: !Select [1, !Split [',', 'a,b']]
              NONE: !If [IsLoud, x, !Ref AWS::NoValue]
      EchoIntegration:
        Type: AWS::ApiGatewayV2::Integration
        Properties: {IntegrationUri: !GetAtt EchoFunction.Arn}
"""

ROUTES = (
    "GET /things/{id}/parts",
    "GET /",
    "GET /things/{id}",
    "GET /things/new",
    "ANY /things/{rest+}",
    "POST /echo",
    "GET /files/{path+}",
)
ROUTE = """
      Route{number}:
        Type: AWS::ApiGatewayV2::Route
        {condition}
        Properties: {{RouteKey: '{key}', Target: !Sub 'integrations/${{EchoIntegration}}'}}
"""

HANDLER = """
    import os
    import time

    import sibling

    GREETING = os.environ["GREETING"]
    NAMES = ("GREETING", "REGION", "NOTE", "ROLE", "VOLUME", "SECOND", "NONE")
    SETTINGS = {name: os.environ.get(name) for name in NAMES}


    def handler(event, context):
        match (event.get("queryStringParameters") or {}).get("do"):
            case "raise":
                raise ValueError("broken")
            case "sleep":
                time.sleep(2)
            case "big":
                return {"statusCode": 200, "body": "x" * 6_300_000}
            case "plain":
                return {"any": "thing"}
            case "wrong":
                return {"statusCode": 200, "body": {"no": "string"}}
            case "settings":
                return SETTINGS
            case "binary":
                return {
                    "statusCode": 201,
                    "body": "iVBORw==",
                    "isBase64Encoded": True,
                    "headers": {"Content-Type": "image/png"},
                    "cookies": ["a=1"],
                }
            case "context":
                return {
                    "name": context.function_name,
                    "left": context.get_remaining_time_in_millis(),
                    "id": context.aws_request_id,
                    "sibling": sibling.NAME,
                }
        return event
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a small template and one function that answers with its event."""
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "handler.py").write_text(dedent(HANDLER))
    (tmp_path / "echo" / "sibling.py").write_text("NAME = 'sibling of echo'\n")
    routes = [ROUTE.format(number=number, key=key, condition="") for number, key in enumerate(ROUTES)]
    routes.append(ROUTE.format(number="Loud", key="GET /loud", condition="Condition: IsLoud"))
    (tmp_path / "template.yaml").write_text(dedent(TEMPLATE + "".join(routes)))
    return tmp_path / "template.yaml"


type Ask = Callable[..., Answer]


def serving(template: Template) -> Iterator[tuple[Ask, HttpApi]]:
    api = HttpApi(template, {"AWS_REGION": "eu-west-2"}, lambda: locate("eu"))
    server = Server("api", api, "127.0.0.1", 0)

    def ask(target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        return send(
            method, server.url + target, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )

    yield ask, api
    server.close()


@pytest.fixture
def ask(project: Path) -> Iterator[Ask]:
    """Sends a request to the API of the small template."""
    for asking, _ in serving(read_template(project, {}, "eu-west-2")):
        yield asking


def test_the_event_is_payload_format_2(ask: Ask) -> None:
    event = ask("/things/a%20b%2Fc?x=1&x=2&y=%C3%A9+z&empty=", cookie="one=1; two=2", x_Many="a").json
    assert (event["version"], event["routeKey"]) == ("2.0", "ANY /things/{rest+}")
    assert event["rawPath"] == "/things/a b/c"
    assert event["pathParameters"] == {"rest": "a b/c"}
    assert event["rawQueryString"] == "x=1&x=2&y=%C3%A9+z&empty="
    assert event["queryStringParameters"] == {"x": "1,2", "y": "é z", "empty": ""}
    assert event["cookies"] == ["one=1", "two=2"]
    assert event["headers"]["x-many"] == "a"
    assert "cookie" not in event["headers"]
    assert {"host", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"} <= set(
        event["headers"]
    )
    http = event["requestContext"]["http"]
    assert (http["method"], http["path"], http["sourceIp"]) == ("GET", "/things/a b/c", "127.0.0.1")
    assert event["requestContext"]["stage"] == "$default"
    assert event["requestContext"]["timeEpoch"] > 1_700_000_000_000
    assert event["isBase64Encoded"] is False
    assert "body" not in event


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/", "GET /"),
        ("/things/new", "GET /things/new"),
        ("/things/7", "GET /things/{id}"),
        ("/things/7/parts", "GET /things/{id}/parts"),
        ("/things/7/others/x", "ANY /things/{rest+}"),
        ("/files/a//b", "GET /files/{path+}"),
    ],
)
def test_the_most_specific_route_wins(ask: Ask, target: str, route: str) -> None:
    assert ask(target).json["routeKey"] == route


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/none"), ("GET", "/files"), ("GET", "/files/"), ("GET", "/loud"), ("POST", "/")]
)
def test_no_route(ask: Ask, method: str, target: str) -> None:
    answer = ask(target, method)
    assert (answer.status, answer.json) == (404, {"message": "Not Found"})


def test_any_takes_other_methods(ask: Ask) -> None:
    assert ask("/things/7", "DELETE").json["routeKey"] == "ANY /things/{rest+}"


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json", b'{"a":1}', False),
        ("application/vnd.api+json; charset=utf-8", b"{}", False),
        ("text/plain", "é".encode(), False),
        ("text/plain", b"\xff\xfe", True),
        ("application/octet-stream", b"abc", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
    ],
)
def test_bodies_are_text_or_base64_by_type(ask: Ask, content_type: str, body: bytes, encoded: bool) -> None:
    event = ask("/echo", "POST", body, content_type=content_type).json
    assert event["isBase64Encoded"] is encoded
    assert (base64.b64decode(event["body"]) if encoded else event["body"].encode()) == body


def test_answers(ask: Ask) -> None:
    binary = ask("/?do=binary")
    assert (binary.status, binary.body, binary.headers["content-type"]) == (201, b"\x89PNG", "image/png")
    assert binary.headers["set-cookie"] == "a=1"
    plain = ask("/?do=plain")
    assert (plain.status, plain.json, plain.headers["content-type"]) == (200, {"any": "thing"}, "application/json")


@pytest.mark.parametrize("do", ["raise", "big", "wrong", "sleep"])
def test_failures(ask: Ask, do: str) -> None:
    answer = ask(f"/?do={do}")
    assert (answer.status, answer.json) == (500, {"message": "Internal Server Error"})


def test_api_gateways_own_timeout(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.api.INTEGRATION_SECONDS", 0.1)
    answer = ask("/?do=sleep")
    assert (answer.status, answer.json) == (503, {"message": "Service Unavailable"})


def test_requests_that_are_too_large(ask: Ask) -> None:
    headers = {"content_type": "text/plain"}
    for size in (10 * 1024 * 1024 + 1, 7 * 1024 * 1024):  # over API Gateway's limit, and over Lambda's
        answer = ask("/echo", "POST", b"x" * size, **headers)
        assert (answer.status, answer.json) == (413, {"message": "Request Too Long"})
    assert ask("/echo", "POST", b"", x_long="y" * 10_240).status == 431


def test_the_context(ask: Ask) -> None:
    context = ask("/?do=context").json
    assert context["name"] == "EchoFunction"
    assert 0 < context["left"] <= 1000
    assert context["sibling"] == "sibling of echo"
    assert "sibling" not in sys.modules


def test_viewer_headers(ask: Ask) -> None:
    def viewer(**headers: str) -> str:
        return str(ask("/", **headers).json["headers"].get("cloudfront-viewer-country"))

    assert viewer() == "DE"
    assert viewer(X_World_Location="us") == "US"
    assert viewer(X_World_Location="us", CloudFront_Viewer_Country="JP") == "JP"
    assert ask("/", X_World_Location="mars").status == 400
    assert float(ask("/", X_World_Location="eu-west-2").json["headers"]["cloudfront-viewer-latitude"]) == 51.5


def test_cors_as_the_template_says(ask: Ask) -> None:
    origin = {"Origin": "https://b.example"}
    preflight = ask("/anything", "OPTIONS", Access_Control_Request_Method="POST", **origin)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "https://b.example"
    assert preflight.headers["access-control-allow-methods"] == "GET,POST"
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    assert preflight.headers["access-control-max-age"] == "60"
    answer = ask("/none", **origin)
    assert answer.headers["access-control-allow-origin"] == "https://b.example"
    assert answer.headers["access-control-expose-headers"] == "x-echo"
    assert "access-control-allow-origin" not in ask("/", Origin="https://evil.example").headers


def test_the_environment_is_resolved(ask: Ask) -> None:
    assert ask("/?do=settings").json == {
        "GREETING": "hello",
        "REGION": "eu-west-2",
        "NOTE": "own-hello/eu-west-2/${literal}",
        "ROLE": "SomeRole.Arn",
        "VOLUME": "1",
        "SECOND": "b",
        "NONE": None,
    }


def test_parameters_change_it(project: Path) -> None:
    template = read_template(project, {"Mode": "loud", "Greeting": "HI"}, "us-east-2")
    environment = template.functions["EchoFunction"].environment
    assert (environment["NOTE"], environment["VOLUME"], environment["GREETING"]) == ("LOUD", "11", "HI")
    assert "GET /loud" in [route.key for route in template.routes]
    with pytest.raises(TemplateError, match="no such parameter: Mood"):
        read_template(project, {"Mood": "x"}, "us-east-2")


def test_functions_can_be_loaded_anew_with_other_variables(project: Path) -> None:
    for ask, api in serving(read_template(project, {}, "eu-west-2")):
        api.load({"GREETING": "again"})
        assert ask("/?do=settings").json["GREETING"] == "again"


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (("echo/handler.py", "import sibling", "import nonesuch"), FunctionFailed, "EchoFunction .*nonesuch"),
        (("template.yaml", "handler.handler", "absent.handler"), FunctionFailed, "EchoFunction"),
        (("template.yaml", "!Join", "!Cidr"), TemplateError, "Fn::Cidr is not known"),
        (("template.yaml", "'integrations/${EchoIntegration}'", "'integrations/Nowhere'"), TemplateError, "Nowhere"),
        (("template.yaml", "[IsLoud, LOUD", "[IsMissing, LOUD"), TemplateError, "no such condition: IsMissing"),
        (("template.yaml", "Resources:", "Resources: ["), TemplateError, "not YAML"),
    ],
)
def test_what_is_wrong_is_named(project: Path, change: tuple[str, str, str], error: type[Exception], says: str) -> None:
    name, old, new = change
    path = project.parent / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(error, match=says):
        HttpApi(read_template(project, {}, "eu-west-2"), {}, lambda: locate("eu"))


def test_short_tags_are_written_out() -> None:
    assert load_yaml("a: !GetAtt B.C.D") == {"a": {"Fn::GetAtt": ["B", "C.D"]}}
    assert load_yaml("a: !Sub ['${x}', {x: !Ref Y}]") == {"a": {"Fn::Sub": ["${x}", {"x": {"Ref": "Y"}}]}}


# The project's own functions, in the world


def test_the_world_serves_the_projects_api(world: World) -> None:
    assert get(f"{world.api_url}/health").status == 200
    assert "images/" in get(f"{world.api_url}/list-bucket-content").json["content"]


def test_a_presigned_url_of_the_api_is_accepted(world: World) -> None:
    body = json.dumps({"key": "images/sunrise.png"}).encode()
    answer = send("POST", f"{world.api_url}/presign", body, {"Content-Type": "application/json"})
    assert answer.status == 200
    url: str = answer.json["url"]
    assert url.startswith(world.mrap_url)
    assert get(url).body.startswith(b"\x89PNG")
    assert get(url.replace("sunrise", "harbour")).code == (403, "SignatureDoesNotMatch")


def test_the_migration_switch_is_one_reload_away(world: World) -> None:
    def route() -> Any:
        body = json.dumps({"key": "images/sunrise.png"}).encode()
        return send("POST", f"{world.api_url}/presign", body, {"Content-Type": "application/json"}).json["url"]

    world.reload(USE_MRAP="false")
    assert route().startswith(world.place_urls["eu-west-2"])
    world.reload()
    assert route().startswith(world.mrap_url)

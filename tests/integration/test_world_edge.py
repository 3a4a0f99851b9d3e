"""The world's edge against CloudFront's rules: behaviours, cache, what functions may do, who is let in."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

import pytest

from local.distribution import Behaviour, CachePolicy, Distribution, Origin
from local.distribution_template import read_distribution
from local.edge import Edge
from local.edge_cache import error_lifetime_seconds, lifetime_seconds
from local.edge_stack import ENVIRONMENT, TEMPLATE, edge_parameters
from local.edge_triggers import Triggers
from local.intrinsics import TemplateError
from local.server import Request, Response
from local.template import Function
from local.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

EU, US = "nearside-eu-west-2", "nearside-us-east-2"
EU_HOST, US_HOST = f"{EU}.s3.eu-west-2.amazonaws.com", f"{US}.s3.us-east-2.amazonaws.com"
MRAP_HOST = "nearsidelocal.mrap.accesspoint.s3-global.amazonaws.com"
KEY = "/docs/guide.txt"

OAI = Origin("oai", EU_HOST, "s3", "origin-access-identity", custom_headers={"X-Custom": "1"})
OAC = Origin("oac", EU_HOST, "s3", "origin-access-control")
OPEN = Origin("open", EU_HOST, "s3")
CUSTOM = Origin("custom", EU_HOST, "custom")
MRAP = Origin("mrap", MRAP_HOST, "s3", "origin-access-control")

type MakeEdge = Callable[..., Edge]

HEADER = """
    from siblings import MEMORY


    def handler(event, context):
        cf = event["Records"][0]["cf"]
        request, response = cf["request"], cf.get("response")
        MEMORY.append(event)
"""


@pytest.fixture
def make(world: World, tmp_path: Path) -> MakeEdge:
    """Makes an edge with one behaviour and functions whose bodies are given: they have `cf`, `request`, `response`."""

    def edge(origin: Origin = OAI, on_request: str = "", on_response: str = "", **behaviour: Any) -> Edge:
        functions, triggers = {}, {}
        for trigger, body in (("origin-request", on_request), ("origin-response", on_response)):
            if body:
                folder = tmp_path / trigger
                folder.mkdir()
                (folder / "siblings.py").write_text("MEMORY = []\n")
                (folder / "handler.py").write_text(dedent(HEADER) + indent(dedent(body), "    "))
                functions[trigger] = Function(trigger, folder, "handler.handler", {}, 1, 128)
                triggers[trigger] = trigger
        given = {"pattern": "*", "origin": origin, "triggers": triggers, "cache": CachePolicy(0, 60, 60), **behaviour}
        distribution = Distribution((Behaviour(**given),), functions=functions)
        return Edge(distribution, Triggers(distribution, ENVIRONMENT), world.edge.origins, world.location)

    return edge


def ask(edge: Edge, target: str = KEY, method: str = "GET", **headers: str) -> Response:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return edge(Request(method, target, named))


def x_cache(response: Response) -> tuple[int, str]:
    return response.status, response.header("X-Cache").removesuffix(" from cloudfront")


# Behaviours and methods


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("images/*", "/images/a/b.png", True),
        ("images/*", "/images/", True),
        ("images/*", "/images", False),
        ("/images/*.jpg", "/images/a.jpg", True),
        ("images/*", "/Images/a", False),
        ("a?c", "/abc", True),
        ("a[b]", "/a[b]", True),
        ("*", "/anything/at/all", True),
    ],
)
def test_path_patterns(pattern: str, path: str, *, fits: bool) -> None:
    assert Behaviour(pattern, OPEN).fits(path) is fits


def test_methods_that_are_not_allowed(make: MakeEdge) -> None:
    edge = make()
    for method in ("PUT", "DELETE", "POST", "OPTIONS", "PATCH"):
        assert x_cache(ask(edge, method=method)) == (403, "Error")
    assert x_cache(edge(Request("GET", KEY, (), b"body"))) == (403, "Error")
    assert ask(edge, "/" + "x" * 9000).status == 414
    assert ask(edge, X_World_Location="mars").status == 400


def test_a_preflight_goes_to_the_origin(make: MakeEdge) -> None:
    names = ("origin", "access-control-request-method")
    edge = make(methods=("GET", "HEAD", "OPTIONS"), headers=names)
    answer = ask(edge, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET")
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, "*")


# The cache


def test_an_answer_is_kept_by_path_and_not_by_query(make: MakeEdge) -> None:
    edge = make()
    first, again, other = ask(edge), ask(edge, f"{KEY}?v=2"), ask(edge, "/users/alice/profile.json")
    assert [x_cache(each)[1] for each in (first, again, other)] == ["Miss", "Hit", "Miss"]
    assert (again.header("Age"), again.body) == ("0", first.body)
    assert (first.header("Age"), first.header("Via")) == ("", "1.1 d111111abcdef8.cloudfront.net (CloudFront)")


def test_a_query_is_part_of_the_key_when_the_policy_says_so(make: MakeEdge) -> None:
    edge = make(cache=CachePolicy(0, 60, 60, query=True), query=True)
    assert [x_cache(ask(edge, KEY + query))[1] for query in ("?a", "?b", "?a")] == ["Miss", "Miss", "Hit"]


def test_every_location_has_a_cache_of_its_own(make: MakeEdge) -> None:
    edge = make(MRAP)
    regions = [ask(edge, X_World_Location=place).header("X-World-Region") for place in ("eu", "us", "eu", "us")]
    assert regions == ["eu-west-2", "us-east-2", "eu-west-2", "us-east-2"]
    assert x_cache(ask(edge, X_World_Location="us"))[1] == "Hit"


def test_head_is_served_from_a_get_and_not_the_reverse(make: MakeEdge) -> None:
    edge = make()
    head = ask(edge, method="HEAD")
    assert (x_cache(head), head.body) == ((200, "Miss"), b"")
    body = ask(edge)
    assert x_cache(body) == (200, "Miss")
    edge.cache.clear()
    ask(edge)
    again = ask(edge, method="HEAD")
    assert (x_cache(again), again.header("Content-Length")) == ((200, "Hit"), str(len(body.body)))


def test_an_expired_answer_is_asked_about(make: MakeEdge) -> None:
    edge = make(cache=CachePolicy(0, 0, 60), on_request="return request")
    assert x_cache(ask(edge)) == (200, "Miss")
    assert x_cache(ask(edge)) == (200, "RefreshHit")
    edge = make(cache=CachePolicy(0, 0.05, 60))
    ask(edge)
    assert x_cache(ask(edge)) == (200, "Hit")
    time.sleep(0.06)
    assert x_cache(ask(edge)) == (200, "RefreshHit")


@pytest.mark.parametrize(
    ("control", "policy", "seconds"),
    [
        ("", CachePolicy(), 86_400),
        ("", CachePolicy(5, 1), 5),
        ("max-age=20", CachePolicy(), 20),
        ("max-age=20, s-maxage=30", CachePolicy(), 30),
        ("max-age=0", CachePolicy(), 1),
        ("max-age=99999999", CachePolicy(), 31_536_000),
        ("no-store", CachePolicy(), 1),
        ("no-store", CachePolicy(0), None),
        ("private, max-age=9", CachePolicy(0), None),
        ("no-cache", CachePolicy(0), 0),
    ],
)
def test_how_long(control: str, policy: CachePolicy, seconds: float | None) -> None:
    assert lifetime_seconds(Response(200, (("Cache-Control", control),)), policy) == seconds


def test_how_long_errors_are_kept() -> None:
    assert error_lifetime_seconds(Response(404), 10) == 10
    assert error_lifetime_seconds(Response(404, (("Cache-Control", "max-age=30"),)), 10) == 30
    assert error_lifetime_seconds(Response(403), 10) is None
    assert error_lifetime_seconds(Response(403, (("Cache-Control", "max-age=3"),)), 10) == 10
    assert error_lifetime_seconds(Response(416), 10) is None


def test_an_object_says_how_long(make: MakeEdge, eu: "S3Client") -> None:
    eu.put_object(Bucket=EU, Key="edge/never", Body=b"1", CacheControl="no-store")
    edge = make()
    assert [x_cache(ask(edge, "/edge/never"))[1] for _ in range(2)] == ["Miss", "Miss"]


def test_an_expired_answer_outlives_its_origin(make: MakeEdge, world: World) -> None:
    edge = make(cache=CachePolicy(0, 0, 60))
    ask(edge)
    world.fail("eu-west-2", 1.0)
    assert ask(edge).status == 200
    world.switch("eu-west-2", on=False)
    lost = ask(edge, "/users/alice/profile.json")
    assert x_cache(lost) == (502, "Error")
    assert b"connect to the origin" in lost.body


def test_viewers_conditions_and_ranges(make: MakeEdge) -> None:
    edge = make()
    whole = ask(edge)
    assert ask(edge, If_None_Match=whole.header("ETag")).status == 304
    assert ask(edge, If_Modified_Since=whole.header("Last-Modified")).status == 304
    assert ask(edge, If_None_Match='"other"').status == 200
    part = ask(edge, Range="bytes=2-5")
    assert (part.status, part.body, part.header("Content-Range")) == (
        206,
        whole.body[2:6],
        f"bytes 2-5/{len(whole.body)}",
    )
    assert ask(edge, Range="bytes=-3").body == whole.body[-3:]
    assert ask(edge, Range="bytes=7-").body == whole.body[7:]
    assert ask(edge, Range="bytes=99999-").status == 416
    assert ask(edge, Range="bytes=0-1", If_Range='"other"').body == whole.body
    assert ask(edge, Range="lines=1-2").body == whole.body


# Who is let in


@pytest.mark.parametrize(
    ("origin", "status"),
    [(OAI, 200), (OAC, 200), (MRAP, 200), (OPEN, 403), (CUSTOM, 403)],
    ids=lambda value: str(value),
)
def test_who_is_let_in(make: MakeEdge, origin: Origin, status: int) -> None:
    assert ask(make(origin)).status == status


def test_cloudfront_may_read_objects_and_nothing_else(make: MakeEdge) -> None:
    for origin in (OAI, MRAP):
        edge = make(origin, query=True)
        assert [ask(edge, target).status for target in ("/", "/?list-type=2", f"{KEY}?acl", "/missing")] == [403] * 4


def move(host: str, **changes: object) -> str:
    kind = "custom" if changes.pop("custom", False) else "s3"
    return f"""
        request["origin"][{kind!r}].update({{"domainName": {host!r}, **{changes!r}}})
        request["headers"]["host"] = [{{"key": "host", "value": {host!r}}}]
        return request
    """


def test_an_access_identity_follows_to_another_bucket(make: MakeEdge, world: World) -> None:
    edge = make(on_request=move(US_HOST, region="us-east-2"))
    assert ask(edge).status == 200
    world.switch("us-east-2", on=False)
    edge.cache.clear()
    assert x_cache(ask(edge)) == (502, "Error")


def test_an_access_identity_signs_for_the_region_it_is_told(make: MakeEdge) -> None:
    answer = ask(make(on_request=move(US_HOST, region="eu-west-2")))
    assert answer.status == 400
    assert b"AuthorizationHeaderMalformed" in answer.body


def test_access_control_does_not_follow(make: MakeEdge) -> None:
    assert ask(make(OAC, on_request=move(US_HOST))).status == 403


@pytest.mark.parametrize(
    ("host", "status", "says"),
    [
        ("nearside-gone.s3.eu-west-2.amazonaws.com", 404, b"NoSuchBucket"),
        ("nearside-gone.s3.eu-west-1.amazonaws.com", 404, b"NoSuchBucket"),
        (f"{US}.s3.eu-west-2.amazonaws.com", 301, b"PermanentRedirect"),
        (f"{US}.s3.eu-west-1.amazonaws.com", 301, b"PermanentRedirect"),
        (f"{EU}.s3.dualstack.eu-west-2.amazonaws.com", 200, b"Two regions"),
        (f"{EU}.s3.mars-1.amazonaws.com", 502, b"resolve the origin domain name"),
        ("www.example.com", 502, b"resolve the origin domain name"),
    ],
)
def test_where_a_name_leads(make: MakeEdge, host: str, status: int, says: bytes) -> None:
    region = host.split(".")[-3]
    answer = ask(make(on_request=move(host, region=region)))
    assert (answer.status, says in answer.body) == (status, True), answer.body


def test_a_configured_origin_that_does_not_resolve_is_a_502_before_any_function(make: MakeEdge) -> None:
    edge = make(Origin("x", "nowhere.example", "custom"), on_request=move(EU_HOST, custom=True))
    assert x_cache(ask(edge)) == (502, "Error")


SIGN = """
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    ((kind, origin),) = request["origin"].items()
    host = request["headers"]["host"][0]["value"]
    signed = AWSRequest(request["method"], f"https://{host}{origin['path']}{request['uri']}")
    if CF_ID:
        signed.headers["X-Amz-Cf-Id"] = cf["config"]["requestId"]
    signed.headers["host"] = host
    S3SigV4Auth(Credentials("AKIANEARSIDELOCAL000", SECRET), "s3", "eu-west-2").add_auth(signed)
    for name, value in signed.headers.items():
        if name.lower() != "x-amz-cf-id":
            request["headers"][name.lower()] = [{"key": name, "value": value}]
    return request
"""
SECRET = '"local-world-secret-that-opens-nothing-00"'


@pytest.mark.parametrize(
    ("origin", "cf_id", "secret", "status", "says"),
    [
        (OPEN, False, SECRET, 200, b""),
        (CUSTOM, True, SECRET, 200, b""),
        (CUSTOM, False, SECRET, 403, b"not signed"),  # CloudFront adds X-Amz-Cf-Id to requests to custom origins
        (OPEN, False, '"guessed"', 403, b"SignatureDoesNotMatch"),
        (OAI, False, SECRET, 400, b"Only one auth mechanism"),
    ],
)
def test_a_function_signs_itself(
    make: MakeEdge, origin: Origin, secret: str, status: int, says: bytes, *, cf_id: bool
) -> None:
    edge = make(origin, on_request=SIGN.replace("CF_ID", str(cf_id)).replace("SECRET", secret))
    answer = ask(edge, "/docs/Gr%C3%BC%C3%9Fe%20aus%20K%C3%B6ln%20%26%20%E6%9D%B1%E4%BA%AC.txt")
    assert (answer.status, says in answer.body) == (status, True), answer.body


# What functions see and may do

SHOW = """
    import json
    text = json.dumps(event)
    return {"status": "200", "headers": {"cache-control": [{"value": "no-store"}]}, "body": text}
"""


def shown(response: Response) -> Any:
    return json.loads(response.body)["Records"][0]["cf"]


def test_the_event_of_a_request(make: MakeEdge) -> None:
    edge = make(on_request=SHOW, headers=("x-wanted", "cloudfront-viewer-country"), cookies=("a",), methods=("GET",))
    cf = shown(
        ask(
            edge,
            f"{KEY}?q=1",
            X_Wanted="yes",
            X_Unwanted="no",
            Authorization="secret",
            Cookie="a=1; b=2",
            X_World_Location="us",
        )
    )
    assert cf["config"]["eventType"] == "origin-request"
    assert cf["config"]["distributionDomainName"] == "d111111abcdef8.cloudfront.net"
    assert len(cf["config"]["requestId"]) == 56
    request = cf["request"]
    assert (request["uri"], request["querystring"], request["method"]) == (KEY, "", "GET")
    headers = {name: [entry["value"] for entry in entries] for name, entries in request["headers"].items()}
    assert headers == {
        "x-forwarded-for": ["127.0.0.1"],
        "user-agent": ["Amazon CloudFront"],
        "via": ["1.1 d111111abcdef8.cloudfront.net (CloudFront)"],
        "host": [EU_HOST],
        "x-wanted": ["yes"],
        "cookie": ["a=1"],
        "cloudfront-viewer-country": ["US"],
    }
    assert request["origin"] == {
        "s3": {
            "authMethod": "origin-access-identity",
            "customHeaders": {"x-custom": [{"key": "X-Custom", "value": "1"}]},
            "domainName": EU_HOST,
            "path": "",
            "region": "eu-west-2",
        }
    }


def test_the_event_of_a_custom_origin_and_of_one_with_access_control(make: MakeEdge, tmp_path: Path) -> None:
    custom = shown(ask(make(CUSTOM, on_request=SHOW)))["request"]["origin"]
    assert custom["custom"].keys() == {
        "customHeaders", "domainName", "keepaliveTimeout", "path", "port", "protocol", "readTimeout", "sslProtocols",
    }  # fmt: skip
    (tmp_path / "origin-request").rename(tmp_path / "used")
    controlled = shown(ask(make(OAC, on_request=SHOW)))["request"]["origin"]["s3"]
    assert (controlled["authMethod"], controlled["region"]) == ("none", "")


def test_the_event_of_a_response_and_what_becomes_of_it(make: MakeEdge) -> None:
    edge = make(
        on_response="""
            assert response["status"] == "200", response
            assert "body" not in response
            response["headers"]["x-seen"] = [{"key": "X-Seen", "value": request["headers"]["x-kept"][0]["value"]}]
            return response
        """,
        on_request='request["headers"]["x-kept"] = [{"key": "X-Kept", "value": "kept"}]\nreturn request',
    )
    answer = ask(edge)
    assert (answer.status, answer.header("X-Seen"), b"Two regions" in answer.body) == (200, "kept", True)
    assert (x_cache(ask(edge))[1], ask(edge).header("X-Seen")) == ("Hit", "kept")


def test_a_response_may_be_replaced_also_when_it_is_an_error(make: MakeEdge) -> None:
    edge = make(
        on_response='return {"status": 410, "body": "R29uZS4=", "bodyEncoding": "base64", "statusDescription": "Gone"}'
    )
    answer = ask(edge, "/missing")
    assert (answer.status, answer.body) == (410, b"Gone.")


S3, HEADERS = 'request["origin"]["s3"]', 'request["headers"]'


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (f'{HEADERS}["x-edge-location"] = [{{"value": "x"}}]', "disallowed header x-edge-location"),
        (f'{HEADERS}["x-amz-cf-id"] = [{{"value": "x"}}]', "disallowed header x-amz-cf-id"),
        (f'{HEADERS}["connection"] = [{{"value": "x"}}]', "disallowed header connection"),
        (f'{HEADERS}["via"] = [{{"value": "x"}}]', "read-only header via"),
        (f'del {HEADERS}["via"]', "read-only header via"),
        (f'{HEADERS}["if-none-match"] = [{{"value": "x"}}]', "read-only header if-none-match"),
        (f'{HEADERS}["accept-encoding"] = [{{"value": "x"}}]', "read-only header accept-encoding"),
        (f'{HEADERS}["X-Upper"] = [{{"value": "x"}}]', "not in lower case"),
        (f'{HEADERS}["x-a"] = [{{"key": "x-b", "value": "x"}}]', "is another header&#x27;s"),
        (f'{HEADERS}["x-a"] = "x"', "must be an array"),
        (f'{HEADERS}["x-a"] = [{{"value": "a\\r\\nb: c"}}]', "control characters"),
        (f'{HEADERS}["x-a"] = [{{"value": 1}}]', "no string"),
        (f'{HEADERS}["host"] = [{{"value": "{US_HOST}"}}]', "host header"),
        (f'del {HEADERS}["host"]', "host header"),
        (f'{S3}["domainName"] = "{US_HOST}"', "host header"),
        (f'{S3}["domainName"] = "127.0.0.1"', "is the address"),
        (f'{S3}["domainName"] = "Upper.s3.eu-west-2.amazonaws.com"', "domainName is"),
        (f'{S3}["domainName"] = ""', "domainName is"),
        (f'{S3}["path"] = "a"', "path is"),
        (f'{S3}["path"] = "/a/"', "path is"),
        (f'{S3}["authMethod"] = "origin-access-control"', "authMethod is"),
        (f'{S3}["region"] = ""', "needs a region"),
        (f'{S3}["extra"] = 1', "has the fields"),
        (f'del {S3}["customHeaders"]', "has the fields"),
        (f'{S3}["customHeaders"]["x-amz-date"] = [{{"value": "x"}}]', "cannot add x-amz-date"),
        (f'{S3}["customHeaders"]["x-a"] = {HEADERS}["x-a"] = [{{"value": "x"}}]', "both in headers and"),
        ('request["origin"]["custom"] = {}', "exactly one of"),
        ('request["origin"] = {}', "exactly one of"),
        ('request["method"] = "PUT"', "changed method"),
        ('request["clientIp"] = "1.1.1.1"', "changed clientIp"),
        ('request["uri"] = "docs"', "begins with /"),
        ('request["querystring"] = "a b"', "querystring"),
        ('request["uri"] = "/" + "x" * 9000', "8192 characters"),
        ("request = None", "returned NoneType"),
        ("request = [request]", "returned list"),
    ],
)
def test_what_cloudfront_refuses(make: MakeEdge, change: str, says: str) -> None:
    answer = ask(make(on_request=f"{change}\nreturn request"))
    assert x_cache(answer) == (502, "LambdaValidationError")
    assert says in answer.body.decode().replace("&#x27;s</p>", "&#x27;s")


def test_an_access_identity_cannot_be_had_by_asking(make: MakeEdge) -> None:
    edge = make(OPEN, on_request=f'{S3}["authMethod"] = "origin-access-identity"\n{S3}["region"] = "x"\nreturn request')
    assert b"no origin access identity" in ask(edge).body


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('"port": 22', "port is"),
        ('"protocol": "ftp"', "protocol is"),
        ('"readTimeout": 0', "readTimeout is"),
        ('"keepaliveTimeout": "5"', "keepaliveTimeout is"),
        ('"sslProtocols": []', "sslProtocols are"),
        ('"sslProtocols": ["TLSv9"]', "sslProtocols are"),
        ('"region": "eu-west-2"', "has the fields"),
    ],
)
def test_what_cloudfront_refuses_of_a_custom_origin(make: MakeEdge, change: str, says: str) -> None:
    answer = ask(make(CUSTOM, on_request=f'request["origin"]["custom"].update({{{change}}})\nreturn request'))
    assert (x_cache(answer), says in answer.body.decode()) == ((502, "LambdaValidationError"), True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('raise ValueError("broken")', (503, "LambdaExecutionError")),
        ("return {1, 2}", (503, "LambdaExecutionError")),
        ("import time\ntime.sleep(1.5)\nreturn request", (503, "LambdaExecutionError")),
        ('return {"status": "99"}', (502, "LambdaValidationError")),
        ('return {"status": "200", "body": 1}', (502, "LambdaValidationError")),
        ('return {"status": "200", "body": "x" * 1_100_000}', (502, "LambdaValidationError")),
        ('return {"status": "200", "body": "?", "bodyEncoding": "base64"}', (502, "LambdaValidationError")),
        ('return {"status": "200", "headers": {"x-cache": [{"value": "Hit"}]}}', (502, "LambdaValidationError")),
    ],
)
def test_a_function_that_fails(make: MakeEdge, body: str, expected: tuple[int, str]) -> None:
    edge = make(on_request=body)
    assert x_cache(ask(edge)) == expected


def test_a_response_that_cloudfront_refuses(make: MakeEdge) -> None:
    edge = make(on_response='response["headers"]["via"] = [{"value": "me"}]\nreturn response')
    assert x_cache(ask(edge)) == (502, "LambdaValidationError")


def test_a_function_keeps_its_memory_until_it_is_loaded_anew(make: MakeEdge) -> None:
    body = """
        import siblings  # also when it is called
        assert siblings.MEMORY is MEMORY
        return {"status": 200, "headers": {"cache-control": [{"value": "no-store"}]}, "body": str(len(MEMORY))}
    """
    edge = make(on_request=body)
    assert [ask(edge).body for _ in range(3)] == [b"1", b"2", b"3"]
    edge.triggers.load()
    assert ask(edge).body == b"1"


def test_many_viewers_at_once(make: MakeEdge) -> None:
    edge = make(cache=CachePolicy(0, 0.01, 1), on_request="return request", on_response="return response")
    before = threading.active_count()
    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(lambda _: ask(edge).status, range(200)))
    assert statuses == {200}
    assert threading.active_count() <= before


# The template


@pytest.fixture
def changed() -> Callable[..., Distribution]:
    """Reads the stack's template with other parameters."""
    return lambda **changes: read_distribution(TEMPLATE, {**edge_parameters("127.0.0.1:53"), **changes})


def test_the_stack_is_read(changed: Callable[..., Distribution]) -> None:
    txt, default = changed().behaviours
    assert (txt.pattern, default.pattern) == ("images/*", "*")
    assert (default.origin.domain_name, default.origin.access) == (MRAP_HOST, "origin-access-control")
    assert txt.origin.custom_headers["X-DNS-ORIGIN"] == "origin.nearside.test"
    assert txt.origin.custom_headers["X-ORIGIN-RESOLVERS"] == "127.0.0.1:53"
    assert set(txt.triggers) == {"origin-request", "origin-response"}
    assert default.triggers == {}
    oai = changed(OriginAuth="oai").behaviours[0].origin
    assert (oai.kind, oai.access) == ("s3", "origin-access-identity")
    sticky = changed(StickyBy="cookie", StickyName="session").behaviours[0]
    assert sticky.cookies == ("session",)


def test_what_the_world_cannot_run_is_named(changed: Callable[..., Distribution]) -> None:
    with pytest.raises(TemplateError, match="no CloudFront Functions"):
        changed(OriginSwitch="key-value-store")

"""The handler with the recorded events: what it changes, keeps and says, and that nothing makes it raise."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest

import saying
from lookup import Answer
from records import LookupFailed, Records
from tests.unit import functions

EU, US = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com", "nearside-us-east-2.s3.us-east-2.amazonaws.com"
KEY = "0123456789abcdef"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html
READ_ONLY = {
    *("accept-encoding", "content-length", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
    *("transfer-encoding", "via"),
}
MAY_ADD = {"host", "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-nearside-reason"}

type Handle = Callable[[Any], Any]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, name.lower())
    saying.forget()
    yield functions.load("origin_router")
    saying.forget()


@pytest.fixture
def handle(module: ModuleType) -> Handle:
    """The handler where the record names the bucket in us-east-2."""
    return with_record(module, US)


def with_record(module: ModuleType, *texts: str) -> Handle:
    module._records = Records(lambda *_: Answer(texts, 60), lambda: 1_795_219_200.0)  # type: ignore[attr-defined]
    return lambda event: module.handler(event, None)


def event(name: str, headers: Mapping[str, str] | None = None, **request: Any) -> dict[str, Any]:
    """A recorded event with further custom headers and other fields of the request."""
    recorded = functions.event(f"origin_router/{name}")
    asked = recorded["Records"][0]["cf"]["request"]
    [origin] = asked["origin"].values()
    for header, value in (headers or {}).items():
        origin["customHeaders"][header.lower()] = [{"key": header, "value": value}]
    asked.update(request)
    return recorded


def request_of(recorded: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = recorded["Records"][0]["cf"]["request"]
    return request


def value(message: dict[str, Any], header: str) -> str:
    [entry] = message["headers"][header]
    return str(entry["value"])


def test_an_s3_origin_with_oai_keeps_it(handle: Handle) -> None:
    sent = event("s3-oai")
    got = handle(copy.deepcopy(sent))
    origin = got["origin"]["s3"]
    assert (origin["domainName"], origin["region"], origin["path"]) == (US, "us-east-2", "")
    assert origin["authMethod"] == "origin-access-identity"
    assert value(got, "host") == US
    assert value(got, "x-nearside-reason") == "fresh"
    assert "authorization" not in got["headers"]
    assert origin["customHeaders"] == request_of(sent)["origin"]["s3"]["customHeaders"]


def test_an_s3_origin_that_is_signed_for_has_no_oai_and_no_region(handle: Handle) -> None:
    got = handle(event("s3-oai", {"X-ORIGIN-AUTH": "sigv4"}))
    assert (got["origin"]["s3"]["authMethod"], got["origin"]["s3"]["region"]) == ("none", "")
    assert value(got, "authorization").startswith("AWS4-HMAC-SHA256 Credential=aws_access_key_id/20")
    assert (
        "/us-east-2/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
        in value(got, "authorization")
    )
    assert value(got, "x-amz-security-token") == "aws_session_token"


def test_a_custom_origin_is_https_and_signs_cloudfronts_own_header(handle: Handle) -> None:
    sent = event("custom")
    request_of(sent)["origin"]["custom"].update(port=80, protocol="http", sslProtocols=["TLSv1"])
    got = handle(sent)
    origin = got["origin"]["custom"]
    assert (origin["domainName"], origin["port"], origin["protocol"]) == (US, 443, "https")
    assert origin["sslProtocols"] == ["TLSv1", "TLSv1.2"]
    assert origin["readTimeout"] == 30
    assert "SignedHeaders=host;x-amz-cf-id;x-amz-content-sha256" in value(got, "authorization")
    assert "x-amz-cf-id" not in got["headers"]


def test_a_bucket_with_dots_is_not_for_a_custom_origin(module: ModuleType) -> None:
    got = with_record(module, "nearside-a.b.s3.eu-west-2.amazonaws.com")(event("custom", {"X-ORIGIN-ALLOW": "*.b"}))
    assert got["origin"]["custom"]["domainName"] == EU
    assert "certificate" in value(got, "x-nearside-reason")


@pytest.mark.parametrize(("text", "path"), [(US, "/site"), (US + "/v2/pics", "/v2/pics")])
def test_the_records_path_or_the_configured_one(text: str, path: str, module: ModuleType) -> None:
    sent = event("s3-oai")
    request_of(sent)["origin"]["s3"]["path"] = "/site"
    assert with_record(module, text)(sent)["origin"]["s3"]["path"] == path


def test_a_plus_in_a_signed_query_is_written_so_that_nobody_mistakes_it(handle: Handle) -> None:
    assert handle(event("query", querystring="a=b+c"))["querystring"] == "a=b%20c"
    assert handle(event("s3-oai", querystring="a=b+c"))["querystring"] == "a=b+c"


def test_head_is_signed_and_put_goes_on_as_it_came(handle: Handle, capsys: pytest.CaptureFixture[str]) -> None:
    assert "authorization" in handle(event("head"))["headers"]
    put = event("put", {"X-ORIGIN-DEBUG": "false"})
    assert handle(copy.deepcopy(put)) == request_of(put)
    assert "PUT is not signed" in capsys.readouterr().out


def test_without_x_dns_origin_the_request_goes_on_as_it_came(handle: Handle) -> None:
    sent = event("no-dns-origin")
    assert handle(copy.deepcopy(sent)) == request_of(sent)


def test_the_event_is_never_touched_and_no_forbidden_header_is_added(handle: Handle) -> None:
    for name in ("s3-oai", "s3-sigv4", "custom", "query", "head", "put", "no-dns-origin"):
        sent = event(name)
        before = copy.deepcopy(sent)
        got = handle(sent)
        assert sent == before
        assert set(got["headers"]) - set(request_of(sent)["headers"]) <= MAY_ADD
        for header in READ_ONLY:
            assert got["headers"].get(header) == request_of(sent)["headers"].get(header)


def test_a_viewers_own_headers_are_neither_signed_nor_believed(handle: Handle) -> None:
    sent = event("s3-sigv4")
    for header in ("Authorization", "X-Amz-Date", "X-Amz-Meta-Evil", "X-Nearside-Reason", "X-Nearside-Origin"):
        request_of(sent)["headers"][header.lower()] = [{"key": header, "value": "evil"}]
    request_of(sent)["headers"]["x-dns-origin"] = [{"key": "X-DNS-ORIGIN", "value": "evil.test"}]
    request_of(sent)["headers"]["x-amz-cf-pop"] = [{"key": "X-Amz-Cf-Pop", "value": "LHR50"}]
    got = handle(sent)
    assert [name for name, entries in got["headers"].items() if entries[0]["value"] == "evil"] == []
    assert value(got, "x-amz-cf-pop") == "LHR50"
    assert not {"x-amz-meta-evil", "x-nearside-origin"} & set(got["headers"])


def test_the_records_key_is_not_sent_to_a_bucket(module: ModuleType) -> None:
    import txt_origin

    text = f"{US} sig={txt_origin.signature('origin.nearside.test', US, KEY)}"
    got = with_record(module, text)(event("s3-oai", {"X-ORIGIN-KEY": KEY}))
    assert got["origin"]["s3"]["domainName"] == US
    assert KEY not in json.dumps(got)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"X-ORIGIN-TTL": "soon"}, "x-origin-ttl"),
        ({"X-ORIGIN-AUTH": "oac"}, "x-origin-auth"),
        ({"X-ORIGIN-ALLOW": "pics-*"}, "bucket nearside-us-east-2 is not on the allow-list"),
        ({"X-ORIGIN-KEY": KEY}, "not signed"),
    ],
)
def test_what_is_wrong_is_said_and_the_configured_origin_serves(
    headers: dict[str, str], why: str, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = event("s3-oai", headers)
    got = handle(copy.deepcopy(sent))
    assert got["origin"] == request_of(sent)["origin"]
    assert value(got, "x-nearside-reason").startswith("configured: ")
    assert why in value(got, "x-nearside-reason")
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (line["level"], why in line["message"]) == ("WARNING", True)


def test_an_oai_cannot_be_had_by_asking(handle: Handle) -> None:
    for name in ("custom", "s3-sigv4"):
        got = handle(event(name, {"X-ORIGIN-AUTH": "oai"}))
        assert "no origin access identity" in value(got, "x-nearside-reason")


def test_a_direction_that_is_there_twice_is_not_guessed(handle: Handle) -> None:
    sent = event("s3-oai")
    request_of(sent)["origin"]["s3"]["customHeaders"]["x-dns-origin"] *= 2
    assert "2 times" in value(handle(sent), "x-nearside-reason")


def test_without_credentials_the_configured_origin_serves(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "no credentials" in value(handle(event("s3-sigv4")), "x-nearside-reason")


def test_dns_that_fails(module: ModuleType) -> None:
    def fails(*_: object) -> Answer:
        raise LookupFailed("127.0.0.1:53 answered SERVFAIL\r\nX-Evil: 1 \u00e9")

    module._records = Records(fails, lambda: 0.0)  # type: ignore[attr-defined]
    got = module.handler(event("s3-oai"), None)
    assert value(got, "x-nearside-reason") == "configured: 127.0.0.1:53 answered SERVFAIL??X-Evil: 1 ?"


def test_the_configured_bucket_is_signed_for_too(module: ModuleType) -> None:
    def fails(*_: object) -> Answer:
        raise LookupFailed("no answer")

    module._records = Records(fails, lambda: 0.0)  # type: ignore[attr-defined]
    sent = event("s3-sigv4")
    got = module.handler(copy.deepcopy(sent), None)
    assert value(got, "x-nearside-reason") == "configured: no answer"
    assert value(got, "authorization").startswith("AWS4-HMAC-SHA256 Credential=")
    [configured], [origin] = request_of(sent)["origin"].values(), got["origin"].values()
    assert origin["domainName"] == configured["domainName"] == value(got, "host")


def test_without_debug_nothing_is_said(handle: Handle) -> None:
    assert "x-nearside-reason" not in handle(event("s3-oai", {"X-ORIGIN-DEBUG": "false"}))["headers"]


def test_the_response_says_origin_and_reason_when_asked(handle: Handle) -> None:
    sent = event("response")
    got = handle(copy.deepcopy(sent))
    assert (value(got, "x-nearside-origin"), value(got, "x-nearside-reason")) == (US, "fresh")
    added = {"x-nearside-origin", "x-nearside-reason"}
    cf = sent["Records"][0]["cf"]
    assert {**got, "headers": {n: v for n, v in got["headers"].items() if n not in added}} == cf["response"]
    quiet = event("response", {"X-ORIGIN-DEBUG": "false"})
    assert handle(quiet) == cf["response"]


def test_a_reason_that_the_function_cannot_have_said_is_not_repeated(handle: Handle) -> None:
    sent = event("response")
    request_of(sent)["headers"]["x-nearside-reason"][0]["value"] = "<script>"
    assert "x-nearside-reason" not in handle(sent)["headers"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: request.pop("origin"),
        lambda request: request.pop("headers"),
        lambda request: request.pop("uri"),
        lambda request: request.update(origin={"s3": None}),
        lambda request: request.update(origin={"moon": {"customHeaders": {}}}),
        lambda request: request["origin"].update(custom={}),
        lambda request: request.update(uri=7),
        lambda request: request.update(headers=[]),
        lambda request: request["origin"]["s3"]["customHeaders"].update({"x-dns-origin": [{"value": ["a"]}]}),
        lambda request: request["origin"]["s3"]["customHeaders"].update({"x-dns-origin": "a"}),
    ],
)
def test_a_broken_event_goes_on_as_it_came_with_a_traceback(
    spoil: Callable[[dict[str, Any]], object], handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = event("s3-sigv4")
    spoil(request_of(sent))
    assert handle(copy.deepcopy(sent)) == request_of(sent)
    [line] = capsys.readouterr().out.splitlines()
    assert "Traceback" in json.loads(line)["traceback"]


@pytest.mark.parametrize("nothing", [None, 7, "", [], {}, {"Records": []}, {"Records": [{"cf": {}}]}, {"Records": 1}])
def test_an_event_that_is_none_is_answered_with_what_cloudfront_takes(nothing: object, handle: Handle) -> None:
    assert handle(nothing) == {
        "status": "503",
        "statusDescription": "Service Unavailable",
        "headers": {"cache-control": [{"key": "Cache-Control", "value": "no-store"}]},
    }


def test_the_same_line_is_logged_once(handle: Handle, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(100):
        handle(event("s3-oai", {"X-ORIGIN-TTL": "soon"}))
    assert len(capsys.readouterr().out.splitlines()) == 1

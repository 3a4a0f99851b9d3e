"""The boundary: events of every shape in, answers in API Gateway's shape out, and nothing leaks."""

import base64
import json
import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside import errors, web
from nearside.settings import AuthMode
from tests.unit import functions

JWT = {"jwt": {"claims": {"sub": "alice", "groups": "[a b]", "exp": 5}, "scopes": None}}
IAM = {"iam": {"userArn": "arn:aws:iam::123456789012:user/alice", "accountId": "123456789012"}}


def boundary(answer: web.Answers, auth_mode: AuthMode = "none") -> Any:
    return web.boundary({"POST /presign": answer}, auth_mode)


def heard(auth_mode: AuthMode = "none", **changed: Any) -> web.Request:
    """The request as a route is given it."""
    requests: list[web.Request] = []
    got = boundary(lambda request: requests.append(request), auth_mode)(functions.event("presign/get", **changed), None)
    assert got["statusCode"] == 200, got
    return requests[0]


def status_of(auth_mode: AuthMode, authorizer: Any) -> tuple[int, Any]:
    event = functions.event("presign/get")
    event["requestContext"]["authorizer"] = authorizer
    got = boundary(lambda request: msgspec.to_builtins(request.caller), auth_mode)(event, None)
    return got["statusCode"], json.loads(got["body"])


@given(body=st.binary(max_size=50))
def test_a_body_is_read_as_it_was_sent(body: bytes) -> None:
    assert heard(body=base64.b64encode(body).decode(), isBase64Encoded=True).body == body


@pytest.mark.parametrize("body", ["", None])
def test_no_body_is_no_bytes(body: str | None) -> None:
    event = {**functions.event("presign/get"), "body": body}
    requests: list[web.Request] = []
    boundary(lambda request: requests.append(request))(event, None)
    assert requests[0].body == b""
    del event["body"]
    boundary(lambda request: requests.append(request))(event, None)
    assert requests[1].body == b""


@pytest.mark.parametrize("body", ["%%%", "é", "YQ"])
def test_a_body_that_is_no_base64_is_400(body: str) -> None:
    got = boundary(lambda request: 1)(functions.event("presign/get", body, isBase64Encoded=True), None)
    assert got["statusCode"] == 400
    assert "the body cannot be read" in got["body"]


def test_a_request_is_what_the_event_says() -> None:
    request = heard(
        headers={"Content-Type": "a", "x-b": "c"}, queryStringParameters={"q": "1"}, pathParameters={"path": "a/b"}
    )
    assert request.route == "POST /presign"
    assert request.headers == {"content-type": "a", "x-b": "c"}
    assert (request.query, request.path) == ({"q": "1"}, {"path": "a/b"})
    assert request.id == "UbX01gYXLPEEMVA="
    bare = heard(headers=None, queryStringParameters=None, pathParameters=None)
    assert (bare.headers, bare.query, bare.path) == ({}, {}, {})


def test_jwt_claims_are_the_callers() -> None:
    status, caller = status_of("jwt", JWT)
    assert status == 200
    assert caller == {"name": "alice", "trusted": False, "claims": {"sub": "alice", "groups": "[a b]", "exp": "5"}}


def test_an_iam_user_is_trusted() -> None:
    status, caller = status_of("iam", IAM)
    assert (status, caller["name"], caller["trusted"]) == (200, IAM["iam"]["userArn"], True)


@pytest.mark.parametrize("authorizer", [None, {}, {"jwt": None}, {"jwt": {}}, {"jwt": {"claims": {}}}, {"lambda": {}}])
@pytest.mark.parametrize("auth_mode", ["jwt", "iam"])
def test_without_the_authorizers_word_nobody_gets_in(auth_mode: AuthMode, authorizer: Any) -> None:
    status, error = status_of(auth_mode, authorizer)
    assert (status, error["error"]) == (401, "Unauthenticated")


def test_the_word_of_another_kind_of_authorizer_does_not_count() -> None:
    assert status_of("jwt", IAM)[0] == 401
    assert status_of("iam", JWT)[0] == 401


def test_without_a_request_context_nobody_gets_in() -> None:
    event = functions.event("presign/get")
    del event["requestContext"]
    assert boundary(lambda request: 1, "jwt")(event, None)["statusCode"] == 401


def test_in_mode_none_anyone_is_trusted() -> None:
    assert status_of("none", None) == (200, {"name": "anyone", "trusted": True, "claims": {}})


def every_error() -> list[type[errors.NearsideError]]:
    found = [errors.NearsideError]
    for each in found:
        found += each.__subclasses__()
    return found


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_of_the_tree_is_answered_with_its_status_and_code(error: type[errors.NearsideError]) -> None:
    def refuse(request: web.Request) -> None:
        raise error("Path 'demo' does not exist in the bucket")

    got = boundary(refuse)(functions.event("presign/get"), None)
    assert got["statusCode"] == error.status
    assert got["headers"]["content-type"] == "application/json"
    if error is errors.MissingPath:
        assert json.loads(got["body"]) == {"error": "Path 'demo' does not exist in the bucket"}
    else:
        assert json.loads(got["body"]) == {"error": error.code, "message": "Path 'demo' does not exist in the bucket"}


def test_an_unexpected_exception_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: web.Request) -> None:
        raise KeyError("the-secret")

    with caplog.at_level(logging.ERROR):
        got = boundary(fail)(functions.event("presign/get"), None)
    assert got["statusCode"] == 500
    assert json.loads(got["body"]) == {
        "error": "InternalError",
        "message": "see the log for request UbX01gYXLPEEMVA=",
    }
    assert "the-secret" in str(caplog.records[0].exc_info)


def test_an_answer_that_cannot_be_encoded_is_a_500() -> None:
    got = boundary(lambda request: object())(functions.event("presign/get"), None)
    assert (got["statusCode"], json.loads(got["body"])["error"]) == (500, "InternalError")


def test_a_route_that_is_not_bound_is_a_500_without_a_word_of_it() -> None:
    got = boundary(lambda request: 1)(functions.event("presign/get", routeKey="GET /secret"), None)
    assert got["statusCode"] == 500
    assert "secret" not in got["body"]


def test_a_page_keeps_its_type_and_headers() -> None:
    page = web.Page("<p>é".encode(), "text/html; charset=utf-8", {"content-security-policy": "default-src 'none'"})
    got = boundary(lambda request: page)(functions.event("presign/get"), None)
    assert got["body"] == "<p>é"
    assert got["headers"] == {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'",
    }


def sent_bytes(got: dict[str, Any]) -> int:
    """What Lambda counts: the answer as awslambdaric writes it, which leaves letters outside ASCII as they are."""
    return len(json.dumps(got, ensure_ascii=False).encode())


@pytest.mark.parametrize("letter", ["a", "é", "日", "𝄞", '"', "\\", "\n"])
def test_an_answer_larger_than_lambda_can_give_is_413_and_one_as_large_is_given(letter: str) -> None:
    in_json = len(json.dumps(json.dumps(letter, ensure_ascii=False), ensure_ascii=False).encode()) - 6
    fits = (web.MAX_ANSWER_BYTES - 100) // in_json
    small = boundary(lambda request: letter * fits)(functions.event("presign/get"), None)
    assert small["statusCode"] == 200
    assert sent_bytes(small) < 6 * 1024**2
    large = boundary(lambda request: letter * (fits + 200))(functions.event("presign/get"), None)
    assert large["statusCode"] == 413
    error = json.loads(large["body"])
    assert error["error"] == "AnswerTooLarge"
    assert f"at most {web.MAX_ANSWER_BYTES}" in error["message"]


@pytest.mark.parametrize("rest", [b",}", b", 1e400", b"\xff", b"[" * 100_000])
def test_a_wrong_value_before_something_that_is_no_json_is_named(rest: bytes) -> None:
    class Shape(msgspec.Struct):
        n: int

    with pytest.raises(errors.BadRequest, match="n: expected `int`, got `str`"):
        web.decode(b'{"n": "x"' + rest, Shape)


def test_a_long_value_is_cut_in_the_message() -> None:
    class Shape(msgspec.Struct):
        n: int

    with pytest.raises(errors.BadRequest) as caught:
        web.decode(json.dumps({"n": "x" * 1000}).encode(), Shape)
    assert len(str(caught.value)) < 150
    assert str(caught.value).endswith("...: expected `int`, got `str`")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_body_is_decoding_gives_the_shape_or_a_bad_request(body: bytes) -> None:
    class Shape(msgspec.Struct, forbid_unknown_fields=True):
        a: int
        b: list[str] = []

    try:
        assert isinstance(web.decode(body, Shape), Shape)
    except errors.BadRequest as error:
        assert str(error)  # noqa: PT017

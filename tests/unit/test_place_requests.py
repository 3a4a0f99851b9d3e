"""Requests to places are signed as botocore signs them, whatever is in the key, the query and the headers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_plus

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearside.adapters.place_requests import PlaceRequests
from nearside.errors import BadRequest
from nearside.gateway.backends import Backend
from nearside.signing import UNSIGNED_PAYLOAD, Credentials
from tests.unit.loopback import Loopback, Told, serving

NOW = 1_795_262_400.0


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with serving(lambda _: Told()) as server:
        yield server


def requests_to(url: str) -> PlaceRequests:
    backend = Backend(name="place", provider="other", zone_code="z", region="eu-west-2", endpoint_url=url)
    return PlaceRequests(backend, lambda: Credentials("AKID", "secret", "token/+="), clock=lambda: NOW)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
NAMES = st.sampled_from(["uploadId", "prefix", "start-after", "versionId", "a b", "list-type", "Ü"])


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    TEXT,
    st.dictionaries(NAMES, TEXT, max_size=3),
    st.dictionaries(st.sampled_from(["x-amz-meta-a", "content-type", "range"]), VALUE, max_size=2),
    st.sampled_from(["", UNSIGNED_PAYLOAD]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_signature_is_botocores(
    server: Loopback, method: str, key: str, query: dict[str, str], headers: dict[str, str], payload_hash: str
) -> None:
    requests_to(server.url)(
        method, "bucket", key, query=query, headers=headers, body=b"body", payload_hash=payload_hash
    )
    asked = server.asked[-1]
    names = re.search(r"SignedHeaders=([^,]+)", asked.headers["authorization"])
    assert names
    sent = {name: asked.headers[name] for name in names[1].split(";")}
    assert {"host", "x-amz-content-sha256", "x-amz-security-token", *headers} <= set(sent)
    request = AWSRequest(method, server.url + asked.target, headers=sent, data=b"body")
    request.context["timestamp"] = asked.headers["x-amz-date"]
    with pytest.MonkeyPatch.context() as patch:
        then = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
        patch.setattr("botocore.auth.get_current_datetime", lambda: then)
        request.context["payload_signing_enabled"] = payload_hash == ""
        request.context["client_config"] = None
        auth = S3SigV4Auth(BotocoreCredentials("AKID", "secret", "token/+="), "s3", "eu-west-2")
        patch.setattr(auth, "payload", lambda _: asked.headers["x-amz-content-sha256"])
        auth.add_auth(request)
    assert asked.headers["authorization"] == request.headers["Authorization"]
    path, _, text = asked.target.partition("?")
    assert path == "/bucket" or unquote_plus(path.replace("+", "%2B")) == f"/bucket/{key}"
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    assert {unquote_plus(name): unquote_plus(value) for name, _, value in pairs} == query


def test_a_large_body_goes_in_pieces_and_comes_whole(server: Loopback) -> None:
    body = bytes(range(256)) * 5000
    requests_to(server.url)("PUT", "bucket", "key", body=body)
    assert server.asked[-1].body == body
    assert server.asked[-1].headers["content-length"] == str(len(body))


def test_connections_are_kept(server: Loopback) -> None:
    ask = requests_to(server.url)
    for _ in range(3):
        ask("GET", "bucket", "key")
    pool = ask._http.connection_from_url(server.url)
    assert (pool.num_connections, pool.num_requests) == (1, 3)


@pytest.mark.parametrize("key", ["a/", "/a", "a//b", "a/../b", "."])
def test_a_key_that_the_place_would_take_for_another_is_not_sent(key: str) -> None:
    asked = PlaceRequests(
        Backend(name="harbor", provider="rclone", zone_code="h", region="eu-harbor", endpoint_url="http://127.0.0.1:9"),
        lambda: Credentials("a", "b"),
    )
    with pytest.raises(BadRequest, match="harbor cannot have the key"):
        asked("PUT", "photos", key, body=b"x")
    for method in ("GET", "HEAD", "DELETE"):
        assert asked(method, "photos", key).status == 404

"""The catalog as `POST /presign` reads it: what a batch finds, what a sick DynamoDB becomes, how it is signed."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from nearside import signing
from nearside.adapters import currents
from nearside.adapters.currents import Currents
from nearside.errors import Refused, Unreachable
from tests.unit.loopback import Asked, Loopback, Told, closed_port, serving

type MakeTable = Callable[[list[dict[str, Any]]], tuple[Currents, Loopback]]

OWN = signing.Credentials("AKID", "secret", "token")
PLACES = ("eu-west-2", "us-east-2")


def _current(key: str, place: str, **attributes: dict[str, Any]) -> dict[str, Any]:
    return {"PK": {"S": f"OBJ#pics-eu#{key}"}, "SK": {"S": f"CURRENT#{place}"}, **attributes}


def _held(key: str, place: str, version: str, made: int = 1_500) -> dict[str, Any]:
    return _current(key, place, version={"S": version}, made={"N": str(made)}, etag={"S": "e1"}, rev={"N": "3"})


def _reader(endpoint: str) -> Currents:
    return Currents("catalog", "pics-eu", "eu-west-2", lambda: OWN, endpoint)


def _wanted(asked: Asked) -> list[tuple[str, str]]:
    keys = json.loads(asked.body)["RequestItems"]["catalog"]["Keys"]
    return [(key["PK"]["S"], key["SK"]["S"]) for key in keys]


def _refusal(kind: str) -> Told:
    return Told(400, body=json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{kind}"}).encode())


@pytest.fixture
def table() -> Iterator[MakeTable]:
    """A reader of a table that holds these items and answers as DynamoDB does."""
    servers = []

    def make(items: list[dict[str, Any]]) -> tuple[Currents, Loopback]:
        by_key = {(item["PK"]["S"], item["SK"]["S"]): item for item in items}

        def answer(asked: Asked) -> Told:
            found = [by_key[key] for key in _wanted(asked) if key in by_key]
            return Told(body=json.dumps({"Responses": {"catalog": found}, "UnprocessedKeys": {}}).encode())

        server = serving(answer)
        servers.append(server)
        loopback = server.__enter__()
        return _reader(loopback.url), loopback

    yield make
    for server in servers:
        server.__exit__(None, None, None)


def test_only_what_every_place_has_in_one_version_is_everywhere(table: MakeTable) -> None:
    read, _ = table(
        [
            *(_held("everywhere", place, "v9") for place in PLACES),
            *(_held("null", place, "null") for place in PLACES),
            *(_current("deleted", place, version={"S": "v3"}, marker={"BOOL": True}) for place in PLACES),
            *(_current("nowhere", place, rev={"N": "0"}) for place in PLACES),
            _held("on its way", "eu-west-2", "v2"),
            _current("on its way", "us-east-2", rev={"N": "0"}),
            _held("overwritten", "eu-west-2", "v2"),
            _held("overwritten", "us-east-2", "v1"),
            _held("half known", "eu-west-2", "v1"),
            {"PK": {"S": "MONITOR#us-east-2"}, "SK": {"S": "lag"}, "p99": {"N": "900"}},
        ]
    )
    keys = ["everywhere", "null", "deleted", "nowhere", "on its way", "overwritten", "half known", "unheard of"]
    known = read(keys, PLACES)
    assert known.everywhere == {"everywhere"}
    assert known.lag_ms == {"us-east-2": 900}


def test_a_thousand_keys_take_requests_of_a_hundred(table: MakeTable) -> None:
    keys = [f"ü{number}" for number in range(1_000)]
    read, server = table([_held(key, place, "v1") for key in keys for place in PLACES])
    known = read([*keys, keys[0]], PLACES)
    assert known.everywhere == set(keys)
    sizes = [len(_wanted(asked)) for asked in server.asked]
    assert max(sizes) == currents.KEYS_PER_REQUEST
    assert sum(sizes) == 2_000 + len(PLACES), "a key that is asked for twice is read once"


def test_the_signature_is_botocores(table: MakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    read, server = table([])
    read(["a"], PLACES)
    [asked] = server.asked
    sent = {name: asked.headers[name] for name in ("content-type", "x-amz-target", "host")}
    request = AWSRequest("POST", f"http://{asked.headers['host']}/", headers=sent, data=asked.body)
    then = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007 - as botocore has it
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: then)
    SigV4Auth(BotocoreCredentials("AKID", "secret", "token"), "dynamodb", "eu-west-2").add_auth(request)
    assert asked.headers["authorization"] == request.headers["Authorization"]
    assert asked.headers["x-amz-security-token"] == "token"


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        (_refusal("ThrottlingException"), Unreachable, "throttled"),
        (_refusal("ProvisionedThroughputExceededException"), Unreachable, "throttled"),
        (_refusal("AccessDeniedException"), Refused, "answered 400"),
        (_refusal("ResourceNotFoundException"), Unreachable, "answered 400"),
        (Told(503), Unreachable, "answered 503"),
        (Told(drop=True), Unreachable, "cannot be reached"),
        (Told(hang_seconds=5), Unreachable, "cannot be reached"),
    ],
    ids=["throttled", "too much", "refused", "no table", "503", "cut", "hangs"],
)
def test_a_sick_catalog_is_an_error_never_an_empty_answer(told: Told, error: type[Exception], words: str) -> None:
    with serving(lambda _: told) as server, pytest.raises(error, match=words):
        _reader(server.url)(["a"], PLACES)


def test_nothing_listening_is_unreachable() -> None:
    with closed_port() as url, pytest.raises(Unreachable, match="cannot be reached"):
        _reader(url)(["a"], PLACES)


def test_connections_are_kept_and_one_that_died_meanwhile_is_replaced() -> None:
    body = b'{"Responses":{}}'
    answers = iter([Told(body=body), Told(body=body, close=True), Told(body=body)])
    with serving(lambda _: next(answers)) as server:
        read = _reader(server.url)
        for _ in range(3):  # the second answer is followed by the end of its connection
            read(["a"], PLACES)
            time.sleep(0.05)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "told", [b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"]
)
def test_an_answer_that_is_no_http_of_dynamodbs_is_unreachable(told: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(told)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Unreachable, match="cannot be reached"):
            _reader(f"http://127.0.0.1:{listener.getsockname()[1]}")(["a"], PLACES)

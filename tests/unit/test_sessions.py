"""Sessions of a role from an STS on loopback: exact end, renewal in time, and what happens when STS is away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from nearside.adapters import sessions
from nearside.adapters.sessions import RENEW_AFTER_SECONDS, RETRY_AFTER_SECONDS, Sessions
from nearside.errors import NearsideError, NoCredentials, Unreachable
from nearside.signing import Credentials
from tests.unit.loopback import Asked, Loopback, Told, closed_port, serving

ROLE = "arn:aws:iam::123456789012:role/nearside signing+1"
NOW = 1_795_132_801.5

ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>a</Arn><AssumedRoleId>b</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>ASIA{n}</AccessKeyId><SecretAccessKey>s/{n}+</SecretAccessKey><SessionToken>t=={n}</SessionToken>
<Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
REFUSAL = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"""


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Sts:
    """STS as it is at the moment."""

    server: Loopback
    clock: Clock
    sessions: Sessions
    trouble: Told | None = None


@contextmanager
def sts_for(own: Callable[[], Credentials]) -> Iterator[Sts]:
    clock = Clock()

    def answer(asked: Asked) -> Told:
        if running.trouble:
            return running.trouble
        end = datetime.fromtimestamp(int(clock.now) + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Told(body=ANSWER.format(n=len(server.asked), end=end).encode())

    with serving(answer) as server:
        running = Sts(server, clock, Sessions(ROLE, "eu-west-2", own, endpoint=server.url, clock=clock))
        yield running


@pytest.fixture
def sts() -> Iterator[Sts]:
    with sts_for(lambda: Credentials("AKID", "secret", "token")) as sts:
        yield sts


def test_a_session_is_what_sts_gives_with_its_exact_end(sts: Sts) -> None:
    assert sts.sessions() == Credentials("ASIA1", "s/1+", "t==1", int(NOW) + 3600.0)


def test_the_request_is_an_assume_role_signed_for_sts_in_the_region(sts: Sts) -> None:
    sts.sessions()
    [asked] = sts.server.asked
    query = {name: value for name, [value] in parse_qs(urlsplit(asked.target).query).items()}
    assert asked.method == "GET"
    assert query["Action"] == "AssumeRole"
    assert query["RoleArn"] == ROLE
    assert query["DurationSeconds"] == "3600"
    assert query["X-Amz-Credential"] == "AKID/20261120/eu-west-2/sts/aws4_request"
    signature = query.pop("X-Amz-Signature")
    auth = SigV4QueryAuth(BotoCredentials("AKID", "secret", "token"), "sts", "eu-west-2", expires=60)
    request = AWSRequest("GET", f"{sts.server.url}/", params=query, headers={"host": asked.headers["host"]})
    request.context["timestamp"] = query["X-Amz-Date"]
    assert auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) == signature


def test_a_session_is_used_for_ten_minutes_then_a_new_one(sts: Sts) -> None:
    first = sts.sessions()
    sts.clock.now += RENEW_AFTER_SECONDS - 1
    assert sts.sessions() is first
    sts.clock.now += 1
    second = sts.sessions()
    assert second.access_key_id == "ASIA2"
    assert len(sts.server.asked) == 2


def test_credentials_of_the_function_are_fetched_for_each_session() -> None:
    own = iter([Credentials("FIRST", "s"), Credentials("SECOND", "s")])
    with sts_for(lambda: next(own)) as sts:
        sts.sessions()
        sts.clock.now += RENEW_AFTER_SECONDS
        sts.sessions()
    signed_by = [parse_qs(urlsplit(each.target).query)["X-Amz-Credential"][0] for each in sts.server.asked]
    assert [each.partition("/")[0] for each in signed_by] == ["FIRST", "SECOND"]


@pytest.mark.parametrize(
    "trouble", [Told(503), Told(drop=True), Told(400, body=REFUSAL.encode())], ids=["503", "dropped", "refusing"]
)
def test_a_session_that_lives_is_used_while_sts_is_in_trouble(sts: Sts, trouble: Told) -> None:
    first = sts.sessions()
    sts.trouble = trouble
    sts.clock.now += RENEW_AFTER_SECONDS
    asked_before = len(sts.server.asked)
    assert [sts.sessions() for _ in range(5)] == [first] * 5
    assert len(sts.server.asked) - asked_before <= 2  # one try and its repetition: not every request waits
    sts.clock.now += RETRY_AFTER_SECONDS
    sts.trouble = None
    assert sts.sessions() != first


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        (Told(503), Unreachable, "STS in eu-west-2 answered 503"),
        (Told(drop=True), Unreachable, "STS in eu-west-2"),
        (Told(403, body=REFUSAL.encode()), NoCredentials, r"signing role \(AccessDenied\)"),
        (Told(400, body=b"<html>no"), NoCredentials, r"signing role \(no XML\)"),
        (Told(200, body=b"<html>a proxy's page"), Unreachable, "answered 200 without a session"),
        (Told(200, body=b"<AssumeRoleResponse/>"), Unreachable, "answered 200 without a session"),
    ],
    ids=["503", "dropped", "refused", "odd refusal", "no XML", "no credentials"],
)
def test_without_a_session_the_trouble_is_told(sts: Sts, trouble: Told, kind: type[NearsideError], words: str) -> None:
    sts.trouble = trouble
    with pytest.raises(kind, match=words) as caught:
        sts.sessions()
    assert type(caught.value) is kind
    assert ROLE not in str(caught.value)  # whoever asks for a URL is not told of roles and accounts


def test_a_session_that_is_over_is_not_used_when_sts_is_down(sts: Sts) -> None:
    end = sts.sessions().expires_at
    assert end is not None
    sts.trouble = Told(503)
    sts.clock.now = end - 1
    assert sts.sessions().expires_at == end
    sts.clock.now = end
    with pytest.raises(Unreachable):
        sts.sessions()


def test_a_closed_port_is_unreachable() -> None:
    with closed_port() as url, pytest.raises(Unreachable, match="STS in eu-west-2"):
        Sessions(ROLE, "eu-west-2", lambda: Credentials("AKID", "secret"), endpoint=url)()


def test_a_hanging_sts_is_unreachable(sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "STS_SECONDS", 0.2)
    sts.trouble = Told(hang_seconds=10)
    with pytest.raises(Unreachable, match="STS in eu-west-2"):
        sts.sessions()


def test_many_threads_share_one_session(sts: Sts) -> None:
    found: list[Credentials] = []
    threads = [Thread(target=lambda: found.append(sts.sessions())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(sts.server.asked) == 1


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-west-2", "sts.eu-west-2.amazonaws.com"), ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn")],
)
def test_sts_is_the_regions_own(region: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def request(method: str, url: str, **_: object) -> None:
        asked.append(url)
        raise Unreachable("stop here")

    monkeypatch.setattr(urllib3, "request", request)
    with pytest.raises(Unreachable):
        Sessions(ROLE, region, lambda: Credentials("AKID", "secret"))()
    assert asked[0].startswith(f"https://{host}/?")

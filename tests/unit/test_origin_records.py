"""origin_records: what a TXT record says gets into the key-value store, and nothing else ever does."""

import json
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from tests.unit import flat_function

ARN = "arn:aws:cloudfront::123456789012:key-value-store/11111111-2222-3333-4444-555555555555"
EU = "pics-eu.s3.eu-west-2.amazonaws.com"
US = "pics-us.s3.us-east-2.amazonaws.com"
HEADERS = {"x-dns-origin": "Origin.example.com.", "x-origin-allow": "pics-*", "x-origin-key": ""}


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """The function's modules by name, as Lambda imports them."""
    with flat_function.imported("origin_records") as modules:
        yield modules


class FakeStore:
    """Obeys `origins.KeepsOrigins`."""

    def __init__(self, value: str | None = None) -> None:
        self.value = value
        self.written: list[str] = []

    def read(self) -> str | None:
        return self.value

    def write(self, value: str) -> None:
        self.value = value
        self.written.append(value)


def refresh(modules: dict[str, ModuleType], store: FakeStore, texts: Sequence[str] | str, **headers: str) -> Any:
    """The outcome when DNS answers these texts; a string: when it fails with these words."""
    told = modules["directions"].read({"x-dns-origin": "origin.example.com", "x-origin-allow": "pics-*", **headers})

    def ask(question: Any) -> Sequence[str]:
        assert question == told.question
        if isinstance(texts, str):
            raise modules["origins"].NoAnswer(texts)
        return texts

    return modules["origins"].refresh(told.question, ask, store)


def test_an_empty_store_gets_what_the_record_says(modules: dict[str, ModuleType]) -> None:
    store = FakeStore()
    outcome = refresh(modules, store, [f"{US} weight=3", f"{EU}/site"])
    assert (outcome.state, outcome.origins, outcome.refused) == ("changed", 2, ())
    assert json.loads(store.written[0]) == [
        {"host": EU, "path": "/site", "weight": 1},
        {"host": US, "path": "", "weight": 3},
    ]


def test_the_same_origins_in_another_order_are_no_change(modules: dict[str, ModuleType]) -> None:
    store = FakeStore()
    refresh(modules, store, [EU, US])
    assert refresh(modules, store, [f"{US}, {EU}"]).state == "same"
    assert len(store.written) == 1


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ("10.0.0.2:53 did not answer in time", "did not answer in time"),
        (["strangers.s3.eu-west-2.amazonaws.com"], "not on the allow-list"),
        (["pics-eu.s3.amazonaws.com"], "legacy name"),
        ([], "names no origin"),
        ([",".join(f"pics-{i:02}.s3.eu-west-2.amazonaws.com" for i in range(20))], "the store takes 1024"),
    ],
)
def test_what_cannot_be_used_leaves_the_store_as_it_is(
    modules: dict[str, ModuleType], texts: Sequence[str] | str, why: str
) -> None:
    store = FakeStore("what there was")
    outcome = refresh(modules, store, texts)
    assert outcome.state == "kept"
    assert why in "; ".join(outcome.refused)
    assert store.written == []


def test_one_bad_record_beside_a_good_one_is_told_and_left_out(modules: dict[str, ModuleType]) -> None:
    store = FakeStore()
    outcome = refresh(modules, store, [EU, "strangers.s3.eu-west-2.amazonaws.com"])
    assert (outcome.state, outcome.origins) == ("changed", 1)
    assert outcome.refused == ("bucket strangers is not on the allow-list",)


def test_with_a_key_only_a_signed_record_counts(modules: dict[str, ModuleType]) -> None:
    key = "0123456789abcdef"
    signature = modules["txt_origin"].signature("origin.example.com", EU, key)
    store = FakeStore()
    assert refresh(modules, store, [EU], **{"x-origin-key": key}).state == "kept"
    assert refresh(modules, store, [f"{US} sig={signature}"], **{"x-origin-key": key}).state == "kept"
    assert refresh(modules, store, [f"{EU} sig={signature}"], **{"x-origin-key": key}).state == "changed"


def test_a_drained_origin_goes_into_the_store_as_drained(modules: dict[str, ModuleType]) -> None:
    store = FakeStore()
    refresh(modules, store, [f"{EU} weight=0, {US}"])
    assert [each["weight"] for each in json.loads(store.value or "")] == [0, 1]


# The store: botocore's own client, its answers stubbed.


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stubbed(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber, Clock]]:
    """The store, what its client will be answered, and its clock; whatever was expected must have been asked."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client, clock = modules["adapters.key_value_store"].client(), Clock()
    with Stubber(client) as stubber:
        yield modules["adapters.key_value_store"].KeyValueStore(ARN, client, clock), stubber, clock
        stubber.assert_no_pending_responses()


def expect_read(stubber: Stubber, etag: str, value: str | None) -> None:
    counts = {"ItemCount": 1, "TotalSizeInBytes": 1}
    stubber.add_response(
        "describe_key_value_store", {"KvsARN": ARN, "Created": 0, "ETag": etag, **counts}, {"KvsARN": ARN}
    )
    if value is None:
        stubber.add_client_error("get_key", "ResourceNotFoundException", http_status_code=404)
    else:
        asked = {"KvsARN": ARN, "Key": "origins"}
        stubber.add_response("get_key", {"Key": "origins", "Value": value, **counts}, asked)


def expect_write(stubber: Stubber, value: str, before: str, after: str) -> None:
    stubber.add_response(
        "put_key",
        {"ItemCount": 1, "TotalSizeInBytes": 1, "ETag": after},
        {"KvsARN": ARN, "Key": "origins", "Value": value, "IfMatch": before},
    )


def test_the_store_is_read_once_an_hour(stubbed: tuple[Any, Stubber, Clock]) -> None:
    store, stubber, clock = stubbed
    expect_read(stubber, "v1", "[]")
    assert [store.read(), store.read()] == ["[]", "[]"]
    clock.now = 3_600
    expect_read(stubber, "v2", "[1]")
    assert store.read() == "[1]"


def test_a_write_is_on_condition_of_the_version_that_was_read(stubbed: tuple[Any, Stubber, Clock]) -> None:
    store, stubber, _ = stubbed
    expect_read(stubber, "v1", None)
    assert store.read() is None
    expect_write(stubber, "a", "v1", "v2")
    store.write("a")
    assert store.read() == "a"
    expect_write(stubber, "b", "v2", "v3")
    store.write("b")


def test_after_a_write_that_failed_the_store_is_read_again(stubbed: tuple[Any, Stubber, Clock]) -> None:
    store, stubber, _ = stubbed
    expect_read(stubber, "v1", "a")
    store.read()
    stubber.add_client_error("put_key", "ConflictException", http_status_code=409)
    with pytest.raises(ClientError, match="ConflictException"):
        store.write("b")
    expect_read(stubber, "v2", "somebody's")
    assert store.read() == "somebody's"


def test_refused_is_not_taken_for_empty(stubbed: tuple[Any, Stubber, Clock]) -> None:
    store, stubber, _ = stubbed
    stubber.add_client_error("describe_key_value_store", "AccessDeniedException", http_status_code=403)
    with pytest.raises(ClientError, match="AccessDenied"):
        store.read()


def test_the_client_signs_with_sigv4a_for_the_stores_own_host(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    sent: list[Any] = []

    class Seen(Exception):
        pass

    def see(request: Any, **_: Any) -> None:
        sent.append(request)
        raise Seen

    client = modules["adapters.key_value_store"].client()
    client.meta.events.register("before-send", see)
    with pytest.raises(Seen):
        client.put_key(KvsARN=ARN, Key="origins", Value="[]", IfMatch="v1")
    [request] = sent
    assert request.url.startswith("https://123456789012.cloudfront-kvs.global.api.aws/")
    assert b"AWS4-ECDSA-P256-SHA256" in bytes(request.headers["Authorization"])
    assert "X-Amz-Region-Set" in request.headers


# DNS: a name server on loopback.


class NameServer(threading.Thread):
    """Answers every query over UDP with the records, or with an rcode; silent with neither."""

    def __init__(self, records: Sequence[str] = (), rcode: dns.rcode.Rcode | None = None) -> None:
        super().__init__(daemon=True)
        self._records, self._rcode = records, rcode
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.start()

    def run(self) -> None:
        while True:
            query, peer = self._socket.recvfrom(0xFFFF)
            if not self._records and self._rcode is None:
                continue
            asked = dns.message.from_wire(query)
            answer = dns.message.make_response(asked)
            if self._records:
                answer.answer = [dns.rrset.from_text(asked.question[0].name, 60, "IN", "TXT", *self._records)]
            else:
                answer.set_rcode(self._rcode or dns.rcode.NOERROR)
            self._socket.sendto(answer.to_wire(), peer)


def looked_up(modules: dict[str, ModuleType], *servers: NameServer) -> Sequence[str]:
    resolvers = ",".join(server.address for server in servers)
    told = modules["directions"].read({**HEADERS, "x-origin-key": "0" * 16, "x-origin-resolvers": resolvers})
    texts: Sequence[str] = modules["adapters.txt_records"].texts(told.question)
    return texts


def test_the_strings_of_a_record_are_joined(modules: dict[str, ModuleType]) -> None:
    server = NameServer([f'"{EU[:10]}" "{EU[10:]}"', f'"{US}"'])
    assert sorted(looked_up(modules, server)) == [EU, US]


def test_a_silent_resolver_leaves_time_for_the_next(modules: dict[str, ModuleType]) -> None:
    assert looked_up(modules, NameServer(), NameServer([f'"{EU}"'])) == [EU]


@pytest.mark.parametrize(
    ("rcode", "why"),
    [(dns.rcode.NXDOMAIN, "does not exist"), (dns.rcode.SERVFAIL, "SERVFAIL"), (None, "timed out|lifetime")],
)
def test_dns_that_fails_says_why(modules: dict[str, ModuleType], rcode: dns.rcode.Rcode | None, why: str) -> None:
    with pytest.raises(modules["origins"].NoAnswer, match=why):
        looked_up(modules, NameServer(rcode=rcode))


def test_the_systems_resolvers_are_asked_when_none_are_named(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def resolve(self: dns.resolver.Resolver, name: str, kind: str, search: bool) -> None:
        asked.append((self.nameservers, name, kind))
        raise dns.resolver.NoAnswer

    monkeypatch.setattr(dns.resolver.Resolver, "resolve", resolve)
    with pytest.raises(modules["origins"].NoAnswer):
        modules["adapters.txt_records"].texts(modules["directions"].Question("origin.example.com"))
    assert asked == [(dns.resolver.Resolver().nameservers, "origin.example.com.", "TXT")]


# The handler.


@pytest.fixture
def wired(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, FakeStore]:
    """The handler with a fake store, and DNS that answers `EU`."""
    store = FakeStore()
    monkeypatch.setattr(modules["handler"], "_store", lambda arn: store)
    monkeypatch.setattr(modules["adapters.txt_records"], "texts", lambda question: [EU])
    return modules["handler"], store


def test_the_handler_reads_the_schedules_input(
    wired: tuple[Any, FakeStore], capsys: pytest.CaptureFixture[str]
) -> None:
    handler, store = wired
    answer = handler.handler({"store": ARN, "headers": HEADERS}, None)
    assert answer == {"name": "origin.example.com", "state": "changed", "origins": 1, "refused": ()}
    assert json.loads(store.value or "")[0]["host"] == EU
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["Name"], metrics["Origins"], metrics["OriginsKept"]) == ("origin.example.com", 1, 0)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Nearside"


def test_a_lookup_that_fails_is_logged_and_leaves_the_store(
    wired: tuple[Any, FakeStore],
    modules: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler, store = wired

    def fail(*_: Any) -> None:
        raise modules["origins"].NoAnswer("10.0.0.2:53 answered SERVFAIL")

    monkeypatch.setattr(modules["adapters.txt_records"], "texts", fail)
    with caplog.at_level(logging.WARNING, logger="nearside"):
        assert handler.handler({"store": ARN, "headers": HEADERS}, None)["state"] == "kept"
    assert store.written == []
    assert "origin.example.com: 10.0.0.2:53 answered SERVFAIL" in caplog.text
    assert json.loads(capsys.readouterr().out)["OriginsKept"] == 1


@pytest.mark.parametrize(
    ("headers", "message"),
    [({}, "x-dns-origin is not given"), ({**HEADERS, "x-origin-deadline": "soon"}, "x-origin-deadline is 'soon'")],
)
def test_a_wrong_input_fails_the_run(wired: tuple[Any, FakeStore], headers: dict[str, str], message: str) -> None:
    handler, _ = wired
    with pytest.raises(ValueError, match=message):
        handler.handler({"store": ARN, "headers": headers}, None)


def test_words_and_grammar_are_origin_routers_own(modules: dict[str, ModuleType]) -> None:
    for name in ("directions", "txt_origin"):
        assert Path(str(modules[name].__file__)).resolve().parent.name == "origin_router"


def test_boto3_knows_the_service() -> None:
    assert "cloudfront-keyvaluestore" in boto3.Session().get_available_services()

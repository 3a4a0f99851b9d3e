"""The world's name server: what a resolver sees of its records, its weights and its failures."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from local.dns_server import DnsServer
from local.dns_zone import APEX, FAILURES, ORIGIN_NAME, STRANGER, BadRecord, Zone
from local.server import PortInUse

EU = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com"
US = "nearside-us-east-2.s3.us-east-2.amazonaws.com"


@pytest.fixture
def server() -> Iterator[DnsServer]:
    """A name server of its own, with one record."""
    zone = Zone()
    zone.set(ORIGIN_NAME, [EU])
    with closing(DnsServer(zone, "127.0.0.1", 0)) as server:
        yield server


def ask(
    server: DnsServer, name: str = ORIGIN_NAME, kind: str = "TXT", *, tcp: bool = False, timeout: float = 2.0
) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, server.host, timeout, server.port)


def texts(answer: dns.message.Message) -> list[str]:
    return [b"".join(rdata.strings).decode() for rrset in answer.answer for rdata in rrset]


@pytest.mark.parametrize("tcp", [False, True])
def test_a_record_is_answered(server: DnsServer, *, tcp: bool) -> None:
    answer = ask(server, tcp=tcp)
    assert (answer.rcode(), texts(answer), answer.answer[0].ttl) == (dns.rcode.NOERROR, [EU], 5)
    assert answer.flags & dns.flags.AA


def test_the_case_of_a_name_is_kept_and_of_no_account(server: DnsServer) -> None:
    answer = ask(server, "OriGin.NEARside.test")
    assert str(answer.answer[0].name) == "OriGin.NEARside.test."
    assert server.zone.queries(ORIGIN_NAME) == 1


def test_texts_are_strings_of_255_bytes_or_the_given_ones(server: DnsServer) -> None:
    server.zone.set(ORIGIN_NAME, ["x" * 600, ["ab", "", "c"]], 60)
    rdatas = sorted(ask(server, tcp=True).answer[0], key=lambda rdata: len(rdata.strings[0]))
    assert [len(part) for part in rdatas[1].strings] == [255, 255, 90]
    assert rdatas[0].strings == (b"ab", b"", b"c")


def test_what_is_not_there(server: DnsServer) -> None:
    nothing = ask(server, f"nothing.{APEX}")
    assert (nothing.rcode(), nothing.authority[0].rdtype) == (dns.rcode.NXDOMAIN, dns.rdatatype.SOA)
    other_type = ask(server, kind="A")
    assert (other_type.rcode(), other_type.answer) == (dns.rcode.NOERROR, [])
    assert other_type.authority[0].rdtype == dns.rdatatype.SOA
    assert ask(server, APEX).rcode() == dns.rcode.NOERROR
    assert ask(server, "example.com").rcode() == dns.rcode.REFUSED
    server.zone.remove(ORIGIN_NAME)
    assert ask(server).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("example.com", {}, "not in nearside.test"),
        ("a..b", {}, "is no name"),
        (ORIGIN_NAME, {"texts": []}, "needs a text"),
        (ORIGIN_NAME, {"ttl_seconds": -1}, "ttl is -1"),
        (ORIGIN_NAME, {"weights": [1, 2]}, "one from 0 to 255 for each text"),
        (ORIGIN_NAME, {"weights": [256]}, "one from 0 to 255"),
        (ORIGIN_NAME, {"texts": [["x" * 256]]}, "at most 255 bytes"),
    ],
)
def test_bad_records_are_refused(server: DnsServer, name: str, given: dict[str, object], says: str) -> None:
    with pytest.raises(BadRecord, match=says):
        server.zone.set(name, **{"texts": [EU], **given})  # type: ignore[arg-type]
    assert texts(ask(server)) == [EU]


def test_a_removed_record_cannot_be_removed(server: DnsServer) -> None:
    with pytest.raises(BadRecord, match="has no records"):
        server.zone.remove(f"other.{APEX}")


def test_a_weighted_set_answers_one_record_at_a_time(server: DnsServer) -> None:
    server.zone.set(ORIGIN_NAME, [EU, US], weights=[3, 1])
    counted = Counter(text for _ in range(40) for text in texts(ask(server)))
    assert counted == {EU: 30, US: 10}
    server.zone.set(ORIGIN_NAME, [EU, US], weights=[0, 1])
    assert {text for _ in range(10) for text in texts(ask(server))} == {US}
    server.zone.set(ORIGIN_NAME, [EU, US], weights=[0, 0])  # Route 53: all of them with the same chance then
    assert Counter(text for _ in range(10) for text in texts(ask(server))) == {EU: 5, US: 5}


def test_an_unhealthy_record_of_a_weighted_set_is_left_out() -> None:
    ill: set[str] = set()
    zone = Zone(lambda text: text not in ill)
    zone.set(ORIGIN_NAME, [EU, US], weights=[1, 0])
    with closing(DnsServer(zone, "127.0.0.1", 0)) as server:
        assert texts(ask(server)) == [EU]
        ill.add(EU)
        assert texts(ask(server)) in ([EU], [US])
        zone.set(ORIGIN_NAME, [EU, US], weights=[1, 1])
        assert [texts(ask(server)) for _ in range(4)] == [[US]] * 4
        ill.add(US)
        assert sorted(texts(ask(server))[0] for _ in range(2)) == [EU, US]


def test_queries_are_counted(server: DnsServer) -> None:
    for tcp in (False, True, False):
        ask(server, tcp=tcp)
    ask(server, f"other.{APEX}")
    assert (server.zone.queries(ORIGIN_NAME), server.zone.queries()) == (3, 4)
    assert server.zone.counts() == {ORIGIN_NAME: 3, f"other.{APEX}": 1}


@pytest.mark.parametrize("tcp", [False, True])
def test_servfail_and_lies(server: DnsServer, *, tcp: bool) -> None:
    server.fail("servfail")
    assert (ask(server, tcp=tcp).rcode(), ask(server, tcp=tcp).answer) == (dns.rcode.SERVFAIL, [])
    server.fail("lie")
    answer = ask(server, tcp=tcp)
    assert {str(rrset.name) for rrset in answer.answer} == {f"elsewhere.{APEX}.", f"{ORIGIN_NAME}."}
    assert texts(answer) == [US, STRANGER]
    server.mend()
    assert texts(ask(server, tcp=tcp)) == [EU]


def test_a_truncated_answer_is_whole_over_tcp(server: DnsServer) -> None:
    server.fail("truncate")
    short = ask(server)
    assert (bool(short.flags & dns.flags.TC), short.answer) == (True, [])
    assert texts(ask(server, tcp=True)) == [EU]


def test_a_long_answer_is_truncated_by_itself(server: DnsServer) -> None:
    server.zone.set(ORIGIN_NAME, ["x" * 2000])
    assert ask(server).flags & dns.flags.TC
    assert texts(ask(server, tcp=True)) == ["x" * 2000]


@pytest.mark.parametrize("tcp", [False, True])
def test_no_answer_in_time(server: DnsServer, *, tcp: bool) -> None:
    for mode, seconds in (("timeout", None), ("slow", 30.0)):
        server.fail(mode, seconds)
        with pytest.raises(dns.exception.Timeout):
            ask(server, tcp=tcp, timeout=0.1)
    server.fail("slow", 0.1)
    started = time.monotonic()
    assert texts(ask(server, tcp=tcp)) == [EU]
    assert time.monotonic() - started >= 0.1


def test_a_slow_answer_holds_no_other_up(server: DnsServer) -> None:
    server.fail("slow", 0.3)
    started = time.monotonic()
    threads = [threading.Thread(target=ask, args=(server,), kwargs={"tcp": turn % 2 == 0}) for turn in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 1.5


def test_off_is_refused_and_comes_back_on_the_same_port(server: DnsServer) -> None:
    for _ in range(3):
        server.fail("off")
        with pytest.raises(ConnectionRefusedError):
            ask(server, tcp=True)
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
            client.settimeout(2)
            client.connect((server.host, server.port))
            client.send(dns.message.make_query(ORIGIN_NAME, "TXT").to_wire())
            with pytest.raises(ConnectionRefusedError):
                client.recv(512)
        server.mend()
        assert texts(ask(server)) == texts(ask(server, tcp=True)) == [EU]


def test_bad_failures_are_refused(server: DnsServer) -> None:
    with pytest.raises(BadRecord, match=f"expected one of {', '.join(FAILURES)}"):
        server.fail("sulk")
    with pytest.raises(BadRecord, match="seconds is 61"):
        server.fail("slow", 61)


def test_what_is_no_query(server: DnsServer) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.settimeout(2)
        client.sendto(b"\x12\x34" + b"\xff" * 20, (server.host, server.port))
        assert client.recv(512)[:2] == b"\x12\x34"
        client.sendto(b"short", (server.host, server.port))
        answer = dns.message.make_response(dns.message.make_query(ORIGIN_NAME, "TXT"))
        client.sendto(answer.to_wire(), (server.host, server.port))
    assert texts(ask(server)) == [EU]


def test_several_queries_on_one_connection(server: DnsServer) -> None:
    with closing(socket.create_connection((server.host, server.port), timeout=2)) as connection:
        for _ in range(3):
            wire = dns.message.make_query(ORIGIN_NAME, "TXT").to_wire()
            connection.sendall(struct.pack("!H", len(wire)) + wire)
            stream = connection.makefile("rb")
            answer = dns.message.from_wire(stream.read(*struct.unpack("!H", stream.read(2))))
            assert texts(answer) == [EU]


@pytest.mark.parametrize("mode", [*FAILURES, ""])
def test_it_closes_at_once_whatever_it_does(mode: str) -> None:
    before = threading.active_count()
    server = DnsServer(Zone(), "127.0.0.1", 0)
    server.zone.set(ORIGIN_NAME, [EU])
    idle = socket.create_connection((server.host, server.port))
    if mode:
        server.fail(mode)
    for tcp in (False, True):
        with pytest.raises((OSError, dns.exception.Timeout)) if mode in ("timeout", "slow", "off") else closing(idle):
            ask(server, tcp=tcp, timeout=0.05 if mode in ("timeout", "slow", "off") else 2)
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 3
    assert threading.active_count() <= before
    idle.close()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with closing(socket.socket(socket.AF_INET, kind)) as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((server.host, server.port))


def test_a_port_in_use_is_named() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1"):
            DnsServer(Zone(), "127.0.0.1", port)

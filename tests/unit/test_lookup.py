"""Lookups against a name server that tells the truth, is slow, truncates, fails and lies."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

import lookup
from lookup import Answer
from records import LookupFailed
from tests.unit import name_server
from tests.unit.name_server import NameServer, failing, serving, silent, slow, zone

NAME = "origin.nearside.test"
GOOD = zone({NAME: [["ab", "cd"]], "long.test": [["x" * 250] * 8]}, aliases={"alias.test": NAME})
TRUTH = Answer(("abcd",), 60)


@pytest.fixture
def good() -> Iterator[NameServer]:
    with serving(GOOD) as server:
        yield server


def test_one_query_one_answer(good: NameServer) -> None:
    assert lookup.resolve(NAME, [good.address], 1.0) == TRUTH
    assert good.asked == ["udp"]


def test_an_alias_is_followed(good: NameServer) -> None:
    assert lookup.resolve("alias.test", [good.address], 1.0).texts == TRUTH.texts


def test_a_truncated_answer_is_asked_for_again_over_tcp(good: NameServer) -> None:
    assert lookup.resolve("long.test", [good.address], 1.0).texts == ("x" * 2000,)
    assert good.asked == ["udp", "tcp"]


def test_a_name_that_does_not_exist_is_not_asked_for_twice(good: NameServer) -> None:
    with pytest.raises(LookupFailed, match=r"does not exist \(NXDOMAIN\)"):
        lookup.resolve("nothing.test", [good.address] * 3, 1.0)
    assert good.asked == ["udp"]


def test_a_name_without_txt_records(good: NameServer) -> None:
    with serving(failing(dns.rcode.NOERROR)) as server, pytest.raises(LookupFailed, match="no TXT record"):
        lookup.resolve(NAME, [server.address], 1.0)


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_resolver_that_fails_hands_over_at_once(rcode: dns.rcode.Rcode, good: NameServer) -> None:
    with serving(failing(rcode)) as bad:
        began = time.monotonic()
        assert lookup.resolve(NAME, [bad.address, good.address], 4.0) == TRUTH
        assert time.monotonic() - began < 0.5


def test_a_resolver_that_is_not_there_hands_over_at_once(good: NameServer) -> None:
    with serving(GOOD) as gone:
        pass
    began = time.monotonic()
    assert lookup.resolve(NAME, [gone.address, good.address], 4.0) == TRUTH
    assert time.monotonic() - began < 0.5


def test_a_silent_resolver_costs_a_part_of_the_deadline(good: NameServer) -> None:
    with serving(silent) as bad:
        began = time.monotonic()
        assert lookup.resolve(NAME, [bad.address, good.address], 1.0) == TRUTH
        assert 0.15 < time.monotonic() - began < 0.6


def test_a_late_answer_is_taken_while_the_next_resolver_is_asked() -> None:
    with serving(slow(0.4, GOOD)) as late, serving(silent) as never:
        assert lookup.resolve(NAME, [late.address, never.address], 1.0) == TRUTH


def test_a_lost_datagram_is_sent_again() -> None:
    heard: list[int] = []

    def loses_the_first(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        heard.append(query.id)
        return GOOD(query, tcp) if len(heard) > 1 else []

    with serving(loses_the_first) as server:
        assert lookup.resolve(NAME, [server.address], 0.6) == TRUTH
    assert len(set(heard)) == len(heard)  # each with an id of its own


def test_the_deadline_holds_and_every_resolver_is_named() -> None:
    with serving(silent) as never, serving(failing(dns.rcode.SERVFAIL)) as bad:
        began = time.monotonic()
        with pytest.raises(LookupFailed) as failure:
            lookup.resolve(NAME, [never.address, bad.address], 0.4)
        assert time.monotonic() - began < 0.6
        assert f"127.0.0.1:{bad.address[1]} answered SERVFAIL" in str(failure.value)
        assert f"127.0.0.1:{never.address[1]} did not answer in time" in str(failure.value)


def forged(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
    """Wrong id, another question, not an answer, rubbish: and then the truth."""
    stranger = dns.rrset.from_text(NAME + ".", 60, "IN", "TXT", "stranger")
    wrong_id = dns.message.make_response(query)
    wrong_id.id ^= 1
    wrong_id.answer.append(stranger)
    other = dns.message.make_response(dns.message.make_query("evil.test", "TXT", id=query.id))
    other.answer.append(stranger)
    no_answer = dns.message.make_response(query)
    no_answer.flags &= ~dns.flags.QR
    no_answer.answer.append(stranger)
    return [*(each.to_wire() for each in (wrong_id, other, no_answer)), b"rubbish", *GOOD(query, tcp)]


def test_forged_datagrams_are_passed_over() -> None:
    with serving(forged) as server:
        assert lookup.resolve(NAME, [server.address], 1.0) == TRUTH


def test_an_answer_about_another_name_is_no_answer() -> None:
    def lies(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        reply = dns.message.make_response(query)
        reply.answer.append(dns.rrset.from_text("evil.test.", 60, "IN", "TXT", "stranger"))
        return [reply.to_wire()]

    with serving(lies) as server, pytest.raises(LookupFailed, match="no TXT record"):
        lookup.resolve(NAME, [server.address], 0.5)


def test_an_unreadable_answer_hands_over(good: NameServer) -> None:
    def cut(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        return [GOOD(query, tcp)[0][:-3]]

    with serving(cut) as bad:
        assert lookup.resolve(NAME, [bad.address, good.address], 2.0) == TRUTH


def test_a_server_from_before_edns_is_asked_without() -> None:
    def old(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        return GOOD(query, tcp) if query.edns < 0 else failing(dns.rcode.FORMERR)(query, tcp)

    with serving(old) as server:
        assert lookup.resolve(NAME, [server.address], 1.0) == TRUTH
        assert server.asked == ["udp", "udp"]


@pytest.mark.parametrize("tcp_answer", [[], [b""], [b"short"]])
def test_a_tcp_connection_that_comes_to_nothing_hands_over(tcp_answer: list[bytes], good: NameServer) -> None:
    def answer(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return tcp_answer if tcp else [reply.to_wire()]

    with serving(answer) as bad:
        assert lookup.resolve(NAME, [bad.address, good.address], 2.0) == TRUTH


def test_truncated_over_tcp_as_well_is_a_failure() -> None:
    def always(query: dns.message.Message, tcp: bool) -> Sequence[bytes]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    with serving(always) as server, pytest.raises(LookupFailed, match="truncated its answer over TCP"):
        lookup.resolve(NAME, [server.address], 0.5)


def test_the_systems_resolvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# a comment\nsearch test\nnameserver 192.0.2.1\nnameserver 2001:db8::1 \nnameserver\n")
    monkeypatch.setattr(lookup, "RESOLV_CONF", str(conf))
    assert list(lookup.system_resolvers()) == [("192.0.2.1", 53), ("2001:db8::1", 53)]
    monkeypatch.setattr(lookup, "RESOLV_CONF", str(tmp_path / "none"))
    with pytest.raises(LookupFailed, match="there is no resolver"):
        lookup.resolve(NAME, [], 1.0)


def test_no_socket_stays_open(good: NameServer) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with serving(silent) as never:
        before = count()
        for _ in range(20):
            lookup.resolve("long.test", [good.address], 1.0)
            with pytest.raises(LookupFailed):
                lookup.resolve(NAME, [never.address], 0.02)
        assert count() < before + 10


def test_the_name_server_of_these_tests_fits_udp() -> None:
    assert name_server.zone({NAME: [["a"]]})(dns.message.make_query(NAME, "TXT"), False)

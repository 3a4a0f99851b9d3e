"""The reader and writer of DNS messages, held against dnspython's own (dns.message)."""

import contextlib

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

import messages
from messages import BadMessage, NotMine

NAME = "origin.nearside.test"


def reply(*rrsets: dns.rrset.RRset, number: int = 7, name: str = NAME) -> dns.message.Message:
    made = dns.message.make_response(dns.message.make_query(name, "TXT", id=number))
    made.answer.extend(rrsets)
    return made


def txt(*texts: str, owner: str = NAME, ttl: int = 60) -> dns.rrset.RRset:
    return dns.rrset.from_text(owner + ".", ttl, "IN", "TXT", *texts)


def cname(owner: str, target: str, ttl: int = 60) -> dns.rrset.RRset:
    return dns.rrset.from_text(owner + ".", ttl, "IN", "CNAME", target + ".")


@pytest.mark.parametrize("edns", [True, False])
def test_the_query_is_the_one_that_dnspython_writes(edns: bool) -> None:
    theirs = dns.message.make_query(NAME, "TXT", id=7, use_edns=0 if edns else False, payload=1232)
    assert messages.query(NAME, 7, edns=edns) == theirs.to_wire()


def test_strings_are_joined_and_records_are_not() -> None:
    read = messages.read(reply(txt('"ab" "cd"', '"ef"')).to_wire(), NAME, 7)
    assert (read.rcode, read.truncated, read.ttl) == (0, False, 60)
    assert sorted(read.texts) == ["abcd", "ef"]  # dnspython writes them in any order


@given(st.lists(st.lists(st.binary(max_size=255), min_size=1, max_size=4), min_size=1, max_size=5, unique_by=tuple))
def test_any_strings_are_read_as_dnspython_reads_them(strings: list[list[bytes]]) -> None:
    rows = [" ".join('"' + "".join(f"\\{byte:03}" for byte in part) + '"' for part in parts) for parts in strings]
    wire = reply(txt(*rows)).to_wire(max_size=65535)
    theirs = [b"".join(rdata.strings) for rdata in dns.message.from_wire(wire).answer[0]]
    ours = messages.read(wire, NAME, 7).texts
    assert ours == tuple(text.decode("ascii", "backslashreplace") for text in theirs)


def test_the_name_may_come_back_in_other_letters() -> None:
    made = reply(txt("ab", owner=NAME.upper()), name=NAME.title())
    assert messages.read(made.to_wire(), NAME, 7).texts == ("ab",)


def test_aliases_are_followed_and_the_shortest_ttl_counts() -> None:
    made = reply(cname(NAME, "b.test", 9), cname("b.test", "c.test", 30), txt("ab", owner="c.test"))
    assert messages.read(made.to_wire(), NAME, 7) == messages.Reply(0, truncated=False, texts=("ab",), ttl=9)


def test_the_records_of_another_name_are_not_taken() -> None:
    made = reply(cname(NAME, "b.test"), txt("stranger", owner="evil.test"), txt("x", owner="c.test"))
    assert messages.read(made.to_wire(), NAME, 7).texts == ()


def test_aliases_that_go_round_are_a_bad_message() -> None:
    with pytest.raises(BadMessage, match="aliases"):
        messages.read(reply(cname(NAME, "b.test"), cname("b.test", NAME)).to_wire(), NAME, 7)


def test_a_ttl_with_the_top_bit_is_zero() -> None:
    wire = bytearray(reply(txt("ab")).to_wire())
    at = wire.index((60).to_bytes(4))
    wire[at] = 0x80
    assert messages.read(bytes(wire), NAME, 7).ttl == 0


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\0" * 11,
        reply(txt("ab"), number=8).to_wire(),
        dns.message.make_query(NAME, "TXT", id=7).to_wire(),
        reply(name="other.test").to_wire(),
        dns.message.make_response(dns.message.make_query(NAME, "A", id=7)).to_wire(),
    ],
)
def test_what_is_no_answer_to_the_query_is_not_mine(wire: bytes) -> None:
    with pytest.raises(NotMine):
        messages.read(wire, NAME, 7)


def test_a_truncated_answer_and_an_rcode_are_told() -> None:
    made = reply()
    made.flags |= dns.flags.TC
    assert messages.read(made.to_wire(), NAME, 7).truncated
    made = reply()
    made.set_rcode(dns.rcode.SERVFAIL)
    assert messages.rcode_text(messages.read(made.to_wire(), NAME, 7).rcode) == "SERVFAIL"


def test_a_cut_answer_is_a_bad_message() -> None:
    wire = reply(txt("abcdefgh")).to_wire()
    for length in range(len(wire) - 1, 40, -1):
        with pytest.raises((BadMessage, NotMine)):
            messages.read(wire[:length], NAME, 7)


@given(st.binary(max_size=80), st.integers(0, 80))
def test_a_spoilt_answer_raises_nothing_else(noise: bytes, at: int) -> None:
    good = reply(cname(NAME, "b.test"), txt("abcdefgh", owner="b.test")).to_wire()
    with contextlib.suppress(BadMessage, NotMine):
        messages.read(good[: 2 + at] + noise + good[2 + at + len(noise) :], NAME, 7)


def test_a_name_that_is_none_is_a_bad_message() -> None:
    with pytest.raises(BadMessage):
        messages.query("a..b", 7)

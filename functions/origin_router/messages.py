"""DNS messages as a TXT lookup needs them, with dnspython's names and its reader of the wire format.

dns.message would do it too, and costs a cold start 47 ms (dns.resolver 65) where the whole of an empty one is 35; names
and reader cost 18. tests/unit/test_messages.py holds this module against dns.message.
"""

import struct
import sys
from types import ModuleType
from typing import NamedTuple

import dns

if "dns._features" not in sys.modules:
    # dnspython asks importlib.metadata, 11 ms, which of its optional companions are installed. This package has none.
    _features = ModuleType("dns._features")
    vars(_features)["have"] = lambda feature: False
    sys.modules["dns._features"] = vars(dns)["_features"] = _features

import dns.exception
import dns.name
import dns.wire

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP = 0, 1, 2, 3, 4
_RCODES = {FORMERR: "FORMERR", SERVFAIL: "SERVFAIL", NXDOMAIN: "NXDOMAIN", NOTIMP: "NOTIMP", 5: "REFUSED"}
_QR, _OPCODE, _TC, _RD, _RCODE = 0x8000, 0x7800, 0x0200, 0x0100, 0x000F
_CNAME, _TXT, _OPT, _IN = 5, 16, 41, 1
# What fits every path without fragments (https://dnsflagday.net/2020/); what does not comes truncated, and then by TCP.
UDP_PAYLOAD_BYTES = 1232
_HEADER_BYTES = 12
_MAX_ALIASES = 8
_MAX_TTL_SECONDS = 0x7FFFFFFF  # RFC 2181 8: with the top bit set it is 0

type _Name = dns.name.Name
type _Aliases = dict[_Name, tuple[int, _Name]]
type _Texts = dict[_Name, list[tuple[int, bytes]]]


class NotMine(ValueError):
    """A datagram that does not answer this query: it may be forged, so one waits on."""


class BadMessage(ValueError):
    """An answer to this query that cannot be read, or that answers something else."""


class Reply(NamedTuple):
    """What one server answered: texts and their TTL in seconds when the rcode is NOERROR and it is not truncated."""

    rcode: int
    truncated: bool
    texts: tuple[str, ...] = ()
    ttl: int = 0


def query(name: str, number: int, *, edns: bool = True) -> bytes:
    """The query for TXT records of `name` under the id `number`, recursion desired. Raises BadMessage for no name."""
    header = struct.pack("!HHHHHH", number, _RD, 1, 0, 0, int(edns))
    wire = (
        header + b"".join(bytes((len(label),)) + label for label in _name(name).labels) + struct.pack("!HH", _TXT, _IN)
    )
    return wire + struct.pack("!BHHIH", 0, _OPT, UDP_PAYLOAD_BYTES, 0, 0) if edns else wire


def read(wire: bytes, name: str, number: int) -> Reply:
    """The answer to `query(name, number)`. A CNAME is followed within the answer; TXT records of any other name are
    not taken. Raises NotMine, BadMessage."""
    if len(wire) < _HEADER_BYTES:
        raise NotMine("a datagram without a header")
    got, flags, questions, answers, _, _ = struct.unpack_from("!HHHHHH", wire)
    if got != number or not flags & _QR or flags & _OPCODE:
        raise NotMine("a datagram that is no answer to this query")
    rcode = flags & _RCODE
    try:
        parser = dns.wire.Parser(wire, _HEADER_BYTES)
        if questions or rcode != FORMERR:  # a server that cannot read the query need not repeat it
            _check_question(parser, questions, _name(name))
        if rcode != NOERROR or flags & _TC:
            return Reply(rcode, bool(flags & _TC))
        aliases, texts = _records(parser, answers)
    except (dns.exception.DNSException, struct.error, ValueError) as error:
        if isinstance(error, NotMine):
            raise
        raise BadMessage(f"an answer that cannot be read: {error!r:.100}") from error
    return _of(_name(name), aliases, texts)


def rcode_text(rcode: int) -> str:
    """`SERVFAIL`, or `rcode 23` for one of the rare ones."""
    return _RCODES.get(rcode, f"rcode {rcode}")


def _name(text: str) -> _Name:
    try:
        return dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise BadMessage(f"{text[:100]!r} is no DNS name") from error


def _check_question(parser: dns.wire.Parser, questions: int, name: _Name) -> None:
    if questions != 1 or parser.get_name(decompress=True) != name or parser.get_struct("!HH") != (_TXT, _IN):
        raise NotMine("an answer to another question")


def _records(parser: dns.wire.Parser, answers: int) -> tuple[_Aliases, _Texts]:
    aliases: _Aliases = {}
    texts: _Texts = {}
    for _ in range(answers):
        owner = parser.get_name(decompress=True)
        kind, group, ttl, length = parser.get_struct("!HHIH")
        ttl = ttl if ttl <= _MAX_TTL_SECONDS else 0
        with parser.restrict_to(length):
            if group == _IN and kind == _CNAME:
                aliases[owner] = ttl, parser.get_name(decompress=True)
            elif group == _IN and kind == _TXT:
                strings = []
                while parser.remaining():
                    strings.append(parser.get_counted_bytes())
                texts.setdefault(owner, []).append((ttl, b"".join(strings)))
            else:
                parser.get_remaining()
    return aliases, texts


def _of(name: _Name, aliases: _Aliases, texts: _Texts) -> Reply:
    """The texts of `name`, or of what it is an alias for; the TTL is the least of all that were used."""
    ttls = []
    for _ in range(_MAX_ALIASES + 1):
        if name in texts:
            ttls += [ttl for ttl, _ in texts[name]]
            # What is not ASCII is no origin; it stays readable in the reason.
            found = tuple(text.decode("ascii", "backslashreplace") for _, text in texts[name])
            return Reply(NOERROR, truncated=False, texts=found, ttl=min(ttls))
        if name not in aliases:
            return Reply(NOERROR, truncated=False)
        ttl, name = aliases[name]
        ttls.append(ttl)
    raise BadMessage(f"more than {_MAX_ALIASES} aliases")

"""The zone of the local world's name server: TXT records as in Route 53, what is wrong with it, and who asked for what.

Weighted records: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

APEX = "nearside.test"
ORIGIN_NAME = f"origin.{APEX}"
DEFAULT_TTL_SECONDS = 5
MAX_TTL_SECONDS = 2**31 - 1  # RFC 2181, 8
MAX_WEIGHT = 255  # Route 53's
SLOW_SECONDS = 10.0
STRANGER = "a-strangers-bucket.s3.eu-west-2.amazonaws.com"

type Failure = Literal["", "servfail", "timeout", "truncate", "lie", "slow", "off"]
FAILURES: tuple[Failure, ...] = get_args(Failure.__value__)[1:]

type Text = str | Sequence[str]
"""A text, to be cut into strings of 255 bytes, or the strings themselves."""

_STRING_BYTES = 255  # RFC 1035, 3.3
_apex = dns.name.from_text(APEX)


class BadRecord(ValueError):
    """A name, text or number that cannot be in the zone; the message says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """The TXT records of a name, each as its strings. With weights, one for each, an answer has one of the records."""

    name: str
    texts: tuple[tuple[bytes, ...], ...]
    ttl_seconds: int
    weights: tuple[int, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """Each record as one text, as its readers join it (RFC 7208, 3.3)."""
        return tuple(b"".join(strings).decode("utf-8", "replace") for strings in self.texts)


@dataclass(slots=True)
class _Turns:
    """Whose turn it is: every choice is as near to the weights as whole answers can be, so that a test can count."""

    owed: list[float] = field(default_factory=list)

    def next(self, weights: Sequence[int]) -> int:
        if len(self.owed) != len(weights):
            self.owed = [0.0] * len(weights)
        self.owed = [owed + weight for owed, weight in zip(self.owed, weights, strict=True)]
        chosen = max(range(len(weights)), key=lambda index: (weights[index] > 0, self.owed[index]))
        self.owed[chosen] -= sum(weights)
        return chosen


class Zone:
    """The records of `nearside.test`, changed while it is asked. `is_healthy` is Route 53's health check of a weighted
    record's text: an unhealthy one is not answered unless all are."""

    def __init__(self, is_healthy: Callable[[str], bool] = lambda _: True) -> None:
        self._is_healthy = is_healthy
        self._lock = threading.Lock()
        self._records: dict[dns.name.Name, Record] = {}
        self._turns: dict[dns.name.Name, _Turns] = {}
        self._asked: Counter[str] = Counter()
        self.failure: Failure = ""
        self.slow_seconds = SLOW_SECONDS

    def set(
        self, name: str, texts: Sequence[Text], ttl_seconds: int = DEFAULT_TTL_SECONDS, weights: Sequence[int] = ()
    ) -> Record:
        """Let the name have these TXT records and no others. Raises BadRecord."""
        key = _inside(name)
        if not texts:
            raise BadRecord("a record needs a text")
        if not 0 <= ttl_seconds <= MAX_TTL_SECONDS:
            raise BadRecord(f"ttl is {ttl_seconds}: expected seconds from 0 to {MAX_TTL_SECONDS}")
        if weights and (len(weights) != len(texts) or not all(0 <= weight <= MAX_WEIGHT for weight in weights)):
            raise BadRecord(f"weights are {list(weights)}: expected one from 0 to {MAX_WEIGHT} for each text")
        record = Record(_plain(key), tuple(map(_strings, texts)), ttl_seconds, tuple(weights))
        with self._lock:
            self._records[key] = record
            self._turns[key] = _Turns()
        return record

    def remove(self, name: str) -> None:
        """Let the name have no records. Raises BadRecord when it has none."""
        key = _inside(name)
        with self._lock:
            if key not in self._records:
                raise BadRecord(f"{_plain(key)} has no records")
            del self._records[key]

    def clear(self) -> None:
        """No records, no failure, and nobody has asked."""
        with self._lock:
            self._records.clear()
            self._asked.clear()
            self.failure, self.slow_seconds = "", SLOW_SECONDS

    def records(self) -> list[Record]:
        """All of them, by name."""
        with self._lock:
            return [self._records[name] for name in sorted(self._records)]

    def queries(self, name: str = "") -> int:
        """How often the name has been asked for since the start, over UDP and TCP; without one: how often any has."""
        with self._lock:
            return self._asked[_plain(dns.name.from_text(name))] if name else self._asked.total()

    def counts(self) -> dict[str, int]:
        """How often each name has been asked for."""
        with self._lock:
            return dict(sorted(self._asked.items()))

    def answer(self, query: dns.message.Message, *, over_tcp: bool) -> dns.message.Message | None:
        """What the name server says to the query; None: nothing at all."""
        question = query.question[0]
        with self._lock:
            self._asked[_plain(question.name)] += 1
        if self.failure == "timeout":
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        if self.failure == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif self.failure == "truncate" and not over_tcp:
            response.flags |= dns.flags.TC
        elif self.failure == "lie":
            response.answer = list(_lies(question.name))
        else:
            self._fill(response, question)
        return response

    def _fill(self, response: dns.message.Message, question: dns.rrset.RRset) -> None:
        if not question.name.is_subdomain(_apex):
            response.set_rcode(dns.rcode.REFUSED)
            return
        with self._lock:
            record = self._records.get(question.name)
            exists = any(name.is_subdomain(question.name) for name in self._records) or question.name == _apex
        if record and question.rdtype in (dns.rdatatype.TXT, dns.rdatatype.ANY):
            response.answer = [_rrset(question.name, record.ttl_seconds, self._chosen(question.name, record))]
            return
        if not exists:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority = [_soa()]  # RFC 2308, 2: how long there is no such record

    def _chosen(self, name: dns.name.Name, record: Record) -> Sequence[tuple[bytes, ...]]:
        if not record.weights:
            return record.texts
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
        every = range(len(record.texts))
        healthy = [index for index in every if self._is_healthy(record.shown[index])] or list(every)
        live = [index for index in healthy if record.weights[index]] or healthy
        with self._lock:
            turns = self._turns.setdefault(name, _Turns())
            chosen = turns.next([(record.weights[index] or 1) if index in live else 0 for index in every])
        return [record.texts[chosen]]


def _inside(name: str) -> dns.name.Name:
    try:
        found = dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise BadRecord(f"{name!r} is no name: {error}") from None
    if not found.is_subdomain(_apex):
        raise BadRecord(f"{name!r} is not in {APEX}")
    return found


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _strings(text: Text) -> tuple[bytes, ...]:
    if isinstance(text, str):
        whole = text.encode()
        starts = range(0, max(len(whole), 1), _STRING_BYTES)
        return tuple(whole[start : start + _STRING_BYTES] for start in starts)
    strings = tuple(part.encode() for part in text)
    if not strings or any(len(part) > _STRING_BYTES for part in strings):
        raise BadRecord(f"a record has strings of at most {_STRING_BYTES} bytes each")
    return strings


def _rrset(name: dns.name.Name, ttl_seconds: int, records: Sequence[tuple[bytes, ...]]) -> dns.rrset.RRset:
    rdatas = [TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings) for strings in records]
    return dns.rrset.from_rdata_list(name, ttl_seconds, rdatas)


def _soa() -> dns.rrset.RRset:
    text = f"ns.{APEX}. hostmaster.{APEX}. 1 3600 600 86400 {DEFAULT_TTL_SECONDS}"
    return dns.rrset.from_text(_apex, DEFAULT_TTL_SECONDS, dns.rdataclass.IN, dns.rdatatype.SOA, text)


def _lies(name: dns.name.Name) -> Iterator[dns.rrset.RRset]:
    """A bucket that may be named, for a name that nobody asked for, and a stranger's bucket for the one that was."""
    other = dns.name.from_text("elsewhere", _apex)
    yield _rrset(other, DEFAULT_TTL_SECONDS, [(b"nearside-us-east-2.s3.us-east-2.amazonaws.com",)])
    yield _rrset(name, DEFAULT_TTL_SECONDS, [(STRANGER.encode(),)])

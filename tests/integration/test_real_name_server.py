"""origin_router's lookup against a real name server: Debian's knot, authoritative for a zone of its own on loopback.

Not the world's server and none of dnspython's code at the other end: what is long is truncated, and goes over TCP, as
knot does it.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookup
import txt_origin
from directions import Question
from records import LookupFailed, Records

KNOTD = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
EU, US = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com", "nearside-us-east-2.s3.us-east-2.amazonaws.com"
KEY = "0123456789abcdef"
OVER_512 = [f"nearside-{number:02}.s3.eu-west-2.amazonaws.com weight={number}" for number in range(1, 13)]
OVER_1232 = [f"nearside-{number:02}.s3.eu-west-2.amazonaws.com weight={number}" for number in range(1, 61)]
CHUNKED = ",".join(OVER_512[:8])  # one record of several strings: a string has 255 bytes at most

pytestmark = pytest.mark.skipif(KNOTD is None, reason="no knotd here: apt-get install knot")

type Address = tuple[str, int]


def _chunks(text: str, size: int = 100) -> str:
    return " ".join(f'"{text[at : at + size]}"' for at in range(0, len(text), size))


def _zone() -> str:
    signature = txt_origin.signature("signed.nearside.test", EU, KEY)
    records = {
        "plain": [f'"{EU}"'],
        "weighted": [f'"{EU} weight=3"', f'"{US} weight=1"'],
        "over512": [f'"{text}"' for text in OVER_512],
        "over1232": [f'"{text}"' for text in OVER_1232],
        "chunked": [_chunks(CHUNKED)],
        "signed": [f'"{EU} sig={signature}"', f'"{US} sig={signature}"'],
        "*.wild": [f'"{US}"'],
    }
    lines = [
        "$ORIGIN nearside.test.",
        "@ 60 SOA ns hostmaster 1 60 60 60 60",
        "@ 60 NS ns",
        "ns 60 A 127.0.0.1",
        "address 60 A 192.0.2.1",
        "alias 30 CNAME plain",
    ]
    lines += [f"{name} 60 TXT {text}" for name, texts in records.items() for text in texts]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """The address of a running knot, in a folder of its own."""
    folder = tmp_path_factory.mktemp("knot")
    with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(probe.getsockname())
        address: Address = probe.getsockname()
    (folder / "nearside.test.zone").write_text(_zone())
    (folder / "knot.conf").write_text(f"""
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{address[1]}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
control:
    listen: "{folder}/knot.sock"
log:
  - target: stderr
    any: info
zone:
  - domain: nearside.test
    storage: "{folder}"
    file: nearside.test.zone
""")
    log = folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen([KNOTD or "", "-c", str(folder / "knot.conf")], stdout=said, stderr=said)
    try:
        _await_answer(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _await_answer(address: Address, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 15
    while True:
        try:
            lookup.resolve("plain.nearside.test", [address], 0.2)
            return
        except LookupFailed as error:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"knot does not answer: {error}\n{log.read_text()}")
            time.sleep(0.05)


def texts(name: str, knot: Address) -> list[str]:
    return sorted(lookup.resolve(f"{name}.nearside.test", [knot], 2.0).texts)


def test_a_plain_record_and_its_ttl(knot: Address) -> None:
    assert lookup.resolve("plain.nearside.test", [knot], 2.0) == lookup.Answer((EU,), 60)
    assert lookup.resolve("PLAIN.Nearside.test", [knot], 2.0).texts == (EU,)


def test_weighted_records(knot: Address) -> None:
    assert texts("weighted", knot) == sorted([f"{EU} weight=3", f"{US} weight=1"])


def test_more_than_512_bytes_come_by_edns(knot: Address) -> None:
    assert texts("over512", knot) == sorted(OVER_512)


def test_more_than_1232_bytes_come_over_tcp(knot: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    real = socket.socket.connect_ex

    def connect_ex(self: socket.socket, address: Address) -> int:
        used.append(self.type)
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex, raising=False)
    assert texts("over1232", knot) == sorted(OVER_1232)
    assert used == [socket.SOCK_DGRAM, socket.SOCK_STREAM]


def test_the_strings_of_a_record_are_joined(knot: Address) -> None:
    assert texts("chunked", knot) == [CHUNKED]
    assert len(txt_origin.parse(CHUNKED)) == 8


def test_aliases_and_wildcards(knot: Address) -> None:
    assert lookup.resolve("alias.nearside.test", [knot], 2.0) == lookup.Answer((EU,), 30)
    assert texts("anything.wild", knot) == [US]


def test_what_is_not_there(knot: Address) -> None:
    with pytest.raises(LookupFailed, match="NXDOMAIN"):
        texts("nothing", knot)
    with pytest.raises(LookupFailed, match="no TXT record"):
        texts("address", knot)
    with pytest.raises(LookupFailed, match="REFUSED"):
        lookup.resolve("example.org", [knot], 2.0)


def test_a_signed_record_is_used_and_a_copied_signature_is_not(knot: Address) -> None:
    records = Records(lookup.resolve, time.time)
    question = Question("signed.nearside.test", allow=("nearside-*",), keys=(KEY,), resolvers=(knot,))
    assert [origin.host for origin in records.find(question).origins] == [EU]


def test_a_dead_server_before_it_costs_little(knot: Address) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as dead:
        dead.bind(("127.0.0.1", 0))
        began = time.monotonic()
        assert lookup.resolve("plain.nearside.test", [dead.getsockname(), knot], 1.0).texts == (EU,)
        assert time.monotonic() - began < 0.6

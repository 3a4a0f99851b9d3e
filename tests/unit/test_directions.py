"""The custom headers: what they mean, what each may not be, and that a secret is never said."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import directions
from directions import BadDirection, Directions, Question

NAME = {"x-dns-origin": "origin.nearside.test"}


def test_a_name_alone_has_the_documented_defaults() -> None:
    assert directions.read(NAME) == Directions(Question("origin.nearside.test", (), (), (), 5, 300, 86400, 1.0), "", "")


def test_without_a_name_there_are_no_directions() -> None:
    assert directions.read({"x-origin-ttl": "rubbish"}) is None


def test_every_header() -> None:
    said = {
        "x-dns-origin": "Origin.Nearside.Test.",
        "x-origin-allow": "pics-*, nearside-eu-west-2",
        "x-origin-auth": "SigV4",
        "x-origin-key": "0123456789abcdef,fedcba9876543210",
        "x-origin-sticky": "cookie:Session",
        "x-origin-ttl": "1-60",
        "x-origin-stale": "0",
        "x-origin-deadline": "250",
        "x-origin-resolvers": "192.0.2.1, [2001:db8::1]:5353,192.0.2.2:54",
        "x-origin-debug": "true",
    }
    question = Question(
        "origin.nearside.test",
        ("pics-*", "nearside-eu-west-2"),
        ("0123456789abcdef", "fedcba9876543210"),
        (("192.0.2.1", 53), ("2001:db8::1", 5353), ("192.0.2.2", 54)),
        1,
        60,
        0,
        0.25,
    )
    assert directions.read(said) == Directions(question, "sigv4", "cookie:Session", True)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-dns-origin", ""),
        ("x-dns-origin", "a..b"),
        ("x-dns-origin", "a b"),
        ("x-dns-origin", "a" * 64 + ".test"),
        ("x-dns-origin", ("a" * 50 + ".") * 6 + "test"),
        ("x-dns-origin", "caf\u00e9.test"),
        ("x-origin-allow", ""),
        ("x-origin-allow", "pics-*,"),
        ("x-origin-allow", "Pics"),
        ("x-origin-allow", "pics-?"),
        ("x-origin-auth", "oac"),
        ("x-origin-key", "short"),
        ("x-origin-key", "0123456789abcdef,"),
        ("x-origin-sticky", "session"),
        ("x-origin-sticky", "cookie:"),
        ("x-origin-sticky", "header:a b"),
        ("x-origin-ttl", "5"),
        ("x-origin-ttl", "0-300"),
        ("x-origin-ttl", "300-5"),
        ("x-origin-stale", "-1"),
        ("x-origin-stale", "1e3"),
        ("x-origin-deadline", "0"),
        ("x-origin-deadline", "60000"),
        ("x-origin-resolvers", "dns.test"),
        ("x-origin-resolvers", "192.0.2.300"),
        ("x-origin-resolvers", "2001:db8::1"),
        ("x-origin-resolvers", "192.0.2.1:0"),
        ("x-origin-resolvers", "192.0.2.1:99999"),
        ("x-origin-resolvers", "[zz::1]"),
        ("x-origin-debug", "yes"),
    ],
)
def test_what_cannot_be_read_is_never_guessed(header: str, value: str) -> None:
    with pytest.raises(BadDirection, match=header):
        directions.read({**NAME, header: value})


def test_a_key_is_never_said() -> None:
    with pytest.raises(BadDirection) as error:
        directions.read({**NAME, "x-origin-key": "hunter2"})
    assert "hunter2" not in str(error.value)


@given(st.dictionaries(st.sampled_from(sorted(directions.HEADERS)), st.text(max_size=40), max_size=6))
def test_any_headers_are_read_or_refused(said: dict[str, str]) -> None:
    with contextlib.suppress(BadDirection):
        directions.read({**NAME, **said})


@pytest.mark.parametrize(("value", "debug"), [("true", True), (" TRUE ", True), ("1", False), ("", False)])
def test_debug_is_true_or_nothing(value: str, debug: bool) -> None:
    assert directions.is_debug({"x-origin-debug": value}) is debug

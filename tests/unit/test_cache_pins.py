"""The lock file: what it says, what it refuses, and that it is the same text for the same pins."""

import hashlib
import json
import os
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearside.caching.errors import BadJson, BadUri, NotPinned, PinBroken
from nearside.caching.pins import Pin, Pins

ONE = hashlib.sha256(b"one").hexdigest()
TWO = hashlib.sha256(b"two").hexdigest()
URI = "s3://data/a.json"

texts = st.text(st.characters(exclude_categories=["Cs"]))
hashes = st.binary().map(lambda each: hashlib.sha256(each).hexdigest())
any_pins = st.dictionaries(
    texts, st.builds(Pin, size=st.integers(0, 2**63 - 1), sha256=hashes, etag=texts, version_id=texts), max_size=8
)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "s3.lock"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=any_pins)
def test_what_is_written_is_what_is_read(tmp_path: Path, found: dict[str, Pin]) -> None:
    path = tmp_path / "s3.lock"
    pins = Pins(path).with_(found)
    pins.write()
    assert Pins.read(path) == pins
    assert Pins.read(path).encoded() == path.read_bytes()
    assert json.loads(path.read_bytes())["version"] == 1


@given(found=any_pins)
def test_the_text_does_not_depend_on_the_order(found: dict[str, Pin]) -> None:
    turned = dict(reversed(found.items()))
    assert Pins(Path("a")).with_(turned).encoded() == Pins(Path("b")).with_(found).encoded()


def test_the_file_has_a_line_for_each_uri_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "s3.lock"
    pins = {"s3://b/é": Pin(3, ONE), "s3://a/x": Pin(3, TWO, '"e"', "v1"), "s3://a/X": Pin(0, ONE, version_id="null")}
    Pins(path).with_(pins).write()
    assert path.read_text(encoding="utf-8") == (
        '{\n  "version": 1,\n  "pins": {\n'
        f'    "s3://a/X": {{"size":0,"sha256":"{ONE}"}},\n'
        f'    "s3://a/x": {{"size":3,"sha256":"{TWO}","etag":"\\"e\\"","version_id":"v1"}},\n'
        f'    "s3://b/é": {{"size":3,"sha256":"{ONE}"}}\n'
        "  }\n}\n"
    )


def test_a_pin_is_added_to_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "s3.lock"
    Pins(path).with_({URI: Pin(3, ONE), "s3://data/b": Pin(3, ONE)}).write()
    former = Pins.read(path)
    former.with_({URI: Pin(4, TWO)}).write()
    assert former.of(URI) == Pin(3, ONE)
    assert Pins.read(path).pins == {URI: Pin(4, TWO), "s3://data/b": Pin(3, ONE)}


def test_no_pins_are_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "s3.lock"
    Pins(path).write()
    assert path.read_text() == '{\n  "version": 1,\n  "pins": {}\n}\n'
    assert Pins.read(path).pins == {}


def test_what_is_not_pinned_names_the_uri_and_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, Pins(tmp_path).encoded())
    with pytest.raises(NotPinned) as raised:
        Pins.read(path).of("s3://data/?#//")
    assert "s3://data/?#//" in str(raised.value)
    assert str(path) in str(raised.value)
    with pytest.raises(NotPinned, match=URI):
        Pins.read(path).check(URI, 3, ONE)


def test_no_lock_file_is_not_pinned_unless_one_is_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(NotPinned, match=r"there is no lock file .*s3\.lock"):
        Pins.read(tmp_path / "s3.lock")
    assert Pins.read(tmp_path / "s3.lock", missing_ok=True) == Pins(tmp_path / "s3.lock")
    with pytest.raises(OSError, match=r"directory|denied"):  # a folder is there, but it is no file
        Pins.read(tmp_path, missing_ok=True)


def test_other_bytes_than_the_pinned_are_told_with_both_values() -> None:
    pins = Pins(Path("s3.lock")).with_({URI: Pin(3, ONE, version_id="v1")})
    pins.check(URI, 3, ONE)
    with pytest.raises(PinBroken) as raised:
        pins.check(URI, 4, TWO)
    assert all(each in str(raised.value) for each in (URI, "s3.lock", ONE, TWO, "3 bytes", "4 bytes"))
    assert raised.value.status == 409
    with pytest.raises(PinBroken, match="pinned is 3 bytes, found 4"):
        pins.check(URI, 4, ONE)


def test_the_version_null_pins_nothing(tmp_path: Path) -> None:
    assert Pin(3, ONE, version_id="null").version_id == ""
    path = written(
        tmp_path, f'{{"version": 1, "pins": {{"{URI}": {{"size":3,"sha256":"{ONE}","version_id":"null"}}}}}}'
    )
    assert Pins.read(path).of(URI) == Pin(3, ONE)


GOOD = f'{{"size":3,"sha256":"{ONE}"}}'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "Expecting value"),
        ("null", "expected"),
        ("[]", "expected"),
        ("{}", "expected"),
        ("<<<<<<< HEAD", "Expecting value"),
        ('{"version": 2, "pins": {}}', "version is 2"),
        ('{"version": true, "pins": {}}', "version is True"),
        ('{"version": "1", "pins": {}}', "version is '1'"),
        ('{"version": 1}', "pins"),
        ('{"version": 1, "pins": []}', "pins"),
        ('{"version": 1, "pins": {}, "more": 1}', "more"),
        ('{"version": 1, "pins": {}} {}', "Extra data"),
        ('{"version": 1, "pins": {"s3://b/k": 3}}', "s3://b/k"),
        ('{"version": 1, "pins": {"s3://b/k": null}}', "s3://b/k"),
        ('{"version": 1, "pins": {"s3://b/k": {"size": 3}}}', "sha256"),
        ('{"version": 1, "pins": {"s3://b/k": {"sha256": "' + ONE + '"}}}', "size"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":-1,"sha256":"{ONE}"}}}}}}', r"\$\.size"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":"3","sha256":"{ONE}"}}}}}}', r"\$\.size"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":NaN,"sha256":"{ONE}"}}}}}}', r"\$\.size"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":3,"sha256":"{ONE.upper()}"}}}}}}', r"\$\.sha256"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":3,"sha256":"{ONE}\\n"}}}}}}', r"\$\.sha256"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":3,"sha256":"{ONE}","etag":1}}}}}}', r"\$\.etag"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {{"size":3,"sha256":"{ONE}","verison_id":"v"}}}}}}', "verison_id"),
        (f'{{"version": 1, "pins": {{"s3://b/k": {GOOD}, "s3://b/k": {GOOD}}}}}', "stands twice"),
        (f'{{"version": 1, "pins": {{"\\ud800": {GOOD}}}}}', "surrogates"),
        ('{"version": 1, "pins": ' + "[" * 200_000, "is not a lock file"),
        ('{"version": 1, "pins": {"s3://b/k": {"size": ' + "9" * 5_000 + "}}}", "is not a lock file"),
        (b"\xff\xfe\x00", "codec"),
        (b"\x00" * 64, "Expecting value"),
    ],
    ids=lambda each: repr(each)[:70],
)
def test_what_is_no_lock_file_is_refused_in_words(tmp_path: Path, text: str | bytes, named: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadJson, match=named) as raised:
        Pins.read(path, missing_ok=True)
    assert str(path) in str(raised.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary())
def test_any_bytes_are_a_lock_file_or_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BadJson):
        Pins.read(written(tmp_path, text))


def test_what_cannot_be_read_back_is_not_written() -> None:
    with pytest.raises(BadUri, match="cannot be pinned"):
        Pins(Path("s3.lock")).with_({"s3://b/\udc80": Pin(3, ONE)})
    with pytest.raises(BadJson, match="sha256"):
        Pins(Path("s3.lock")).with_({URI: Pin(3, "")})
    with pytest.raises(BadJson, match="size"):
        Pins(Path("s3.lock")).with_({URI: Pin(-3, ONE)})


def test_a_write_that_fails_leaves_the_former_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s3.lock"
    Pins(path).with_({URI: Pin(3, ONE)}).write()
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Pins.read(path).with_({URI: Pin(3, TWO)}).write()
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["s3.lock"]


def test_the_file_is_whole_at_each_moment(tmp_path: Path) -> None:
    path = tmp_path / "s3.lock"
    many = Pins(path).with_({f"s3://data/{number}": Pin(number, ONE) for number in range(500)})
    many.write()

    def write_often() -> None:
        for _ in range(30):
            many.write()

    threads = [threading.Thread(target=write_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        assert Pins.read(path) == many
    for thread in threads:
        thread.join()
    assert [each.name for each in tmp_path.iterdir()] == ["s3.lock"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX has the modes and the links")
def test_the_file_is_one_that_others_may_read_and_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "s3.lock"
    link.symlink_to(tmp_path / "real" / "s3.lock")
    former = os.umask(0o022)
    try:
        Pins(link).write()
    finally:
        os.umask(former)
    assert link.is_symlink()
    assert Pins.read(link).pins == {}
    assert (tmp_path / "real" / "s3.lock").stat().st_mode & 0o777 == 0o644


def test_pins_and_a_pin_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Pin(3, ONE).size = 4  # type: ignore[misc]  # what is tried
    assert msgspec.structs.asdict(Pins(Path("s3.lock")))["pins"] == {}

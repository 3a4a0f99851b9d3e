"""The grammar of TXT records, the allow-list and the signature."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

import txt_origin
from txt_origin import BadRecord, Origin

EU = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com"
KEY = "0123456789abcdef"

labels = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])", fullmatch=True)
buckets = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda name: 3 <= len(name) <= 63)
regions = st.sampled_from(["eu-west-2", "us-east-2", "us-gov-west-1", "ap-southeast-5", "cn-north-1", "mx-central-1"])
paths = st.lists(st.from_regex(r"[a-z0-9_~!$&'()*+;=:@-]{1,9}|%2F", fullmatch=True), max_size=4).map(
    lambda parts: "".join("/" + part for part in parts)
)


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    bucket, region = draw(buckets), draw(regions)
    dual = draw(st.sampled_from(["", ".dualstack"]))
    china = ".cn" if region.startswith("cn-") else ""
    host = f"{bucket}.s3{dual}.{region}.amazonaws.com{china}"
    return Origin(bucket, region, host, draw(paths), draw(st.integers(0, 1000)))


def written(origin: Origin) -> str:
    return f"{origin.host}{origin.path} weight={origin.weight}"


@given(st.lists(origins(), min_size=1, max_size=5), st.sampled_from([",", ", ", " ,"]))
def test_what_is_written_is_read_again(made: list[Origin], comma: str) -> None:
    assert txt_origin.parse(comma.join(map(written, made))) == made


@given(origins())
def test_case_and_the_roots_dot_do_not_matter_and_weight_is_one_by_default(origin: Origin) -> None:
    text = f"{origin.host.upper()}.{origin.path}"
    assert txt_origin.parse(text) == [origin._replace(weight=1)]


@given(st.text(max_size=80) | st.text(string.printable, max_size=200))
def test_anything_else_is_a_bad_record_and_no_other_error(text: str) -> None:
    try:
        found = txt_origin.parse(text)
    except BadRecord:
        pass
    else:
        for origin in found:
            assert origin.host.startswith(origin.bucket + ".s3.")
            assert re.search(r"\.amazonaws\.com(\.cn)?\Z", origin.host)


@given(st.text("ab.s3-/%,= weightdualstackeu-west-2amazonaws.com.cn012", max_size=120))
def test_what_looks_like_a_record_is_read_or_refused(text: str) -> None:
    try:
        for origin in txt_origin.parse(text):
            assert len(origin.host) <= 128
            assert origin.path == "" or re.fullmatch(r"(/[^/]+)+", origin.path)
    except BadRecord:
        pass


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (EU + ",", "empty"),
        ("nearside.s3.amazonaws.com", "legacy name"),
        ("nearside.s3-eu-west-1.amazonaws.com", "legacy name"),
        ("nearside.s3-external-1.amazonaws.com", "legacy name"),
        ("s3.eu-west-2.amazonaws.com/nearside", "names no bucket"),
        ("nearside.s3-website.eu-west-2.amazonaws.com", "is not <bucket>"),
        ("evil.example.com", "is not <bucket>"),
        (EU + ".evil.example.com", "is not <bucket>"),
        ("nearside.s3.eu-west-2.amazonaws.com.evil.com", "is not <bucket>"),
        ("nearside.s3.eu-west-2.amazonaws.com:8080", "is not <bucket>"),
        ("user@nearside.s3.eu-west-2.amazonaws.com", "no name of a bucket"),
        ("nearside.s3.eu-west-2.amazonaws.com..", "is not <bucket>"),
        ("nearside.s3.cn-north-1.amazonaws.com", "China"),
        ("nearside.s3.eu-west-2.amazonaws.com.cn", "China"),
        ("1.2.3.4.s3.eu-west-2.amazonaws.com", "no name of a bucket"),
        ("a..b.s3.eu-west-2.amazonaws.com", "no name of a bucket"),
        ("ab.s3.eu-west-2.amazonaws.com", "no name of a bucket"),
        ("-ab.s3.eu-west-2.amazonaws.com", "no name of a bucket"),
        ("a" * 64 + ".s3.eu-west-2.amazonaws.com", "no name of a bucket"),
        ("a" * 5000 + ".s3.eu-west-2.amazonaws.com", "is not <bucket>"),
        (EU + "/", "no path"),
        (EU + "/a/", "no path"),
        (EU + "//a", "no path"),
        (EU + "/a/../b", "no path"),
        (EU + "/a/%2e%2E/b", "no path"),
        (EU + "/%zz", "no path"),
        (EU + "/a?b", "no path"),
        (EU + "/" + "a" * 255, "no path"),
        (EU + " weight=1001", "weight=0…1000"),
        (EU + " weight=-1", "weight=0…1000"),
        (EU + " weight=1 weight=2", "weight=0…1000"),
        (EU + " w=1", "weight=0…1000"),
        (EU + " sig=abc", "weight=0…1000"),
    ],
)
def test_a_refusal_says_why(text: str, why: str) -> None:
    with pytest.raises(BadRecord, match=re.escape(why)):
        txt_origin.parse(text)


def test_a_bucket_may_have_dots_and_s3_in_its_name() -> None:
    [origin] = txt_origin.parse("my.s3.eu-west-1.s3.dualstack.eu-west-2.amazonaws.com")
    assert (origin.bucket, origin.region) == ("my.s3.eu-west-1", "eu-west-2")


@pytest.mark.parametrize(
    ("patterns", "bucket", "is_allowed"),
    [
        ((), "nearside", False),
        (("nearside",), "nearside", True),
        (("nearside",), "nearside-2", False),
        (("near*",), "nearside-2", True),
        (("near*",), "near.side", False),
        (("*.nearside",), "pics.nearside", True),
        (("a.c",), "abc", False),
        (("x", "*-eu-*"), "pics-eu-west-2", True),
        (("x", "*-eu-*"), "pics-us-west-2", False),
    ],
)
def test_the_allow_list(patterns: tuple[str, ...], bucket: str, is_allowed: bool) -> None:
    assert txt_origin.allowed(bucket, patterns) is is_allowed


def test_nothing_is_allowed_by_default() -> None:
    origins, [why] = txt_origin.usable("a.test", [EU], (), ())
    assert (origins, why) == ([], "bucket nearside-eu-west-2 is not on the allow-list")


def signed(text: str, key: str = KEY, name: str = "a.test") -> str:
    return f"{text} sig={txt_origin.signature(name, text, key)}"


def test_the_signature_is_the_documented_one() -> None:
    import base64
    import hashlib
    import hmac

    expected = hmac.new(KEY.encode(), f"a.test\n{EU}".encode(), hashlib.sha256).digest()
    assert txt_origin.signature("A.test.", EU, KEY) == base64.urlsafe_b64encode(expected).decode().rstrip("=")


@pytest.mark.parametrize("key", [KEY, "another key of mine"])
def test_a_signature_by_any_key_is_good(key: str) -> None:
    text = f"{EU} weight=3"
    assert txt_origin.authentic("a.test", signed(text, key), (KEY, "another key of mine")) == text


@pytest.mark.parametrize(
    "text",
    [
        EU,
        signed(EU, name="b.test"),
        signed(EU, "a stranger's key....."),
        signed(EU) + "x",
        "x" + signed(EU),
        EU + " sig=",
    ],
)
def test_with_keys_a_record_must_be_signed_for_its_name(text: str) -> None:
    assert txt_origin.usable("a.test", [text], ("*",), (KEY,))[0] == []


def test_without_keys_a_signature_is_passed_over() -> None:
    [origin], [] = txt_origin.usable("a.test", [signed(EU)], ("*",), ())
    assert origin.host == EU


def test_records_are_taken_together_and_a_bad_one_costs_no_other() -> None:
    texts = [f"{EU} weight=2", "rubbish", EU, "strange.s3.eu-west-2.amazonaws.com"]
    origins, refusals = txt_origin.usable("a.test", texts, ("nearside-*",), ())
    assert [(origin.host, origin.weight) for origin in origins] == [(EU, 3)]
    assert len(refusals) == 2


def test_too_many_origins_are_not_taken() -> None:
    texts = [f"pics-{number}.s3.eu-west-2.amazonaws.com" for number in range(150)]
    origins, refusals = txt_origin.usable("a.test", texts, ("*",), ())
    assert len(origins) == txt_origin.MAX_ORIGINS
    assert refusals[0] == "more than 100 origins"

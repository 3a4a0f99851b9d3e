"""The gateway's verifier against botocore's and awscrt's signers: what they sign is accepted, and nothing else is."""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nearside import signing
from nearside.errors import BadRequest, NearsideError, Refused
from nearside.gateway.access_keys import AccessKey, Secret
from nearside.gateway.errors import (
    BadAuthorization,
    BadQueryAuthorization,
    InvalidArgument,
    Skewed,
    UnknownAccessKey,
    WrongSignature,
)
from nearside.gateway.s3_requests import S3Request
from nearside.gateway.signatures import Verifier
from tests.unit.gateway_requests import (
    HOST,
    KEY,
    NOW,
    SECRET,
    received,
    signed_by_header,
    signed_by_query,
    signed_by_v4a,
    verifier,
)

NOTHING = hashlib.sha256().hexdigest()

methods = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"])
# As an SDK encodes a key, and as a browser or curl may send one.
pieces = st.sampled_from(
    [
        *"/a~+()!*',=&:@$;.",
        *(
            "//",
            "%2F",
            "%2f",
            "..",
            "Z9",
            "-_",
            "%20",
            "%2B",
            "%41",
            "%7E",
            "%25",
            "%3F",
            "%23",
            quote("é日𝄞"),
            "k" * 200,
        ),
    ]
)
paths = st.lists(pieces, max_size=12).map(lambda found: "/photos/" + "".join(found))
letters = st.text(st.sampled_from("abcXYZ019-_.~ é日/+&=%*'()!:;@,$"), max_size=12)


def encoded(text: str) -> str:
    return quote(text, safe="-_.~")


# One name may come twice, one may have no value, and one not even a `=`.
pairs = st.one_of(
    st.tuples(letters.filter(bool), letters).map(lambda pair: f"{encoded(pair[0])}={encoded(pair[1])}"),
    st.sampled_from(["acl", "uploads=", "a=1", "a=2", "a=1", "a-b=1", "prefix=a%2Fb", "list-type=2", "versionId"]),
)
queries = st.lists(pairs, max_size=6).map("&".join)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30).filter(str.strip)
headers = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "x-amz-meta-a", "x-amz-meta-b", "x-amz-acl", "range", "Cache-Control"]),
        values | st.sampled_from(["a   b", "  a b  ", "a\tb", "é日 x"]),
    ),
    max_size=5,
    unique_by=lambda pair: pair[0],
)


@given(methods, paths, queries, headers, st.binary(max_size=20))
@example("GET", "/photos/a+b", "prefix=a+b&delimiter=/", [], b"")
@example("PUT", "/photos/%2F//../%2f", "a=1&a=1&a", [("x-amz-meta-a", "b"), ("x-amz-meta-a", "a  c")], b"x")
def test_what_botocore_signs_in_a_header_is_accepted(
    method: str, path: str, query: str, fields: list[tuple[str, str]], body: bytes
) -> None:
    signed = verifier().verify(signed_by_header(method, path, query, fields, body))
    assert signed.key is KEY
    assert (signed.presigned, signed.algorithm) == (False, "AWS4-HMAC-SHA256")


@given(methods, paths, queries, headers)
def test_what_botocore_presigns_is_accepted(method: str, path: str, query: str, fields: list[tuple[str, str]]) -> None:
    # botocore makes a mapping of the query, so that of two of a name the last one is left.
    signed = verifier().verify(signed_by_query(method, path, query, fields))
    assert signed.key is KEY
    assert (signed.presigned, signed.payload) == (True, "UNSIGNED-PAYLOAD")


@given(methods, paths, queries, headers, st.booleans())
@settings(max_examples=40)
def test_what_awscrt_signs_with_sigv4a_is_accepted(
    method: str, path: str, query: str, fields: list[tuple[str, str]], in_query: bool
) -> None:
    signed = verifier().verify(signed_by_v4a(method, path, query, _ascii(fields), in_query=in_query))
    assert signed.key is KEY
    assert (signed.presigned, signed.algorithm) == (in_query, "AWS4-ECDSA-P256-SHA256")


@given(st.text("abc/é +%~()", min_size=1, max_size=20), st.sampled_from(["V4", "V4a"]))
@settings(max_examples=30)
def test_what_nearside_presigns_is_accepted(key: str, kind: str) -> None:
    pair = signing.Credentials(KEY.id, SECRET)
    signer = signing.V4(pair, NOW, "eu-west-2") if kind == "V4" else signing.V4a(pair, NOW)
    url = signer.presign("GET", ("https", HOST, "/photos"), key, 60, query={"versionId": "a/b +"})
    path, _, query = url.removeprefix(f"https://{HOST}").partition("?")
    assert verifier().verify(received("GET", path, query)).key is KEY


def signed_in(way: str, method: str, path: str, query: str, fields: list[tuple[str, str]]) -> S3Request:
    if way == "header":
        return signed_by_header(method, path, query, fields)
    if way == "query":
        return signed_by_query(method, path, query, fields)
    return signed_by_v4a(method, path, query, fields, in_query=way == "v4a query")


ways = st.sampled_from(["header", "query", "v4a header", "v4a query"])


@given(ways, methods, paths, queries, headers, st.data())
@settings(max_examples=300)
def test_a_byte_that_was_changed_is_refused(
    way: str, method: str, path: str, query: str, fields: list[tuple[str, str]], data: st.DataObject
) -> None:
    good = signed_in(way, method, path, query, _ascii(fields))
    verifier().verify(good)
    with pytest.raises(NearsideError):
        verifier().verify(_changed(good, data))


def _changed(good: S3Request, data: st.DataObject) -> S3Request:
    """The request with one byte of it changed, and its meaning with it."""
    names = [name for name in good.headers if name in _signed_names(good) or name == "authorization"]
    where = data.draw(st.sampled_from(["method", "path", "query", *names]))
    at = data.draw(st.integers(0, 10_000))
    other = data.draw(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
    text = {"method": good.method, "path": good.path, "query": good.query}.get(where) or good.headers.get(where, "")
    assume(text)
    at %= len(text)
    new = text[:at] + other + text[at + 1 :]
    path, query, fields, method = good.path, good.query, dict(good.headers), good.method
    if where == "method":
        method = new
        assume(method.upper() != good.method)
    elif where == "path":
        path = new
        assume(_segments(path) != _segments(good.path))
    elif where == "query":
        query = new
        assume(_pairs(query) != _pairs(good.query))
    else:
        fields[where] = new
        assume(new.split() != text.split())
        assume(where != "authorization" or _authorization(new) != _authorization(text))
    hosts = [fields["host"]]
    return received(method, path, query, fields, good.body, hosts)


def _signed_names(request: S3Request) -> str:
    return request.headers.get("authorization", "") + request.parameters.get("X-Amz-SignedHeaders", "")


def _segments(path: str) -> list[bytes]:
    return [unquote_to_bytes(segment) for segment in path.split("/")]


def _pairs(query: str) -> list[list[bytes]]:
    found = [pair.replace("+", " ").partition("=")[::2] for pair in query.split("&")]
    return sorted([unquote_to_bytes(part) for part in pair] for pair in found)


def _authorization(text: str) -> list[str]:
    """What must not be changed of it: an unknown field may be added."""
    return [part.strip() for part in text.replace(" ", ",").split(",") if part]


def _ascii(fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value.replace("\t", " ")) for name, value in fields if value.isascii()]


fragments = st.sampled_from(
    [
        *(
            "AWS4-HMAC-SHA256",
            "AWS4-ECDSA-P256-SHA256",
            "AWS",
            " ",
            ",",
            "=",
            "/",
            ";",
            "%",
            "\ud800",
            "é",
            "\0",
            "host",
        ),
        *(
            "Credential=",
            "SignedHeaders=",
            "Signature=",
            f"{KEY.id}/20231114/us-east-1/s3/aws4_request",
            "20231114T221320Z",
        ),
        *("0" * 64, "3" * 140, "1", "-1", "604800", "*"),
    ]
)
texts = st.lists(fragments, max_size=8).map("".join)
names = st.sampled_from(
    [
        *("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Region-Set", "Content-Sha256"),
    ]
)


@given(texts, st.dictionaries(names.map(str.lower), texts), st.dictionaries(names, texts), st.booleans())
@settings(max_examples=500)
def test_no_request_makes_it_raise_anything_else(
    authorization: str, fields: dict[str, str], parameters: dict[str, str], in_query: bool
) -> None:
    request = received("GET", "/photos/a", headers={f"x-amz-{name}": value for name, value in fields.items()})
    if in_query:
        made = {f"X-Amz-{name}": value for name, value in parameters.items()}
        query = "&".join(f"{name}={value}" for name, value in made.items())
        request = msgspec.structs.replace(request, query=query, parameters=made)
    else:
        request = msgspec.structs.replace(request, headers={**request.headers, "authorization": authorization})
    with pytest.raises(NearsideError) as raised:
        verifier().verify(request)
    assert raised.value.status in (400, 403)


@pytest.mark.parametrize("way", ["header", "query", "v4a header", "v4a query"])
def test_another_secret_or_key_id_is_refused(way: str) -> None:
    request = signed_in(way, "GET", "/photos/a", "", [])
    other = AccessKey(id=KEY.id, secrets=[Secret(SECRET[:-1] + "X")])
    with pytest.raises(WrongSignature, match="Check your key and signing method"):
        verifier(other).verify(request)
    with pytest.raises(UnknownAccessKey):
        verifier(AccessKey(id="NEARSIDEZZZZZZZZZZZZ", secrets=KEY.secrets)).verify(request)


@pytest.mark.parametrize(
    "key",
    [
        msgspec.structs.replace(KEY, disabled=True),
        msgspec.structs.replace(KEY, expires=NOW),
        msgspec.structs.replace(KEY, secrets=[Secret(SECRET, NOW)]),
        msgspec.structs.replace(KEY, id="NEARSIDEZZZZZZZZZZZZ"),
    ],
)
def test_a_key_that_is_no_more_is_told_as_one_that_never_was(key: AccessKey) -> None:
    with pytest.raises(UnknownAccessKey) as raised:
        verifier(key).verify(signed_by_header("GET", "/photos/a"))
    assert str(raised.value) == "The AWS Access Key Id you provided does not exist in our records."


def test_either_secret_of_a_rotated_key_is_good_until_the_old_one_ends() -> None:
    key = AccessKey(id=KEY.id, secrets=[Secret("new"), Secret(SECRET, NOW + 1)])
    assert verifier(key).verify(signed_by_header("GET", "/photos/a")).secret == SECRET
    assert verifier(key).verify(signed_by_header("GET", "/photos/a", secret="new")).secret == "new"
    with pytest.raises(WrongSignature):
        verifier(key, now=NOW + 1).verify(signed_by_header("GET", "/photos/a"))


def test_an_id_that_cannot_be_one_is_not_looked_up() -> None:
    asked: list[str] = []
    request = signed_by_header("GET", "/photos/a", key_id="x" * 200)

    def find(key_id: str) -> AccessKey | None:
        asked.append(key_id)
        return KEY

    with pytest.raises(UnknownAccessKey):
        Verifier(find, None, lambda: NOW).verify(request)
    assert asked == []


@pytest.mark.parametrize(("seconds", "good"), [(900, True), (-900, True), (901, False), (-901, False)])
@pytest.mark.parametrize("sign", [signed_by_header, signed_by_v4a])
def test_a_clock_may_be_15_minutes_off(sign: type, seconds: int, good: bool) -> None:
    request = sign("GET", "/photos/a", now=NOW + seconds)
    if good:
        assert verifier().verify(request).key is KEY
    else:
        with pytest.raises(Skewed, match="too large"):
            verifier().verify(request)


@pytest.mark.parametrize("in_query", [False, True], ids=["SigV4", "SigV4A"])
def test_a_url_is_good_from_when_it_says_until_when_it_says(in_query: bool) -> None:
    def made(at: float) -> S3Request:
        if in_query:
            return signed_by_v4a("GET", "/photos/a", in_query=True, expires=300, now=at)
        return signed_by_query("GET", "/photos/a", expires=300, now=at)

    assert verifier(now=NOW + 300).verify(made(NOW)).presigned
    with pytest.raises(Refused, match=r"^Request has expired$"):
        verifier(now=NOW + 301).verify(made(NOW))
    assert verifier().verify(made(NOW + 900)).presigned
    with pytest.raises(Refused, match=r"^Request is not valid yet$"):
        verifier().verify(made(NOW + 901))


@pytest.mark.parametrize("expires", [1, 604_800])
def test_a_url_may_live_for_a_week(expires: int) -> None:
    assert verifier(now=NOW + expires).verify(signed_by_query("GET", "/photos/a", expires=expires)).presigned


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "1e3", "", "٣٠٠", "99999999999"])
def test_a_url_that_lives_for_longer_or_for_nothing_is_refused(expires: str) -> None:
    query = signed_by_query("GET", "/photos/a").query.replace("X-Amz-Expires=300", f"X-Amz-Expires={quote(expires)}")
    with pytest.raises(BadQueryAuthorization):
        verifier().verify(received("GET", "/photos/a", query))


@pytest.mark.parametrize("missing", ["Algorithm", "Credential", "Date", "SignedHeaders", "Expires", "Signature"])
def test_a_url_without_one_of_its_parameters_is_refused(missing: str) -> None:
    kept = [pair for pair in signed_by_query("GET", "/a").query.split("&") if not pair.startswith(f"X-Amz-{missing}")]
    with pytest.raises(BadQueryAuthorization, match="requires the X-Amz-Algorithm, X-Amz-Credential"):
        verifier().verify(received("GET", "/a", "&".join(kept)))


def test_a_second_signature_in_the_query_is_refused() -> None:
    request = signed_by_query("GET", "/photos/a")
    with pytest.raises(WrongSignature):
        verifier().verify(received("GET", "/photos/a", f"{request.query}&X-Amz-Signature={'0' * 64}"))


def test_an_unsigned_request_is_refused() -> None:
    with pytest.raises(Refused) as raised:
        verifier().verify(received("GET", "/photos/a"))
    assert (raised.value.status, raised.value.code) == (403, "AccessDenied")


def test_a_request_that_is_signed_in_both_ways_is_refused() -> None:
    by_query, by_header = signed_by_query("GET", "/photos/a"), signed_by_header("GET", "/photos/a")
    with pytest.raises(InvalidArgument, match="Only one auth mechanism allowed"):
        verifier().verify(received("GET", "/photos/a", by_query.query, by_header.headers))


def test_a_session_is_refused() -> None:
    token = [("x-amz-security-token", "abc")]
    with pytest.raises(Refused, match="session token"):
        verifier().verify(signed_by_header("GET", "/photos/a", headers=token))
    with pytest.raises(Refused, match="session token"):
        verifier().verify(signed_by_query("GET", "/photos/a", "X-Amz-Security-Token=abc"))


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("AWSAccessKeyId=AKIDEXAMPLE&Expires=1&Signature=abc%3D", {}),
        ("", {"authorization": "AWS AKIDEXAMPLE:abc="}),
    ],
)
def test_the_second_version_of_signatures_is_refused_by_name(query: str, fields: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=r"not supported. Please use AWS4-HMAC-SHA256"):
        verifier().verify(received("GET", "/photos/a", query, fields))


@pytest.mark.parametrize("sign", [signed_by_header, signed_by_query, signed_by_v4a])
@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-meta-a", "x-amz-copy-source"])
def test_what_was_put_in_on_the_way_is_refused(sign: type, name: str) -> None:
    good: S3Request = sign("PUT", "/photos/a")
    with pytest.raises(Refused, match=f"not signed: {name}"):
        verifier().verify(received("PUT", "/photos/a", good.query, {**good.headers, name: "x"}))
    added = {**good.headers, "x-amz-cf-id": "x", "x-forwarded-for": "::1", "x-amzn-trace-id": "Root=1"}
    assert verifier().verify(received("PUT", "/photos/a", good.query, added)).key is KEY


def test_the_host_must_be_signed() -> None:
    good = signed_by_header("GET", "/photos/a")
    unsigned = good.headers["authorization"].replace("SignedHeaders=host;", "SignedHeaders=")
    with pytest.raises(Refused, match="not signed: host"):
        verifier().verify(received("GET", "/photos/a", headers={**good.headers, "authorization": unsigned}))


def test_any_of_the_hosts_may_have_been_signed() -> None:
    good = signed_by_header("GET", "/photos/a")
    others = ["abc.lambda-url.eu-west-2.on.aws", HOST]
    assert verifier().verify(received("GET", "/photos/a", headers=good.headers, hosts=others)).key is KEY
    with pytest.raises(WrongSignature):
        verifier().verify(received("GET", "/photos/a", headers=good.headers, hosts=others[:1]))


def test_the_hash_of_the_body_must_be_there_in_a_header() -> None:
    good = signed_by_header("GET", "/photos/a")
    fields = {name: value for name, value in good.headers.items() if name != "x-amz-content-sha256"}
    with pytest.raises(BadRequest, match="Missing required header for this request: x-amz-content-sha256"):
        verifier().verify(received("GET", "/photos/a", headers=fields))


@pytest.mark.parametrize("way", ["header", "query"])
def test_the_region_must_be_the_verifiers_if_it_has_one(way: str) -> None:
    sign = signed_by_header if way == "header" else signed_by_query
    request = sign("GET", "/photos/a", region="eu-west-2")
    assert verifier(region="eu-west-2").verify(request).region == "eu-west-2"
    assert verifier().verify(request).region == "eu-west-2"
    with pytest.raises((BadAuthorization, BadQueryAuthorization), match="'eu-west-2' is wrong; expecting 'us-east-1'"):
        verifier(region="us-east-1").verify(request)


@pytest.mark.parametrize(("regions", "good"), [("*", True), ("us-east-1,eu-*", True), ("us-*", False)])
@pytest.mark.parametrize("in_query", [False, True])
def test_the_region_set_must_have_the_verifiers(regions: str, good: bool, in_query: bool) -> None:
    request = signed_by_v4a("GET", "/photos/a", regions=regions, in_query=in_query)
    assert verifier().verify(request).key is KEY
    if good:
        assert verifier(region="eu-west-2").verify(request).key is KEY
    else:
        with pytest.raises((BadAuthorization, BadQueryAuthorization), match="expecting one with 'eu-west-2'"):
            verifier(region="eu-west-2").verify(request)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("/s3/", "/sqs/", 'incorrect service "sqs"'),
        ("/aws4_request", "/aws5_request", 'incorrect terminal "aws5_request"'),
        ("/us-east-1/", "/us/east/1/", 'expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'),
        ("/us-east-1/", "//", "the region '' is wrong"),
        ("/us-east-1/", "/\ud800/", "is wrong"),
        ("/20231114/", "/20231115/", "This date is not the same as X-Amz-Date"),
        ("Signature=", "Signatur=", "Signature is missing"),
        ("Credential=", "Credentials=", "Credential is missing"),
        ("SignedHeaders=", "Signed=", "SignedHeaders is missing"),
    ],
)
def test_a_malformed_header_is_told_in_s3s_words(old: str, new: str, words: str) -> None:
    good = signed_by_header("GET", "/photos/a")
    assert old in good.headers["authorization"]
    fields = {**good.headers, "authorization": good.headers["authorization"].replace(old, new)}
    with pytest.raises(BadAuthorization, match=r"^The authorization header is malformed; ") as raised:
        verifier().verify(received("GET", "/photos/a", headers=fields))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer abc", "AWS4-HMAC-SHA512 Credential=a", "AWS4-HMAC-SHA256", "=,=,="]
)
def test_an_authorization_of_another_kind_is_refused(authorization: str) -> None:
    with pytest.raises(BadRequest):
        verifier().verify(received("GET", "/photos/a", headers={"authorization": authorization}))


@pytest.mark.parametrize("date", ["", "20231399T000000Z", "20231114T221320+0000", "yesterday", "\ud800"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    good = signed_by_header("GET", "/photos/a")
    with pytest.raises(Refused, match="requires a valid Date or x-amz-date header"):
        verifier().verify(received("GET", "/photos/a", headers={**good.headers, "x-amz-date": date}))


@pytest.mark.parametrize("signature", ["é" * 64, "0" * 63, "0" * 65, "0" * 64 + " ", "G" * 64, "\ud800"])
@pytest.mark.parametrize("sign", [signed_by_header, signed_by_v4a])
def test_a_signature_that_cannot_be_one_is_refused(sign: type, signature: str) -> None:
    good: S3Request = sign("GET", "/photos/a")
    head, _, _ = good.headers["authorization"].rpartition("=")
    fields = {**good.headers, "authorization": f"{head}={signature}", "x-other": "\ud800"}
    with pytest.raises(WrongSignature):
        verifier().verify(received("GET", "/photos/a", headers=fields))


@pytest.mark.parametrize(
    "date", ["Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 23:13:20 +0100", "20231114T221320Z"]
)
def test_a_client_may_sign_a_date_header_instead(date: str) -> None:
    """The text to sign has the moment as a timestamp."""
    names, scope = "date;host;x-amz-content-sha256", "20231114/us-east-1/s3/aws4_request"
    canonical = f"GET\n/photos/a\n\ndate:{date}\nhost:{HOST}\nx-amz-content-sha256:{NOTHING}\n\n{names}\n{NOTHING}"
    text = f"AWS4-HMAC-SHA256\n20231114T221320Z\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = signing.v4_key(SECRET, "20231114", "us-east-1", "s3")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={KEY.id}/{scope},SignedHeaders={names},Signature={signature}"
    fields = {"date": date, "x-amz-content-sha256": NOTHING, "authorization": authorization}
    assert verifier().verify(received("GET", "/photos/a", headers=fields)).key is KEY
    with pytest.raises(WrongSignature):
        verifier().verify(received("GET", "/photos/a", headers={**fields, "date": "20231114T221321Z"}))


def test_headers_that_are_taken_away_before_the_function_are_known_again() -> None:
    good = signed_by_header("PUT", "/photos/a", headers=[("content-length", "3")], body=b"abc")
    assert "content-length" in good.headers["authorization"]
    fields = {name: value for name, value in good.headers.items() if name != "content-length"}
    assert verifier().verify(received("PUT", "/photos/a", headers=fields, body=b"abc")).key is KEY
    with pytest.raises(WrongSignature):
        verifier().verify(received("PUT", "/photos/a", headers=fields, body=b"abcd"))


def test_expect_may_be_signed_though_no_function_is_given_it() -> None:
    names, scope, stamp = (
        "expect;host;x-amz-content-sha256;x-amz-date",
        "20231114/a/s3/aws4_request",
        "20231114T221320Z",
    )
    lines = f"expect:100-continue\nhost:{HOST}\nx-amz-content-sha256:{NOTHING}\nx-amz-date:{stamp}\n"
    digest = hashlib.sha256(f"PUT\n/photos/a\n\n{lines}\n{names}\n{NOTHING}".encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(signing.v4_key(SECRET, "20231114", "a", "s3"), text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Signature={signature}, SignedHeaders={names}, Credential={KEY.id}/{scope}"
    fields = {"x-amz-date": stamp, "x-amz-content-sha256": NOTHING, "authorization": authorization}
    assert verifier().verify(received("PUT", "/photos/a", headers=fields)).key is KEY


def test_a_path_that_is_no_text_is_refused() -> None:
    good = signed_by_header("GET", "/photos/a")
    with pytest.raises(WrongSignature):
        verifier().verify(received("GET", "/photos/\ud800", headers=good.headers))


def test_a_path_may_be_spelt_as_s3_does_or_as_it_was_sent_but_a_slash_is_one() -> None:
    good = signed_by_header("GET", "/photos/a%28b%29%2Fc", "prefix=a%2Fb%20c")
    same = received("GET", "/photos/%61(b)%2fc", "prefix=a/b+c", good.headers)
    assert verifier().verify(same).key is KEY
    for path in ("/photos/a(b)/c", "/photos%2Fa(b)%2Fc", "/photos/a(b)%252Fc", "/photos//a(b)%2Fc"):
        with pytest.raises(WrongSignature):
            verifier().verify(received("GET", path, good.query, good.headers))


def test_values_in_utf8_are_known_however_they_were_read() -> None:
    good = signed_by_header("PUT", "/photos/a", headers=[("x-amz-meta-a", "é日")])
    for value in ("é日", "é日".encode().decode("latin-1")):
        assert verifier().verify(received("PUT", "/photos/a", headers={**good.headers, "x-amz-meta-a": value}))


def test_no_secret_is_in_what_is_printed() -> None:
    signed = verifier().verify(signed_by_header("GET", "/photos/a"))
    assert SECRET not in f"{signed!r} {signed.key!r} {KEY.secrets!r}"


# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html#example-signature-calculations
EXAMPLES = [
    (
        "GET",
        "/test.txt",
        "",
        {"range": "bytes=0-9"},
        b"",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT",
        "/test$file.text",
        "",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        b"Welcome to Amazon S3.",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    ("GET", "/", "lifecycle", {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ("GET", "/", "max-keys=2&prefix=J", {}, b"", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
]
DOCUMENTED = AccessKey(id="AKIAIOSFODNN7EXAMPLE", secrets=[Secret(SECRET)])
DOCUMENTED_HOST = "examplebucket.s3.amazonaws.com"
DOCUMENTED_AT = 1_369_353_600.0


@pytest.mark.parametrize(("method", "path", "query", "fields", "body", "signature"), EXAMPLES)
def test_the_examples_of_the_documentation_are_accepted(
    method: str, path: str, query: str, fields: dict[str, str], body: bytes, signature: str
) -> None:
    sent = {**fields, "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-date": "20130524T000000Z"}
    names = ";".join(sorted([*sent, "host"]))
    scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    sent["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={names},Signature={signature}"
    request = received(method, path, query, sent, body, [DOCUMENTED_HOST])
    assert verifier(DOCUMENTED, region="us-east-1", now=DOCUMENTED_AT).verify(request).signature == signature


def test_the_presigned_example_of_the_documentation_is_accepted() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    request = received("GET", "/test.txt", query, hosts=[DOCUMENTED_HOST])
    assert verifier(DOCUMENTED, now=DOCUMENTED_AT + 86_400).verify(request).key is DOCUMENTED
    with pytest.raises(Refused, match="expired"):
        verifier(DOCUMENTED, now=DOCUMENTED_AT + 86_401).verify(request)

"""Presigned URLs against botocore's and awscrt's own signers: the same text is signed, and each verifies the other."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, quote, urlsplit

import awscrt.auth
import awscrt.http
import boto3
import botocore.credentials
import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nearside import signing
from nearside.errors import BadRequest, NoCredentials
from nearside.signing import Address, Credentials

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MRAP: Address = ("https", "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "")
BUCKET: Address = ("https", "pictures.s3.eu-west-2.amazonaws.com", "")
PLAIN = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

HARD_KEYS = (
    *("a b", "a+b", "100%", "%41", "a#b", "a?b=c", "a//b", "/a", "//", ".", "..", "../a", "a/../b", "a/./b"),
    *("~é日𝄞", "*'()!", "a\\b", "a\x00b", "k" * 1024),
)

bits = st.sampled_from([*" +%#?/.&=~é日𝄞\x01\x7faZ9", "%2F", "//", ".."])
keys = (
    st.one_of(
        st.lists(bits, min_size=1, max_size=20).map("".join),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
        st.integers(1000, 1024).map(lambda size: "k" * size),
    )
    .map(lambda key: key.encode()[:1024].decode(errors="ignore"))
    .filter(bool)
)
words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
queries = st.fixed_dictionaries(
    {},
    optional={
        "versionId": words,
        "response-content-disposition": words | st.just('attachment; filename="a b+ü.txt"'),
        "response-content-type": words,
        "response-cache-control": words,
        "partNumber": st.integers(1, 10_000).map(str),
        "uploadId": words,
    },
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "content-type": words,
        "content-length": st.integers(0, 5 * 1024**3).map(str),
        "cache-control": st.sampled_from(["no-store", "max-age=60,  immutable", "a   b "]),
        "content-disposition": words,
        "x-amz-checksum-sha256": st.just("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        "if-none-match": st.just("*"),
    },
)
secrets = st.text(st.sampled_from("abcXYZ019+/="), min_size=16, max_size=44)
credentials = st.builds(
    Credentials,
    access_key_id=st.text(st.sampled_from("ABCXYZ234567"), min_size=16, max_size=24),
    secret_access_key=secrets,
    session_token=st.just("") | st.text(st.sampled_from("abc/+=XYZ0"), min_size=1, max_size=200),
)
moments = st.floats(1_600_000_000, 2_200_000_000)
methods = st.sampled_from(["GET", "HEAD", "PUT", "DELETE"])
lifetimes = st.integers(1, signing.MAX_EXPIRES_SECONDS)
addresses = st.sampled_from([BUCKET, ("http", "127.0.0.1:3001", "/nearside-eu-west-2"), MRAP])


class HeardV4(signing.V4):
    """Remembers what it signed."""

    heard = ""

    def _sign(self, string_to_sign: bytes) -> str:
        self.heard = string_to_sign.decode()
        return super()._sign(string_to_sign)


class HeardV4a(signing.V4a):
    """Remembers what it signed."""

    heard = ""

    def _sign(self, string_to_sign: bytes) -> str:
        self.heard = string_to_sign.decode()
        return super()._sign(string_to_sign)


def boto_credentials(own: Credentials) -> botocore.credentials.Credentials:
    return botocore.credentials.Credentials(own.access_key_id, own.secret_access_key, own.session_token or None)


def unsigned_url(address: Address, key: str) -> str:
    """An object's URL as botocore's serializer writes it (botocore.utils.percent_encode with `/~`)."""
    scheme, host, prefix = address
    return f"{scheme}://{host}{prefix}/{quote(key, safe='-._~/')}"


def boto_presigned(
    auth: SigV4QueryAuth, method: str, url: str, query: Mapping[str, str], signed: Mapping[str, str], now: float
) -> tuple[str, str]:
    """botocore's URL and the text that it signed."""
    request = AWSRequest(method=method, url=url, params=dict(query), headers=dict(signed))
    heard = []
    own_signature = auth.signature

    def signature(text: str, request: AWSRequest) -> str:
        heard.append(text)
        return str(own_signature(text, request))

    moment = datetime.fromtimestamp(int(now), UTC).replace(tzinfo=None)
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=moment),
        mock.patch.object(auth, "signature", signature),
    ):
        auth.add_auth(request)
    return str(request.url), heard[0]


def sent(url: str) -> tuple[str, str, str, dict[str, list[str]]]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path, parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)


@given(credentials, moments, methods, addresses, keys, lifetimes, queries, headers)
@example(PLAIN, 1_700_000_000.9, "GET", BUCKET, "".join(HARD_KEYS[:-1]), 60, {}, {})
@settings(max_examples=150)
def test_v4_url_is_the_one_that_botocore_makes(
    own: Credentials,
    now: float,
    method: str,
    address: Address,
    key: str,
    lifetime: int,
    query: dict[str, str],
    signed: dict[str, str],
) -> None:
    signer = HeardV4(own, now, "eu-west-2")
    ours = signer.presign(method, address, key, lifetime, query=query, headers=signed)
    auth = S3SigV4QueryAuth(boto_credentials(own), "s3", "eu-west-2", expires=lifetime)
    theirs, text = boto_presigned(auth, method, unsigned_url(address, key), query, signed, now)
    assert signer.heard == text  # its last line is the hash of the canonical request
    assert sent(ours) == sent(theirs)  # signature and all


@pytest.mark.parametrize("key", HARD_KEYS)
def test_v4_hard_key_stays_in_the_path_as_botocore_writes_it(key: str) -> None:
    ours = signing.V4(PLAIN, 1_700_000_000, "eu-west-2").presign("GET", BUCKET, key, 60)
    auth = S3SigV4QueryAuth(boto_credentials(PLAIN), "s3", "eu-west-2", expires=60)
    theirs, _ = boto_presigned(auth, "GET", unsigned_url(BUCKET, key), {}, {}, 1_700_000_000)
    assert sent(ours) == sent(theirs)


@given(credentials, moments, lifetimes)
@settings(max_examples=30)
def test_v4_for_sts_is_the_url_that_botocore_makes(own: Credentials, now: float, lifetime: int) -> None:
    query = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": "arn:aws:iam::123456789012:role/a+b/c d"}
    address = ("https", "sts.eu-west-2.amazonaws.com", "")
    ours = signing.V4(own, now, "eu-west-2", "sts").presign(
        "GET", address, "", lifetime, query=query, payload_hash=EMPTY_SHA256
    )
    auth = SigV4QueryAuth(boto_credentials(own), "sts", "eu-west-2", expires=lifetime)
    theirs, _ = boto_presigned(auth, "GET", "https://sts.eu-west-2.amazonaws.com/", query, {}, now)
    assert sent(ours) == sent(theirs)


def derived_public_key(own: Credentials) -> ec.EllipticCurvePublicKey:
    """SigV4A's key by cryptography's own SP 800-108 KDF, for comparison with ours by hand."""
    for counter in range(1, 255):
        kdf = KBKDFHMAC(
            algorithm=SHA256(),
            mode=Mode.CounterMode,
            length=32,
            rlen=4,
            llen=4,
            location=CounterLocation.BeforeFixed,
            label=b"AWS4-ECDSA-P256-SHA256",
            context=own.access_key_id.encode() + bytes([counter]),
            fixed=None,
        )
        candidate = int.from_bytes(kdf.derive(b"AWS4A" + own.secret_access_key.encode()))
        if candidate <= P256_ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1()).public_key()
    raise AssertionError("no key")


def verify(public: ec.EllipticCurvePublicKey, url: str, text: str) -> None:
    [signature] = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
    public.verify(bytes.fromhex(signature), text.encode(), ec.ECDSA(SHA256()))


def crt_presigned(
    own: Credentials,
    now: float,
    method: str,
    url: str,
    lifetime: int,
    query: Mapping[str, str],
    signed: Mapping[str, str],
) -> str:
    """awscrt's SigV4A URL."""
    scheme, host, path, _ = sent(url)
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    target = f"{path}?{pairs}" if pairs else path
    request = awscrt.http.HttpRequest(method, target, awscrt.http.HttpHeaders([("host", host), *signed.items()]))
    config = awscrt.auth.AwsSigningConfig(
        algorithm=awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=awscrt.auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(
            own.access_key_id, own.secret_access_key, own.session_token or None
        ),
        region="*",
        service="s3",
        date=datetime.fromtimestamp(int(now), UTC),
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=awscrt.auth.AwsSignedBodyValue.UNSIGNED_PAYLOAD,
        signed_body_header_type=awscrt.auth.AwsSignedBodyHeaderType.NONE,
        expiration_in_seconds=lifetime,
    )
    done = awscrt.auth.aws_sign_request(request, config).result(10)
    return f"{scheme}://{host}{done.path}"


@given(credentials, moments, methods, keys, lifetimes, queries, headers)
@example(PLAIN, 1_700_000_000.9, "GET", "".join(HARD_KEYS[:-1]), 60, {"versionId": "a b"}, {})
@settings(max_examples=150)
def test_v4a_signs_the_text_that_awscrt_signs_with_the_key_that_awscrt_derives(
    own: Credentials,
    now: float,
    method: str,
    key: str,
    lifetime: int,
    query: dict[str, str],
    signed: dict[str, str],
) -> None:
    signer = HeardV4a(own, now)
    ours = signer.presign(method, MRAP, key, lifetime, query=query, headers=signed)
    theirs = crt_presigned(own, now, method, unsigned_url(MRAP, key), lifetime, query, signed)
    public = signing.v4a_key(own.access_key_id, own.secret_access_key).public_key()
    verify(public, theirs, signer.heard)  # awscrt signed our text, with our key
    verify(derived_public_key(own), ours, signer.heard)
    ours_sent, theirs_sent = sent(ours), sent(theirs)
    assert ours_sent[3].pop("X-Amz-Signature") != theirs_sent[3].pop("X-Amz-Signature")  # ECDSA is random
    assert ours_sent == theirs_sent


def test_v4a_signature_of_one_text_fits_no_other() -> None:
    signer = HeardV4a(PLAIN, 1_700_000_000)
    url = signer.presign("GET", MRAP, "a", 60)
    with pytest.raises(InvalidSignature):
        verify(derived_public_key(PLAIN), url, signer.heard + "x")


@pytest.mark.parametrize("key", ["a b+c%d#e?f//g", "/x/../é"])
def test_v4a_url_of_botos_client_on_the_mrap_arn_is_verified_with_our_key(key: str) -> None:
    own = Credentials("AKIDEXAMPLE", "secret", "to/k+en=")
    s3 = boto3.client(
        "s3",
        region_name="eu-west-2",
        aws_access_key_id=own.access_key_id,
        aws_secret_access_key=own.secret_access_key,
        aws_session_token=own.session_token,
        config=Config(s3={"addressing_style": "virtual"}),
    )
    arn = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
    theirs = s3.generate_presigned_url(
        "get_object", Params={"Bucket": arn, "Key": key, "VersionId": "v 1"}, ExpiresIn=90
    )
    scheme, host, path, query = sent(theirs)
    assert query["X-Amz-Algorithm"] == ["AWS4-ECDSA-P256-SHA256"]
    signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    signer = HeardV4a(own, signed_at)
    ours = signer.presign("GET", MRAP, key, 90, query={"versionId": "v 1"})
    verify(signing.v4a_key(own.access_key_id, own.secret_access_key).public_key(), theirs, signer.heard)
    assert sent(ours)[:3] == (scheme, host, path)


@given(credentials)
@settings(max_examples=60)
def test_v4a_key_is_the_one_of_the_key_derivation_of_sp_800_108(own: Credentials) -> None:
    ours = signing.v4a_key(own.access_key_id, own.secret_access_key).public_key()
    assert ours.public_numbers() == derived_public_key(own).public_numbers()


def test_v4a_key_tries_the_next_counter_when_a_candidate_is_out_of_range() -> None:
    tried: list[bytes] = []

    def digest(key: bytes, message: bytes, name: str) -> bytes:
        tried.append(message)
        return (P256_ORDER - 1 if len(tried) == 1 else 6).to_bytes(32)

    signing.v4a_key.cache_clear()
    with mock.patch("nearside.signing.hmac.digest", digest):
        key = signing.v4a_key("AKID", "out of range")
    signing.v4a_key.cache_clear()
    assert key.private_numbers().private_value == 7
    assert [message[-5] for message in tried] == [1, 2]


def test_derived_keys_are_cached_per_access_key_and_secret() -> None:
    assert signing.v4a_key("AKID", "one") is signing.v4a_key("AKID", "one")

    def value(access_key_id: str, secret: str) -> int:
        return signing.v4a_key(access_key_id, secret).private_numbers().private_value

    assert len({value("AKID", "one"), value("AKID", "rotated"), value("OTHER", "one")}) == 3
    assert signing.v4_key("one", "20261121", "eu-west-2", "s3") != signing.v4_key("two", "20261121", "eu-west-2", "s3")


def test_a_signer_with_a_rotated_secret_signs_with_the_new_key() -> None:
    for secret in ("before", "after"):
        own = Credentials("AKIDROTATED", secret)
        signer = HeardV4a(own, 1_700_000_000)
        url = signer.presign("GET", MRAP, "a", 60)
        verify(derived_public_key(own), url, signer.heard)


@given(asked=lifetimes, left=st.floats(-10_000, 1_000_000), now=moments)
def test_lifetime_is_the_least_of_what_is_asked_seven_days_and_the_session(asked: int, left: float, now: float) -> None:
    session = Credentials("AKID", "secret", "token", now + left)
    real_left = now + left - now  # as floats have it
    if real_left < 1:
        with pytest.raises(NoCredentials, match="ended"):
            signing.lifetime_seconds(asked, session, now)
    else:
        seconds = signing.lifetime_seconds(asked, session, now)
        assert 1 <= seconds <= min(asked, signing.MAX_EXPIRES_SECONDS)
        assert int(now) + seconds <= now + left  # X-Amz-Date has whole seconds
        assert seconds in (asked, int(real_left))


@given(asked=lifetimes, now=moments)
def test_lifetime_without_a_known_end_is_what_is_asked(asked: int, now: float) -> None:
    assert signing.lifetime_seconds(asked, PLAIN, now) == asked


@pytest.mark.parametrize("asked", [0, -1, 604_801])
def test_lifetime_outside_its_bounds_is_refused_with_the_limit(asked: int) -> None:
    with pytest.raises(BadRequest, match=rf"expires_in is {asked}.*1 to 604800"):
        signing.lifetime_seconds(asked, PLAIN, 0)


def test_credentials_do_not_show_their_secrets() -> None:
    shown: Any = repr(Credentials("AKID", "the-secret", "the-token", 5.0))
    assert "AKID" in shown
    assert "the-" not in shown

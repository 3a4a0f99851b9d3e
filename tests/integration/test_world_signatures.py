"""The world refuses what S3 refuses: presigned URLs and Authorization headers of botocore and awscrt, tampered with."""

import ast
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import local.claims
import local.payloads
import local.signatures
from local.identities import WORLD, Identity
from local.signatures import public_key
from local.world import World
from tests.conftest import MakeClient
from tests.integration.http_client import get, send
from tests.integration.signing_v4a import sign

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

KEY = "docs/guide.txt"


@pytest.fixture
def url(eu: "S3Client", world: World) -> str:
    """A good presigned GET of a sample."""
    return presigned(eu, world)


def presigned(client: "S3Client", world: World, expires: int = 300, **parameters: str) -> str:
    parameters = {"Bucket": world.buckets["eu-west-2"], "Key": KEY} | parameters
    return client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires)


def changed(url: str, name: str, value: str | None) -> str:
    """The URL with one query parameter replaced, or left out."""
    base, _, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if not pair.startswith(f"{name}=")]
    return base + "?" + "&".join(pairs + ([] if value is None else [f"{name}={quote(value, safe='')}"]))


def signed_at(monkeypatch: pytest.MonkeyPatch, world: World, at: datetime, expires: int = 300) -> str:
    """A URL that botocore signs as if it were `at`."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: at)
    request = AWSRequest("GET", f"{world.place_urls['eu-west-2']}/{world.buckets['eu-west-2']}/{KEY}")
    S3SigV4QueryAuth(_botocore(WORLD), "s3", "eu-west-2", expires=expires).add_auth(request)
    return str(request.url)


def _botocore(identity: Identity) -> Credentials:
    return Credentials(identity.access_key_id, identity.secret_access_key, identity.session_token or None)


def test_a_good_url_is_served(url: str) -> None:
    assert get(url).status == 200


def test_a_changed_signature_is_refused(url: str) -> None:
    answer = get(url[:-1] + ("0" if url[-1] != "0" else "1"))
    assert answer.code == (403, "SignatureDoesNotMatch")
    assert answer.error["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert answer.headers["content-type"] == "application/xml"


@pytest.mark.parametrize(
    "tamper",
    [
        lambda url: url.replace("guide", "guidf"),
        lambda url: url.replace("?", "?versionId=null&"),
        lambda url: changed(url, "X-Amz-Expires", "301"),
        lambda url: changed(url, "X-Amz-Date", (datetime.now(UTC) - timedelta(seconds=9)).strftime("%Y%m%dT%H%M%SZ")),
    ],
    ids=["key", "parameter", "expiry", "date"],
)
def test_a_changed_part_of_the_url_is_refused(url: str, tamper: Callable[[str], str]) -> None:
    assert get(tamper(url)).code == (403, "SignatureDoesNotMatch")


def test_another_method_is_refused(url: str) -> None:
    assert send("DELETE", url).code == (403, "SignatureDoesNotMatch")


def test_another_host_is_refused(url: str) -> None:
    assert get(url.replace("127.0.0.1", "localhost")).code == (403, "SignatureDoesNotMatch")


def test_an_expired_url_is_refused(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    answer = get(signed_at(monkeypatch, world, datetime.now(UTC) - timedelta(minutes=5), expires=60))
    assert answer.code == (403, "AccessDenied")
    assert answer.error["Message"] == "Request has expired"
    assert answer.error["Expires"] < answer.error["ServerTime"]


def test_a_url_of_the_future_is_refused(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    answer = get(signed_at(monkeypatch, world, datetime.now(UTC) + timedelta(minutes=30)))
    assert answer.code == (403, "AccessDenied")
    assert answer.error["Message"] == "Request is not valid yet"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("X-Amz-Expires", "604801", "less than 604800 seconds"),
        ("X-Amz-Expires", "soon", "should be a number"),
        ("X-Amz-Expires", "-1", "must be non-negative"),
        ("X-Amz-Expires", None, "requires the X-Amz-Algorithm"),
        ("X-Amz-Signature", None, "requires the X-Amz-Algorithm"),
        ("X-Amz-SignedHeaders", None, "requires the X-Amz-Algorithm"),
        ("X-Amz-Date", "2026-11-21", "ISO8601 Long Format"),
        ("X-Amz-Algorithm", "AWS4-HMAC-MD5", "X-Amz-Algorithm only supports"),
        ("X-Amz-Credential", "nobody", "the Credential is mal-formed"),
        ("X-Amz-Credential", f"{WORLD.access_key_id}/20200101/eu-west-2/s3/aws4_request", "Invalid credential date"),
    ],
)
def test_bad_parameters_are_refused(url: str, name: str, value: str | None, says: str) -> None:
    answer = get(changed(url, name, value))
    assert answer.code == (400, "AuthorizationQueryParametersError")
    assert says in answer.error["Message"]


@pytest.mark.parametrize(
    ("place", "says"), [("us-east-1/s3", "expecting 'eu-west-2'"), ("eu-west-2/sqs", 'belongs to "s3"')]
)
def test_a_wrong_scope_is_refused(url: str, place: str, says: str) -> None:
    today = datetime.now(UTC).strftime("%Y%m%d")
    answer = get(changed(url, "X-Amz-Credential", f"{WORLD.access_key_id}/{today}/{place}/aws4_request"))
    assert answer.code == (400, "AuthorizationQueryParametersError")
    assert says in answer.error["Message"]


def test_an_unknown_key_is_refused(client: MakeClient, world: World) -> None:
    stranger = client("eu-west-2", Identity("AKIA0000000000000000", WORLD.secret_access_key))
    answer = get(presigned(stranger, world))
    assert answer.code == (403, "InvalidAccessKeyId")
    assert answer.error["AWSAccessKeyId"] == "AKIA0000000000000000"


def test_a_session_is_accepted_until_it_ends(client: MakeClient, world: World) -> None:
    assert get(presigned(client("eu-west-2", world.identities.issue(timedelta(minutes=1))), world)).status == 200
    ended = get(presigned(client("eu-west-2", world.identities.issue(timedelta(seconds=-1))), world))
    assert ended.code == (400, "ExpiredToken")


def test_a_session_without_its_token_or_with_another_is_refused(client: MakeClient, world: World) -> None:
    session = world.identities.issue(timedelta(minutes=1))
    bare = Identity(session.access_key_id, session.secret_access_key)
    other = Identity(session.access_key_id, session.secret_access_key, "another")
    assert get(presigned(client("eu-west-2", bare), world)).code == (403, "InvalidAccessKeyId")
    assert get(presigned(client("eu-west-2", other), world)).code == (400, "InvalidToken")


def test_a_token_for_a_key_that_has_none_is_refused(client: MakeClient, world: World) -> None:
    odd = Identity(WORLD.access_key_id, WORLD.secret_access_key, "token")
    assert get(presigned(client("eu-west-2", odd), world)).code == (400, "InvalidToken")


def test_a_role_assumed_at_the_worlds_sts_may_sign(client: MakeClient, world: World) -> None:
    sts = boto3.client("sts", endpoint_url=world.aws_url, region_name="eu-west-2")
    given = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/sign", RoleSessionName="test")["Credentials"]
    role = Identity(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert get(presigned(client("eu-west-2", role), world)).status == 200


def test_an_unsigned_request_is_refused(world: World) -> None:
    answer = get(f"{world.place_urls['eu-west-2']}/{world.buckets['eu-west-2']}/{KEY}")
    assert answer.code == (403, "AccessDenied")


def test_a_signature_in_two_places_is_refused(url: str) -> None:
    assert get(url, {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}).code == (400, "InvalidArgument")


def test_signature_version_2_is_refused(world: World) -> None:
    url = f"{world.place_urls['eu-west-2']}/{world.buckets['eu-west-2']}/{KEY}"
    answer = get(f"{url}?AWSAccessKeyId={WORLD.access_key_id}&Signature=x&Expires=1")
    assert answer.code == (400, "InvalidRequest")


@pytest.mark.parametrize("header", ["x-amz-meta-colour", "x-amz-acl", "X-Amz-Security-Token"])
def test_an_amz_header_that_is_not_signed_is_refused(url: str, header: str) -> None:
    answer = get(url, {header: "red"})
    assert answer.code == (403, "AccessDenied")
    assert answer.error["HeadersNotSigned"] == header.lower()


def test_a_signed_header_must_be_sent_as_signed(eu: "S3Client", world: World) -> None:
    parameters = {"Bucket": world.buckets["eu-west-2"], "Key": "signed-header", "ContentType": "text/plain"}
    url = eu.generate_presigned_url("put_object", Params=parameters)
    assert send("PUT", url, b"x", {"Content-Type": "text/html"}).code == (403, "SignatureDoesNotMatch")
    assert send("PUT", url, b"x").code == (403, "SignatureDoesNotMatch")
    assert send("PUT", url, b"x", {"Content-Type": "text/plain"}).status == 200


def test_a_signed_length_bounds_the_upload(eu: "S3Client", world: World) -> None:
    parameters: dict[str, Any] = {"Bucket": world.buckets["eu-west-2"], "Key": "signed-length", "ContentLength": 3}
    url = eu.generate_presigned_url("put_object", Params=parameters)
    assert send("PUT", url, b"four").code == (403, "SignatureDoesNotMatch")
    assert send("PUT", url, b"two").status == 200


def header_signed(world: World, **changes: str) -> tuple[str, dict[str, str]]:
    """A GET signed by botocore in the Authorization header."""
    request = AWSRequest("GET", f"{world.place_urls['eu-west-2']}/{world.buckets['eu-west-2']}/{KEY}")
    S3SigV4Auth(_botocore(WORLD), "s3", changes.get("region", "eu-west-2")).add_auth(request)
    return str(request.url), dict(request.headers.items())


def test_an_authorization_header_is_accepted(world: World) -> None:
    assert get(*header_signed(world)).status == 200


def test_a_changed_authorization_header_is_refused(world: World) -> None:
    url, headers = header_signed(world)
    last = headers["Authorization"][-1]
    headers["Authorization"] = headers["Authorization"][:-1] + ("0" if last != "0" else "1")
    assert get(url, headers).code == (403, "SignatureDoesNotMatch")


def test_an_authorization_header_for_another_region_is_refused(world: World) -> None:
    answer = get(*header_signed(world, region="us-east-1"))
    assert answer.code == (400, "AuthorizationHeaderMalformed")
    assert answer.error["Region"] == "eu-west-2"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("Signature=", "Signatur="), "Signature is missing"),
        (("/aws4_request", ""), "the Credential is mal-formed"),
        (("/aws4_request", "/aws5_request"), 'incorrect terminal "aws5_request"'),
        (("/s3/", "/sts/"), 'incorrect service "sts"'),
        (("Credential=AKIANEARSIDELOCAL000/20", "Credential=AKIANEARSIDELOCAL000/19"), "Invalid credential date"),
    ],
)
def test_a_malformed_authorization_header_is_refused(world: World, change: tuple[str, str], says: str) -> None:
    url, headers = header_signed(world)
    answer = get(url, headers | {"Authorization": headers["Authorization"].replace(*change)})
    assert answer.code == (400, "AuthorizationHeaderMalformed")
    assert says in answer.error["Message"]


def test_a_date_header_will_do_and_none_will_not(world: World) -> None:
    request = AWSRequest("GET", f"{world.place_urls['eu-west-2']}/{world.buckets['eu-west-2']}/{KEY}")
    request.headers["Date"] = "to be set"
    S3SigV4Auth(_botocore(WORLD), "s3", "eu-west-2").add_auth(request)
    headers = dict(request.headers.items())
    assert "X-Amz-Date" not in headers
    assert get(str(request.url), headers).status == 200
    del headers["Date"]
    answer = get(str(request.url), headers)
    assert (answer.status, "valid Date or x-amz-date" in answer.error["Message"]) == (403, True)


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer x"])
def test_other_authorizations_are_refused(world: World, header: str) -> None:
    url, headers = header_signed(world)
    assert get(url, headers | {"Authorization": header}).code == (400, "InvalidArgument")


def test_a_clock_that_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime.now(UTC) - timedelta(minutes=16))
    answer = get(*header_signed(world))
    assert answer.code == (403, "RequestTimeTooSkewed")
    assert answer.error["MaxAllowedSkewMilliseconds"] == "900000"


def test_wrong_credentials_fail_in_boto3(client: MakeClient, world: World) -> None:
    liar = client("eu-west-2", Identity(WORLD.access_key_id, "not the secret"))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        liar.list_objects_v2(Bucket=world.buckets["eu-west-2"])


# SigV4A


def test_a_region_takes_sigv4a_too(world: World) -> None:
    base = f"{world.place_urls['eu-west-2']}/{world.buckets['eu-west-2']}/{KEY}"
    assert get(*sign(base)).status == 200
    answer = get(*sign(base, regions="us-*"))
    assert answer.code == (400, "AuthorizationQueryParametersError")


def test_the_access_point_takes_sigv4a_from_awscrt(world: World) -> None:
    assert get(*sign(f"{world.mrap_url}/{KEY}")).status == 200
    assert get(*sign(f"{world.mrap_url}/{KEY}", in_query=False)).status == 200
    assert get(*sign(f"{world.mrap_url}/{KEY}", identity=world.identities.issue(timedelta(minutes=1)))).status == 200


def test_the_access_point_refuses_plain_sigv4(world: World) -> None:
    request = AWSRequest("GET", f"{world.mrap_url}/{KEY}")
    S3SigV4QueryAuth(_botocore(WORLD), "s3", "us-east-1").add_auth(request)
    answer = get(str(request.url))
    assert answer.code == (400, "AuthorizationQueryParametersError")
    assert "SigV4A" in answer.error["Message"]
    request = AWSRequest("GET", f"{world.mrap_url}/{KEY}")
    S3SigV4Auth(_botocore(WORLD), "s3", "us-east-1").add_auth(request)
    answer = get(str(request.url), dict(request.headers.items()))
    assert answer.code == (400, "AuthorizationHeaderMalformed")


def test_the_access_point_refuses_what_is_changed_or_expired(world: World) -> None:
    url, _ = sign(f"{world.mrap_url}/{KEY}")
    assert get(changed(url, "X-Amz-Expires", "301")).code == (403, "SignatureDoesNotMatch")
    assert get(changed(url, "X-Amz-Region-Set", "eu-*")).code == (403, "SignatureDoesNotMatch")
    assert get(changed(url, "X-Amz-Region-Set", None)).code == (400, "AuthorizationQueryParametersError")
    assert get(changed(url, "X-Amz-Signature", "30")).code == (403, "SignatureDoesNotMatch")
    late, _ = sign(f"{world.mrap_url}/{KEY}", at=datetime.now(UTC) - timedelta(minutes=10), expires_seconds=60)
    answer = get(late)
    assert (answer.code, answer.error["Message"]) == ((403, "AccessDenied"), "Request has expired")


def test_every_byte_of_a_sigv4a_signature_counts(world: World) -> None:
    url, _ = sign(f"{world.mrap_url}/{KEY}")
    start = url.index("X-Amz-Signature=") + len("X-Amz-Signature=")
    for position in range(start, len(url), 7):
        digit = "0" if url[position] != "0" else "1"
        answer = get(url[:position] + digit + url[position + 1 :])
        assert answer.code == (403, "SignatureDoesNotMatch"), position


def test_the_access_point_refuses_unsigned_requests_and_unsigned_headers(world: World) -> None:
    assert get(f"{world.mrap_url}/{KEY}").code == (403, "AccessDenied")
    url, _ = sign(f"{world.mrap_url}/{KEY}")
    assert get(url, {"x-amz-meta-a": "b"}).error["HeadersNotSigned"] == "x-amz-meta-a"


def test_the_derived_key_is_the_one_of_the_documentation() -> None:
    """The vector of the SigV4A test suite that AWS publishes with its C implementation (aws-c-auth, key_derivation)."""
    key = public_key(Identity("AKISORANDOMAASORANDOM", "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom"))
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert point.hex()[2:] == (
        "15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb"
        "0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0"
    )


@pytest.mark.parametrize("module", [local.claims, local.signatures, local.payloads])
def test_the_verifier_does_not_use_what_it_verifies(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [name for name in imported if name.split(".")[0] == "nearside"]

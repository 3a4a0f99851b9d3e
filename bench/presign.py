"""Microseconds per presigned URL: the library and the batch handler against boto3, awscrt and the bare signature.

The peers, all in the same rounds: `cryptography`'s P-256 signature alone over a message of the same size with the same
key (the part of SigV4A that no code around it can save); awscrt's signer called directly, as botocore calls it
(botocore.crt.auth.CrtS3SigV4AsymQueryAuth); boto3's default client on the MRAP's ARN, which signs through awscrt
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequests.html).
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import awscrt.auth
import awscrt.http
import boto3
import msgspec
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from bench.parts import catalog
from bench.parts.promises import ROOT, at_least, at_most, microseconds, ratio, report, rounds, table
from nearside import signing

ROUNDS = 41
CALLS = 200  # per round and case: about 5 ms of the library
BATCH = 1_000
KEY = "users/alice/photos/2026/harbour at dusk.jpg"
ALIAS = "mfzwi23gnjvgw.mrap"
MRAP: signing.Address = ("https", f"{ALIAS}.accesspoint.s3-global.amazonaws.com", "")
BUCKET: signing.Address = ("https", "nearside-eu-west-2.s3.eu-west-2.amazonaws.com", "")
# A session's, as every Lambda's are: its token, about a thousand characters, is in each URL.
CREDENTIALS = signing.Credentials(
    "ASIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE/A+" * 50
)
NOW = datetime(2026, 11, 20, tzinfo=UTC)

ENVIRONMENT = {
    "BUCKET": "nearside-eu-west-2",
    "BUCKET_REGION": "eu-west-2",
    "REPLICAS": '[{"region":"us-east-2","bucket":"nearside-us-east-2"}]',
    "USE_MRAP": "true",
    "MRAP_ALIAS": ALIAS,
    "AUTH_MODE": "jwt",
    "ACCESS_POLICY": '[{"claim":"sub","prefixes":["users/${sub}/"],"actions":["read","write","delete"]}]',
    "AWS_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
    "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_access_key,
    "AWS_SESSION_TOKEN": CREDENTIALS.session_token,
}


def main() -> None:
    """Measures, prints and writes bench/results/presign.json."""
    with catalog.serving() as endpoint:
        os.environ.update({**ENVIRONMENT, "TABLE": catalog.NAME, "DYNAMODB_ENDPOINT": endpoint})
        measure()


def measure() -> None:
    """Everything in turns, round by round."""
    bare, library = "bare P-256 signature", "library, V4a.presign"
    fresh, batch = "library, a signer for each URL", "handler, in a batch of 1,000"
    checked = "the same, read in the catalog"
    crt, boto = "awscrt, called directly", "boto3's default client"
    measured = rounds(
        {
            bare: _each(bare_signature()),
            library: _each(library_url()),
            fresh: _each(library_with_fresh_signer),
            batch: handler_batch(check=False),
            checked: handler_batch(check=True),
            crt: _each(awscrt_url()),
            boto: _each(boto3_url(ALIAS)),
        },
        ROUNDS,
    )
    table("SigV4A, for an MRAP", "microseconds per URL", measured, bare)
    v4, boto_v4 = "library, V4.presign", "boto3's s3v4 client"
    bucket = rounds({v4: _each(library_bucket_url()), boto_v4: _each(boto3_bucket_url())}, ROUNDS)
    table("SigV4, for a bucket", "microseconds per URL", bucket, boto_v4)
    report(
        "presign",
        [
            at_most(
                "library's time per MRAP URL, in bare P-256 signatures", ratio(measured[library], measured[bare]), 1.5
            ),
            at_least("times faster than boto3 per MRAP URL", ratio(measured[boto], measured[library]), 6),
            at_most(
                "batch handler's time per URL, in bare P-256 signatures", ratio(measured[batch], measured[bare]), 2.5
            ),
            at_most(
                "batch handler's time per URL with the catalog, in bare P-256 signatures",
                ratio(measured[checked], measured[bare]),
                2.5,
            ),
        ],
    )


def _each(call: Callable[[], object]) -> Callable[[], float]:
    call()  # imports, caches and derived keys are not what is measured
    return lambda: microseconds(call, CALLS)


def bare_signature() -> Callable[[], object]:
    """Signs as many bytes as the string to sign has, with the key that SigV4A derives."""
    key = signing.v4a_key(CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key)
    string_to_sign = f"AWS4-ECDSA-P256-SHA256\n20261120T000000Z\n20261120/s3/aws4_request\n{'0' * 64}".encode()
    algorithm = ec.ECDSA(SHA256())
    return lambda: key.sign(string_to_sign, algorithm)


def library_url() -> Callable[[], object]:
    """As presign.Presigner does: one signer for the request, one call for each URL."""
    signer = signing.V4a(CREDENTIALS, NOW.timestamp())
    return lambda: signer.presign("GET", MRAP, KEY, 3600)


def library_with_fresh_signer() -> str:
    """A signer for each URL, as the client library's single calls make."""
    return signing.V4a(CREDENTIALS, NOW.timestamp()).presign("GET", MRAP, KEY, 3600)


def library_bucket_url() -> Callable[[], object]:
    """One SigV4 signer, one call for each URL."""
    signer = signing.V4(CREDENTIALS, NOW.timestamp(), "eu-west-2")
    return lambda: signer.presign("GET", BUCKET, KEY, 3600)


def handler_batch(*, check: bool) -> Callable[[], float]:
    """One event with 1,000 items of a JWT caller through functions/presign: from the event's dict to the answer's, in
    microseconds per URL. With `check` each is read in the catalog first, over HTTP on loopback (parts/catalog.py)."""
    from functions.presign.handler import handler

    event = json.loads((ROOT / "events" / "presign" / "get.json").read_text())
    items = [{"key": f"users/alice/photos/2026/{index:05} harbour.jpg", "check": check} for index in range(BATCH)]
    event["body"] = json.dumps({"items": items})
    answers = msgspec.json.decode(handler(event, None)["body"])["items"]
    routes = {answer.get("route") for answer in answers}
    if routes != {"mrap"} or len(answers) != BATCH:
        raise SystemExit(f"the batch was not answered with {BATCH} MRAP URLs: {answers[0]}")
    return lambda: microseconds(lambda: handler(event, None), 1) / BATCH


def awscrt_url() -> Callable[[], object]:
    """awscrt's query signing with S3's settings: path encoded once and not normalised, payload unsigned."""
    provider = awscrt.auth.AwsCredentialsProvider.new_static(
        CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token
    )
    path = "/" + KEY.replace(" ", "%20")

    def url() -> str:
        request = awscrt.http.HttpRequest("GET", path, awscrt.http.HttpHeaders([("host", MRAP[1])]))
        config = awscrt.auth.AwsSigningConfig(
            algorithm=awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
            signature_type=awscrt.auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
            credentials_provider=provider,
            region="*",
            service="s3",
            date=NOW,
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value="UNSIGNED-PAYLOAD",
            expiration_in_seconds=3600,
        )
        awscrt.auth.aws_sign_request(request, config).result()
        return f"https://{MRAP[1]}{request.path}"

    return url


def boto3_url(alias: str) -> Callable[[], object]:
    """boto3's client as it comes, which signs an MRAP's ARN with SigV4A."""
    s3 = _client()
    params = {"Bucket": f"arn:aws:s3::123456789012:accesspoint/{alias}", "Key": KEY}
    if "AWS4-ECDSA-P256-SHA256" not in s3.generate_presigned_url("get_object", Params=params):
        raise SystemExit("boto3 did not sign with SigV4A: is awscrt installed?")
    return lambda: s3.generate_presigned_url("get_object", Params=params, ExpiresIn=3600)


def boto3_bucket_url() -> Callable[[], object]:
    """boto3's client with SigV4, for the bucket."""
    s3 = _client(config=Config(signature_version="s3v4"))
    params = {"Bucket": "nearside-eu-west-2", "Key": KEY}
    return lambda: s3.generate_presigned_url("get_object", Params=params, ExpiresIn=3600)


def _client(**more: Any) -> Any:
    return boto3.client(
        "s3",
        region_name="eu-west-2",
        aws_access_key_id=CREDENTIALS.access_key_id,
        aws_secret_access_key=CREDENTIALS.secret_access_key,
        aws_session_token=CREDENTIALS.session_token,
        **more,
    )


if __name__ == "__main__":
    main()

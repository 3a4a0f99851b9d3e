"""The gateway: what writing to several places costs, what it costs beside the S3 server itself, memory, signatures.

Peers, all in the same rounds: the slowest of the three places asked alone; moto called directly by the same boto3
client; a copy of 10 MB; botocore signing the request that is checked.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import msgspec
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials

from bench.parts import dynamodb, places
from bench.parts.promises import ROOT, at_most, microseconds, ratio, report, rounds, table
from nearside import settings
from nearside.adapters.access_keys import AccessKeys
from nearside.gateway.access_keys import ACTIONS, AccessKey, KeyRule, Secret, StoredKey
from nearside.gateway.describing import Conditions, Described
from nearside.gateway.s3_requests import S3Request, request_of
from nearside.gateway.signatures import Verifier
from nearside.gateway_assembly import GatewayParts

SECRET = "a-secret-of-the-bench-and-of-nothing-else"
DELAYS = (0.0, 0.05, 0.2)
MIB = 1024**2
PUTS, GETS = 20, 20
ROUNDS = 9
ENVIRONMENT = {
    "BUCKET": dynamodb.BUCKET,
    "BUCKET_REGION": "eu-west-2",
    "AWS_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AUTH_MODE": "iam",
    "TABLE": dynamodb.NAME,
    "GATEWAY_SECRET": SECRET,
    "GATEWAY_QUEUE_URL": "http://127.0.0.1:9/queue",
    "GATEWAY_MAX_BODY_BYTES": "100000000",
}


def main() -> None:
    """Measures, prints and writes bench/results/gateway.json."""
    report("gateway", [*three_places(), *beside_the_server(), memory(), signatures()])


def three_places() -> list[Any]:
    """PUT of 1 MB to three places against the slowest of them alone."""
    body = secrets.token_bytes(MIB)
    with ExitStack() as stack:
        urls = [stack.enter_context(places.serving(delay)) for delay in DELAYS]
        table_url = stack.enter_context(dynamodb.serving(0))
        parts = GatewayParts(settings.load(environ=environment(table_url, urls, len(urls))))
        slowest = parts.places[f"p{len(urls) - 1}"].store
        generation = parts.writer.put("photos", f"{MIB}", body, Described(), Conditions(), None).current
        assert generation is not None

        def everywhere() -> None:
            record = parts.writer.put("photos", f"{MIB}", body, Described(), Conditions(), None)
            assert len(record.holders()) == len(DELAYS), record.copies

        def alone() -> None:
            slowest.put("photos", f"{MIB}", body, generation)

        all_three, one = "to three places at once", "to the slowest alone"
        measured = rounds({all_three: _each(everywhere, 3), one: _each(alone, 3)}, ROUNDS)
    table("PUT of 1 MB, places 0, 50 and 200 ms away", "microseconds", measured, one)
    value = ratio(measured[all_three], measured[one])
    return [at_most("PUT of 1 MB to three places, of the slowest place's time", value, 1.2)]


def beside_the_server() -> list[Any]:
    """64 KB through the gateway to one place, which is moto, against moto directly: the same client both times."""
    body = secrets.token_bytes(64 * 1024)
    with ExitStack() as stack:
        server = stack.enter_context(moto())
        table_url = stack.enter_context(dynamodb.serving(0))
        env = environment(table_url, [server], 1)
        key = prepared(env)
        through = client(stack.enter_context(gateway(env)), key.id, key.secrets[0].text)
        direct = client(server, "direct", "secret")
        for each, bucket in ((through, "photos"), (direct, "direct")):
            each.create_bucket(Bucket=bucket)
            each.put_object(Bucket=bucket, Key="read", Body=body)
        cases = {}
        for name, each, bucket in (("through the gateway", through, "photos"), ("directly", direct, "direct")):
            cases[f"PUT {name}"] = _each(_put(each, bucket, body), PUTS)
            cases[f"GET {name}"] = _each(_get(each, bucket, body), GETS)
        measured = rounds(cases, ROUNDS)
    table("64 KB, one place", "microseconds", measured, "PUT directly")
    return [
        at_most(
            f"{verb} of 64 KB, of the server's own time",
            ratio(measured[f"{verb} through the gateway"], measured[f"{verb} directly"]),
            2.0,
        )
        for verb in ("PUT", "GET")
    ]


def memory() -> Any:
    """The replicator's peak memory while it copies 5 GB, against 10 MB."""
    small, large = 10_000_000, 5_000_000_000
    with places.serving() as source, places.serving() as target:
        peaks = {size: _peak(size, source, target) for size in (small, large)}
    print(
        "\nPeak memory of a copy, MB: " + ", ".join(f"{size:,} bytes {peak / 1e6:.0f}" for size, peak in peaks.items())
    )
    return at_most("peak memory of a copy of 5 GB, of one of 10 MB", peaks[large] / peaks[small], 1.2)


def signatures() -> Any:
    """A header-signed request checked, against botocore signing it."""
    key = AccessKey(id="NEARSIDEBENCHKEY2222", secrets=[Secret("s" * 40)], rules=[], disabled=False)
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "content-type": "image/jpeg", "x-amz-meta-by": "bench"}
    url = "http://gateway.test/photos/users/alice/2026/harbour%20at%20dusk.jpg"
    signing = S3SigV4Auth(BotocoreCredentials(key.id, "s" * 40), "s3", "eu-west-2")

    def signed() -> AWSRequest:
        request = AWSRequest("PUT", url, headers=dict(headers))
        request.context["payload_signing_enabled"] = False
        signing.add_auth(request)
        return request

    request = received(signed())
    verifier = Verifier({key.id: key}.get, None, time.time)
    assert verifier.verify(request).key is key
    check, peer = "check of a signed header", "botocore signs it"
    measured = rounds({check: _each(lambda: verifier.verify(request), 500), peer: _each(signed, 100)}, 21)
    table("SigV4 in the Authorization header", "microseconds", measured, peer)
    return at_most("microseconds for the check of a signature", sorted(measured[check])[len(measured[check]) // 2], 60)


def received(sent: AWSRequest) -> S3Request:
    """The request as the gateway gets it from Lambda."""
    headers = {name.lower(): value for name, value in sent.headers.items()} | {"host": "gateway.test"}
    event = {
        "rawPath": str(sent.url).partition("gateway.test")[2],
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": sent.method}, "requestId": "1"},
        "isBase64Encoded": False,
    }
    return request_of(event, ())


def environment(table_url: str, urls: list[str], required: int) -> Mapping[str, str]:
    """The gateway's variables for places at these addresses."""
    backends = [
        {
            "name": f"p{number}",
            "provider": "other",
            "zone_code": f"z{number}",
            "region": "eu-west-2",
            "endpoint_url": url,
            "is_primary": number == 0,
        }
        for number, url in enumerate(urls)
    ]
    configuration = {"backends": backends, "replication": {"required_replicas": required, "async_upload": True}}
    return {**ENVIRONMENT, "DYNAMODB_ENDPOINT": table_url, "BACKENDS": msgspec.json.encode(configuration).decode()}


def prepared(env: Mapping[str, str]) -> AccessKey:
    """A key that may do everything, put where the gateway looks for it."""
    parts = GatewayParts(settings.load(environ=env))
    rule = KeyRule(buckets=["*"], actions=ACTIONS)
    return AccessKeys(parts.wire, SECRET).add(StoredKey(id="NEARSIDEBENCHKEY2222", rules=[rule], created=1))


def client(url: str, key_id: str, secret: str) -> Any:
    """boto3's S3 client for the endpoint."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )


@contextmanager
def moto() -> Iterator[str]:
    """moto's server in a process of its own."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, os.environ, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def gateway(env: Mapping[str, str]) -> Iterator[str]:
    """The gateway in a process of its own, behind the local world's Function URL."""
    port = _free_port()
    command = [sys.executable, "-m", "local", "gateway", "--port", str(port), "--no-limits"]
    with _running(command, {**os.environ, **env}, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def _running(command: list[str], env: Mapping[str, str], url: str) -> Iterator[str]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(200):
            try:
                urlopen(url, timeout=1).close()
            except URLError as error:
                if isinstance(error.reason, ConnectionRefusedError):
                    time.sleep(0.1)
                    continue
            break
        yield url
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _peak(size: int, source: str, target: str) -> int:
    command = [sys.executable, "-m", "bench.parts.copied", str(size), source, target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


def _put(s3: Any, bucket: str, body: bytes) -> Callable[[], object]:
    return lambda: s3.put_object(Bucket=bucket, Key="written", Body=body)


def _get(s3: Any, bucket: str, body: bytes) -> Callable[[], object]:
    def get() -> None:
        assert len(s3.get_object(Bucket=bucket, Key="read")["Body"].read()) == len(body)

    return get


def _each(call: Callable[[], object], calls: int) -> Callable[[], float]:
    return lambda: microseconds(call, calls)


if __name__ == "__main__":
    main()

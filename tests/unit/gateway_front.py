"""The gateway in this process: its front over the real core in memory, and boto3 as a client without a network.

So what botocore signs and sends is what the front reads, and botocore's own parsers read what it answers.
"""

import base64
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config

from nearside.gateway.access_keys import AccessKey, KeyRule, Secret
from nearside.gateway.buckets import Buckets
from nearside.gateway.calls import Core
from nearside.gateway.front import Front
from nearside.gateway.listings import Listings
from nearside.gateway.parts import PartsOf
from nearside.gateway.places import Places, Promise
from nearside.gateway.reading import Reader
from nearside.gateway.records import Bucket
from nearside.gateway.signatures import Verifier
from nearside.gateway.spreading import Spreader
from nearside.gateway.staging import Staging
from nearside.gateway.uploading import Uploads
from nearside.gateway.writing import Writer
from tests.unit.gateway_memory import Clock, MemoryRecords, MemoryStore, MemoryUploads, leases_of, places_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOST = "gateway.example.com"
BUCKET = "photos"
MAX_BODY_BYTES = 100_000
EVERYTHING = KeyRule(buckets=["*"], actions=["read", "write", "delete", "list", "admin"])
_numbers = itertools.count(1)


def access_key(*rules: KeyRule) -> AccessKey:
    """A key of its own with these rules, or one for everything."""
    return AccessKey(id=f"NEARSIDETEST{next(_numbers):08}", secrets=[Secret("s" * 40)], rules=rules or (EVERYTHING,))


ADMIN = access_key()


class Body(BytesIO):
    """What botocore wants of an answer: urllib3's `stream`."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        while chunk := self.read(65_536):
            yield chunk


@dataclass
class Gateway:
    """Two places with versions and one without, a catalog, and the front."""

    clock: Clock = field(default_factory=Clock)
    domains: Sequence[str] = (HOST,)
    keys: dict[str, AccessKey] = field(default_factory=lambda: {ADMIN.id: ADMIN})
    last: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores = [MemoryStore(name, versions=name != "c", clock=self.clock) for name in "abc"]
        self.records, self.staged = MemoryRecords(), MemoryUploads()
        self.places: Places = places_of(self.stores, self.clock)
        self.promise = Promise(required_replicas=2)
        leases, spread = leases_of(self.records, self.clock), Spreader(self.places)
        parts = PartsOf(self.staged, self.places)
        self.queued: list[tuple[str, str]] = []
        reader = Reader(leases, self.places, parts, self.queue)
        writer = Writer(leases, spread, self.promise, self.queue)
        self.core = Core(
            writer=writer,
            reader=reader,
            uploads=self._uploads(writer, reader, spread),
            buckets=Buckets(self.records, self.staged, spread, self.clock),
            listings=Listings(self.records),
            places=self.places,
            promise=self.promise,
            max_body_bytes=MAX_BODY_BYTES,
        )
        self.front = Front(Verifier(self.keys.get, None, time.time), self.core, self.domains)
        self.records.put_bucket(Bucket(BUCKET, 1_750_000_000_000))
        for store in self.stores:
            store.buckets[BUCKET] = {}

    def _uploads(self, writer: Writer, reader: Reader, spread: Spreader) -> Uploads:
        staging = Staging(spread, self.promise, self.clock)
        return Uploads(self.records, self.staged, staging, writer, reader, self.places, self.clock)

    def queue(self, bucket: str, key: str) -> None:
        self.queued.append((bucket, key))

    def client(self, key: AccessKey = ADMIN, **config: Any) -> "S3Client":
        """boto3, whose requests come here."""
        self.keys[key.id] = key
        client = boto3.client(
            "s3",
            region_name="eu-west-2",
            endpoint_url=f"https://{HOST}",
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secrets[0].text,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
        )
        client.meta.events.register("before-send.s3", self.send)  # type: ignore[arg-type]  # the stubs know no answers
        return client

    def send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """What a network and a Function URL do."""
        body: Any = request.body
        if hasattr(body, "read"):
            body = body.read()
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        self.sent = event(str(request.method), str(request.url), headers, body or b"")
        return self.answered(self.sent, str(request.url))

    def answered(self, sent: Mapping[str, Any], url: str = "") -> AWSResponse:
        """The answer to an event, as botocore takes it."""
        self.last = self.front(sent)
        body = self.last["body"]
        raw = base64.b64decode(body) if self.last["isBase64Encoded"] else body.encode()
        headers = {"content-length": str(len(raw)), **self.last["headers"]}
        return AWSResponse(url, self.last["statusCode"], HeadersDict(headers), Body(raw))  # type: ignore[arg-type]  # as botocore does


def event(method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> dict[str, Any]:
    """A Function URL's event."""
    parts = urlsplit(url)
    return {
        "version": "2.0",
        "rawPath": parts.path or "/",
        "rawQueryString": parts.query,
        "headers": {"host": parts.netloc or HOST, **{name.lower(): value for name, value in (headers or {}).items()}},
        "requestContext": {"http": {"method": method}, "requestId": "5f0d3f4c"},
        "body": base64.b64encode(body).decode("ascii"),
        "isBase64Encoded": True,
    }

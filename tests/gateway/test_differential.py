"""Random operations against moto directly and through the gateway: what moto answers rightly, the gateway does too.

What moto answers otherwise than S3 (`quirks.py`) is not asked.
"""

import os
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.s3 import models

from tests.gateway.endpoints import Endpoint, made_bucket, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OPERATIONS = int(os.environ.get("DIFFERENTIAL_OPERATIONS", "1000"))
KEYS = ("a", "b/1", "b/2", "b c+d%/ü", "z?#&=", "long/" + "x" * 300)
TAGGED = "tagged"  # is not copied to and not deleted: in moto tags stay behind, and those of a copy are added
ALGORITHMS = ("CRC32", "SHA1", "SHA256", "CRC64NVME")  # moto gives a copy another CRC32C than its source's
RANGES = ("bytes=0-0", "bytes=0-", "bytes=3-7", "bytes=-5", "bytes=2-99999", "bytes=99999-", "bytes=-0", "bytes=-99999")
EMPTY = '"d41d8cd98f00b204e9800998ecf8427e"'
HEADERS = (
    "accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-range", "content-type", "etag", "expires", "x-amz-tagging-count",
)  # fmt: skip
OF_ONE_OBJECT = ("get_object", "head_object", "put_object", "upload_part")
# What two servers say differently by right: when, who, which id, and what is the place's own.
OWN = re.compile(
    r"LastModified|.*Date|Initiat.*|Owner|UploadId|.*VersionId|Location|ResponseMetadata|RequestCharged|Expiration"
    r"|ServerSideEncryption|.*Marker|NextContinuationToken|ContinuationToken|ReplicationStatus|BucketKeyEnabled|AbortDate"
)
# moto tells no kind of checksum, none of a part, and that of the whole with a range of it.
NOT_OF_MOTO = re.compile(r"ChecksumType|ChecksumAlgorithm")
CHECKSUMS = re.compile(r"Checksum.*|x-amz-checksum-.*")


class Pair:
    """The same client twice: of moto, and of the gateway."""

    def __init__(self, direct: "S3Client", gateway: "S3Client") -> None:
        self.clients = (direct, gateway)

    def both(self, method: str, **asked: Any) -> tuple[Any, Any]:
        """What each answers to the same; values that are pairs are each one's own."""
        answers = []
        for index, client in enumerate(self.clients):
            own = {name: value[index] if isinstance(value, tuple) else value for name, value in asked.items()}
            answers.append(outcome(client, method, own))
        return answers[0], answers[1]


def outcome(client: "S3Client", method: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Status, code, headers, parsed answer and body."""
    try:
        answer = getattr(client, method)(**asked)
    except ClientError as error:
        status, code = refusal(error)
        return {"status": status, "code": code}
    told = answer["ResponseMetadata"]["HTTPHeaders"]
    without = CHECKSUMS if method == "list_parts" or "Range" in asked else NOT_OF_MOTO
    names = {name for name in told if name in HEADERS or name.startswith(("x-amz-meta-", "x-amz-checksum-"))}
    names -= {
        "x-amz-checksum-algorithm",
        "x-amz-checksum-type",
        *(() if method in ("get_object", "head_object") else HEADERS),
    }
    headers = {name: told[name] for name in names if not without.fullmatch(name)} if method in OF_ONE_OBJECT else {}
    if method == "list_objects":
        answer.pop("Prefix", None)  # S3 encodes it, moto does not, and boto3 does not decode it
    answer.get("Uploads", []).sort(key=lambda upload: upload["Key"])  # moto lists them as they were begun
    body = answer.pop("Body").read() if "Body" in answer else b""
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return {
        "status": status,
        "code": "",
        "headers": headers,
        "answer": plain(answer, without),
        "body": body,
        "raw": answer,
    }


def plain(value: Any, without: re.Pattern[str]) -> Any:
    """The answer without what each server says in its own way."""
    if isinstance(value, Mapping):
        return {
            name: plain(each, without)
            for name, each in value.items()
            if each != "" and not OWN.fullmatch(name) and not without.fullmatch(name)
        }
    if isinstance(value, list):
        return [plain(each, without) for each in value]
    return value


def differences(direct: Any, gateway: Any, where: str = "") -> Iterator[str]:
    """What is not the same, for a person."""
    if isinstance(direct, Mapping) and isinstance(gateway, Mapping):
        for name in sorted({*direct, *gateway} - {"raw"}):
            yield from differences(direct.get(name), gateway.get(name), f"{where}.{name}")
    elif isinstance(direct, list) and isinstance(gateway, list) and len(direct) == len(gateway):
        for index, (one, other) in enumerate(zip(direct, gateway, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif direct != gateway:
        yield f"{where}: moto {direct!r:.200}, the gateway {gateway!r:.200}"


class Run:
    """One run: everything random comes from the seed."""

    def __init__(self, pair: Pair, buckets: tuple[str, str], seed: int) -> None:
        self.pair = pair
        self.buckets = buckets
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.log: list[str] = []
        self.etags: dict[tuple[str, str], str] = {}
        self.uploads: list[tuple[str, str, tuple[str, str], dict[int, tuple[str, str]]]] = []

    def go(self, operations: int) -> None:
        acts: list[tuple[int, Callable[[], None]]] = [
            (20, self.put), (20, self.get), (8, self.head), (8, self.delete), (4, self.delete_many), (10, self.copy),
            (14, self.list), (4, self.begin), (10, self.part), (3, self.list_parts), (6, self.complete),
            (2, self.abort), (3, self.list_uploads), (6, self.tags), (3, self.attributes), (2, self.bucket),
        ]  # fmt: skip
        weights, methods = zip(*acts, strict=True)
        for _ in range(operations):
            (act,) = self.random.choices(methods, weights)
            act()

    def same(self, method: str, **asked: Any) -> tuple[Any, Any]:
        """Asks both, and holds what they answer against each other."""
        shown = {name: f"{len(value)} bytes" if name == "Body" else value for name, value in asked.items()}
        self.log.append(f"{method} {shown}".replace("x" * 300, "…"))
        direct, gateway = self.pair.both(method, **asked)
        self.done[method] += 1
        self.answers[direct["status"]] += 1
        found = list(differences(direct, gateway)) if direct["status"] < 500 else []  # moto fell over
        assert found == [], "\n".join([*found, "after", *self.log[-12:]])
        return direct.get("raw"), gateway.get("raw")

    def where(self, keys: Sequence[str] = KEYS) -> dict[str, Any]:
        return {"Bucket": self.random.choice(self.buckets), "Key": self.random.choice(keys)}

    def maybe(self, ratio: float = 0.3) -> bool:
        return self.random.random() < ratio

    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = {}
        if self.maybe():
            described["ContentType"] = self.random.choice(("text/plain", "application/json; charset=utf-8"))
        if self.maybe():
            described["Metadata"] = {"one": str(self.random.randrange(9)), "two-2": "a, b; c=d"}
        if self.maybe(0.2):
            described["CacheControl"] = "max-age=60"
            described["ContentDisposition"] = 'attachment; filename="x y.txt"'
            described["ContentLanguage"] = "en"
        if self.maybe(0.1):
            described["ContentEncoding"] = "gzip"
        return described

    def body(self, most: int = 3000) -> bytes:
        return self.random.randbytes(self.random.choice((0, 1, self.random.randrange(most))))

    def put(self) -> None:
        where, more = self.where((*KEYS, TAGGED)), self.described()
        if self.maybe(0.4):
            more["ChecksumAlgorithm"] = self.random.choice(ALGORITHMS)
        if where["Key"] == TAGGED:
            more["Tagging"] = "one=1&two=a%20b"
        elif self.maybe(0.15):  # of a write that is refused moto keeps the tags
            more |= self.random.choice(({"IfNoneMatch": "*"}, {"IfMatch": '"wrong"'}, {"IfMatch": self.etag(where)}))
        answer, _ = self.same("put_object", **where, Body=self.body(), **more)
        self.keep(where, answer)

    def keep(self, where: Mapping[str, str], answer: Any) -> None:
        if answer:
            self.etags[where["Bucket"], where["Key"]] = answer["ETag"]

    def etag(self, where: Mapping[str, str]) -> str:
        return self.etags.get((where["Bucket"], where["Key"]), '"none"')

    def conditions(self, where: Mapping[str, str]) -> dict[str, Any]:
        now = datetime.now()  # noqa: DTZ005 - boto3 takes it as the machine's own
        return self.random.choice([
            {"IfMatch": self.etag(where)},
            {"IfMatch": '"wrong"'},
            {"IfNoneMatch": self.etag(where)},
            {"IfNoneMatch": '"wrong"'},
            {"IfModifiedSince": now - timedelta(hours=1)},
            {"IfUnmodifiedSince": now - timedelta(hours=1)},
            {"IfUnmodifiedSince": now + timedelta(hours=1)},
        ])  # fmt: skip

    def get(self) -> None:
        where, more = self.where((*KEYS, TAGGED)), {}
        if self.maybe(0.4) and self.etag(where) != EMPTY:  # S3 and moto have no range of nothing, in other ways
            more["Range"] = self.random.choice(RANGES)
        if self.maybe():
            more |= self.conditions(where)
        if self.maybe(0.2):
            more |= {"ResponseContentType": "text/x", "ResponseCacheControl": "no-cache"}
        if self.maybe() and "Range" not in more:
            more["ChecksumMode"] = "ENABLED"
        self.same("get_object", **where, **more)

    def head(self) -> None:
        where = self.where()
        more = self.conditions(where) if self.maybe() else {}
        if self.maybe():
            more["ChecksumMode"] = "ENABLED"
        self.same("head_object", **where, **more)

    def delete(self) -> None:
        self.same("delete_object", **self.where())

    def delete_many(self) -> None:
        keys = self.random.sample(KEYS, self.random.randrange(1, 4))
        bucket = self.random.choice(self.buckets)
        self.same("delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})

    def copy(self) -> None:
        source, where = self.where(), self.where()
        if "-" in self.etag(source):
            return  # S3 gives the copy of an object of parts the MD5 of all its bytes, the gateway leaves it as it is
        more: dict[str, Any] = {}
        if self.maybe():
            more = {"MetadataDirective": "REPLACE", **self.described()}
        if self.maybe(0.2):
            more["CopySourceIfMatch"] = self.random.choice((self.etag(source), '"wrong"'))
        answer, _ = self.same("copy_object", **where, CopySource=source, **more)
        self.keep(where, answer and answer["CopyObjectResult"])

    def list(self) -> None:
        method = self.random.choice(("list_objects", "list_objects_v2"))
        asked: dict[str, Any] = {"Bucket": self.random.choice(self.buckets)}
        if self.maybe():
            asked["Prefix"] = self.random.choice(("b", "b/", "b c+", "nothing", "z?", "long/"))
        if self.maybe() and method == "list_objects_v2":
            asked["Delimiter"] = "/"
        if self.maybe():
            asked["MaxKeys"] = self.random.choice((1, 2, 3, 1000))
        if self.maybe(0.2):
            # moto tells a common prefix that the key to start after is within, S3 does not.
            after = self.random.choice(("a", "b/") if "Delimiter" in asked else ("a", "b/", "b/1x"))
            asked["StartAfter" if method == "list_objects_v2" else "Marker"] = after
        answers = self.same(method, **asked)
        tokens = tuple(answer.get("NextContinuationToken") if answer else None for answer in answers)
        while all(tokens):
            answers = self.same(method, **asked, ContinuationToken=tokens)
            tokens = tuple(answer.get("NextContinuationToken") for answer in answers)

    def begin(self) -> None:
        where = self.where()
        direct, gateway = self.same("create_multipart_upload", **where, **self.described())
        self.uploads.append((where["Bucket"], where["Key"], (direct["UploadId"], gateway["UploadId"]), {}))

    def upload(self) -> tuple[dict[str, Any], dict[int, tuple[str, str]]]:
        if not self.uploads:
            self.begin()
        bucket, key, ids, parts = self.random.choice(self.uploads)
        return {"Bucket": bucket, "Key": key, "UploadId": ids}, parts

    def part(self) -> None:
        upload, parts = self.upload()
        number = self.random.randrange(1, 5)
        direct, gateway = self.same("upload_part", **upload, PartNumber=number, Body=self.body() or b"1")
        if direct:
            parts[number] = (direct["ETag"], gateway["ETag"])

    def list_parts(self) -> None:
        upload, _ = self.upload()
        self.same("list_parts", **upload)

    def complete(self) -> None:
        upload, parts = self.upload()
        wanted = [
            {"PartNumber": number, "ETag": etag} for number, (etag, _) in sorted(parts.items()) if self.maybe(0.9)
        ]
        if not wanted:
            return
        if self.maybe(0.1):
            wanted[0]["ETag"] = '"00000000000000000000000000000000"'
        answer, _ = self.same("complete_multipart_upload", **upload, MultipartUpload={"Parts": wanted})
        self.keep(upload, answer)
        if answer:
            self.over(upload)

    def abort(self) -> None:
        upload, _ = self.upload()
        self.same("abort_multipart_upload", **upload)
        self.over(upload)

    def over(self, upload: Mapping[str, Any]) -> None:
        self.uploads = [each for each in self.uploads if each[2] != upload["UploadId"]]
        self.same("upload_part", **upload, PartNumber=1, Body=b"late")

    def list_uploads(self) -> None:
        self.same("list_multipart_uploads", Bucket=self.random.choice(self.buckets))

    def tags(self) -> None:
        where = self.where((TAGGED,))
        match self.random.randrange(4):
            case 0:
                tags = [{"Key": str(number), "Value": "v 1+2"} for number in range(self.random.randrange(11))]
                self.same("put_object_tagging", **where, Tagging={"TagSet": tags})
            case 1:
                self.same("delete_object_tagging", **where)
            case _:
                self.same("get_object_tagging", **where)

    def attributes(self) -> None:
        self.same("get_object_attributes", **self.where(), ObjectAttributes=["ETag", "ObjectSize", "StorageClass"])

    def bucket(self) -> None:
        match self.random.randrange(4):
            case 0:
                self.same("head_bucket", Bucket=self.random.choice((*self.buckets, "no-such-bucket-at-all")))
            case 1:
                self.same("get_bucket_versioning", Bucket=self.random.choice(self.buckets))
            case 2:
                self.same("list_objects_v2", Bucket="no-such-bucket-at-all")
            case 3:
                self.same("delete_bucket", Bucket="no-such-bucket-at-all")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto takes small parts, as the gateway does."""
    monkeypatch.setattr(models, "S3_UPLOAD_PART_MIN_SIZE", 1)


@pytest.fixture
def pair(endpoints: dict[str, Endpoint]) -> Iterator[Pair]:
    """Clients of moto and of the gateway."""
    clients = [endpoints[name].client() for name in ("moto", "gateway")]
    yield Pair(*clients)
    for client in clients:
        client.close()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("seed", [1])
def test_the_gateway_answers_as_moto_does(pair: Pair, endpoints: dict[str, Endpoint], seed: int) -> None:
    names = (f"diff-{uuid.uuid4().hex[:8]}-a", f"diff-{uuid.uuid4().hex[:8]}-b")
    for client in pair.clients:
        for name in names:
            made_bucket(client, name, endpoints["moto"].region)
    run = Run(pair, names, seed)
    run.go(OPERATIONS)
    assert sum(run.done.values()) >= OPERATIONS
    assert run.answers[500] < OPERATIONS // 50
    assert {200, 204, 206, 304, 404, 412, 416} <= set(run.answers)

"""Uploads straight to the regions of the world: resumed, completed, replicated, ended; whose they are; and forms."""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from local.tables import empty_table
from local.world import World
from nearside.adapters.copies import Clients
from nearside.adapters.uploads_s3 import UploadsS3
from nearside.places import Place
from nearside.signing import Credentials
from nearside.uploads_forms import signed_fields
from nearside.uploads_records import OPEN_SECONDS, Wanted
from tests.integration.http_client import Answer, send
from tests.unit import functions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EU, US = "eu-west-2", "us-east-2"
MIB = 1024**2
JSON = {"content-type": "application/json"}
# Each part another, so that a part in another's place would show.
BODY = b"".join(bytes([number]) * MIB for number in range(40))

type Ask = Callable[..., Answer]


@pytest.fixture
def ask(world: World) -> Ask:
    """Asks the API."""

    def call(method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = b"" if body is None else json.dumps(body).encode()
        return send(method, f"{world.api_url}{path}", sent, {**({} if body is None else JSON), **headers})

    return call


@pytest.fixture
def key() -> str:
    return f"tests/{uuid.uuid4()} ü+#?.bin"


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def pieces(begun: Any) -> list[bytes]:
    return [BODY[start : start + begun["part_bytes"]] for start in range(0, len(BODY), begun["part_bytes"])]


def begin(ask: Ask, key: str, *, near: str = "eu", **more: Any) -> Any:
    answer = ask("POST", "/uploads", {"key": key, "size": len(BODY), **more}, **{"x-world-location": near})
    assert answer.status == 200, answer.body
    return answer.json


def put(ask: Ask, begun: Any, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Uploads these parts as a client would."""
    cut = pieces(begun)
    sums = {str(number): sha256(cut[number - 1]) for number in numbers}
    urls = ask("POST", f"/uploads/{begun['id']}/parts", {"numbers": list(numbers), "sha256": sums})
    assert urls.status == 200, urls.body
    done = []
    for part in urls.json["parts"]:
        stored = send("PUT", part["url"], cut[part["number"] - 1], part["headers"])
        assert stored.status == 200, stored.body
        done.append({"number": part["number"], "etag": stored.headers["etag"]})
    return done


def test_an_upload_that_was_killed_goes_on_elsewhere_and_arrives_everywhere(
    world: World, ask: Ask, eu: "S3Client", us: "S3Client", key: str
) -> None:
    whole = hashlib.sha256(BODY).hexdigest()
    put(ask, begin(ask, key, near="us", content_type="video/mp4", sha256=whole), [2])
    # Another device of the same caller, which knows nothing but the file.
    [found] = [each for each in ask("GET", "/uploads").json["uploads"] if each["key"] == key]
    assert (found["place"], found["size"], found["content_type"]) == (US, len(BODY), "video/mp4")
    shown = ask("GET", f"/uploads/{found['id']}").json
    second = pieces(found)[1]
    [there] = shown["done"]
    assert (there["number"], there["size"], there["sha256"]) == (2, len(second), sha256(second))
    first, last = put(ask, found, [1, 3])
    parts = [first, {"number": 2, "etag": there["etag"]}, last]
    done = ask("POST", f"/uploads/{found['id']}/complete", {"parts": parts})
    assert done.status == 200, done.body
    assert done.json["replication"] == {EU: "PENDING", US: "COMPLETED"}
    assert ask("POST", f"/uploads/{found['id']}/complete", {"parts": parts}).json == done.json
    assert [each for each in ask("GET", "/uploads").json["uploads"] if each["key"] == key] == []
    late = ask("DELETE", f"/uploads/{found['id']}")
    assert (late.status, late.json["message"]) == (404, "it is complete, so there is nothing to end: delete the object")
    assert ask("POST", f"/uploads/{found['id']}/complete", {"parts": parts}).json == done.json
    world.settle()
    for s3, bucket in ((eu, world.buckets[EU]), (us, world.buckets[US])):
        stored = s3.get_object(Bucket=bucket, Key=key)
        assert stored["Body"].read() == BODY
        assert (stored["VersionId"], stored["ContentType"]) == (done.json["version_id"], "video/mp4")
        assert stored["Metadata"]["nearside-sha256"] == whole


def test_s3_takes_a_part_only_as_it_was_signed(ask: Ask, key: str) -> None:
    begun = begin(ask, key)
    cut = pieces(begun)
    asked = {"numbers": [1, 3], "sha256": {"1": sha256(cut[0]), "3": sha256(cut[2])}}
    first, last = ask("POST", f"/uploads/{begun['id']}/parts", asked).json["parts"]
    assert send("PUT", first["url"], cut[1], first["headers"]).code == (400, "BadDigest")
    assert send("PUT", last["url"], cut[2] + b"!", last["headers"]).status == 403
    other = {"x-amz-checksum-sha256": sha256(cut[1])}
    assert send("PUT", first["url"], cut[1], other).code == (403, "SignatureDoesNotMatch")
    assert send("PUT", first["url"], cut[0], {}).status == 403
    assert ask("DELETE", f"/uploads/{begun['id']}").status == 200
    assert send("PUT", first["url"], cut[0], first["headers"]).code == (404, "NoSuchUpload")
    assert ask("GET", f"/uploads/{begun['id']}").status == 404


def test_parts_without_checksums_go_where_none_were_asked(ask: Ask, eu: "S3Client", world: World, key: str) -> None:
    begun = begin(ask, key, checksums=False)
    cut = pieces(begun)
    urls = ask("POST", f"/uploads/{begun['id']}/parts", {"numbers": [1, 2, 3]}).json["parts"]
    parts = [
        {"number": part["number"], "etag": send("PUT", part["url"], cut[part["number"] - 1]).headers["etag"]}
        for part in urls
    ]
    missing = ask("POST", f"/uploads/{begun['id']}/complete", {"parts": parts[:2]})
    assert (missing.status, missing.json["message"]) == (
        400,
        f"{32 * MIB} bytes were uploaded: {40 * MIB} were announced",
    )
    assert ask("POST", f"/uploads/{begun['id']}/complete", {"parts": parts}).status == 200
    assert eu.get_object(Bucket=world.buckets[EU], Key=key)["Body"].read() == BODY


def test_a_small_file_is_one_put_of_exactly_its_bytes(ask: Ask, key: str) -> None:
    body = {"key": key, "size": 5, "content_type": "text/plain", "sha256": hashlib.sha256(b"hello").hexdigest()}
    one = ask("POST", "/uploads", {**body, "if_none_match": "*"}).json
    assert (one["kind"], one["id"], one["place"]) == ("single", "", "mrap")
    assert send("PUT", one["url"], b"hello!", one["headers"]).status == 403
    assert send("PUT", one["url"], b"hullo", one["headers"]).code == (400, "BadDigest")
    assert send("PUT", one["url"], b"hello", one["headers"]).status == 200
    assert send("PUT", one["url"], b"hello", one["headers"]).code == (412, "PreconditionFailed")


def test_nothing_is_overwritten_where_that_was_asked(ask: Ask, eu: "S3Client", world: World, key: str) -> None:
    begun = begin(ask, key, if_none_match="*")
    parts = put(ask, begun, [1, 2, 3])
    eu.put_object(Bucket=world.buckets[EU], Key=key, Body=b"first")
    late = ask("POST", f"/uploads/{begun['id']}/complete", {"parts": parts})
    assert (late.status, late.json["error"]) == (412, "PreconditionFailed")
    early = ask("POST", "/uploads", {"key": key, "size": len(BODY), "if_none_match": "*"})
    assert (early.status, early.json["error"]) == (412, "PreconditionFailed")
    assert eu.get_object(Bucket=world.buckets[EU], Key=key)["Body"].read() == b"first"


def test_a_region_that_is_off_is_passed_over_and_what_it_has_waits_for_it(world: World, ask: Ask, key: str) -> None:
    waiting = begin(ask, key)
    assert waiting["place"] == EU
    world.switch(EU, on=False)
    assert begin(ask, key, near="eu")["place"] == US
    refused = ask("POST", "/uploads", {"key": key, "size": len(BODY), "place": EU})
    assert (refused.status, refused.json["error"]) == (503, "ServiceUnavailable")
    assert ask("GET", f"/uploads/{waiting['id']}").status == 500
    assert waiting["id"] in [each["id"] for each in ask("GET", "/uploads").json["uploads"]]
    world.switch(EU, on=True)
    parts = put(ask, waiting, [1, 2, 3])
    assert ask("POST", f"/uploads/{waiting['id']}/complete", {"parts": parts}).status == 200


def test_a_gateways_bucket_is_one_of_its_own_and_needs_a_gateway(world: World, ask: Ask, key: str) -> None:
    words = ask("POST", "/uploads", {"key": key, "size": 1, "bucket": "no-such-bucket"})
    assert (words.status, words.json["error"]) == (404, "NoSuchBucket")
    without = functions.load("uploads", **world.environment() | {"BACKENDS": "", "AUTH_MODE": "none"})
    status, answer = as_caller(without, "anyone", "uploads/begin")
    assert (status, answer["error"]) == (400, "InvalidRequest")
    assert "there is no gateway here" in answer["message"]
    assert as_caller(without, "anyone", "uploads/parts-unknown")[0] == 404
    assert as_caller(without, "anyone", "uploads/list")[0] == 200


RULES = [{"claim": "sub", "prefixes": ["shared/"], "actions": ["write"], "max_bytes": 50 * MIB}]


def test_two_callers_have_their_own_uploads(world: World) -> None:
    strict = functions.load("uploads", **world.environment() | {"AUTH_MODE": "jwt", "ACCESS_POLICY": json.dumps(RULES)})
    key = f"shared/{uuid.uuid4()}"
    status, begun = as_caller(strict, "alice", "uploads/begin-region", {"key": key, "size": len(BODY)})
    assert status == 200, begun
    status, answer = as_caller(strict, "alice", "uploads/begin-region", {"key": key, "size": 50 * MIB + 1})
    assert (status, answer["error"]) == (413, "EntityTooLarge")
    ids = {
        who: [each["id"] for each in as_caller(strict, who, "uploads/list")[1]["uploads"]] for who in ("alice", "bob")
    }
    assert begun["id"] in ids["alice"]
    assert begun["id"] not in ids["bob"]
    path = {"id": begun["id"]}
    for event in ("show-unknown", "parts-unknown", "complete-unknown", "abort-unknown", "uppy-part-unknown"):
        status, answer = as_caller(strict, "bob", f"uploads/{event}", pathParameters=path | {"number": "1"})
        assert (status, answer["error"]) == (404, "NoSuchUpload"), event
    assert as_caller(strict, "alice", "uploads/show-unknown", pathParameters=path)[0] == 200
    assert as_caller(strict, "alice", "uploads/abort-unknown", pathParameters=path)[0] == 200


def as_caller(handler: ModuleType, sub: str, name: str, body: Any = None, **changed: Any) -> tuple[int, Any]:
    """What the handler answers to the recorded event, as that caller."""
    event = functions.event(name, None if body is None else json.dumps(body), **changed)
    event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = sub
    return functions.answer(handler, event)


def test_forgotten_uploads_are_ended_by_schedule(world: World, ask: Ask, eu: "S3Client", key: str) -> None:
    begun = begin(ask, key)
    stranger = eu.create_multipart_upload(Bucket=world.buckets[EU], Key=f"{key} +%41 stranger")["UploadId"]
    assert world.run_schedule("uploads")["lost"] == []
    assert {begun["id"]} <= {each["id"] for each in ask("GET", "/uploads").json["uploads"]}
    orphans = functions.load("uploads", **world.environment())._parts.orphans(lambda: False)
    swept = msgspec.structs.replace(orphans, clock=lambda: time.time() + OPEN_SECONDS + 2 * 24 * 3600).sweep()
    assert swept.lost == []
    assert swept.ended[EU] >= 2
    assert ask("GET", f"/uploads/{begun['id']}").status == 404
    left = eu.list_multipart_uploads(Bucket=world.buckets[EU]).get("Uploads", ())
    assert stranger not in [each["UploadId"] for each in left]
    assert ask("GET", "/uploads").json == {"uploads": []}


def test_pages_of_uploads_and_of_parts_are_read_to_their_ends(world: World, eu: "S3Client", monkeypatch: Any) -> None:
    place = Place(EU, world.buckets[EU], world.place_urls[EU])
    s3 = UploadsS3(Clients(lambda: Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)))
    monkeypatch.setattr("local.multipart.MOST", 2)
    keys = [f"pages/{uuid.uuid4()} +%41&<é>" for _ in range(5)]
    uploads = {s3.begin(place, Wanted(key=key, headers={}), "name"): key for key in keys}
    found = {each.upload: each.key for each in s3.unfinished(place)}
    assert uploads.items() <= found.items()
    upload = next(iter(uploads))
    for number in range(1, 6):
        eu.upload_part(Bucket=place.bucket, Key=uploads[upload], UploadId=upload, PartNumber=number, Body=b"x" * number)
    assert [(part.number, part.size) for part in s3.parts(place, uploads[upload], upload)] == [
        (n, n) for n in range(1, 6)
    ]
    for each in uploads:
        s3.abort(place, uploads[each], each)
        s3.abort(place, uploads[each], each)  # nothing happens twice
    assert not uploads.keys() & {each.upload for each in s3.unfinished(place)}


def test_a_completion_is_answered_again_though_the_ledger_forgot_it(ask: Ask, world: World, key: str) -> None:
    begun = begin(ask, key)
    parts = put(ask, begun, [1, 2, 3])
    done = ask("POST", f"/uploads/{begun['id']}/complete", {"parts": parts}).json
    world.settle()
    empty_table(EU)
    assert ask("POST", f"/uploads/{begun['id']}/complete", {"parts": parts}).json == done  # the object has its name
    empty_table(EU)
    send("DELETE", ask("POST", "/presign", {"key": key, "method": "DELETE"}).json["url"])
    gone = ask("POST", f"/uploads/{begun['id']}/complete", {"parts": parts})
    assert (gone.status, gone.json["error"]) == (404, "NoSuchUpload")


def test_the_worlds_s3_wants_checksums_where_aws_does(world: World, eu: "S3Client", ask: Ask, key: str) -> None:
    begun = begin(ask, key)
    ticket = json.loads(base64.urlsafe_b64decode(begun["id"] + "==")[16:])
    where = {"Bucket": world.buckets[EU], "Key": key, "UploadId": ticket["upload"]}
    with pytest.raises(ClientError, match="expected checksum Type: sha256, actual checksum Type: crc32"):
        eu.upload_part(**where, PartNumber=1, Body=b"x")  # boto3's own
    stored = eu.upload_part(**where, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256")
    part: Any = {"PartNumber": 1, "ETag": stored["ETag"]}
    with pytest.raises(ClientError, match="It was missing for part 1"):
        eu.complete_multipart_upload(**where, MultipartUpload={"Parts": [part]})
    with pytest.raises(ClientError, match="InvalidPart"):
        eu.complete_multipart_upload(**where, MultipartUpload={"Parts": [part | {"ChecksumSHA256": sha256(b"y")}]})
    eu.complete_multipart_upload(**where, MultipartUpload={"Parts": [part | {"ChecksumSHA256": sha256(b"x")}]})
    head = eu.head_object(Bucket=world.buckets[EU], Key=key, ChecksumMode="ENABLED")
    assert (head["ChecksumType"], head["ChecksumSHA256"][-2:]) == ("COMPOSITE", "-1")


def form(fields: dict[str, str], body: bytes) -> tuple[bytes, dict[str, str]]:
    """A body as a browser makes it."""
    rows = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items())
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: x/y\r\n\r\n'
    return rows.encode() + head.encode() + body + b"\r\n--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}


def test_a_form_is_taken_as_it_was_signed_and_not_otherwise(world: World, eu: "S3Client", key: str) -> None:
    place = Place(EU, world.buckets[EU], world.place_urls[EU])
    pair = Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)
    url = f"{place.endpoint}/{place.bucket}/"
    body = bytes(range(256))
    fields = signed_fields(place, key, "image/png", len(body), pair, time.time(), 60)
    done = send("POST", url, *form(fields, body))
    assert done.status == 201, done.body
    stored = eu.get_object(Bucket=place.bucket, Key=key)
    assert (stored["Body"].read(), stored["ContentType"]) == (body, "image/png")
    refused = {
        "a byte too many": (fields, body + b"!", "EntityTooLarge"),
        "another key": (fields | {"key": "other"}, body, "AccessDenied"),
        "another type": (fields | {"Content-Type": "text/html"}, body, "AccessDenied"),
        "a field more": (fields | {"x-amz-meta-a": "b"}, body, "AccessDenied"),
        "another policy": (fields | {"policy": fields["policy"][:-4] + "e30="}, body, "SignatureDoesNotMatch"),
        "another key pair": (fields | {"x-amz-signature": "0" * 64}, body, "SignatureDoesNotMatch"),
        "a name to fill in": (
            signed_fields(place, "${filename}", "a/b", 999, pair, time.time(), 60),
            body,
            "AccessDenied",
        ),
        "too late": (signed_fields(place, key, "a/b", 999, pair, time.time() - 90, 60), body, "AccessDenied"),
    }
    for what, (changed, sent, code) in refused.items():
        answer = send("POST", url, *form(changed, sent))
        assert (answer.status >= 400, answer.error["Code"]) == (True, code), what

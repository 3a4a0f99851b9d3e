"""Every function answers every event of events/ in a real container."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3
from botocore.config import Config

from local import ROOT
from local.gateway_key import key_pair
from local.providers import SECRET
from local.tables import TABLE_NAME
from local.world import World
from nearside.adapters.access_keys import AccessKeys
from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.gateway.access_keys import KeyRule, StoredKey, derived
from nearside.signing import Credentials
from tests.contract.source_tree import functions_of
from tests.sam.containers import Answer, Sam
from tests.unit.signed_events import KEY_ID, is_signed, signed

EDGE = functions_of("stacks/edge.yaml")  # test_edge.py's
EVENTS = sorted(path for path in (ROOT / "events").glob("*/*.json") if path.parent.name not in EDGE)
SAMPLE = "images/sunrise.png"


def _fetch(presigned: dict[str, Any]) -> urllib3.BaseHTTPResponse:
    return urllib3.request(presigned["method"], presigned["url"], headers=presigned["headers"], retries=False)


def presign_get(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["route"] == "mrap"
    response = _fetch(answer.json)
    assert (response.status, response.headers["content-type"]) == (200, "image/png")
    assert response.data.startswith(b"\x89PNG")


def presign_head(answer: Answer, world: World) -> None:
    assert answer.status == 200
    response = _fetch(answer.json)
    assert (response.status, response.data) == (200, b"")
    assert int(response.headers["content-length"]) > 0


def presign_put(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["headers"] == {"content-type": "text/plain"}
    done = urllib3.request("PUT", answer.json["url"], body=b"hello", headers=answer.json["headers"], retries=False)
    assert done.status == 200
    # Another type is not what was signed.
    wrong = urllib3.request(
        "PUT", answer.json["url"], body=b"hello", headers={"content-type": "text/html"}, retries=False
    )
    assert wrong.status == 403


def presign_delete(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert _fetch(answer.json).status == 204


def presign_batch(answer: Answer, world: World) -> None:
    assert answer.status == 200
    found, missing, bad, upload = answer.json["items"]
    assert _fetch(found).status == 200
    assert (missing["error"], missing["status"]) == ("NoSuchKey", 404)
    assert (bad["error"], bad["status"]) == ("InvalidRequest", 400)
    assert "items[2].expires_in is 700000" in bad["message"]
    assert urlsplit(upload["url"]).path.endswith("/users/alice/a.bin")


def presign_missing(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (404, "NoSuchKey")
    assert "images/no-such-picture.png" in answer.json["message"]


def presign_bad_body(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (400, "InvalidRequest")
    assert "is not JSON" in answer.json["message"]


def presign_refused(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (403, "AccessDenied")
    assert answer.json["message"] == "alice may not write 'users/bob/notes.txt'"


def explorer_root(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert {"GET /health", "POST /presign"} <= set(answer.json["endpoints"])


def explorer_health(answer: Answer, world: World) -> None:
    assert answer.status == 200
    names = [*world.buckets, *(f"gateway/{name}" for name in world.provider_urls)]
    assert answer.json == {"status": "healthy", "places": dict.fromkeys(names, "up")}


def explorer_list_root(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json == {"content": ["docs/", "images/", "users/"]}


def explorer_list_folder(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json == {"content": ["harbour.png", "sunrise.png", "thumbnails/", "two regions.svg"]}


def explorer_list_details(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert [entry["name"] for entry in answer.json["content"]] == ["harbour.png", "sunrise.png"]
    assert all(entry["size"] > 0 and entry["storage_class"] == "STANDARD" for entry in answer.json["content"])
    assert answer.json["cursor"]


def explorer_list_unchanged(answer: Answer, world: World) -> None:
    """The event's If-None-Match has the tag of the folder's names."""
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (304, "", "no-store")


def explorer_list_missing(answer: Answer, world: World) -> None:
    assert answer.status == 404
    assert answer.json == {"error": "Path 'demo' does not exist in the bucket"}


def explorer_openapi(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.1")
    assert "post" in answer.json["paths"]["/presign"]


def explorer_json(answer: Answer, world: World) -> None:
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.json["name"], answer.headers["x-cache"]) == ("Alice", "miss")
    assert answer.headers["etag"].startswith('"')


def explorer_json_missing(answer: Answer, world: World) -> None:
    assert answer.status == 404
    assert answer.json == {"error": "NoSuchKey", "message": "'users/alice/settings.json' does not exist"}


def explorer_json_text(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (400, "InvalidJSON")
    assert answer.json["message"].startswith("'docs/guide.txt' is not JSON")


def explorer_docs(answer: Answer, world: World) -> None:
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/list-bucket-content/{path}" in answer.body


def replication_health(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["verdict"]) == (200, "healthy")
    assert [rule["enabled"] for rule in answer.json["rules"]] == [True, True]
    assert {place["name"] for place in answer.json["places"]} == set(world.buckets)


def replication_object(answer: Answer, world: World) -> None:
    assert answer.status == 200
    [version] = answer.json["versions"]
    assert {copy["place"]: copy["state"] for copy in version["copies"]} == dict.fromkeys(world.buckets, "COMPLETED")


def replication_object_missing(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (404, "NoSuchKey")


def replication_objects(answer: Answer, world: World) -> None:
    assert answer.status == 200
    there, nowhere = answer.json["objects"]
    assert {dot["place"]: dot["state"] for dot in there["places"]} == dict.fromkeys(world.buckets, "COMPLETED")
    assert nowhere["version_id"] is None


def replication_lag(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["step_seconds"], answer.json["unknown"]) == (200, 300, [])


def replication_mrap(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["status"], answer.json["alias"]) == (200, "READY", world.mrap_alias)


def replication_backends(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert {each["state"] for each in answer.json["backends"]} == {"up"}
    assert [each["name"] for each in answer.json["backends"]] == [*world.buckets, *world.provider_urls]


def replication_nothing_failed(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["replicas"]) == (200, [])


def replication_log(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert isinstance(answer.json["operations"], list)


def replication_nothing_to_mend(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert (answer.json["replicas"], answer.json["jobs"], answer.json["more"]) == ([], [], False)


def monitor_schedule(answer: Answer, world: World) -> None:
    assert answer.value["verdict"] == "healthy"
    assert {rule["source"] for rule in answer.value["health"]["rules"]} == set(world.buckets)


def gateway_list_buckets(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert "<Name>photos</Name>" in answer.body


def gateway_put(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.headers["x-backend-count"] in ("2", "3")
    assert answer.headers["x-replication-status"] == "complete"


def gateway_get(answer: Answer, world: World) -> None:
    assert (answer.status, _bytes(answer)) == (206, SVG_BYTES[:4])
    assert answer.headers["content-range"] == f"bytes 0-3/{len(SVG_BYTES)}"


def gateway_presigned(answer: Answer, world: World) -> None:
    assert (answer.status, _bytes(answer)) == (200, SVG_BYTES)
    assert answer.headers["x-backend-used"] in world.provider_urls


def gateway_unsigned(answer: Answer, world: World) -> None:
    assert answer.status == 403
    assert "<Code>AccessDenied</Code>" in answer.body


def _bytes(answer: Answer) -> bytes:
    return base64.b64decode(answer.body) if answer.value["isBase64Encoded"] else answer.body.encode()


def replicator_copy(answer: Answer, world: World) -> None:
    assert answer.value == {"batchItemFailures": []}
    headers = _gateway(world).head_object(Bucket="photos", Key=OBJECT)["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-backend-count"] == str(len(world.provider_urls))


def replicator_unknown(answer: Answer, world: World) -> None:
    assert answer.value == {"batchItemFailures": []}


def replicator_poisoned(answer: Answer, world: World) -> None:
    """The two that cannot be read come again, the third is done."""
    assert sorted(each["itemIdentifier"][-1] for each in answer.value["batchItemFailures"]) == ["0", "1"]


def reconcile_schedule(answer: Answer, world: World) -> None:
    assert answer.value["swept"] >= 0
    assert all(report["unknown"] == {} for report in answer.value["reports"])


def reconcile_dry_run(answer: Answer, world: World) -> None:
    [report] = answer.value["reports"]
    assert (report["bucket"], report["complete"], report["dry_run"]) == ("photos", True, True)
    assert (report["counts"], report["unknown"]) == ({}, {})


def uploads_begin(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert answer.json["place"] in world.provider_urls
    assert (answer.json["parts"] - 1) * answer.json["part_bytes"] < 50_000_000


def uploads_refused(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (403, "AccessDenied")
    assert "photos/users/bob/film.mp4" in answer.json["message"]


def uploads_unknown(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["error"]) == (404, "NoSuchUpload")


def uploads_begin_single(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["kind"], answer.json["place"]) == (200, "single", "mrap")
    done = urllib3.request("PUT", answer.json["url"], body=b"hello", headers=answer.json["headers"], retries=False)
    assert done.status == 200


def uploads_begin_region(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["kind"], answer.json["parts"]) == (200, "multipart", 3)
    assert answer.json["place"] in world.buckets


def uploads_list(answer: Answer, world: World) -> None:
    assert answer.status == 200
    assert isinstance(answer.json["uploads"], list)


def uploads_scheduled(answer: Answer, world: World) -> None:
    assert answer.value == {"ended": dict.fromkeys(world.buckets, 0), "lost": []}


def uploads_uppy_create(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["key"]) == (200, "users/alice/film.mp4")
    assert answer.json["bucket"] in world.buckets.values()


def uploads_uppy_params(answer: Answer, world: World) -> None:
    assert (answer.status, answer.json["method"], answer.json["fields"]["key"]) == (200, "POST", "users/alice/cat.png")


def uploads_uppy_sign(answer: Answer, world: World) -> None:
    assert answer.status == 200
    begun = urllib3.request("POST", answer.json["url"], headers=answer.json["headers"], retries=False)
    assert begun.status == 200
    assert b"<UploadId>" in begun.data


@dataclass(frozen=True)
class Leaves:
    """What an event leaves in the catalog, by version and place, of the one object that it is about; and how many of
    its messages are to come again."""

    states: Mapping[tuple[str, str], str]
    key: str = "images/two regions.svg"
    failures: int = 0

    def __call__(self, answer: Answer, world: World) -> None:
        assert len(answer.value["batchItemFailures"]) == self.failures
        found = {}
        for item in _records(world, self.key):
            version, _, place = item["SK"]["S"].rpartition("#")
            if version != "CURRENT":
                found[version, place] = item["state"]["S"]
        assert found == self.states


def _records(world: World, key: str) -> list[dict[str, Any]]:
    answer = _dynamodb(world).query(
        TableName=TABLE_NAME,
        KeyConditionExpression="PK = :key",
        ExpressionAttributeValues={":key": {"S": f"OBJ#{world.buckets['eu-west-2']}#{key}"}},
    )
    items: list[dict[str, Any]] = answer["Items"]
    return items


def _dynamodb(world: World) -> Any:
    return boto3.client("dynamodb", region_name="eu-west-2", endpoint_url=world.aws_url)


def _forget(world: World) -> None:
    """The catalog as if nothing had happened to the objects of replica_events' events."""
    for key in {check.key for check in EXPECTED.values() if isinstance(check, Leaves)}:
        for item in _records(world, key):
            _dynamodb(world).delete_item(TableName=TABLE_NAME, Key={name: item[name] for name in ("PK", "SK")})


def _gateway(world: World) -> Any:
    """A client of the world's own gateway."""
    key = key_pair()
    return boto3.client(
        "s3",
        endpoint_url=world.gateway_url,
        region_name="eu-west-2",
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture(scope="module")
def photos(world: World) -> World:
    """The world with the key, the bucket and the object of the gateway's events."""
    own = world.credentials
    credentials = Credentials(own.access_key_id, own.secret_access_key, "")
    rule = KeyRule(buckets=["photos"], actions=["read", "write", "list"])
    wire = DynamoDbWire(TABLE_NAME, EU, lambda: credentials, world.aws_url)
    AccessKeys(wire, SECRET).add(StoredKey(id=KEY_ID, rules=[rule], created=int(time.time())))
    client = _gateway(world)
    client.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": EU})
    client.put_object(Bucket="photos", Key=OBJECT, Body=SVG_BYTES)
    return world


OBJECT, SVG_BYTES = "café/two regions.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
EU, US = "eu-west-2", "us-east-2"
SVG, MARKER, FILM = "4HL4kqtJvjVBH40Nrjfkd", "L4kqtJlcpXroDTDmpUMLUo", "9sGzXwVr3mPq7TnYk2LbHd"

EXPECTED: dict[str, Callable[[Answer, World], None]] = {
    "explorer/docs": explorer_docs,
    "explorer/health": explorer_health,
    "explorer/json": explorer_json,
    "explorer/json-missing": explorer_json_missing,
    "explorer/json-text": explorer_json_text,
    "explorer/list-details": explorer_list_details,
    "explorer/list-folder": explorer_list_folder,
    "explorer/list-missing": explorer_list_missing,
    "explorer/list-root": explorer_list_root,
    "explorer/list-unchanged": explorer_list_unchanged,
    "explorer/openapi": explorer_openapi,
    "explorer/root": explorer_root,
    "gateway/get": gateway_get,
    "gateway/list-buckets": gateway_list_buckets,
    "gateway/presigned": gateway_presigned,
    "gateway/put": gateway_put,
    "gateway/unsigned": gateway_unsigned,
    "monitor/schedule": monitor_schedule,
    "presign/bad-body": presign_bad_body,
    "presign/batch": presign_batch,
    "presign/delete": presign_delete,
    "presign/get": presign_get,
    "presign/head": presign_head,
    "presign/missing": presign_missing,
    "presign/put": presign_put,
    "presign/refused": presign_refused,
    "reconcile/dry-run": reconcile_dry_run,
    "reconcile/schedule": reconcile_schedule,
    "replica_events/arrived": Leaves({(SVG, US): "COMPLETED", (SVG, EU): "PENDING"}),
    "replica_events/created": Leaves({(SVG, EU): "COMPLETED", (SVG, US): "PENDING"}),
    "replica_events/created-multipart": Leaves({(FILM, EU): "COMPLETED", (FILM, US): "PENDING"}, "videos/café +1.mp4"),
    "replica_events/delete-marker": Leaves({(MARKER, EU): "COMPLETED", (MARKER, US): "PENDING"}),
    "replica_events/duplicate": Leaves({(SVG, EU): "COMPLETED", (SVG, US): "COMPLETED"}),
    "replica_events/expired": Leaves({(SVG, EU): "ABSENT"}),
    "replica_events/failed": Leaves({(SVG, US): "FAILED"}),
    "replica_events/missed-threshold": Leaves({(SVG, EU): "COMPLETED", (SVG, US): "PENDING"}),
    "replica_events/not-tracked": Leaves({(SVG, EU): "COMPLETED", (SVG, US): "PENDING"}),
    "replica_events/poisoned": Leaves({(SVG, EU): "COMPLETED", (SVG, US): "COMPLETED"}, failures=3),
    "replica_events/removed-version": Leaves({(SVG, EU): "ABSENT"}),
    "replica_events/replicated-after-threshold": Leaves({(SVG, EU): "COMPLETED", (SVG, US): "COMPLETED"}),
    "replication/backends": replication_backends,
    "replication/health": replication_health,
    "replication/lag": replication_lag,
    "replication/log": replication_log,
    "replication/mrap": replication_mrap,
    "replication/object": replication_object,
    "replication/object-missing": replication_object_missing,
    "replication/objects": replication_objects,
    "replication/repair-dry-run": replication_nothing_to_mend,
    "replication/repair-key": replication_nothing_to_mend,
    "replication/status": replication_nothing_failed,
    "replicator/copy": replicator_copy,
    "replicator/poisoned": replicator_poisoned,
    "replicator/unknown": replicator_unknown,
    "uploads/abort-unknown": uploads_unknown,
    "uploads/begin": uploads_begin,
    "uploads/begin-region": uploads_begin_region,
    "uploads/begin-single": uploads_begin_single,
    "uploads/complete-unknown": uploads_unknown,
    "uploads/list": uploads_list,
    "uploads/parts-unknown": uploads_unknown,
    "uploads/refused": uploads_refused,
    "uploads/scheduled": uploads_scheduled,
    "uploads/show-unknown": uploads_unknown,
    "uploads/uppy-abort-unknown": uploads_unknown,
    "uploads/uppy-complete-unknown": uploads_unknown,
    "uploads/uppy-create": uploads_uppy_create,
    "uploads/uppy-params": uploads_uppy_params,
    "uploads/uppy-part-unknown": uploads_unknown,
    "uploads/uppy-parts-unknown": uploads_unknown,
    "uploads/uppy-sign": uploads_uppy_sign,
}
# What S3 tells of a version only after it told that there is one.
AFTER_CREATED = (
    "replica_events/missed-threshold",
    "replica_events/not-tracked",
    "replica_events/replicated-after-threshold",
)


def _case(event: Path) -> str:
    return f"{event.parent.name}/{event.stem}"


def test_every_event_has_an_expected_answer_and_every_function_an_event() -> None:
    assert {_case(event) for event in EVENTS} == EXPECTED.keys()
    assert {event.parent.name for event in EVENTS} == {
        handler.parent.name for handler in (ROOT / "functions").glob("*/handler.py")
    } - EDGE.keys()


@pytest.mark.parametrize("event", EVENTS, ids=_case)
def test_event(event: Path, sam: Sam, world: World, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    function = event.parent.name.title().replace("_", "") + "Function"
    if event.parent.name in ("gateway", "replicator", "reconcile", "uploads"):
        request.getfixturevalue("photos")
    event = _signed_anew(event, tmp_path)
    if event.parent.name == "replica_events":
        _forget(world)
    if _case(event) in AFTER_CREATED:
        sam.invoke(function, event.with_name("created.json"))
    EXPECTED[_case(event)](sam.invoke(function, event), world)
    _forget(world)


def _signed_anew(event: Path, folder: Path) -> Path:
    """The event itself, or one of the gateway's with a signature of now."""
    recorded = json.loads(event.read_text())
    if event.parent.name != "gateway" or not is_signed(recorded):
        return event
    written = folder / event.parent.name / event.name
    written.parent.mkdir()
    written.write_text(json.dumps(signed(recorded, derived(SECRET, KEY_ID, 1), time.time())))
    return written


@pytest.mark.parametrize(
    ("name", "code"), [("put", "RequestTimeTooSkewed"), ("presigned", "AccessDenied")], ids=["header", "query"]
)
def test_the_recorded_signature_is_over(name: str, code: str, sam: Sam, photos: World) -> None:
    answer = sam.invoke("GatewayFunction", ROOT / "events" / "gateway" / f"{name}.json")
    assert answer.status == 403
    assert f"<Code>{code}</Code>" in answer.body

"""`GET /list-bucket-content` through the API of the world: shapes, pages, hard names, and what trouble looks like."""

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from local.distribution import CachePolicy
from local.edge_cache import lifetime_seconds
from local.server import Response
from local.world import World
from tests.integration.http_client import Answer, get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

EU, US = "eu-west-2", "us-east-2"
NAMES = [f"{n:02}.txt" for n in range(10)]
FOLDERS = ["sub/", "über/"]
HARD = [
    *("a b", "a+b", "100%", "%41", "#", "~", "é日𝄞", "*'()!,;:@$&=", '"<>\\^`{|}'),
    *("question?mark", "tab\there", "line\nbreak"),
]

type List = Callable[..., Answer]


@pytest.fixture
def listed(world: World) -> List:
    """Asks the API for a path, encoded as a client encodes one; keyword arguments are the query."""

    def ask(path: str = "", **query: Any) -> Answer:
        under = f"/{quote(path)}" if path else ""
        return get(f"{world.api_url}/list-bucket-content{under}" + (f"?{urlencode(query)}" if query else ""))

    return ask


@pytest.fixture(scope="module")
def folder(world: World, client: Callable[..., "S3Client"]) -> str:
    """A folder of ten objects and two folders, in both regions."""
    s3, name = client(EU), f"tests/{uuid.uuid4()}"
    for each in [*NAMES, "sub/x", "sub/y", "über/z"]:
        s3.put_object(Bucket=world.buckets[EU], Key=f"{name}/{each}", Body=each.encode(), StorageClass="STANDARD")
    world.settle()
    return name


def test_the_top_and_a_folder_have_the_shapes_that_were_promised(listed: List, folder: str) -> None:
    top = listed()
    assert (top.status, top.headers["content-type"]) == (200, "application/json")
    assert set(top.json) == {"content"}
    assert {"docs/", "images/", "users/", "tests/"} <= set(top.json["content"])
    assert listed(folder).json == {"content": [*NAMES, *FOLDERS]}
    assert listed(f"{folder}/").json == {"content": [*NAMES, *FOLDERS]}
    assert listed(f"{folder}/sub").json == {"content": ["x", "y"]}
    assert listed(f"{folder}/00.txt").json == {"content": ["00.txt"]}


def test_a_path_that_is_not_there_is_404_in_its_own_words(listed: List) -> None:
    missing = listed("demo")
    assert (missing.status, missing.json) == (404, {"error": "Path 'demo' does not exist in the bucket"})


def test_details_are_those_of_s3(listed: List, folder: str, world: World, eu: "S3Client") -> None:
    content = {entry["name"]: entry for entry in listed(folder, details="true").json["content"]}
    head = eu.head_object(Bucket=world.buckets[EU], Key=f"{folder}/03.txt")
    assert content["03.txt"] == {
        "name": "03.txt",
        "type": "object",
        "size": head["ContentLength"],
        "etag": head["ETag"].strip('"'),
        "last_modified": head["LastModified"].isoformat().replace("+00:00", "Z"),
        "storage_class": "STANDARD",
    }
    assert content["sub/"] == {"name": "sub/", "type": "folder"}


def test_who_has_a_listing_is_told_so_until_it_changes(listed: List, world: World, eu: "S3Client") -> None:
    folder = f"tests/{uuid.uuid4()}"
    eu.put_object(Bucket=world.buckets[EU], Key=f"{folder}/a", Body=b"1")
    url = f"{world.api_url}/list-bucket-content/{folder}"
    first = get(url)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-store"
    again = get(url, {"If-None-Match": tag})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    detailed = get(f"{url}?details=true", {"If-None-Match": tag})
    assert detailed.status == 200
    eu.put_object(Bucket=world.buckets[EU], Key=f"{folder}/a", Body=b"22")
    assert get(url, {"If-None-Match": tag}).status == 304  # the same names
    assert get(f"{url}?details=true", {"If-None-Match": detailed.headers["etag"]}).status == 200
    eu.put_object(Bucket=world.buckets[EU], Key=f"{folder}/b", Body=b"1")
    changed = get(url, {"If-None-Match": tag})
    assert (changed.status, changed.json) == (200, {"content": ["a", "b"]})
    eu.delete_object(Bucket=world.buckets[EU], Key=f"{folder}/b")
    assert listed(folder).headers["etag"] == tag


def test_what_may_be_kept_is_the_callers_and_no_shared_caches(listed: List, world: World, folder: str) -> None:
    world.reload(LISTING_MAX_AGE="60")
    answer = listed(folder)
    assert answer.headers["cache-control"] == "private, max-age=60"
    assert answer.headers["vary"] == "Authorization, Origin"
    said = Response(200, tuple(answer.headers.items()), answer.body)
    # CloudFront keeps it only where somebody gave the cache policy a minimum of its own (docs/api.md).
    assert lifetime_seconds(said, CachePolicy(0, 0)) is None
    assert lifetime_seconds(said, CachePolicy(30, 30)) == 30
    refused = listed("demo")
    assert (refused.status, refused.headers["cache-control"]) == (404, "no-store")
    world.reload()
    assert listed(folder).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("limit", [1, 3, 5, 12, 13, 1000])
@pytest.mark.parametrize("details", [False, True])
def test_pages_together_are_the_whole(listed: List, folder: str, limit: int, details: bool) -> None:
    shape = {"details": "true"} if details else {}
    whole = listed(folder, **shape).json["content"]
    pages, cursor = [], None
    while True:
        answer = listed(folder, limit=limit, **shape, **({"cursor": cursor} if cursor else {}))
        assert answer.status == 200, answer.body
        pages.append(answer.json["content"])
        cursor = answer.json.get("cursor")
        if cursor is None:
            break
    assert [name for page in pages for name in page] == whole
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert len(pages) == -(-len(whole) // limit)


def test_a_cursor_is_pinned_and_sealed(listed: List, folder: str, world: World) -> None:
    cursor = listed(folder, limit=3, place=US).json["cursor"]
    world.switch(EU, on=False)  # the next page is asked of the region that gave the cursor
    assert listed(folder, limit=3, cursor=cursor).json["content"] == NAMES[3:6]
    world.switch(EU, on=True)
    for wrong in (
        {"cursor": cursor, "place": EU},
        {"cursor": "A" + cursor[1:] if cursor[0] != "A" else "B" + cursor[1:]},
    ):
        refused = listed(folder, **wrong)
        assert (refused.status, refused.json["error"]) == (400, "InvalidCursor")
    elsewhere = listed("images", cursor=cursor)
    assert (elsewhere.status, elsewhere.json["error"]) == (400, "InvalidCursor")
    world.reload(CURSOR_KEY="another-key-of-the-function")
    assert listed(folder, cursor=cursor).status == 400


@pytest.mark.parametrize("name", HARD)
def test_a_hard_name_is_listed_and_is_a_path(listed: List, world: World, eu: "S3Client", name: str) -> None:
    folder = f"tests/{uuid.uuid4()}"
    eu.put_object(Bucket=world.buckets[EU], Key=f"{folder}/{name}/{name}", Body=b"x")
    assert listed(folder).json == {"content": [f"{name}/"]}
    assert listed("", prefix=f"{folder}/{name}").json == {"content": [name]}
    if "?" not in name:  # an HTTP API decodes the path, and what follows a decoded question mark is lost (limits.md)
        assert listed(f"{folder}/{name}").json == {"content": [name]}


@pytest.mark.parametrize("prefix", ["/", "//", "a//", "/a/../"])
def test_a_folder_without_a_name_is_reached_by_prefix(listed: List, world: World, eu: "S3Client", prefix: str) -> None:
    folder = f"tests/{uuid.uuid4()}/"
    eu.put_object(Bucket=world.buckets[EU], Key=f"{folder}{prefix}x", Body=b"x")
    assert listed("", prefix=f"{folder}{prefix}").json == {"content": ["x"]}


def test_a_place_may_be_asked_for(listed: List, world: World, us: "S3Client") -> None:
    folder = f"tests/{uuid.uuid4()}"
    world.set_lag(30)
    us.put_object(Bucket=world.buckets[US], Key=f"{folder}/x", Body=b"x")
    assert listed(folder, place=US).json == {"content": ["x"]}
    assert listed(folder).status == 404
    bad = listed(folder, place="mars")
    assert (bad.status, bad.json["error"]) == (400, "InvalidRequest")
    assert "expected one of eu-west-2, us-east-2" in bad.json["message"]


def test_a_region_that_is_off_is_500_and_said_so(listed: List, world: World) -> None:
    world.switch(EU, on=False)
    down = listed()
    assert (down.status, down.json["error"]) == (500, "EndpointUnreachable")
    assert down.json["message"].startswith("eu-west-2 ")
    assert listed(place=US).status == 200
    assert listed("images/sunrise.png").status == 500  # and not missing


def test_a_bucket_that_is_not_there_and_one_that_refuses(listed: List, world: World) -> None:
    world.reload(BUCKET="nearside-nowhere")
    missing = listed()
    assert (missing.status, missing.json["error"]) == (404, "NoSuchBucket")
    world.reload(AWS_ACCESS_KEY_ID="AKIDOFNOBODY")
    refused = listed()
    assert (refused.status, refused.json["error"]) == (403, "AccessDenied")


def test_a_bucket_said_to_be_in_the_wrong_region_is_found(listed: List, world: World) -> None:
    replicas = json.dumps([{"region": US, "bucket": world.buckets[US], "endpoint": world.place_urls[US]}])
    world.reload(BUCKET_REGION="eu-central-1", BUCKET=world.buckets[EU], REPLICAS=replicas)
    moved = listed("images")
    assert moved.status == 200, moved.body
    assert "sunrise.png" in moved.json["content"]
    world.reload(BUCKET_REGION=EU, BUCKET=world.buckets[US], REPLICAS="[]")  # the other region's bucket, at this door
    moved = listed("images")
    assert moved.status == 200, moved.body
    assert "sunrise.png" in moved.json["content"]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"details": "x"}, {"cursor": "x"}, {"unknown": 1}]
)
def test_a_bad_query_is_400_and_named(listed: List, query: dict[str, Any]) -> None:
    bad = listed(**query)
    assert bad.status == 400
    assert next(iter(query)) in bad.json["message"]


def test_a_listing_over_the_answers_size_is_413_and_its_pages_are_not(
    listed: List, world: World, eu: "S3Client"
) -> None:
    folder = f"tests/{uuid.uuid4()}"
    long = "n" * 900
    for n in range(5_000):
        world_put(world, f"{folder}/{n:05}{long}")
    whole = listed(folder)
    assert (whole.status, whole.json["error"]) == (413, "AnswerTooLarge")
    assert "limit" in whole.json["message"]
    assert "cursor" in whole.json["message"]
    page = listed(folder, limit=1000)
    assert (page.status, len(page.json["content"])) == (200, 1000)


def world_put(world: World, key: str) -> None:
    """Straight into the stores of both regions: five thousand signed requests would take a while."""
    from local import object_store

    version = object_store.write(world.buckets[EU], key, b"", "text/plain")
    world.replication.already_done(world.buckets[EU], version)


def test_health_tells_each_place(world: World) -> None:
    healthy = get(f"{world.api_url}/health")
    up = dict.fromkeys([EU, US, *(f"gateway/{name}" for name in world.provider_urls)], "up")
    assert (healthy.status, healthy.json) == (200, {"status": "healthy", "places": up})
    world.switch(US, on=False)
    degraded = get(f"{world.api_url}/health").json
    assert (degraded["status"], degraded["places"][EU]) == ("degraded", "up")
    assert degraded["places"][US] != "up"
    world.switch(EU, on=False)
    for name in world.provider_urls:
        world.trouble_provider(name, "down")
    assert get(f"{world.api_url}/health").json["status"] == "unhealthy"

"""Uppy's own package from npm, as it is: its uploads by signRequest and by Companion's protocol arrive in S3."""

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from local.server import Request, Response, Server
from local.world import World
from tests.browser.conftest import Tab
from tests.browser.npm_packages import fetch
from tests.integration.http_client import get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BOTH = pytest.mark.parametrize(
    "options", [{"signed": True}, {"companionEndpoint": "{api}"}], ids=["signRequest", "companion"]
)

type Visit = Callable[[tuple[str, str]], None]

# The packages with all of Uppy in one file: https://www.npmjs.com/package/uppy. 6.0.1 has @uppy/aws-s3 6.1.0.
SIX = "uppy@6.0.1", "2OONMUNUHGBNkfSjNpWDhleeCeqm2oP+8NJRSxkkFVLmm3BbE7S+XCm45+jp36z7PCRuogtm1FgYPKa0iKbYAQ=="
FIVE = "uppy@5.2.4", "1btgAGUb7Tu7GympmA9XkyGcXBSM93d1FA36J6pY4lr6a0jMXfvFUg66Dbnm/Xaq6sFvm8KwSPJF46d8Ng0E8Q=="
MEMBER = "package/dist/uppy.min.mjs"

MIB = 1024**2
SMALL, LARGE = 1_000, 12 * MIB + 5

# A frontend's own code: a file of bytes that tell where they are, given to Uppy as a drop would.
_UPLOAD = """
async ([api, options, name, key, size, pauseAt]) => {
  const { default: Uppy_, Uppy = Uppy_, AwsS3 } = await import("./uppy.mjs");
  const uppy = new Uppy({ autoProceed: false });
  if (options.signed) {
    options.generateObjectKey = () => key;
    options.signRequest = async (request) => {
      window.asked = [...(window.asked ?? []), request];
      const headers = { authorization: "Bearer removed", "content-type": "application/json" };
      const answer = await fetch(`${api}/s3/sign`, { method: "POST", headers, body: JSON.stringify(request) });
      if (!answer.ok) throw new Error((await answer.json()).message);
      return answer.json();
    };
  }
  uppy.use(AwsS3, options);
  const bytes = new Uint8Array(size).map((_, index) => (index * 31 + (index >> 8)) % 256);
  const id = uppy.addFile({ name, type: "video/mp4", data: new File([bytes], name, { type: "video/mp4" }) });
  uppy.setFileMeta(id, { key });
  const parts = [];
  uppy.on("s3-multipart:part-uploaded", (_, part) => {
    parts.push(part.PartNumber);
    if (pauseAt && parts.length === pauseAt) { uppy.pauseAll(); setTimeout(() => uppy.resumeAll(), 200); }
  });
  const result = await uppy.upload();
  const failed = result.failed.map((file) => String(file.error));
  return { failed, parts, location: result.successful[0]?.uploadURL };
}
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The file of each package."""
    folder = tmp_path_factory.mktemp("uppy")
    return {name: fetch(name, sha512, MEMBER, folder) for name, sha512 in (SIX, FIVE)}


@pytest.fixture
def visit(tab: Tab, packages: dict[str, bytes]) -> Iterator[Visit]:
    """Opens an empty page of another origin than the API's, which can import the package."""
    serving: dict[str, bytes] = {}

    def answer(request: Request) -> Response:
        if request.path == "/uppy.mjs":
            return Response(200, (("Content-Type", "text/javascript"),), serving["module"])
        page = b"<!doctype html><title>Uppy</title><link rel=icon href=data:,>"
        return Response(200, (("Content-Type", "text/html"),), page)

    server = Server("uppy", answer, "127.0.0.1", 0)

    def open_(package: tuple[str, str]) -> None:
        serving["module"] = packages[package[0]]
        tab.page.goto(f"{server.url}/")

    yield open_
    server.close()


def content(size: int) -> bytes:
    return bytes((index * 31 + (index >> 8)) % 256 for index in range(size))


@pytest.mark.parametrize(
    ("package", "options"),
    [
        pytest.param(SIX, {"signed": True}, id="signRequest"),
        pytest.param(SIX, {"companionEndpoint": "{api}"}, id="companionEndpoint"),
        pytest.param(FIVE, {"endpoint": "{api}", "headers": {"authorization": "Bearer removed"}}, id="endpoint"),
    ],
)
@pytest.mark.parametrize("multipart", [False, True], ids=["one", "parts"])
def test_a_file_arrives_as_it_was(
    world: World,
    eu: "S3Client",
    us: "S3Client",
    tab: Tab,
    visit: Visit,
    package: tuple[str, str],
    options: dict[str, Any],
    multipart: bool,
) -> None:
    size = LARGE if multipart else SMALL
    visit(package)
    ready = json.loads(json.dumps(options).replace("{api}", world.api_url)) | {"shouldUseMultipart": multipart}
    key = f"uppy/{next(iter(options))}/{size} ü&+.mp4"
    result = tab.page.evaluate(_UPLOAD, [world.api_url, ready, "film.mp4", key, size, 0])
    assert (result["failed"], tab.errors) == ([], [])
    if multipart:  # before 6.0 one request is a part too
        assert sorted(result["parts"]) == [1, 2, 3]
    world.settle()
    for s3, bucket in ((eu, world.buckets["eu-west-2"]), (us, world.buckets["us-east-2"])):
        stored = s3.get_object(Bucket=bucket, Key=key)
        assert stored["Body"].read() == content(size)
        assert stored["ContentType"] == "video/mp4"
        assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert tab.errors == []


@BOTH
def test_an_upload_that_is_paused_lists_its_parts_and_goes_on(
    world: World, eu: "S3Client", tab: Tab, visit: Visit, options: dict[str, Any]
) -> None:
    visit(SIX)
    ready = json.loads(json.dumps(options).replace("{api}", world.api_url)) | {"shouldUseMultipart": True}
    listed = []
    tab.page.on(
        "request", lambda request: listed.append(request.url) if _lists_parts(request.method, request.url) else None
    )
    key = f"uppy/paused {next(iter(options))}.mp4"
    result = tab.page.evaluate(_UPLOAD, [world.api_url, ready, "film.mp4", key, LARGE, 1])
    assert (result["failed"], tab.errors) == ([], [])
    assert sorted(set(result["parts"])) == [1, 2, 3]
    assert listed, "it was not resumed"
    assert eu.get_object(Bucket=world.buckets["eu-west-2"], Key=key)["Body"].read() == content(LARGE)


def _lists_parts(method: str, url: str) -> bool:
    path, _, query = url.partition("?")
    by_s3 = "uploadId=" in query and "partNumber" not in query
    return method == "GET" and (by_s3 or re.search("/s3/multipart/[^/]+$", path) is not None)


def test_a_cancelled_upload_is_ended(world: World, eu: "S3Client", us: "S3Client", tab: Tab, visit: Visit) -> None:
    visit(SIX)
    with tab.page.expect_response(lambda answer: answer.request.method == "DELETE") as ended:
        tab.page.evaluate(
            """async ([api, size]) => {
              const { Uppy, AwsS3 } = await import("./uppy.mjs");
              const uppy = new Uppy();
              uppy.use(AwsS3, { companionEndpoint: api, shouldUseMultipart: true });
              uppy.addFile({ name: "gone.bin", type: "text/plain", data: new Blob([new Uint8Array(size)]) });
              const part = new Promise((resolve) => uppy.on("s3-multipart:part-uploaded", resolve));
              uppy.upload();
              await part;
              uppy.cancelAll();
            }""",
            [world.api_url, LARGE],
        )
    assert ended.value.status == 200
    for s3, bucket in ((eu, world.buckets["eu-west-2"]), (us, world.buckets["us-east-2"])):
        assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert get(f"{world.api_url}/uploads").json == {"uploads": []}


@BOTH
def test_a_key_that_s3_would_not_have_is_refused(world: World, tab: Tab, visit: Visit, options: dict[str, Any]) -> None:
    visit(SIX)
    ready = json.loads(json.dumps(options).replace("{api}", world.api_url))
    result = tab.page.evaluate(_UPLOAD, [world.api_url, ready, "film.mp4", "é" * 600, SMALL, 0])
    [said] = result["failed"]
    assert ("the key has 1200 bytes" if "signed" in options else "Companion request failed") in said

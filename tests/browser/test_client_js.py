"""web/client.js in a real browser against the API, and the gallery, which is made with nothing else."""

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from local.world import World
from tests.browser.conftest import Tab

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "nearside-eu-west-2"


def _call(tab: Tab, world: World, script: str, *arguments: Any) -> Any:
    """What a script answers that has a client (`nearside`) and `NearsideError`."""
    tab.page.goto(f"{world.api_url}/app/gallery/")
    whole = f"""async (given) => {{
      const {{ createClient, NearsideError }} = await import("/app/client.js");
      const nearside = createClient({{ api: "" }});
      {script}
    }}"""
    return tab.page.evaluate(whole, list(arguments))


def test_every_call_is_answered(world: World, tab: Tab) -> None:
    found = _call(
        tab,
        world,
        """
        const answers = await Promise.all([
          nearside.list("images/", { details: true, limit: 2 }), nearside.presign({ key: "images/harbour.png" }),
          nearside.presign([{ key: "images/harbour.png" }]), nearside.health(), nearside.backends(), nearside.mrap(),
          nearside.openapi(), nearside.replicationHealth(), nearside.replicationObject("images/harbour.png"),
          nearside.replicationObjects(["images/harbour.png"]), nearside.replicationLag(1),
          nearside.repair({ dry_run: true }), nearside.replicas({ limit: 1 }), nearside.operations({ limit: 1 }),
          nearside.uploads.list(),
        ]);
        return answers.map((answer) => Object.keys(answer)[0]);
        """,
    )
    assert found == [
        *("content", "key", "items", "status", "backends", "name", "openapi", "verdict", "key", "objects"),
        *("step_seconds", "dry_run", "replicas", "operations", "uploads"),
    ]
    assert tab.errors == []


@pytest.mark.parametrize(
    "key", ["js/a b+c%25?d=e#f&g.txt", "js/a//b", "js/../b", "js/./b/", "/js", "js/ü\u202e\U0001f600"]
)
def test_keys_that_a_url_would_swallow_arrive_as_they_are(world: World, tab: Tab, eu: "S3Client", key: str) -> None:
    eu.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    assert _call(tab, world, "return (await nearside.replicationObject(given[0])).key", key) == key


@pytest.mark.parametrize(
    ("call", "status", "code", "says"),
    [
        ('presign({ key: "none" })', 404, "NoSuchKey", "'none' is not in"),
        ('presign({ key: "" })', 400, "InvalidRequest", "key is"),
        ('list("none/")', 404, "", "Path 'none' does not exist in the bucket"),
        ('uploads.show("none")', 404, "NoSuchUpload", "no such upload"),
    ],
)
def test_a_refusal_is_thrown_in_the_apis_words(
    world: World, tab: Tab, call: str, status: int, code: str, says: str
) -> None:
    script = f"""return await nearside.{call}.then(() => null, (error) =>
        [error instanceof NearsideError, error.status, error.code, error.message]);"""
    known, *said, message = _call(tab, world, script)
    assert (known, said) == (True, [status, code])
    assert says in message


def test_an_api_that_does_not_answer_has_status_0_and_a_stop_is_a_stop(world: World, tab: Tab) -> None:
    script = """
        const broken = createClient({ api: "", fetch: async () => { throw new TypeError("Failed to fetch"); } });
        const control = new AbortController();
        const asked = nearside.health({ signal: control.signal });
        control.abort();
        return [await broken.health().catch(({ status, message }) => [status, message]),
                await asked.catch(({ name }) => name)];
    """
    [status, message], stopped = _call(tab, world, script)
    assert (status, stopped) == (0, "AbortError")
    assert message == "The API cannot be reached. Check the connection, then try again."


def test_the_token_and_the_headers_go_with_every_call(world: World, tab: Tab) -> None:
    script = """
        const sent = [];
        const fetch = async (url, { method, headers }) => {
          sent.push([url, method, headers]);
          return Response.json({});
        };
        const headers = () => ({ a: "b" });
        const own = createClient({ api: "https://api.test/", token: async () => "t", headers, fetch });
        await own.uploads.abort("x/y");
        await own.repair();
        return sent;
    """
    assert _call(tab, world, script) == [
        ["https://api.test/uploads/x/y", "DELETE", {"a": "b", "authorization": "Bearer t"}],
        [
            "https://api.test/replication/repair",
            "POST",
            {"a": "b", "authorization": "Bearer t", "content-type": "application/json"},
        ],
    ]


def test_the_gallery_shows_pictures_from_the_nearest_place(world: World, tab: Tab, eu: "S3Client") -> None:
    tab.page.goto(f"{world.api_url}/app/gallery/")
    expect(tab.page.get_by_role("status")).to_contain_text("pictures of images/, from")
    images = tab.page.get_by_role("img")
    assert images.count() >= 3
    for number in range(3):
        assert images.nth(number).evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    tab.shot("gallery")
    name = '"><img src=x onerror=alert(1)>.png'
    eu.put_object(Bucket=BUCKET, Key=f"hostile/{name}", Body=b"none")
    tab.page.goto(f"{world.api_url}/app/gallery/?folder=hostile/")
    expect(tab.page.get_by_role("img", name=name)).to_have_count(1)
    assert tab.errors == []

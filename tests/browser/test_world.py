"""What a frontend in a browser needs of the world: CORS on the API, on every bucket and on the MRAP; and the pages."""

from playwright.sync_api import Page

from local.world import World
from tests.browser.conftest import Tab

# A frontend's own code, as one would write it: ask for a URL, send exactly the headers that came with it.
_FRONTEND = """
async ([api, key, text]) => {
  const presign = async (asked) => {
    const answer = await fetch(`${api}/presign`, {
      method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(asked)});
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.message);
    return body;
  };
  const bytes = new TextEncoder().encode(text);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const up = await presign({
    key, method: "PUT", content_type: "text/plain", checksum_sha256: btoa(String.fromCharCode(...digest))});
  const put = await fetch(up.url, {method: "PUT", headers: up.headers, body: bytes});
  const down = await presign({key});
  const got = await fetch(down.url);
  return {put: put.status, version: put.headers.get("x-amz-version-id"), route: down.route, reason: down.reason,
          got: got.status, text: await got.text()};
}
"""


def _visit(page: Page, url: str) -> None:
    response = page.goto(url)
    assert response is not None
    assert response.status == 200


def test_a_page_of_another_origin_uploads_and_downloads(world: World, tab: Tab) -> None:
    _visit(tab.page, f"{world.controls_url}/")  # another origin than the API's and the MRAP's
    key = "browser/a b+c#d?e%f ü.txt"
    world.set_lag(0.2)

    before = tab.page.evaluate(_FRONTEND, [world.api_url, key, "from a browser"])
    assert (before["put"], before["got"], before["text"]) == (200, 200, "from a browser")
    assert before["version"], "x-amz-version-id is not exposed to the page"

    world.settle()
    url = tab.page.evaluate(
        "async ([api, key]) => (await (await fetch(`${api}/presign`, {method: 'POST', body: JSON.stringify({key})}))"
        ".json())",
        [world.api_url, key],
    )
    assert url["route"] == "mrap"
    for location in ("eu", "us"):
        served = tab.page.evaluate(
            "async ([url, location]) => { const got = await fetch(url, {headers: {'x-world-location': location}});"
            " return [got.status, got.headers.get('x-world-region'), await got.text()]; }",
            [url["url"], location],
        )
        assert served == [200, {"eu": "eu-west-2", "us": "us-east-2"}[location], "from a browser"]
    assert tab.errors == []


def test_a_refusal_can_be_read_by_the_page(world: World, tab: Tab) -> None:
    _visit(tab.page, f"{world.controls_url}/")
    said = tab.page.evaluate(
        "async (api) => { const a = await fetch(`${api}/presign`, {method: 'POST', body: '{}'});"
        " return [a.status, (await a.json()).message]; }",
        world.api_url,
    )
    assert said == [400, "object missing required field `key`"]


def test_an_image_is_shown_by_its_presigned_url(world: World, tab: Tab) -> None:
    _visit(tab.page, f"{world.controls_url}/")
    width = tab.page.evaluate(
        "async (api) => { const a = await fetch(`${api}/presign`, {method: 'POST',"
        " body: JSON.stringify({key: 'images/harbour.png'})});"
        " const image = new Image(); image.src = (await a.json()).url; await image.decode();"
        " return image.naturalWidth; }",
        world.api_url,
    )
    assert width == 320
    assert tab.errors == []


def test_the_documentation_page_is_whole_and_quiet(world: World, tab: Tab) -> None:
    _visit(tab.page, f"{world.api_url}/docs")
    headings = tab.page.locator("h2 code").all_inner_texts()
    assert "POST /presign" in headings
    assert tab.page.locator("#Item td", has_text="expires_in").count() == 1
    tab.shot("docs")
    tab.page.set_viewport_size({"width": 320, "height": 800})
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 320, "the page scrolls sideways on a phone"
    tab.shot("docs-320")
    assert tab.errors == []


def test_the_controls_page_switches_a_region_off(world: World, tab: Tab) -> None:
    _visit(tab.page, f"{world.controls_url}/")
    tab.page.get_by_role("button", name="turn off").first.click()
    tab.page.get_by_role("button", name="turn on").wait_for()
    tab.shot("controls-eu-off")
    health = tab.page.request.get(f"{world.api_url}/health").json()
    assert health["status"] == "degraded"
    tab.page.get_by_role("button", name="turn on").click()
    tab.page.get_by_role("button", name="turn off").nth(1).wait_for()
    assert tab.page.request.get(f"{world.api_url}/health").json()["status"] == "healthy"
    assert tab.errors == []

"""Uploads in a real browser: every way a file can be stopped, gone on with, refused and told of, byte for byte."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from local.world import World
from tests.browser.conftest import Tab
from tests.integration.http_client import get, send

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "nearside-eu-west-2"
FILM_BYTES = 97 * 1024**2
PARTS = 7  # of which four are sent at once

# The panel alone, as a frontend of one's own would have it: in another page, on an element that is empty.
_PANEL = """
async () => {
  const { createUploadPanel } = await import("/app/upload-panel.js");
  const { createClient } = await import("/app/client.js");
  const element = document.createElement("div");
  const chooser = Object.assign(document.createElement("input"), { type: "file", multiple: true, id: "chooser" });
  const announcer = Object.assign(document.createElement("p"), { id: "announcer" });
  document.body.prepend(element, chooser, announcer);
  window.changed = [];
  document.addEventListener("nearside:changed", (event) => window.changed.push(...event.detail.keys));
  window.panel = createUploadPanel({ client: createClient({ api: "" }), element, folder: () => "engine/",
    headers: () => window.headers ?? {} });
  chooser.addEventListener("change", () => window.panel.add(chooser.files));
  window.uploads = await window.panel.open();
  await window.uploads.ready;
}
"""
_SENDING = "() => window.uploads.all.some((each) => each.state === 'sending' && each.parts.size >= 1)"


@pytest.fixture(autouse=True)
def _nothing_unfinished(world: World) -> None:
    """What other tests have left unfinished is not shown in this one."""
    for upload in get(f"{world.api_url}/uploads").json["uploads"]:
        assert send("DELETE", f"{world.api_url}/uploads/{upload['id']}").status == 200


def _open(page: Page, world: World) -> None:
    page.goto(f"{world.api_url}/app/gallery/")
    page.evaluate(_PANEL)


def _states(page: Page) -> list[str]:
    states: list[str] = page.evaluate("window.uploads.all.map(({ state }) => state)")
    return states


def _add(page: Page, *files: tuple[str, str]) -> None:
    page.evaluate(
        "(files) => window.panel.add(files.map(([name, text]) => new File([text], name, { type: 'text/plain' })))",
        [list(each) for each in files],
    )


def _done(page: Page, count: int) -> None:
    """So many are done, and none is on its way."""
    js = "(count) => window.uploads.all.filter(({ state }) => state === 'done').length === count"
    page.wait_for_function(js, arg=count, timeout=60_000)


def _row(page: Page, name: str) -> Any:
    return page.get_by_role("listitem").filter(has_text=name)


def _text(eu: "S3Client", key: str) -> bytes:
    return eu.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.fixture
def film(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of six parts and a bit; its name is this test's own."""
    path = tmp_path / f"{request.node.name}.mov"
    path.write_bytes(os.urandom(FILM_BYTES))
    return path


@pytest.fixture
def puts(tab: Tab) -> list[Request]:
    """The PUTs that were answered."""
    answered: list[Request] = []
    tab.page.on("requestfinished", lambda request: answered.append(request) if request.method == "PUT" else None)
    return answered


def _same(eu: "S3Client", film: Path) -> bool:
    stored = hashlib.sha256(_text(eu, f"engine/{film.name}")).digest()
    return stored == hashlib.sha256(film.read_bytes()).digest()


def test_small_files_go_in_one_put_with_their_type_and_arrive_everywhere(
    world: World, tab: Tab, eu: "S3Client", puts: list[Request]
) -> None:
    _open(tab.page, world)
    names = ["a.txt", "<img src=x onerror=alert(1)>.txt", "ü ?#%+.txt", "empty.txt"]
    _add(tab.page, *((name, "" if name == "empty.txt" else f"in {name}") for name in names))
    _done(tab.page, 4)
    for name in names[:3]:
        assert _text(eu, f"engine/{name}").decode() == f"in {name}"
    assert eu.head_object(Bucket=BUCKET, Key="engine/a.txt")["ContentType"] == "text/plain"
    assert len(puts) == 4
    expect(tab.page.get_by_text("In all 2 places")).to_have_count(4)
    expect(tab.page.get_by_role("link", name=names[1])).to_be_visible()
    assert sorted(tab.page.evaluate("window.changed")) == sorted(f"engine/{name}" for name in names)
    expect(tab.page.locator("#announcer")).to_have_text("4 uploads done.")
    tab.shot("uploads-done")
    assert tab.errors == []


def test_a_large_one_that_was_killed_half_way_goes_on_with_what_is_missing(
    world: World, tab: Tab, eu: "S3Client", film: Path, puts: list[Request]
) -> None:
    _open(tab.page, world)
    for region in world.place_urls:
        world.slow(region, 0.3)
    tab.page.on("dialog", lambda dialog: dialog.accept())  # "leave the page?"
    tab.page.set_input_files("#chooser", film)
    tab.page.wait_for_function(_SENDING)
    _open(tab.page, world)
    expect(_row(tab.page, film.name)).to_contain_text("is there. Choose the file again to go on.")
    tab.shot("uploads-unfinished")
    stored = tab.page.evaluate("[...window.uploads.all.find((each) => each.size > 1e7).sentOf.keys()].length")
    assert 1 <= stored < PARTS
    puts.clear()
    with tab.page.expect_file_chooser() as chooser:
        _row(tab.page, film.name).get_by_role("button", name=f"Choose the file: {film.name}").click()
    chooser.value.set_files(film)
    _done(tab.page, 1)
    assert len(puts) == PARTS - stored
    assert _same(eu, film)


def test_another_file_is_not_taken_for_the_rest_of_it(world: World, tab: Tab, film: Path, tmp_path: Path) -> None:
    _open(tab.page, world)
    tab.page.evaluate(
        "([key, size]) => window.uploads.client.uploads.begin({ key, size })", [f"engine/{film.name}", FILM_BYTES]
    )
    _open(tab.page, world)
    other = tmp_path / "other.mov"
    other.write_bytes(b"other")
    with tab.page.expect_file_chooser() as chooser:
        _row(tab.page, film.name).get_by_role("button", name=f"Choose the file: {film.name}").click()
    chooser.value.set_files(other)
    expect(_row(tab.page, film.name)).to_contain_text("choose the same file")
    _row(tab.page, film.name).get_by_role("button", name=f"Discard: {film.name}").click()
    expect(_row(tab.page, film.name)).to_have_count(0)
    mine = tab.page.evaluate("async () => (await window.uploads.client.uploads.list()).uploads.map(({key}) => key)")
    assert f"engine/{film.name}" not in mine


def test_parts_that_changed_meanwhile_are_sent_again(
    world: World, tab: Tab, eu: "S3Client", film: Path, puts: list[Request]
) -> None:
    """The file of the same name and size has other bytes: what the store has of the old ones is not used."""
    _open(tab.page, world)
    for region in world.place_urls:
        world.slow(region, 0.3)
    tab.page.set_input_files("#chooser", film)
    tab.page.wait_for_function(_SENDING)
    _row(tab.page, film.name).get_by_role("button", name=f"Pause: {film.name}").click()
    tab.page.on("dialog", lambda dialog: dialog.accept())
    film.write_bytes(os.urandom(FILM_BYTES))
    _open(tab.page, world)
    puts.clear()
    tab.page.set_input_files("#chooser", film)
    _done(tab.page, 1)
    assert len(puts) == PARTS
    assert _same(eu, film)


def test_pause_and_resume_of_one_and_of_all(
    world: World, tab: Tab, eu: "S3Client", film: Path, puts: list[Request]
) -> None:
    _open(tab.page, world)
    for region in world.place_urls:
        world.slow(region, 0.3)
    tab.page.set_input_files("#chooser", film)
    tab.page.wait_for_function(_SENDING)
    row = _row(tab.page, film.name)
    row.get_by_role("button", name=f"Pause: {film.name}").press("Enter")
    expect(row).to_contain_text("Paused at")
    expect(row.get_by_role("button", name=f"Resume: {film.name}")).to_be_focused()
    tab.page.wait_for_timeout(400)  # what was on its way has ended
    before = len(puts)
    tab.page.wait_for_timeout(600)
    assert len(puts) == before, "it goes on while it is paused"
    row.get_by_role("button", name=f"Resume: {film.name}").click()
    tab.page.get_by_role("button", name="Pause all").click()
    _add(tab.page, ("while-paused.txt", "x"))
    expect(_row(tab.page, "while-paused.txt")).to_contain_text("Waiting")
    tab.page.get_by_role("button", name="Resume all").click()
    _done(tab.page, 2)
    assert _same(eu, film)


def test_cancelled_it_is_gone_from_the_store_too(world: World, tab: Tab, eu: "S3Client", film: Path) -> None:
    _open(tab.page, world)
    world.slow("eu-west-2", 0.5)
    tab.page.set_input_files("#chooser", film)
    tab.page.wait_for_function("() => window.uploads.all.some(({ remote }) => remote)")
    _row(tab.page, film.name).get_by_role("button", name=f"Cancel: {film.name}").click()
    expect(_row(tab.page, film.name)).to_have_count(0)
    world.slow("eu-west-2", 0)
    left = eu.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert [each["Key"] for each in left if each["Key"].endswith(film.name)] == []


def test_a_name_that_is_taken_is_asked_about(world: World, tab: Tab, eu: "S3Client") -> None:
    for name in ("one", "two", "three"):
        eu.put_object(Bucket=BUCKET, Key=f"engine/taken {name}.txt", Body=b"old")
    world.settle()
    _open(tab.page, world)
    _add(tab.page, *((f"taken {name}.txt", "new") for name in ("one", "two", "three", "four")))
    _done(tab.page, 1)
    tab.shot("uploads-taken")
    tab.page.get_by_role("button", name="Overwrite: taken one.txt").click()
    tab.page.get_by_role("button", name="Keep both: taken two.txt").click()
    tab.page.get_by_role("button", name="Skip: taken three.txt").click()
    _done(tab.page, 3)
    names = ("one", "two", "two (2)", "three", "four")
    stored = {name: _text(eu, f"engine/taken {name}.txt") for name in names}
    assert stored == dict(zip(names, (b"new", b"old", b"new", b"old", b"new"), strict=True))


def test_a_name_that_is_taken_while_it_is_sent_is_not_overwritten(world: World, tab: Tab, eu: "S3Client") -> None:
    _open(tab.page, world)
    # The look before says that it is free; the store has it nevertheless.
    tab.page.route("**/replication/objects", lambda route: route.fulfill(json={"objects": []}))
    eu.put_object(Bucket=BUCKET, Key="engine/raced.txt", Body=b"theirs")
    world.settle()
    _add(tab.page, ("raced.txt", "mine"))
    expect(_row(tab.page, "raced.txt")).to_contain_text("There is an object of this name already.")
    assert _text(eu, "engine/raced.txt") == b"theirs"
    tab.page.get_by_role("button", name="Overwrite: raced.txt").click()
    _done(tab.page, 1)
    assert _text(eu, "engine/raced.txt") == b"mine"


def test_offline_it_waits_and_goes_on(world: World, tab: Tab, eu: "S3Client", film: Path) -> None:
    _open(tab.page, world)
    for region in world.place_urls:
        world.slow(region, 0.3)
    tab.page.set_input_files("#chooser", film)
    tab.page.wait_for_function(_SENDING)
    tab.page.context.set_offline(True)
    expect(_row(tab.page, film.name)).to_contain_text("Trying again…")
    tab.page.wait_for_timeout(1_000)
    assert _states(tab.page) == ["sending"]
    tab.page.context.set_offline(False)
    _done(tab.page, 1)
    assert _same(eu, film)


def test_a_region_that_is_off_for_a_while(world: World, tab: Tab, eu: "S3Client", film: Path) -> None:
    _open(tab.page, world)
    world.slow("eu-west-2", 0.3)
    tab.page.set_input_files("#chooser", film)
    tab.page.wait_for_function(_SENDING)
    world.switch("eu-west-2", on=False)
    expect(_row(tab.page, film.name)).to_contain_text("Trying again…")
    world.switch("eu-west-2", on=True)
    _done(tab.page, 1)
    assert _same(eu, film)


def test_a_url_that_has_expired_is_asked_for_anew(world: World, tab: Tab, eu: "S3Client", film: Path) -> None:
    _open(tab.page, world)
    expired = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    refused: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.method != "PUT" or len(refused) == 2:
            return route.continue_()
        refused.append(route.request.url)
        headers = {"access-control-allow-origin": "*", "content-type": "application/xml"}
        return route.fulfill(status=403, body=expired, headers=headers)

    tab.page.route("**/*partNumber*", refuse)
    tab.page.set_input_files("#chooser", film)
    _done(tab.page, 1)
    assert len(refused) == 2
    assert _same(eu, film)


def test_one_goes_on_while_all_others_rest(world: World, tab: Tab) -> None:
    _open(tab.page, world)
    tab.page.evaluate("window.uploads.pauseAll()")
    _add(tab.page, ("rests.txt", "x"), ("goes on.txt", "x"))
    _row(tab.page, "goes on.txt").get_by_role("button", name="Pause: goes on.txt").click()
    _row(tab.page, "goes on.txt").get_by_role("button", name="Resume: goes on.txt").click()
    _done(tab.page, 1)
    expect(_row(tab.page, "rests.txt")).to_contain_text("Waiting")


def test_a_new_name_is_no_question_while_a_region_is_off(world: World, tab: Tab, us: "S3Client") -> None:
    """What that region has is not known then; the other takes the upload."""
    _open(tab.page, world)
    world.switch("eu-west-2", on=False)
    _add(tab.page, ("while off.txt", "x"))
    _done(tab.page, 1)
    assert us.get_object(Bucket="nearside-us-east-2", Key="engine/while off.txt")["Body"].read() == b"x"
    expect(_row(tab.page, "while off.txt")).to_contain_text("In 1 of 2 places")


def test_where_the_viewer_pretends_to_be_goes_with_the_bytes(world: World, tab: Tab, us: "S3Client") -> None:
    _open(tab.page, world)
    world.set_lag(600)
    tab.page.evaluate("window.headers = { 'X-World-Location': 'us' }")
    _add(tab.page, ("from ohio.txt", "x"))
    _done(tab.page, 1)
    assert us.get_object(Bucket="nearside-us-east-2", Key="engine/from ohio.txt")["Body"].read() == b"x"


def test_without_a_network_the_panel_itself_says_that_it_cannot_be_loaded(world: World, tab: Tab) -> None:
    tab.page.goto(f"{world.api_url}/app/gallery/")
    tab.page.route("**/upload-view.js", lambda route: route.abort())
    tab.page.evaluate(_PANEL.replace("await window.panel.open()", "{}"))
    _add(tab.page, ("a.txt", "x"))
    expect(tab.page.get_by_text("could not be loaded")).to_be_visible()
    tab.page.unroute("**/upload-view.js")


def test_what_fails_is_said_and_can_be_tried_again(world: World, tab: Tab, eu: "S3Client") -> None:
    _open(tab.page, world)
    said = {"error": "AccessDenied", "message": "al may not write 'engine/refused.txt'"}
    tab.page.route("**/uploads", lambda route: route.fulfill(status=403, json=said))
    _add(tab.page, ("refused.txt", "x"), ("x" * 1020, "too long"))
    expect(_row(tab.page, "refused.txt")).to_contain_text("Al may not write 'engine/refused.txt'")
    expect(_row(tab.page, "x" * 1020)).to_contain_text("The name is too long")
    tab.shot("uploads-failed")
    tab.page.unroute("**/uploads")
    tab.page.get_by_role("button", name="Try again: refused.txt").click()
    _done(tab.page, 1)
    assert _text(eu, "engine/refused.txt") == b"x"


@pytest.mark.usefixtures("unheard")  # the catalog has more important things to do than to hear of 123 files
def test_a_folder_that_is_dropped_comes_with_its_folders(
    world: World, tab: Tab, eu: "S3Client", tmp_path: Path
) -> None:
    for name in ("top.txt", "in/side.txt", "in/deep/est.txt", *(f"many/{number:03}.txt" for number in range(120))):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(name)
    _open(tab.page, world)
    tab.page.evaluate("document.querySelector('#chooser').webkitdirectory = true")
    tab.page.set_input_files("#chooser", tmp_path / "tree")
    _done(tab.page, 123)
    assert _text(eu, "engine/tree/in/deep/est.txt") == b"in/deep/est.txt"
    listed = eu.list_objects_v2(Bucket=BUCKET, Prefix="engine/tree/many/")
    assert listed["KeyCount"] == 120
    expect(tab.page.get_by_text("and 63 more uploads")).to_be_visible()


def test_entries_of_a_drop_are_walked_and_what_cannot_be_read_is_told(world: World, tab: Tab) -> None:
    """A drop by hand cannot be made in a test: entries as the browser gives them, a hundred at most at a time."""
    _open(tab.page, world)
    found = tab.page.evaluate(
        """async () => {
          const { filesOf } = await import("/app/upload-files.js");
          const file = (name) => ({ isFile: true, name, file: (give) => give(new File(["x"], name)) });
          const locked = { isFile: true, name: "locked", file: (give, refuse) => refuse(new Error("no")) };
          const reader = (batches) => ({ readEntries: (give) => give(batches.shift() ?? []) });
          const folder = (name, batches) => ({ name, createReader: () => reader(batches) });
          const entry = folder("d", [[file("1"), locked], [folder("e", [[file("2")]])]]);
          const items = [{ kind: "file", webkitGetAsEntry: () => entry }, { kind: "string" },
                         { kind: "file", webkitGetAsEntry: () => null, getAsFile: () => new File(["x"], "plain") }];
          const { found, unread } = await filesOf(items);
          return [found.map(({ path }) => path), unread];
        }"""
    )
    assert found == [["d/1", "d/e/2", "plain"], ["d/locked"]]


def test_the_panel_fits_a_phone(world: World, tab: Tab, eu: "S3Client") -> None:
    eu.put_object(Bucket=BUCKET, Key="engine/phone.txt", Body=b"old")
    world.settle()
    tab.page.set_viewport_size({"width": 320, "height": 640})
    _open(tab.page, world)
    _add(tab.page, ("phone.txt", "x"), ("a rather long name of a file that does not fit into one line.txt", "x"))
    _done(tab.page, 1)
    tab.shot("uploads-320")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 320

"""The demonstration in three clicks, and a large upload whose tab is closed, through the page as a person does it."""

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import BrowserContext, expect

from local.world import World
from tests.browser.conftest import Explorer
from tests.integration.http_client import get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILM_BYTES = 200_000_000


def test_upload_switch_europe_off_still_served(world: World, explorer: Explorer) -> None:
    page = explorer.page
    explorer.open("#/folder/demonstration/")
    explorer.upload("hello.txt")
    expect(explorer.dots("hello.txt", "completed")).to_have_count(2)
    explorer.shot("demonstration-1-uploaded")

    drawer = explorer.world_drawer()
    europe = drawer.get_by_role("switch", name="Europe eu-west-2")
    europe.uncheck()
    expect(drawer.get_by_role("switch", name="Europe eu-west-2 off")).to_be_visible()
    assert get(f"{world.api_url}/health").json["places"]["eu-west-2"] != "up"

    explorer.row("hello.txt").get_by_role("link").click()
    expect(page.locator(".served strong")).to_have_text("us-east-2")
    expect(page.locator(".look")).to_contain_text("this is hello.txt")
    explorer.shot("demonstration-3-still-served")

    page.get_by_role("link", name="Health").click()
    expect(page.locator(".word strong")).to_have_text(
        "Degraded", timeout=15_000
    )  # what Europe does not answer has to time out
    europe.check()
    expect(page.locator(".word strong")).to_have_text("Healthy", timeout=15_000)


def test_who_is_in_america_is_served_from_there(world: World, explorer: Explorer) -> None:
    explorer.open("#/object/images/harbour.png")
    served = explorer.page.locator(".served strong")
    expect(served).to_have_text("eu-west-2")
    explorer.world_drawer().get_by_role("radio", name="America").check()
    expect(served).to_have_text("us-east-2")
    expect(explorer.page.get_by_role("button", name="World")).to_contain_text("us")
    explorer.page.reload()
    expect(served).to_have_text("us-east-2")
    assert explorer.errors == []


def test_200_mb_whose_tab_is_closed_go_on_in_another_tab(
    world: World, context: BrowserContext, explorer: Explorer, eu: "S3Client", tmp_path: Path
) -> None:
    film = tmp_path / "a long film.mov"
    film.write_bytes(os.urandom(FILM_BYTES))
    for region in world.place_urls:
        world.slow(region, 0.3)
    explorer.open("#/folder/users/")
    explorer.upload(film)
    row = explorer.page.get_by_role("listitem").filter(has_text=film.name)
    expect(row).to_contain_text(re.compile(r"^.*[1-9]\d? % of 200 MB"), timeout=30_000)
    explorer.page.close()  # as a crash: nothing is asked, nothing is ended

    again = Explorer(context.new_page(), url=explorer.url)
    answered: list[str] = []
    again.page.on("requestfinished", lambda request: answered.append(request.url) if request.method == "PUT" else None)
    again.open("#/folder/users/")
    row = again.page.get_by_role("listitem").filter(has_text=film.name)
    expect(row).to_contain_text("is there. Choose the file again to go on.")
    [unfinished] = get(f"{world.api_url}/uploads").json["uploads"]
    there = len(get(f"{world.api_url}/uploads/{unfinished['id']}").json["done"])
    assert 1 <= there < unfinished["parts"]
    again.shot("resume-unfinished")
    again.upload(film, button=f"Choose the file: {film.name}")
    expect(row).to_contain_text("In all 2 places", timeout=60_000)
    assert len(answered) == unfinished["parts"] - there
    expect(again.dots(film.name, "completed")).to_have_count(2)
    again.shot("resume-done")
    stored = eu.get_object(Bucket=world.buckets["eu-west-2"], Key=f"users/{film.name}")["Body"]
    with film.open("rb") as local:
        assert _digest(iter(lambda: local.read(1 << 20), b"")) == _digest(stored.iter_chunks(1 << 20))
    assert get(f"{world.api_url}/uploads").json == {"uploads": []}
    assert again.errors == []


def _digest(chunks: object) -> str:
    found = hashlib.sha256()
    for chunk in chunks:  # type: ignore[attr-defined]  # an iterator of bytes, of boto3's own type
        found.update(chunk)
    return found.hexdigest()

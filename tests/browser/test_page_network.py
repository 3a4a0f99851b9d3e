"""The explorer page with no network, a slow one, and an API that is away: said, gone on with, nothing done twice."""

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Request, Route, expect

from local.world import World
from tests.browser.conftest import Explorer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_offline_it_says_so_and_goes_on_by_itself(explorer: Explorer) -> None:
    page = explorer.page
    explorer.open("#/folder/docs/")
    expect(explorer.row("guide.txt")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("You are offline")
    expect(explorer.row("guide.txt")).to_be_visible()
    page.get_by_role("link", name="All files").click()
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("You are offline. It goes on when the network is back.")
    explorer.shot("offline")
    problem.get_by_role("button", name="Try again").click()
    expect(problem).to_contain_text("You are offline")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_have_text("")
    expect(explorer.row("docs/")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_view_that_could_not_be_loaded_can_be_tried_again(explorer: Explorer) -> None:
    page = explorer.page
    explorer.open()
    page.context.set_offline(True)
    page.get_by_role("link", name="Log").click()
    problem = page.get_by_role("alert")
    expect(problem).to_be_visible()
    page.context.set_offline(False)
    problem.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="What was done")).to_be_visible()


def test_an_api_that_is_away_is_waited_for(explorer: Explorer) -> None:
    page = explorer.page
    explorer.open("#/folder/docs/")
    expect(explorer.row("guide.txt")).to_be_visible()
    api = f"{explorer.url.removesuffix('app/')}**"

    def away(route: Route) -> None:
        if "/app/" in route.request.url:
            return route.continue_()
        return route.abort("connectionrefused")

    page.route(api, away)
    page.get_by_role("link", name="All files").click()
    expect(page.locator("#banner")).to_contain_text("The API does not answer")
    expect(page.get_by_role("alert")).to_contain_text("The API cannot be reached.")
    explorer.shot("api-away")
    page.unroute(api)
    expect(page.locator("#banner")).to_have_text("")
    expect(explorer.row("docs/")).to_be_visible()


def test_while_nothing_is_known_grey_rows_are_shown(explorer: Explorer) -> None:
    page = explorer.page
    held: list[Route] = []
    page.route("**/list-bucket-content*", lambda route: held.append(route))
    explorer.open("#/folder/docs/")
    expect(page.locator(".veil .skeleton")).to_be_visible()
    expect(page.get_by_role("grid")).to_have_attribute("aria-busy", "true")
    for route in held:
        route.continue_()
    expect(explorer.row("guide.txt")).to_be_visible()
    expect(page.locator(".veil .skeleton")).to_have_count(0)
    assert explorer.errors == []


@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize("where", ["list", "details"])
def test_who_clicks_twice_while_it_is_slow_deletes_once(
    world: World, explorer: Explorer, eu: "S3Client", where: str
) -> None:
    key = f"slow/{where}.txt"
    eu.put_object(Bucket=world.buckets["eu-west-2"], Key=key, Body=b"x")
    world.settle()
    page = explorer.page
    deleted: list[Request] = []
    page.on("request", lambda request: deleted.append(request) if request.method == "DELETE" else None)
    explorer.open("#/folder/slow/" if where == "list" else f"#/object/{key}")
    if where == "list":
        explorer.row(f"{where}.txt").get_by_role("checkbox").check()
        button = page.get_by_role("group", name="With what is chosen").get_by_role("button", name="Delete")
    else:
        expect(page.locator(".about")).to_be_visible()
        button = page.locator(".details").get_by_role("button", name="Delete")
    for region in world.place_urls:
        world.slow(region, 0.5)
    busy = page.locator(".chosen.busy") if where == "list" else page.locator(".details button.danger:disabled")
    button.evaluate("button => { button.click(); button.click(); }")
    expect(busy).to_be_visible()
    button.evaluate("button => button.click()")
    expect(explorer.row(f"{where}.txt")).to_have_count(0)
    expect(busy).to_have_count(0)
    assert len(deleted) == 1
    made = eu.list_object_versions(Bucket=world.buckets["eu-west-2"], Prefix=key)["DeleteMarkers"]
    assert len(made) == 1

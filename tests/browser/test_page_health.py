"""The health view: what failed is there, explained and repaired; what goes on in the world is seen while one looks."""

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from local.world import World
from tests.browser.conftest import Explorer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.mark.usefixtures("forgotten")
def test_what_failed_is_explained_and_repaired(
    world: World, explorer: Explorer, eu: "S3Client", us: "S3Client"
) -> None:
    page = explorer.page
    world.fail_replication("us-east-2", "lost/")
    eu.put_object(Bucket=world.buckets["eu-west-2"], Key="lost/lost.txt", Body=b"lost")
    world.settle()
    explorer.open("#/folder/lost/")
    expect(explorer.dots("lost.txt", "failed")).to_have_count(1)
    page.get_by_role("link", name="Health").click()
    expect(page.locator(".word strong")).to_have_text("Broken")
    failed = page.get_by_role("region", name="Pending and failed")
    expect(failed).to_contain_text("failed to reach us-east-2")
    failed.get_by_role("button", name="Explain").click()
    expect(failed).to_contain_text("S3's reason:")
    expect(failed).to_contain_text("What to do:")
    explorer.shot("health-broken")

    world.mend_replication()
    failed.get_by_role("button", name="Repair", exact=True).click()
    expect(page.locator(".word strong")).to_have_text("Healthy")
    page.get_by_role("link", name="Files").click()
    page.get_by_role("link", name="lost/").click()
    expect(explorer.dots("lost.txt", "completed")).to_have_count(2)
    assert us.get_object(Bucket=world.buckets["us-east-2"], Key="lost/lost.txt")["Body"].read() == b"lost"

    page.get_by_role("link", name="Log").click()
    expect(page.get_by_role("region", name="Operations")).to_contain_text("lost/lost.txt")
    assert explorer.errors == []


@pytest.mark.usefixtures("forgotten")
def test_what_is_on_its_way_is_seen_to_arrive(world: World, explorer: Explorer) -> None:
    page = explorer.page
    world.set_lag(600)
    explorer.open("#/folder/docs/")
    explorer.upload("slow boat.txt")
    expect(explorer.dots("slow boat.txt", "pending")).to_have_count(1)
    expect(explorer.dots("slow boat.txt", "completed")).to_have_count(1)
    expect(page.get_by_text("In 1 of 2 places")).to_be_visible()
    explorer.shot("on-its-way")
    world.set_lag(0)
    expect(explorer.dots("slow boat.txt", "completed")).to_have_count(2)
    expect(page.get_by_text("In all 2 places")).to_be_visible()
    explorer.row("slow boat.txt").get_by_role("link").click()
    expect(page.locator(".where li.completed")).to_have_count(2)
    assert explorer.errors == []


@pytest.mark.usefixtures("forgotten")
def test_a_version_is_restored_and_a_deletion_taken_back(world: World, explorer: Explorer, eu: "S3Client") -> None:
    page = explorer.page
    for body in (b"first", b"second"):
        eu.put_object(Bucket=world.buckets["eu-west-2"], Key="docs/twice.txt", Body=body, ContentType="text/plain")
        world.settle()
    explorer.open("#/object/docs/twice.txt")
    expect(page.locator(".look")).to_have_text("second")
    expect(page.locator(".versions li")).to_have_count(2)
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".look")).to_have_text("first")
    expect(page.locator(".versions li")).to_have_count(3)
    page.locator(".details").get_by_role("button", name="Delete").click()
    expect(explorer.row("twice.txt")).to_have_count(0)
    explorer.open("#/object/docs/twice.txt")
    page.get_by_role("button", name="Take back the deletion").click()
    expect(page.locator(".look")).to_have_text("first")
    assert eu.get_object(Bucket=world.buckets["eu-west-2"], Key="docs/twice.txt")["Body"].read() == b"first"

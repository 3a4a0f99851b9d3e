"""PageFunction of stacks/page.yaml in a real JavaScript engine: where each path of the page leads."""

import re

import pytest
from playwright.sync_api import Page

from local.intrinsics import load_yaml
from tests.browser.conftest import Tab
from tests.unit.functions import ROOT

CODE = load_yaml((ROOT / "stacks" / "page.yaml").read_text())["Resources"]["PageFunction"]["Properties"]["FunctionCode"]


@pytest.fixture
def page(tab: Tab) -> Page:
    tab.page.set_content(f"<!doctype html><script>{CODE}</script>")
    return tab.page


def led(page: Page, uri: str) -> tuple[str, str]:
    """What the bucket is asked for, and where the viewer is sent instead."""
    answer = page.evaluate("uri => handler({version: '1.0', request: {method: 'GET', uri, headers: {}}})", uri)
    if "statusCode" in answer:
        assert answer["statusCode"] == 302
        return "", str(answer["headers"]["location"]["value"])
    return str(answer["uri"]), ""


@pytest.mark.parametrize(
    ("uri", "asked", "sent"),
    [
        ("/", "", "/app/"),
        ("/app", "", "/app/"),
        ("/app/", "/app/index.html", ""),
        ("/app/app.js", "/app/app.js", ""),
        ("/app/gallery", "", "/app/gallery/"),
        ("/app/gallery/", "/app/gallery/index.html", ""),
        ("/app/gallery/gallery.js", "/app/gallery/gallery.js", ""),
        ("/favicon.ico", "/favicon.ico", ""),
        ("/apple", "/apple", ""),
        ("//evil.example", "//evil.example", ""),
        ("//evil", "//evil", ""),
        ("//", "//index.html", ""),
    ],
)
def test_every_path_leads_to_a_file_or_to_its_folder_and_never_to_another_site(
    page: Page, uri: str, asked: str, sent: str
) -> None:
    assert led(page, uri) == (asked, sent)


def test_it_fits_cloudfront() -> None:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html"""
    assert len(CODE.encode()) <= 10 * 1024
    assert not re.search(r"\bclass\b|for \(.* of |\bimport\b", CODE)

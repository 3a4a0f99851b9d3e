"""Sign-in in a real browser: the code flow with PKCE, the token at the API, renewal, sign-out, answers not used."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, expect

from local.explorer_page import ExplorerPage
from local.server import Request, Response, Server
from local.world import World
from tests.browser.conftest import Tab
from tests.browser.oidc_issuer import CLIENT, Issuer

_SESSION = "JSON.parse(sessionStorage['nearside:session'] ?? 'null')"

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about


@dataclass
class Guarded:
    """The page with a sign-in, in front of the world's API; `tokens` are what came with the API's requests."""

    url: str
    issuer: Issuer
    tokens: list[str] = field(default_factory=list)


@pytest.fixture
def guarded(world: World) -> Iterator[Guarded]:
    issuer = Issuer()
    tokens: list[str] = []

    def api(request: Request) -> Response:
        tokens.append(request.header("Authorization"))
        return world.api(request)

    auth = {"mode": "jwt", "issuer": issuer.url, "client_id": CLIENT, "scope": "openid profile"}
    config = {"name": "Nearside", "api": "", "auth": auth, "world": None}
    endpoints = [issuer.url, world.mrap_url, *world.place_urls.values()]
    server = Server("page", ExplorerPage(api, lambda: config, lambda: endpoints), "127.0.0.1", 0)
    try:
        yield Guarded(f"{server.url}/app/", issuer, tokens)
    finally:
        server.close()
        issuer.close()


def _door(page: Page, words: str) -> None:
    """The page says so, and has a button to sign in."""
    expect(page.get_by_role("main")).to_contain_text(words)
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()


def _renewed(page: Page) -> None:
    """The token has come to its end, the page asks the API for something, and has a new token then."""
    page.wait_for_function(f"() => {_SESSION}.renew_at < Date.now()")
    page.get_by_role("link", name="Log").click()
    page.wait_for_function(f"() => {_SESSION}?.renew_at > Date.now() + 60000")
    expect(page.get_by_text("Alice Ü")).to_be_visible()


def test_whoever_signs_in_comes_back_to_where_they_were_with_a_token(guarded: Guarded, tab: Tab) -> None:
    tab.page.goto(f"{guarded.url}#/folder/images/")
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()
    assert tab.page.url == f"{guarded.url}#/folder/images/"
    assert guarded.issuer.grants == ["authorization_code"]
    [asked] = guarded.issuer.asked
    assert (asked["client_id"], asked["scope"], asked["redirect_uri"]) == (CLIENT, "openid profile", guarded.url)
    expect(tab.page.get_by_text("harbour.png")).to_be_visible()
    assert set(guarded.tokens) == {"Bearer access-1"}
    tab.page.reload()
    expect(tab.page.get_by_text("harbour.png")).to_be_visible()
    assert guarded.issuer.grants == ["authorization_code"], "a reload signs in again"
    assert tab.errors == []


def test_a_token_is_renewed_once_before_it_ends(guarded: Guarded, tab: Tab) -> None:
    guarded.issuer.lifetime_seconds = 1  # and half of that is early
    tab.page.goto(guarded.url)
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()
    guarded.issuer.lifetime_seconds = 3600
    _renewed(tab.page)
    with tab.page.expect_response(lambda answer: "/api/operations/log" in answer.url):
        tab.page.reload()
    assert guarded.issuer.grants[0] == "authorization_code"
    assert set(guarded.issuer.grants[1:]) == {"refresh_token"}
    assert guarded.tokens[-1] == f"Bearer access-{len(guarded.issuer.grants)}"
    assert len(guarded.issuer.asked) == 1, "it left for the provider's page"


def test_without_a_refresh_token_it_goes_to_the_provider_again(guarded: Guarded, tab: Tab) -> None:
    guarded.issuer.gives_refresh_tokens = False
    guarded.issuer.lifetime_seconds = 1
    tab.page.goto(guarded.url)
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()
    guarded.issuer.lifetime_seconds = 3600
    _renewed(tab.page)
    assert guarded.issuer.grants == ["authorization_code", "authorization_code"]


def test_signing_out_ends_the_session_there_too_and_stays_out(guarded: Guarded, tab: Tab) -> None:
    tab.page.goto(guarded.url)
    tab.page.get_by_role("button", name="Sign out").click()
    _door(tab.page, "You are signed out.")
    assert guarded.issuer.signed_out == 1
    assert tab.page.evaluate("sessionStorage.getItem('nearside:session')") is None
    tab.page.get_by_role("button", name="Sign in").click()
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()
    assert guarded.issuer.grants == ["authorization_code", "authorization_code"]


def test_an_answer_with_a_state_of_somebody_else_is_not_used(guarded: Guarded, tab: Tab) -> None:
    tab.page.goto(f"{guarded.url}?code=stolen&state=theirs")
    _door(tab.page, "does not belong to a sign-in that this page began")
    assert guarded.issuer.grants == []
    assert tab.page.url == guarded.url, "the code stays in the address"
    tab.page.get_by_role("button", name="Sign in").click()
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()


@pytest.mark.parametrize(("name", "value"), [("nonce", "another"), ("audience", "another-page")])
def test_a_token_that_is_not_meant_for_this_page_is_not_used(guarded: Guarded, tab: Tab, name: str, value: str) -> None:
    setattr(guarded.issuer, name, value)
    tab.page.goto(guarded.url)
    _door(tab.page, "not meant for this page")
    assert tab.page.evaluate("sessionStorage.getItem('nearside:session')") is None
    assert guarded.tokens == []


def test_a_refusal_is_told_in_the_providers_words(guarded: Guarded, tab: Tab) -> None:
    guarded.issuer.refusal = "access_denied"
    tab.page.goto(guarded.url)
    _door(tab.page, "access_denied")
    guarded.issuer.refusal = ""
    tab.page.get_by_role("button", name="Sign in").click()
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()


def test_a_session_that_cannot_be_renewed_signs_in_again(guarded: Guarded, tab: Tab) -> None:
    guarded.issuer.lifetime_seconds = 1
    guarded.issuer.refreshes = False
    tab.page.goto(guarded.url)
    expect(tab.page.get_by_text("Alice Ü")).to_be_visible()
    guarded.issuer.lifetime_seconds = 3600
    _renewed(tab.page)
    assert guarded.issuer.grants[0] == "authorization_code"
    assert guarded.issuer.grants[-2:] == ["refresh_token", "authorization_code"]


def test_an_issuer_that_does_not_answer_is_told(guarded: Guarded, tab: Tab) -> None:
    guarded.issuer.close()
    tab.page.goto(guarded.url)
    _door(tab.page, "The sign-in service cannot be reached")

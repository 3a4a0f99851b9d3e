"""The explorer page in front of the API: its files, its headers, its config, and who may use the controls."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.explorer_page import ExplorerPage, origins_of, prefers_html
from local.server import Request, Response
from local.world import World
from tests.integration.http_client import Answer, get, send

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture
def page(tmp_path: Path) -> ExplorerPage:
    """A page of few files, in front of an API that answers 418; beside its folder something that is not to be had."""
    folder = tmp_path / "web"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<title>home</title>")
    (folder / "sub" / "index.html").write_text("<title>sub</title>")
    (folder / "app.js").write_text("export {};")
    (folder / ".hidden.js").write_text("hidden")
    (folder / "notes.txt").write_text("no type of the page's")
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    config = {"api": "", "auth": {"mode": "none"}}
    return ExplorerPage(lambda _: Response(418), lambda: config, lambda: ["http://127.0.0.1:9"], folder)


def ask(page: ExplorerPage, target: str, method: str = "GET", **headers: str) -> Response:
    return page(Request(method, target, tuple((name.replace("_", "-"), value) for name, value in headers.items())))


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        ("/app/", "text/html; charset=utf-8", b"<title>home</title>"),
        ("/app/?x=1", "text/html; charset=utf-8", b"<title>home</title>"),
        ("/app/app.js", "text/javascript; charset=utf-8", b"export {};"),
        ("/app/sub/", "text/html; charset=utf-8", b"<title>sub</title>"),
    ],
)
def test_files_have_their_types(page: ExplorerPage, target: str, kind: str, body: bytes) -> None:
    answer = ask(page, target)
    assert (answer.status, answer.header("Content-Type"), answer.body) == (200, kind, body)
    head = ask(page, target, "HEAD")
    assert (head.status, head.header("Content-Length")) == (200, str(len(body)))


def test_a_file_that_did_not_change_is_not_sent_again(page: ExplorerPage) -> None:
    first = ask(page, "/app/app.js")
    assert first.header("Cache-Control") == "no-cache"
    for known in (first.header("ETag"), f'W/{first.header("ETag")}, "other"'):
        assert ask(page, "/app/app.js", If_None_Match=known).status == 304
    assert ask(page, "/app/app.js", If_None_Match='"other"').status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/app/../secret.js",
        "/app/%2e%2e/secret.js",
        "/app/..%2fsecret.js",
        "/app/%2e%2e%2fsecret.js",
        "/app/..%5csecret.js",
        "/app/sub/../../secret.js",
        "/app//etc/passwd",
        "/app/%2fetc/passwd",
        "/app/link.js",
        "/app/.hidden.js",
        "/app/notes.txt",
        "/app/app.js%00.html",
        "/app/app.js/",
        "/app/none.js",
        "/app/%ff",
        "/app/C:/secret.js",
    ],
)
def test_nothing_else_is_a_file_of_the_page(page: ExplorerPage, target: str) -> None:
    answer = ask(page, target)
    assert answer.status == 404
    assert json.loads(answer.body)["message"] == f"{target} is no file of the page"
    assert answer.header("Content-Security-Policy"), "a refusal has no policy"


def test_folders_end_with_a_slash(page: ExplorerPage) -> None:
    for target in ("/app", "/app/sub"):
        answer = ask(page, target)
        assert (answer.status, answer.header("Location")) == (303, f"{target}/")


def test_it_is_only_read(page: ExplorerPage) -> None:
    answer = ask(page, "/app/", "POST")
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


def test_everything_else_is_the_apis(page: ExplorerPage) -> None:
    for method, target in (("GET", "/"), ("GET", "/application"), ("POST", "/"), ("OPTIONS", "/presign")):
        assert ask(page, target, method, Accept="*/*").status == 418


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (CHROMIUM, True),
        ("text/html", True),
        ("TEXT/HTML, application/json;q=0.9", True),
        ("text/html,application/json", True),
        ("application/json,text/html", False),
        ("text/html;q=0.5,application/json;q=0.9", False),
        ("*/*", False),
        ("application/json, text/plain, */*", False),
        ("text/html;q=0", False),
        ("text/html;q=much", False),
        ("", False),
    ],
)
def test_who_prefers_html(page: ExplorerPage, accept: str, html: bool) -> None:
    assert prefers_html(accept) is html
    answer = ask(page, "/", Accept=accept)
    assert (answer.status, answer.header("Location")) == ((303, "/app/") if html else (418, ""))


def test_the_worlds_page_may_speak_to_the_worlds_endpoints_and_run_nothing_inline(world: World) -> None:
    answer = get(f"{world.api_url}/app/")
    assert answer.status == 200
    policy: dict[str, list[str]] = {}
    for rule in answer.headers["content-security-policy"].split("; "):
        name, *sources = rule.split(" ")
        policy[name] = sources
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    for name in ("connect-src", "img-src", "media-src", "frame-src"):
        assert set(policy[name]) >= {*world.place_urls.values(), world.mrap_url}
    assert world.controls_url in policy["connect-src"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_worlds_config_leads_to_its_controls(world: World) -> None:
    config = get(f"{world.api_url}/app/config.json")
    assert config.headers["content-type"] == "application/json"
    assert config.json == {"name": "Nearside", "api": "", "auth": {"mode": "none"}, "world": world.controls_url}


def test_a_browser_is_sent_to_the_page_and_a_program_gets_the_endpoints(world: World) -> None:
    assert send("GET", f"{world.api_url}/", headers={"Accept": CHROMIUM}).headers["location"] == "/app/"
    assert "GET /health" in get(world.api_url).json["endpoints"]


def controls(world: World, origin: str, method: str = "POST", **headers: str) -> Answer:
    return send(method, f"{world.controls_url}/lag?seconds=1", headers={"Origin": origin, **headers})


def test_the_page_may_use_the_controls_by_each_name_of_its_origin(world: World) -> None:
    for origin in origins_of(world.api_url):
        answer = controls(world, origin, **{"Sec-Fetch-Site": "cross-site"})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
        asked = controls(world, origin, "OPTIONS", **{"Access-Control-Request-Method": "POST"})
        assert (asked.status, asked.headers["access-control-allow-methods"]) == (204, "GET, POST")
    assert len(origins_of(world.api_url)) == 2


def test_another_page_of_this_machine_may_not(world: World) -> None:
    port = urlsplit(world.api_url).port
    assert port
    origins = [f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port}", f"http://evil.example:{port}", "null"]
    origins += [*world.place_urls.values(), world.mrap_url]  # whose pages are objects that anyone has uploaded
    world.set_lag(0)
    for origin in origins:
        answer = controls(world, origin)
        assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False), origin
    assert world.replication.lag_seconds == 0


def test_a_name_of_its_own_does_not_lead_to_the_controls(world: World) -> None:
    """A page whose name was made to lead to this machine sends its own name as Host."""
    assert controls(world, world.api_url, Host="evil.example").status == 403

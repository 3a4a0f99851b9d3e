"""stacks/origin_function.js in a real JavaScript engine, with a stub of what CloudFront's `cloudfront` module does.

The engine is Chromium's, and CloudFront's own knows less (no `for … of`, no classes): see the last test.
"""

import json
import re
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Tab
from tests.unit import flat_function
from tests.unit.functions import ROOT

CODE = (ROOT / "stacks" / "origin_function.js").read_text()
EU = "pics-eu.s3.eu-west-2.amazonaws.com"
US = "pics-us.s3.dualstack.us-east-2.amazonaws.com"

# kvs() throws without a store, get() rejects without the key, and with a format gives what is parsed:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-custom-methods.html
_STUB = """
export default {
  kvs() {
    if (globalThis.store === null) throw new Error('KVSNamespaceNotFound');
    return {async get(key, options) {
      if (!(key in globalThis.store)) throw new Error('KeyNotFound');
      return options.format === 'json' ? JSON.parse(globalThis.store[key]) : globalThis.store[key];
    }};
  },
  updateRequestOrigin(properties) { globalThis.changes.push(properties); }
};
"""
_PAGE = f"""<!doctype html>
<script type="importmap">{{"imports": {{"cloudfront": "data:text/javascript,{quote(_STUB)}"}}}}</script>
<script type="module">{CODE}
globalThis.handler = handler;</script>"""
_ASK = """
async ([store, times, random]) => {
  globalThis.store = store;
  const changes = [];
  const real = Math.random;
  if (random !== null) Math.random = () => random;
  for (let i = 0; i < times; i++) {
    globalThis.changes = [];
    const request = {method: 'GET', uri: '/images/cat.png', querystring: {}, headers: {}, cookies: {}};
    const before = JSON.stringify(request);
    const answer = await globalThis.handler({version: '1.0', request});
    if (answer !== request || JSON.stringify(request) !== before) throw new Error('another request');
    changes.push(globalThis.changes);
  }
  Math.random = real;
  return changes;
}
"""


@pytest.fixture
def page(tab: Tab) -> Page:
    tab.page.set_content(_PAGE)
    tab.page.wait_for_function("globalThis.handler !== undefined")
    return tab.page


def origin(host: str, weight: Any = 1, path: Any = "") -> dict[str, Any]:
    return {"host": host, "path": path, "weight": weight}


def asked(page: Page, value: Any, times: int = 1, random: float | None = None) -> list[list[dict[str, Any]]]:
    """What the function told CloudFront, request by request; `value` is what the store has (a string: as it is)."""
    text = value if isinstance(value, str) else json.dumps(value)
    changes: list[list[dict[str, Any]]] = page.evaluate(_ASK, [{"origins": text}, times, random])
    return changes


def test_the_request_goes_to_the_origin_in_the_store_signed_by_origin_access_control(page: Page) -> None:
    access = {"enabled": True, "signingBehavior": "always", "signingProtocol": "sigv4", "originType": "s3"}
    assert asked(page, [origin(EU)]) == [[{"domainName": EU, "originAccessControlConfig": access}]]
    assert asked(page, [origin(US, path="/site/a%20b")]) == [
        [{"domainName": US, "originAccessControlConfig": access, "originPath": "/site/a%20b"}]
    ]


def test_origins_are_chosen_by_weight(page: Page) -> None:
    chosen = Counter(change["domainName"] for [change] in asked(page, [origin(EU, 3), origin(US, 1)], times=4_000))
    assert chosen.total() == 4_000
    assert 2_800 < chosen[EU] < 3_200


@pytest.mark.parametrize(("random", "host"), [(0.0, EU), (0.7499, EU), (0.75, US), (0.999999999, US)])
def test_the_ends_of_each_share(page: Page, random: float, host: str) -> None:
    [[change]] = asked(page, [origin(EU, 3), origin(US, 1)], random=random)
    assert change["domainName"] == host


def test_a_drained_origin_gets_nothing(page: Page) -> None:
    for random in (0.0, 0.5, 0.999999):
        [[change]] = asked(page, [origin(EU, 0), origin(US, 1), origin(EU, 0)], random=random)
        assert change["domainName"] == US


@pytest.mark.parametrize("value", [[], [origin(EU, 0)], [origin(EU, 0), origin(US, 0)]], ids=["none", "one", "two"])
def test_all_drained_is_the_configured_origin(page: Page, tab: Tab, value: Any) -> None:
    assert asked(page, value) == [[]]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not JSON",
        "null",
        "{}",
        '"text"',
        "[null]",
        [{}],
        [origin("evil.example.com")],
        [origin(f"{EU}.evil.example.com")],
        [origin("evil.example.com/.s3.eu-west-2.amazonaws.com")],
        [origin(EU.upper())],
        [origin(EU, weight="1")],
        [origin(EU, weight=-1)],
        [origin(EU, weight=0.5)],
        [origin(EU, weight=None)],
        [origin(EU, path=None)],
        [origin(EU, path="no-slash")],
        [origin(EU, path="/a b")],
        [origin(EU, path="/ends/")],
        [origin(EU), origin("evil.example.com")],
    ],
    ids=str,
)
def test_a_malformed_value_is_the_configured_origin(page: Page, value: Any) -> None:
    assert asked(page, value) == [[]]


def test_no_store_and_no_key_are_the_configured_origin(page: Page) -> None:
    assert page.evaluate(_ASK, [None, 1, None]) == [[]]
    assert page.evaluate(_ASK, [{}, 1, None]) == [[]]


def test_it_reads_what_origin_records_writes(page: Page) -> None:
    with flat_function.imported("origin_records") as modules:
        texts = [f"{EU}/site weight=0", f"{US} weight=7"]
        origins, refusals = modules["txt_origin"].usable("origin.example.com", texts, ["pics-*"], [])
        value = modules["origins"].written(origins)
    assert refusals == []
    [[change]] = asked(page, value)
    assert change["domainName"] == US


def test_it_keeps_to_what_cloudfronts_engine_knows() -> None:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html"""
    code = re.sub(r"//.*", "", CODE)
    assert CODE.startswith("import cf from 'cloudfront';\n")
    assert len(CODE.encode()) < 10_240
    assert (
        re.findall(r"\bclass\b|\bfor \([^;]* of |\.\.\.|\?\.|\bimport\(|\beval\b|\bsetTimeout\b|\bfetch\b", code) == []
    )
    assert re.findall(r"(?:const|let|var)\s*[\[{]", code) == []  # destructuring

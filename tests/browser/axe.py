"""axe-core on a page: what of it somebody with a screen reader, or with weak eyes, could not use."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.npm_packages import fetch

AXE = (
    "axe-core@4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "package/axe.min.js",
)

_RUN = """
axe.run(document, { resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }).then(({ violations }) =>
  violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) =>
    `${id}: ${help}\\n  ${html.slice(0, 200)}\\n  ${failureSummary}`)))
"""


def source(folder: Path) -> str:
    """The script, from npm."""
    return fetch(*AXE, folder).decode()


def violations(page: Page, script: str) -> list[str]:
    """What it finds, in words. The page's own policy runs no script of others: the browser's debugger brings it in."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": script})
    said: dict[str, Any] = session.send(
        "Runtime.evaluate", {"expression": _RUN, "awaitPromise": True, "returnByValue": True}
    )
    session.detach()
    assert "exceptionDetails" not in said, said
    found: list[str] = said["result"]["value"]
    return found

"""The page's files: small, without a build step, and with nothing that a strict Content-Security-Policy forbids."""

import re
from pathlib import Path

import pytest

from tests.contract.source_tree import ROOT

WEB = ROOT / "web"
MAX_LINES = 300
MAX_FUNCTION_LINES = 45
SCRIPTS = sorted(WEB.rglob("*.js"))
PAGES = sorted(WEB.rglob("*.html"))


def _name(path: Path) -> str:
    return str(path.relative_to(WEB))


each_script = pytest.mark.parametrize("path", SCRIPTS, ids=_name)
each_page = pytest.mark.parametrize("path", PAGES, ids=_name)


@each_script
def test_a_script_is_small_and_says_what_it_is(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= MAX_LINES
    assert "@file" in "\n".join(lines[:2]), "the first lines do not say what it is"


@each_script
def test_a_function_of_a_script_is_small(path: Path) -> None:
    """By indentation, as all of them are written: from a line that opens a block to the first that closes it."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.search(r"(\bfunction\b|=>|^\s*(static |async |get |set )*[\w$]+\([^;]*\)) .*\{$|\bfunction\b.*\{$", line):
            indent = line[: len(line) - len(line.lstrip())]
            end = next((n for n in range(number + 1, len(lines)) if re.match(rf"{indent}\}}", lines[n])), number)
            assert end - number + 1 <= MAX_FUNCTION_LINES, f"line {number + 1}: {line.strip()}"


@each_script
def test_a_script_makes_no_markup_of_text(path: Path) -> None:
    text = path.read_text()
    forbidden = r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|srcdoc)\b|new Function|javascript:"
    assert re.findall(forbidden, text) == []


@each_script
def test_a_script_imports_only_the_pages_own_files(path: Path) -> None:
    imported = re.findall(
        r"""(?:^import [^"';]*?|^} from |\bimport\()["']([^"']+)["']""", path.read_text(), re.MULTILINE
    )
    for name in imported:
        assert name.startswith("."), f"{name} is no file of the page"
        assert (path.parent / name).is_file(), f"{name} is not there"


@each_page
def test_a_page_has_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"\son\w+\s*=|\sstyle\s*=|<style|javascript:", text) == []
    for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
        assert script == ""
    for address in re.findall(r"""(?:src|href)="([^"#]+)\"""", text):
        assert (path.parent / address).is_file(), f"{address} is not there"

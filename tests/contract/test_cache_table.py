"""The table of docs/cache.md: each cell of ours names a test that exists, each about another says where it is from."""

import ast
import re

import pytest

from tests.contract.source_tree import ROOT, tree

PAGE = (ROOT / "docs/cache.md").read_text()
PEERS = ("aind-s3-cache", "cached_path", "filecache", "cloudpathlib")
_TEST = re.compile(r"`(tests/\w+/test_\w+\.py)::(test_\w+)`")
_NOTE = re.compile(r"\[([a-z])\]")
# What needs no source: it was not looked at, the library has no such function at all, or another row says it.
_UNPROVED = {"not checked", "no", "no; see the next row"}


def table() -> list[list[str]]:
    """The rows of the table whose head names the four, as cells."""
    lines = PAGE.splitlines()
    start = next(at for at, line in enumerate(lines) if all(peer in line for peer in ("| feature", *PEERS)))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split(" | ")])
    return rows


ROWS = table()
each_row = pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])


def test_the_table_has_the_features_of_a_cache() -> None:
    assert len(ROWS) >= 30
    assert len({row[0] for row in ROWS}) == len(ROWS)


@each_row
def test_a_cell_of_ours_names_a_test_that_exists(row: list[str]) -> None:
    assert len(row) == 2 + len(PEERS), "a feature, Nearside and the four"
    found = _TEST.findall(row[1])
    assert found, "names no test"
    for path, name in found:
        assert (ROOT / path).is_file(), path
        functions = {node.name for node in ast.walk(tree(ROOT / path)) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path} has no {name}"


@each_row
def test_a_cell_about_another_says_where_it_is_from(row: list[str]) -> None:
    for cell in row[2:]:
        assert cell in _UNPROVED or _NOTE.search(cell), cell


def test_each_note_leads_to_a_source_of_its_library() -> None:
    told = {
        peer: set(_NOTE.findall(text))
        for peer, text in re.findall(r"^- \*\*(\S+)\*\*:(.*(?:\n  .*)*)", PAGE, re.MULTILINE)
    }
    assert set(told) == set(PEERS)
    for column, peer in enumerate(PEERS, start=2):
        used = {note for row in ROWS for note in _NOTE.findall(row[column])}
        assert used == told[peer], peer

"""The size, the first line and the name of every module."""

import ast
import re
from pathlib import Path

import pytest

from tests.contract.source_tree import ROOT, module_name, python_files, tree

OURS = python_files("layers", "functions", "local", "deploy")
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 45
ERRORS = [ROOT / "layers/nearside/nearside" / name for name in ("errors.py", "caching/errors.py", "gateway/errors.py")]
NO_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "service", "services", "misc"}

each = pytest.mark.parametrize("path", OURS, ids=module_name)
everything = pytest.mark.parametrize(
    "path", python_files("layers", "functions", "local", "deploy", "bench", "tests"), ids=module_name
)


def test_there_are_modules() -> None:
    assert len(OURS) > 20


@each
def test_a_module_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_MODULE_LINES


@each
def test_a_function_has_at_most_45_lines(path: Path) -> None:
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: lines for name, lines in long.items() if lines > MAX_FUNCTION_LINES} == {}


@everything
def test_a_module_opens_with_one_line_that_says_what_it_is(path: Path) -> None:
    opening, *rest = (ast.get_docstring(tree(path), clean=False) or "").split("\n")
    assert re.search(r"\w.*[.:]$", opening), "no docstring, or its first line is no sentence"
    assert not rest or rest[0].strip() == "", "the first line goes on in the second"


@everything
def test_a_module_has_a_name_that_says_something(path: Path) -> None:
    assert set(re.split(r"[_.]", module_name(path))) & NO_NAMES == set()


@each
def test_what_is_public_says_what_it_is(path: Path) -> None:
    """Functions and classes at module level. A handler's routes are private; a plain re-export needs no words."""
    silent = [
        node.name
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert set(silent) - (_drawn(path) if path in ERRORS else set()) == set()


def _drawn(path: Path) -> set[str]:
    """The classes that a tree of errors draws and explains in its own docstring."""
    return set(re.findall(r"[├└]── (\w+)", ast.get_docstring(tree(path)) or ""))

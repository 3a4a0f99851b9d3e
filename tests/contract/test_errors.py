"""The tree of errors as its three docstrings draw it is the tree of classes."""

import ast
import re
from pathlib import Path
from types import ModuleType

from nearside import errors
from nearside.caching import errors as of_the_cache
from nearside.gateway import errors as of_the_gateway
from tests.contract.source_tree import tree

MODULES = (errors, of_the_cache, of_the_gateway)


def drawn(module: ModuleType) -> dict[str, tuple[str | None, int, str]]:
    """Name → parent, status and what stands after it, read off the drawing. A name without a status is only a parent,
    drawn by another module."""
    found: dict[str, tuple[str | None, int, str]] = {}
    above: dict[int, str] = {}
    # As it is written: Python takes the indentation off a docstring in which every line has it.
    written = ast.get_docstring(tree(Path(str(module.__file__))), clean=False) or ""
    for line in written.splitlines():
        match = re.match(r"(?P<branch> {4}[ │├└─]*)(?P<name>[A-Z]\w+)(?: +(?P<status>\d{3}) (?P<said>.+))?$", line)
        if match:
            depth = len(match["branch"].removeprefix("    ")) // 4
            above[depth] = match["name"]
            if match["status"]:
                found[match["name"]] = above.get(depth - 1), int(match["status"]), match["said"]
    return found


def classes(module: ModuleType | None = None) -> list[type[errors.NearsideError]]:
    found = [errors.NearsideError]
    for each in found:
        found += each.__subclasses__()
    names = [module.__name__] if module else [each.__name__ for each in MODULES]
    return [each for each in found if each.__module__ in names]


def test_every_class_is_drawn_once_under_its_parent() -> None:
    for module in MODULES:
        parents = {name: parent for name, (parent, _, _) in drawn(module).items()}
        assert parents == {
            each.__name__: None if each is errors.NearsideError else each.__bases__[0].__name__
            for each in classes(module)
        }


def test_every_class_has_the_status_and_code_that_are_drawn() -> None:
    table = {name: row for module in MODULES for name, row in drawn(module).items()}
    for each in classes():
        _, status, said = table[each.__name__]
        assert status == each.status, each
        if each is not errors.MissingPath:  # whose answer has the sentence instead of a code
            assert said.split()[0] == each.code, each


def test_codes_are_told_apart() -> None:
    codes = [each.code for each in classes()]
    assert len(codes) == len(set(codes))

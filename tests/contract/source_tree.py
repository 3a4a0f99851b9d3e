"""The checkout's Python as the contract tests read it: parsed, never run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from local.intrinsics import load_yaml

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "nearside"


def python_files(*folders: str) -> list[Path]:
    """Every module under these folders of the checkout."""
    return sorted(
        path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts
    )


def functions_of(template: str) -> dict[str, dict[str, Any]]:
    """The functions of a template of the checkout, by the names of their folders: each one's properties."""
    resources = load_yaml((ROOT / template).read_text())["Resources"].values()
    functions = [each["Properties"] for each in resources if each["Type"] == "AWS::Serverless::Function"]
    return {Path(each["CodeUri"]).name: each for each in functions}


@cache
def tree(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def module_name(path: Path) -> str:
    """`nearside.adapters.heads` for a module of the layer, `functions.presign.handler` for one outside."""
    inside = path.relative_to(LAYER if path.is_relative_to(LAYER) else ROOT).with_suffix("")
    parts = inside.parts[:-1] if inside.name == "__init__" else inside.parts
    return ".".join(parts)


def imported(path: Path, *, at_module_level_only: bool = False) -> set[str]:
    """What the module imports at run time, as absolute names; `from a import b` is `a` and `a.b`. What only a type
    checker imports is left out."""
    found: set[str] = set()
    for node in _imports(tree(path), at_module_level_only):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{path} has a relative import"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _imports(node: ast.AST, at_module_level_only: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(other, at_module_level_only)
        elif not (at_module_level_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            yield from _imports(child, at_module_level_only)


def within(name: str, *packages: str) -> bool:
    """Whether the dotted name is one of the packages or in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)

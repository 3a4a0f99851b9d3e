"""A function whose modules import each other by plain names, imported as Lambda does: from a folder of its own."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

from tests.unit.functions import ROOT


@contextlib.contextmanager
def imported(name: str) -> Iterator[dict[str, ModuleType]]:
    """Every module of functions/<name>, fresh, by the name it has there (`handler`, `adapters.key_value_store`). While
    the block runs they are what these names mean; afterwards the names mean what they meant before."""
    folder = ROOT / "functions" / name
    names = [
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(folder.rglob("*.py"))
    ]
    before = {each: sys.modules.pop(each) for each in names if each in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        yield {each: importlib.import_module(each) for each in names}
    finally:
        sys.path.remove(str(folder))
        for each in names:
            sys.modules.pop(each, None)
        sys.modules.update(before)

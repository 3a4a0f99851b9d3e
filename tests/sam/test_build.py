"""`make build` adds bytecode that Python takes without looking at the source, and does so reproducibly."""

import hashlib
import importlib.util
import marshal
import os
import shutil
import subprocess
import types
from collections.abc import Iterator
from pathlib import Path

from local import ROOT
from tests.sam.containers import BUILD

UNCHECKED_HASH = 0b01  # PEP 552: the file is valid without a look at its source


def _hashes(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _sources() -> Iterator[tuple[str, Path]]:
    """Every module of the build, by the path it has in Lambda."""
    for folder, place in (
        (BUILD / "NearsideLayer", "/opt"),
        *((each, "/var/task") for each in BUILD.glob("*Function")),
    ):
        for source in folder.rglob("*.py"):
            yield f"{place}/{source.relative_to(folder)}", source


def test_every_module_has_unchecked_bytecode_that_names_its_place_in_lambda() -> None:
    checked = set()
    for place, source in _sources():
        data = Path(importlib.util.cache_from_source(source)).read_bytes()
        assert data[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(data[4:8], "little") == UNCHECKED_HASH, place
        assert data[8:16] == importlib.util.source_hash(source.read_bytes()), place
        code: types.CodeType = marshal.loads(data[16:])
        assert code.co_filename == place
        checked.add(place)
    assert {"/var/task/handler.py", "/opt/python/nearside/signing.py", "/opt/python/msgspec/__init__.py"} <= checked


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(BUILD, first)
    subprocess.run(["make", "build", "ENV=local"], cwd=ROOT, env=_shell(), check=True, capture_output=True)
    assert _hashes(BUILD) == _hashes(first)


def _shell() -> dict[str, str]:
    """Without what the `make` around this test tells its children."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}

"""The README's console lines, typed one after another into a shell, print what the README says."""

import importlib
import os
import re
import sys
from pathlib import Path

import platformdirs

from tests.integration import console

README = (console.ROOT / "README.md").read_text()
HEADING = "\n## Read S3 objects as local files\n"
OF_THE_CACHE = README.partition(HEADING)[2].partition("\n## ")[0]


def test_the_readmes_lines_do_what_it_says(tmp_path: Path) -> None:
    text = README.replace(OF_THE_CACHE, "")
    typed = [(command, printed) for command, printed in console.lines(text) if "pip install" not in command]
    assert len(typed) > 20
    (tmp_path / "README.md").write_text(README)
    with console.running_world() as base:
        console.assert_true(typed, base, tmp_path, timeout_seconds=120)


def test_the_readmes_lines_about_the_cache_work_from_a_clean_install(tmp_path: Path) -> None:
    typed = console.lines(OF_THE_CACHE)
    assert len(typed) > 10
    assert ".notebook/bin/pip install -q ./layers/nearside" in [command for command, _ in typed]
    # What the checkout has, and from where the library is installed.
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "layers").symlink_to(console.ROOT / "layers")
    # Once the world's variables are there, nothing is imported from the checkout any more.
    assert typed[0][0].startswith("eval")
    typed.insert(1, ("unset PYTHONPATH", ""))
    with console.running_world() as base:
        console.assert_true(typed, base, tmp_path, timeout_seconds=300, more=_of_pip())
    assert (tmp_path / ".notebook/lib").is_dir()


def test_what_the_readme_imports_is_there() -> None:
    found = re.findall(r"^from (nearside[\w.]*) import (.+)$", README, re.MULTILINE)
    assert ("nearside.cache", "get_json, get_local_path_for_resource, get_many") in found
    for module, names in found:
        assert all(hasattr(importlib.import_module(module), name) for name in names.split(", ")), module


def _of_pip() -> dict[str, str]:
    """How this machine reaches a registry, and pip's own cache: what was downloaded before is not downloaded again."""
    named = ("PIP_", "SSL_", "REQUESTS_")
    found = {
        name: value for name, value in os.environ.items() if name.startswith(named) or name.lower()[-6:] == "_proxy"
    }
    return {"PIP_CACHE_DIR": platformdirs.user_cache_dir("pip"), **found}

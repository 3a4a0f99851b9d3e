"""What is committed names no machine and no registry."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.source_tree import ROOT

FORBIDDEN = {
    "a path of one machine": re.compile(r"/(home|Users)/\w|/(root|work)/"),
    "a package index": re.compile(r"(?<!no-emit-)index-url|index_url *=|pythonhosted|pypi\.org/simple|registry\.npmjs"),
}
INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "npm_config_registry", "GOPROXY")


def committed() -> list[Path]:
    """The files that are, or would be, committed; but this one, which would find itself."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = [ROOT / name for name in names if name]
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_there_are_committed_files() -> None:
    assert {ROOT / "template.yaml", ROOT / "Makefile", ROOT / "pyproject.toml"} <= set(committed())


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_committed_file_names(what: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in committed()
        if (match := FORBIDDEN[what].search(text_of(path)))
    }
    assert found == set()


def test_no_committed_file_names_the_index_that_this_machine_uses() -> None:
    hosts = {urlsplit(url).hostname for name in INDEXES for url in re.split(r"[ ,|]", os.environ.get(name, "")) if url}
    private = {host for host in hosts if host and host not in ("pypi.org", "registry.npmjs.org", "proxy.golang.org")}
    found = {path.relative_to(ROOT) for path in committed() if any(host in text_of(path) for host in private)}
    assert found == set()

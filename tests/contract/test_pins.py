"""The pins: exact, hashed, from no named registry, and the same for the layer and for this checkout."""

import re
from pathlib import Path

import pytest

from local import ROOT

LAYER = ROOT / "layers" / "nearside" / "requirements.txt"
CHECKOUT = ROOT / "requirements.txt"
UV = ROOT / "requirements-uv.txt"
CLIENTS = ROOT / "tests" / "gateway" / "clients.txt"
FUNCTIONS = sorted((ROOT / "functions").glob("*/requirements.txt"))

_PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;]+)", re.MULTILINE)


def _pins(file: Path) -> dict[str, str]:
    return {match["name"]: match["version"] for match in _PIN.finditer(file.read_text())}


@pytest.mark.parametrize(
    "file", [LAYER, CHECKOUT, UV, CLIENTS, *FUNCTIONS], ids=lambda file: str(file.relative_to(ROOT))
)
def test_every_requirement_is_exact_and_hashed_and_names_no_registry(file: Path) -> None:
    lines = [
        line
        for line in file.read_text().replace("\\\n", " ").splitlines()
        if line and not line.lstrip().startswith("#")
    ]
    assert lines
    for line in lines:
        assert _PIN.match(line), line
        assert "--hash=sha256:" in line, line
    assert "://" not in file.read_text()
    assert "index" not in file.read_text()


@pytest.mark.parametrize("file", [LAYER, *FUNCTIONS], ids=lambda file: str(file.relative_to(ROOT)))
def test_the_checkout_tests_what_is_shipped(file: Path) -> None:
    shipped, checkout = _pins(file), _pins(CHECKOUT)
    assert shipped == {name: checkout.get(name) for name in shipped}


def test_make_pins_compiles_every_list() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\npins:")[2]
    lists = [
        path.relative_to(ROOT)
        for path in [
            *ROOT.glob("*.in"),
            *(each for folder in ("functions", "layers", "tests") for each in ROOT.glob(f"{folder}/*/*.in")),
        ]
    ]
    assert [path for path in lists if f"{path} -o {path.with_suffix('.txt')}" not in recipe] == []

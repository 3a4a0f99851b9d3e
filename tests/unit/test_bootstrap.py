"""bootstrap.py: an old Python can read it, and it takes only a Python that runs."""

import ast
import os
import sys
from pathlib import Path

import pytest

import bootstrap


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_python_3_6_can_read_it() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 6))


def test_a_shim_that_does_not_run_is_passed_over_for_pyenvs_own_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = _program(tmp_path / "shims" / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    older = _program(tmp_path / "bin" / "python3", "echo cpython 3.11")
    real = _program(tmp_path / "pyenv" / "versions" / "3.13.2" / "bin" / "python3.13", "echo cpython 3.13")
    monkeypatch.setattr(sys, "executable", str(older))
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{older.parent}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert bootstrap.installed_target() == str(real)

    real.unlink()
    assert bootstrap.installed_target() is None


def test_path_comes_before_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = _program(tmp_path / "bin" / "python3.13", "echo cpython 3.13")
    _program(tmp_path / "pyenv" / "versions" / "3.13.2" / "bin" / "python3.13", "echo cpython 3.13")
    monkeypatch.setattr(sys, "executable", str(_program(tmp_path / "python3", "echo cpython 3.9")))
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert bootstrap.installed_target() == str(on_path)


def test_the_virtual_environment_is_never_made_from_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = _program(tmp_path / ".venv" / "bin" / "python3.13", "echo cpython 3.13")
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(sys, "executable", str(ours))
    monkeypatch.setenv("PATH", str(ours.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert bootstrap.installed_target() is None


@pytest.mark.parametrize(
    ("said", "version"), [("uv 0.13.8 (x86_64-unknown-linux-gnu)", (0, 13, 8)), ("uv 1.0", (1, 0)), ("", ())]
)
def test_uv_version(tmp_path: Path, said: str, version: tuple[int, ...]) -> None:
    assert bootstrap.uv_version(str(_program(tmp_path / "uv", f"echo '{said}'"))) == version


def test_new_pins_make_a_new_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bootstrap.wanted_stamp()
    assert bootstrap.wanted_stamp() == before
    pins = tmp_path / "requirements.txt"
    pins.write_text(Path(bootstrap.PINS).read_text() + "# more\n")
    monkeypatch.setattr(bootstrap, "PINS", str(pins))
    assert bootstrap.wanted_stamp() != before

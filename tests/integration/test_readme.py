"""The README's console lines, typed one after another into a shell, print what the README says."""

from pathlib import Path

from tests.integration import console


def test_the_readmes_lines_do_what_it_says(tmp_path: Path) -> None:
    readme = console.ROOT / "README.md"
    typed = [
        (command, printed) for command, printed in console.lines(readme.read_text()) if "pip install" not in command
    ]
    assert len(typed) > 20
    (tmp_path / "README.md").write_bytes(readme.read_bytes())
    with console.running_world() as base:
        console.assert_true(typed, base, tmp_path, timeout_seconds=120)

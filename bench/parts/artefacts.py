"""The folders that Lambda would mount: /var/task, /opt and /var/runtime of each function, compiled and read-only."""

import compileall
import importlib.util
import shutil
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from py_compile import PycInvalidationMode

from bench.parts.promises import ROOT

BUILT = ROOT / ".aws-sam"  # `make build ENV=local`, `make build ENV=edge`
# What AWS's image has in /var/runtime: the runtime client, and boto3 without awscrt
# (https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html#python-sdk-included).
RUNTIME = (
    "awslambdaric", "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "simplejson", "six",
    "snapshot-restore-py", "urllib3",
)  # fmt: skip
PLAIN = ("aws-lambda-powertools", "awscrt", "jmespath", "typing-extensions")


def built(name: str, into: Path, env: str = "local") -> Path:
    """A copy of what `make build ENV=<env>` made of one function or layer. Ends the program when it is missing or was
    built without bytecode, as `sam build` alone does."""
    source = BUILT / env / name
    if not source.is_dir():
        raise SystemExit(f"{source.relative_to(ROOT)} is missing: run `make build ENV={env}`")
    for module in source.rglob("*.py"):
        cached = Path(importlib.util.cache_from_source(str(module)))
        if not cached.exists() or int.from_bytes(cached.read_bytes()[4:8], "little") != 0b01:
            # PEP 552: 0b01 is "by hash, unchecked"
            raise SystemExit(f"{module.relative_to(ROOT)} has no unchecked bytecode: run `make build ENV={env}`")
    return Path(shutil.copytree(source, into))


def without_bytecode(source: Path, into: Path) -> Path:
    """A copy of a folder as `sam build` alone leaves it."""
    return Path(shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__")))


def assembled(into: Path, *, handler: Path | None = None, packages: Sequence[str] = ()) -> Path:
    """A folder with a handler and with packages of this venv (so: of the pins), compiled as `make build` does."""
    into.mkdir()
    if handler:
        shutil.copy(handler, into)
    for package in packages:
        for file in metadata.distribution(package).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = into / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    compileall.compile_dir(into, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH, workers=0)
    return into


def interpreter(into: Path) -> Path:
    """A Python of this version that sees no packages but those on PYTHONPATH, as Lambda's.

    It matters: msgspec imports typing_extensions where it finds it, which Lambda's Python has not and this venv has.
    """
    venv.create(into, symlinks=True)
    return into / "bin" / "python"


def read_only(folder: Path) -> None:
    """Takes the right to write from everything in the folder. (root may write all the same: see also
    PYTHONDONTWRITEBYTECODE in cold_start.py.)"""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(path.stat().st_mode & ~0o222)


def writable(folder: Path) -> None:
    """Gives the owner that right back, so that the folder can be removed."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)

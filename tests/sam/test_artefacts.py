"""What `make build` made fits into Lambda, is for its processors, and is at the edge alone."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import ROOT
from tests.sam.packages import built, files, machine, package_hash, unzipped_bytes, zipped_bytes

MEBIBYTE = 1024 * 1024
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ZIPPED = 50 * MEBIBYTE
UNZIPPED = 250 * MEBIBYTE  # a function and its layers together
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html: origin events
EDGE_ZIPPED = 50 * MEBIBYTE
EDGE_MEMORY_MB, EDGE_SECONDS = 10240, 30
# Ours, for growth to be noticed: every edge fetches it at first. 743 KiB in November 2026.
EDGE_OURS = MEBIBYTE
# Lambda's Python 3.13 is on Amazon Linux 2023.
GLIBC = (2, 34)

ARCHITECTURES = {"build": "arm64", "local": "x86_64", "edge": "x86_64"}
VERBS = {"build": "make build", "local": "make build ENV=local", "edge": "make build ENV=edge"}


@pytest.fixture(params=ARCHITECTURES)
def build(request: pytest.FixtureRequest) -> Path:
    """The folder of one build; skips when nobody made it."""
    return made(request.param)


def made(name: str) -> Path:
    folder = ROOT / ".aws-sam" / name
    if not (folder / "template.yaml").exists():
        pytest.skip(f"not built: {VERBS[name]}")
    return folder


def libraries(build: Path) -> Iterator[Path]:
    for name in built(build):
        yield from (path for path in files(build / name) if ".so" in path.suffixes)


def test_every_package_of_the_template_is_there_and_no_other(build: Path) -> None:
    packages = {path.name for path in build.iterdir() if path.is_dir()}
    assert packages == set(built(build))
    for name in packages - {"NearsideLayer"}:
        assert (build / name / "handler.py").exists(), name


def test_every_package_fits_into_lambda(build: Path) -> None:
    layer = unzipped_bytes(build / "NearsideLayer") if (build / "NearsideLayer").exists() else 0
    for name, properties in built(build).items():
        assert zipped_bytes(build / name) <= ZIPPED, name
        assert unzipped_bytes(build / name) + (layer if properties.get("Layers") else 0) <= UNZIPPED, name


def test_machine_code_is_for_the_processor_that_runs_it(build: Path) -> None:
    found = {path: machine(path) for path in libraries(build)}
    assert set(found.values()) == {ARCHITECTURES[build.name]}
    for path in found:
        assert re.search(r"\.abi3\.so|cpython-313-", path.name), f"{path.name} is for another Python"


def test_machine_code_needs_no_newer_system_than_lambdas(build: Path) -> None:
    for path in libraries(build):
        needed = {(int(major), int(minor)) for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())}
        assert max(needed, default=(2, 0)) <= GLIBC, path.name


def test_whoever_requires_awscrt_has_it_and_nobody_else(build: Path) -> None:
    having = {path.parent.name for path in build.glob("*/_awscrt*.so")}
    asking = {name for name in built(build) if "awscrt" in _requirements(build / name)}
    assert having == asking
    assert asking == ({"OriginRecordsFunction"} if build.name == "edge" else {"GatewayFunction"})


def _requirements(package: Path) -> set[str]:
    file = package / "requirements.in"
    return {line.split("[")[0] for line in file.read_text().splitlines()} if file.exists() else set()


def test_no_package_brings_what_lambda_has_or_nobody_wants(build: Path) -> None:
    unwanted = re.compile(r"(^|/)(boto3|botocore|tests?|\.env|\.git|pytest)(/|$)|\.pem$|nearside\.toml$")
    for name in built(build):
        names = [path.relative_to(build / name).as_posix() for path in files(build / name)]
        assert [path for path in names if unwanted.search(path)] == [], name
        assert [path for path in files(build / name) if path.is_symlink()] == [], name


def test_lambda_may_read_every_file(build: Path) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-deployment.html: permission denied"""
    for name in built(build):
        assert [str(path) for path in files(build / name) if path.stat().st_mode & 0o044 != 0o044] == []


# The edge.


def _router() -> tuple[Path, dict[str, Any]]:
    build = made("edge")
    return build / "OriginRouterFunction", built(build)["OriginRouterFunction"]


def test_the_edge_function_stands_alone() -> None:
    package, properties = _router()
    assert not {"Layers", "Environment", "VpcConfig", "DeadLetterConfig", "EphemeralStorage"} & properties.keys()
    assert not {"ReservedConcurrentExecutions", "FunctionUrlConfig", "Tracing", "KmsKeyArn"} & properties.keys()
    assert properties["Architectures"] == ["x86_64"]
    assert properties["MemorySize"] <= EDGE_MEMORY_MB
    assert properties["Timeout"] <= EDGE_SECONDS
    assert not list(package.rglob("nearside"))
    assert [path for path in files(package) if ".so" in path.suffixes] == []
    assert zipped_bytes(package) <= min(EDGE_OURS, EDGE_ZIPPED)


def test_the_edge_function_starts_with_what_is_in_its_package() -> None:
    package, _ = _router()
    program = "import sys; sys.path[:0] = [sys.argv[1]]; import handler; print(handler.__file__)"
    python = Path(sys.base_prefix) / "bin" / "python3.13"
    # -I and -S: nothing of the checkout's and no installed package is found.
    command = [str(python) if python.exists() else sys.executable, "-I", "-S", "-B", "-c", program, str(package)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, timeout=60)
    assert done.stdout.strip() == str(package / "handler.py"), done.stderr


# The hash: of a second build `test_build.py` makes sure.


def test_the_hash_is_of_names_and_contents_and_of_nothing_else(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    for name in ("b.py", "a.py"):
        (first / name).write_text(name)
    shutil.copytree(first, second)
    os.utime(second / "a.py", (time.time() - 9e6,) * 2)
    assert package_hash(first) == package_hash(second)
    (second / "a.py").write_text("other")
    changed = package_hash(second)
    (second / "a.py").write_text("a.py")
    (second / "a.py").rename(second / "c.py")
    assert len({package_hash(first), changed, package_hash(second)}) == 3


def test_a_library_of_another_machine_is_told(tmp_path: Path) -> None:
    library = tmp_path / "it.so"
    for number, name in ((62, "x86_64"), (183, "arm64")):
        library.write_bytes(b"\x7fELF" + bytes(14) + number.to_bytes(2, "little"))
        assert machine(library) == name
    library.write_bytes(b"not ELF" * 4)
    with pytest.raises(ValueError, match="not for a processor"):
        machine(library)

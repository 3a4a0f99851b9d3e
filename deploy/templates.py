"""What a template says of its parameters, and the hash of everything that makes its stack."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import DeployFailed
from deploy.parameters import Later, Parameters
from local.intrinsics import load_yaml

SOURCE_TAG = "nearside:source"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_PARAMETER_BYTES = 4096
_CODE = ("CodeUri", "ContentUri")


@dataclass(frozen=True)
class Template:
    """A template of the checkout. `source` changes with the file and with the code of its functions and layers."""

    name: str
    parameters: Mapping[str, Mapping[str, Any]]
    source: str
    kept: tuple[str, ...]

    def whole(self, given: Parameters) -> dict[str, str | Later]:
        """All parameters: those given, and the defaults. SAM would keep an older value for what it is not given."""
        unknown = given.keys() - self.parameters.keys()
        if unknown:
            raise DeployFailed(f"{self.name} has no parameter {', '.join(sorted(unknown))}")
        found = {name: given.get(name, _default(each)) for name, each in self.parameters.items()}
        missing = sorted(name for name, value in found.items() if value is None)
        if missing:
            raise DeployFailed(f"{self.name} needs {', '.join(missing)}, which nothing gives")
        for name, value in found.items():
            if isinstance(value, str) and (size := len(value.encode())) > MAX_PARAMETER_BYTES:
                raise DeployFailed(
                    f"{name} of {self.name} has {size} bytes, and CloudFormation takes {MAX_PARAMETER_BYTES}"
                )
        return {name: value for name, value in found.items() if value is not None}

    def is_secret(self, name: str) -> bool:
        """Whether CloudFormation does not tell the parameter's value."""
        return str(self.parameters.get(name, {}).get("NoEcho", "")).lower() == "true"


def read(root: Path, name: str) -> Template:
    """The template of that name in the checkout."""
    path = root / name
    if not path.is_file():
        raise DeployFailed(f"{name} is not there")
    parsed = load_yaml(path.read_text())
    folders = {
        path.parent / each["Properties"][word]
        for each in parsed["Resources"].values()
        if isinstance(each, dict)
        for word in _CODE
        if isinstance(each.get("Properties"), dict) and isinstance(each["Properties"].get(word), str)
    }
    kept = [
        logical
        for logical, each in parsed["Resources"].items()
        if isinstance(each, dict) and str(each.get("DeletionPolicy", "")).startswith("Retain")
    ]
    return Template(name, parsed.get("Parameters", {}), _hash(path, sorted(folders)), tuple(kept))


def _default(parameter: Mapping[str, Any]) -> str | None:
    default = parameter.get("Default")
    return None if default is None else str(default)


def _hash(template: Path, folders: list[Path]) -> str:
    """Of the sources, not of the build: a plan needs none."""
    digest = hashlib.sha256(template.read_bytes())
    for folder in folders:
        for path in sorted(each for each in folder.rglob("*") if each.is_file() and _counts(each)):
            digest.update(f"\0{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _counts(path: Path) -> bool:
    return not {"__pycache__", "build"} & set(path.parts) and not any(p.endswith(".egg-info") for p in path.parts)

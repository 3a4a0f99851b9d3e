"""The settings of a deployment, nearside.toml: an error names the field, its value and what is expected."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from deploy.settings_checks import BadDeploySettings as BadDeploySettings
from deploy.settings_checks import check
from deploy.settings_tables import Region as Region
from deploy.settings_tables import Settings as Settings


def load(path: Path) -> Settings:
    """The settings in the file. Raises BadDeploySettings."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise BadDeploySettings(f"{path} is not there; copy nearside.example.toml to it and change it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadDeploySettings(f"{path} cannot be read: {error}") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadDeploySettings(f"{path}: {error}") from None
    return parse(raw, path.parent)


def parse(raw: dict[str, Any], folder: Path) -> Settings:
    """The settings in a parsed file; the backends' file is looked for in `folder`."""
    if "backends_json" in raw:
        raise BadDeploySettings("backends_json: unknown field")
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise BadDeploySettings(_explained(str(error), raw)) from None
    check(settings)
    return settings if settings.gateway is None else msgspec.structs.replace(
        settings, backends_json=_backends(folder / settings.gateway.backends)
    )  # fmt: skip


def _explained(message: str, raw: Any) -> str:
    """msgspec's words, with the field in front and its value behind."""
    said, _, path = message.partition(" - at `$")
    steps = re.findall(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]", path)
    value, name = raw, ""
    for word, index in steps:
        name += f"[{index}]" if index else f".{word}" if name else word
        try:
            value = value[int(index)] if index else value[word]
        except (KeyError, IndexError, TypeError, ValueError):
            return f"{name}: {said}"
    shown = "" if "field" in said else f"; it is {value!r}"
    return f"{name or 'the file'}: {said}{shown}"


def _backends(path: Path) -> str:
    try:
        return json.dumps(json.loads(path.read_text()), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise BadDeploySettings(f"gateway.backends is {path.name!r}; expected a JSON file: {error}") from None

"""Handlers as Lambda loads them, and the recorded events of API Gateway to call them with."""

import copy
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]

ENVIRONMENT: Mapping[str, str] = {
    "AWS_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "BUCKET": "nearside-eu-west-2",
    "BUCKET_REGION": "eu-west-2",
    "REPLICAS": '[{"region": "us-east-2", "bucket": "nearside-us-east-2"}]',
    "TABLE_REGIONS": "eu-west-2,us-east-2",
    "USE_MRAP": "true",
    "MRAP_ALIAS": "mfzwi23gnjvgw.mrap",
    "AUTH_MODE": "jwt",
    "ACCESS_POLICY": '[{"claim": "sub", "prefixes": ["users/${sub}/"], "actions": ["read", "write"]}]',
    "CURSOR_KEY": "0123456789abcdef",
}


def load(name: str, **changed: str) -> ModuleType:
    """functions/<name>/handler.py, freshly executed with ENVIRONMENT and what is `changed` of it."""
    path = ROOT / "functions" / name / "handler.py"
    spec = importlib.util.spec_from_file_location(f"{name}_handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(os.environ, {**ENVIRONMENT, **changed}, clear=True):
        spec.loader.exec_module(module)
    return module


def event(name: str, body: str | None = None, **changed: Any) -> dict[str, Any]:
    """The recorded event `name` (`presign/get`) with another body, and with top-level fields `changed`."""
    recorded: dict[str, Any] = copy.deepcopy(json.loads((ROOT / "events" / f"{name}.json").read_text()))
    if body is not None:
        recorded["body"] = body
    return {**recorded, **changed}


def answer(handler: Any, sent: Mapping[str, Any]) -> tuple[int, Any]:
    """The status and the decoded JSON body that the handler answers."""
    got = handler.handler(dict(sent), None)
    return got["statusCode"], json.loads(got["body"])

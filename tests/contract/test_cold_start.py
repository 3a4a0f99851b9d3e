"""What a cold start loads: nothing that only another request needs (a HEAD, a listing, a role's session, the cache)."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit import functions

# dataclasses brings inspect, 7 ms of a cold start of 60 (docs/decisions.md).
HEAVY = {
    *("boto3", "botocore", "urllib3", "awscrt", "aws_lambda_powertools", "requests", "http.client", "xml.etree"),
    *("dataclasses", "inspect", "asyncio", "email", "concurrent.futures", "ssl", "socket"),
}


def loaded(function: str, event: dict[str, Any], *, status: int = 200, **changed: str) -> set[str]:
    """The modules of a fresh interpreter after one request."""
    program = (
        "import sys, runpy; before = set(sys.modules)\n"
        "sys.modules['typing_extensions'] = None\n"  # msgspec takes it where it is, and the layer has none
        f"handler = runpy.run_path({str(functions.ROOT / 'functions' / function / 'handler.py')!r})['handler']\n"
        f"answer = handler({event!r}, None)\n"
        f"assert answer['statusCode'] == {status}, answer\n"
        "print(*(set(sys.modules) - before))"
    )
    environment = {**functions.ENVIRONMENT, "AUTH_MODE": "none", **changed}
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(functions.ROOT / "layers/nearside")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | path, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_presigning_without_a_look_loads_no_sdk_and_no_http_client() -> None:
    modules = loaded("presign", functions.event("presign/get", '{"key": "a", "check": false}'))
    assert "nearside.signing" in modules
    assert modules & HEAVY == set()
    assert not [name for name in modules if name.startswith(("nearside.adapters.s3", "nearside.adapters.heads"))]


def test_whoever_asks_the_explorer_for_no_json_loads_no_cache() -> None:
    modules = loaded("explorer", functions.event("explorer/root"))
    assert "nearside.json_objects" in modules  # its query is described
    assert modules & {"boto3", "botocore", "urllib3", "filelock", "platformdirs", "rich", "ssl"} == set()
    assert not [name for name in modules if name.startswith(("nearside.cache", "nearside.adapters.cache"))]


def test_json_is_read_without_an_sdk(tmp_path: Path) -> None:
    """The policy refuses, once everything that reads is in place."""
    event = functions.event("explorer/json", pathParameters={"path": "users/bob/a.json"})
    modules = loaded("explorer", event, status=403, AUTH_MODE="jwt", NEARSIDE_CACHE_DIR=str(tmp_path))
    assert {"nearside.cache", "nearside.adapters.cache_s3"} <= modules
    assert modules & {"boto3", "botocore", "awscrt", "requests", "platformdirs", "rich", "asyncio"} == set()

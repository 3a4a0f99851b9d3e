"""What a cold start of presign loads: nothing that only a HEAD, a listing or a role's session needs."""

import os
import subprocess
import sys

from tests.unit import functions

# dataclasses brings inspect, 7 ms of a cold start of 60 (docs/decisions.md).
HEAVY = {
    *("boto3", "botocore", "urllib3", "awscrt", "aws_lambda_powertools", "requests", "http.client", "xml.etree"),
    *("dataclasses", "inspect", "asyncio", "email", "concurrent.futures", "ssl", "socket"),
}


def loaded(body: str) -> set[str]:
    """The modules of a fresh interpreter after one request."""
    program = (
        "import sys, runpy; before = set(sys.modules)\n"
        "sys.modules['typing_extensions'] = None\n"  # msgspec takes it where it is, and the layer has none
        f"handler = runpy.run_path({str(functions.ROOT / 'functions/presign/handler.py')!r})['handler']\n"
        f"answer = handler({functions.event('presign/get', body)!r}, None)\n"
        "assert answer['statusCode'] == 200, answer\n"
        "print(*(set(sys.modules) - before))"
    )
    environment = {**functions.ENVIRONMENT, "AUTH_MODE": "none", "PYTHONPATH": str(functions.ROOT / "layers/nearside")}
    path = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | path, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_presigning_without_a_look_loads_no_sdk_and_no_http_client() -> None:
    modules = loaded('{"key": "a", "check": false}')
    assert "nearside.signing" in modules
    assert modules & HEAVY == set()
    assert not [name for name in modules if name.startswith(("nearside.adapters.s3", "nearside.adapters.heads"))]

"""The programs that are tried as clients of the gateway, and where they are."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local import ROOT
from tests.gateway.endpoints import Endpoint

CLIENTS = ROOT / ".clients" / "bin"


def program(name: str) -> str:
    """The path of a program: of .clients, or beside this Python."""
    for folder in (CLIENTS, Path(sys.executable).parent):
        if (folder / name).exists():
            return str(folder / name)
    raise AssertionError(f"there is no {name}: `make clients` installs what tests/gateway/clients.txt pins")


def run(*command: str, env: Mapping[str, str], seconds: float = 400.0, code: int = 0) -> str:
    """What it prints. Raises AssertionError with what it says when it ends otherwise."""
    done = subprocess.run(
        [program(command[0]), *command[1:]],
        env={"PATH": os.defpath, "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def aws_environment(gateway: Endpoint) -> dict[str, str]:
    """For the AWS CLI and s3fs: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html"""
    return {
        "AWS_ACCESS_KEY_ID": gateway.identity.access_key_id,
        "AWS_SECRET_ACCESS_KEY": gateway.identity.secret_access_key,
        "AWS_REGION": gateway.region,
        "AWS_DEFAULT_REGION": gateway.region,
        "AWS_ENDPOINT_URL_S3": gateway.url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def rclone_environment(gateway: Endpoint) -> dict[str, str]:
    """For rclone, with the gateway as `gateway:` (https://rclone.org/docs/#environment-variables)."""
    options = {
        "type": "s3",
        "provider": "Other",
        "access_key_id": gateway.identity.access_key_id,
        "secret_access_key": gateway.identity.secret_access_key,
        "endpoint": gateway.url,
        "region": gateway.region,
        "force_path_style": "true",
    }
    named = {f"RCLONE_CONFIG_GATEWAY_{name.upper()}": value for name, value in options.items()}
    return {**named, "RCLONE_CONFIG": os.devnull, "RCLONE_RETRIES": "3", "RCLONE_LOW_LEVEL_RETRIES": "4"}

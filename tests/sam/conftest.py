"""The world that the containers talk to, and `sam local` that is told where it is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.providers import without_credentials
from local.running import docker_gateway
from local.world import World
from tests.sam.containers import Sam

# The events are alice's: what the template's default gives her, and the whole bucket to look at. An operator repairs.
POLICY = [
    {"claim": "sub", "prefixes": ["users/${sub}/"], "actions": ["read", "write", "delete"]},
    {"claim": "sub", "prefixes": [""], "actions": ["read"]},
    {"claim": "sub", "equals": "operator", "prefixes": [""], "actions": ["write"]},
]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A world with samples that containers can reach."""
    with World(host=docker_gateway()) as world:
        yield world


def _sam(world: World, file: Path, **settings: str) -> Sam:
    file.write_text(json.dumps({"Parameters": {**without_credentials(world.environment()), **settings}}))
    return Sam(file, world.aws_url)


@pytest.fixture(scope="session")
def sam(world: World, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """Functions as they are deployed: the caller is whom the authorizer vouches for in the event."""
    file = tmp_path_factory.mktemp("sam") / "env.json"
    return _sam(world, file, AUTH_MODE="jwt", ACCESS_POLICY=json.dumps(POLICY))


@pytest.fixture(scope="session")
def open_sam(world: World, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """Functions as the local world runs them: `sam local start-api` has no authorizer to vouch for anybody."""
    return _sam(world, tmp_path_factory.mktemp("sam") / "env.json")

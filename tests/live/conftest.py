"""The tests of real AWS run when a profile is named; without it each is skipped, and says what to set.

They use a system that `make deploy` made (the access point alone takes up to a day, so they make none of their own):
the one of nearside.toml, or of the settings that NEARSIDE_LIVE_SETTINGS names. What they make in it has names of their
own (`.nearside/live/…`, `nearside-live-…`) and is taken away again. Only the switch of the edge changes what was there,
for some minutes, and needs NEARSIDE_LIVE_SWITCH besides.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from deploy.settings import load
from local import ROOT
from tests.live.deployed import PREFIX, Deployed

PROFILE = "NEARSIDE_LIVE_PROFILE"
SETTINGS = "NEARSIDE_LIVE_SETTINGS"
SWITCH = "NEARSIDE_LIVE_SWITCH"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By a mark, because those are told in one line for the whole file."""
    if not os.environ.get(PROFILE):
        words = f"real AWS: set {PROFILE} to a profile of an account where nearside.toml is deployed"
        for item in items:
            if item.path == Path(__file__).with_name("test_live.py"):
                item.add_marker(pytest.mark.skip(reason=words))


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """What nearside.toml (or NEARSIDE_LIVE_SETTINGS) describes, as NEARSIDE_LIVE_PROFILE may see it."""
    profile = os.environ[PROFILE]
    path = Path(os.environ.get(SETTINGS, ROOT / "nearside.toml"))
    found = Deployed(load(path), boto3.Session(profile_name=profile))
    if missing := found.missing():
        pytest.fail(f"{path.name} is not deployed for profile {profile}: {'; '.join(missing)}; make deploy first")
    return found


@pytest.fixture
def key(deployed: Deployed) -> Iterator[str]:
    """A key of this test's own, of which nothing is left."""
    if locked := deployed.locked():
        pytest.skip(f"nothing could be taken away again from {', '.join(locked)}: object lock")
    name = f"{PREFIX}{uuid.uuid4().hex}"
    try:
        yield name
    finally:
        deployed.remove(name)

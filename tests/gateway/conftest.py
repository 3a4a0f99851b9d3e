"""The endpoints that the suite is run over, and what is expected of those that cannot do something."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from local.deployment import PRIMARY
from local.gateway_key import key_pair
from local.providers import PROVIDERS
from local.world import World
from tests.gateway.endpoints import FACTS, WHEN_REQUIRED, Endpoint, made_bucket
from tests.gateway.quirks import QUIRKS, fits

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(autouse=True)
def _mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test every provider is well again. What the replicator still has to do may wait: these tests ask what
    clients see, and a key that a place refuses waits for long."""
    used: World | None = request.getfixturevalue("world") if "world" in request.fixturenames else None
    yield
    if used is not None:
        used.heal()


@pytest.fixture(scope="session")
def endpoints(world: World) -> dict[str, Endpoint]:
    """All of them, by name."""
    moto, harbor, b2 = PROVIDERS
    urls = world.provider_urls
    return {
        "moto": Endpoint("moto", urls[moto.name], moto.region, moto.identity),
        "rclone": Endpoint("rclone", urls[harbor.name], harbor.region, harbor.identity, WHEN_REQUIRED),
        "old-b2": Endpoint("old-b2", urls[b2.name], b2.region, b2.identity, WHEN_REQUIRED),
        "gateway": Endpoint("gateway", world.gateway_url, PRIMARY, key_pair()),
    }


@pytest.fixture(params=["moto", "rclone", "old-b2", "gateway"])
def endpoint(request: pytest.FixtureRequest, endpoints: dict[str, Endpoint]) -> Endpoint:
    """Each of the endpoints in turn."""
    return endpoints[request.param]


def pytest_configure(config: pytest.Config) -> None:
    """The suite's own mark."""
    config.addinivalue_line("markers", "needs(ability, …): what of nearside.gateway.providers.Provider a test needs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the tables say that an endpoint cannot do must fail there, or they are wrong."""
    for item in items:
        name = item.callspec.params.get("endpoint", "") if hasattr(item, "callspec") else ""
        if name in FACTS and (reason := lacking(name, item)):
            item.add_marker(pytest.mark.xfail(strict=True, reason=f"{name}: {reason}"))


def lacking(endpoint: str, item: pytest.Item) -> str:
    """What the endpoint lacks that the test needs; empty when it should pass."""
    abilities = [ability for marker in item.iter_markers("needs") for ability in marker.args]
    cannot = [ability for ability in abilities if getattr(FACTS[endpoint], ability) is False]
    case = item.name.removeprefix("test_").replace(f"[{endpoint}]", "").replace(f"[{endpoint}-", "[")
    return ", ".join(cannot) or next((why for quirk, why in QUIRKS.get(endpoint, {}).items() if fits(case, quirk)), "")


@pytest.fixture
def s3(endpoint: Endpoint) -> "S3Client":
    """A client of the endpoint."""
    return endpoint.client()


@pytest.fixture
def bucket(endpoint: Endpoint, s3: "S3Client") -> str:
    """A new bucket there."""
    return made_bucket(s3, f"suite-{uuid.uuid4().hex[:12]}", endpoint.region)


@pytest.fixture
def unlimited(world: World) -> None:
    """The gateway without Lambda's limits, for clients whose parts do not fit."""
    world.limit_lambda(on=False)

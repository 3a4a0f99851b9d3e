"""What tests share: one local world per process, mended after every test, and clients of its regions."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from local.deployment import PRIMARY
from local.identities import WORLD, Identity
from local.tables import empty_table
from local.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LAG_SECONDS = 0.05

type MakeClient = Callable[..., S3Client]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A running world on free ports, with its samples. What a test leaves in its buckets, the next one sees."""
    with World(lag_seconds=LAG_SECONDS) as world:
        yield world


@pytest.fixture(autouse=True)
def _mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that used the world: all replicated, on and quick, the first lag, location and variables again."""
    used: World | None = request.getfixturevalue("world") if "world" in request.fixturenames else None
    yield
    if used is not None:
        used.heal()
        used.set_lag(0)
        used.settle()
        used.set_lag(LAG_SECONDS)
        if used.is_reloaded:
            used.reload()


@pytest.fixture
def unheard(world: World) -> None:
    """The catalog hears of nothing: for tests with many writes that are not about it."""
    world.disturb_events(lose=1.0)


@pytest.fixture
def forgotten(world: World) -> None:
    """The catalog knows nothing of what other tests left."""
    world.settle()
    empty_table(PRIMARY)


@pytest.fixture(scope="session")
def client(world: World) -> MakeClient:
    """Makes a boto3 S3 client of a region, signing with SigV4 as the world or as another identity."""

    def make(region: str = "eu-west-2", identity: Identity = WORLD, **config: object) -> "S3Client":
        return boto3.client(
            "s3",
            region_name=region,
            endpoint_url=world.place_urls[region],
            aws_access_key_id=identity.access_key_id,
            aws_secret_access_key=identity.secret_access_key,
            aws_session_token=identity.session_token or None,
            config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}, **config),  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def eu(client: MakeClient) -> "S3Client":
    """A client of the primary region."""
    return client("eu-west-2")


@pytest.fixture
def us(client: MakeClient) -> "S3Client":
    """A client of the second region."""
    return client("us-east-2")

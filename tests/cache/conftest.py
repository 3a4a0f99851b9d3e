"""What the tests of the cache share: a server, an empty cache folder, and a way to make managers on them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from nearside.cache import CacheManager
from nearside.signing import Credentials
from tests.cache.faulty_server import FaultyServer, serving
from tests.cache.looking import HASTY

type MakeCache = Callable[..., CacheManager]

KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

# Two noisy cores: an example may take longer than hypothesis' 200 ms without anything being wrong.
settings.register_profile("nearside", deadline=None)
settings.load_profile("nearside")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, profiles, proxies or cache folders of this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("NEARSIDE_CACHE_DIR", raising=False)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """An empty server."""
    with serving() as server:
        yield server


@pytest.fixture
def other() -> Iterator[FaultyServer]:
    """A second server: another place, or another endpoint."""
    with serving() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the cache of this test is; not made yet."""
    return tmp_path / "cache"


@pytest.fixture
def make(server: FaultyServer, folder: Path) -> Iterator[MakeCache]:
    """Makes managers on the test's folder that read the server anonymously, unless told otherwise."""
    made: list[CacheManager] = []

    def make(**options: Any) -> CacheManager:
        named = {"endpoint_url", "s3_client", "places", "presign"} & options.keys()
        defaults: dict[str, Any] = (
            {"region": "eu-west-2"} if named else {"endpoint_url": server.url, "region": "eu-west-2"}
        )
        if not {"credentials", "s3_client", "presign", "profile"} & options.keys():
            defaults["anonymous"] = True
        cache = CacheManager(options.pop("cache_dir", folder), **{"patience": HASTY, **defaults, **options})
        made.append(cache)
        return cache

    yield make
    for cache in made:
        cache.close()


@pytest.fixture
def cache(make: MakeCache) -> CacheManager:
    """A manager with everything as it is by default."""
    return make()

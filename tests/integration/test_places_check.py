"""`nearside places` against the world's three providers."""

import json
import secrets
from collections.abc import Callable

import pytest

from local.world import World
from nearside import cli
from nearside.adapters import place_credentials
from nearside.adapters.place_requests import PlaceRequests
from nearside.adapters.place_store import PlaceStore
from nearside.gateway import backends

pytestmark = pytest.mark.usefixtures("unheard")

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def stores(world: World) -> dict[str, PlaceStore]:
    found = {}
    for backend in backends.parse(world.environment()["BACKENDS"]).enabled:
        source = place_credentials.of(backend, lambda: pytest.fail("each has its own"), "eu-west-2")
        found[backend.name] = PlaceStore(PlaceRequests(backend, source))
    return found


def test_three_good_places_are_good_and_left_as_they_were(run: Run, world: World) -> None:
    bucket = f"check-{secrets.token_hex(4)}"
    code, out, err = run("places", "check", bucket)
    assert (code, err) == (1, "")
    assert out.count("FAIL  bucket: NoSuchBucket") == 3
    places = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.environment().items():
            patch.setenv(name, value)
        places = stores(world)
    for store in places.values():
        store.make_bucket(bucket)
    code, out, err = run("places", "check", bucket)
    assert (code, err, out.count("FAIL")) == (0, "", 0)
    assert out.count("ok    delete: nothing is left") == len(places)
    for store in places.values():
        assert store.listing(bucket, "", "", 10) == ([], False)
        store.remove_bucket(bucket)
        assert not store.has_bucket(bucket)


def test_what_is_wrong_is_said_for_each_place(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = json.loads(world.environment()["BACKENDS"])
    configuration["backends"][0]["region"] = "us-west-1"
    monkeypatch.setenv("BACKENDS", json.dumps(configuration))
    monkeypatch.setenv("B2_SECRET_ACCESS_KEY", "not-it")
    monkeypatch.delenv("HARBOR_ACCESS_KEY_ID")
    code, out, _ = run("places", "check", "photos")
    assert code == 1
    assert "the place is in 'eu-west-2': correct region" in out
    assert "credentials: HARBOR_ACCESS_KEY_ID is not set" in out
    assert "the secret access key is not that of the access key id" in out
    assert "not-it" not in out
    code, out, err = run("places", "check", "photos", "--place", "nope")
    assert (code, out) == (1, "")
    assert err.startswith("nearside: there is no place nope; there are: ")


def test_the_schema_is_printed(run: Run) -> None:
    code, out, _ = run("places", "schema")
    assert (code, json.loads(out)) == (0, backends.schema())

"""The edge's functions answer every event of theirs in a real container: no variables, no layers, DNS over the wire."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local import ROOT
from local.dns_server import DnsServer
from local.dns_zone import ORIGIN_NAME, Zone
from local.running import docker_gateway
from local.world import World
from tests.contract.source_tree import functions_of
from tests.sam.containers import EDGE_BUILD, Answer, Sam

EVENTS = sorted((ROOT / "events" / "origin_router").glob("*.json"))
EU = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com"
US = "nearside-us-east-2.s3.us-east-2.amazonaws.com"


@pytest.fixture(scope="session")
def edge(world: World, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """Functions as the edge has them: they are given nothing."""
    file = tmp_path_factory.mktemp("edge") / "env.json"
    file.write_text("{}")
    return Sam(file, world.aws_url, config_env="edge")


@pytest.fixture(scope="session")
def resolver() -> Iterator[str]:
    """Address and port of a name server that containers can ask; its record names the bucket in Ohio."""
    zone = Zone()
    zone.set(ORIGIN_NAME, [US])
    with contextlib.closing(DnsServer(zone, docker_gateway(), 0)) as server:
        yield server.address


def pointed_at(event: Path, resolver: str, tmp_path: Path) -> Path:
    """The recorded event with one more header: whom to ask."""
    recorded = json.loads(event.read_text())
    for origin in recorded["Records"][0]["cf"]["request"]["origin"].values():
        if origin["customHeaders"]:
            origin["customHeaders"]["x-origin-resolvers"] = [{"key": "X-ORIGIN-RESOLVERS", "value": resolver}]
    written = tmp_path / event.name
    written.write_text(json.dumps(recorded))
    return written


def first(headers: dict[str, Any], name: str) -> str:
    [entry] = headers[name]
    return str(entry["value"])


def rerouted(answer: Any, sent: Any) -> None:
    [(kind, origin)] = answer["origin"].items()
    assert origin["domainName"] == US
    assert first(answer["headers"], "host") == US
    assert first(answer["headers"], "x-nearside-reason") == "fresh"
    assert (answer["uri"], answer["querystring"], answer["method"]) == (
        sent["uri"],
        sent["querystring"],
        sent["method"],
    )
    assert kind == next(iter(sent["origin"]))
    assert "arn:" not in json.dumps(answer)


def kept_identity(answer: Any, sent: Any) -> None:
    rerouted(answer, sent)
    assert answer["origin"]["s3"]["authMethod"] == "origin-access-identity"
    assert answer["origin"]["s3"]["region"] == "us-east-2"
    assert "authorization" not in answer["headers"]


def signed(answer: Any, sent: Any) -> None:
    rerouted(answer, sent)
    authorization = first(answer["headers"], "authorization")
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=")
    assert "/us-east-2/s3/aws4_request" in authorization


def as_it_came(answer: Any, sent: Any) -> None:
    assert answer == sent


def configured(answer: Any, sent: Any) -> None:
    assert first(answer["headers"], "x-nearside-reason").startswith("configured: ")
    unlike = copy.deepcopy(answer)
    del unlike["headers"]["x-nearside-reason"]
    assert unlike == sent


EXPECTED: dict[str, Callable[[Any, Any], None]] = {
    "custom": signed,
    "head": signed,
    "no-dns-origin": as_it_came,
    "put": configured,
    "query": signed,
    "s3-oai": kept_identity,
    "s3-sigv4": signed,
}


def test_every_event_has_an_expected_answer() -> None:
    assert {event.stem for event in EVENTS} == EXPECTED.keys() | {"response"}


@pytest.mark.parametrize("event", [event for event in EVENTS if event.stem in EXPECTED], ids=lambda event: event.stem)
def test_a_request(event: Path, edge: Sam, resolver: str, tmp_path: Path) -> None:
    asked = pointed_at(event, resolver, tmp_path)
    answer: Answer = edge.invoke("OriginRouterFunction", asked)
    EXPECTED[event.stem](answer.value, json.loads(asked.read_text())["Records"][0]["cf"]["request"])


def test_a_response_says_the_origin_and_the_reason(edge: Sam, resolver: str, tmp_path: Path) -> None:
    asked = pointed_at(ROOT / "events/origin_router/response.json", resolver, tmp_path)
    headers = edge.invoke("OriginRouterFunction", asked).value["headers"]
    assert (first(headers, "x-nearside-origin"), first(headers, "x-nearside-reason")) == (US, "fresh")


def test_without_an_answer_from_dns_the_request_goes_on_to_the_configured_origin(edge: Sam, tmp_path: Path) -> None:
    event = ROOT / "events/origin_router/s3-oai.json"
    asked = pointed_at(event, f"{docker_gateway()}:9", tmp_path)
    answer = edge.invoke("OriginRouterFunction", asked).value
    configured(answer, json.loads(asked.read_text())["Records"][0]["cf"]["request"])
    assert answer["origin"]["s3"]["domainName"] == EU


def test_origin_records_looks_up_and_says_what_it_cannot(edge: Sam, tmp_path: Path) -> None:
    """dnspython and awscrt are its own, boto3 is Lambda's. There is no store to write, so it is a lookup that fails."""
    recorded = json.loads((ROOT / "events/origin_records/schedule.json").read_text())
    recorded["headers"]["x-origin-resolvers"] = f"{docker_gateway()}:9"
    asked = tmp_path / "schedule.json"
    asked.write_text(json.dumps(recorded))
    answer = edge.invoke("OriginRecordsFunction", asked).value
    assert (answer["name"], answer["state"]) == (ORIGIN_NAME, "kept")
    assert answer["refused"]


def test_the_build_has_the_modules_that_origin_records_shares_as_files() -> None:
    for name in ("directions", "txt_origin"):
        built = EDGE_BUILD / "OriginRecordsFunction" / f"{name}.py"
        assert not built.is_symlink()
        assert built.read_text() == (ROOT / "functions" / "origin_router" / f"{name}.py").read_text()


def test_the_edge_function_is_small() -> None:
    """Unzipped; bench/edge.py measures the zip, which is to stay under 1 MB."""
    assert functions_of("stacks/edge.yaml")["origin_router"]["Architectures"] == ["x86_64"]
    package = EDGE_BUILD / "OriginRouterFunction"
    assert sum(file.stat().st_size for file in package.rglob("*.py")) < 3_000_000

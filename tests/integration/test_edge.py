"""origin_router behind the world's edge and name server: what issue 4 promises, and the runbook's steps."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from local.distribution_template import read_distribution
from local.dns_zone import ORIGIN_NAME, STRANGER
from local.edge import Edge
from local.edge_stack import ENVIRONMENT, TEMPLATE, edge_parameters
from local.edge_triggers import Triggers
from local.server import Request
from local.world import World
from tests.integration.http_client import Answer, get

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

EU = "nearside-eu-west-2.s3.eu-west-2.amazonaws.com"
US = "nearside-us-east-2.s3.us-east-2.amazonaws.com"
KEY = "/images/sunrise.png"


@pytest.fixture(autouse=True)
def cold(world: World) -> Iterator[None]:
    """New containers with nothing cached before, everything mended."""
    world.heal()
    world.edge.load()
    yield
    world.heal()
    world.edge.load()


def fetch(world: World, key: str = KEY, **headers: str) -> Answer:
    """The object, not from the edge's cache."""
    world.edge.app.cache.clear()
    answer = get(world.edge_url + key, headers)
    assert answer.status == 200, answer.body
    return answer


def served_by(answer: Answer) -> tuple[str, str]:
    """The origin, and the reason up to what is wrong."""
    return answer.headers["x-nearside-origin"], answer.headers["x-nearside-reason"].partition(":")[0]


def until(world: World, wanted: Callable[[Answer], bool], seconds: float) -> None:
    """Ask as a viewer does, from the cache too, until the answer is as wanted."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if wanted(get(world.edge_url + KEY)):
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def test_it_serves_from_eu(world: World) -> None:
    first = fetch(world)
    assert served_by(first) == (EU, "fresh")
    assert first.headers["x-cache"] == "Miss from cloudfront"
    assert get(world.edge_url + KEY).headers["x-cache"] == "Hit from cloudfront"
    assert served_by(fetch(world)) == (EU, "cached")
    assert world.edge.zone.queries(ORIGIN_NAME) == 1


def test_everything_else_comes_from_the_access_point(world: World) -> None:
    for place, region in (("eu", "eu-west-2"), ("us", "us-east-2")):
        answer = fetch(world, "/docs/guide.txt", **{"X-World-Location": place})
        assert (answer.headers["x-world-region"], "x-nearside-origin" in answer.headers) == (region, False)


def test_a_name_that_needs_encoding(world: World) -> None:
    assert served_by(fetch(world, "/images/two%20regions.svg")) == (EU, "fresh")


def test_it_follows_the_record_within_its_ttl(world: World) -> None:
    world.set_dns(ORIGIN_NAME, [EU], 1)
    assert served_by(fetch(world))[0] == EU
    world.set_dns(ORIGIN_NAME, [US], 1)
    # The record's TTL, and the second for which the edge keeps an object that says nothing itself.
    until(world, lambda answer: answer.headers["x-nearside-origin"] == US, 4)


@pytest.mark.parametrize("mode", ["off", "servfail", "timeout", "lie"])
def test_it_survives_the_name_server_on_stale_answers(world: World, mode: str) -> None:
    world.set_dns(ORIGIN_NAME, [US], 1)
    assert served_by(fetch(world)) == (US, "fresh")
    world.fail_dns(mode)
    time.sleep(1.1)
    for _ in range(3):
        origin, reason = served_by(fetch(world))
        assert (origin, reason) == (US, "stale")
    world.mend_dns()
    world.set_dns(ORIGIN_NAME, [EU], 1)
    until(world, lambda answer: served_by(answer)[0] == EU, 20)


@pytest.mark.parametrize("mode", ["off", "servfail", "timeout", "lie"])
def test_without_an_answer_ever_it_is_the_configured_origin(world: World, mode: str) -> None:
    world.fail_dns(mode)
    world.edge.app.cache.clear()
    answer = get(world.edge_url + KEY)
    # The bucket is private: the function signs for the configured origin as for any other.
    assert (answer.status, served_by(answer)) == (200, (EU, "configured"))


def test_a_truncated_answer_is_fetched_over_tcp(world: World) -> None:
    world.fail_dns("truncate")
    assert served_by(fetch(world)) == (EU, "fresh")
    assert world.edge.zone.queries(ORIGIN_NAME) == 2


def test_a_slow_answer_holds_viewers_up_no_longer_than_the_deadline(world: World) -> None:
    world.fail_dns("slow")
    started = time.monotonic()
    assert served_by(get(world.edge_url + KEY))[1] == "configured"
    assert time.monotonic() - started < 5  # and not the 10 s of the name server


def test_a_record_that_names_a_bucket_off_the_list_is_refused(world: World) -> None:
    world.set_dns(ORIGIN_NAME, [EU], 1)
    assert served_by(fetch(world)) == (EU, "fresh")
    for text in (STRANGER, "nearside-eu-west-2.s3.amazonaws.com", "www.example.com", "nearside-eu-west-2"):
        world.set_dns(ORIGIN_NAME, [text], 1)
        time.sleep(1.1)
        assert served_by(fetch(world)) == (EU, "stale")


def test_a_refused_record_beside_a_good_one_is_left_out(world: World) -> None:
    world.set_dns(ORIGIN_NAME, [STRANGER, US])
    assert {served_by(fetch(world))[0] for _ in range(10)} == {US}


# The runbook


def test_weights_in_the_record(world: World) -> None:
    world.set_dns(ORIGIN_NAME, [f"{EU} weight=3, {US} weight=1"])
    counted = Counter(served_by(fetch(world))[0] for _ in range(120))
    assert 60 <= counted[EU] < 120
    assert counted[US] > 5


def test_drain_and_come_back(world: World) -> None:
    world.set_dns(ORIGIN_NAME, [f"{EU} weight=0,{US}"], 1)
    assert {served_by(fetch(world))[0] for _ in range(10)} == {US}
    world.set_dns(ORIGIN_NAME, [f"{EU},{US} weight=0"], 1)
    until(world, lambda answer: served_by(answer)[0] == EU, 4)


def test_route_53_fails_over_and_back(world: World) -> None:
    world.settle()
    world.set_dns(ORIGIN_NAME, [EU, US], 1, weights=[100, 0])
    assert served_by(fetch(world))[0] == EU
    world.switch("eu-west-2", on=False)
    until(world, lambda answer: answer.status == 200 and served_by(answer)[0] == US, 5)
    world.switch("eu-west-2", on=True)
    until(world, lambda answer: answer.status == 200 and served_by(answer)[0] == EU, 5)


def test_an_outage_of_dns_costs_one_lookup_at_a_time_and_no_request(world: World) -> None:
    world.set_dns(ORIGIN_NAME, [EU], 1)
    fetch(world)
    world.fail_dns("off")
    ended = time.monotonic() + 2.5
    served = 0
    while time.monotonic() < ended:
        assert fetch(world).status == 200
        served += 1
    assert served > 50


def test_by_an_access_identity_too(world: World) -> None:
    parameters = {**edge_parameters(world.edge.dns.address), "OriginAuth": "oai"}
    distribution = read_distribution(TEMPLATE, parameters)
    edge = Edge(distribution, Triggers(distribution, ENVIRONMENT), world.edge.origins, world.location)
    world.set_dns(ORIGIN_NAME, [US])
    answer = edge(Request("GET", KEY, ()))
    assert (answer.status, answer.header("X-Nearside-Origin")) == (200, US)
    world.fail_dns("off")
    edge.triggers.load()
    edge.cache.clear()
    answer = edge(Request("GET", KEY, ()))
    assert (answer.status, answer.header("X-Nearside-Origin")) == (200, EU)  # the configured origin has the identity

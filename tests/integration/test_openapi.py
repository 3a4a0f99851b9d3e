"""The document that the functions serve against the functions: whatever it allows is answered as it says."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.world import World
from nearside.openapi import document
from tests.integration.http_client import get

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


# The document as it is served (the last test says so); from_fixture, which would fetch it, does not work with pytest 9.
schema = schemathesis.openapi.from_dict(document("none"))
# API Gateway routes by method; that it refuses others is its own affair.
schema.config.phases.coverage.unexpected_methods = set()


@schema.parametrize()
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_what_is_allowed_is_answered_as_described(case: Any, world: World) -> None:
    answer = case.call(base_url=world.api_url, timeout=60)  # of 1,000 objects, with coverage on
    assume(answer.status_code != 431)  # API Gateway's own, for a request line over 10,240 bytes
    case.validate_response(answer, checks=CHECKS)


def test_the_document_is_served_as_json_and_as_a_page(world: World) -> None:
    served = get(f"{world.api_url}/openapi.json")
    assert (served.status, served.headers["content-type"]) == (200, "application/json")
    assert served.json == document("none")
    page = get(f"{world.api_url}/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "POST /presign" in page.body.decode()


def test_every_endpoint_that_is_named_is_described(world: World) -> None:
    named = get(world.api_url).json["endpoints"]
    paths = get(f"{world.api_url}/openapi.json").json["paths"]
    assert sorted(named) == sorted(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods)

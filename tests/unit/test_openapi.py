"""The OpenAPI document: complete, self-contained, and true to what the code decodes and encodes."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from nearside.items import Batch, Item
from nearside.openapi import ROUTES, document
from nearside.settings import AuthMode

DOCUMENT = document("jwt")
OPERATIONS = {(method, path): each for path, methods in DOCUMENT["paths"].items() for method, each in methods.items()}


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value in the document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def test_it_is_openapi_3_1_and_plain_json() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_every_route_is_described_once() -> None:
    described = {f"{method.upper()} {path}" for method, path in OPERATIONS}
    assert described == {route.key.replace("+}", "}") for route in ROUTES}
    assert len(ROUTES) == len(OPERATIONS)
    names = [each["operationId"] for each in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names)


def test_every_reference_leads_somewhere_and_nothing_is_left_over() -> None:
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert {value for name, value in walk(DOCUMENT) if name == "$ref"} == schemas


def test_every_path_parameter_is_declared_as_needed() -> None:
    for (_, path), operation in OPERATIONS.items():
        declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")


def test_limits_are_told() -> None:
    item = DOCUMENT["components"]["schemas"]["Item"]
    expires = item["properties"]["expires_in"]
    assert (expires["minimum"], expires["maximum"], expires["default"]) == (1, 604_800, 3_600)
    assert item["properties"]["method"]["enum"] == ["DELETE", "GET", "HEAD", "PUT"]
    assert item["additionalProperties"] is False
    assert DOCUMENT["components"]["schemas"]["Batch"]["properties"]["items"]["maxItems"] == 1_000
    query = {each["name"]: each["schema"] for each in OPERATIONS["get", "/list-bucket-content"]["parameters"]}
    assert (query["limit"]["minimum"], query["limit"]["maximum"]) == (1, 1_000)
    assert set(query) == {"details", "limit", "cursor", "place", "prefix", "If-None-Match"}


@pytest.mark.parametrize("shape", [Item, Batch])
def test_the_schema_has_the_fields_of_the_type(shape: type[msgspec.Struct]) -> None:
    described = DOCUMENT["components"]["schemas"][shape.__name__]
    assert set(described["properties"]) == set(shape.__struct_encode_fields__)


@pytest.mark.parametrize(
    ("auth_mode", "kind"), [("jwt", {"scheme": "bearer"}), ("iam", {"in": "header"}), ("none", None)]
)
def test_the_security_is_the_authorizers(auth_mode: str, kind: dict[str, str] | None) -> None:
    described = document(cast(AuthMode, auth_mode))
    answers = set(described["paths"]["/presign"]["post"]["responses"])
    if kind is None:
        assert "security" not in described
        assert "401" not in answers
    else:
        assert described["security"] == [{auth_mode: []}]
        assert kind.items() <= described["components"]["securitySchemes"][auth_mode].items()
        assert {"401", "403"} <= answers


def test_every_refusal_is_described_in_words_as_an_error() -> None:
    for operation in OPERATIONS.values():
        for status, answer in operation["responses"].items():
            assert len(answer["description"]) > 5
            if status == "304":
                assert "content" not in answer
            elif status != "200":
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
        assert "500" in operation["responses"]


def test_what_may_be_unchanged_is_asked_for_by_its_tag() -> None:
    unchanged = {route for route, each in OPERATIONS.items() if "304" in each["responses"]}
    listings = ("/list-bucket-content", "/list-bucket-content/{path}")
    assert unchanged == {("get", path) for path in ("/json/{path}", *listings)}
    assert all(OPERATIONS[route]["parameters"][-1]["name"] == "If-None-Match" for route in unchanged)
    operation = OPERATIONS["get", "/json/{path}"]
    assert [each["name"] for each in operation["parameters"]] == ["path", "version_id", "If-None-Match"]
    assert {"400", "403", "404", "413"} <= set(operation["responses"])


def test_only_posts_take_a_body() -> None:
    taking = {path for (_, path), each in OPERATIONS.items() if "requestBody" in each}
    uploads = {"/uploads", "/uploads/{id}/parts", "/uploads/{id}/complete"}
    of_uppy = {"/s3/sign", "/s3/multipart", "/s3/multipart/{id}/complete"}
    assert taking == {"/presign", "/replication/repair", "/replication/objects", *uploads, *of_uppy}

"""web/api.d.ts is what the OpenAPI document says, and the client's calls are routes of it."""

import re

import pytest

from local.api_types import WRITTEN, NotTold, declarations
from nearside.openapi import ROUTES, document
from tests.contract.source_tree import ROOT


def test_the_committed_types_are_those_of_the_document() -> None:
    assert WRITTEN.read_text() == declarations(document("none")), "run: make types"


def test_the_client_speaks_of_routes_that_there_are() -> None:
    text = (ROOT / "web" / "client.js").read_text()
    named = set(re.findall(r'(?:Answer|Query|Body)<"([A-Z]+ [^"]+)">', text))
    assert len(named) > 15
    assert named <= {route.key.replace("+}", "}") for route in ROUTES}


def test_a_schema_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(NotTold, match="oneOf"):
        declarations({"components": {"schemas": {"A": {"properties": {"b": {"oneOf": []}}}}}, "paths": {}})

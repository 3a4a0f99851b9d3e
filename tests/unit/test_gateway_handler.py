"""The gateway's handler as Lambda loads it: wired from its variables, and closed to whoever is not known."""

import json
import time
import xml.etree.ElementTree as ET
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from nearside.errors import BadSettings
from tests.unit import functions

BACKENDS = {
    "backends": [
        {
            "name": "eu",
            "provider": "aws",
            "zone_code": "eu-1",
            "region": "eu-west-2",
            "endpoint_url": "http://127.0.0.1:1",
            "enabled": True,
            "is_primary": True,
        }
    ],
    "replication": {"required_replicas": 1},
}
VARIABLES = {
    "TABLE": "nearside-catalog",
    "BACKENDS": json.dumps(BACKENDS),
    "GATEWAY_QUEUE_URL": "http://127.0.0.1:1/queue",
    "GATEWAY_SECRET": "g" * 32,
    "DYNAMODB_ENDPOINT": "http://127.0.0.1:1",
    "SQS_ENDPOINT": "http://127.0.0.1:1",
}
RECORDED = 1_795_132_801.0  # when the events were


@pytest.fixture(scope="module")
def gateway() -> ModuleType:
    return functions.load("gateway", **VARIABLES)


def told(answer: dict[str, Any]) -> tuple[int, str | None]:
    return answer["statusCode"], ET.fromstring(answer["body"]).findtext("Code")


def test_an_unsigned_request_is_refused_in_s3s_words(gateway: ModuleType) -> None:
    answer = gateway.handler(functions.event("gateway/unsigned"), None)
    assert told(answer) == (403, "AccessDenied")
    assert ET.fromstring(answer["body"]).findtext("Resource") == "/photos/caf%C3%A9/two%20regions.svg"
    assert answer["headers"]["x-amz-request-id"] == "0b6f4c39-6f3c-4f0e-9a53-7a4d6a4f1c05"


def test_an_expired_url_is_refused_before_anybody_is_asked(gateway: ModuleType) -> None:
    with mock.patch.object(time, "time", return_value=RECORDED + 4000):
        later = functions.load("gateway", **VARIABLES)
        assert told(later.handler(functions.event("gateway/presigned"), None)) == (403, "AccessDenied")


@pytest.mark.parametrize("recorded", ["get", "put", "presigned", "list-buckets"])
def test_when_the_catalog_does_not_answer_nobody_is_told_that_he_is_unknown(recorded: str) -> None:
    with mock.patch.object(time, "time", return_value=RECORDED + 10):
        module = functions.load("gateway", **VARIABLES)
        answer = module.handler(functions.event(f"gateway/{recorded}"), None)
    assert told(answer) == (503, "ServiceUnavailable")


@pytest.mark.parametrize("name", ["TABLE", "BACKENDS", "GATEWAY_QUEUE_URL", "GATEWAY_SECRET"])
def test_it_does_not_start_without_what_it_needs(name: str) -> None:
    with pytest.raises(BadSettings, match=f"{name} is not set"):
        functions.load("gateway", **{**VARIABLES, name: ""})

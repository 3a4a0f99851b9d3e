"""The recorded events of the gateway: truly signed when they were recorded, over now, and good when signed anew."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.providers import SECRET as LOCAL_SECRET
from nearside.gateway.access_keys import AccessKey, KeyRule, Secret, derived
from nearside.gateway.front import Front
from nearside.gateway.signatures import Verifier
from tests.unit.functions import ROOT
from tests.unit.gateway_front import Gateway
from tests.unit.signed_events import GATEWAY_SECRET, KEY_ID, RECORDED, is_signed, signed

EVENTS = sorted((ROOT / "events" / "gateway").glob("*.json"))
SECRET = derived(GATEWAY_SECRET, KEY_ID, 1)
READER = KeyRule(buckets=["photos"], actions=["read", "write", "list"])
KEY = AccessKey(id=KEY_ID, secrets=[Secret(SECRET)], rules=[READER])
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / "gateway" / f"{name}.json").read_text())
    return found


def front(now: float) -> Front:
    """A gateway of its own at that time, with the object that the events read."""
    gateway = Gateway(keys={KEY.id: KEY})
    gateway.client().put_object(Bucket="photos", Key="café/two regions.svg", Body=SVG)
    return Front(Verifier(gateway.keys.get, None, lambda: now), gateway.core)


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()


ANSWERS = {
    "get": (206, SVG[:4]),
    "list-buckets": (200, b"<Name>photos</Name>"),
    "presigned": (200, SVG),
    "put": (200, b""),
    "unsigned": (403, b"<Code>AccessDenied</Code>"),
}


def test_every_event_has_an_expected_answer() -> None:
    assert {event.stem for event in EVENTS} == ANSWERS.keys()


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: path.stem)
def test_the_recorded_signature_was_good_when_it_was_made(event: Path) -> None:
    answer = front(RECORDED + 60)(recorded(event.stem))
    status, part = ANSWERS[event.stem]
    assert answer["statusCode"] == status
    assert part in body(answer)


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: path.stem)
def test_the_recorded_signature_is_over_now(event: Path) -> None:
    answer = front(time.time())(recorded(event.stem))
    code = "RequestTimeTooSkewed" if "authorization" in recorded(event.stem)["headers"] else "AccessDenied"
    assert answer["statusCode"] == 403
    assert f"<Code>{code}</Code>".encode() in body(answer)


@pytest.mark.parametrize("event", [each for each in EVENTS if each.stem != "unsigned"], ids=lambda path: path.stem)
def test_signed_anew_it_is_good_again(event: Path) -> None:
    now = time.time()
    sent = signed(recorded(event.stem), SECRET, now)
    answer = front(now)(sent)
    status, part = ANSWERS[event.stem]
    assert answer["statusCode"] == status
    assert part in body(answer)
    assert front(now)(signed(recorded(event.stem), "x" * 40, now))["statusCode"] == 403
    assert is_signed(sent)


def test_the_events_key_is_made_of_the_local_worlds_secret() -> None:
    assert GATEWAY_SECRET == LOCAL_SECRET

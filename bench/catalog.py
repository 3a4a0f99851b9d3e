"""S3's events through the handler of `replica_events` into a catalog of 1,000 and of 1,000,000 records.

Each batch is ten messages: four new versions of objects that are there and their four arrivals in the other place, one
delete marker and one duplicate. The peer of the large catalog is the small one, in the same rounds; DynamoDB is
parts/dynamodb.py, one process for each.
"""

import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from types import ModuleType
from typing import Any

from bench.parts import dynamodb
from bench.parts.promises import ROOT, at_most, ratio, report, rounds, table
from local.functions import Context

SMALL, LARGE = 1_000, 1_000_000  # records
ROUNDS = 21
BATCHES = 12  # a round
MESSAGES = 10  # a batch
EU, US = dynamodb.PLACES


def main() -> None:
    """Measures, prints and writes bench/results/catalog.json."""
    with dynamodb.serving(SMALL) as small_url, dynamodb.serving(LARGE) as large_url:
        small, large = (f"{count:,} records in the catalog" for count in (SMALL, LARGE))
        cases = {small: _Events(small_url, SMALL), large: _Events(large_url, LARGE)}
        for case in cases.values():
            case()  # clients are made and connections opened
        began = {name: (dynamodb.counts(case.endpoint), case.sent) for name, case in cases.items()}
        measured = rounds(cases, ROUNDS)
        table("One event", "milliseconds", measured, small)
        for name, case in cases.items():
            before, sent = began[name]
            asked = dynamodb.counts(case.endpoint) - before
            events = case.sent - sent
            words = ", ".join(f"{count / events:.2f} {what}" for what, count in sorted(asked.items()))
            print(f"{name}: {1_000 / statistics.median(measured[name]):,.0f} events a second; per event {words}")
    growth = ratio(measured[large], measured[small])
    report("catalog", [at_most(f"time per event with {LARGE:,} records, in those with {SMALL:,}", growth, 1.3)])


class _Events:
    """A handler of its own on one catalog; each call sends it a round of batches and gives milliseconds per event."""

    def __init__(self, endpoint: str, records: int) -> None:
        self.endpoint = endpoint
        self.sent = 0
        self._handler = _handler(endpoint)
        self._objects = records // len(dynamodb.PLACES)
        self._random = Random(3)
        self._sequence = 1 << 64
        self._now = time.time()

    def __call__(self) -> float:
        batches = [self._batch() for _ in range(BATCHES)]
        began = time.perf_counter()
        answers = [self._handler(batch, Context("replica_events", "512", time.monotonic() + 28)) for batch in batches]
        took = time.perf_counter() - began
        if any(answer["batchItemFailures"] for answer in answers):
            raise SystemExit(f"events were not taken: {answers}")
        self.sent += BATCHES * MESSAGES
        return took * 1_000 / (BATCHES * MESSAGES)

    def _batch(self) -> dict[str, Any]:
        bodies = []
        for number in self._random.sample(range(self._objects), 4):
            version = f"{self._sequence:032X}"
            bodies.append(self._body("ObjectCreated:Put", EU, number, version))
            bodies.append(self._body("ObjectCreated:Put", US, number, version))
        marked = self._random.randrange(self._objects)
        bodies.append(self._body("ObjectRemoved:DeleteMarkerCreated", EU, marked, f"{self._sequence:032X}"))
        bodies.append(bodies[0])
        return {
            "Records": [
                {"messageId": f"m{index}", "eventSource": "aws:sqs", "body": body} for index, body in enumerate(bodies)
            ]
        }

    def _body(self, name: str, place: str, number: int, version: str) -> str:
        self._sequence += 1
        self._now += 0.5
        described: dict[str, str | int] = {
            "key": dynamodb.key_of(number),
            "versionId": version,
            "sequencer": f"{self._sequence:018X}",
        }
        if name.startswith("ObjectCreated"):
            described |= {"size": 48_213, "eTag": "9b2cf535f27731c974343645a3985328"}
        record = {
            "eventVersion": "2.6",
            "eventSource": "aws:s3",
            "awsRegion": place,
            "eventTime": datetime.fromtimestamp(self._now, UTC).isoformat(timespec="milliseconds"),
            "eventName": name,
            "s3": {"bucket": {"name": f"nearside-{place}"}, "object": described},
        }
        return json.dumps({"Records": [record]})


def _handler(endpoint: str) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """functions/replica_events/handler.py on the catalog at `endpoint`, apart from any other."""
    os.environ.update(
        BUCKET=dynamodb.BUCKET,
        BUCKET_REGION=EU,
        REPLICAS=json.dumps([{"region": US, "bucket": f"nearside-{US}"}]),
        TABLE=dynamodb.NAME,
        TABLE_REGIONS=f"{EU},{US}",
        DYNAMODB_ENDPOINT=endpoint,
        AWS_REGION=EU,
        AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    )
    spec = importlib.util.spec_from_file_location("handler", ROOT / "functions" / "replica_events" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    called: Callable[[dict[str, Any], Any], dict[str, Any]] = module.handler
    return called


if __name__ == "__main__":
    main()

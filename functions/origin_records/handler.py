"""What the TXT record says, into the key-value store; every minute. The schedule's input says which record and store:

    {"store": "<ARN>", "headers": {"x-dns-origin": "origin.example.com", "x-origin-allow": "pics-*", …}}

in the words of origin_router's headers; an empty one counts as not given. Words and grammar (directions, txt_origin)
are origin_router's own modules, by links that `sam build` resolves.
"""

import functools
import json
import logging
import sys
import time
from typing import Any

import directions
import origins
from adapters import key_value_store, txt_records

log = logging.getLogger("nearside")
log.setLevel(logging.INFO)

NAMESPACE = "Nearside"


@functools.cache
def _store(arn: str) -> key_value_store.KeyValueStore:
    """One for as long as the container lives: it remembers what is in the store."""
    return key_value_store.KeyValueStore(arn, key_value_store.client())


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answers what came of it, for whoever runs it by hand. Raises when the input is wrong, or the store cannot be read
    or written; a record that cannot be used leaves the store as it is."""
    told = directions.read({name.lower(): value for name, value in event["headers"].items() if value})
    if told is None:
        raise directions.BadDirection(f"{directions.NAME} is not given")
    outcome = origins.refresh(told.question, txt_records.texts, _store(event["store"]))
    for why in outcome.refused:
        log.warning("%s: %s", told.question.name, why)
    log.info("%s: %s, %d origins", told.question.name, outcome.state, outcome.origins)
    _publish(told.question.name, outcome)
    return {"name": told.question.name, **outcome._asdict()}


def _publish(name: str, outcome: origins.Outcome) -> None:
    """Metrics in the Embedded Metric Format, which is one line of JSON on standard output:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
    numbers = {
        "Origins": outcome.origins,
        "OriginsChanged": int(outcome.state == "changed"),
        "OriginsKept": int(outcome.state == "kept"),
    }
    metrics = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Name"]],
        "Metrics": [{"Name": number, "Unit": "Count"} for number in numbers],
    }
    line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metrics]}, "Name": name, **numbers}
    sys.stdout.write(json.dumps(line) + "\n")
